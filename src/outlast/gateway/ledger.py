"""The ledger: what happened to every exchange, kept without ever delaying one.

`record` puts a receipt into the journal (one write to the page cache, see store/journal.py) and
returns. In the background the journal is drained into the database in batches (store/drain.py); a
receipt that is stored twice is stored once. While the database is dead, locked or full, receipts
wait.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from outlast.clock import SystemClock
from outlast.gateway import ledger_tables as tables
from outlast.nouns import Kept, Receipt
from outlast.store.database import DatabaseUnavailable
from outlast.store.drain import Drain, Drained, Work
from outlast.store.migrations import SchemaTooNew
from outlast.store.segment import RECORD_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.clock import Clock
    from outlast.store.database import Database
    from outlast.store.journal import Journal

PRUNE_RECORDS = 500
LIST_LIMIT = 1000
LOOK_LIMIT = 2000
"""Receipts that are stored at once because somebody asks for one that may be among them. More
would make the asker wait for seconds, and answers for the asker."""
DAY_S = 86400.0


class ReceiptsWait(DatabaseUnavailable):
    """The database answers, but so much is not in it yet that its answer says little."""


class Ledger(Drained):
    """Owned by one event loop. `close` it before the journal and the database."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        *,
        clock: Clock | None = None,
        retention_days: float = 30.0,
        recent_limit: int = 2000,
        writers: int = 1,
    ) -> None:
        """`retention_days`: receipts older than that are deleted; 0 keeps them for ever. `writers`:
        processes that have a ledger each, in one database.
        """
        self._database = database
        self._clock = clock or SystemClock()
        self._retention_s = retention_days * DAY_S
        self._recent_limit = recent_limit
        self._recent: OrderedDict[str, Receipt | bytes] = OrderedDict()
        """By id, the newest last; some as they were encoded."""
        self._together: deque[Sequence[Kept]] = deque()
        """Others that were kept together: looked through when somebody asks, which is seldom."""
        self._together_count = 0
        self._decode = msgspec.msgpack.Decoder(Receipt).decode
        self._encoder = msgspec.msgpack.Encoder()
        work = Work(
            name="ledger",
            noun="receipt",
            decode=self._decode,
            store=tables.insert,
            ident=lambda receipt: receipt.id,
            at=lambda receipt: receipt.ended_at,
            prune=self.prune,
            seen=self._recall_all,
            writers=writers,
        )
        self._drain = Drain(journal, database, work, clock=self._clock)

    def retain(self, days: float) -> None:
        """Change the retention, as when the settings are read again."""
        self._retention_s = days * DAY_S
        self._drain.prune_soon()

    def record(self, receipt: Receipt) -> None:
        """Keep a receipt. When this returns, kill -9 cannot take it. Never raises, never waits."""
        try:
            self._recall(receipt.id, receipt)
            self._drain.keep(self._encode(receipt), receipt.ended_at)
        except Exception as error:  # an answer must not fail because of its record
            self._drain.reject("encoded", receipt.id, error)

    def keep(self, ident: str, record: bytes, at: float) -> None:
        """As `record`, of a receipt with this id that ended then and is encoded already."""
        try:
            if len(record) > RECORD_LIMIT_BYTES:
                self.record(self._decode(record))
                return
            self._recall(ident, record)
            self._drain.keep(record, at)
        except Exception as error:  # an answer must not fail because of its record
            self._drain.reject("kept", ident, error)

    def keep_all(self, kept: Sequence[Kept]) -> None:
        """As `keep` of each: one write to the page cache for all of them."""
        records = [record for _, record, _ in kept]
        if max(map(len, records)) > RECORD_LIMIT_BYTES:
            for one in kept:
                self.keep(*one)
            return
        try:
            self._drain.keep_all(records, kept[0][2])
            self._together.append(kept)
            self._together_count += len(kept)
            while self._together_count > self._recent_limit:
                self._together_count -= len(self._together.popleft())
        except Exception:  # what is wrong with one of them must not cost the others
            for one in kept:  # who was kept already is stored once all the same
                self.keep(*one)

    async def find(self, receipt_id: str, key_id: str | None) -> Receipt | None:
        """The receipt if it exists and belongs to `key_id` (None: an operator, who sees all).

        Recent ones are found while the database is dead; for others, DatabaseUnavailable is
        raised then (ReceiptsWait: many are still in the journal), because "not there" would be a
        guess.
        """
        known = self._recent.get(receipt_id) or self._among_others(receipt_id)
        if known is not None:
            recent = self._decode(known) if isinstance(known, bytes) else known
            return recent if key_id in {None, recent.key_id} else None
        if not (0 < len(receipt_id) <= tables.NAME_LIMIT and receipt_id.isprintable()):
            return None
        looking = partial(tables.select_one, receipt_id=receipt_id, key_id=key_id)
        waiting = self.state.pending  # before: what is stored while we read is in neither
        found = await self._database.read(looking)
        if found is None and waiting:
            # It may still be in the journal, as right after a restart.
            if waiting > LOOK_LIMIT:
                raise ReceiptsWait(f"{waiting} receipts wait to be stored, more than usual.")
            if not await self.flush():
                raise DatabaseUnavailable(self.state.last_error)
            found = await self._database.read(looking)
        return found

    async def recent(self, key_id: str | None, limit: int = 50) -> list[Receipt]:
        """The last receipts of a key (None: of all), newest first.

        While the database is dead, those that this process remembers; `state` says so.
        """
        limit = max(1, min(limit, LIST_LIMIT))
        encoded = [record for kept in self._together for _, record, _ in kept]
        newest = [*self._recent.values(), *encoded]
        known = [self._decode(r) if isinstance(r, bytes) else r for r in newest]
        found = {one.id: one for one in known if key_id in {None, one.key_id}}
        try:
            stored = await self._database.read(
                partial(tables.select_recent, key_id=key_id, limit=limit)
            )
        except (DatabaseUnavailable, SchemaTooNew) as error:
            self._drain.note(str(error))
        else:
            found.update((one.id, one) for one in stored)
        return sorted(found.values(), key=lambda one: one.ended_at, reverse=True)[:limit]

    async def prune(self) -> int:
        """Delete what is older than the retention, in small transactions. Returns how many.

        Raises DatabaseUnavailable.
        """
        if self._retention_s <= 0:
            return 0
        before = self._clock.wall() - self._retention_s
        older = partial(tables.delete_older, before=before, limit=PRUNE_RECORDS)
        return await self._drain.delete(older, PRUNE_RECORDS)

    def _encode(self, receipt: Receipt) -> bytes:
        try:
            record = self._encoder.encode(receipt)
        except (ValueError, OverflowError):  # lone surrogates, numbers beyond 64 bits
            return self._encoder.encode(tables.cleaned(receipt))
        if len(record) > RECORD_LIMIT_BYTES:
            return self._encoder.encode(tables.cleaned(receipt))
        return record

    def _among_others(self, receipt_id: str) -> bytes | None:
        for kept in reversed(self._together):
            for ident, record, _ in kept:
                if ident == receipt_id:
                    return record
        return None

    def _recall_all(self, receipts: Sequence[Receipt]) -> None:
        # After a restart with a dead database, these are what can still be shown.
        for receipt in receipts:
            self._recall(receipt.id, receipt)

    def _recall(self, ident: str, receipt: Receipt | bytes) -> None:
        self._recent[ident] = receipt
        self._recent.move_to_end(ident)
        if len(self._recent) > self._recent_limit:
            self._recent.popitem(last=False)
