"""A stream of chat completion chunks → canonical answer events.

Chat completions say when a tool call begins but not when it ends, and calls may interleave. So
the first call is passed on as it comes, and everything that begins after it (further calls, later
text) waits until the finish reason, and then follows whole, in the order of its beginning.
"""

from __future__ import annotations

import hashlib

import msgspec

from outlast.nouns import Format, Tokens
from outlast.wire.canon import JSON
from outlast.wire.openai_chat.chunks import (
    CallPiece,
    Choice,
    Chunk,
    Delta,
    FunctionPiece,
    count_of,
    decode_any,
    decode_chunk,
    tokens_of,
)
from outlast.wire.openai_chat.errors import failed_of
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
    Start,
    Stop,
    StopReason,
    TextDelta,
    ThinkingDelta,
)

CALLS_LIMIT = 256
WAITING_LIMIT_CHARS = 16 << 20
CHOICES_LIMIT = 128

_REASONS: dict[str, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    # Spellings of compatible servers.
    "eos": "end_turn",
    "eos_token": "end_turn",
    "end_turn": "end_turn",
    "stop_sequence": "stop_sequence",
    "max_tokens": "max_tokens",
    "model_length": "max_tokens",
    "tool_use": "tool_use",
}
_FAILURES = {"error": 500, "abort": 500, "insufficient_system_resource": 503}
"""Finish reasons with which servers say that they failed (OpenRouter, vLLM, DeepSeek)."""


class _Piece:
    """A block that waits: a call, or text that came after a call began."""

    def __init__(self, kind: BlockKind, slot: int | None = None) -> None:
        self.kind = kind
        self.slot = slot
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.index = -1
        """The canonical block index, once it has begun."""


