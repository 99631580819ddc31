"""What is learnt of silences."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway.gaps import Gaps


def known(gaps: Gaps) -> tuple[float | None, float | None]:
    return gaps.suspect_s(), gaps.dead_s(0.0)


@given(st.lists(st.floats(0, 100), max_size=200), st.floats(0, 1000), st.integers(0, 200))
def test_gaps_that_are_learnt_together_teach_what_they_teach_one_by_one(
    silences: list[float], since: float, cut: int
) -> None:
    times = list(itertools.accumulate(silences, initial=since))
    together, one_by_one = Gaps(), Gaps()
    together.learn(since, times[1 : cut + 1])
    together.learn(times[min(cut, len(silences))], times[cut + 1 :])
    for before, after in itertools.pairwise(times):
        one_by_one.add(after - before)
    assert known(together) == known(one_by_one)
