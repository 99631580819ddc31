"""Wire cases of the Responses format: answers as streams, and what they mean.

Each case is read both ways: the stream gives the events, and the whole answer that the stream
carries in its last event gives the same text, calls, stop reason and token counts.
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
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)

ORIGIN = Format.OPENAI_RESPONSES
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}
TOKENS = Tokens(input=30, output=20, cache_read=60, cache_write=10, reasoning=5)
START = Start(id="resp_1", model="gpt-5.6", created=1790000000)


class Case(NamedTuple):
    name: str
    frames: list[dict[str, Any]]
    events: list[AnswerEvent]
    whole: bool = True
    """The last frame holds the whole answer, which must mean the same."""


def response(output: list[dict[str, Any]], status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1790000000,
        "model": "gpt-5.6",
        "status": status,
        "output": output,
        "usage": USAGE if status != "in_progress" else None,
        **more,
    }


def stream(*middle: dict[str, Any]) -> list[dict[str, Any]]:
    begin = [
        {"type": "response.created", "response": response([], "in_progress")},
        {"type": "response.in_progress", "response": response([], "in_progress")},
    ]
    frames = [*begin, *middle]
    return [{**frame, "sequence_number": n} for n, frame in enumerate(frames)]


def ended(output: list[dict[str, Any]], status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "response": response(output, status, **more)}


def sse(frames: list[dict[str, Any]], line_end: str = "\n") -> bytes:
    lines = [
        f"event: {frame['type']}{line_end}data: {json.dumps(frame, ensure_ascii=False)}"
        for frame in frames
    ]
    return "".join(line + line_end * 2 for line in lines).encode()


def _at(kind: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": index, "item_id": f"item_{index}", **more}


def _message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [part] if text else [],
    }


def _text(text: str, *deltas: str, index: int = 0) -> list[dict[str, Any]]:
    part = {"type": "output_text", "text": "", "annotations": []}
    return [
        _at("output_item.added", index, item=_message("")),
        _at("content_part.added", index, content_index=0, part=part),
        *[
            _at("output_text.delta", index, content_index=0, delta=d, logprobs=[], obfuscation="x")
            for d in deltas
        ],
        _at("output_text.done", index, content_index=0, text=text, logprobs=[]),
        _at("content_part.done", index, content_index=0, part={**part, "text": text}),
        _at("output_item.done", index, item=_message(text)),
    ]


def _call(arguments: str, call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": "get_weather",
        "arguments": arguments,
        "status": "completed",
        **more,
    }


def _calling(arguments: str, *deltas: str, index: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [
        _at("output_item.added", index, item=_call("", **more)),
        *[_at("function_call_arguments.delta", index, delta=d) for d in deltas],
        _at("function_call_arguments.done", index, arguments=arguments),
        _at("output_item.done", index, item=_call(arguments, **more)),
    ]


def _finish(reason: Any = "end_turn") -> list[AnswerEvent]:
    return [Stop(reason, TOKENS), End()]


def _said(*texts: str, index: int = 0) -> list[AnswerEvent]:
    return [
        BlockStart(index, "text"),
        *[TextDelta(index, text) for text in texts],
        BlockStop(index),
    ]


def _called(*pieces: str, index: int = 0, name: str = "get_weather", ident: str = "call_1") -> Any:
    return [
        BlockStart(index, "tool_use", id=ident, name=name),
        *[ArgsDelta(index, piece) for piece in pieces],
        BlockStop(index),
    ]


_REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [
        {"type": "summary_text", "text": "First."},
        {"type": "summary_text", "text": "Then."},
    ],
    "encrypted_content": "gAAAAB==",
}
_SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}
_SEARCHING = {**_SEARCH, "status": "in_progress"}
_CUSTOM = {
    "type": "custom_tool_call",
    "id": "ctc_1",
    "call_id": "call_c",
    "name": "apply_patch",
    "input": "*** Begin\nÀ",
}
_REFUSAL = {"type": "refusal", "refusal": "I cannot help with that."}
_CITATION = {
    "type": "url_citation",
    "url": "https://example.org",
    "title": "E",
    "start_index": 0,
    "end_index": 2,
}
_WEATHER = '{"city":"Orléans"}'

CASES = [
    Case(
        "plain text with characters outside ASCII",
        stream(
            *_text("Bonjour à tous 🌍", "Bonjour ", "à tous 🌍"),
            ended([_message("Bonjour à tous 🌍")]),
        ),
        [START, *_said("Bonjour ", "à tous 🌍"), *_finish()],
    ),
    Case(
        "one call with its arguments in pieces",
        stream(*_calling(_WEATHER, '{"city":"Orl', 'éans"}'), ended([_call(_WEATHER)])),
        [START, *_called('{"city":"Orl', 'éans"}'), *_finish("tool_use")],
    ),
    Case(
        "text, then two parallel calls",
        stream(
            *_text("Let me look.", "Let me look."),
            *_calling("{}", "{}", index=1),
            *_calling('{"a":1}', '{"a":1}', index=2, call_id="call_2"),
            ended([_message("Let me look."), _call("{}"), _call('{"a":1}', "call_2")]),
        ),
        [
            START,
            *_said("Let me look."),
            *_called("{}", index=1),
            *_called('{"a":1}', index=2, ident="call_2"),
            *_finish("tool_use"),
        ],
    ),
    Case(
        "calls that grow side by side are put one after the other",
        stream(
            _at("output_item.added", 0, item=_call("")),
            _at("output_item.added", 1, item=_call("", "call_2")),
            _at("function_call_arguments.delta", 1, delta='{"b":'),
            _at("function_call_arguments.delta", 0, delta="{}"),
            _at("function_call_arguments.delta", 1, delta="2}"),
            _at("output_item.done", 1, item=_call('{"b":2}', "call_2")),
            _at("output_item.done", 0, item=_call("{}")),
            ended([_call("{}"), _call('{"b":2}', "call_2")]),
        ),
        [
            START,
            *_called("{}"),
            *_called('{"b":', "2}", index=1, ident="call_2"),
            *_finish("tool_use"),
        ],
    ),
    Case(
        "reasoning in two summaries, sealed at its end",
        stream(
            _at("output_item.added", item={"type": "reasoning", "id": "rs_1", "summary": []}),
            _at("reasoning_summary_part.added", summary_index=0, part={"type": "summary_text"}),
            _at("reasoning_summary_text.delta", summary_index=0, delta="First."),
            _at("reasoning_summary_text.done", summary_index=0, text="First."),
            _at("reasoning_summary_part.done", summary_index=0, part={"type": "summary_text"}),
            _at("reasoning_summary_text.delta", summary_index=1, delta="Then."),
            _at("reasoning_summary_text.done", summary_index=1, text="Then."),
            _at("output_item.done", item=_REASONING),
            *_text("Done.", "Done.", index=1),
            ended([_REASONING, _message("Done.")]),
        ),
        [
            START,
            BlockStart(0, "thinking", id="rs_1", origin=ORIGIN),
            ThinkingDelta(0, "First."),
            ThinkingDelta(0, "\n\n"),
            ThinkingDelta(0, "Then."),
            SignatureDelta(0, "gAAAAB==", ORIGIN),
            BlockStop(0),
            *_said("Done.", index=1),
            *_finish(),
        ],
    ),
    Case(
        "raw reasoning text of an open model",
        stream(
            _at("output_item.added", item={"type": "reasoning", "id": "rs_1", "summary": []}),
            _at("content_part.added", content_index=0, part={"type": "reasoning_text", "text": ""}),
            _at("reasoning_text.delta", content_index=0, delta="Hm."),
            _at("reasoning_text.done", content_index=0, text="Hm."),
            _at(
                "output_item.done",
                item={
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [],
                    "content": [{"type": "reasoning_text", "text": "Hm."}],
                },
            ),
            ended([]),
        ),
        [
            START,
            BlockStart(0, "thinking", id="rs_1", origin=ORIGIN),
            ThinkingDelta(0, "Hm."),
            BlockStop(0),
            *_finish(),
        ],
        whole=False,
    ),
    Case(
        "a call in a namespace gets one flat name",
        stream(
            *_calling("{}", "{}", namespace="multi_agent_v1"),
            ended([_call("{}", namespace="multi_agent_v1")]),
        ),
        [START, *_called("{}", name="multi_agent_v1__get_weather"), *_finish("tool_use")],
    ),
    Case(
        "a custom tool takes free text",
        stream(
            _at("output_item.added", item={**_CUSTOM, "input": ""}),
            _at("custom_tool_call_input.delta", delta="*** Begin\n"),
            _at("custom_tool_call_input.delta", delta="À"),
            _at("custom_tool_call_input.done", input="*** Begin\nÀ"),
            _at("output_item.done", item=_CUSTOM),
            ended([_CUSTOM]),
        ),
        [
            START,
            BlockStart(0, "custom_tool", id="call_c", name="apply_patch"),
            ArgsDelta(0, "*** Begin\n"),
            ArgsDelta(0, "À"),
            BlockStop(0),
            *_finish("tool_use"),
        ],
    ),
    Case(
        "a refusal in the model's own words",
        stream(
            _at("output_item.added", item=_message("")),
            _at("content_part.added", content_index=0, part={"type": "refusal", "refusal": ""}),
            _at("refusal.delta", content_index=0, delta="I cannot help with that."),
            _at("refusal.done", content_index=0, refusal="I cannot help with that."),
            _at("content_part.done", content_index=0, part=_REFUSAL),
            _at("output_item.done", item={**_message(""), "content": [_REFUSAL]}),
            ended([{**_message(""), "content": [_REFUSAL]}]),
        ),
        [
            START,
            BlockStart(0, "text", raw={"type": "refusal"}),
            TextDelta(0, "I cannot help with that."),
            BlockStop(0),
            *_finish("refusal"),
        ],
    ),
    Case(
        "the limit of tokens in the middle of a text",
        stream(
            *_text("Once upon", "Once upon"),
            ended(
                [_message("Once upon")],
                "incomplete",
                incomplete_details={"reason": "max_output_tokens"},
            ),
        ),
        [START, *_said("Once upon"), *_finish("max_tokens")],
    ),
    Case(
        "the limit of tokens inside a call: the half call never looks complete",
        stream(
            _at("output_item.added", item=_call("")),
            _at("function_call_arguments.delta", delta='{"path":"/'),
            ended([], "incomplete", incomplete_details={"reason": "max_output_tokens"}),
        ),
        [START, *_called('{"path":"/'), *_finish("max_tokens")],
        whole=False,
    ),
    Case(
        "a content filter",
        stream(
            *_text("Well", "Well"),
            ended(
                [_message("Well")], "incomplete", incomplete_details={"reason": "content_filter"}
            ),
        ),
        [START, *_said("Well"), *_finish("refusal")],
    ),
    Case(
        "a search that OpenAI ran, and a text with a citation",
        stream(
            _at("output_item.added", item=_SEARCHING),
            _at("web_search_call.in_progress"),
            _at("web_search_call.completed"),
            _at("output_item.done", item=_SEARCH),
            _at("output_item.added", 1, item=_message("")),
            _at("content_part.added", 1, content_index=0, part={"type": "output_text", "text": ""}),
            _at("output_text.delta", 1, content_index=0, delta="So", logprobs=[]),
            _at("output_text.annotation.added", 1, content_index=0, annotation=_CITATION),
            _at("output_item.done", 1, item=_message("So")),
            ended([_SEARCH, _message("So")]),
        ),
        [
            START,
            BlockStart(0, "foreign", id="ws_1", raw=_SEARCHING, origin=ORIGIN),
            ForeignDelta(0, _SEARCH, ORIGIN),
            BlockStop(0),
            BlockStart(1, "text"),
            TextDelta(1, "So"),
            ForeignDelta(1, _CITATION, ORIGIN),
            BlockStop(1),
            *_finish(),
        ],
        whole=False,
    ),
    Case(
        "deltas that never came are filled in from the repetitions",
        stream(
            _at("output_item.added", item=_message("")),
            _at("output_item.done", item=_message("All at once.")),
            _at("output_item.done", 1, item=_call('{"a":1}')),
            ended([_message("All at once."), _call('{"a":1}')]),
        ),
        [START, *_said("All at once."), *_called('{"a":1}', index=1), *_finish("tool_use")],
    ),
    Case(
        "a server that sends only the end",
        [ended([_message("Late."), _call("{}")])],
        [START, *_said("Late."), *_called("{}", index=1), *_finish("tool_use")],
    ),
    Case(
        "a call without arguments has an empty object",
        stream(*_calling(""), ended([_call("")])),
        [START, *_called("{}"), *_finish("tool_use")],
    ),
    Case(
        "an unknown event means nothing",
        stream({"type": "response.sparkle", "x": [1]}, *_text("Hi", "Hi"), ended([_message("Hi")])),
        [START, *_said("Hi"), *_finish()],
    ),
    Case(
        "a failure after some text",
        stream(
            *_text("Hi", "Hi")[:3],
            ended([], "failed", error={"code": "server_error", "message": "Try again."}),
        ),
        [
            START,
            BlockStart(0, "text"),
            TextDelta(0, "Hi"),
            Failed("server_error", "Try again.", 500),
        ],
        whole=False,
    ),
    Case(
        "an error event before anything else",
        [{"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None}],
        [Failed("rate_limit_exceeded", "Slow down.", 429)],
        whole=False,
    ),
]

MALFORMED = [
    ("not JSON", b'event: x\ndata: {"type":\n\n'),
    ("a list", b"data: [1]\n\n"),
    ("not UTF-8", b'data: {"type": "\xff"}\n\n'),
    ("an endless nesting", b"data: " + b"[" * 100_000 + b"\n\n"),
    ("half a character escape", b'data: {"type": "\\ud800"}\n\n'),
    ("a type that is a number", b'data: {"type": 5}\n\n'),
    ("created without a response", b'data: {"type": "response.created"}\n\n'),
    ("content before the beginning", sse([_at("output_item.added", item=_message(""))])),
    (
        "a delta without text",
        sse(stream(*_text("x")[:2], _at("output_text.delta", content_index=0))),
    ),
    (
        "an item that appears twice",
        sse(stream(*[_at("output_item.added", item=_message(""))] * 2)),
    ),
    (
        "an end that differs from what was streamed",
        sse(stream(*_text("Hello", "Goodbye")[:4])),
    ),
    (
        "arguments that differ from what was streamed",
        sse(stream(*_calling('{"a":1}', '{"b":'))),
    ),
    (
        "a call that changes its id",
        sse(stream(_calling("{}")[0], _at("output_item.done", item=_call("{}", "call_9")))),
    ),
    (
        "arguments for a call that was never announced",
        sse(stream(_at("function_call_arguments.delta", delta="{}"))),
    ),
    (
        "a completed response with a call that is not complete",
        sse(stream(*_calling("{}", '{"path":')[:2], ended([]))),
    ),
    (
        "a call without a name",
        sse(stream(_at("output_item.added", item={"type": "function_call"}))),
    ),
]
