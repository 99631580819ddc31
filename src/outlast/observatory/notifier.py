"""The notifier: the task that spreads news, claims what is due, sends it and writes down the end.

Any number of processes may run one on the same database; what one has claimed no other sends.
They must share one key file: with another key, links and webhooks' secrets would be others, so a
notifier that finds another key's fingerprint in the database sends nothing and says why.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from outlast.observatory import delivering
from outlast.observatory import delivery_tables as book
from outlast.observatory import subscription_tables as people
from outlast.observatory.channels import within
from outlast.observatory.notify_signing import CONFIRM_S, fingerprint
from outlast.observatory.notifying import Refused, Result, Unknown
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.engine import Connection

    from outlast.clock import Clock
    from outlast.observatory.channels import Channel
    from outlast.observatory.delivering import Claim
    from outlast.observatory.subscribing import Channel as Kind
    from outlast.store.database import Database

log = structlog.get_logger(__name__)

AT_ONCE = 16
"""Messages on their way at once; so many a dying process leaves unknown at the most."""
POLL_S = 2.0
"""How often the book is looked into when nobody says that there is something."""
SEND_LIMIT_S = 120.0
"""For one message, whatever its channel does; well below the lease."""
BACKOFF_LAST_S = 30.0
CARE_EVERY_S = 3600.0
KEEP_S = 90 * 86_400.0
CLOSE_LIMIT_S = 15.0
DATABASE_TROUBLES = (DatabaseUnavailable, SchemaTooNew)


class NotifierState(msgspec.Struct, frozen=True):
    """For /readyz and the metrics."""

    sent: int
    refused: int
    unknown: int
    under_way: int
    last_error: str
    """Why nothing is sent, for a person; empty when all is well."""


class _Ended(msgspec.Struct, eq=False):
    """A message whose fate is known here and not yet in the book."""

    claim: Claim
    result: Result
    roll: float
    written: bool = False


class Notifier:
    """Owned by one event loop. `close` it before the database."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        roll: Callable[[], float],
        channels: Mapping[Kind, Channel],
        key: bytes,
    ) -> None:
        """`roll` gives numbers in [0, 1), for the pauses between tries."""
        self._database = database
        self._clock = clock
        self._roll = roll
        self._channels = channels
        self._key = key
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._claiming: asyncio.Task[bool] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._ended: list[_Ended] = []
        self._settling = asyncio.Lock()
        self._counts = {"sent": 0, "refused": 0, "unknown": 0}
        self._error = ""
        self._key_checked = False
        self._loaded = False
        self._care_due = 0.0

    @property
    def state(self) -> NotifierState:
        return NotifierState(**self._counts, under_way=len(self._sending), last_error=self._error)

    def wake(self) -> None:
        """Say that there is something to tell; harmless when there is not."""
        self._wake.set()

    async def run(self) -> None:
        """Work until `close`. Cancelling it is safe where `close` follows."""
        failures = 0
        while not self._closing.is_set():
            self._wake.clear()
            try:
                busy = await self.step()
                failures = 0
                if self._key_checked:
                    self._note("")
            except DATABASE_TROUBLES as error:
                busy, failures = False, failures + 1
                self._note(str(error))
            except Exception as error:  # one row that we stumble over must not end all telling
                busy, failures = False, failures + 1
                # The text of these two would show what is in the row: an address.
                told = not isinstance(error, IntegrityError | DataError)
                log.exception("notices_stumble", reason=type(error).__name__, exc_info=told)
                self._note(f"A fault of ours, which the log describes: {type(error).__name__}.")
            if not busy:
                pause_s = min(POLL_S * 2 ** min(failures, 10), BACKOFF_LAST_S)
                await _wait(self._wake, pause_s if failures else POLL_S)

    async def step(self) -> bool:
        """One look into the book; whether there is more to do at once.

        Raises DatabaseUnavailable and SchemaTooNew.
        """
        now = self._clock.wall()
        if not await self._same_key():
            return False
        await self._load()
        await self._care(now)
        due = await self._database.read(partial(book.what_is_due, now=now))
        if due.spread:
            await self._database.write(partial(delivering.spread, now=now))
        elif not due.send:
            return False
        # Half at a time: one transaction for several claims, and slow receivers hold up nobody.
        while len(self._sending) > AT_ONCE // 2:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        # A cancelled claim takes effect all the same: what it claims must be sent, not lost.
        self._claiming = asyncio.create_task(self._claim(now))
        return await asyncio.shield(self._claiming) or due.spread

    async def _claim(self, now: float) -> bool:
        """Claim what there is room for, and start to send it. Whether there was any."""
        free = AT_ONCE - len(self._sending)
        claims = await self._database.write(partial(delivering.claim, now=now, limit=free))
        for one in claims:
            task = asyncio.create_task(self._deliver(one))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return bool(claims)

    async def settled(self) -> None:
        """Wait until nothing is under way; for tests, and before the end."""
        if self._claiming is not None:
            await asyncio.wait({self._claiming})
        while self._sending:
            await asyncio.wait(self._sending)

    async def close(self) -> None:
        """Claim nothing more, let what is under way end, give the channels back."""
        self._closing.set()
        self._wake.set()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self.settled()
        except TimeoutError:
            log.warning("notices_left_unknown", count=len(self._sending))
            for task in list(self._sending):
                task.cancel()
        for channel in self._channels.values():
            await channel.close()

    async def _deliver(self, claim: Claim) -> None:
        subscription = claim.parcel.subscription
        channel = self._channels.get(subscription.kind)
        result: Result
        if channel is None:
            result = Refused("this way of telling is not set up", again=True)
        else:
            try:
                result = await within(SEND_LIMIT_S, channel, claim.parcel, self._clock.wall())
            except Exception as error:  # a fault of ours must not send anything twice
                log.exception("notice_failed", delivery=claim.parcel.id)
                result = Unknown(f"a fault of ours: {type(error).__name__}")
        await self._settle(claim, result)

    async def _settle(self, claim: Claim, result: Result) -> None:
        """Write down how it went, together with all that has ended meanwhile; while the database
        is gone, try again until the lease is over."""
        ended = _Ended(claim, result, self._roll())
        self._ended.append(ended)
        until = self._clock.monotonic() + book.LEASE_S
        while not ended.written:
            try:
                async with self._settling:
                    batch, self._ended = self._ended, []
                    try:
                        await self._write_down(batch)
                    finally:
                        self._ended += [one for one in batch if not one.written]
            except DATABASE_TROUBLES as error:
                if self._clock.monotonic() >= until or self._closing.is_set():
                    log.warning("notice_left_unknown", delivery=claim.parcel.id, reason=str(error))
                    self._ended = [one for one in self._ended if one is not ended]
                    return
                await _wait(self._closing, POLL_S)

    async def _write_down(self, batch: list[_Ended]) -> None:
        """In one transaction; where one of them cannot be written, each on its own.

        What cannot be written stays in the book as being sent, and is unknown when its lease is
        over: it must not keep the others from being written down.
        """
        if not batch:
            return
        try:
            endings = await self._database.write(
                partial(_settle_all, batch=batch, now=self._clock.wall())
            )
        except DATABASE_TROUBLES:
            raise
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    await self._write_down([one])
                return
            # The text of these two would show what is in the row: an address.
            told = not isinstance(error, IntegrityError | DataError)
            log.warning(
                "notice_left_unknown",
                delivery=batch[0].claim.parcel.id,
                reason=type(error).__name__,
                exc_info=told,
            )
            batch[0].written = True
            return
        for one, ending in zip(batch, endings, strict=True):
            one.written = True
            self._count(one.claim, one.result, ending)

    def _count(self, claim: Claim, result: Result, ending: str) -> None:
        name = {book.SENT: "sent", book.UNKNOWN: "unknown"}.get(ending, "refused")
        self._counts[name] += 1
        why = "" if not isinstance(result, Refused | Unknown) else result.why
        log.info(
            "notice",
            delivery=claim.parcel.id,
            subscription=claim.parcel.subscription.id,
            kind=claim.parcel.subscription.kind.value,
            ending=ending or "again",
            why=why,
        )
        self.wake()

    async def _same_key(self) -> bool:
        if self._key_checked:
            return True
        ours = fingerprint(self._key)
        stored = await self._database.write(partial(_first_key, ours=ours, now=self._clock.wall()))
        self._key_checked = stored == ours
        if not self._key_checked:
            self._note(
                "The key of notices here is not the one that this database's subscriptions were "
                "made with, so nothing is sent from here. Copy the file `notify-key` from the "
                "data folder of the first replica to this one, and start again."
            )
        return self._key_checked

    async def _load(self) -> None:
        """Whatever cannot be loaded must be known before there is something to tell."""
        if self._loaded:
            return
        for kind in await self._database.read(people.kinds):
            if (channel := self._channels.get(kind)) is not None:
                await asyncio.to_thread(channel.load)
        self._loaded = True

    async def _care(self, now: float) -> None:
        if now < self._care_due:
            return
        await self._database.write(
            partial(people.forget_unconfirmed, before=now - CONFIRM_S - CARE_EVERY_S)
        )
        await self._database.write(partial(book.prune, before=now - KEEP_S))
        self._care_due = now + CARE_EVERY_S

    def _note(self, error: str) -> None:
        """Say once that nothing is sent, and once that it is again."""
        if error and not self._error:
            log.warning("notices_wait", reason=error)
        elif self._error and not error:
            log.info("notices_go_on")
        self._error = error


def _first_key(connection: Connection, ours: str, now: float) -> str:
    """The fingerprint that the first notifier left in the database; ours, where it is the first."""
    connection.execute(
        text(
            "INSERT INTO snapshots (name, at, body) VALUES ('notify-key', :at, :body) "
            "ON CONFLICT (name) DO NOTHING"
        ),
        {"at": now, "body": ours},
    )
    found = connection.execute(text("SELECT body FROM snapshots WHERE name = 'notify-key'"))
    return str(found.scalar_one())


def _settle_all(connection: Connection, batch: list[_Ended], now: float) -> list[str]:
    return [delivering.settle(connection, one.claim, one.result, now, one.roll) for one in batch]


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
