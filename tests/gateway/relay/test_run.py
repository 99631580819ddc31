"""How an exchange is run: what one side does never harms, or is never charged to, another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from outlast.clock import ManualClock, SystemClock
from outlast.config import TimeoutSettings
from outlast.gateway.asked import Prepared, Reply
from outlast.gateway.events import Observe
from outlast.gateway.flow import FLUSH_S
from outlast.gateway.pump import CLIENT_WRITE_S
from outlast.gateway.relay.call import Listener, Tap
from outlast.gateway.relay.run import Alarms, Run
from outlast.nouns import Candidate, Outcome, Receipt
from outlast.outcome import Fault
from tests.gateway.exchanges import ENDING, START, TEXT_START, exchange, words

pytestmark = pytest.mark.asyncio

STALL_S = 30.0


class Held:
    """A call, and whether it is read."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._paused = False
        self.left = False

    def read(self) -> bool:
        return not self._paused

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def abandon(self) -> None:
        self.left = True

    def show(self, tap: Tap | None) -> None:
        """What it sends is no chunk."""

    def release(self) -> None:
        self.left = True


class Upstreams:
    """Answer what the test says; those in `unknown` cannot even be called."""

    def __init__(self, *unknown: str) -> None:
        self.calls: list[Held] = []
        self._unknown = unknown

    def send(self, prepared: Prepared, listener: Listener) -> Held:
        if prepared.candidate.upstream in self._unknown:
            raise KeyError(prepared.candidate.upstream)
        self.calls.append(Held(listener))
        return self.calls[-1]

    async def warm(self, candidate: Candidate) -> None:
        """Nothing to warm."""


