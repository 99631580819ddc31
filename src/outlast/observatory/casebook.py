"""The casebook: incidents with their history, what we say of components, claims, audit.

`commit` writes one piece (case_changes.py) in one transaction. A dead database stops nothing:
pieces wait in bounded memory, the oldest are put together so that the newest state of everything
is kept, and `state` says how many wait. They do not outlive the process; what they came from, the
observations, does (history.py).

Of several replicas one watches. It takes the fence with its first write, and who had it before
can write no more, however long it slept (`Written.FENCED`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import structlog

from outlast.observatory import incident_tables as tables
from outlast.observatory.case_changes import Changes, check, merge
from outlast.store.database import DatabaseUnavailable
from outlast.store.drain import CLOSE_LIMIT_S, backoff_s, wait_for
from outlast.store.migrations import SchemaTooNew

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from outlast.nouns import ComponentState, Incident
    from outlast.observatory.case_changes import AuditEntry, Snapshot, StoredClaim
    from outlast.store.database import Database

log = structlog.get_logger(__name__)

PIECES_LIMIT = 64
"""Pieces that wait, of each sort; beyond it the two oldest become one."""
COMMIT_WAIT_S = 2.0
"""A commit that takes longer goes on in the background: who watches has to go on watching."""
CARE_S = 60.0
LIST_LIMIT = 1000


class Written(StrEnum):
    """What became of a commit."""

    STORED = "stored"
    WAITING = "waiting"
    """The database is dead or slow; it is tried again in the background."""
    FENCED = "fenced"
    """Another process watches now; nothing was written and nothing will be."""
    REFUSED = "refused"
    """The database refuses it for what it contains. The log says why."""


class CasebookState(msgspec.Struct, frozen=True):
    """For /readyz and the metrics."""

    waiting: int
    """Pieces that are not in the database yet."""
    lost: int
    """Incidents, states and notes given up because too much waited."""
    rejected: int
    """Pieces, or parts of them, that the database refused for what they contain."""
    leads: bool
    """False: another process has taken the watch over, or `resign` was called."""
    last_error: str
    """Why they wait, for a person; empty when all is well."""


class _Piece:
    """One commit under way."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.written = Written.WAITING


