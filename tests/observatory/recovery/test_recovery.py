"""Forecasts as a whole: too little history, no future, and the same numbers after a restart."""

from __future__ import annotations

import math
from datetime import datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.observatory import recovery as module
from outlast.observatory.recovery import NEEDED, Case, Forecast, Recovery, State, TooFew
from outlast.observatory.recovery_case import changed_at, in_office
from tests.observatory.recovery.histories import SPREAD, T0, case, histories, steady

LATER = T0 + 200 * 86400


def forecast(
    recovery: Recovery, elapsed_min: float = 0, stage: str = "", now: float = LATER
) -> Forecast:
    made = recovery.predict("openai", 60 * elapsed_min, stage, 0, now)
    assert isinstance(made, Forecast)
    return made


def ranges(made: Forecast) -> list[float]:
    return [made.low_80_s, made.low_50_s, made.median_s, made.high_50_s, made.high_80_s]


def test_nineteen_cases_are_too_few_and_twenty_are_enough() -> None:
    cases = steady(SPREAD[:NEEDED])
    assert Recovery(cases[:-1]).predict("openai", 0, "", 0, LATER) == TooFew(19)
    assert forecast(Recovery(cases)).n == 20


def test_cases_that_were_over_by_then_are_no_history_for_one_that_goes_on() -> None:
    made = Recovery(steady(SPREAD)).predict("openai", 6 * 3600, "", 0, LATER)
    assert made == TooFew(sum(lasts > 360 for lasts in SPREAD))


def test_it_says_what_it_rests_on() -> None:
    made = forecast(Recovery(steady(SPREAD) + steady(SPREAD, "mistral")), 60, "monitoring")
    longer = sum(lasts > 60 for lasts in SPREAD)
    assert (made.n, made.n_provider, made.n_stage) == (2 * longer, longer, 0)
    assert made.basis == "provider=openai stage=monitoring relapsed=no office=no"


def test_the_interval_is_about_that_of_the_history() -> None:
    made = forecast(Recovery(steady(SPREAD)))
    assert 10 * 60 < made.low_80_s < 30 * 60
    assert 55 * 60 < made.median_s < 110 * 60
    assert 200 * 60 < made.high_80_s < 700 * 60


def test_what_has_lasted_long_lasts_longer_still() -> None:
    """With durations of many sizes, each hour gone is a hint that this is a long one."""
    recovery = Recovery(steady(SPREAD))
    assert forecast(recovery).median_s < forecast(recovery, 60).median_s
    ends = [elapsed * 60 + forecast(recovery, elapsed).median_s for elapsed in (0, 30, 60, 120)]
    assert ends == sorted(ends)


def test_a_relapse_and_a_stage_change_the_forecast() -> None:
    cases = [
        case(f"r{n}", 1440 * n + 720, 4 * lasts, relapses=[0]) for n, lasts in enumerate(SPREAD)
    ]
    recovery = Recovery(steady(SPREAD) + cases)
    fresh = recovery.predict("openai", 0, "", 0, LATER)
    relapsed = recovery.predict("openai", 0, "", 2, LATER)
    assert isinstance(fresh, Forecast)
    assert isinstance(relapsed, Forecast)
    assert relapsed.median_s > 1.5 * fresh.median_s


def test_when_outages_become_shorter_the_intervals_follow() -> None:
    short = [lasts / 6 for lasts in SPREAD]
    cases = steady([*SPREAD, *short])
    before = forecast(Recovery(cases), now=T0 + 59.9 * 86400)
    after = forecast(Recovery(cases), now=T0 + 119.9 * 86400)
    assert after.high_80_s < before.high_80_s / 1.5
    assert after.low_80_s < before.low_80_s / 1.5


def test_a_notice_after_the_fact_is_left() -> None:
    recovery = Recovery(steady(SPREAD))
    before = recovery.state()
    recovery.learn(case("posthoc", 90_000, 0))
    assert recovery.state() == before


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("ends before it begins", {"ended_at": T0 - 1}),
        ("begins at no time", {"started_at": math.nan}),
        ("never ends, in the sense of mathematics", {"ended_at": math.inf}),
        ("has endless stages", {"stages": ((T0, "identified"),) * 101}),
    ],
)
def test_an_impossible_case_is_refused(name: str, fields: dict[str, object]) -> None:
    whole = {"id": name, "provider": "openai", "started_at": T0} | fields
    with pytest.raises(ValueError, match="outage"):
        Case(**whole)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(histories(), st.floats(0, 2000), st.sampled_from(["", "identified", "monitoring"]))
def test_the_ranges_are_nested_and_never_negative(
    cases: list[Case], elapsed_min: float, stage: str
) -> None:
    recovery = Recovery(cases)
    made = recovery.predict("openai", 60 * elapsed_min, stage, 1, LATER)
    if isinstance(made, Forecast):
        assert made.low_80_s >= 0
        assert ranges(made) == sorted(ranges(made))
        assert all(map(math.isfinite, ranges(made)))
        assert made.n >= NEEDED
    else:
        assert made.n < NEEDED


