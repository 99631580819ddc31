"""Streams of chat completions as servers send them, and what they mean.

Each row: a sentence, the data of the frames, the canonical events. The first list holds what
OpenAI itself sends; the second holds the habits of compatible servers.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from outlast.nouns import Format, Tokens
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    ForeignDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)

DONE = "[DONE]"
Frames = list[Any]
Case = tuple[str, Frames, list[AnswerEvent]]


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk with one choice; `delta` None: the usage chunk's empty list of choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": "gpt-5.6",
        "choices": choices,
        **more,
    }


def call(index: int | None, id: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:  # noqa: A002
    piece: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        piece["index"] = index
    if id:
        piece["id"], piece["type"] = id, "function"
    if name:
        piece["function"]["name"] = name
    return piece


def sse(frames: Frames, line_end: str = "\n") -> bytes:
    texts = [frame if isinstance(frame, str) else json.dumps(frame) for frame in frames]
    return "".join(f"data: {text}{line_end}{line_end}" for text in texts).encode()


ROLE = chunk({"role": "assistant", "content": "", "refusal": None})
START = Start("chatcmpl-1", "gpt-5.6", created=1790000000)
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
MADE_ID = "call_" + hashlib.sha256(b"chatcmpl-1/gpt-5.6/1790000000/0").hexdigest()[:24]
"""What a call without an id is called: the same every time."""
TOKENS = Tokens(input=30, output=20, cache_read=60, cache_write=10, reasoning=5)

OPENAI: list[Case] = [
    (
        "text, the usage in a chunk of its own after the finish reason",
        [
            ROLE,
            chunk({"content": "Bon"}),
            chunk({"content": "jour ☀"}),
            chunk({}, "stop"),
            chunk(usage=USAGE),
            DONE,
        ],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "Bon"),
            TextDelta(0, "jour ☀"),
            BlockStop(0),
            Stop("end_turn", TOKENS),
            End(),
        ],
    ),
    (
        "an answer of no words at all",
        [ROLE, chunk({}, "stop"), DONE],
        [START, Stop("end_turn"), End()],
    ),
    (
        "text cut at the limit, without usage",
        [ROLE, chunk({"content": "One, two"}), chunk({}, "length"), DONE],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "One, two"),
            BlockStop(0),
            Stop("max_tokens"),
            End(),
        ],
    ),
    (
        "one tool call after text, its arguments in pieces",
        [
            ROLE,
            chunk({"content": "Let me look."}),
            chunk({"tool_calls": [call(0, "call_a", "read")]}),
            chunk({"tool_calls": [call(0, arguments='{"pa')]}),
            chunk({"tool_calls": [call(0, arguments='th":"/"}')]}),
            chunk({}, "tool_calls"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "Let me look."),
            BlockStop(0),
            BlockStart(1, "tool_use", id="call_a", name="read"),
            ArgsDelta(1, '{"pa'),
            ArgsDelta(1, 'th":"/"}'),
            BlockStop(1),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "parallel calls that interleave are sorted: the first runs, the second waits",
        [
            ROLE,
            chunk({"tool_calls": [call(0, "call_a", "f", '{"a":')]}),
            chunk({"tool_calls": [call(1, "call_b", "g", '{"b":')]}),
            chunk({"tool_calls": [call(0, arguments="1}"), call(1, arguments="2}")]}),
            chunk({}, "tool_calls"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "tool_use", id="call_a", name="f"),
            ArgsDelta(0, '{"a":'),
            ArgsDelta(0, "1}"),
            BlockStop(0),
            BlockStart(1, "tool_use", id="call_b", name="g"),
            ArgsDelta(1, '{"b":2}'),
            BlockStop(1),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "a custom tool's free text",
        [
            ROLE,
            chunk(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_c",
                            "type": "custom",
                            "custom": {"name": "patch", "input": ""},
                        }
                    ]
                }
            ),
            chunk({"tool_calls": [{"index": 0, "custom": {"input": "*** Begin"}}]}),
            chunk({}, "tool_calls"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "custom_tool", id="call_c", name="patch"),
            ArgsDelta(0, "*** Begin"),
            BlockStop(0),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "a refusal is text with the stop reason refusal",
        [
            ROLE,
            chunk({"refusal": "I can't "}),
            chunk({"refusal": "help."}),
            chunk({}, "stop"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "I can't "),
            TextDelta(0, "help."),
            BlockStop(0),
            Stop("refusal"),
            End(),
        ],
    ),
    (
        "what a content filter stopped",
        [ROLE, chunk({"content": "Well"}), chunk({}, "content_filter"), DONE],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "Well"),
            BlockStop(0),
            Stop("refusal"),
            End(),
        ],
    ),
    (
        "the older function_call",
        [
            ROLE,
            chunk({"function_call": {"name": "f", "arguments": ""}}),
            chunk({"function_call": {"arguments": "{}"}}),
            chunk({}, "function_call"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "tool_use", id=MADE_ID, name="f"),
            ArgsDelta(0, "{}"),
            BlockStop(0),
            Stop("tool_use"),
            End(),
        ],
    ),
]

COMPATIBLE: list[Case] = [
    (
        "DeepSeek: thoughts before the words, the usage on the last chunk",
        [
            ROLE,
            chunk({"content": None, "reasoning_content": "Hm."}),
            chunk({"content": "Yes.", "reasoning_content": None}),
            chunk({"content": ""}, "stop", usage=USAGE),
            DONE,
        ],
        [
            START,
            BlockStart(0, "thinking"),
            ThinkingDelta(0, "Hm."),
            BlockStop(0),
            BlockStart(1, "text"),
            TextDelta(1, "Yes."),
            BlockStop(1),
            Stop("end_turn", TOKENS),
            End(),
        ],
    ),
    (
        "`reasoning` instead, said twice under two names",
        [
            chunk({"reasoning": "Hm.", "reasoning_content": "Hm."}),
            chunk({"reasoning": " So."}),
            chunk({"content": "Yes."}, "stop"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "thinking"),
            ThinkingDelta(0, "Hm."),
            ThinkingDelta(0, " So."),
            BlockStop(0),
            BlockStart(1, "text"),
            TextDelta(1, "Yes."),
            BlockStop(1),
            Stop("end_turn"),
            End(),
        ],
    ),
    (
        "Mistral: content as parts, thinking among them",
        [
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]}),
            chunk({"content": [{"type": "text", "text": "b"}]}, "stop"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "thinking"),
            ThinkingDelta(0, "a"),
            BlockStop(0),
            BlockStart(1, "text"),
            TextDelta(1, "b"),
            BlockStop(1),
            Stop("end_turn"),
            End(),
        ],
    ),
    (
        "whole calls in one chunk, all with the index 0, and `stop` at the end",
        [
            chunk({"tool_calls": [call(0, "x1", "f", "{}"), call(0, "x2", "g", "{}")]}),
            chunk({}, "stop"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "tool_use", id="x1", name="f"),
            ArgsDelta(0, "{}"),
            BlockStop(0),
            BlockStart(1, "tool_use", id="x2", name="g"),
            ArgsDelta(1, "{}"),
            BlockStop(1),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "no index, and no id after the first piece",
        [
            chunk({"tool_calls": [call(None, "x1", "f", '{"a"')]}),
            chunk({"tool_calls": [call(None, arguments=":1}")]}),
            chunk({}, "tool_calls"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "tool_use", id="x1", name="f"),
            ArgsDelta(0, '{"a"'),
            ArgsDelta(0, ":1}"),
            BlockStop(0),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "id and name repeated with every piece",
        [
            chunk({"tool_calls": [call(0, "x1", "f", '{"a"')]}),
            chunk({"tool_calls": [call(0, "x1", "f", ":1}")]}),
            chunk({}, "tool_calls"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "tool_use", id="x1", name="f"),
            ArgsDelta(0, '{"a"'),
            ArgsDelta(0, ":1}"),
            BlockStop(0),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "arguments as an object, in the chunk that also finishes",
        [
            chunk(
                {"tool_calls": [{"id": "x1", "function": {"name": "f", "arguments": {"a": 1}}}]},
                "tool_calls",
            ),
            DONE,
        ],
        [
            START,
            BlockStart(0, "tool_use", id="x1", name="f"),
            ArgsDelta(0, '{"a":1}'),
            BlockStop(0),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "a call without arguments, and a comma of text after it",
        [
            chunk({"tool_calls": [call(0, "x1", "now")]}),
            chunk({"content": "There."}),
            chunk({}, "tool_calls"),
            DONE,
        ],
        [
            START,
            BlockStart(0, "tool_use", id="x1", name="now"),
            BlockStop(0),
            BlockStart(1, "text"),
            TextDelta(1, "There."),
            BlockStop(1),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "Azure: filter results first, without id and choices; filter results after the end",
        [
            {"choices": [], "id": "", "model": "", "prompt_filter_results": []},
            chunk({"content": "Hi"}),
            chunk({}, "stop"),
            chunk({}, None, content_filter_offsets={}),
            DONE,
        ],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "Hi"),
            BlockStop(0),
            Stop("end_turn"),
            End(),
        ],
    ),
    (
        "vLLM: usage in every chunk, the stop sequence that was met",
        [
            chunk({"content": "Hi"}, usage={"prompt_tokens": 1, "completion_tokens": 1}),
            {
                "id": "chatcmpl-1",
                "model": "gpt-5.6",
                "choices": [
                    {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "###"}
                ],
                "usage": USAGE,
            },
            DONE,
        ],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "Hi"),
            BlockStop(0),
            Stop("stop_sequence", TOKENS, "###"),
            End(),
        ],
    ),
    (
        "a second choice is not looked into",
        [
            chunk({"content": "Hi"}),
            {"id": "chatcmpl-1", "choices": [{"index": 1, "delta": {"content": "Ho"}}]},
            chunk({}, "stop"),
            {"id": "chatcmpl-1", "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]},
            DONE,
        ],
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "Hi"),
            BlockStop(0),
            Stop("end_turn"),
            End(),
        ],
    ),
    (
        "sound is foreign, and counts as content",
        [chunk({"audio": {"id": "a", "data": "UklG"}}), chunk({}, "stop"), DONE],
        [
            START,
            BlockStart(0, "foreign", origin=Format.OPENAI_CHAT),
            ForeignDelta(0, {"id": "a", "data": "UklG"}, Format.OPENAI_CHAT),
            BlockStop(0),
            Stop("end_turn"),
            End(),
        ],
    ),
]

CASES = OPENAI + COMPATIBLE

MALFORMED: list[tuple[str, Frames]] = [
    ("not JSON", ["{"]),
    ("a page", ["<html>502</html>"]),
    ("a list", ["[]"]),
    ("no choices", [{"id": "x", "object": "chat.completion.chunk"}]),
    ("choices that are no list", [{"choices": {"index": 0}}]),
    ("content that is a number", [chunk({"content": 1})]),
    ("a negative call index", [chunk({"tool_calls": [call(-1, "a", "f")]})]),
    ("a huge call index", [chunk({"tool_calls": [call(1 << 40, "a", "f")]})]),
    ("a choice index below zero", [{"choices": [{"index": -1, "delta": {}}]}]),
    ("a piece of no call", [chunk({"tool_calls": [call(None, arguments="{}")]})]),
    ("a call without a name", [chunk({"tool_calls": [call(0, "a", "", "{}")]}, "tool_calls")]),
    (
        "a call that changes its name midway",
        [
            chunk({"tool_calls": [call(0, "a", "f", "{")]}),
            chunk({"tool_calls": [call(0, "a", "g", "}")]}),
        ],
    ),
    ("content after the end", [chunk({}, "stop"), chunk({"content": "more"})]),
    ("the last word without a finish reason", [ROLE, chunk({"content": "Hi"}), DONE]),
    ("the last word at once", [DONE]),
    ("nested beyond reason", ['{"choices":' + "[" * 100_000]),
    ("half a surrogate pair", ['{"choices":[{"delta":{"content":"\\ud83d"}}]}']),
]