class Casebook:
    """Owned by one event loop. `close` it before the database."""

    def __init__(self, database: Database) -> None:
        """It leads until it is told otherwise, and takes the fence with its first commit."""
        self._database = database
        self._pieces: dict[bool, deque[_Piece]] = {True: deque(), False: deque()}
        """What waits, oldest first: fenced, and not."""
        self._token: int | None = None
        self._leads = True
        self._holds: Callable[[], bool] = _always
        self._term = 0
        self._flushing = asyncio.Lock()
        self._flushes: set[asyncio.Task[bool]] = set()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._error = ""
        self._lost = 0
        self._rejected = 0

    def lead(self, holds: Callable[[], bool] | None = None) -> None:
        """The watch is ours from now on: the next commit takes the fence from whoever has it.

        `holds` is asked in another thread, at that moment, whether it still is: the database may
        be dead until long after the lease has ended.
        """
        self._term += 1
        self._token = None
        self._leads = True
        self._holds = holds or _always

    def resign(self) -> None:
        """The watch is not ours any more: forget what waits of it and take no more."""
        self._leads = False
        for piece in self._pieces[True]:
            piece.written = Written.FENCED
        self._pieces[True].clear()

    async def commit(self, changes: Changes) -> Written:
        """Write a piece in one transaction. Returns within COMMIT_WAIT_S or so, whatever the
        database does; raises only ValueError, for a snapshot by a fence's name.
        """
        check(changes)
        if changes.fenced and not self._leads:
            return Written.FENCED
        piece = _Piece(changes)
        waiting = self._pieces[changes.fenced]
        waiting.append(piece)
        if len(waiting) > PIECES_LIMIT:
            oldest, second = waiting.popleft(), waiting.popleft()
            merged, lost = merge(oldest.changes, second.changes)
            self._lost += lost
            waiting.appendleft(_Piece(merged))
        self._wake.set()
        if not self._error:  # else `run` is at it, at a pace that a dying database can bear
            flush = asyncio.create_task(self.flush())
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)
            await asyncio.wait({flush}, timeout=COMMIT_WAIT_S)
        return piece.written

    async def flush(self) -> bool:
        """Write what waits now. False (and `state` says why) if the database cannot."""
        async with self._flushing:
            for waiting in self._pieces.values():
                while waiting:
                    piece = waiting[0]
                    try:
                        piece.written = await self._write(piece.changes)
                    except (DatabaseUnavailable, SchemaTooNew) as error:
                        self._note(str(error))
                        return False
                    if piece.written is Written.FENCED:
                        self.resign()
                    elif waiting and waiting[0] is piece:  # else it was put together with another
                        waiting.popleft()
            self._note("")
            return True

    async def run(self) -> None:
        """Try again while something waits, until `close`. Cancelling it is safe."""
        failures = 0
        while not self._closing.is_set():
            if failures:
                await wait_for(self._closing, backoff_s(failures))
            else:
                await wait_for(self._wake, CARE_S)
            self._wake.clear()
            failures = 0 if await self.flush() else failures + 1

    async def close(self) -> None:
        """Stop, after a last try that is given a few seconds. What still waits then is lost."""
        self._closing.set()
        self._wake.set()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self.flush()
        except TimeoutError:
            self._note("The database did not answer in time.")
        if waiting := self.state.waiting:
            log.warning("casebook_left_unwritten", pieces=waiting, reason=self._error)
        for flush in list(self._flushes):
            flush.cancel()
        await asyncio.gather(*self._flushes, return_exceptions=True)

    @property
    def state(self) -> CasebookState:
        return CasebookState(
            waiting=sum(map(len, self._pieces.values())),
            lost=self._lost,
            rejected=self._rejected,
            leads=self._leads,
            last_error=self._error,
        )

    async def open_incidents(self) -> list[Incident]:
        """Incidents without an end, oldest first. Every read raises DatabaseUnavailable, and does
        not see what waits."""
        return await self._database.read(tables.select_open)

    async def incident(self, ident: str) -> Incident | None:
        return await self._database.read(lambda c: tables.select_incident(c, ident))

    async def incidents(
        self, before_at: float = 1e11, limit: int = 50, provider: str | None = None
    ) -> list[Incident]:
        """Those opened before then, newest first."""
        limit = max(1, min(limit, LIST_LIMIT))
        return await self._database.read(
            lambda c: tables.select_incidents(c, before_at, limit, provider)
        )

    async def states(self) -> list[ComponentState]:
        """What was last said of each component, by name."""
        return await self._database.read(tables.select_states)

    async def claims(
        self, incident: str | None = None, limit: int = LIST_LIMIT
    ) -> list[StoredClaim]:
        """The newest claims about an incident (None: about all), oldest first."""
        limit = max(1, min(limit, LIST_LIMIT))
        return await self._database.read(lambda c: tables.select_claims(c, incident, limit))

    async def snapshot(self, name: str) -> Snapshot | None:
        return await self._database.read(lambda c: tables.select_snapshot(c, name))

    async def snapshots(self, prefix: str, limit: int = LIST_LIMIT) -> list[Snapshot]:
        """The newest of those whose names begin so, oldest first."""
        limit = max(1, min(limit, LIST_LIMIT))
        return await self._database.read(lambda c: tables.select_snapshots(c, prefix, limit))

    async def audit(self, limit: int = 100, before_at: float = 1e11) -> list[AuditEntry]:
        """What operators did before then, newest first."""
        limit = max(1, min(limit, LIST_LIMIT))
        return await self._database.read(lambda c: tables.select_audit(c, limit, before_at))

    async def _write(self, changes: Changes) -> Written:
        """Raises DatabaseUnavailable and SchemaTooNew alone: nothing else may be in the way."""
        term, token, holds = self._term, self._token, self._holds

        def transact(connection: Connection) -> int | None:
            passed = tables.pass_fence(connection, token, holds) if changes.fenced else None
            tables.write(connection, changes)
            return passed

        try:
            passed = await self._database.write(transact)
        except (DatabaseUnavailable, SchemaTooNew):
            raise
        except tables.Fenced as error:
            if term != self._term:  # the watch came back to us meanwhile: take the fence anew
                return await self._write(changes)
            log.warning("casebook_fenced", reason=str(error))
            return Written.FENCED
        except Exception as error:  # what it contains: it must not keep the others out
            self._rejected += 1
            log.exception("changes_refused", reason=repr(error), also=len(changes.also))
            if changes.also:
                # A delivery that cannot be written must not cost us the incident.
                return await self._write(msgspec.structs.replace(changes, also=()))
            return Written.REFUSED
        if passed is not None and term == self._term:
            self._token = passed
        return Written.STORED

    def _note(self, error: str) -> None:
        """Say once that pieces wait, and once that they do not any more."""
        if error and not self._error:
            log.warning("casebook_waits", reason=error, pieces=self.state.waiting)
        elif self._error and not error:
            log.info("casebook_caught_up")
        self._error = error


def _always() -> bool:
    return True
