"""Days, uptime and order, from incidents: a sentence a row."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import ComponentState, Impact, Incident, Stage, Status, Suspicion
from outlast.status.filters import runs, uptime
from outlast.status.texts import TEXTS
from outlast.status.view import (
    DAY_S,
    DAYS,
    Around,
    Frame,
    Row,
    covered,
    date_of,
    days_of,
    snapshot,
)
from tests.status.days import NOON, second_of_march

API = "anthropic/api"
TODAY = NOON // DAY_S * DAY_S


def incident(
    start: float, end: float | None, status: Status = Status.PARTIAL, **more: object
) -> Incident:
    return Incident(
        f"inc_{start}",
        "anthropic",
        start,
        start,
        Stage.RESOLVED if end is not None else Stage.INVESTIGATING,
        Impact.MAJOR,
        Suspicion.O_DOWN,
        {API: status},
        {"en": "", "fr": ""},
        resolved_at=end,
        **more,  # type: ignore[arg-type]
    )


def seen() -> ComponentState:
    return ComponentState(API, Status.OPERATIONAL, Suspicion.NONE, 0.0, TODAY, TODAY)


LOOKED = frozenset(date_of(TODAY - DAY_S * back) for back in range(10))

TABLE: list[tuple[str, list[Incident], Status | None, float, float]] = [
    ("a day that was watched and quiet", [], Status.OPERATIONAL, 0, 0),
    ("an hour of it down", [incident(TODAY + 3600, TODAY + 7200)], Status.PARTIAL, 3600, 0),
    (
        "slow is not down",
        [incident(TODAY + 3600, TODAY + 7200, Status.DEGRADED)],
        Status.DEGRADED,
        0,
        3600,
    ),
    (
        "two at once count once",
        [incident(TODAY, TODAY + 600), incident(TODAY + 300, TODAY + 900, Status.MAJOR)],
        Status.MAJOR,
        900,
        0,
    ),
    ("what goes on counts until now", [incident(NOON - 60, None)], Status.PARTIAL, 60, 0),
    ("of yesterday's, today's part", [incident(TODAY - 60, TODAY + 60)], Status.PARTIAL, 60, 0),
    (
        "what was retracted was no outage",
        [incident(TODAY, TODAY + 600, retracted=True)],
        Status.OPERATIONAL,
        0,
        0,
    ),
    ("what went on elsewhere is counted there", [incident(TODAY, TODAY + 600, merged_into="x")],
     Status.OPERATIONAL, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "status", "down_s", "slow_s"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_a_day(found: list[Incident], status: Status | None, down_s: float, slow_s: float) -> None:
    day = days_of(API, found, LOOKED, NOON)[-1]
    assert (day.status, day.down_s, day.degraded_s) == (status, down_s, slow_s)


def test_a_day_on_which_nobody_looked_is_neither_good_nor_bad() -> None:
    days = days_of(API, [], LOOKED, NOON)
    assert len(days) == DAYS
    assert days[0].status is None
    assert [day.status for day in days[-10:]] == [Status.OPERATIONAL] * 10


def test_uptime_never_rounds_an_outage_away() -> None:
    state = next(iter(second_of_march()["11:30"].providers[0].rows)).state
    row = Row(state, "api", days=(), uptime=0.999999, watched_days=90)
    assert uptime(row, TEXTS["en"], "en").startswith("99.999% ")
    assert uptime(row, TEXTS["fr"], "fr").startswith("99,999\u00a0% ")
    assert uptime(Row(state, "api"), TEXTS["en"], "en") == "not watched yet"


def test_of_today_only_what_has_passed_was_watched() -> None:
    at = TODAY + 6 * 3600
    began = incident(TODAY + 3 * 3600, None)
    around = Around(looked_days={API: frozenset({date_of(TODAY - DAY_S), date_of(TODAY)})})
    shown = snapshot([seen()], [began], around, Frame(at=at, now=at))
    assert shown.providers[0].rows[0].uptime == 0.9
    midnight = snapshot([seen()], [], around, Frame(at=TODAY, now=TODAY))
    assert midnight.providers[0].rows[0].uptime == 1.0


def test_of_less_than_a_day_no_share_is_told() -> None:
    at = TODAY + 12 * 3600
    around = Around(looked_days={API: frozenset({date_of(TODAY)})})
    shown = snapshot([seen()], [incident(TODAY + 3600, None)], around, Frame(at=at, now=at))
    (row,) = shown.providers[0].rows
    assert row.uptime is None
    assert row.days[-1].down_s == 11 * 3600
    assert uptime(row, TEXTS["en"], "en") == "watched for less than a day so far"
    assert uptime(row, TEXTS["fr"], "fr") == "observé depuis moins d'un jour"


def test_one_day_is_one_day_in_both_languages() -> None:
    row = Row(seen(), "api", uptime=1.0, watched_days=1)
    assert uptime(row, TEXTS["en"], "en").endswith("over 1 day that was watched")
    assert uptime(row, TEXTS["fr"], "fr").endswith("sur 1 jour observé")


def test_neighbours_of_one_colour_are_one_bar() -> None:
    state = next(iter(second_of_march()["11:30"].providers[0].rows)).state
    days = days_of(API, [incident(TODAY - 3 * DAY_S, TODAY - 3 * DAY_S + 60)], LOOKED, NOON)
    bars = runs(Row(state, "api", days=days))
    assert [(bar.width, bar.colour) for bar in bars] == [(24, "c1"), (4, "c3"), (12, "c1")]


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 200)), max_size=30))
def test_covered_is_what_a_ruler_would_measure(spans: list[tuple[int, int]]) -> None:
    seconds = {second for start, length in spans for second in range(start, start + length)}
    found = covered([(float(a), float(a + n)) for a, n in spans])
    assert found == len(seconds)


@given(st.integers(0, 4_000_000_000))
def test_dates_are_the_calendar_s(at: int) -> None:
    assert date_of(float(at)) == datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%F")
