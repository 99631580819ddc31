"""A plain stream on its way: from the first read to the receipt, without an exchange. Thin.

live.py says what is plain. What is not, at any word of the upstream, of the client or of a timer,
goes the long way, as in lane.py: a run of an exchange takes over the call, and the flow.
"""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from outlast.gateway.carrying import wants_usage
from outlast.gateway.events import HeadReceived
from outlast.gateway.flow import FLUSH_S, Flow
from outlast.gateway.gaps import SUSPECT_FLOOR_S
from outlast.gateway.live import Live, Odd, Retelling
from outlast.gateway.relay import heads
from outlast.gateway.relay.call import STREAM, Listener
from outlast.gateway.relay.connection import Connection, headers_of
from outlast.gateway.relay.lane import LOOK_S, Plain
from outlast.gateway.relay.run import Run
from outlast.wire import canon

_log = structlog.get_logger(__name__)
_HEAD = HeadReceived(0, 200, {}, 0.0)
"""Of an answer that is told whole: nobody asks for its head."""


class Streamed(Plain):
    """One plain stream under way: the call that is made for it, and who hears it."""

    __slots__ = ("_flow", "_head", "_lines", "_live", "_theirs")

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self.quick = STREAM
        self._live: Live | None = None
        self._flow: Flow | None = None
        """Takes in text, once something was shown."""
        self._lines = b""
        """Of the upstream's header lines those that the client sees."""
        self._theirs = ""
        """The upstream's own id of this."""
        self._head = b""
        """The upstream's head, where only C has read it."""

    # -- the upstream --------------------------------------------------------------------------

    def quickly(self, connection: Connection, answer: tuple[bytes, str, bytes]) -> bool:
        lines, theirs, body = answer
        live, now = self._live_of(_HEAD), self._lane.monotonic()
        try:
            shown = live.feed(body, now)
        except Odd:
            return False
        if not live.ended:
            return False
        connection.give_back()
        self.listener = self._connection = None
        tokens = live.estimated(max(1, len(self.question) // 4))
        found = (live.model, tokens)
        if self.way.carrying is not None:
            lines = b""
        self._lane.settling.add(self, lines, theirs, shown, found, now - self.since)
        return True

    def headed(self, status: int, headers: dict[str, str]) -> None:
        if not self._live_from(status, headers):
            self._the_long_way()[1].headed(status, headers)

    def _live_from(self, status: int, headers: dict[str, str]) -> bool:
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if status != 200 or media_type != "text/event-stream":
            return False
        head = HeadReceived(0, status, headers, self._lane.clock.monotonic())
        self._live = self._live_of(head)
        self._lines = self._lane.passed_lines(self, head)
        self._theirs = headers.get("request-id") or headers.get("x-request-id", "")
        return True

    def begun(self, lines: bytes, theirs: str, head: bytes) -> bool:
        self._live = self._live_of(HeadReceived(0, 200, {}, self._lane.monotonic()))
        self._lines = lines if self.way.carrying is None else b""
        self._theirs, self._head = theirs, head
        return True

    def _live_of(self, head: HeadReceived) -> Live:
        """Return what reads an answer with this head."""
        way, surface = self.way, self.request.surface
        form, case = surface.format, way.case
        if way.carrying is None:
            return Live(form, surface.codecs[form], head)
        assert case is not None
        asked = canon.Request(
            model=case.plan.asked.model,
            messages=(),
            origin=form,
            stream=True,
            include_usage=wants_usage(self.question),
        )
        retelling = Retelling(surface.codecs[form].writer(asked), int(self.at))
        theirs = case.prepared.candidate.kind.wire
        return Live(theirs, surface.codecs[theirs], head, retelling)

    def received(self, data: bytes) -> None:
        now, flow = self._lane.clock.monotonic(), self._flow
        if flow is not None and (out := flow.feed(data, now)) is not None:
            if flow.waiting and not flow.flushing:
                self._wait(flow, now)
            if out:
                self.request.pass_on(out)
            return
        live = self._live
        assert live is not None
        try:
            out = live.feed(data, now)
        except Odd:
            self._the_long_way()[1].received(data)
            return
        if live.ended:
            self._finish(live, out)
            self.release()
        else:
            self._show(live, out, now)

    def answered(self, status: int, pairs: heads.Pairs, body: bytes) -> None:
        live = None
        if self._live_from(status, heads.response_headers(pairs)):
            live = self._live
            assert live is not None
            try:
                out = live.feed(body, self._lane.clock.monotonic())
            except Odd:
                live = None
        if live is None or not live.ended:
            self._live = None  # it is told once more
            self._the_long_way()[1].answered(status, pairs, body)
        else:
            self._finish(live, out)

    def _finish(self, live: Live, out: bytes) -> None:
        """The answer is whole: its last bytes wait for the record."""
        self._over()
        lane, begun = self._lane, self._flow is not None
        lines, theirs = b"" if begun else self._lines, self._theirs
        try:
            found = (live.model, live.estimated(max(1, len(self.question) // 4)))
            first_s = lane.learn_gaps(self, live.times)
            lane.settling.add(self, lines, theirs, out, found, first_s, begun=begun)
            self._live = self._flow = None  # an alarm may still know this one
        except Exception:  # our own fault: the client must not wait for ever
            _log.exception("exchange failed inside Outlast")
            self.request.crash()
            lane.settling.leave(self)

    def ended(self) -> None:
        self._the_long_way()[1].ended()

    # -- time ----------------------------------------------------------------------------------

    def _show(self, live: Live, out: bytes, now: float) -> None:
        """Send what may be shown by now, if that is anything."""
        flow = live.flow
        if flow is None:
            return
        self._wait(flow, now)
        if out:
            self._flow = flow
            flow.calm_s = self._calm_s()
            self._lane.alarms().later(self.alarm, max(0.0, flow.calm_until - now))
            self.request.stream(self._lane.stream_lines(self, self._lines, live.model))
            self.request.body(out)
            self.request.flush()
            write = self.request.chunk_writer()
            if flow.passes_chunks and write is not None:
                self.show(flow.tap(write, self._half, self._lane.monotonic))

    def _calm_s(self) -> float:
        case = self.way.case
        assert case is not None
        timeouts = case.plan.timeouts[case.prepared.candidate.upstream]
        return min(SUSPECT_FLOOR_S, timeouts.stall_s, timeouts.whole_s)

    def _wait(self, flow: Flow, now: float) -> None:
        """Have somebody look at half a word, if one waits."""
        if flow.waiting and not flow.flushing:
            flow.flushing = True
            self._lane.alarms().half(self, flow.half_at + FLUSH_S - now)

    def _half(self) -> None:
        """Half a word has begun to wait."""
        flow = self._flow
        assert flow is not None
        self._wait(flow, flow.life_at)

    def flush(self) -> None:
        """It is time to look at the half word that waits."""
        live = self._live
        if live is None or live.flow is None or self.request.running is not self:
            return
        now = self._lane.clock.monotonic()
        live.flow.flushing = False
        out = live.flush(now)
        if self._flow is None:
            self._show(live, out, now)
            return
        self._wait(self._flow, now)
        if out:
            self.request.pass_on(out)

    def look(self) -> None:
        """Let the exchange have its timers before they are due."""
        case = self.way.case
        assert case is not None
        timeouts = case.plan.timeouts[case.prepared.candidate.upstream]
        first_s = min(timeouts.first_byte_s, timeouts.keepalive_after_s, timeouts.deadline_s)
        soon = self._lane.clock.monotonic() + LOOK_S
        if self._flow is None and self.since + min(first_s, timeouts.whole_s) < soon:
            self._the_long_way()

    def alarm(self) -> None:
        """Silences are the exchange's to judge."""
        if self._flow is None or self.request.running is not self:
            return
        wait_s = self._flow.calm_until - self._lane.clock.monotonic()
        if wait_s > 0:
            self._lane.alarms().later(self.alarm, wait_s)
        else:
            self._the_long_way()

    def _over(self) -> None:
        """Nobody needs to look at it any more."""
        self.show(None)

    def _the_long_way(self) -> tuple[Run, Listener]:
        self._over()
        self.quick = 0
        live = self._live
        run = self.request.running = self._lane.run_of(self)
        heard = live.heard if live is not None else []
        if live is not None and self._head:
            heard[0] = msgspec.structs.replace(live.head, headers=headers_of(self._head))
        hearing = run.adopt(self, self.since, heard, self._flow)
        if self.listener is self:
            self.listener = hearing
        return run, hearing
