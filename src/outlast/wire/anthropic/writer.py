"""What an Anthropic client hears: a complete, legal stream, or a whole message. Pure.

Both come from one place, the Shaper, which turns canonical events of any origin into the events
of the Messages API; the Writer puts them into frames, `render_answer` adds them up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from outlast.nouns import Format, Tokens
from outlast.wire.anthropic.errors import render_error
from outlast.wire.anthropic.ids import answer_tool_id, message_id
from outlast.wire.anthropic.tables import STOP_WORDS, usage_of
from outlast.wire.canon import JSON, Request
from outlast.wire.codec import ApiError
from outlast.wire.estimate import estimate_request, estimate_tokens
from outlast.wire.sse import around, format_event
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
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

_PING = format_event(b'{"type":"ping"}', "ping")
_ENCODER = msgspec.json.Encoder()

_Delta = TextDelta | ThinkingDelta | SignatureDelta | ArgsDelta | ForeignDelta


class Shaper:
    """Canonical events in, events of the Messages API out, in their exact order.

    What only another vendor's clients understand (foreign blocks and deltas, redacted thinking
    and signatures of another origin) is left out; indices close up behind it. A signature is
    never invented: thinking of other vendors has an empty one. The stop is kept until the end, so
    that there is one message_delta, with the last word on usage.

    Raises MalformedFrame where the events are not in canonical order: an open tool call, say, is
    never closed to make a stream look whole.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._answer_id: str | None = None
        self._model = ""
        self._tokens: Tokens | None = None
        self._stop: Stop | None = None
        self._ended = False
        self._blocks = 0
        self._open: BlockStart | None = None
        self._shown = False
        self._custom_pieces = 0
        self._has_tool = False
        self._said: list[str] = []

    def shape(self, event: AnswerEvent) -> list[JSON]:
        """Return the events for this one; `[]` where this format says nothing."""
        match event:
            case TextDelta() | ArgsDelta() | ThinkingDelta() | SignatureDelta() | ForeignDelta():
                return self._delta(event)
            case BlockStart():
                return self._block_start(event)
            case BlockStop():
                return self._block_stop(event)
            case Start():
                return self._start(event)
            case Stop():
                self._expect(self._open is None, "a stop inside an open block")
                self._stop = event
                return []
            case End():
                return self._end()
            case Ping():
                return [{"type": "ping"}]
            case Failed():
                body = render_error(ApiError(event.status, event.message, event.type), "")
                return [{"type": "error", "error": body["error"]}]

    def _start(self, event: Start) -> list[JSON]:
        self._expect(self._answer_id is None, "a second start", started=False)
        self._answer_id = event.id
        self._model = event.model or self._request.model
        self._tokens = event.tokens
        message: JSON = {
            "id": message_id(event.id),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(event.tokens or Tokens()),
        }
        return [{"type": "message_start", "message": message}]

    def _block_start(self, event: BlockStart) -> list[JSON]:
        self._expect(self._open is None, f"block {event.index} starts inside another")
        self._expect(self._stop is None, "a block after the stop")
        self._open = event
        self._custom_pieces = 0
        block = self._block(event)
        self._shown = block is not None
        if block is None:
            return []
        return [{"type": "content_block_start", "index": self._blocks, "content_block": block}]

    def _block(self, event: BlockStart) -> JSON | None:
        match event.kind:
            case "text":
                return {"type": "text", "text": ""}
            case "thinking":
                return {"type": "thinking", "thinking": "", "signature": ""}
            case "redacted_thinking":
                ours = event.origin is Format.ANTHROPIC
                return {"type": "redacted_thinking", "data": event.data} if ours else None
            case "foreign":
                return event.raw if event.origin is Format.ANTHROPIC else None
            case _:
                self._has_tool = True
                assert self._answer_id is not None
                tool_id = answer_tool_id(event.id, self._answer_id, event.index)
                return {"type": "tool_use", "id": tool_id, "name": event.name, "input": {}}

    def _delta(self, event: _Delta) -> list[JSON]:
        block = self._open
        if block is None or event.index != block.index:
            raise MalformedFrame(f"a delta for block {event.index}, which is not open")
        if not self._shown:
            return []
        delta = self._delta_of(event, block)
        if delta is None:
            return []
        return [{"type": "content_block_delta", "index": self._blocks, "delta": delta}]

    def text_block(self, index: int, texts: Sequence[str]) -> int | None:
        """Take in pieces of an open block's text; return the index that the block has here.

        None, and nothing is taken in, where it is not open, or no text.
        """
        block = self._open
        if block is None or block.index != index or block.kind != "text" or not self._shown:
            return None
        self._said += texts
        return self._blocks

    def _delta_of(self, event: _Delta, block: BlockStart) -> JSON | None:
        match event:
            case TextDelta(text=text) if block.kind == "text":
                self._said.append(text)
                return {"type": "text_delta", "text": text} if text else None
            case ThinkingDelta(text=text) if block.kind == "thinking":
                self._said.append(text)
                return {"type": "thinking_delta", "thinking": text} if text else None
            case SignatureDelta(signature=signature) if block.kind == "thinking":
                ours = event.origin is Format.ANTHROPIC
                return {"type": "signature_delta", "signature": signature} if ours else None
            case ArgsDelta(json=piece) if block.kind in {"tool_use", "custom_tool"}:
                self._said.append(piece)
                if block.kind == "custom_tool":
                    piece = self._custom_piece(piece)
                return {"type": "input_json_delta", "partial_json": piece} if piece else None
            case ForeignDelta(raw=raw):
                return raw if event.origin is Format.ANTHROPIC else None
            case _:
                raise MalformedFrame(f"{type(event).__name__} in a block of kind {block.kind}")

    def _custom_piece(self, text: str) -> str:
        """Free text as the JSON string `input`, piece by piece."""
        head = "" if self._custom_pieces else '{"input":"'
        self._custom_pieces += 1
        return head + msgspec.json.encode(text).decode()[1:-1]

    def _block_stop(self, event: BlockStop) -> list[JSON]:
        block = self._open
        if block is None or event.index != block.index:
            raise MalformedFrame(f"block {event.index} stops, which is not open")
        events: list[JSON] = []
        if block.kind == "custom_tool":
            tail = self._custom_piece("") + '"}'
            delta = {"type": "input_json_delta", "partial_json": tail}
            events.append({"type": "content_block_delta", "index": self._blocks, "delta": delta})
        self._open = None
        if not self._shown:
            return []
        events.append({"type": "content_block_stop", "index": self._blocks})
        self._blocks += 1
        return events

    def _end(self) -> list[JSON]:
        self._expect(self._open is None, "the end inside an open block")
        if self._stop is None:
            raise MalformedFrame("an end without a stop")
        self._ended = True
        stop = self._stop
        reason = STOP_WORDS[stop.reason]
        if reason == "end_turn" and self._has_tool:
            # Some servers say `stop` after a tool call; agents here wait for `tool_use`.
            reason = "tool_use"
        sequence = stop.stop_sequence if reason == "stop_sequence" else None
        return [
            {
                "type": "message_delta",
                "delta": {"stop_reason": reason, "stop_sequence": sequence},
                "usage": usage_of(stop.tokens or self._tokens_estimated()),
            },
            {"type": "message_stop"},
        ]

    def _tokens_estimated(self) -> Tokens:
        """The upstream did not say: an estimate is nearer to the truth than zero."""
        output = estimate_tokens("".join(self._said))
        if self._tokens is not None:
            return msgspec.structs.replace(self._tokens, output=max(self._tokens.output, output))
        return Tokens(input=estimate_request(self._request), output=output, estimated=True)

    def _expect(self, true: bool, otherwise: str, *, started: bool = True) -> None:
        if self._ended:
            raise MalformedFrame("an event after the end")
        if started and self._answer_id is None:
            raise MalformedFrame("an event before the start")
        if not true:
            raise MalformedFrame(otherwise)


