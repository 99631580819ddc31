"""When a component was down within one incident, relapses apart from the calm between. Pure."""

from __future__ import annotations

import msgspec

from outlast.nouns import Incident, Stage, Update

_JOINED = frozenset({"opened", "confirmed", "extended", "relapsed", "merged"})
"""Entries that name what has come to be affected."""


class _Wave(msgspec.Struct):
    """From when it failed until it was healthy; `end_at` None: it goes on."""

    start_at: float
    end_at: float | None
    updates: list[Update]


def spans_of(incident: Incident, component: str, now: float) -> list[tuple[float, float]]:
    """Return when the component was reached: from the entry that names it to the end of that wave.

    What the incident began with counts from the incident's own start, which lies before its first
    entry. What no entry names counts as if it had been there from the start.
    """
    if component not in incident.components:
        return []
    waves = _waves(incident)
    found: list[tuple[float, float]] = []
    for wave in waves:
        at = _joined_at(wave, component)
        if at is not None:
            found.append((at, now if wave.end_at is None else wave.end_at))
    if not found:
        first = waves[0]
        found.append((first.start_at, now if first.end_at is None else first.end_at))
    return [(start, end) for start, end in found if end > start]


def _joined_at(wave: _Wave, component: str) -> float | None:
    for number, update in enumerate(wave.updates):
        if component in update.components and update.kind in _JOINED:
            return wave.start_at if number == 0 else update.at
    return None


def _waves(incident: Incident) -> list[_Wave]:
    waves = [_Wave(incident.started_at, None, [])]
    for update in incident.updates:
        last = waves[-1]
        if update.kind == "monitoring":
            last.end_at = update.at
        elif update.kind == "relapsed" and last.end_at is not None:
            waves.append(_Wave(update.at, None, [update]))
            continue
        last.updates.append(update)
    last = waves[-1]
    if incident.stage is Stage.RESOLVED and incident.resolved_at is not None:
        last.end_at = incident.resolved_at
    elif incident.stage is not Stage.MONITORING:
        last.end_at = None
    return waves
