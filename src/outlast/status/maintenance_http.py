"""Operators' windows over HTTP. Thin.

    GET  /api/maintenance                        every window that is kept, with its notes
    POST /api/maintenance                        operators: announce one
    POST /api/maintenance/{window_id}            operators: note, move, begin, complete, cancel

The windows are one snapshot in the casebook; each change is stored with its audit entry in one
transaction. What waits for a dead database is not undone by what is stored before it: a snapshot is
taken over only if it is newer than what we have. Two operators who change windows, the same or not,
at two replicas within the same moment: the later one stands, and the audit has both.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import Any, Protocol

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outlast.clock import Clock
from outlast.observatory.case_changes import AuditEntry, Changes, Snapshot
from outlast.observatory.casebook import Written
from outlast.observatory.operator_gate import Gate
from outlast.status import maintenance
from outlast.status.asking import Problem, answer, asked, refusal, who
from outlast.status.maintenance import BadMaintenance, Maintenance, NewWindow, WindowChange
from outlast.status.view import Window
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

BODY_LIMIT_BYTES = 32 * 1024
REFRESH_S = 30.0


class Cases(Protocol):
    """The casebook."""

    async def snapshot(self, name: str) -> Snapshot | None: ...
    async def commit(self, changes: Changes) -> Written: ...


class MaintenanceApi:
    """Owned by one event loop. `run` it, so that what other replicas announce is seen."""

    def __init__(
        self,
        cases: Cases,
        clock: Clock,
        gate: Gate,
        known: Callable[[], Collection[str]],
    ) -> None:
        """`known`: the components that there are."""
        self._cases = cases
        self._clock = clock
        self._gate = gate
        self._known = known
        self._kept: tuple[Maintenance, ...] = ()
        self._kept_at = 0.0
        """The time of the snapshot that they are, stored or waiting."""
        self._changing = asyncio.Lock()
        self.version = 0
        """Grows with every change."""

    def routes(self) -> list[Route]:
        root = "/api/maintenance"
        return [
            Route(root, self._safe(self.list), methods=["GET"]),
            Route(root, self._safe(self.announce), methods=["POST"]),
            Route(f"{root}/{{window_id}}", self._safe(self.change), methods=["POST"]),
        ]

    def windows(self, now: float) -> tuple[Window, ...]:
        """What the page shows; for the Source."""
        return maintenance.windows(self._kept, now)

    async def run(self) -> None:
        """Keep up with the database until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S)

    async def refresh(self) -> None:
        """While the database is dead, what is known stays."""
        async with self._changing:
            await self._read()

    def kept(self) -> tuple[Maintenance, ...]:
        """Every window with its notes, by its start."""
        return self._kept

    def find(self, window_id: str) -> Maintenance:
        """Raises Problem."""
        found = next((one for one in self._kept if one.id == window_id), None)
        if found is None:
            raise Problem(
                404,
                "There is no such window. GET /api/maintenance lists them.",
                "Cette maintenance n'existe pas. GET /api/maintenance les liste.",
            )
        return found

    def would_announce(self, wanted: NewWindow, by: str) -> Maintenance:
        """What `put_new` would announce now, and announce nothing. Raises BadMaintenance."""
        window_id = f"win_{secrets.token_hex(8)}"
        return maintenance.announce(wanted, window_id, by, self._clock.wall(), self._known())

    def would_change(self, window_id: str, wanted: WindowChange, by: str) -> Maintenance:
        """What `put_change` would make of it now. Raises BadMaintenance and Problem."""
        return maintenance.change(self.find(window_id), wanted, by, self._clock.wall())

    async def put_new(self, wanted: NewWindow, by: str) -> tuple[Maintenance, bool]:
        """Announce one; whether it is stored yet. Raises BadMaintenance and Problem."""
        async with self._changing:
            await self._read()
            return await self._put(self.would_announce(wanted, by), by, "announced")

    async def put_change(
        self, window_id: str, wanted: WindowChange, by: str
    ) -> tuple[Maintenance, bool]:
        """Change one; whether it is stored yet. Raises BadMaintenance and Problem."""
        async with self._changing:
            await self._read()
            return await self._put(self.would_change(window_id, wanted, by), by, wanted.kind)

    async def list(self, _: Request) -> Response:
        return answer({"at": self._clock.wall(), "windows": self._kept})

    async def announce(self, request: Request) -> Response:
        by = await who(request, self._gate)
        wanted = await asked(request, NewWindow, BODY_LIMIT_BYTES)
        made, stored = await self.put_new(wanted, by)
        return answer({"window": made, "stored": stored}, 201)

    async def change(self, request: Request) -> Response:
        by = await who(request, self._gate)
        wanted = await asked(request, WindowChange, BODY_LIMIT_BYTES)
        made, stored = await self.put_change(request.path_params["window_id"], wanted, by)
        return answer({"window": made, "stored": stored})

    async def _put(self, made: Maintenance, by: str, what: str) -> tuple[Maintenance, bool]:
        now = self._clock.wall()
        kept = maintenance.put(self._kept, made, now)
        # Another replica's clock may be ahead: what is written last must be the newest.
        at = max(now, self._kept_at + 0.001)
        entry = AuditEntry(
            id=f"aud_{secrets.token_hex(12)}",
            at=now,
            who=by,
            what=f"maintenance {what}",
            body=msgspec.json.encode({"window": made.id, "note": made.notes[-1]}),
        )
        snapshot = Snapshot(maintenance.NAME, at, maintenance.written(kept))
        changes = Changes(snapshots=(snapshot,), audit=(entry,), fenced=False)
        written = await self._cases.commit(changes)
        if written is Written.REFUSED:
            raise Problem(
                500,
                "The database refuses this. Nothing is changed; the log says why.",
                "La base de données le refuse. Rien n'est changé\u00a0; le journal dit pourquoi.",
            )
        self._kept, self._kept_at = kept, at
        self.version += 1
        return made, written is Written.STORED

    async def _read(self) -> None:
        try:
            found = await self._cases.snapshot(maintenance.NAME)
        except (DatabaseUnavailable, SchemaTooNew) as error:
            log.info("maintenance_keeps_what_it_knows", reason=str(error))
            return
        if found is None or found.at <= self._kept_at:
            return
        try:
            kept = maintenance.read(found.body)
        except msgspec.MsgspecError as error:
            log.warning("maintenance_not_read", reason=str(error)[:200])
            return
        self._kept_at = found.at
        if kept != self._kept:
            self._kept = kept
            self.version += 1

    def _safe(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answered(request: Request) -> Response:
            try:
                response: Response = await handler(request)
            except Problem as problem:
                return refusal(problem)
            except BadMaintenance as problem:
                error = {"message": str(problem), "problems": problem.problems}
                return answer({"error": error}, 400)
            return response

        return answered
