"""What the client hears, in its own dialect. Pure.

Same format on both sides: the upstream's frames go through as they are. Otherwise, and after a
seam, the client's writer renders what they mean. Either way a transcript of what was said is
kept, so that an error, a missing end or another voice can go on where the client stands.

The truth about a seam is told where the official SDKs bear it (continuity.md 1.1, "SDK matrix"):
Anthropic's clients skip a `ping` with more in it and unknown fields; OpenAI's bear comments and
unknown fields, and no event that they do not know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol, runtime_checkable

import msgspec

from outlast.gateway.flow import Render
from outlast.gateway.foreword import Foreword
from outlast.gateway.holding import Unit
from outlast.gateway.transcript import Transcript
from outlast.nouns import Format
from outlast.wire.canon import JSON, Request
from outlast.wire.codec import Codec
from outlast.wire.sse import format_event
from outlast.wire.stream import AnswerEvent, BlockStart, End, Start, TextDelta, Writer


@runtime_checkable
class Resumable(Protocol):
    """A writer whose frames are numbered, and whose items have ends of their own."""

    def resume_at(self, sequence: int, done: Collection[str]) -> None: ...


class Speaker:
    def __init__(self, codec: Codec, request: Callable[[], Request], created: int = 0) -> None:
        """`created`: seconds since the epoch, for answers whose upstream gives no time."""
        self._codec = codec
        self._request = request
        self._writer: Writer = codec.writer(request())
        self._created = created
        self._through = False
        self._truth: JSON = {}
        self._untold = False
        self._foreword: Foreword | None = None
        self.iterations: list[JSON] = []
        """Anthropic's `usage.iterations` for the last event, where there were several voices."""
        self.transcript = Transcript()

    def begin(self, *, same_format: bool, words: str = "") -> None:
        """An attempt is about to be heard for the first time, after these words to people."""
        self._through = same_format and not words
        self._foreword = Foreword(words) if words else None
        self._writer = self._codec.writer(self._request())

    def say(self, units: list[Unit]) -> bytes:
        """Return the bytes of these units for the client.

        Raises MalformedFrame where the upstream's events make no legal stream.
        """
        if not self._through:
            return b"".join(map(self._rendered, units))
        out: list[bytes] = []
        for unit in units:
            # Nothing of the upstream's: the format's last word, which it did not say.
            out.append(unit.raw or self._codec.last_word)
            self.transcript.note(unit.events, unit.raw)
        return b"".join(out)

    def _rendered(self, unit: Unit) -> bytes:
        if not unit.pieces:
            return self._render(unit.events)
        self.transcript.note(unit.events, b"")
        (said,) = unit.events
        assert isinstance(said, TextDelta)
        return self._writer.pieces(said.index, unit.pieces)

    @property
    def render(self) -> Render | None:
        """How pieces of the open text are said; None: as they came. What was said is `told`."""
        return None if self._through else self._writer.pieces

    def told(self, index: int, text: str) -> None:
        """Take note of text that went out in our name."""
        self.transcript.note([TextDelta(index, text)], b"")

    def _render(self, events: list[AnswerEvent]) -> bytes:
        if self._foreword is not None:
            events = self._foreword.feed(events)
            self.transcript.asides.add(Foreword.INDEX)
        return self.voice(events)

    def seam(self, truth: JSON) -> bytes:
        """From here on another voice speaks; return the frame that says so.

        `truth` is repeated on the stream's last event, and on the next frame where the dialect
        has no event to put it in.
        """
        if self._through:
            self._writer = self._caught_up()
            self._through = False
        self._truth, self._untold = truth, True
        if self._codec.format is Format.ANTHROPIC:
            self._untold = False
            return format_event(msgspec.json.encode({"type": "ping", "outlast": truth}), "ping")
        return b": outlast " + msgspec.json.encode(truth) + b"\n\n"

    def voice(self, events: list[AnswerEvent]) -> bytes:
        """Return canonical events as the client's frames. Raises MalformedFrame."""
        if self._codec.format is Format.ANTHROPIC and self.transcript.start is not None:
            # A second start names another model; this dialect names it once, and then in the truth.
            events = [event for event in events if not isinstance(event, Start)]
        out: list[bytes] = []
        for event in events:
            frames = self._writer.write(dated(event, self._created))
            if self._truth and frames and (self._untold or isinstance(event, End)):
                frames = _told(frames, self._truth, last=isinstance(event, End))
                if isinstance(event, End) and self.iterations:
                    frames = _with_iterations(frames, self.iterations)
                self._untold = False
            out.append(frames)
        self.transcript.note(events, b"")
        return b"".join(out)

    def aside(self, events: list[AnswerEvent]) -> bytes:
        """Return our own words to people: shown, and never taken for a part of the answer."""
        self.transcript.asides |= {e.index for e in events if isinstance(e, BlockStart)}
        return self.voice(events)

    def keepalive(self) -> bytes:
        return self._writer.keepalive()

    def failure(self, status: int, message: str, request_id: str) -> bytes:
        """Return the in-band error that ends what was said so far."""
        writer = self._caught_up() if self._through else self._writer
        return writer.failure(status, message, request_id)

    def _caught_up(self) -> Writer:
        """A writer that stands where the bytes passed through have got to."""
        writer = self._codec.writer(self._request())
        for event in self.transcript.events():
            writer.write(event)
        if isinstance(writer, Resumable) and self.transcript.sequence is not None:
            writer.resume_at(self.transcript.sequence + 1, self.transcript.done_items)
        return writer


def dated(event: AnswerEvent, created: int) -> AnswerEvent:
    """Return the event; a start without a time gets one, which OpenAI's formats want."""
    if isinstance(event, Start) and not event.created:
        return msgspec.structs.replace(event, created=created)
    return event


_OBJECT = b"data: {"
_USAGE = b'"usage":{'


def _with_iterations(frames: bytes, iterations: list[JSON]) -> bytes:
    field = b'"iterations":' + msgspec.json.encode(iterations) + b","
    return frames.replace(_USAGE, _USAGE + field, 1)


def _told(frames: bytes, truth: JSON, *, last: bool) -> bytes:
    """Put the truth into a frame as a field that every client skips.

    Of the frames that end a stream it is the first one, `message_delta` or the chunk with the
    finish reason; of a Responses stream the terminal event, whose metadata says it too.
    """
    marker = _OBJECT + b'"type":"response.'
    if not last or marker not in frames:
        field = b'"outlast":' + msgspec.json.encode(truth) + b","
        return frames.replace(_OBJECT, _OBJECT + field, 1)
    head, data = frames[: frames.rindex(_OBJECT) + 6], frames[frames.rindex(_OBJECT) + 6 :]
    event = msgspec.json.decode(data)
    event["outlast"] = truth
    response = event.get("response")
    if isinstance(response, dict):
        text = msgspec.json.encode(truth).decode()[:512]
        response["metadata"] = {**(response.get("metadata") or {}), "outlast": text}
    return head + msgspec.json.encode(event) + b"\n\n"
