"""Answers in all three formats, for the deciders: made by the codecs' own writers."""

from __future__ import annotations

import json
from typing import Any

from outlast.gateway.holding import Unit
from outlast.nouns import Format, Tokens
from outlast.wire import CODECS
from outlast.wire.canon import Request, Tool
from outlast.wire.sse import SSEParser
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Start,
    Stop,
    StopReason,
    TextDelta,
    ThinkingDelta,
)

A, C, R = Format.ANTHROPIC, Format.OPENAI_CHAT, Format.OPENAI_RESPONSES
FORMATS = [A, C, R]
TOKENS = Tokens(input=11, output=7)

OPEN: list[AnswerEvent] = [Start("x1", "the-model", Tokens(input=11))]


def closed(reason: StopReason = "end_turn", tokens: Tokens | None = TOKENS) -> list[AnswerEvent]:
    return [Stop(reason, tokens), End()]


def text(*pieces: str, index: int = 0) -> list[AnswerEvent]:
    deltas: list[AnswerEvent] = [TextDelta(index, piece) for piece in pieces]
    return [BlockStart(index, "text"), *deltas, BlockStop(index)]


def thinking(*pieces: str, index: int = 0) -> list[AnswerEvent]:
    deltas: list[AnswerEvent] = [ThinkingDelta(index, piece) for piece in pieces]
    return [BlockStart(index, "thinking"), *deltas, BlockStop(index)]


def call(*pieces: str, index: int = 0, name: str = "rm") -> list[AnswerEvent]:
    deltas: list[AnswerEvent] = [ArgsDelta(index, piece) for piece in pieces]
    return [BlockStart(index, "tool_use", id=f"call_{index}", name=name), *deltas, BlockStop(index)]


def request(form: Format, **more: Any) -> Request:
    return Request("the-model", (), form, stream=True, include_usage=True, **more)


def stream(form: Format, events: list[AnswerEvent]) -> bytes:
    """The bytes of an answer as an upstream of this format sends it."""
    custom = tuple(
        Tool(e.name, kind="custom")
        for e in events
        if isinstance(e, BlockStart) and e.kind == "custom_tool"
    )
    writer = CODECS[form].writer(request(form, tools=custom))
    return b"".join(writer.write(event) for event in events)


def whole(form: Format, events: list[AnswerEvent]) -> bytes:
    """The same answer in one body."""
    return json.dumps(CODECS[form].render_answer(events, request(form))).encode()


def units(form: Format, data: bytes) -> list[Unit]:
    """Frames with what this format's Reader says of them."""
    reader = CODECS[form].reader()
    return [Unit(frame.raw, reader.feed(frame)) for frame in SSEParser().feed(data)]


def chunks(*deltas: dict[str, Any], finish_reason: str | None = None) -> bytes:
    """Chunks of a chat completion by hand, as vendors cut them; the last may say why it ended."""
    bodies = [
        {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "gpt-5",
            "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        }
        for delta in deltas
    ]
    if finish_reason is not None:
        end = {"index": 0, "delta": {}, "finish_reason": finish_reason}
        bodies.append({**bodies[0], "choices": [end]})
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


def tool_call(index: int, **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **fields}]}


def named(index: int, name: str, arguments: str = "") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return tool_call(index, id=f"call_{index}", type="function", function=function)


def argued(index: int, arguments: str) -> dict[str, Any]:
    return tool_call(index, function={"arguments": arguments})
