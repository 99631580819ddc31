"""A stream that is one text from its first word to its last, without an exchange. Pure.

As express.py for whole answers: the first candidate says 200, a start, pieces of one text, why it
stopped and the end. Opening and ending are read in full, by the format's own Reader; what is
between them is a Flow's. Anything else is `Odd`: then the exchange is told all of it, takes over
the flow, and goes on. Properties in tests/gateway/relay compare both ways.

Where client and upstream speak different formats, what is read is said again by the client's own
Writer.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from outlast.gateway.events import BytesReceived, Event, HeadReceived, TimerFired
from outlast.gateway.flow import Flow
from outlast.gateway.holding import HoldPolicy, Unit, only_signs_of_life
from outlast.gateway.leg import completed
from outlast.gateway.skimming import Run, Template, texts_of, written
from outlast.gateway.speaker import dated
from outlast.native import compiled
from outlast.nouns import Format, Tokens
from outlast.wire.anthropic.tables import OutputDetails, Usage, merge_tokens
from outlast.wire.codec import Codec
from outlast.wire.estimate import estimate_tokens, estimate_written
from outlast.wire.openai_chat.chunks import tokens_from
from outlast.wire.sse import parse_event
from outlast.wire.stream import (
    AnswerEvent,
    BlockStart,
    BlockStop,
    End,
    MalformedFrame,
    Reader,
    Start,
    Stop,
    TextDelta,
    Writer,
)

OPENING_LIMIT_BYTES = 64 << 10
"""What begins with more than this is no plain text."""
_END = b"\n\n"
_LIMIT_BYTES = HoldPolicy().limit_bytes


class Odd(Exception):
    """Something else than one plain text comes, or may: what was fed last was not taken in."""


class Retelling:
    """What a client of another format hears."""

    def __init__(self, writer: Writer, created: int) -> None:
        """`created`: seconds since the epoch, for answers whose upstream gives no time."""
        self._writer = writer
        self._created = created
        self.pieces = writer.pieces

    def frames(self, events: Sequence[AnswerEvent]) -> bytes:
        write, created = self._writer.write, self._created
        return b"".join([write(dated(event, created)) for event in events])


class Live:
    """`head`, then `feed` each read until `ended`; what they return goes to the client at once.

    All times are monotonic seconds.
    """

    __slots__ = (
        "_codec",
        "_ends",
        "_opening",
        "_read",
        "_reader",
        "_retelling",
        "_runs",
        "_times",
        "_unread",
        "committed",
        "ended",
        "flow",
        "head",
        "heard",
        "model",
        "tokens",
    )

    def __init__(
        self,
        form: Format,
        codec: Codec,
        head: HeadReceived,
        retelling: Retelling | None = None,
    ) -> None:
        """`form`, `codec`: the upstream's; `retelling`: where the client's is another one."""
        self._codec = codec
        self._retelling = retelling
        self._ends = _ENDS.get(form) if retelling is None else None
        """How both ends are read where C is there, in the shapes in which they mostly come."""
        self._reader: Reader | None = None
        self._unread = b""
        """What came first and was not told to the Reader."""
        self._opening = b""
        """What came before the first piece of text and is not shown yet."""
        self._read = 0
        """How many bytes of what came were read so."""
        self._times = array("d")
        self._runs: list[bytes] = []
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
        told = self.tokens
        if told is not None and told.output:
            return told
        runs = self._runs + self.flow.runs if self.flow is not None else self._runs
        output = estimate_written(written(runs))
        if output is None:
            output = estimate_tokens("".join(texts_of(runs)))
        return completed(told, output, prompt_tokens)

    def _hidden(self, event: Event, out: bytes) -> bytes:
        """Nothing was shown until now: what is, begins with what waited for it."""
        self.heard.append(event)
        if not out:
            return b""
        assert self.flow is not None
        self.committed = True
        opening, self._opening = self._opening, b""
        self._times += self.flow.times
        self._runs += self.flow.runs
        self.flow.begin_anew()
        return opening + out

    # -- the two ends --------------------------------------------------------------------------

    def _opened(self, data: bytes, now: float) -> bytes:
        """Read up to the first piece of text."""
        waiting = data
        if len(self.heard) > 1:  # more than the head
            waiting = b"".join([e.data for e in self.heard if isinstance(e, BytesReceived)]) + data
        if len(waiting) > OPENING_LIMIT_BYTES or b"\r" in waiting or waiting[:1] == b"\xef":
            raise Odd
        if self._ends is not None:
            found = self._ends.begins(waiting)
            if found is not None:
                return self._begun(waiting, found, now)
        while (end := waiting.find(_END, self._read) + 2) > 1:
            raw = waiting[self._read : end]
            events = self._events(raw)
            if events and isinstance(events[-1], TextDelta):
                if not all(map(self._begins, events[:-1])):
                    raise Odd
                piece = events[-1]
                if self._retelling is not None:
                    self._opening += self._retelling.frames(events[:-1])
                template = Template.of(raw, piece.text)
                return self._flow(waiting[self._read :], template, piece.index, now)
            if not only_signs_of_life(Unit(raw, events)):
                if not events or not all(map(self._begins, events)):
                    raise Odd
                self._opening += raw if self._retelling is None else self._retelling.frames(events)
            self._read = end
        return b""

    def _begun(self, data: bytes, found: Any, now: float) -> bytes:
        """As C has read the opening: go on with the first piece of text."""
        self.model, at, start, until, end, ping, unping, *usage = found
        self.tokens = _merged(None, usage[0]) if usage else None
        self._opening = data[:ping] + data[unping:at]
        self._reader, self._unread = None, data[:end]
        template = Template.at(data[at:end], start - at, until - at)
        return self._flow(data[at:], template, 0, now)

    def _flow(self, data: bytes, template: Template | None, index: int, now: float) -> bytes:
        """Let the text flow, from the first piece on, with which `data` begins."""
        if template is None:
            raise Odd
        retelling = self._retelling
        render = retelling.pieces if retelling is not None else None
        flow = Flow(template, index, words=True, limit_bytes=_LIMIT_BYTES, render=render)
        self.flow = flow
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
        if self._retelling is not None:
            return self._close_retold(self._retelling, flow, run, whole[at:], now)
        usage = None
        if self._ends is not None and self._reader is None:  # C has read the beginning too
            usage = self._ends.ends(whole, at)
            if usage:
                self.tokens = self._ends.counted(self.tokens, usage)
        if usage is None:
            self._read_end(whole[at:])
        waited = flow.end(run, now)
        self.ended = True
        opening, self._opening = self._opening, b""
        return b"%b%b%b" % (opening, waited, whole)

    def _close_retold(
        self, retelling: Retelling, flow: Flow, run: Run | None, ending: bytes, now: float
    ) -> bytes:
        """As `_close`, for a client of another format."""
        events = self._read_end(ending)
        out = flow.last(run, retelling.pieces) + retelling.frames(events)
        flow.end(run, now)  # not before: what cannot be said was not taken in
        self.ended = True
        opening, self._opening = self._opening, b""
        return opening + out

    def _read_end(self, ending: bytes) -> list[AnswerEvent]:
        """Read how it ends, frame by frame."""
        *frames, after = ending.split(_END)
        if b"\r" in ending or after or not frames:
            raise Odd
        meant = [self._events(frame + _END) for frame in frames]
        events = [event for each in meant for event in each]
        stops = [event for event in events[1:-1] if isinstance(event, Stop)]
        whole_end = bool(stops) and len(stops) == len(events) - 2 and all(meant)
        if not (whole_end and isinstance(events[0], BlockStop) and isinstance(events[-1], End)):
            raise Odd
        for stop in stops:
            self.tokens = stop.tokens or self.tokens
        return events

    def _events(self, raw: bytes) -> list[AnswerEvent]:
        """Return what a frame means."""
        if self._reader is None:
            self._reader, unread = self._codec.reader(), self._unread
            for frame in unread.split(_END)[:-1]:
                self._reader.feed(parse_event(frame + _END))
        raw.decode()  # raises ValueError: other bytes than text are a failure
        if raw[:1] == b"\n":
            raise Odd
        event = parse_event(raw)
        legible = self._codec.legible
        if legible is not None and legible(event) is not event.raw:
            raise Odd  # clients would not read it as it came
        return self._reader.feed(event)


# -- as C reads the two ends -------------------------------------------------------------------


class _Ends(msgspec.Struct, frozen=True):
    begins: Callable[[bytes], Any]
    ends: Callable[[bytes, int], Any]
    counted: Callable[[Tokens | None, Any], Tokens | None]
    """The tokens after a usage."""


def _merged(before: Tokens | None, usage: tuple[int, ...]) -> Tokens | None:
    """Of messages: counts that are not told are -1."""
    if not usage:
        return before
    told = [None if count < 0 else count for count in usage]
    fresh, output, cached, created, thinking = told
    return merge_tokens(before, Usage(fresh, output, cached, created, OutputDetails(thinking)))


def _replaced(before: Tokens | None, usage: tuple[int, ...]) -> Tokens | None:
    """Of chat completions."""
    prompt, output, hit, cached, written, thought = usage
    if not prompt and not output:
        return before
    return tokens_from(prompt, output, cached or hit, written, thought)


def _ends_of(name: str, counted: Callable[[Tokens | None, Any], Tokens | None]) -> _Ends | None:
    begins, ends = compiled(f"{name}_begins"), compiled(f"{name}_ends")
    return _Ends(begins, ends, counted) if begins is not None and ends is not None else None


_ENDS = {
    Format.OPENAI_CHAT: _ends_of("chat", _replaced),
    Format.ANTHROPIC: _ends_of("messages", _merged),
}
