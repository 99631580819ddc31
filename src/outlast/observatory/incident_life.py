"""What an incident is made of while it lives: the table of its stages, and what changes it.

Every step makes a new Incident; updates are only ever added. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from outlast.nouns import (
    Component,
    ComponentState,
    Evidence,
    Impact,
    Incident,
    Stage,
    Status,
    Suspicion,
    Update,
)
from outlast.observatory import incident_texts as texts

UPDATES_MAX = 500


class Event(StrEnum):
    FAILING = "failing"
    CONFIRMED = "confirmed"
    SPREAD = "spread"
    CHANGED = "changed"
    CONTRADICTED = "contradicted"
    SAID = "said"
    IDENTIFIED = "identified"
    HEALTHY = "healthy"
    CALM = "calm"


_I, _D, _M, _R = Stage.INVESTIGATING, Stage.IDENTIFIED, Stage.MONITORING, Stage.RESOLVED

TABLE: dict[tuple[Stage, Event], tuple[Stage, str]] = {
    # stage, event → next stage, kind of the update. What is not here changes nothing.
    (_I, Event.CONFIRMED): (_I, "confirmed"),
    (_I, Event.SPREAD): (_I, "extended"),
    (_I, Event.CHANGED): (_I, "changed"),
    (_I, Event.CONTRADICTED): (_I, "contradiction"),
    (_I, Event.SAID): (_I, "vendor"),
    (_I, Event.IDENTIFIED): (_D, "vendor"),
    (_I, Event.HEALTHY): (_M, "monitoring"),
    (_D, Event.CONFIRMED): (_D, "confirmed"),
    (_D, Event.SPREAD): (_D, "extended"),
    (_D, Event.CHANGED): (_D, "changed"),
    (_D, Event.CONTRADICTED): (_D, "contradiction"),
    (_D, Event.SAID): (_D, "vendor"),
    (_D, Event.IDENTIFIED): (_D, "vendor"),
    (_D, Event.HEALTHY): (_M, "monitoring"),
    (_M, Event.FAILING): (_I, "relapsed"),
    (_M, Event.CONTRADICTED): (_M, "contradiction"),
    (_M, Event.SAID): (_M, "vendor"),
    (_M, Event.IDENTIFIED): (_M, "vendor"),
    (_M, Event.CALM): (_R, "resolved"),
    (_R, Event.FAILING): (_I, "relapsed"),
    (_R, Event.SAID): (_R, "vendor"),
    (_R, Event.IDENTIFIED): (_R, "vendor"),
}

_IMPACT = {
    Status.DEGRADED: Impact.MINOR,
    Status.PARTIAL: Impact.MAJOR,
    Status.MAJOR: Impact.CRITICAL,
}


class Live(msgspec.Struct):
    """An incident and what is known of it at the moment."""

    incident: Incident
    failing: dict[str, ComponentState] = msgspec.field(default_factory=dict)
    healthy_at: float | None = None
    spread_at: float = 0.0
    changed_at: float = 0.0
    contradictions: set[str] = msgspec.field(default_factory=set)
    restored: int = 0
    """How many of its updates were there before the last start."""


def incident_id(provider: str, component: str, at: float) -> str:
    """`inc_` and 12 letters and digits: the same for every replica that sees the same."""
    digest = hashlib.sha256(f"{provider} {component} {int(at)}".encode()).hexdigest()
    return f"inc_{digest[:12]}"


def kinds_of(evidence: Iterable[Evidence]) -> list[str]:
    """The kinds that say that it is an outage, in the order they are given."""
    return [one.kind for one in evidence if one.fired]


def move(
    live: Live,
    event: Event,
    now: float,
    text: dict[str, str],
    evidence: tuple[Evidence, ...] = (),
    components: tuple[str, ...] = (),
) -> None:
    """Follow the table, if it knows the way; an incident's history has a limit, its end has not."""
    row = TABLE.get((live.incident.stage, event))
    if row is None:
        return
    stage, kind = row
    updates = live.incident.updates
    if len(updates) < UPDATES_MAX or stage is not live.incident.stage:
        update = Update(
            at=now, kind=kind, stage=stage, text=text, evidence=evidence, components=components
        )
        updates = (*updates, update)
    replace(live, stage=stage, updates=updates)


def replace(live: Live, **changes: object) -> None:
    live.incident = msgspec.structs.replace(live.incident, **changes)


def include(live: Live, states: Sequence[ComponentState]) -> None:
    for state in states:
        live.failing[state.component] = state
    note_status(live, states)


def note_status(live: Live, states: Sequence[ComponentState]) -> None:
    incident = live.incident
    failing = {s.component: s.status for s in states if s.suspicion is not Suspicion.NONE}
    components = worst(incident.components, failing)
    if components != incident.components:
        replace(
            live,
            components=components,
            impact=impact(components.values()),
            title=title(incident.provider, components),
        )


def worst(one: Mapping[str, Status], other: Mapping[str, Status]) -> dict[str, Status]:
    out = dict(one)
    for name, status in other.items():
        if name not in out or status.rank > out[name].rank:
            out[name] = status
    return out


def impact(statuses: Iterable[Status]) -> Impact:
    worst = max(statuses, key=lambda status: status.rank, default=Status.OPERATIONAL)
    return _IMPACT.get(worst, Impact.NONE)


def title(provider: str, components: Mapping[str, Status]) -> dict[str, str]:
    """Models and regions are named only where their whole surface is not."""
    shown = {
        name: status
        for name, status in components.items()
        if Component.parse(name).whole.name == name
        or Component.parse(name).whole.name not in components
    }
    return texts.title(provider, shown)


def surface(component: str) -> str:
    return Component.parse(component).whole.name


def is_whole(state: ComponentState) -> bool:
    """Whether it is said of a whole surface, not of a model or a region."""
    return surface(state.component) == state.component


def contradicted(state: ComponentState) -> str:
    """What an incident remembers of a contradiction that was said."""
    return f"{state.component} {state.contradiction}"


def declared(state: ComponentState) -> bool:
    return any(one.kind == "notice" and one.fired for one in state.evidence)


def is_open(live: Live) -> bool:
    return live.incident.stage is not Stage.RESOLVED


def age(live: Live) -> float:
    return live.incident.opened_at


def last_at(incident: Incident, kind: str = "") -> float:
    return max(
        (update.at for update in incident.updates if not kind or update.kind == kind),
        default=incident.opened_at,
    )
