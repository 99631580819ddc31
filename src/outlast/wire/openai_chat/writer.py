"""Canonical answer events of any origin → a stream of chat completion chunks.

Only documented fields, and two extensions that clients ignore or know: `reasoning_content` for
thinking (DeepSeek's name, which most clients read), and `custom` tool calls for clients that
declared custom tools. No named events, no chunk without `choices`: both break official SDKs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from outlast.nouns import Tokens
from outlast.wire.canon import JSON, Request
from outlast.wire.codec import ApiError
from outlast.wire.openai_chat.chunks import usage_of
from outlast.wire.openai_chat.errors import render_error
from outlast.wire.openai_chat.parse import LEGACY
from outlast.wire.sse import around, format_event
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    Ping,
    Start,
    Stop,
    StopReason,
    TextDelta,
    ThinkingDelta,
)

FINISH: dict[StopReason, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "context_window": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_KEEPALIVE = b": keep-alive\n\n"
_EMPTY = b'"content":""'


def answer_id(upstream_id: str) -> str:
    """Return an id of this format that still shows the upstream's own."""
    if upstream_id.startswith("chatcmpl-"):
        return upstream_id
    return "chatcmpl-" + (upstream_id or "outlast")


def chosen_call_id(block: BlockStart, answer: str, number: int) -> str:
    """Return a tool call's id; a made one, the same every time, where the upstream gave none."""
    if block.id:
        return block.id
    made = hashlib.sha256(f"{answer}/{number}".encode("utf-8", "replace"))
    return "call_" + made.hexdigest()[:24]


def unwrap_input(arguments: str) -> str:
    """Return the free text of a custom tool that the model saw as a function of one string."""
    try:
        value = msgspec.json.decode(arguments.encode("utf-8", "replace"))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return arguments
    if isinstance(value, dict) and isinstance(value.get("input"), str):
        return str(value["input"])
    return arguments


def finish_reason(reason: StopReason, *, calls: bool, legacy: bool) -> str:
    """Return the finish reason; that of tool calls exactly where there are some to run."""
    word = FINISH[reason]
    if calls and word == "stop":
        word = "tool_calls"
    if word == "tool_calls":
        if not calls:
            return "stop"
        return "function_call" if legacy else word
    return word


