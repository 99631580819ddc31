"""The ledger: what happened to every exchange, kept without ever delaying one.

`record` puts a receipt into the journal (one write to the page cache, see store/journal.py) and
returns. In the background the journal is drained into the database in batches; a receipt that is
stored twice is stored once. While the database is dead, locked or full, receipts wait.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog
from sqlalchemy.exc import DataError, IntegrityError

from outlast.clock import SystemClock
from outlast.gateway import ledger_tables as tables
from outlast.nouns import Receipt
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew
from outlast.store.segment import RECORD_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outlast.clock import Clock
    from outlast.store.database import Database
    from outlast.store.journal import Journal

T = TypeVar("T")

log = structlog.get_logger(__name__)

BATCH_RECORDS = 200
GATHER_S = 0.05
"""After the first receipt, wait for others: one transaction for all of them."""
CARE_S = 5.0
"""How often the journal is looked after when nothing happens."""
BACKOFF_FIRST_S = 0.25
BACKOFF_LAST_S = 15.0
CLOSE_LIMIT_S = 5.0
PRUNE_EVERY_S = 3600.0
PRUNE_RECORDS = 500
LIST_LIMIT = 1000
DAY_S = 86400.0


class LedgerState(msgspec.Struct, frozen=True):
    """For /readyz and the metrics."""

    pending: int
    """Receipts that are not in the database yet."""
    lag_s: float
    """Age of the oldest of them."""
    in_memory: int
    """Of them, those that would not outlive the process: disk and journal are full."""
    lost: int
    """Receipts given up because nothing had room for them."""
    rejected: int
    """Receipts that could not be encoded, read back, or stored for what they contain."""
    stored: int
    """Receipts stored by this process."""
    last_error: str
    """Why receipts wait, for a person; empty when all is well."""

    @property
    def healthy(self) -> bool:
        return not self.last_error and not self.in_memory


class Ledger:
    """Owned by one event loop. `close` it before the journal and the database."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        *,
        clock: Clock | None = None,
        retention_days: float = 30.0,
        recent_limit: int = 2000,
    ) -> None:
        """`retention_days`: receipts older than that are deleted; 0 keeps them for ever."""
        self._journal = journal
        self._database = database
        self._clock = clock or SystemClock()
        self._retention_s = retention_days * DAY_S
        self._recent_limit = recent_limit
        self._recent: dict[str, Receipt] = {}
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Receipt)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outlast-ledger")
        self._draining = asyncio.Lock()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._oldest_at: float | None = None
        self._error = ""
        self._rejected = 0
        self._stored = 0
        self._prune_due = 0.0
        self._ended = asyncio.Event()
        self._ended.set()
        self._closed = False

    def retain(self, days: float) -> None:
        """Change the retention, as when the settings are read again."""
        self._retention_s = days * DAY_S
        self._prune_due = 0.0

    def record(self, receipt: Receipt) -> None:
        """Keep a receipt. When this returns, kill -9 cannot take it. Never raises, never waits."""
        try:
            self._recall(receipt)
            self._journal.append(self._encode(receipt))
        except Exception as error:  # an answer must not fail because of its record
            self._reject("encoded", receipt.id, error)
            return
        if self._oldest_at is None:
            self._oldest_at = receipt.ended_at
        self._wake.set()

    async def find(self, receipt_id: str, key_id: str | None) -> Receipt | None:
        """The receipt if it exists and belongs to `key_id` (None: an operator, who sees all).

        Recent ones are found while the database is dead; for others, DatabaseUnavailable is
        raised then, because "not there" would be a guess.
        """
        recent = self._recent.get(receipt_id)
        if recent is not None:
            return recent if key_id in {None, recent.key_id} else None
        if not (0 < len(receipt_id) <= tables.NAME_LIMIT and receipt_id.isprintable()):
            return None
        looking = partial(tables.select_one, receipt_id=receipt_id, key_id=key_id)
        found = await self._database.read(looking)
        if found is None and self.state.pending and await self.flush():
            # It was still in the journal, as right after a restart.
            found = await self._database.read(looking)
        return found

    async def recent(self, key_id: str | None, limit: int = 50) -> list[Receipt]:
        """The last receipts of a key (None: of all), newest first.

        While the database is dead, those that this process remembers; `state` says so.
        """
        limit = max(1, min(limit, LIST_LIMIT))
        found = {one.id: one for one in self._recent.values() if key_id in {None, one.key_id}}
        try:
            stored = await self._database.read(
                partial(tables.select_recent, key_id=key_id, limit=limit)
            )
        except DatabaseUnavailable as error:
            self._note(str(error))
        else:
            found.update((one.id, one) for one in stored)
        return sorted(found.values(), key=lambda one: one.ended_at, reverse=True)[:limit]

    @property
    def state(self) -> LedgerState:
        journal = self._journal.state()
        oldest = self._oldest_at if journal.pending else None
        return LedgerState(
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
                backoff_s = BACKOFF_FIRST_S * 2 ** min(failures - 1, 10)
                await _wait(self._closing, min(backoff_s, BACKOFF_LAST_S))
            elif await _wait(self._wake, CARE_S):
                await _wait(self._closing, GATHER_S)
            self._wake.clear()
            good = await self.flush() and await self._prune_if_due()
            failures = 0 if good else failures + 1

    async def flush(self) -> bool:
        """Drain the journal into the database now. False (and `state` says why) if that fails."""
        async with self._draining:
            try:
                await self._in_thread(self._journal.maintain)
                while await self._drain_batch():
                    pass
            except (DatabaseUnavailable, SchemaTooNew, OSError) as error:
                self._note(str(error))
                return False
            self._note("")
            return True

    async def prune(self) -> int:
        """Delete what is older than the retention, in small transactions. Returns how many.

        Raises DatabaseUnavailable.
        """
        total = 0
        if self._retention_s <= 0:
            return total
        before = self._clock.wall() - self._retention_s
        while True:
            deleted = await self._database.write(
                partial(tables.delete_older, before=before, limit=PRUNE_RECORDS)
            )
            total += deleted
            if deleted < PRUNE_RECORDS or self._closing.is_set():
                return total

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
            log.warning("ledger_left_for_next_start", pending=self._journal.state().pending)
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown, wait=True)

    async def _drain_batch(self) -> bool:
        """Store the oldest waiting receipts; False when none wait. Raises what the parts raise."""
        batch = await self._in_thread(partial(self._journal.read, BATCH_RECORDS))
        if not batch.records:
            return False
        receipts = [one for one in map(self._decode, batch.records) if one is not None]
        if receipts:
            self._oldest_at = receipts[0].ended_at
            # After a restart with a dead database, these are what can still be shown.
            for receipt in receipts:
                self._recall(receipt)
            await self._store(receipts)
        await self._in_thread(partial(self._journal.commit, batch))
        return True

    async def _store(self, receipts: Sequence[Receipt]) -> None:
        try:
            await self._database.write(partial(tables.insert, receipts=receipts))
            self._stored += len(receipts)
        except (IntegrityError, DataError) as error:
            if len(receipts) == 1:
                self._reject("stored", receipts[0].id, error)
                return
            # One of them is odd: it must not keep the others out.
            for receipt in receipts:
                await self._store([receipt])

    async def _prune_if_due(self) -> bool:
        now = self._clock.monotonic()
        if now < self._prune_due:
            return True
        try:
            await self.prune()
        except DatabaseUnavailable as error:
            self._note(str(error))
            return False
        self._prune_due = now + PRUNE_EVERY_S
        return True

    async def _in_thread(self, fn: Callable[[], T]) -> T:
        if self._closed:
            raise DatabaseUnavailable("The ledger is closed; what waits is in the journal.")
        return await asyncio.get_running_loop().run_in_executor(self._thread, fn)

    def _encode(self, receipt: Receipt) -> bytes:
        try:
            record = self._encoder.encode(receipt)
        except (ValueError, OverflowError):  # lone surrogates, numbers beyond 64 bits
            return self._encoder.encode(tables.cleaned(receipt))
        if len(record) > RECORD_LIMIT_BYTES:
            return self._encoder.encode(tables.cleaned(receipt))
        return record

    def _decode(self, record: bytes) -> Receipt | None:
        try:
            return self._decoder.decode(record)
        except msgspec.DecodeError as error:
            self._reject("read back", "unknown", error)
            return None

    def _recall(self, receipt: Receipt) -> None:
        self._recent.pop(receipt.id, None)
        self._recent[receipt.id] = receipt
        if len(self._recent) > self._recent_limit:
            del self._recent[next(iter(self._recent))]

    def _reject(self, what: str, receipt_id: str, error: Exception) -> None:
        self._rejected += 1
        log.error("receipt_rejected", could_not_be=what, receipt=receipt_id, reason=repr(error))

    def _note(self, error: str) -> None:
        """Say once that receipts wait, and once that they do not any more."""
        if error and not self._error:
            log.warning("ledger_waits", reason=error, pending=self._journal.state().pending)
        elif self._error and not error:
            log.info("ledger_caught_up", stored=self._stored)
        self._error = error


async def _wait(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether the event came within that time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
