"""How soon who died is started again, and who stands still."""

from __future__ import annotations

import pytest

from outlast.workers.lives import FIRST_S, MOST_S, SILENT_BEATS, WELL_S, Lives, Pulse


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


@pytest.mark.parametrize(
    ("happens", "still"),
    [
        pytest.param("?", False, id="a first question has time"),
        pytest.param("?" * SILENT_BEATS, False, id="as many as are allowed, too"),
        pytest.param("?" * (SILENT_BEATS + 1), True, id="one more without an answer is too many"),
        pytest.param("?" * SILENT_BEATS + "!?", False, id="a late answer is one"),
        pytest.param("?!" * 100 + "?" * SILENT_BEATS, False, id="only those in a row count"),
        pytest.param("?" * SILENT_BEATS + "!!" + "?" * SILENT_BEATS, False, id="all answered"),
    ],
)
def test_who_leaves_many_questions_in_a_row_unanswered_stands_still(
    happens: str, still: bool
) -> None:
    pulse, found = Pulse(), False
    for one in happens:
        if one == "?":
            found = pulse.asked()
        else:
            pulse.answered()
    assert found is still
