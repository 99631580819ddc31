"""What a watch takes up from the database: at a start, at a take-over, and while it follows."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from outlast.nouns import ComponentState, Incident, Notice, Observation
from outlast.observatory.casebook import Casebook
from outlast.observatory.claims import Claim
from outlast.observatory.history import History
from outlast.observatory.http import read_claim
from outlast.observatory.vendors import PageMemory
from outlast.observatory.watch import Snapshot
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

WARM_S = 1800.0
"""How much of the past is heard again after a start."""
WARM_MAX = 50_000
KEPT_S = 2 * 86_400.0
NOTICES_S = 14 * 86_400.0
LEARNT, PAGES, HEARTBEAT = "watch", "watch/pages", "watch/heartbeat"
"""Names of snapshots."""
GONE = (DatabaseUnavailable, SchemaTooNew, msgspec.MsgspecError)
"""The database cannot be asked, or holds what this version cannot read."""


class Heartbeat(msgspec.Struct, frozen=True):
    holder: str
    at: float


class Shown(msgspec.Struct, frozen=True):
    """What readers see."""

    states: list[ComponentState]
    incidents: list[Incident]
    claims: list[Claim]

    def lately(self, now: float) -> list[Incident]:
        """The incidents that may still change: open ones, and those that ended lately."""
        return [one for one in self.incidents if (one.resolved_at or now) >= now - KEPT_S]


class Past(msgspec.Struct, frozen=True):
    """All that a watch goes on from."""

    shown: Shown
    notices: list[Notice]
    learnt: Snapshot | None
    pages: dict[str, PageMemory]
    recent: list[Observation]


async def shown(casebook: Casebook) -> Shown:
    """Raises one of GONE, as everything here does."""
    states = await casebook.states()
    incidents = {one.id: one for one in await casebook.incidents(limit=50)}
    incidents |= {one.id: one for one in await casebook.open_incidents()}
    claims = [read_claim(one) for one in await casebook.claims()]
    return Shown(states, list(incidents.values()), [one for one in claims if one is not None])


async def past(casebook: Casebook, history: History, now: float) -> Past:
    return Past(
        await shown(casebook),
        await history.notices(since_at=now - NOTICES_S),
        await recalled(casebook, LEARNT, Snapshot),
        await recalled(casebook, PAGES, dict[str, PageMemory]) or {},
        # What claims to come from the future is no past: it would stand until then.
        await history.recent(now - WARM_S, now, limit=WARM_MAX),
    )


async def recalled(casebook: Casebook, name: str, kind: Any) -> Any:
    """A snapshot; None where there is none, or none that can be read."""
    kept = await casebook.snapshot(name)
    if kept is None:
        return None
    try:
        return msgspec.json.decode(kept.body, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        log.warning("snapshot_not_read", name=name, reason=str(error)[:200])
        return None
