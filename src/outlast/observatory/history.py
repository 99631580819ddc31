"""The one stream: everything that was observed, kept before anybody hears of it.

`append` puts an observation into the journal (one write to the page cache, see store/journal.py)
and then tells the listeners: what they heard, no kill -9 takes back. In the background it is
drained into the database in batches (store/drain.py), and added to the sums by minute, hour and
day in the same transaction. Vendors' notices go the same way, every version of them.

What has an id is kept once: within a window of ids in memory exactly and at once, and by the
database's key for ever after. While the database is dead, locked or full, `append` goes on, reads
raise DatabaseUnavailable, and `state` says so.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import msgspec
import structlog

from outlast.clock import SystemClock
from outlast.nouns import Notice, Observation
from outlast.observatory import history_tables as tables
from outlast.store.database import DatabaseUnavailable
from outlast.store.drain import Drain, Drained, Work
from outlast.store.migrations import SchemaTooNew
from outlast.store.segment import RECORD_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.clock import Clock
    from outlast.observatory.rollups import Period, Rollup
    from outlast.store.database import Database
    from outlast.store.journal import Journal

    Listener = Callable[[Observation], None]

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
BATCH_RECORDS = 1000
GATHER_S = 0.2
"""Longer than the ledger's: a flood comes in a few large transactions, not in many small ones."""
PRUNE_ROWS = 2000
MINUTES_FACTOR = 3
"""Sums by minute are kept this many times as long as single observations."""
IDS_LIMIT = 200_000
"""Ids in memory, at most. The last half of them are always known: half a minute of the heaviest
flood that we are made for, days of usual traffic. About 120 bytes each."""
NOTICES_LIMIT = 20_000
LISTENERS_LIMIT = 100
AT_LIMIT = 1e11
"""Seconds since the epoch; beyond it lies nothing that happened."""
READ_LIMIT = 100_000

_OBSERVATION, _NOTICE = b"o", b"n"
"""What a record of the journal is, in its first byte."""


