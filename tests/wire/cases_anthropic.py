"""Wire cases of the Messages API: answers as streams, and what they mean.

`both`: our Writer says exactly these frames for these events. The other cases are as vendors and
their imitators say them, and are only read. `whole`: the same answer as one body.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from outlast.nouns import Format, Tokens
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    ForeignDelta,
    Ping,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)

OURS = Format.ANTHROPIC
MODEL = "claude-opus-4-8"


class Case(NamedTuple):
    name: str
    frames: list[dict[str, Any]]
    events: list[AnswerEvent]
    both: bool = True
    whole: dict[str, Any] | None = None


def usage(input_: int, output: int, read: int = 0, write: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": input_,
        "cache_creation_input_tokens": write,
        "cache_read_input_tokens": read,
        "output_tokens": output,
    }


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage(25, 1),
        **more,
    }


def begin(**more: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": message(**more)}


def block(index: int, content_block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content_block}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": kind, **fields},
    }


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def finish(reason: str, used: dict[str, Any], sequence: str | None = None) -> list[dict[str, Any]]:
    words = {"stop_reason": reason, "stop_sequence": sequence}
    return [
        {"type": "message_delta", "delta": words, "usage": used},
        {"type": "message_stop"},
    ]


PING = {"type": "ping"}
TEXT = {"type": "text", "text": ""}
THINK = {"type": "thinking", "thinking": "", "signature": ""}
START = Start("msg_01", MODEL, Tokens(input=25, output=1))
DONE = Tokens(input=25, output=15)


def tool(id_: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": {}, **more}


CITATION = {"type": "char_location", "cited_text": "sky", "document_index": 0}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
SEAM = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}, "trigger": None}

CASES = [
    Case(
        "text in two pieces",
        [
            begin(),
            block(0, TEXT),
            delta(0, "text_delta", text="Hello, "),
            delta(0, "text_delta", text="world 🦊 é"),
            stop(0),
            *finish("end_turn", usage(25, 15)),
        ],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "Hello, "),
            TextDelta(0, "world 🦊 é"),
            BlockStop(0),
            Stop("end_turn", DONE),
            End(),
        ],
        whole=message(
            content=[{"type": "text", "text": "Hello, world 🦊 é"}],
            stop_reason="end_turn",
            usage=usage(25, 15),
        ),
    ),
    Case(
        "thinking with its signature, text, and two tool calls",
        [
            begin(),
            block(0, THINK),
            delta(0, "thinking_delta", thinking="Two files."),
            delta(0, "signature_delta", signature="EqQB"),
            stop(0),
            block(1, TEXT),
            delta(1, "text_delta", text="I look."),
            stop(1),
            block(2, tool("toolu_01", "read")),
            delta(2, "input_json_delta", partial_json='{"path":'),
            delta(2, "input_json_delta", partial_json='"a.txt"}'),
            stop(2),
            block(3, tool("toolu_02", "list")),
            delta(3, "input_json_delta", partial_json="{}"),
            stop(3),
            *finish("tool_use", usage(25, 15)),
        ],
        [
            START,
            BlockStart(0, "thinking"),
            ThinkingDelta(0, "Two files."),
            SignatureDelta(0, "EqQB", OURS),
            BlockStop(0),
            BlockStart(1, "text"),
            TextDelta(1, "I look."),
            BlockStop(1),
            BlockStart(2, "tool_use", id="toolu_01", name="read"),
            ArgsDelta(2, '{"path":'),
            ArgsDelta(2, '"a.txt"}'),
            BlockStop(2),
            BlockStart(3, "tool_use", id="toolu_02", name="list"),
            ArgsDelta(3, "{}"),
            BlockStop(3),
            Stop("tool_use", DONE),
            End(),
        ],
        whole=message(
            content=[
                {"type": "thinking", "thinking": "Two files.", "signature": "EqQB"},
                {"type": "text", "text": "I look."},
                tool("toolu_01", "read") | {"input": {"path": "a.txt"}},
                tool("toolu_02", "list"),
            ],
            stop_reason="tool_use",
            usage=usage(25, 15),
        ),
    ),
    Case(
        "redacted thinking, a search by the vendor, its citation, and a seam",
        [
            begin(),
            block(0, {"type": "redacted_thinking", "data": "b64"}),
            stop(0),
            block(1, SEARCH),
            delta(1, "input_json_delta", partial_json='{"query":"sky"}'),
            stop(1),
            block(2, FOUND),
            stop(2),
            block(3, SEAM),
            stop(3),
            block(4, TEXT),
            delta(4, "text_delta", text="Blue."),
            delta(4, "citations_delta", citation=CITATION),
            stop(4),
            *finish("end_turn", usage(25, 15)),
        ],
        [
            START,
            BlockStart(0, "redacted_thinking", data="b64", origin=OURS),
            BlockStop(0),
            BlockStart(1, "foreign", raw=SEARCH, origin=OURS),
            ForeignDelta(1, {"type": "input_json_delta", "partial_json": '{"query":"sky"}'}, OURS),
            BlockStop(1),
            BlockStart(2, "foreign", raw=FOUND, origin=OURS),
            BlockStop(2),
            BlockStart(3, "foreign", raw=SEAM, origin=OURS),
            BlockStop(3),
            BlockStart(4, "text"),
            TextDelta(4, "Blue."),
            ForeignDelta(4, {"type": "citations_delta", "citation": CITATION}, OURS),
            BlockStop(4),
            Stop("end_turn", DONE),
            End(),
        ],
    ),
    Case(
        "cached tokens, counts in the last delta, a stop sequence",
        [
            begin(usage=usage(3, 1, read=1000, write=200)),
            block(0, TEXT),
            delta(0, "text_delta", text="1, 2"),
            stop(0),
            *finish(
                "stop_sequence",
                usage(3, 9, read=1000, write=200)
                | {"output_tokens_details": {"thinking_tokens": 4}},
                "3",
            ),
        ],
        [
            Start("msg_01", MODEL, Tokens(3, 1, 1000, 200)),
            BlockStart(0, "text"),
            TextDelta(0, "1, 2"),
            BlockStop(0),
            Stop("stop_sequence", Tokens(3, 9, 1000, 200, reasoning=4), "3"),
            End(),
        ],
    ),
    Case(
        "an answer without any block",
        [begin(), *finish("refusal", usage(25, 15))],
        [START, Stop("refusal", DONE), End()],
        whole=message(stop_reason="refusal", usage=usage(25, 15)),
    ),
    Case(
        "the context window is full",
        [begin(), *finish("model_context_window_exceeded", usage(25, 15))],
        [START, Stop("context_window", DONE), End()],
    ),
    Case(
        "pings anywhere, types that are new, and empty pieces mean nothing",
        [
            PING,
            begin(),
            block(0, TEXT),
            PING,
            {"type": "message_annotation", "note": 1},
            delta(0, "text_delta", text=""),
            delta(0, "text_delta", text="Hi"),
            stop(0),
            *finish("end_turn", usage(25, 15)),
        ],
        [
            Ping(),
            START,
            BlockStart(0, "text"),
            Ping(),
            TextDelta(0, "Hi"),
            BlockStop(0),
            Stop("end_turn", DONE),
            End(),
        ],
        both=False,
    ),
    Case(
        "counts that the last delta leaves out keep the value of the start",
        [
            begin(usage={"input_tokens": 7, "output_tokens": 1, "cache_read_input_tokens": 5}),
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 4}},
            {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
            {"type": "message_stop"},
        ],
        [
            Start("msg_01", MODEL, Tokens(7, 1, 5)),
            Stop("max_tokens", Tokens(7, 4, 5)),
            End(),
        ],
        both=False,
    ),
    Case(
        "no usage at all",
        [
            {"type": "message_start", "message": {"id": "msg_01", "model": MODEL}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            {"type": "message_stop"},
        ],
        [Start("msg_01", MODEL), Stop("end_turn"), End()],
        both=False,
    ),
    Case(
        "a tool call without arguments is one with an empty object",
        [
            begin(),
            block(0, tool("toolu_01", "now")),
            delta(0, "input_json_delta", partial_json=""),
            stop(0),
            *finish("tool_use", usage(25, 15)),
        ],
        [
            START,
            BlockStart(0, "tool_use", id="toolu_01", name="now"),
            ArgsDelta(0, "{}"),
            BlockStop(0),
            Stop("tool_use", DONE),
            End(),
        ],
        both=False,
    ),
    Case(
        "servers that put whole blocks into their first frame",
        [
            begin(),
            block(0, {"type": "thinking", "thinking": "Hm.", "signature": "s"}),
            stop(0),
            block(1, {"type": "text", "text": "Hi"}),
            stop(1),
            block(2, tool("toolu_01", "now") | {"input": {"zone": "CET"}}),
            stop(2),
            *finish("tool_use", usage(25, 15)),
        ],
        [
            START,
            BlockStart(0, "thinking"),
            ThinkingDelta(0, "Hm."),
            SignatureDelta(0, "s", OURS),
            BlockStop(0),
            BlockStart(1, "text"),
            TextDelta(1, "Hi"),
            BlockStop(1),
            BlockStart(2, "tool_use", id="toolu_01", name="now"),
            ArgsDelta(2, '{"zone":"CET"}'),
            BlockStop(2),
            Stop("tool_use", DONE),
            End(),
        ],
        both=False,
    ),
    Case(
        "a delta of a type that is new belongs to its origin",
        [
            begin(),
            block(0, {"type": "compaction", "content": None}),
            delta(0, "compaction_delta", content="so far"),
            stop(0),
            *finish("compaction", usage(25, 15)),
        ],
        [
            START,
            BlockStart(0, "foreign", raw={"type": "compaction", "content": None}, origin=OURS),
            ForeignDelta(0, {"type": "compaction_delta", "content": "so far"}, OURS),
            BlockStop(0),
            Stop("pause_turn", DONE),
            End(),
        ],
        both=False,
    ),
    Case(
        "an error after the stream began",
        [
            begin(),
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ],
        [START, Failed("overloaded_error", "Overloaded", 529)],
        both=False,
    ),
    Case(
        "an error before anything, of a type that is new",
        [{"type": "error", "error": {"type": "weather_error", "message": "Rain"}}],
        [Failed("weather_error", "Rain", 0)],
        both=False,
    ),
]


def stream(frames: list[dict[str, Any]]) -> bytes:
    return b"".join(
        f"event: {frame['type']}\ndata: {json.dumps(frame, ensure_ascii=False)}\n\n".encode()
        for frame in frames
    )
