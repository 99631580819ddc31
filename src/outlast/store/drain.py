"""From a journal into the database, in the background: what the ledger and the stream share.

Who keeps something encodes it, gives it to `keep` (one write to the page cache, see journal.py)
and goes on. Here it is read back in batches and stored, each batch in one transaction; what is
stored twice must be stored once, which is the business of `store`. While the database is dead,
locked or full, everything waits in the journal, and `state` says so.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec
import structlog
from sqlalchemy.exc import DataError, IntegrityError

from outlast.clock import SystemClock
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.engine import Connection

    from outlast.clock import Clock
    from outlast.store.database import Database
    from outlast.store.journal import Batch, Journal

R = TypeVar("R")
T = TypeVar("T")

log = structlog.get_logger(__name__)

BATCH_RECORDS = 200
BUSY_PER_S = 500
"""While more than this comes in, most of it waits in the journal: the database's work takes the
processor, and the interpreter, from answers. One batch for each pause is stored all the same."""
BUSY_PAUSE_S = 0.5
BACKLOG_LIMIT = 400_000
"""More than this does not wait, however busy we are: at 600 bytes each a quarter of the journal.
Larger ones wait until half of the journal is full."""
GATHER_S = 0.05
"""After the first record, wait for others: one transaction for all of them."""
CARE_S = 5.0
"""How often the journal is looked after when nothing happens."""
BACKOFF_FIRST_S = 0.25
BACKOFF_LAST_S = 15.0
CLOSE_LIMIT_S = 5.0
PRUNE_EVERY_S = 3600.0

ODD = (IntegrityError, DataError, ValueError, OverflowError)
"""What a record's content, and not the database's state, is to blame for: a key twice, a text
that is no UTF-8, a number beyond 64 bits."""


class DrainState(msgspec.Struct, frozen=True):
    """For /readyz and the metrics."""

    pending: int
    """Records that are not in the database yet."""
    lag_s: float
    """Age of the oldest of them."""
    in_memory: int
    """Of them, those that would not outlive the process: disk and journal are full."""
    lost: int
    """Records given up because nothing had room for them."""
    rejected: int
    """Records that could not be encoded, read back, or stored for what they contain."""
    stored: int
    """Records brought to the database by this process."""
    last_error: str
    """Why records wait, for a person; empty when all is well."""

    @property
    def healthy(self) -> bool:
        return not self.last_error and not self.in_memory

    def describe(self) -> dict[str, int | str]:
        """For /readyz: what waits, how safely, what was lost, and why."""
        return {
            "waiting": self.pending,
            "in_memory": self.in_memory,
            "lost": self.lost,
            "rejected": self.rejected,
            "error": self.last_error,
        }


class Work(NamedTuple, Generic[T]):
    """What a Drain has to know about its records."""

    name: str
    """Whose they are, in the log: `ledger`."""
    noun: str
    """What one of them is, in the log: `receipt`."""
    decode: Callable[[bytes], T]
    """Raises msgspec.DecodeError. Called in a thread."""
    store: Callable[[Connection, Sequence[T]], None]
    """Stores a batch; again is harmless. Called in the database's thread, in one transaction."""
    ident: Callable[[T], str]
    at: Callable[[T], float]
    """When it happened, seconds since the epoch."""
    prune: Callable[[], Awaitable[object]]
    """Deletes what is too old; raises DatabaseUnavailable, SchemaTooNew. Called once an hour."""
    seen: Callable[[Sequence[T]], None] = lambda _: None
    """Told of a batch before it is stored, on the event loop."""
    batch_records: int = BATCH_RECORDS
    gather_s: float = GATHER_S
    writers: int = 1
    """Processes that write to the database together as often as one would."""


