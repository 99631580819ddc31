"""Snapshots for what programs read: quiet, suspected, an outage that is over, and hostile words."""

from __future__ import annotations

import msgspec

from outlast.nouns import (
    ComponentState,
    Evidence,
    Impact,
    Incident,
    Stage,
    Status,
    Suspicion,
    Update,
)
from outlast.status.view import Around, Frame, Snapshot, Window, snapshot

NOW = 1772454600.0
"""2026-03-02T12:30:00Z."""
BASE = "https://status.example"
API, WEB, MODEL = "anthropic/api", "anthropic/web", "anthropic/api/claude-opus-4-8"
OPENAI = "openai/api"
HOSTILE = "</script><script>alert(1)</script> ]]> & \"'\x00\x0b\u202e <img src=x onerror=alert(2)>"


def state(
    component: str,
    status: Status = Status.OPERATIONAL,
    suspicion: Suspicion = Suspicion.NONE,
    **more: object,
) -> ComponentState:
    failing = float(status.rank > 0)
    seen = Evidence(
        "traffic", NOW - 60, 5.0 * failing, failures=40 * failing, total=60, fired=bool(failing)
    )
    made = ComponentState(
        component, status, suspicion, 0.97 * failing, NOW - 3000, NOW - 5, evidence=(seen,)
    )
    return msgspec.structs.replace(made, **more)


def update(at: float, kind: str, stage: Stage, text: str, **more: object) -> Update:
    made = Update(at, kind, stage, {"en": text, "fr": f"{text} (fr)"})
    return msgspec.structs.replace(made, **more)


def outage(**changes: object) -> Incident:
    """Confirmed and open."""
    began = NOW - 2400.5
    made = Incident(
        id="inc_20260302_a",
        provider="anthropic",
        opened_at=began,
        started_at=began - 120,
        stage=Stage.INVESTIGATING,
        impact=Impact.CRITICAL,
        suspicion=Suspicion.O_DOWN,
        components={API: Status.MAJOR, WEB: Status.PARTIAL},
        title={"en": "Anthropic: major outage (API)", "fr": "Anthropic : panne majeure (API)"},
        updates=(
            update(began, "opened", Stage.INVESTIGATING, "Suspected: API.", components=(API,)),
            update(began + 60, "confirmed", Stage.INVESTIGATING, "Confirmed.", components=(API,)),
            update(began + 90, "extended", Stage.INVESTIGATING, "Also web.", components=(WEB,)),
            update(began + 95, "corrected", Stage.INVESTIGATING, "Not all of web.", corrects=2),
        ),
    )
    return msgspec.structs.replace(made, **changes)


def suspected(**changes: object) -> Incident:
    fields = {
        "id": "inc_suspected",
        "provider": "openai",
        "impact": Impact.MAJOR,
        "suspicion": Suspicion.S_DOWN,
        "components": {OPENAI: Status.MAJOR},
        "title": {"en": "OpenAI: problems (API)", "fr": "OpenAI : difficultés (API)"},
        "updates": outage().updates[:1],
    }
    return outage(**(fields | changes))


def over(**changes: object) -> Incident:
    at = NOW - 90_000
    fields = {
        "id": "inc_over",
        "opened_at": at,
        "started_at": at - 60,
        "resolved_at": at + 3000,
        "stage": Stage.RESOLVED,
        "updates": (
            update(at, "opened", Stage.INVESTIGATING, "Suspected.", components=(API,)),
            update(at + 50, "confirmed", Stage.INVESTIGATING, "Sure.", components=(API,)),
            update(at + 2500, "monitoring", Stage.MONITORING, "Calm since a while."),
            update(at + 3400, "resolved", Stage.RESOLVED, "Over."),
        ),
        "components": {API: Status.MAJOR},
    }
    return outage(**(fields | changes))


def window(state_: str = "scheduled", **changes: object) -> Window:
    made = Window(
        id="win_1",
        title={"en": "New database", "fr": "Nouvelle base de données"},
        text={"en": "Short breaks.", "fr": "De courtes coupures."},
        components=(OPENAI,),
        starts_at=NOW + 3600,
        ends_at=NOW + 7200,
        state=state_,
        by="openai",
    )
    return msgspec.structs.replace(made, **changes)


def shot(
    *incidents: Incident,
    states: tuple[ComponentState, ...] = (),
    windows: tuple[Window, ...] = (),
    stale: bool = False,
    at: float = NOW - 5,
) -> Snapshot:
    """What is shown; components not named in `states` work."""
    given = {one.component: one for one in states}
    names = (API, WEB, MODEL, OPENAI, "outlast/upstream/spare")
    for name in names:
        given.setdefault(name, state(name))
    looked = {name: frozenset({"2026-03-01", "2026-03-02"}) for name in names}
    return snapshot(
        given.values(),
        incidents,
        Around(looked_days=looked, windows=windows),
        Frame(at=at, now=NOW, stale=stale, base_url=BASE),
    )


def quiet() -> Snapshot:
    return shot()


def failing() -> Snapshot:
    """One confirmed outage, one suspicion, one that is over, one window."""
    return shot(
        outage(),
        suspected(),
        over(),
        states=(
            state(API, Status.MAJOR, Suspicion.O_DOWN),
            state(WEB, Status.PARTIAL, Suspicion.O_DOWN),
            state(OPENAI, Status.MAJOR, Suspicion.S_DOWN),
        ),
        windows=(window(),),
    )


def hostile() -> Snapshot:
    """Every text that somebody else may have written tries to be more than a text."""
    said = {"en": HOSTILE, "fr": HOSTILE}
    bad = update(NOW - 10, "vendor", Stage.INVESTIGATING, HOSTILE)
    return shot(
        outage(title=said, updates=(*outage().updates, bad)),
        states=(
            state(API, Status.MAJOR, Suspicion.O_DOWN),
            state("anthropic/api/<b>&\"'"),
        ),
        windows=(window(title=said, text=said),),
    )