class Writer:
    """Speaks to one client. Start's `created` is passed on: this file knows no clock."""

    def __init__(self, request: Request) -> None:
        self._include_usage = request.include_usage
        self._custom = {tool.name for tool in request.tools if tool.kind == "custom"}
        self._legacy = any(tool.raw == LEGACY for tool in request.tools)
        self._id = answer_id("")
        self._created = 0
        self._model = request.model
        self._started = False
        self._over = False
        self._tokens: Tokens | None = None
        self._reason: StopReason | None = None
        self._calls = 0
        self._block: BlockStart | None = None
        self._arguments: list[str] = []
        self._wrapped = False
        self._gap = ""
        self._last_text = ""
        self._around: tuple[bytes, bytes] | None = None
        """What stands around a text in its frame."""

    def write(self, event: AnswerEvent) -> bytes:
        if self._over:
            return b""
        match event:
            case Start():
                return self._start(event)
            case Ping():
                return _KEEPALIVE
            case Failed():
                return self.failure(event.status or 500, event.message, "")
            case BlockStart():
                return self._opened() + self._block_start(event)
            case TextDelta(text=text):
                return self._opened() + self._text(text) if text else b""
            case ThinkingDelta(text=text):
                return self._opened() + self._delta({"reasoning_content": text}) if text else b""
            case ArgsDelta(json=json):
                return self._args(json) if json else b""
            case BlockStop():
                return self._block_stop()
            case Stop():
                # Repeated Stops are legal, finish reasons are not: the last one is said at the end.
                self._reason, self._tokens = event.reason, event.tokens or self._tokens
                return b""
            case End():
                return self._end()
            case _:
                return b""  # signatures and foreign deltas: nobody here could use them

    def pieces(self, index: int, texts: Sequence[str]) -> bytes:
        if not self._started or self._gap or self._over or not texts:
            return b"".join([self.write(TextDelta(index, text)) for text in texts])
        if self._around is None:
            before, found, after = self._delta({"content": ""}).partition(_EMPTY)
            self._around = (before + found[:-2], after)
        self._last_text = texts[-1][-1]
        return around(texts, *self._around)

    def keepalive(self) -> bytes:
        return _KEEPALIVE

    def failure(self, status: int, message: str, request_id: str) -> bytes:
        """Return the error frame. Nothing follows it, no `[DONE]` either."""
        self._over = True
        return format_event(_encode(render_error(ApiError(status, message), request_id)))

    def _start(self, event: Start) -> bytes:
        self._tokens = event.tokens or self._tokens
        self._model = event.model or self._model
        self._around = None
        if self._started:
            return b""  # a second leg: the id stays, the model is the truth from here on
        self._id = answer_id(event.id)
        self._created = event.created
        return self._opened()

    def _opened(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return self._delta({"role": "assistant", "content": ""})

    def _block_start(self, block: BlockStart) -> bytes:
        self._block = block
        if block.kind == "text":
            return b""
        if self._last_text and not self._last_text[-1].isspace():
            # Text that goes on after something else is a new paragraph, not the same word.
            self._gap = "\n\n"
        if block.kind not in {"tool_use", "custom_tool"}:
            return b""
        self._arguments = []
        self._wrapped = block.kind == "tool_use" and block.name in self._custom
        number, self._calls = self._calls, self._calls + 1
        if self._legacy:
            return self._delta({"function_call": {"name": block.name, "arguments": ""}})
        call: JSON = {"index": number, "id": chosen_call_id(block, self._id, number)}
        if block.kind == "custom_tool" or self._wrapped:
            call |= {"type": "custom", "custom": {"name": block.name, "input": ""}}
        else:
            call |= {"type": "function", "function": {"name": block.name, "arguments": ""}}
        return self._delta({"tool_calls": [call]})

    def _text(self, text: str) -> bytes:
        if self._gap and self._last_text:
            text = self._gap + text
        self._gap = ""
        self._last_text = text[-1]
        return self._delta({"content": text})

    def _args(self, json: str) -> bytes:
        self._arguments.append(json)
        return b"" if self._wrapped else self._arguments_delta(json)

    def _arguments_delta(self, text: str) -> bytes:
        if self._legacy:
            return self._delta({"function_call": {"arguments": text}})
        custom = self._wrapped or (self._block is not None and self._block.kind == "custom_tool")
        inner: JSON = {"custom": {"input": text}} if custom else {"function": {"arguments": text}}
        return self._delta({"tool_calls": [{"index": self._calls - 1, **inner}]})

    def _block_stop(self) -> bytes:
        block = self._block
        out = b""
        if block is not None and block.kind == "tool_use":
            if self._wrapped:
                out = self._arguments_delta(unwrap_input("".join(self._arguments)))
            elif not self._arguments:
                out = self._arguments_delta("{}")  # clients parse it: nothing is not JSON
        self._block, self._wrapped = None, False
        return out

    def _end(self) -> bytes:
        out = self._opened()
        self._over = True
        word = finish_reason(self._reason or "end_turn", calls=self._calls > 0, legacy=self._legacy)
        out += self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": word}])
        if self._include_usage and self._tokens is not None:
            out += self._chunk([], self._tokens)
        return out + b"data: [DONE]\n\n"

    def _delta(self, delta: JSON) -> bytes:
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def _chunk(self, choices: list[JSON], tokens: Tokens | None = None) -> bytes:
        body: JSON = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }
        if self._include_usage:
            body["usage"] = usage_of(tokens) if tokens is not None else None
        return format_event(_encode(body))


def _encode(value: JSON) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # Half a surrogate pair, which JSON can spell and UTF-8 cannot.
        return msgspec.json.encode(_whole_characters(value))


def _whole_characters(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _whole_characters(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole_characters(each) for each in value]
    return value
