"""One exchange as the relay runs it: no task, no queue, events in and commands out. Thin.

What pump.py does with coroutines is done here inside the callbacks of two sockets: the read that
brings an upstream's bytes ends with the write that passes them on. Both pumps carry out the same
commands of the same exchange.

Back-pressure: while the client does not read, its upstreams are not read either.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import structlog

from outlast.clock import Clock
from outlast.gateway.asked import Prepared, Reply
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
from outlast.gateway.flow import FLUSH_S, Flow
from outlast.gateway.pump import SLOW_CLIENT_S
from outlast.gateway.relay import heads
from outlast.gateway.relay.call import Listener, Tap
from outlast.nouns import Candidate, Receipt
from outlast.outcome import Fault

_log = structlog.get_logger(__name__)

PATIENCE_S = 1.0
"""A timer that is further away than this is looked at every `TICK_S`."""
TICK_S = 0.25
SLOT_S = 0.005
"""Half words that wait until then are looked at together."""


class Holding(Protocol):
    """A call under way, whoever carries it."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abandon(self) -> None: ...
    def release(self) -> None: ...
    def show(self, tap: Tap | None) -> None:
        """Show it reads before anybody hears what is in them, where they begin with a chunk. Who
        cannot, need not."""


class Calling(Protocol):
    """Who carries calls."""

    def send(self, prepared: Prepared, listener: Listener) -> Holding: ...
    async def warm(self, candidate: Candidate) -> None: ...


class Client(Protocol):
    """The one who asked. What is said waits until `flush`: one write for all of it."""

    clogged: bool
    """Whether the client does not read what was written."""

    def head(self, status: int, headers: dict[str, str]) -> None: ...
    def body(self, data: bytes) -> None: ...
    def pass_on(self, data: bytes) -> None:
        """As `body` and `flush`, in the middle of an answer."""

    def chunk_writer(self) -> Callable[[bytes], None] | None:
        """Return what writes whole chunks in the middle of an answer; None: it gets none."""

    def reply(self, reply: Reply) -> None: ...
    def end(self) -> None: ...
    def abort(self) -> None:
        """Close the connection without ending the body."""

    def crash(self) -> None:
        """We failed: say so, or hang up where the answer has begun."""

    def flush(self) -> None: ...


class Flushed(Protocol):
    """Whose half words are looked at."""

    def flush(self) -> None: ...