class Drain(Generic[T]):
    """Owned by one event loop. `close` it before the journal and the database."""

    def __init__(
        self, journal: Journal, database: Database, work: Work[T], *, clock: Clock | None = None
    ) -> None:
        self._journal = journal
        self._database = database
        self._work = work
        self._clock = clock or SystemClock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"outlast-{work.name}")
        self._draining = asyncio.Lock()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._oldest_at: float | None = None
        self._kept = 0
        self._looked = (0, 0.0)
        self._busy = False
        self._error = ""
        self._rejected = 0
        self._lost_told = 0
        self._stored = 0
        self._prune_due = 0.0
        self._ended = asyncio.Event()
        self._ended.set()
        self._closed = False

    def keep(self, record: bytes, at: float) -> bool:
        """Put a record into the journal, without waiting; `at`: when it happened.

        True: kill -9 cannot take it any more. False: disk and journal are full, it waits in
        memory. Raises ValueError for a record that is empty or too long.
        """
        position = self._journal.append(record)
        self._kept += 1
        if self._oldest_at is None:
            self._oldest_at = at
        self._wake.set()
        return position.durable

    def keep_all(self, records: list[bytes], at: float) -> bool:
        """As `keep` of each, of records that end at about the same time."""
        durable = self._journal.append_all(records)
        self._kept += len(records)
        if self._oldest_at is None:
            self._oldest_at = at
        self._wake.set()
        return durable

    def reject(self, what: str, ident: str, error: Exception) -> None:
        """Count and log a record that could not be `what`: encoded, read back, stored."""
        self._rejected += 1
        event = f"{self._work.noun}_rejected"
        log.error(event, could_not_be=what, ident=ident, reason=repr(error))

    def note(self, error: str) -> None:
        """Say once that records wait, and once (`error` empty) that they do not any more."""
        name = self._work.name
        if error and not self._error:
            log.warning(f"{name}_waits", reason=error, pending=self._journal.state().pending)
        elif self._error and not error:
            log.info(f"{name}_caught_up", stored=self._stored)
        self._error = error

    @property
    def state(self) -> DrainState:
        journal = self._journal.state()
        oldest = self._oldest_at if journal.pending else None
        return DrainState(
            pending=journal.pending,
            lag_s=max(0.0, self._clock.wall() - oldest) if oldest is not None else 0.0,
            in_memory=journal.in_memory,
            lost=journal.lost,
            rejected=self._rejected,
            stored=self._stored,
            last_error=self._error or journal.last_error,
        )

    async def run(self) -> None:
        """Drain, look after the journal and prune, until `close`. Cancelling it is safe."""
        self._ended.clear()
        try:
            await self._run()
        finally:
            self._ended.set()

    async def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            if failures:
                await wait_for(self._closing, backoff_s(failures))
            elif self._busy:
                await wait_for(self._closing, BUSY_PAUSE_S * self._work.writers)
            elif await wait_for(self._wake, CARE_S):
                await wait_for(self._closing, self._work.gather_s * self._work.writers)
            self._wake.clear()
            self._look()
            try:
                good = await self._drain(to_the_end=False) and await self._prune_if_due()
            except Exception as error:  # a mistake of ours must not end the draining for ever
                log.exception(f"{self._work.name}_failed", reason=repr(error))
                self.note(f"An error of Outlast's own is in the way: {error!r}.")
                good = False
            self._tell_losses()
            failures = 0 if good else failures + 1

    def _look(self) -> None:
        """Find out whether more comes in than is worth storing at once."""
        now, (kept, at) = self._clock.monotonic(), self._looked
        self._looked = (self._kept, now)
        much_per_s = BUSY_PER_S / self._work.writers
        many = self._kept - kept > much_per_s * max(now - at, self._work.gather_s)
        self._busy = many and self._has_room()

    def _tell_losses(self) -> None:
        """Say how many the journal has given up since this was said last."""
        lost = self._journal.state().lost
        if lost > self._lost_told:
            log.error(f"{self._work.noun}s_lost", lost=lost - self._lost_told, in_all=lost)
            self._lost_told = lost

    def _has_room(self) -> bool:
        """Whether the journal can let records wait that the database would take. A journal that
        cannot grow cannot: what waits is what keeps the next ones out."""
        journal = self._journal.state()
        half_empty = 2 * journal.segments < journal.segments_limit
        return journal.pending < BACKLOG_LIMIT and half_empty and not journal.last_error

    async def flush(self) -> bool:
        """Bring what waits at this moment into the database. False (and `state` says why) if that
        fails.
        """
        return await self._drain(to_the_end=True)

    async def delete(self, step: Callable[[Connection], int], step_rows: int) -> int:
        """Repeat a deletion of up to `step_rows` rows, each in its own short transaction, until
        nothing is left to delete. Returns how many went. Raises DatabaseUnavailable.
        """
        total = 0
        while True:
            deleted = await self._database.write(step)
            total += deleted
            if deleted < step_rows or self._closing.is_set():
                return total

    def prune_soon(self) -> None:
        self._prune_due = 0.0

    async def close(self) -> None:
        """Stop, after a last try at draining that is given a few seconds. What is left stays in
        the journal for the next start.
        """
        self._closing.set()
        self._wake.set()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._ended.wait()
                await self.flush()
        except TimeoutError:
            pending = self._journal.state().pending
            log.warning(f"{self._work.name}_left_for_next_start", pending=pending)
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown, wait=True)

    async def _drain(self, *, to_the_end: bool) -> bool:
        """Store what waits. Not `to_the_end`: stop at a batch that is not full, because those
        who come meanwhile are better gathered than stored one by one. `to_the_end`: of what waits
        now; while much comes in, there is no end of what comes meanwhile.
        """
        async with self._draining:
            try:
                await self._in_thread(self._journal.maintain)
                left = self._journal.state().pending
                while records := await self._drain_batch():
                    left -= records
                    few = records < self._work.batch_records
                    if (left <= 0) if to_the_end else (few or self._busy):
                        break
                    self._look()
            except (DatabaseUnavailable, SchemaTooNew, OSError) as error:
                self.note(str(error))
                return False
            self.note("")
            return True

    async def _drain_batch(self) -> int:
        """Store the oldest waiting records and return how many. Raises what the parts raise."""
        batch, items, odd = await self._in_thread(self._read)
        for error in odd:
            self.reject("read back", "unknown", error)
        if items:
            self._oldest_at = self._work.at(items[0])
            self._work.seen(items)
            await self._store(items)
        if batch.records:
            await self._in_thread(partial(self._journal.commit, batch))
        if not self._journal.state().pending:
            self._oldest_at = None
        elif items:  # the next one is not older than this, or not by much
            self._oldest_at = self._work.at(items[-1])
        return len(batch.records)

    def _read(self) -> tuple[Batch, list[T], list[msgspec.DecodeError]]:
        """In our thread: a batch, what of it can be read, and what is wrong with the rest."""
        batch = self._journal.read(self._work.batch_records)
        items: list[T] = []
        odd: list[msgspec.DecodeError] = []
        for record in batch.records:
            try:
                items.append(self._work.decode(record))
            except msgspec.DecodeError as error:
                odd.append(error)
        return batch, items, odd

    async def _store(self, items: Sequence[T]) -> None:
        try:
            await self._database.write(lambda connection: self._work.store(connection, items))
            self._stored += len(items)
        except ODD as error:
            if len(items) == 1:
                self.reject("stored", self._work.ident(items[0]), error)
                return
            # One of them is odd: it must not keep the others out.
            for item in items:
                await self._store([item])

    async def _prune_if_due(self) -> bool:
        now = self._clock.monotonic()
        if now < self._prune_due:
            return True
        try:
            await self._work.prune()
        except (DatabaseUnavailable, SchemaTooNew) as error:
            self.note(str(error))
            return False
        self._prune_due = now + PRUNE_EVERY_S
        return True

    async def _in_thread(self, fn: Callable[[], R]) -> R:
        if self._closed:
            raise DatabaseUnavailable(f"The {self._work.name} is closed; what waits is kept.")
        return await asyncio.get_running_loop().run_in_executor(self._thread, fn)


class Drained:
    """What has a drain, as the service sees it: a state, and a life of its own in the background.

    `close` it before its journal and its database.
    """

    _drain: Drain[Any]

    @property
    def state(self) -> DrainState:
        """For /readyz and the metrics."""
        return self._drain.state

    async def run(self) -> None:
        """Drain, look after the journal and prune, until `close`. Cancelling it is safe."""
        await self._drain.run()

    async def flush(self) -> bool:
        """Bring what waits at this moment into the database. False (and `state` says why) if that
        fails."""
        return await self._drain.flush()

    async def close(self) -> None:
        """Stop, after a last try at draining; what is left stays in the journal."""
        await self._drain.close()


def backoff_s(failures: int) -> float:
    """How long to wait after so many failures in a row, 1 or more."""
    return min(BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 10), BACKOFF_LAST_S)


async def wait_for(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether the event came within that time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
