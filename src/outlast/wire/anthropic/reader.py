"""What an Anthropic upstream says: its stream, frame by frame, and its whole answers. Pure.

Grammar (docs, "Streaming messages"): message_start; per block content_block_start,
content_block_delta*, content_block_stop; message_delta+ ; message_stop; ping and error anywhere;
unknown event types may be added. Anything else is malformed, and never skipped.
"""

from __future__ import annotations

from typing import Any, Never

import msgspec

from outlast.nouns import Format, Tokens
from outlast.wire.anthropic.errors import status_of
from outlast.wire.anthropic.tables import Usage, arguments_of, merge_tokens, stop_reason
from outlast.wire.canon import JSON
from outlast.wire.sse import ServerSentEvent
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockKind,
    BlockStart,
    BlockStop,
    End,
    Failed,
    ForeignDelta,
    MalformedFrame,
    Ping,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)

_ORIGIN = Format.ANTHROPIC


class _Message(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: Usage | None = None


class _TextDelta(msgspec.Struct, tag="text_delta"):
    text: str


class _JsonDelta(msgspec.Struct, tag="input_json_delta"):
    partial_json: str


class _ThinkingDelta(msgspec.Struct, tag="thinking_delta"):
    thinking: str


class _SignatureDelta(msgspec.Struct, tag="signature_delta"):
    signature: str


class _MessageStart(msgspec.Struct, tag="message_start"):
    message: _Message


class _BlockStart(msgspec.Struct, tag="content_block_start"):
    index: int
    content_block: dict[str, Any]


class _BlockDelta(msgspec.Struct, tag="content_block_delta"):
    index: int
    delta: _TextDelta | _JsonDelta | _ThinkingDelta | _SignatureDelta


class _BlockStop(msgspec.Struct, tag="content_block_stop"):
    index: int


class _Reason(msgspec.Struct):
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _MessageDelta(msgspec.Struct, tag="message_delta"):
    delta: _Reason
    usage: Usage | None = None


class _MessageStop(msgspec.Struct, tag="message_stop"):
    pass


class _Ping(msgspec.Struct, tag="ping"):
    pass


class _ErrorDetail(msgspec.Struct):
    type: str = ""
    message: str = ""


class _Error(msgspec.Struct, tag="error"):
    error: _ErrorDetail


_Frame = (
    _BlockDelta
    | _BlockStart
    | _BlockStop
    | _MessageStart
    | _MessageDelta
    | _MessageStop
    | _Ping
    | _Error
)


class _Probe(msgspec.Struct):
    type: str


class _ForeignBlockDelta(msgspec.Struct):
    """A delta of a type that is not in the table: it belongs to its origin's clients."""

    index: int
    delta: dict[str, Any]


_KNOWN = {
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "error",
}
_DELTAS = {"text_delta", "input_json_delta", "thinking_delta", "signature_delta"}
_DECODER = msgspec.json.Decoder(_Frame)
_PROBE = msgspec.json.Decoder(_Probe)
_FOREIGN_DELTA = msgspec.json.Decoder(_ForeignBlockDelta)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_KINDS: dict[str, BlockKind] = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "redacted_thinking",
    "tool_use": "tool_use",
}


def legible(event: ServerSentEvent) -> bytes:
    """Return the frame under the name that its data has: the official SDKs pass over any other, so
    that an upstream that leaves names out would answer with nothing, as a success.
    """
    if not event.data or event.data.startswith(b'{"type":"%s"' % event.name.encode()):
        return event.raw
    try:
        kind = _PROBE.decode(event.data).type
    except _UNREADABLE:
        return event.raw
    if kind == event.name or kind not in _KNOWN:
        return event.raw
    lines = b"".join(b"data: " + line + b"\n" for line in event.data.split(b"\n"))
    return b"event: " + kind.encode() + b"\n" + lines + b"\n"


