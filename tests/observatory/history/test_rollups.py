from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Observation, Outcome
from outlast.observatory.rollups import PERIOD_S, Rollup, roll_up
from tests.observatory.history.houses import DAY, seen

observations = st.lists(
    st.builds(
        Observation,
        at=st.floats(0, 4 * DAY),
        source=st.sampled_from(["attempt", "report"]),
        component=st.sampled_from(["a/api", "a/api/m", "b/web"]),
        outcome=st.sampled_from([Outcome.OK, Outcome.TIMEOUT]),
        latency_s=st.floats(0, 100),
        weight=st.sampled_from([0.25, 1.0, 3.0]),
    ),
    max_size=60,
)


def test_one_observation_makes_a_sum_for_its_minute_its_hour_and_its_day() -> None:
    at = 20_000 * DAY + 3 * 3600 + 61.5
    one = seen("a", at, outcome=Outcome.TIMEOUT, latency_s=2.5, weight=0.5)
    name = ("anthropic/api/m", "attempt", "timeout", 1, 0.5, 2.5, 2.5)
    assert roll_up([one]) == [
        Rollup("minute", int(20_000 * DAY) + 3 * 3600 + 60, *name),
        Rollup("hour", int(20_000 * DAY) + 3 * 3600, *name),
        Rollup("day", int(20_000 * DAY), *name),
    ]


@pytest.mark.parametrize("at", [59.999, 60.0, 3599.999, 3600.0, DAY - 0.001, DAY])
def test_a_period_begins_with_its_first_moment(at: float) -> None:
    for one in roll_up([seen("a", at)]):
        assert one.start_at <= at < one.start_at + PERIOD_S[one.period]
        assert one.start_at % PERIOD_S[one.period] == 0


@given(observations)
def test_each_period_holds_every_observation_once(items: list[Observation]) -> None:
    sums = roll_up(items)
    for period, size_s in PERIOD_S.items():
        found = {
            (one.start_at, one.component, one.source, one.outcome): one.count
            for one in sums
            if one.period == period
        }
        expected = Counter(
            (int(one.at // size_s) * size_s, one.component, one.source, one.outcome.value)
            for one in items
        )
        assert found == expected
        mine = [one for one in sums if one.period == period]
        assert sum(one.weight for one in mine) == sum(one.weight for one in items)
        assert sum(one.latency_sum_s for one in mine) == pytest.approx(
            sum(one.latency_s for one in items)
        )
        longest = max((one.latency_s for one in items), default=0.0)
        assert max((one.latency_max_s for one in mine), default=0.0) == longest


@given(observations)
def test_two_writers_meet_the_same_sums_in_the_same_order(items: list[Observation]) -> None:
    def keys(sums: list[Rollup]) -> list[tuple[str, int, str, str, str]]:
        return [(s.period, s.start_at, s.component, s.source, s.outcome) for s in sums]

    assert keys(roll_up(items)) == keys(roll_up(items[::-1]))