class Reader:
    """Watches one upstream's stream. Choices other than the first are not looked into."""

    plain_pieces = True
    """A piece of text that goes on with an open block changes nothing here."""

    def __init__(self) -> None:
        self._id = ""
        self._salt = ""
        self._started = False
        self._next_index = 0
        self._open: BlockKind | None = None
        self._open_index = -1
        self._waiting: list[_Piece] = []
        self._waiting_chars = 0
        self._calls: list[_Piece] = []
        self._refused = False
        self._choices_open: set[int] = set()
        self._choices_done: set[int] = set()
        self._reason: StopReason | None = None
        self._stop_sequence: str | None = None
        self._tokens: Tokens | None = None
        self._stop_said = False
        self._ended = False

    @property
    def finished(self) -> bool:
        """Whether the model said why it stopped: only the usage and `[DONE]` may be missing."""
        return self._reason is not None and self._choices_open <= self._choices_done

    def finish(self) -> list[AnswerEvent]:
        """Return what a finished answer lacks where the server omits `[DONE]`.

        Raises MalformedFrame where no finish reason came: such an answer is torn.
        """
        if self._ended:
            return []
        if not self.finished:
            raise MalformedFrame("the stream ended without a finish_reason")
        self._ended = True
        return [*self._stop(), End()]

    def feed(self, event: ServerSentEvent) -> list[AnswerEvent]:
        if self._ended or not event.data:
            return []
        if event.data.strip() == b"[DONE]":
            return self.finish()
        if event.name not in {"message", "error"} and b'"choices"' not in event.data:
            return []
        chunk = decode_chunk(event.data)
        if chunk.error is not None or chunk.object == "error" or event.name == "error":
            return [failed_of(decode_any(event.data))]
        return self.take(chunk)

    def take(self, chunk: Chunk) -> list[AnswerEvent]:
        """Return what a decoded chunk means (a whole answer is one chunk)."""
        if chunk.choices is msgspec.UNSET:
            if chunk.usage is None:
                raise MalformedFrame("not a chat completion chunk: it has no `choices`")
            choices: list[Choice] = []
        else:
            choices = chunk.choices or []
        events: list[AnswerEvent] = []
        # Azure opens with a chunk of filter results that has neither id nor choices.
        if not self._started and (choices or chunk.id):
            self._started = True
            self._id = chunk.id or ""
            self._salt = f"{self._id}/{chunk.model}/{chunk.created}"
            events.append(Start(self._id, chunk.model or "", created=count_of(chunk.created)))
        self._tokens = tokens_of(chunk.usage) or self._tokens
        for choice in choices:
            events += self._choice(choice)
        if not choices and chunk.usage is not None and self.finished:
            events += self._stop()
        return events

    def _choice(self, choice: Choice) -> list[AnswerEvent]:
        number = choice.index or 0
        if not 0 <= number < CHOICES_LIMIT:
            raise MalformedFrame(f"a choice with the index {number}")
        self._choices_open.add(number)
        if choice.finish_reason:
            self._choices_done.add(number)
        if number:
            return []
        delta = choice.delta or choice.message
        events = self._delta(delta) if delta is not None else []
        if self._reason is not None and events:
            raise MalformedFrame("content after the finish_reason")
        if choice.finish_reason and self._reason is None:
            events += self._finish_reason(choice.finish_reason, choice.stop_reason)
        return events

    # Content

    def _delta(self, delta: Delta) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        thought = delta.reasoning_content
        if not thought and isinstance(delta.reasoning, str):
            thought = delta.reasoning
        if thought:
            events += self._say("thinking", thought)
        if isinstance(delta.content, str):
            if delta.content:
                events += self._say("text", delta.content)
        elif delta.content:
            for part in delta.content:
                events += self._part(part)
        if delta.refusal:
            self._refused = True
            events += self._say("text", delta.refusal)
        if delta.audio:
            events += self._foreign(delta.audio)
        for piece in delta.tool_calls or ():
            events += self._call_piece(piece)
        if delta.function_call is not None:
            events += self._call_piece(CallPiece(index=0, function=delta.function_call))
        return events

    def _part(self, part: JSON) -> list[AnswerEvent]:
        """A part of a content list: text, or Mistral's `thinking` with a list of texts."""
        match part.get("type"):
            case "text":
                text = part.get("text")
                return self._say("text", text) if isinstance(text, str) and text else []
            case "thinking":
                inner = part.get("thinking")
                texts = inner if isinstance(inner, list) else [inner]
                said = [each.get("text") if isinstance(each, dict) else each for each in texts]
                thought = "".join(each for each in said if isinstance(each, str))
                return self._say("thinking", thought) if thought else []
            case _:
                return self._foreign(part)

    def _say(self, kind: BlockKind, text: str) -> list[AnswerEvent]:
        if self._calls:
            if not self._waiting or self._waiting[-1].kind != kind:
                self._wait(_Piece(kind))
            self._add(self._waiting[-1], text)
            return []
        events = self._begin(kind)
        index = self._open_index
        events.append(TextDelta(index, text) if kind == "text" else ThinkingDelta(index, text))
        return events

    def _foreign(self, raw: JSON) -> list[AnswerEvent]:
        if self._calls:
            return []
        events = self._begin("foreign")
        events.append(ForeignDelta(self._open_index, raw, Format.OPENAI_CHAT))
        return events

    def _begin(self, kind: BlockKind) -> list[AnswerEvent]:
        """Make sure that a block of this kind is the open one."""
        if self._open == kind:
            return []
        events = self._close()
        self._open, self._open_index = kind, self._next_index
        self._next_index += 1
        origin = Format.OPENAI_CHAT if kind == "foreign" else None
        events.append(BlockStart(self._open_index, kind, origin=origin))
        return events

    def _close(self) -> list[AnswerEvent]:
        if self._open is None:
            return []
        self._open = None
        return [BlockStop(self._open_index)]

    # Tool calls

    def _call_piece(self, piece: CallPiece) -> list[AnswerEvent]:
        if piece.custom is not None:
            name, text, kind = piece.custom.name, piece.custom.input, "custom_tool"
        else:
            function = piece.function or FunctionPiece()
            name, text, kind = function.name, _arguments(function), "tool_use"
        call = self._which(piece, name or "")
        if call is None:
            if len(self._calls) >= CALLS_LIMIT:
                raise MalformedFrame(f"more than {CALLS_LIMIT} tool calls")
            call = _Piece("custom_tool" if kind == "custom_tool" else "tool_use", piece.index)
            call.id = piece.id or ""
            self._calls.append(call)
            if len(self._calls) > 1:
                self._wait(call)
        if name and call.name != name:
            if call.index >= 0:
                raise MalformedFrame("a tool call changed its name midway")
            # Some servers send the name in pieces; most that repeat it repeat it whole.
            call.name += name
        call.id = call.id or piece.id or ""
        if text:
            self._add(call, text)
        return self._advance(call) if call is self._calls[0] else []

    def _which(self, piece: CallPiece, name: str) -> _Piece | None:
        """Return the call that a piece belongs to, None for a new one.

        By index, as documented; but servers exist that give every call the index 0 and its own
        id and name, and some that give neither index nor id after the first piece.
        """
        if piece.index is not None:
            if not 0 <= piece.index < 2 * CALLS_LIMIT:
                raise MalformedFrame(f"a tool call with the index {piece.index}")
            for call in reversed(self._calls):
                if call.slot == piece.index:
                    fresh = bool(piece.id and call.id and piece.id != call.id and name)
                    return None if fresh else call
            return None
        if piece.id:
            for call in self._calls:
                if call.id == piece.id:
                    return call
        if piece.id or name:
            return None
        if not self._calls:
            raise MalformedFrame("a piece of a tool call that never began")
        return self._calls[-1]

    def _advance(self, call: _Piece) -> list[AnswerEvent]:
        """Pass on what is known of the first call."""
        events: list[AnswerEvent] = []
        if call.index < 0:
            if not call.name or not call.pieces:
                return []  # the name may still grow until the first argument comes
            events += self._start_call(call)
        events += [ArgsDelta(call.index, text) for text in call.pieces]
        call.pieces.clear()
        return events

    def _start_call(self, call: _Piece) -> list[AnswerEvent]:
        if not call.name:
            raise MalformedFrame("a tool call without a name")
        events = self._close()
        call.index = self._next_index
        self._next_index += 1
        self._open, self._open_index = call.kind, call.index
        events.append(BlockStart(call.index, call.kind, id=self._call_id(call), name=call.name))
        return events

    def _call_id(self, call: _Piece) -> str:
        """Return the server's id, or a made one where it gave none or gave it twice."""
        number = self._calls.index(call)
        if call.id and all(other.id != call.id for other in self._calls[:number]):
            return call.id
        return (
            "call_"
            + hashlib.sha256(f"{self._salt}/{number}".encode("utf-8", "replace")).hexdigest()[:24]
        )

    def _wait(self, piece: _Piece) -> None:
        if len(self._waiting) >= 2 * CALLS_LIMIT:
            raise MalformedFrame("too many blocks after the first tool call")
        self._waiting.append(piece)

    def _add(self, piece: _Piece, text: str) -> None:
        piece.pieces.append(text)
        self._waiting_chars += len(text)
        if self._waiting_chars > WAITING_LIMIT_CHARS:
            raise MalformedFrame("too much text in tool calls")

    # The end

    def _finish_reason(self, word: str, stop_reason: object) -> list[AnswerEvent]:
        if word in _FAILURES:
            message = f"the upstream stopped with finish_reason {word}"
            return [Failed(type="server_error", message=message, status=_FAILURES[word])]
        events: list[AnswerEvent] = []
        if self._calls:
            first = self._calls[0]
            events += self._start_call(first) if first.index < 0 else []
            events += [ArgsDelta(first.index, text) for text in first.pieces]
            for piece in self._waiting:
                events += self._whole(piece)
        events += self._close()
        # An unknown word is still the model's own end: what kind, its content shows.
        reason = _REASONS.get(word, "end_turn")
        if self._refused:
            reason = "refusal"
        elif self._calls and reason == "end_turn":
            reason = "tool_use"  # several servers say `stop` after tool calls
        elif not self._calls and reason == "tool_use":
            reason = "end_turn"
        elif reason == "end_turn" and isinstance(stop_reason, str) and stop_reason:
            reason, self._stop_sequence = "stop_sequence", stop_reason
        self._reason = reason
        return events

    def _whole(self, piece: _Piece) -> list[AnswerEvent]:
        text = "".join(piece.pieces)
        if piece.kind in {"text", "thinking"}:
            events = [*self._close(), *self._begin(piece.kind)]
            index = self._open_index
            events.append(
                TextDelta(index, text) if piece.kind == "text" else ThinkingDelta(index, text)
            )
            return events
        events = self._start_call(piece)
        if text:
            events.append(ArgsDelta(piece.index, text))
        return events

    def _stop(self) -> list[AnswerEvent]:
        """Return the one Stop, once."""
        if self._stop_said or self._reason is None:
            return []
        self._stop_said = True
        return [Stop(self._reason, self._tokens, self._stop_sequence)]


def _arguments(function: FunctionPiece) -> str:
    if isinstance(function.arguments, dict):
        return msgspec.json.encode(function.arguments).decode()
    return function.arguments or ""
