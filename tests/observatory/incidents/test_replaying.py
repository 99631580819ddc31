"""Evidence in, incidents out, over short days: playbooks, sameness, and restarts in the middle."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from outlast.nouns import Stage, Suspicion
from outlast.observatory.rehearsal import Rehearsal
from outlast.observatory.replaying import Step, play
from outlast.observatory.retelling import Teller
from outlast.observatory.watch import Watch
from tests.observatory.incidents.days import GREEN, day, failing, played, span, told

API, WEB = "anthropic/api/m", "anthropic/web"
WELL = failing(API, "12:20", "12:20")
CROWD = span("reports", WEB, "12:20", "12:50", per_minute=12.0)
USUAL = f'[[usual]]\ncomponent = "{WEB}"\nper_day = 40.0\ndays = 15\n'


def notice(*entries: tuple[str, str], mark: str) -> str:
    """A vendor's page with one notice, read when its last entry is posted."""
    lines = ", ".join(
        f'{{ at = 2026-03-02T{time}:00Z, stage = "{stage}", body = "{stage}" }}'
        for time, stage in entries
    )
    marks = f'{{ "Claude API (api.anthropic.com)" = "{mark}" }}'
    return (
        f'[[page]]\nat = 2026-03-02T{entries[-1][0]}:00Z\nprovider = "anthropic"\n'
        f'components = {marks}\n[[page.notices]]\nid = "n"\ntitle = "Elevated errors"\n'
        f"entries = [{lines}]\ncomponents = {marks}"
    )


POSTED = notice(("12:20", "investigating"), mark="partial_outage")
CLOSED = notice(("12:20", "investigating"), ("13:00", "resolved"), mark="operational")

PLAYBOOKS: list[tuple[str, list[str], dict[str, Any]]] = [
    ("a quiet day has no incident", [WELL, GREEN], {"incidents": 0}),
    (
        "requests that fail are suspicion, and over when they no longer do",
        [failing(API, "12:20", "12:40", 0.8), GREEN],
        {"incidents": 1, "suspicion": "s_down", "stage": "resolved", "cause": "unknown"},
    ),
    (
        "requests and people confirm",
        [USUAL, failing(API, "12:20", "12:50", 0.8), CROWD,
         span("probe", WEB, "12:00", "12:20"),
         span("probe", WEB, "12:20", "12:50", error_share=0.9),
         span("probe", WEB, "12:50", "13:30")],
        {"incidents": 1, "suspicion": "o_down", "stage": "resolved"},
    ),
    (
        "people alone never confirm",
        [USUAL, CROWD, WELL],
        {"incidents": 1, "suspicion": "s_down"},
    ),
    (
        "the vendor alone never confirms",
        [WELL, GREEN, POSTED, CLOSED],
        {"incidents": 1, "suspicion": "s_down", "contradictions": 1, "stage": "resolved"},
    ),
    (
        "requests and the vendor confirm",
        [failing(API, "12:15", "12:50", 0.8), GREEN, POSTED, CLOSED],
        {"incidents": 1, "suspicion": "o_down"},
    ),
    (
        "what our own network loses is nobody's outage",
        [span("traffic", API, "12:00", "13:30", per_minute=10.0, error_share=0.9, outcome="ours")],
        {"incidents": 0},
    ),
    (
        "a key that is refused is nobody's outage",
        [span("traffic", API, "12:00", "13:30", per_minute=10.0, error_share=0.9, outcome="auth")],
        {"incidents": 0},
    ),
    (
        "what comes back within the hour is the same incident",
        [failing(API, "12:10", "12:25", 0.9, until="13:00"),
         span("traffic", API, "13:00", "13:10", per_minute=10.0, error_share=0.9),
         span("traffic", API, "13:10", "13:30", per_minute=10.0)],
        {"incidents": 1, "relapses": 1},
    ),
    (
        "a page that cannot be read is no outage",
        [WELL, '[[unread]]\nat = 2026-03-02T12:30:00Z\nprovider = "anthropic"\nreason = "503"'],
        {"incidents": 0},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "expected"), [p[1:] for p in PLAYBOOKS],
                         ids=[p[0] for p in PLAYBOOKS])  # fmt: skip
def test_a_day(tables: list[str], expected: dict[str, Any]) -> None:
    teller = told(day(*tables))
    incidents = teller.incidents()
    found: dict[str, Any] = {"incidents": len(incidents)}
    for incident in incidents:
        facts = teller.facts(incident)
        found |= {"suspicion": str(incident.suspicion), "stage": str(incident.stage)}
        found |= {key: facts[key] for key in ("relapses", "contradictions", "cause")}
    assert {key: found.get(key) for key in expected} == expected


BAD = (failing(API, "12:15", "12:50", 0.5), CROWD, GREEN, POSTED, CLOSED)


def test_the_same_file_says_the_same_twice() -> None:
    def everything() -> list[bytes]:
        rehearsal, watch = day(*BAD), Watch()
        rehearsal.prepare(watch)
        encode = msgspec.json.Encoder().encode
        said = play(rehearsal.steps, watch, until_at=rehearsal.until_at)
        return [encode((at, one)) for at, one in said]

    assert everything() == everything()


def test_another_seed_says_something_else() -> None:
    opened = [told(day(*BAD, seed=seed)).incidents()[0].opened_at for seed in range(2, 6)]
    assert len(set(opened)) > 1


def halves(rehearsal: Rehearsal, at: float) -> tuple[list[Step], list[Step]]:
    steps = list(rehearsal.steps)
    return [one for one in steps if one.at < at], [one for one in steps if one.at >= at]


@pytest.mark.parametrize("minutes", [5, 25, 40, 60, 75])
def test_a_restart_in_the_middle_tells_the_same_incident_on(minutes: int) -> None:
    """What the service does at a stop and a start: a snapshot, and what is in the database."""
    whole = played(list(day(*BAD).steps), Watch(), day(*BAD).until_at or 0)
    rehearsal, watch = day(*BAD), Watch()
    rehearsal.prepare(watch)
    cut, end = (rehearsal.start_at or 0) + 60 * minutes, rehearsal.until_at or 0
    before, after = halves(rehearsal, cut)
    teller = Teller()
    for at, said in play(before, watch, until_at=cut):
        teller.hear(at, said)
    again = Watch()
    again.recall(watch.snapshot(cut))
    notices = [n for page in watch.vendor_pages().values() for n in page.notices(cut)]
    again.restore(teller.incidents(), notices, watch.states())
    found = {one.id: one for one in (*teller.incidents(), *played(after, again, end))}
    assert list(found) == [one.id for one in whole]
    (incident,), (other,) = found.values(), whole
    assert (incident.stage, incident.suspicion) == (other.stage, other.suspicion)
    assert set(incident.components) == set(other.components)
    assert [u.kind for u in incident.updates].count("opened") == 1


def test_a_replay_looks_at_time_every_ten_seconds_and_never_back() -> None:
    rehearsal, watch = day(WELL, end="12:10"), Watch()
    rehearsal.prepare(watch)
    times = [at for at, _ in play(rehearsal.steps, watch, until_at=rehearsal.until_at)]
    assert times == sorted(times)
    assert max(b - a for a, b in itertools.pairwise(times)) <= 10
    assert times[-1] >= (rehearsal.until_at or 0) - 10


def test_a_component_that_fails_is_said_with_its_probability() -> None:
    teller = told(day(failing(API, "12:20", "13:30", 0.9)))
    state = teller.board.states["anthropic/api"]
    assert state.suspicion is Suspicion.S_DOWN
    assert state.probability > 0.95
    assert teller.board.open()[0].stage is Stage.INVESTIGATING
