"""Operators' windows and drafts over HTTP. Thin.

    GET  /api/maintenance                        every window that is kept, with its notes
    POST /api/maintenance                        operators: announce one
    POST /api/maintenance/{window_id}            operators: note, move, begin, complete, cancel
    GET  /api/incidents/{incident_id}/draft      operators: words to start from

The windows are one snapshot in the casebook; each change is stored with its audit entry in one
transaction. What waits for a dead database is not undone by what is stored before it: a snapshot is
taken over only if it is newer than what we have. Two operators who change windows, the same or not,
at two replicas within the same moment: the later one stands, and the audit has both.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from outlast.clock import Clock
from outlast.nouns import Incident
from outlast.observatory.case_changes import AuditEntry, Changes, Snapshot
from outlast.observatory.casebook import Written
from outlast.observatory.operators import OperatorToken
from outlast.observatory.words import LANGS
from outlast.status import maintenance
from outlast.status.drafting import draft, post_mortem
from outlast.status.maintenance import BadMaintenance, Maintenance, NewWindow, WindowChange
from outlast.status.stamps import clean
from outlast.status.view import Window
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

BODY_LIMIT_BYTES = 32 * 1024
REFRESH_S = 30.0
T = TypeVar("T")


class Cases(Protocol):
    """The casebook."""

    async def snapshot(self, name: str) -> Snapshot | None: ...
    async def commit(self, changes: Changes) -> Written: ...


class _Problem(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class MaintenanceApi:
    """Owned by one event loop. `run` it, so that what other replicas announce is seen."""

    def __init__(
        self,
        cases: Cases,
        clock: Clock,
        operator: OperatorToken,
        known: Callable[[], Collection[str]],
        find: Callable[[str], Incident | None],
    ) -> None:
        """`known`: the components that there are; `find`: an incident on the board."""
        self._cases = cases
        self._clock = clock
        self._operator = operator
        self._known = known
        self._find = find
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
            Route("/api/incidents/{incident_id}/draft", self._safe(self.draft), methods=["GET"]),
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

    async def list(self, _: Request) -> Response:
        return _json({"at": self._clock.wall(), "windows": self._kept})

    async def announce(self, request: Request) -> Response:
        by = self._who(request)
        asked = await _asked(request, NewWindow)
        async with self._changing:
            await self._read()
            window_id = f"win_{secrets.token_hex(8)}"
            now = self._clock.wall()
            made = maintenance.announce(asked, window_id, by, now, self._known())
            return await self._put(made, by, "announced", 201)

    async def change(self, request: Request) -> Response:
        by = self._who(request)
        asked = await _asked(request, WindowChange)
        wanted = request.path_params["window_id"]
        async with self._changing:
            await self._read()
            found = next((one for one in self._kept if one.id == wanted), None)
            if found is None:
                raise _Problem(404, "There is no such window. GET /api/maintenance lists them.")
            made = maintenance.change(found, asked, by, self._clock.wall())
            return await self._put(made, by, asked.kind, 200)

    async def draft(self, request: Request) -> Response:
        self._who(request)
        found = self._find(request.path_params["incident_id"])
        if found is None:
            raise _Problem(
                404, "There is no such incident on the board: drafts are for fresh ones."
            )
        return _json(
            {
                "update": {lang: draft(found, lang) for lang in LANGS},
                "post_mortem": {lang: post_mortem(found, lang) for lang in LANGS},
            }
        )

    async def _put(self, made: Maintenance, by: str, what: str, status: int) -> Response:
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
            raise _Problem(500, "The database refuses this. Nothing is changed; the log says why.")
        self._kept, self._kept_at = kept, at
        self.version += 1
        return _json({"window": made, "stored": written is Written.STORED}, status)

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

    def _who(self, request: Request) -> str:
        """The operator's name. Default deny: without the token nobody is one."""
        if not self._operator.admits(request.headers.get("authorization", "")):
            raise _Problem(
                401, "This is for operators: send their token as `authorization: Bearer …`."
            )
        return clean(request.headers.get("outlast-operator", ""), 80) or "operator"

    def _safe(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answered(request: Request) -> Response:
            try:
                response: Response = await handler(request)
            except _Problem as problem:
                headers = {"www-authenticate": "Bearer"} if problem.status == 401 else {}
                return _json({"error": {"message": str(problem)}}, problem.status, headers)
            except BadMaintenance as problem:
                error = {"message": str(problem), "problems": problem.problems}
                return _json({"error": error}, 400)
            return response

        return answered


async def _asked(request: Request, kind: type[T]) -> T:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_LIMIT_BYTES:
                raise _Problem(413, f"The body is longer than {BODY_LIMIT_BYTES} bytes.")
    except ClientDisconnect as error:
        raise _Problem(400, "The body ended too early.") from error
    try:
        return msgspec.json.decode(bytes(body), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _Problem(400, f"The body cannot be read: {str(error)[:300]}") from error


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    more = {"access-control-allow-origin": "*", "cache-control": "no-cache"} | (headers or {})
    return Response(msgspec.json.encode(value), status, headers=more, media_type="application/json")
