"""How soon who died is started again."""

from __future__ import annotations

import pytest

from outlast.workers.lives import FIRST_S, MOST_S, WELL_S, Lives


@pytest.mark.parametrize(
    ("lived_s", "waits_s"),
    [
        pytest.param([1], [FIRST_S], id="once, and at once"),
        pytest.param([1, 1, 1], [FIRST_S, 2 * FIRST_S, 4 * FIRST_S], id="again, and later"),
        pytest.param([0] * 100, [MOST_S], id="for ever, and never later than that"),
        pytest.param([0] * 100 + [WELL_S], [FIRST_S], id="after a long life, at once"),
        pytest.param([0] * 100 + [WELL_S, 1], [FIRST_S], id="and what was before is forgotten"),
    ],
)
def test_who_dies_again_and_again_is_started_later_each_time(
    lived_s: list[float], waits_s: list[float]
) -> None:
    lives = Lives()
    waits = [lives.ended(one) for one in lived_s]
    assert waits[-len(waits_s) :] == waits_s