@settings(max_examples=20, deadline=None)
@given(histories(), st.floats(0, 60_000))
def test_nothing_from_the_future_changes_a_forecast(cases: list[Case], then_min: float) -> None:
    """Made from what was known then, and from everything: the same."""
    then = T0 + 60 * then_min
    known = []
    for one in cases:
        if one.started_at < then:
            over = one.ended_at is not None and one.ended_at <= then
            stages = tuple(stage for stage in one.stages if stage[0] <= then)
            relapsed = tuple(at for at in one.relapsed_at if at <= then)
            ended_at = one.ended_at if over else None
            known.append(Case(one.id, one.provider, one.started_at, ended_at, stages, relapsed))
    asked = ("openai", 600.0, "identified", 0, then)
    assert Recovery(known).predict(*asked) == Recovery(cases).predict(*asked)


@settings(max_examples=20, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_learning_does_not_matter(cases: list[Case], chance: object) -> None:
    """A restart reads them in order; life brings them live, then over, and some of them late."""
    lived = Recovery()
    shuffled = list(cases)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for one in shuffled:
        lived.learn(Case(one.id, one.provider, one.started_at))
        lived.learn(one)
    assert lived.state() == Recovery(cases).state()


@settings(max_examples=20, deadline=None)
@given(histories())
def test_state_survives_json_and_gives_the_same_forecasts(cases: list[Case]) -> None:
    before = Recovery(cases)
    stored = msgspec.json.decode(msgspec.json.encode(before.state()), type=State)
    after = Recovery.restored(stored)
    extra = case("extra", 60_000, 77)
    before.learn(extra)
    after.learn(extra)
    assert after.state() == before.state()
    asked = ("openai", 0.0, "", 0, LATER)
    assert after.predict(*asked) == before.predict(*asked)


def test_learning_the_same_again_changes_nothing() -> None:
    cases = steady(SPREAD)
    recovery = Recovery(cases)
    before = recovery.state()
    for one in cases:
        recovery.learn(one)
    assert recovery.state() == before


def test_the_history_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CASES", 30)
    monkeypatch.setattr(module, "_SPARE", 5)
    recovery = Recovery()
    for one in steady(SPREAD):
        recovery.learn(one)
    assert len(recovery.state().cases) == 35
    assert forecast(recovery).n == 30
    recovery.learn(case("from long ago", -9000, 10))
    assert len(recovery.state().cases) == 35


def test_the_whole_distribution_can_be_asked_for() -> None:
    found = Recovery(steady(SPREAD)).distribution("openai", 0, "", 0, LATER)
    assert isinstance(found, module.Curve)
    low, middle, high = (found.quantile_s(level) / 60 for level in (0.1, 0.5, 0.9))
    assert 10 < low < 30
    assert 55 < middle < 110
    assert high > 200


@pytest.mark.parametrize(
    ("at", "office"),
    [
        pytest.param("2023-11-14T17:59:00+00:00", False, id="Tuesday, 9:59 in California"),
        pytest.param("2023-11-14T18:00:00+00:00", True, id="Tuesday at 10"),
        pytest.param("2023-11-15T01:59:00+00:00", True, id="still Tuesday, 17:59"),
        pytest.param("2023-11-15T02:00:00+00:00", False, id="Tuesday at 18"),
        pytest.param("2023-11-18T20:00:00+00:00", False, id="Saturday noon"),
        pytest.param("2023-11-20T01:30:00+00:00", False, id="Monday in Greenwich, Sunday there"),
    ],
)
def test_office_hours_are_californias(at: str, office: bool) -> None:
    assert in_office(datetime.fromisoformat(at).timestamp()) is office


@pytest.mark.parametrize(
    ("name", "old", "new", "changed_min"),
    [
        ("it is new", None, case("a", 5, None), 5),
        ("it is over", case("a", 5, None), case("a", 5, 30), 35),
        ("its end was corrected to earlier", case("a", 5, 30), case("a", 5, 20), 25),
        ("it goes on after all", case("a", 5, 30), case("a", 5, None), 35),
        ("a stage was posted", case("a", 5, None), case("a", 5, None, stages=[(7, "x")]), 12),
        ("it relapsed", case("a", 5, None), case("a", 5, None, relapses=[8]), 13),
        ("it began earlier", case("a", 5, 30), case("a", 2, 33), 2),
        ("nothing is different", case("a", 5, 30), case("a", 5, 30), math.inf),
    ],
)
def test_when_a_change_could_first_be_seen(
    name: str, old: Case | None, new: Case, changed_min: float
) -> None:
    assert changed_at(old, new) == T0 + 60 * changed_min, name