class Reader:
    """Watches one stream. `feed` is called once per frame, on every request."""

    plain_pieces = True
    """A piece of text that goes on with an open block changes nothing here."""

    def __init__(self) -> None:
        self._tokens: Tokens | None = None
        self._started = False
        self._stopped = False
        self._ended = False
        self._blocks = 0
        self._open: BlockKind | None = None
        self._input: JSON = {}
        self._has_arguments = False

    def feed(self, event: ServerSentEvent) -> list[AnswerEvent]:
        """Return what this frame means; `[]` for comments and unknown types.

        Raises MalformedFrame where data is not JSON or breaks the order of events.
        """
        if not event.data:
            return []
        try:
            frame = _DECODER.decode(event.data)
        except _UNREADABLE as error:
            return self._unusual(event, error)
        if type(frame) is _BlockDelta:
            return self._delta(frame)
        return self._rare(frame)

    def _rare(self, frame: _Frame) -> list[AnswerEvent]:
        if isinstance(frame, _Ping):
            return [Ping()]
        if isinstance(frame, _Error):
            kind = frame.error.type
            return [Failed(kind, frame.error.message, status_of(kind))]
        if self._ended:
            _broken("an event after message_stop")
        if isinstance(frame, _MessageStart):
            return self._begin(frame.message)
        if not self._started:
            _broken(f"{frame.__struct_config__.tag} before message_start")
        if isinstance(frame, _BlockStart):
            return self._block_start(frame)
        if isinstance(frame, _BlockStop):
            return self._block_stop(frame.index)
        if isinstance(frame, _MessageDelta):
            return self._message_delta(frame)
        if not self._stopped:
            _broken("message_stop without a stop_reason before it")
        self._ended = True
        return [End()]

    def _unusual(self, event: ServerSentEvent, error: Exception) -> list[AnswerEvent]:
        """A frame that is not in the tables: new to us, or broken."""
        if self._ended and event.data == b"[DONE]":
            return []  # a habit of proxies that also speak OpenAI's format
        try:
            kind = _PROBE.decode(event.data).type
        except _UNREADABLE:
            raise MalformedFrame(f"not an event of the Messages API: {error}") from error
        if kind not in _KNOWN:
            return []
        if kind == "content_block_delta":
            return self._unusual_delta(event, error)
        raise MalformedFrame(f"{kind}: {error}") from error

    def _unusual_delta(self, event: ServerSentEvent, error: Exception) -> list[AnswerEvent]:
        try:
            frame = _FOREIGN_DELTA.decode(event.data)
        except _UNREADABLE:
            raise MalformedFrame(f"content_block_delta: {error}") from error
        name = frame.delta.get("type")
        if not isinstance(name, str) or name in _DELTAS:
            raise MalformedFrame(f"content_block_delta: {error}") from error
        self._expect_open(frame.index)
        return [ForeignDelta(frame.index, frame.delta, _ORIGIN)]

    def _begin(self, message: _Message) -> list[AnswerEvent]:
        if self._started:
            _broken("a second message_start")
        self._started = True
        self._tokens = merge_tokens(None, message.usage)
        return [Start(message.id, message.model, self._tokens)]

    def _block_start(self, frame: _BlockStart) -> list[AnswerEvent]:
        if self._open is not None:
            _broken(f"block {frame.index} starts inside block {self._blocks - 1}")
        if self._stopped:
            _broken("a block after the stop_reason")
        if frame.index != self._blocks:
            _broken(f"block {frame.index} where block {self._blocks} was due")
        self._blocks += 1
        events = block_start(frame.index, frame.content_block)
        start = events[0]
        assert isinstance(start, BlockStart)
        self._open = start.kind
        self._has_arguments = False
        self._input = frame.content_block.get("input") or {}
        return events

    def _delta(self, frame: _BlockDelta) -> list[AnswerEvent]:
        index, delta = frame.index, frame.delta
        if self._open is None or index != self._blocks - 1:
            self._expect_open(index)
        kind = self._open
        if kind == "foreign":
            raw = msgspec.to_builtins(delta)
            return [ForeignDelta(index, raw, _ORIGIN)]
        if isinstance(delta, _TextDelta) and kind == "text":
            return [TextDelta(index, delta.text)] if delta.text else []
        if isinstance(delta, _JsonDelta) and kind == "tool_use":
            if not delta.partial_json:
                return []
            self._has_arguments = True
            return [ArgsDelta(index, delta.partial_json)]
        if isinstance(delta, _ThinkingDelta) and kind == "thinking":
            return [ThinkingDelta(index, delta.thinking)] if delta.thinking else []
        if isinstance(delta, _SignatureDelta) and kind == "thinking":
            return [SignatureDelta(index, delta.signature, _ORIGIN)] if delta.signature else []
        raise MalformedFrame(f"{delta.__struct_config__.tag} in a block of kind {kind}")

    def _expect_open(self, index: int) -> None:
        if not self._started:
            _broken("content_block_delta before message_start")
        if self._open is None or index != self._blocks - 1:
            _broken(f"block {index} is not open")

    def _block_stop(self, index: int) -> list[AnswerEvent]:
        self._expect_open(index)
        events: list[AnswerEvent] = []
        if self._open == "tool_use" and not self._has_arguments:
            # No argument at all is an empty object; some servers send them whole at the start.
            events.append(ArgsDelta(index, arguments_of(self._input)))
        self._open = None
        return [*events, BlockStop(index)]

    def _message_delta(self, frame: _MessageDelta) -> list[AnswerEvent]:
        self._tokens = merge_tokens(self._tokens, frame.usage)
        if frame.delta.stop_reason is None:
            return []
        if self._open is not None:
            _broken(f"a stop_reason while block {self._blocks - 1} is open")
        self._stopped = True
        reason = stop_reason(frame.delta.stop_reason)
        return [Stop(reason, self._tokens, frame.delta.stop_sequence)]