class Writer:
    """Speaks to one client; see Shaper for what is said and what is left out."""

    def __init__(self, request: Request) -> None:
        self._shaper = Shaper(request)
        self._block = -1
        self._around = (b"", b"")
        """What stands around a text in a frame of this block."""

    def write(self, event: AnswerEvent) -> bytes:
        """Return the frames for this event. Raises MalformedFrame; see Shaper."""
        shaped = self._shaper.shape(event)
        if not shaped:
            return b""
        return b"".join(format_event(_ENCODER.encode(one), one["type"]) for one in shaped)

    def pieces(self, index: int, texts: Sequence[str]) -> bytes:
        block = self._shaper.text_block(index, texts)
        if block is None or not texts:
            return b"".join([self.write(TextDelta(index, text)) for text in texts])
        if block != self._block:
            delta = {"type": "text_delta", "text": ""}
            shaped = {"type": "content_block_delta", "index": block, "delta": delta}
            frame = format_event(_ENCODER.encode(shaped), "content_block_delta")
            before, _, after = frame.rpartition(b'""')
            self._block, self._around = block, (before, after)
        return around(texts, *self._around)

    def keepalive(self) -> bytes:
        """A real `ping` event: Claude Code counts events, not comments, as signs of life."""
        return _PING

    def failure(self, status: int, message: str, request_id: str) -> bytes:
        body = render_error(ApiError(status, message), request_id)
        return format_event(_ENCODER.encode(body), "error")


def render_answer(events: Iterable[AnswerEvent], request: Request) -> JSON:
    """Return a whole message. Raises MalformedFrame where the answer is not complete."""
    shaper = Shaper(request)
    message: JSON = {}
    content: list[JSON] = []
    pieces: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, Failed):
            raise MalformedFrame(f"the answer failed: {event.type}: {event.message}")
        for shaped in shaper.shape(event):
            match shaped["type"]:
                case "message_start":
                    message = shaped["message"]
                case "content_block_start":
                    content.append(dict(shaped["content_block"]))
                    pieces = {}
                case "content_block_delta":
                    _add(content[-1], shaped["delta"], pieces)
                case "content_block_stop":
                    _close(content[-1], pieces)
                case "message_delta":
                    message |= shaped["delta"] | {"usage": shaped["usage"]}
                case "message_stop":
                    message["content"] = content
                    return message
    raise MalformedFrame("the answer is not complete")


_FIELD_OF_DELTA = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


def _add(block: JSON, delta: JSON, pieces: dict[str, list[str]]) -> None:
    kind = delta.get("type")
    if field := _FIELD_OF_DELTA.get(kind or ""):
        pieces.setdefault(field, []).append(delta[field])
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
    else:
        # A delta newer than this table: its fields belong to the block as they are.
        block.update({key: value for key, value in delta.items() if key != "type"})


def _close(block: JSON, pieces: dict[str, list[str]]) -> None:
    for field, texts in pieces.items():
        if field != "partial_json":
            block[field] = block.get(field, "") + "".join(texts)
    arguments = "".join(pieces.get("partial_json", ())).strip()
    if not arguments:
        return
    try:
        value: Any = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedFrame(f"the arguments of {block.get('name')!r} are not JSON") from error
    if not isinstance(value, dict):
        raise MalformedFrame(f"the arguments of {block.get('name')!r} are not an object")
    block["input"] = value
