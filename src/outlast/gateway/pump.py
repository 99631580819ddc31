"""The thin shell around one exchange: carries commands out, brings events in. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from outlast.clock import Clock
from outlast.gateway.asked import Reply
from outlast.gateway.events import (
    Abandon,
    AttemptBroke,
    BodyEnded,
    BytesReceived,
    ClientGone,
    ClientSlow,
    Close,
    Command,
    Event,
    Forward,
    HeadReceived,
    Interrupted,
    Observe,
    OpenAttempt,
    SendHead,
    SendReply,
    SetTimer,
    Settle,
    Timer,
    TimerFired,
    Warm,
)
from outlast.gateway.exchange import Exchange
from outlast.gateway.transport import NetworkFault, Transport
from outlast.nouns import Receipt
from outlast.outcome import Fault

_log = structlog.get_logger(__name__)

LINGER_S = 1.0
"""How long a finished stream's connection is read on, so that it can be used again."""
SLOW_CLIENT_S = 0.5
CLIENT_WRITE_S = 120.0
"""How long a client may refuse to read before it counts as gone."""
READ_AHEAD = 8
"""Chunks read from an upstream before the client has taken the earlier ones."""


class Client(Protocol):
    """The one who asked."""

    async def head(self, status: int, headers: dict[str, str]) -> None: ...
    async def body(self, data: bytes) -> None: ...
    async def reply(self, reply: Reply) -> None: ...
    async def end(self) -> None: ...
    async def abort(self) -> None:
        """Close the connection without ending the body."""

    async def gone(self) -> None:
        """Return when the client has closed the connection."""


class Pump:
    """Runs one exchange to its end. `run` returns when the client has its last byte."""

    def __init__(
        self,
        exchange: Exchange,
        transport: Transport,
        client: Client,
        clock: Clock,
        *,
        on_observe: Callable[[Observe], None],
        on_settle: Callable[[Receipt], None],
    ) -> None:
        self._exchange = exchange
        self._transport = transport
        self._client = client
        self._clock = clock
        self._on_observe = on_observe
        self._on_settle = on_settle
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._room = asyncio.Event()
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._attempts: dict[int, asyncio.Task[None]] = {}
        self._warming: list[asyncio.Task[None]] = []
        self._closed = False
        self._finished = False

    async def run(self) -> None:
        watcher = asyncio.create_task(self._watch_client())
        try:
            commands = self._exchange.start(self._clock.monotonic())
            while True:
                for command in commands:
                    await self._carry_out(command)
                if self._closed:
                    return
                event = await self._events.get()
                if self._events.qsize() < READ_AHEAD:
                    self._room.set()
                commands = self._exchange.handle(event)
        except asyncio.CancelledError:
            # The time for draining is over: a last word, and no traceback for a task that ends.
            for command in self._exchange.handle(Interrupted(self._clock.monotonic())):
                await self._carry_out(command)
        finally:
            for handle in self._timers.values():
                handle.cancel()
            await self._wind_up(watcher)

    async def _wind_up(self, watcher: asyncio.Task[None]) -> None:
        watcher.cancel()
        self._room.set()
        attempts = [*self._attempts.values(), *self._warming]
        if attempts and self._finished:
            await asyncio.wait(attempts, timeout=LINGER_S)
        for task in attempts:
            task.cancel()
        await asyncio.gather(watcher, *attempts, return_exceptions=True)

    async def _carry_out(self, command: Command) -> None:
        match command:
            case Forward(data=data):
                await self._to_client(self._client.body(data))
            case OpenAttempt(attempt=attempt):
                self._attempts[attempt] = asyncio.create_task(self._attempt(command))
            case Abandon(attempt=attempt):
                if (task := self._attempts.pop(attempt, None)) is not None:
                    task.cancel()
            case SetTimer(timer=timer, at=at):
                self._set_timer(timer, at)
            case Warm(candidate=candidate):
                self._warming.append(asyncio.create_task(self._transport.warm(candidate)))
            case SendHead(status=status, headers=headers):
                await self._to_client(self._client.head(status, headers))
            case SendReply(reply=reply):
                self._closed = self._finished = True
                await self._to_client(self._client.reply(reply))
            case Close(clean=clean):
                self._closed = True
                self._finished = clean
                await self._to_client(self._client.end() if clean else self._client.abort())
            case _:
                self._note(command)

    def _note(self, command: Command) -> None:
        match command:
            case Observe():
                self._on_observe(command)
            case Settle(receipt=receipt):
                self._on_settle(receipt)
            case _:
                pass

    async def _to_client(self, sending: Awaitable[None]) -> None:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(CLIENT_WRITE_S):
                await sending
        except TimeoutError:
            self._events.put_nowait(ClientGone(self._clock.monotonic()))
            return
        now = self._clock.monotonic()
        if now - started > SLOW_CLIENT_S:
            self._exchange.handle(ClientSlow(now))

    def _set_timer(self, timer: Timer, at: float) -> None:
        if (old := self._timers.pop(timer, None)) is not None:
            old.cancel()
        delay_s = max(0.0, at - self._clock.monotonic())
        loop = asyncio.get_running_loop()
        self._timers[timer] = loop.call_later(delay_s, self._fire, timer)

    def _fire(self, timer: Timer) -> None:
        self._events.put_nowait(TimerFired(timer, self._clock.monotonic()))

    async def _watch_client(self) -> None:
        await self._client.gone()
        self._events.put_nowait(ClientGone(self._clock.monotonic()))

    async def _attempt(self, command: OpenAttempt) -> None:
        """Send one call and turn what comes back into events."""
        number = command.attempt
        try:
            answer = await self._transport.open(command.prepared)
            try:
                self._put(HeadReceived(number, answer.status, answer.headers, self._now()))
                async for chunk in answer.chunks():
                    self._put(BytesReceived(number, chunk, self._now()))
                    if self._events.qsize() >= READ_AHEAD:
                        self._room.clear()
                        await self._room.wait()
                self._put(BodyEnded(number, self._now()))
            finally:
                answer.close()
        except NetworkFault as error:
            self._put(AttemptBroke(number, error.fault, self._now()))
        except Exception as error:
            _log.exception("attempt failed inside Outlast", attempt=number)
            fault = Fault("internal", type(error).__name__)
            self._put(AttemptBroke(number, fault, self._now()))

    def _put(self, event: Event) -> None:
        self._events.put_nowait(event)

    def _now(self) -> float:
        return self._clock.monotonic()
