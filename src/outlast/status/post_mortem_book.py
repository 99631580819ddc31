"""The post-mortems that there are, and writing one: in memory, and in the casebook. Thin.

What is read is kept while the database is dead. A version that waits for the database is shown and
says so to its author; it does not outlive the service.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import structlog

from outlast.clock import Clock
from outlast.nouns import Incident
from outlast.observatory.case_changes import AuditEntry, Changes, Snapshot
from outlast.observatory.casebook import Written
from outlast.status import post_mortems
from outlast.status.asking import Problem
from outlast.status.post_mortems import NewPostMortem, PostMortem
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

REFRESH_S = 30.0
VERSIONS_MAX = 300
"""The newest versions of all incidents, which are kept in memory."""


class Cases(Protocol):
    """The casebook. Reads raise DatabaseUnavailable and SchemaTooNew."""

    async def snapshots(self, prefix: str, limit: int = VERSIONS_MAX) -> list[Snapshot]: ...
    async def incident(self, ident: str) -> Incident | None: ...
    async def commit(self, changes: Changes) -> Written: ...


class PostMortems:
    """Owned by one event loop. `run` it, so that what other replicas write is seen."""

    def __init__(self, cases: Cases, clock: Clock, find: Callable[[str], Incident | None]) -> None:
        """`find`: an incident on the board."""
        self._cases = cases
        self._clock = clock
        self._find = find
        self._kept: dict[str, tuple[PostMortem, ...]] = {}
        self._waiting: dict[str, PostMortem] = {}
        """Versions that the database may not have yet."""
        self._writing = asyncio.Lock()
        self.version = 0
        """Grows with every change."""

    def all(self) -> Mapping[str, tuple[PostMortem, ...]]:
        """The versions by incident, the newest last."""
        return self._kept

    def of(self, incident_id: str) -> tuple[PostMortem, ...]:
        return self._kept.get(incident_id, ())

    async def incident(self, incident_id: str) -> Incident | None:
        """An incident, however old. Raises DatabaseUnavailable and SchemaTooNew where the board
        does not have it."""
        return self._find(incident_id) or await self._cases.incident(incident_id)

    async def run(self) -> None:
        """Keep up with the database until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S)

    async def refresh(self) -> None:
        """While the database is dead, what is known stays."""
        async with self._writing:
            await self._read()

    def draft(
        self,
        incident: Incident,
        asked: NewPostMortem,
        by: str,
    ) -> PostMortem:
        """Return what `write` would write now, and write nothing. Raises BadAction."""
        version_id = f"pm_{secrets.token_hex(8)}"
        now = self._clock.wall()
        return post_mortems.write(incident, asked, self.of(incident.id), version_id, by, now)

    async def write(
        self, incident: Incident, asked: NewPostMortem, by: str
    ) -> tuple[PostMortem, bool]:
        """Return the version, and whether it is stored yet. Raises BadAction and Problem."""
        async with self._writing:
            await self._read()
            made = self.draft(incident, asked, by)
            entry = AuditEntry(
                id=f"aud_{secrets.token_hex(12)}",
                at=made.at,
                who=made.by,
                what="post_mortem.corrected" if made.note else "post_mortem.written",
                body=msgspec.json.encode({"about": incident.id, "said": made}),
            )
            changes = Changes(snapshots=(post_mortems.stored(made),), audit=(entry,), fenced=False)
            written = await self._cases.commit(changes)
            if written is Written.REFUSED:
                raise Problem(
                    500,
                    "The database refuses this. Nothing is changed; the log says why.",
                    "La base de données le refuse. Rien n'est changé\u00a0; le journal dit "
                    "pourquoi.",
                )
            if written is not Written.STORED:
                self._waiting[made.id] = made
            self._take([*self.of(incident.id), made])
            return made, written is Written.STORED

    async def _read(self) -> None:
        try:
            found = await self._cases.snapshots(post_mortems.PREFIX, VERSIONS_MAX)
        except (DatabaseUnavailable, SchemaTooNew) as error:
            log.info("post_mortems_stay_as_known", reason=str(error))
            return
        versions, odd = post_mortems.read(found)
        for name in odd:
            log.warning("post_mortem_not_read", name=name[:100])
        for one in versions:
            self._waiting.pop(one.id, None)
        kept = post_mortems.by_incident([*versions, *self._waiting.values()])
        if kept != self._kept:
            self._kept = kept
            self.version += 1

    def _take(self, versions: list[PostMortem]) -> None:
        self._kept = self._kept | post_mortems.by_incident(versions)
        self.version += 1
