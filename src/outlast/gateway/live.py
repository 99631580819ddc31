"""A stream that is one text from its first word to its last, without an exchange. Pure.

As express.py for whole answers: the first candidate says 200, a start, pieces of one text, why it
stopped and the end. Opening and ending are read in full, by the format's own Reader; what is
between them is a Flow's. Anything else is `Odd`: then the exchange is told all of it, takes over
the flow, and goes on. A property in tests/gateway/relay/test_streaming.py compares both ways.
"""

from __future__ import annotations

from array import array

from outlast.gateway.events import BytesReceived, Event, HeadReceived, TimerFired
from outlast.gateway.flow import Flow
from outlast.gateway.holding import HoldPolicy, Unit, only_signs_of_life
from outlast.gateway.leg import estimated
from outlast.gateway.skimming import Template
from outlast.nouns import Tokens
from outlast.wire.codec import Codec
from outlast.wire.sse import parse_event
from outlast.wire.stream import (
    AnswerEvent,
    BlockStart,
    BlockStop,
    End,
    MalformedFrame,
    Start,
    Stop,
    TextDelta,
)

OPENING_LIMIT_BYTES = 64 << 10
"""What begins with more than this is no plain text."""
_END = b"\n\n"


class Odd(Exception):
    """Something else than one plain text comes, or may: what was fed last was not taken in."""


class Live:
    """`head`, then `feed` each read until `ended`; what they return goes to the client at once.

    All times are monotonic seconds.
    """

    __slots__ = (
        "_codec",
        "_opening",
        "_read",
        "_reader",
        "_said",
        "_times",
        "committed",
        "ended",
        "flow",
        "head",
        "heard",
        "model",
        "tokens",
    )

    def __init__(self, codec: Codec, head: HeadReceived) -> None:
        self._codec = codec
        self._reader = codec.reader()
        self._opening = b""
        """What came before the first piece of text and is not shown yet."""
        self._read = 0
        """How many bytes of what came were read so."""
        self._times = array("d")
        self._said: list[str] = []
        self.head = head
        self.heard: list[Event] = [head]
        """All that happened before something was shown."""
        self.flow: Flow | None = None
        self.model = ""
        self.tokens: Tokens | None = None
        self.committed = False
        self.ended = False

    @property
    def times(self) -> array[float]:
        """When pieces of text came, once for each read."""
        return self._times + self.flow.times if self.flow is not None else self._times

    def feed(self, data: bytes, now: float) -> bytes:
        """Take in a read; return what goes out. Raises Odd."""
        flow = self.flow
        if flow is not None and (out := flow.feed(data, now)) is not None:
            return out if self.committed else self._hidden(BytesReceived(0, data, now), out)
        try:
            out = self._opened(data, now) if flow is None else self._close(flow, data, now)
        except (MalformedFrame, ValueError, KeyError) as error:
            raise Odd from error
        return (
            out if self.committed or self.ended else self._hidden(BytesReceived(0, data, now), out)
        )

    def flush(self, now: float) -> bytes:
        """Return half a word that has waited long enough."""
        flow = self.flow
        out = flow.flush(now) if flow is not None else b""
        if out and not self.committed:
            return self._hidden(TimerFired("flush", now), out)
        return out

    def estimated(self, prompt_tokens: int) -> Tokens:
        """What it cost, as told; else as estimated."""
        said = self._said + self.flow.said if self.flow is not None else self._said
        return estimated(self.tokens, said, prompt_tokens, stopped=True)

    def _hidden(self, event: Event, out: bytes) -> bytes:
        """Nothing was shown until now: what is, begins with what waited for it."""
        self.heard.append(event)
        if not out:
            return b""
        assert self.flow is not None
        self.committed = True
        opening, self._opening = self._opening, b""
        self._times += self.flow.times
        self._said += self.flow.said
        self.flow = self.flow.anew()
        return opening + out

    # -- the two ends --------------------------------------------------------------------------

    def _opened(self, data: bytes, now: float) -> bytes:
        """Read up to the first piece of text."""
        waiting = b"".join([e.data for e in self.heard if isinstance(e, BytesReceived)]) + data
        if len(waiting) > OPENING_LIMIT_BYTES or b"\r" in waiting or waiting[:1] == b"\xef":
            raise Odd
        while (end := waiting.find(_END, self._read) + 2) > 1:
            raw = waiting[self._read : end]
            events = self._events(raw)
            if events and isinstance(events[-1], TextDelta):
                return self._begin(waiting[self._read :], raw, events, now)
            if not only_signs_of_life(Unit(raw, events)):
                if not events or not all(map(self._begins, events)):
                    raise Odd
                self._opening += raw
            self._read = end
        return b""

    def _begin(self, data: bytes, raw: bytes, events: list[AnswerEvent], now: float) -> bytes:
        """Let the text flow, from its first piece on."""
        piece = events[-1]
        assert isinstance(piece, TextDelta)
        template = Template.of(raw, piece.text)
        if template is None or not all(map(self._begins, events[:-1])):
            raise Odd
        limit_bytes = HoldPolicy().limit_bytes
        flow = self.flow = Flow(template, piece.index, words=True, limit_bytes=limit_bytes)
        flow.content_at = flow.life_at = flow.half_at = now
        out = flow.feed(data, now)
        return out if out is not None else self._close(flow, data, now)

    def _begins(self, event: AnswerEvent) -> bool:
        """Whether this may stand before the text; what it says is noted."""
        if isinstance(event, Start):
            self.model = event.model or self.model
            self.tokens = event.tokens or self.tokens
            return True
        return isinstance(event, BlockStart) and event.kind == "text"

    def _close(self, flow: Flow, data: bytes, now: float) -> bytes:
        """Read the last pieces, and how it ends."""
        whole = flow.rest + data
        run = flow.read(whole)
        at = run.end if run is not None else 0
        ending = whole[at:]
        *frames, after = ending.split(_END)
        if b"\r" in ending or after or not frames:
            raise Odd
        meant = [self._events(frame + _END) for frame in frames]
        events = [event for each in meant for event in each]
        stops = [event for event in events[1:-1] if isinstance(event, Stop)]
        whole_end = bool(stops) and len(stops) == len(events) - 2 and all(meant)
        if not (whole_end and isinstance(events[0], BlockStop) and isinstance(events[-1], End)):
            raise Odd
        out = flow.tell(whole, run, now) if run is not None else b""
        last = b"".join([frame for frame, _ in flow.held])
        for stop in stops:
            self.tokens = stop.tokens or self.tokens
        self.ended = True
        opening, self._opening = self._opening, b""
        return b"%b%b%b%b" % (opening, out, last, ending)

    def _events(self, raw: bytes) -> list[AnswerEvent]:
        """Return what a frame means."""
        raw.decode()  # raises ValueError: other bytes than text are a failure
        if raw[:1] == b"\n":
            raise Odd
        event = parse_event(raw)
        legible = self._codec.legible
        if legible is not None and legible(event) is not event.raw:
            raise Odd  # clients would not read it as it came
        return self._reader.feed(event)