class Client:
    """Keeps what it is told."""

    def __init__(self, *, clogged: bool = False) -> None:
        self.clogged = clogged
        self.said = b""
        self.end_is = ""
        self.heard = asyncio.Event()

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Of no interest here."""

    def body(self, data: bytes) -> None:
        self.said += data

    def pass_on(self, data: bytes) -> None:
        self.said += data
        self.heard.set()

    def chunk_writer(self) -> None:
        """It gets no chunks."""

    def reply(self, reply: Reply) -> None:
        self.end_is = str(reply.status)

    def end(self) -> None:
        self.end_is = "clean"

    def abort(self) -> None:
        self.end_is = "cut"

    def crash(self) -> None:
        self.end_is = "crash"

    def flush(self) -> None:
        """Nothing waits."""


class Stage:
    """One exchange and everything around it."""

    def __init__(
        self,
        *names: str,
        unknown: str = "",
        clogged: bool = False,
        alarms: Alarms | None = None,
        clock: ManualClock | None = None,
        real_time: bool = False,
    ) -> None:
        self.clock = clock or ManualClock()
        told = SystemClock() if real_time else self.clock
        self.upstreams = Upstreams(unknown)
        self.client = Client(clogged=clogged)
        self.observed: list[Outcome] = []
        self.settled: list[Receipt] = []
        self.done = 0
        self.fails: Callable[[], None] | None = None
        self.run = Run(
            exchange(*names, timeouts=TimeoutSettings(first_byte_s=STALL_S, stall_s=STALL_S)),
            self.upstreams,
            self.client,
            told,
            alarms or Alarms(told),
            on_observe=self._observe,
            on_settle=self.settled.append,
            on_done=self._done,
        )
        self.run.start()

    def _observe(self, observed: Observe) -> None:
        self.observed.append(observed.observation.outcome)

    def _done(self) -> None:
        self.done += 1
        if self.fails is not None:
            self.fails()

    def begins(self) -> Listener:
        """The last call that was made begins to answer."""
        listener = self.upstreams.calls[-1].listener
        listener.headed(200, {"content-type": "text/event-stream"})
        listener.received(START + TEXT_START + words("Hello "))
        return listener

    def wait(self, seconds: float) -> None:
        """Time passes, as alarms see it: second by second."""
        for _ in range(int(seconds)):
            self.clock.advance(1)
            if not self.done:
                self.run.alarm()


async def test_a_client_that_does_not_read_is_not_a_silent_upstream() -> None:
    stage = Stage("a", "b")
    listener = stage.begins()
    stage.run.clogged()
    assert not stage.upstreams.calls[0].read()
    stage.wait(CLIENT_WRITE_S - 1)
    assert stage.observed == []
    stage.run.unclogged()
    assert stage.upstreams.calls[0].read()
    listener.received(ENDING)
    listener.ended()
    assert (stage.observed, stage.client.end_is) == ([Outcome.OK], "clean")
    assert len(stage.upstreams.calls) == 1


async def test_an_upstream_that_falls_silent_while_the_client_reads_is_left() -> None:
    stage = Stage("a", "b")
    stage.begins()
    stage.wait(STALL_S + 1)
    assert stage.observed == [Outcome.STALLED]
    assert len(stage.upstreams.calls) == 2


async def test_an_upstream_is_not_read_while_the_client_has_not_read_what_came_before() -> None:
    stage = Stage("a", clogged=True)
    assert not stage.upstreams.calls[0].read()
    stage.run.unclogged()
    assert stage.upstreams.calls[0].read()


async def test_a_call_that_we_cannot_even_make_is_an_attempt_that_failed() -> None:
    """New settings may have taken away an upstream that is asked after a failure."""
    stage = Stage("gone", "b", unknown="gone")
    assert stage.observed == [Outcome.OURS]
    listener = stage.begins()
    listener.received(ENDING)
    listener.ended()
    assert stage.client.end_is == "clean"
    assert stage.observed == [Outcome.OURS, Outcome.OK]
    assert [len(receipt.attempts) for receipt in stage.settled] == [2]


@pytest.mark.parametrize("when", ["connecting", "after the head", "in the middle"])
@pytest.mark.parametrize("how", ["the client leaves", "we are stopped", "the upstream breaks"])
async def test_however_it_ends_each_attempt_is_observed_once_and_the_exchange_settled_once(
    when: str, how: str
) -> None:
    stage = Stage("a")
    call = stage.upstreams.calls[0]
    if when == "in the middle":
        stage.begins()
    elif when == "after the head":
        call.listener.headed(200, {"content-type": "text/event-stream"})
    match how:
        case "the client leaves":
            stage.run.client_gone()
        case "we are stopped":
            stage.run.interrupt()
        case _:
            call.listener.failed(Fault("reset"))
    stage.run.client_gone()
    stage.run.interrupt()
    call.listener.failed(Fault("reset"))
    calls = stage.upstreams.calls
    assert (len(stage.observed), len(stage.settled), stage.done) == (len(calls), 1, 1)
    assert all(call.left for call in calls)


async def test_text_that_flows_reaches_the_client_read_by_read() -> None:
    stage = Stage("a")
    listener = stage.begins()
    before = stage.client.said
    for text in ("the ", "sea ", "of "):
        listener.received(words(text))
    assert stage.client.said == before + words("the ") + words("sea ") + words("of ")
    listener.received(ENDING)
    listener.ended()
    assert (stage.observed, stage.client.end_is) == ([Outcome.OK], "clean")


async def test_half_a_word_that_flows_is_shown_after_its_time() -> None:
    stage = Stage("a")
    listener = stage.begins()
    listener.received(words("sa"))
    stage.clock.advance(FLUSH_S / 2)
    stage.run.flush()
    assert b'"sa"' not in stage.client.said
    stage.clock.advance(FLUSH_S / 2)
    stage.run.flush()
    assert stage.client.said.endswith(words("sa"))


async def test_somebody_looks_at_half_words_by_the_clock() -> None:
    stage = Stage("a", real_time=True)
    listener = stage.begins()
    listener.received(words("sa"))
    assert b'"sa"' not in stage.client.said
    async with asyncio.timeout(10):
        await stage.client.heard.wait()
    assert stage.client.said.endswith(words("sa"))


async def test_an_error_in_one_run_does_not_keep_the_others_from_their_alarms() -> None:
    clock = ManualClock()
    alarms = Alarms(clock)
    both = asyncio.Event()
    stages = [Stage("a", alarms=alarms, clock=clock) for _ in range(2)]

    def fail() -> None:
        if all(stage.done for stage in stages):
            both.set()
        raise RuntimeError("on_done")

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    for stage in stages:
        stage.fails = fail
    clock.advance(10_000)
    async with asyncio.timeout(10):
        await both.wait()
    assert all("on_done" in str(context["exception"]) for context in told)
