"""What is written of incidents in one piece, and two such pieces as one. Pure.

While the database is dead, pieces wait. There must not be more of them than memory holds, so the
oldest are put together: of everything that has a state the newest is kept, because it contains
what came before (an incident carries its whole history).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import msgspec

from outlast.nouns import ComponentState, Incident

T = TypeVar("T")

INCIDENTS_LIMIT = 2000
STATES_LIMIT = 10_000
NOTES_LIMIT = 10_000
"""Claims, snapshots, audit entries and further writes, each, in one piece."""
FENCES = "fence/"
"""Snapshots of such names are the fences' own."""


class StoredClaim(msgspec.Struct, frozen=True):
    """A claim as it is kept; `body` is JSON that its own module reads."""

    id: str
    incident: str
    at: float
    body: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """What a decider knows, to go on from after a restart; `body` is JSON."""

    name: str
    at: float
    body: bytes


class AuditEntry(msgspec.Struct, frozen=True):
    """What an operator did. Kept once for each id and never changed; `body` is JSON."""

    id: str
    at: float
    who: str
    what: str
    body: bytes = b"{}"


class Changes(msgspec.Struct, frozen=True):
    """Written in one transaction, or not at all. Writing it again is harmless."""

    incidents: tuple[Incident, ...] = ()
    """Each with all of its updates; those that are stored already stay as they are."""
    states: tuple[ComponentState, ...] = ()
    claims: tuple[StoredClaim, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    also: tuple[Callable[[Any], object], ...] = ()
    """Called with the database's connection in the same transaction, in its thread, after the
    rest: deliveries. Again must be harmless."""
    fenced: bool = True
    """False: any replica may write this, whoever holds the watch."""


def check(changes: Changes) -> None:
    """Raises ValueError for what no caller may write."""
    for one in changes.snapshots:
        if one.name.startswith(FENCES):
            raise ValueError(f"A snapshot's name must not begin with {FENCES!r}.")


def merge(older: Changes, newer: Changes) -> tuple[Changes, int]:
    """Both as one, of equal `fenced`, and how many things were given up because of the limits:
    incidents that ended first, then the oldest."""
    lost = 0

    def kept(
        items: Iterable[T],
        key: Callable[[T], Hashable],
        limit: int,
        over: Callable[[T], bool] = lambda _: False,
    ) -> tuple[T, ...]:
        nonlocal lost
        latest: dict[Hashable, T] = {}
        for one in items:
            name = key(one)
            latest.pop(name, None)
            latest[name] = one
        surplus = len(latest) - limit
        if surplus > 0:
            # Stable: what is over comes first, and the oldest of it first of all.
            for one in sorted(latest.values(), key=lambda one: not over(one))[:surplus]:
                del latest[key(one)]
            lost += surplus
        return tuple(latest.values())

    merged = Changes(
        incidents=kept(
            older.incidents + newer.incidents,
            lambda one: one.id,
            INCIDENTS_LIMIT,
            lambda one: one.resolved_at is not None,
        ),
        states=kept(older.states + newer.states, lambda one: one.component, STATES_LIMIT),
        claims=kept(older.claims + newer.claims, lambda one: one.id, NOTES_LIMIT),
        snapshots=kept(older.snapshots + newer.snapshots, lambda one: one.name, NOTES_LIMIT),
        audit=kept(older.audit + newer.audit, lambda one: one.id, NOTES_LIMIT),
        also=kept(older.also + newer.also, id, NOTES_LIMIT),
        fenced=newer.fenced,
    )
    return merged, lost
