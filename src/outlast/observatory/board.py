"""What readers see: the last word on every component and incident, kept in memory.

Pages, the API and the event stream read this and nothing else, so that they answer at once and go
on answering when the database, the bus or the observatory itself is gone: then they say how old
what they show is. Owned by one event loop; changed by the watcher alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from outlast.nouns import ComponentState, Incident, Stage
from outlast.observatory.claims import Claim
from outlast.observatory.extent import Extent
from outlast.observatory.recovery import Forecast, TooFew

RECENT_MAX = 100
"""Ended incidents that are kept here; older ones are in the database."""
STALE_S = 180.0


class FeedState(msgspec.Struct, frozen=True):
    """How a vendor's page stands. Unreachable is a state of its own, never "operational"."""

    provider: str
    feed: str
    read_at: float | None = None
    unreachable_since: float | None = None
    reason: str = ""


class CrowdState(msgspec.Struct, frozen=True):
    """What people say of a component in the last minutes."""

    not_working: int = 0
    working: int = 0
    window_s: float = 900.0
    shed: int = 0
    """Reports that were only counted, not looked at, because there were too many."""
    top_share: float = 0.0
    """Share of the largest network or autonomous system: how concentrated they are."""
    regions: dict[str, int] = {}
    """Only regions with enough reporters to hide each of them."""


class Board:
    def __init__(self) -> None:
        self.at = 0.0
        """When the observatory last looked; 0: it has not yet."""
        self.states: dict[str, ComponentState] = {}
        self.claims: dict[str, tuple[Claim, ...]] = {}
        """By incident."""
        self.forecasts: dict[str, Forecast | TooFew] = {}
        self.extents: dict[str, Extent] = {}
        self.crowds: dict[str, CrowdState] = {}
        self.feeds: dict[str, FeedState] = {}
        self.proven: dict[str, float] = {}
        """When an upstream last answered whole, by its name."""
        self.waiting = 0
        """Decisions that are not in the database yet."""
        self.trouble = ""
        """Why, for people; empty when all is well."""
        self.version = 0
        """Grows with every change of what is shown; pages are made again when it does."""
        self._incidents: dict[str, Incident] = {}

    def stale(self, now: float) -> bool:
        """Whether what is shown is too old to be called current."""
        return now - self.at > STALE_S

    def looked(self, now: float) -> None:
        self.at = now

    def set_states(self, states: Iterable[ComponentState]) -> None:
        for state in states:
            self.states[state.component] = state
        self.version += 1

    def set_incidents(self, incidents: Iterable[Incident]) -> None:
        for incident in incidents:
            self._incidents[incident.id] = incident
        over = sorted(
            (one for one in self._incidents.values() if one.stage is Stage.RESOLVED),
            key=lambda one: one.resolved_at or one.opened_at,
        )
        for old in over[: max(0, len(over) - RECENT_MAX)]:
            del self._incidents[old.id]
            self.claims.pop(old.id, None)
            self.extents.pop(old.id, None)
        for incident in over:
            self.forecasts.pop(incident.id, None)
        self.version += 1

    def set_claims(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            kept = [one for one in self.claims.get(claim.incident, ()) if one.id != claim.id]
            self.claims[claim.incident] = (*kept, claim)
        self.version += 1

    def incident(self, incident_id: str) -> Incident | None:
        return self._incidents.get(incident_id)

    def open(self) -> list[Incident]:
        """Incidents that are not over, the newest first."""
        found = [one for one in self._incidents.values() if one.stage is not Stage.RESOLVED]
        return sorted(found, key=lambda one: -one.opened_at)

    def recent(self) -> list[Incident]:
        """Those that are over, the last to end first."""
        found = [one for one in self._incidents.values() if one.stage is Stage.RESOLVED]
        return sorted(found, key=lambda one: -(one.resolved_at or one.opened_at))

    def of_provider(self, provider: str) -> Mapping[str, ComponentState]:
        prefix = f"{provider}/"
        return {name: s for name, s in sorted(self.states.items()) if name.startswith(prefix)}