class Run:
    """Runs one exchange to its end; `on_done` is called once, when the client has all."""

    def __init__(
        self,
        exchange: Exchange,
        calling: Calling,
        client: Client,
        clock: Clock,
        alarms: Alarms,
        *,
        on_observe: Callable[[Observe], None],
        on_settle: Callable[[Receipt], None],
        on_done: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._calling = calling
        self._client = client
        self._now = clock.monotonic
        self._on_observe = on_observe
        self._on_settle = on_settle
        self._on_done = on_done
        self._alarms = alarms
        self._calls: dict[int, Holding] = {}
        self._warming: list[asyncio.Task[None]] = []
        self._due: dict[Timer, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.alarm_at = 0.0
        """When to look at the timers, if no nearer alarm is set (monotonic seconds)."""
        self._moved = False
        self._flow: Flow | None = None
        """Takes in text in the exchange's place, until anything else happens."""
        self._waiting: deque[Event] = deque()
        self._busy = False
        self._closed = False
        # What was said before on this connection may not be read yet.
        self._clogged_at: float | None = self._now() if client.clogged else None

    def start(self) -> None:
        self._busy = True
        self._work(self._exchange.start, (self._now(),))

    def adopt(
        self, call: Holding, since: float, heard: Iterable[Event], flow: Flow | None = None
    ) -> Listener:
        """Take over its first attempt, which is under way `since` then, and what was heard of it:
        what follows from that was done. `flow`: what has taken in text since. Returns who hears
        the rest."""

        def retell(_: None) -> list[Command]:
            commands = self._exchange.start(since)
            for event in heard:
                commands += self._exchange.handle(event)
            for command in commands:
                if isinstance(command, SetTimer) and not (flow and command.timer == "flush"):
                    self._carry_out(command)
            if flow is not None:
                own = self._exchange.flow()
                assert own is not None
                own.become(flow)
                if flow.flushing:
                    self._alarms.half(self, flow.half_at + FLUSH_S - self._now())
            return []

        self._calls[0] = call
        self._busy = True
        self._work(retell, (None,))
        return _Hearing(self, 0)

    def look(self) -> None:
        """Nothing: its alarms are set."""

    def heard(self, *events: Event) -> None:
        """Something happened. What a command causes at once comes after the commands."""
        if self._busy:
            self._waiting.extend(events)
        elif not self._closed:
            self._busy = True
            self._work(self._exchange.handle, events)

    def _work(self, decide: Callable[[Any], list[Command]], about: Iterable[Any]) -> None:
        if self._flow is not None:
            self._tap(self._flow, None)
            self._flow = None
        try:
            for one in about:
                for command in decide(one):
                    self._carry_out(command)
            while self._waiting and not self._closed:
                for command in self._exchange.handle(self._waiting.popleft()):
                    self._carry_out(command)
            self._client.flush()
        except Exception:  # our own fault: the client must not wait for ever
            _log.exception("exchange failed inside Outlast")
            self._closed = True
            self._leave(finished=False)
            self._client.crash()
        self._busy = False
        if self._closed:
            self._wind_up()
            return
        flow = self._flow = self._exchange.flow()
        if flow is not None and flow.passes_chunks:
            write = self._client.chunk_writer()
            if write is not None:
                self._tap(flow, flow.tap(write, self._half, self._now))
        if self._moved:
            self._moved = False
            self._set_alarm()

    def _tap(self, flow: Flow, tap: Tap | None) -> None:
        """Let this one be shown what comes before it is read."""
        call = self._calls.get(flow.number)
        if call is not None:
            call.show(tap)

    def _half(self) -> None:
        """Half a word has begun to wait."""
        flow = self._flow
        assert flow is not None
        flow.flushing = True
        self._alarms.half(self, flow.half_at + FLUSH_S - flow.life_at)

    def received(self, attempt: int, data: bytes) -> None:
        """An upstream sent bytes. Mostly they are text, on which nothing depends."""
        now = self._now()
        flow = self._flow
        if flow is None or flow.number != attempt or (out := flow.feed(data, now)) is None:
            self.heard(BytesReceived(attempt, data, now))
            return
        if out:
            self._client.pass_on(out)
        if flow.waiting and not flow.flushing:
            flow.flushing = True
            self._alarms.half(self, flow.half_at + FLUSH_S - now)

    def flush(self) -> None:
        """It is time to look at the half word that waits."""
        flow, now = self._flow, self._now()
        if flow is None:
            self.heard(TimerFired("flush", now))
            return
        if out := flow.flush(now):
            self._client.pass_on(out)
        flow.flushing = bool(flow.waiting)
        if flow.waiting:
            self._alarms.half(self, flow.half_at + FLUSH_S - now)

    def client_gone(self) -> None:
        self.heard(ClientGone(self._now()))

    def interrupt(self) -> None:
        """The time for draining is over: a last word."""
        self.heard(Interrupted(self._now()))

    def clogged(self) -> None:
        """The client does not read: stop reading its upstreams."""
        self._clogged_at = self._now()
        for call in self._calls.values():
            call.pause()

    def unclogged(self) -> None:
        now, since = self._now(), self._clogged_at
        self._clogged_at = None
        if since is not None and now - since > SLOW_CLIENT_S:
            self.heard(ClientSlow(now))
        for call in list(self._calls.values()):
            call.resume()

    # -- commands ------------------------------------------------------------------------------

    def _carry_out(self, command: Command) -> None:  # noqa: PLR0912 - one line for each command
        match command:
            case Forward():
                self._client.body(command.data)
            case SetTimer(timer="flush", at=at):
                self._alarms.half(self, at - self._now())
            case SetTimer():
                self._due[command.timer] = command.at
                self._moved = True
            case OpenAttempt():
                self._open(command)
            case Observe():
                self._on_observe(command)
            case Settle():
                self._on_settle(command.receipt)
            case SendHead():
                self._client.head(command.status, command.headers)
            case SendReply():
                self._closed = True
                self._client.reply(command.reply)
                self._leave(finished=True)
            case Close():
                self._closed = True
                if command.clean:
                    self._client.end()
                else:
                    self._client.abort()
                self._leave(finished=command.clean)
            case Abandon():
                call = self._calls.pop(command.attempt, None)
                if call is not None:
                    call.abandon()
            case Warm():
                self._warm(command.candidate)

    def _open(self, command: OpenAttempt) -> None:
        hearing = _Hearing(self, command.attempt)
        try:
            call = self._calling.send(command.prepared, hearing)
        except Exception as error:  # an attempt that we could not begin is over, like any other
            _log.exception("attempt failed inside Outlast", attempt=command.attempt)
            hearing.failed(Fault("internal", type(error).__name__))
            return
        self._calls[command.attempt] = call
        if self._clogged_at is not None:
            call.pause()

    def _warm(self, candidate: Candidate) -> None:
        self._warming.append(self._alarms.loop.create_task(self._calling.warm(candidate)))

    def _leave(self, *, finished: bool) -> None:
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if finished:
                call.release()
            else:
                call.abandon()

    def _wind_up(self) -> None:
        self._alarms.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._warming:
            task.cancel()
        self._on_done()

    # -- timers --------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """One alarm for the earliest of all timers; one that was put off is only looked at."""
        at = self.alarm_at = min(self._due.values())
        wait_s = at - self._now()
        if wait_s > PATIENCE_S:
            self._alarms.add(self)
        elif self._timer is None or at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._alarms.loop.call_later(max(0.0, wait_s), self.alarm)

    def alarm(self) -> None:
        """It is time for what is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._now()
        if self._clogged_at is not None:
            # We do not listen to the upstreams now: their silence is not theirs.
            self.heard(ClientSlow(now))
        for timer, at in list(self._due.items()):
            if at > now or self._closed:
                continue
            if timer == "watch" and self._flow is not None and self._flow.calm_until > now:
                self._due[timer] = self._flow.calm_until
            else:
                del self._due[timer]
                self.heard(TimerFired(timer, now))
        if self._due and not self._closed:
            self._set_alarm()


class Alarms:
    """Wakes runs whose next timer is not near: looking at them now and then is cheaper than a
    timer for each, most of which would never fire."""

    def __init__(self, clock: Clock) -> None:
        self.loop = asyncio.get_running_loop()
        self._now = clock.monotonic
        self._runs: set[Run] = set()
        self._ticking = False
        self._later: dict[int, list[Callable[[], None]]] = {}

    def add(self, run: Run) -> None:
        self._runs.add(run)
        if not self._ticking:
            self._ticking = True
            self.loop.call_later(TICK_S, self._tick)

    def half(self, run: Flushed, wait_s: float) -> None:
        """Let a run look at its half word then."""
        self.later(run.flush, wait_s)

    def later(self, call: Callable[[], None], wait_s: float) -> None:
        """Call this then: many at once, since there are many. Nobody can be stopped any more."""
        slot = int((self.loop.time() + wait_s) / SLOT_S) + 1
        calls = self._later.get(slot)
        if calls is not None:
            calls.append(call)
            return
        self._later[slot] = [call]
        self.loop.call_at(slot * SLOT_S, self._look, slot)

    def _look(self, slot: int) -> None:
        self._call(self._later.pop(slot))

    def _call(self, calls: list[Callable[[], None]]) -> None:
        try:
            while calls:
                calls.pop()()
        finally:
            if calls:  # an error in one run must not silence the others
                self.loop.call_soon(self._call, calls)

    def discard(self, run: Run) -> None:
        self._runs.discard(run)

    def _tick(self) -> None:
        self._ticking = bool(self._runs)
        if self._ticking:  # first of all: an error in one run must not silence the others
            self.loop.call_later(TICK_S, self._tick)
        soon = self._now() + PATIENCE_S
        for run in [run for run in self._runs if run.alarm_at <= soon]:
            self._runs.discard(run)
            run.alarm()


class _Hearing:
    """What one call's answer means to the exchange: events with its number."""

    __slots__ = ("_number", "_run")

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._number = number

    def headed(self, status: int, headers: dict[str, str]) -> None:
        run = self._run
        run.heard(HeadReceived(self._number, status, headers, run._now()))

    def answered(self, status: int, pairs: heads.Pairs, body: bytes) -> None:
        run, number = self._run, self._number
        now = run._now()
        run.heard(
            HeadReceived(number, status, heads.response_headers(pairs), now),
            BytesReceived(number, body, now),
            BodyEnded(number, now),
        )

    def received(self, data: bytes) -> None:
        self._run.received(self._number, data)

    def ended(self) -> None:
        run = self._run
        run.heard(BodyEnded(self._number, run._now()))

    def failed(self, fault: Fault) -> None:
        run = self._run
        run.heard(AttemptBroke(self._number, fault, run._now()))