def _broken(why: str) -> Never:
    raise MalformedFrame(why)


def block_start(index: int, block: JSON) -> list[AnswerEvent]:
    """Return the events of a block's first frame, with what it already holds.

    `block` as in content_block_start or in the content of a whole message; tool input is left out.
    """
    name = block.get("type")
    if not isinstance(name, str):
        _broken(f"block {index} has no type")
    kind = _KINDS.get(name)
    match kind:
        case None:
            return [BlockStart(index, "foreign", raw=block, origin=_ORIGIN)]
        case "redacted_thinking":
            data = _text(block, "data")
            return [BlockStart(index, kind, data=data, origin=_ORIGIN)]
        case "tool_use":
            if not isinstance(block.get("input", {}), dict | None):
                _broken(f"block {index}: input is not an object")
            return [BlockStart(index, kind, id=_text(block, "id"), name=_text(block, "name"))]
        case "text":
            events: list[AnswerEvent] = [BlockStart(index, kind)]
            if text := _text(block, "text"):
                events.append(TextDelta(index, text))
            return events
        case _:
            events = [BlockStart(index, "thinking")]
            if text := _text(block, "thinking"):
                events.append(ThinkingDelta(index, text))
            if signature := _text(block, "signature"):
                events.append(SignatureDelta(index, signature, _ORIGIN))
            return events


def _text(block: JSON, key: str) -> str:
    value = block.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        _broken(f"{block.get('type')}: {key} is not a string")
    return value


class _Whole(msgspec.Struct):
    type: str
    content: list[dict[str, Any]]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None


def parse_answer(body: JSON) -> list[AnswerEvent]:
    """Return a whole message as the events that a stream of it gives.

    Raises MalformedFrame where `body` is not a finished message.
    """
    try:
        message = msgspec.convert(body, _Whole)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedFrame(f"not a message of the Messages API: {error}") from error
    if message.type != "message":
        _broken(f"not a message but {message.type!r}")
    if message.stop_reason is None:
        _broken("a message without a stop_reason is not finished")
    tokens = merge_tokens(None, message.usage)
    events: list[AnswerEvent] = [Start(message.id, message.model, tokens)]
    for index, block in enumerate(message.content):
        events += block_start(index, block)
        if block.get("type") == "tool_use":
            events.append(ArgsDelta(index, arguments_of(block.get("input"))))
        if block.get("type") == "text":
            for citation in _citations(block):
                raw = {"type": "citations_delta", "citation": citation}
                events.append(ForeignDelta(index, raw, _ORIGIN))
        events.append(BlockStop(index))
    reason = stop_reason(message.stop_reason)
    return [*events, Stop(reason, tokens, message.stop_sequence), End()]


def _citations(block: JSON) -> list[JSON]:
    citations = block.get("citations")
    if citations is None:
        return []
    if not isinstance(citations, list) or not all(isinstance(one, dict) for one in citations):
        _broken("text: citations is not a list of objects")
    return citations