class History(Drained):
    """Owned by one event loop, which appends and reads. `close` it before journal and database."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        *,
        clock: Clock | None = None,
        retention_days: float = 14.0,
        rollup_days: float = 800.0,
        ids_limit: int = IDS_LIMIT,
    ) -> None:
        """`journal`: one of its own, not the ledger's. See `retain` for the days."""
        self._database = database
        self._clock = clock or SystemClock()
        self._retention_s = retention_days * DAY_S
        self._rollup_s = rollup_days * DAY_S
        self._known = Window(ids_limit)
        self._notices: dict[tuple[str, str], str] = {}
        """The latest version of a notice, by feed and id."""
        self._listeners: list[Listener] = []
        self._encode = msgspec.msgpack.Encoder().encode
        self._observation = msgspec.msgpack.Decoder(Observation)
        self._notice = msgspec.msgpack.Decoder(Notice)
        self.durable = True
        """Whether what was appended last would outlive the process. False: disk and journal are
        full, and it waits in memory; who promises to have kept it says so now."""
        self.repeated = 0
        """Observations that were known already."""
        self.listener_errors = 0
        work = Work(
            name="history",
            noun="observation",
            decode=self._decode,
            store=tables.insert,
            ident=lambda one: one.id,
            at=lambda one: one.at if isinstance(one, Observation) else one.fetched_at,
            prune=self.prune,
            batch_records=BATCH_RECORDS,
            gather_s=GATHER_S,
        )
        self._drain = Drain(journal, database, work, clock=self._clock)

    def retain(self, retention_days: float, rollup_days: float) -> None:
        """Change how long single observations, and sums by hour and day, are kept."""
        self._retention_s = retention_days * DAY_S
        self._rollup_s = rollup_days * DAY_S
        self._drain.prune_soon()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(observation)` for everything appended from now on, after it is kept and
        once for each id. It runs inside `append`: it must be quick, and what it raises is logged
        and reaches nobody. Returns how to stop; raises ValueError beyond LISTENERS_LIMIT.
        """
        if len(self._listeners) >= LISTENERS_LIMIT:
            raise ValueError(f"{LISTENERS_LIMIT} listeners already hear the history.")
        # A new list: a listener may come or go while the others are told.
        self._listeners = [*self._listeners, listener]

        def stop() -> None:
            self._listeners = [one for one in self._listeners if one is not listener]

        return stop

    def append(self, observation: Observation) -> bool:
        """Keep an observation, then tell the listeners. Never raises, never waits.

        True: it is new and kept (`durable` says how safely). False: its id is known, or it can
        not be kept for what it contains, which is counted in `state.rejected`. Without an id it
        gets one.
        """
        ident = observation.id
        if not ident:
            observation = msgspec.structs.replace(observation, id=uuid4().hex)
        elif ident in self._known:
            self.repeated += 1
            return False
        try:
            self.durable = self._drain.keep(self._record(observation), observation.at)
        except Exception as error:  # whoever saw something must not fail because of its record
            self._drain.reject("encoded", ident[:100], error)
            return False
        if ident:
            self._known.add(ident)
        for listener in self._listeners:
            try:
                listener(observation)
            except Exception as error:  # one listener's fault is not another's, nor the caller's
                self.listener_errors += 1
                log.exception("listener_failed", observation=observation.id, reason=repr(error))
        return True

    async def save_notice(self, notice: Notice) -> Literal["new", "known"]:
        """Keep this version of a notice, safe from kill -9, unless it says what the last did.

        While the database is dead, what this process does not remember counts as new; it is not
        stored twice. Raises ValueError for a notice that cannot be kept.
        """
        key = (notice.feed, notice.id)
        latest = self._notices.get(key)
        if latest is None:
            try:
                latest = await self._database.read(
                    lambda connection: tables.latest_version(connection, *key)
                )
            except (DatabaseUnavailable, SchemaTooNew) as error:
                self._drain.note(str(error))
        known = latest == notice.version
        if not known:
            _check_time(notice.fetched_at)
            record = _NOTICE + msgspec.msgpack.encode(notice)
            self._drain.keep(record, notice.fetched_at)
        self._notices.pop(key, None)
        self._notices[key] = notice.version
        if len(self._notices) > NOTICES_LIMIT:
            del self._notices[next(iter(self._notices))]
        return "known" if known else "new"

    async def recent(
        self,
        since_at: float,
        until_at: float = AT_LIMIT,
        *,
        component: str | None = None,
        source: str | None = None,
        limit: int = 1000,
    ) -> list[Observation]:
        """The newest observations of a span, up to `limit`, oldest first.

        `component` stands for itself and its parts: `anthropic/api` for its models and regions,
        `anthropic` for all of a provider. Raises DatabaseUnavailable, as every read does. What
        was appended in the last moments may be missing; `flush` first where it must not.
        """
        limit = max(1, min(limit, READ_LIMIT))
        return await self._database.read(
            lambda c: tables.select_recent(c, since_at, until_at, component, source, limit)
        )

    async def counts(
        self,
        period: Period,
        start_at: float,
        end_at: float,
        *,
        component: str | None = None,
        source: str | None = None,
    ) -> list[Rollup]:
        """Sums of the periods that begin in a span, oldest first, a row for each component,
        source and outcome; `component` stands for its parts too. At most PERIODS_LIMIT, the newest.
        """
        return await self._database.read(
            lambda c: tables.select_counts(c, period, start_at, end_at, component, source)
        )

    async def days(self, component: str, days: int = 90) -> list[Rollup]:
        """The last days of a component and its parts together, today included, oldest first: a
        row for each source and outcome, named after `component`.
        """
        end_at = (self._clock.wall() // DAY_S + 1) * DAY_S
        start_at = end_at - days * DAY_S
        return await self._database.read(
            lambda c: tables.select_days(c, component, start_at, end_at)
        )

    async def components(self, since_at: float) -> list[str]:
        """Names of all components that were observed since then, to the day."""
        return await self._database.read(lambda c: tables.select_components(c, since_at))

    async def span(self) -> tuple[float, float] | None:
        """When the first and the last observation that is still there happened; None: no one."""
        return await self._database.read(tables.select_span)

    async def notices(
        self, provider: str | None = None, since_at: float = 0.0, limit: int = 1000
    ) -> list[Notice]:
        """The latest version of each notice that changed since then, oldest first."""
        limit = max(1, min(limit, READ_LIMIT))
        return await self._database.read(
            lambda c: tables.select_notices(c, provider, since_at, limit)
        )

    async def versions(self, feed: str, ident: str, limit: int = 1000) -> list[Notice]:
        """Every version of one notice, oldest first."""
        limit = max(1, min(limit, READ_LIMIT))
        return await self._database.read(lambda c: tables.select_versions(c, feed, ident, limit))

    async def prune(self) -> int:
        """Delete what is older than it is kept for, in small transactions. Returns how many rows.

        Raises DatabaseUnavailable.
        """
        now = self._clock.wall()
        kept_s = {"minute": MINUTES_FACTOR * self._retention_s}
        kept_s |= dict.fromkeys(("hour", "day"), self._rollup_s)
        steps = [partial(tables.delete_observations, before_at=now - self._retention_s)]
        steps += [
            partial(tables.delete_rollups, period=period, before_at=now - seconds)
            for period, seconds in kept_s.items()
        ]
        steps.append(partial(tables.delete_notices, before_at=now - self._rollup_s))
        deleted = 0
        for step in steps:
            deleted += await self._drain.delete(partial(step, limit=PRUNE_ROWS), PRUNE_ROWS)
        return deleted

    def _record(self, observation: Observation) -> bytes:
        _check_time(observation.at)
        if not math.isfinite(observation.weight + observation.latency_s):
            raise ValueError("a weight and a latency are numbers")
        try:
            record = _OBSERVATION + self._encode(observation)
        except ValueError:  # lone surrogates
            return _OBSERVATION + self._encode(tables.cleaned(observation))
        if len(record) > RECORD_LIMIT_BYTES:
            return _OBSERVATION + self._encode(tables.cleaned(observation))
        return record

    def _decode(self, record: bytes) -> Observation | Notice:
        """In the drain's thread. Raises msgspec.DecodeError."""
        kind, body = record[:1], memoryview(record)[1:]
        if kind == _OBSERVATION:
            return self._observation.decode(body)
        if kind == _NOTICE:
            return self._notice.decode(body)
        raise msgspec.DecodeError(f"a record of the unknown kind {kind!r}")


class Window:
    """The last ids, exactly: at least `limit // 2` of them and at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._newer: set[str] = set()
        self._older: set[str] = set()

    def __contains__(self, ident: str) -> bool:
        return ident in self._newer or ident in self._older

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def add(self, ident: str) -> None:
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, set()
        self._newer.add(ident)


def _check_time(at: float) -> None:
    if not 0 <= at < AT_LIMIT:
        raise ValueError(f"{at} is not a time, in seconds since the epoch")
