"""The distribution: Kaplan-Meier by hand, effects, what is shared between providers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.observatory.recovery_curve import (
    Asked,
    Curve,
    Seen,
    curve,
    inverse_normal,
    kaplan_meier,
    lasting,
    normal,
    solve,
)
from tests.observatory.recovery.histories import SPREAD, T0, case, steady

REMISSION = [
    *[(weeks, True) for weeks in (6, 6, 6, 7, 10, 13, 16, 22, 23)],
    *[(weeks, False) for weeks in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)],
]
ZS = [-3.0, -1.28, -0.67, 0.0, 0.67, 1.28, 3.0]


@pytest.mark.parametrize(
    ("seen", "survival"),
    [
        pytest.param(
            REMISSION,
            {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448},
            id="remission under 6-MP (Freireich 1963), the textbook's table",
        ),
        pytest.param(
            [(1, True), (2, False), (3, True), (4, True)],
            {1: 3 / 4, 3: 3 / 8, 4: 0.0},
            id="who left at 2 is at risk at 1 and not at 3",
        ),
        pytest.param(
            [(2, True), (2, False), (3, True)],
            {2: 2 / 3, 3: 0.0},
            id="who is censored at the moment of an end was still at risk then",
        ),
        pytest.param([(1, False), (2, False)], {}, id="nobody's end, no step"),
    ],
)
def test_kaplan_meier_is_as_computed_by_hand(
    seen: Sequence[tuple[float, bool]], survival: dict[float, float]
) -> None:
    steps = kaplan_meier([(y, over, 1.0) for y, over in seen])
    left: dict[float, float] = {}
    surviving = 1.0
    for y, mass in steps:
        surviving -= mass
        left[y] = surviving
    assert left == pytest.approx(survival, abs=0.001)


def test_a_weight_of_two_is_two_cases() -> None:
    twice = kaplan_meier([(1, True, 1), (2, True, 1), (2, True, 1), (3, False, 1), (4, True, 1)])
    weighed = kaplan_meier([(1, True, 1), (2, True, 2), (3, False, 1), (4, True, 1)])
    assert [weighed[0][1], weighed[1][1], weighed[2][1]] == pytest.approx(
        [twice[0][1], twice[1][1] + twice[2][1], twice[3][1]]
    )


@given(st.floats(1e-6, 1 - 1e-6))
def test_the_inverse_of_the_normal_distribution_is_its_inverse(level: float) -> None:
    assert normal(inverse_normal(level)) == pytest.approx(level, rel=1e-6)


@pytest.mark.parametrize(
    ("level", "z"), [(0.5, 0.0), (0.9, 1.2815516), (0.75, 0.6744898), (0.025, -1.9599640)]
)
def test_the_inverse_of_the_normal_distribution_is_as_tabled(level: float, z: float) -> None:
    assert inverse_normal(level) == pytest.approx(z, abs=1e-6)


def test_a_system_of_equations_is_solved() -> None:
    assert solve([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0]) == pytest.approx([1 / 11, 7 / 11])


@pytest.mark.parametrize(
    ("name", "start", "lasts", "found"),
    [
        ("over, and had lasted longer than half an hour", 0, 50, [(20, True)]),
        ("over after exactly half an hour is not longer", 0, 30, []),
        ("over at once", 0, 5, []),
        ("goes on: seen until now", 100, None, [(70, False)]),
        ("will be over later, which nobody knows yet", 100, 500, [(70, False)]),
        ("has not lasted half an hour yet", 180, None, []),
        ("has not begun", 300, 90, []),
    ],
)
def test_who_had_lasted_half_an_hour_as_seen_at_200_minutes(
    name: str, start: float, lasts: float | None, found: list[tuple[float, bool]]
) -> None:
    seen = lasting([case(name, start, lasts)], 1800, T0 + 200 * 60)
    assert [(round(math.exp(one.y), 6), one.over) for one in seen] == found


def of(lasting_min: Sequence[float], provider: str = "openai", stage: str = "") -> list[Seen]:
    return [Seen(Asked(provider, stage), math.log(m), True, 1.0) for m in lasting_min]


def minutes(found: Curve, z: float = 0.0) -> float:
    return found.remaining_s(z) / 60


def test_a_provider_with_many_cases_is_believed_and_one_with_none_is_as_all_are() -> None:
    short, long = [m / 3 for m in SPREAD], [m * 3 for m in SPREAD]
    seen = of(short, "quick") + of(long, "slow")
    quick, slow, new = (minutes(curve(seen, Asked(name))) for name in ("quick", "slow", "new"))
    assert quick < 40 < new < 120 < slow


def test_a_provider_with_three_cases_moves_a_little_towards_them() -> None:
    alone = minutes(curve(of(SPREAD), Asked("few")))
    with_three = minutes(curve(of(SPREAD) + of([600, 700, 800], "few"), Asked("few")))
    many = minutes(curve(of(SPREAD) + of([600, 700, 800] * 20, "few"), Asked("few")))
    assert alone < with_three < 2.5 * alone < many


def test_the_posted_stage_counts_and_a_word_nobody_knows_is_nothing_posted() -> None:
    seen = of(SPREAD, stage="identified") + of([m / 8 for m in SPREAD], stage="monitoring")
    seen += of(SPREAD)
    identified, monitoring, none, odd = (
        minutes(curve(seen, Asked("openai", stage)))
        for stage in ("identified", "monitoring", "", "resolving-soon")
    )
    assert monitoring < identified / 3
    assert none == odd


def test_outages_that_still_go_on_make_the_forecast_longer() -> None:
    """Leaving them out would be learning from the quick ones alone."""
    live = [Seen(Asked("openai"), math.log(300), False, 1.0)] * 15
    assert minutes(curve(of(SPREAD) + live, Asked("openai"))) > 1.3 * minutes(
        curve(of(SPREAD), Asked("openai"))
    )


def test_recent_cases_weigh_more() -> None:
    old = [Seen(one.kind, one.y, True, 0.05) for one in of([500.0] * 30)]
    assert minutes(curve(old + of([50.0] * 30), Asked("openai"))) < 100


def test_beyond_the_longest_case_the_tail_goes_on() -> None:
    found = curve(of(SPREAD), Asked("openai"))
    assert minutes(found, 4) > minutes(found, 3) > 1.2 * max(SPREAD)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 12), st.booleans(), st.floats(1e-6, 1)), min_size=1, max_size=40
    ),
    st.floats(0, 12),
)
def test_quantiles_rise_with_the_level_and_scores_undo_them(
    drawn: list[tuple[float, bool, float]], y: float
) -> None:
    seen = [Seen(Asked("openai"), *drawn[0][:1], True, drawn[0][2])]
    seen += [Seen(Asked("mistral"), *one) for one in drawn[1:]]
    found = curve(seen, Asked("openai"))
    values = [found.at(z) for z in ZS]
    assert values == sorted(values)
    assert all(found.remaining_s(z) >= 0 for z in ZS)
    z = found.score(y)
    if abs(z) < 5.9:
        assert found.at(z) == pytest.approx(y, abs=0.01) or found.at(z - 1e-6) <= y <= found.at(
            z + 1e-6
        )


def test_the_same_days_outages_are_seen_with_their_stage_of_that_moment() -> None:
    one = case("a", 0, 100, stages=[(0, "investigating"), (45, "monitoring")])
    stages = [lasting([one], 60 * elapsed, T0 + 9000)[0].kind.stage for elapsed in (0, 44, 45, 90)]
    assert stages == ["investigating", "investigating", "monitoring", "monitoring"]


def test_a_history_of_one_length_makes_a_narrow_forecast() -> None:
    found = curve(lasting(steady([60.0] * 30), 0, T0 + 9e6), Asked("openai"))
    assert minutes(found, -1.28) > 45
    assert minutes(found, 1.28) < 75
