"""Whole chat answers."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.nouns import Format, Tokens
from outlast.wire.canon import JSON, Request
from outlast.wire.openai_chat import CODEC
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    MalformedFrame,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
)

REQUEST = Request("m", (), Format.OPENAI_CHAT)


def answer(message: JSON, finish: str | None = "stop", **more: Any) -> JSON:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
            "choices": [choice], **more}  # fmt: skip


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
PARSED: list[tuple[str, JSON, list[AnswerEvent]]] = [
    (
        "thoughts, words and usage",
        answer(
            {"content": "Yes.", "reasoning_content": "Hm."},
            usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        ),
        [
            Start("chatcmpl-1", "m", created=7),
            BlockStart(0, "thinking"),
            ThinkingDelta(0, "Hm."),
            BlockStop(0),
            BlockStart(1, "text"),
            TextDelta(1, "Yes."),
            BlockStop(1),
            Stop("end_turn", Tokens(input=5, output=2)),
            End(),
        ],
    ),
    (
        "two calls",
        answer({"content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]}, "tool_calls"),
        [
            Start("chatcmpl-1", "m", created=7),
            BlockStart(0, "tool_use", id="c1", name="f"),
            ArgsDelta(0, '{"a":1}'),
            BlockStop(0),
            BlockStart(1, "tool_use", id="c2", name="f"),
            ArgsDelta(1, '{"a":1}'),
            BlockStop(1),
            Stop("tool_use"),
            End(),
        ],
    ),
    (
        "no finish reason: the body is whole all the same",
        answer({"content": "Hi"}, None),
        [
            Start("chatcmpl-1", "m", created=7),
            BlockStart(0, "text"),
            TextDelta(0, "Hi"),
            BlockStop(0),
            Stop("end_turn"),
            End(),
        ],
    ),
    (
        "a refusal",
        answer({"content": None, "refusal": "No."}),
        [
            Start("chatcmpl-1", "m", created=7),
            BlockStart(0, "text"),
            TextDelta(0, "No."),
            BlockStop(0),
            Stop("refusal"),
            End(),
        ],
    ),
]


@pytest.mark.parametrize(("sentence", "body", "events"), PARSED, ids=[row[0] for row in PARSED])
def test_a_whole_answer_means_what_the_table_says(
    sentence: str, body: JSON, events: list[AnswerEvent]
) -> None:
    assert CODEC.parse_answer(body) == events, sentence


MALFORMED: list[tuple[str, JSON]] = [
    ("an error", {"error": {"message": "x"}}),
    ("nothing", {}),
    ("no choices", {"choices": []}),
    ("no message", {"choices": [{"index": 0, "finish_reason": "stop"}]}),
    ("content of a wrong type", answer({"content": 5})),
    ("the upstream's own failure", answer({"content": "H"}, "error")),
    ("another format", {"type": "message", "content": []}),
]


@pytest.mark.parametrize(("sentence", "body"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_what_is_no_answer_is_a_malformed_frame(sentence: str, body: JSON) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.parse_answer(body)


def test_an_answer_of_another_vendor_is_rendered() -> None:
    events: list[AnswerEvent] = [
        Start("msg_1", "claude", Tokens(input=3, cache_read=4)),
        *(BlockStart(0, "thinking"), ThinkingDelta(0, "Hm."), BlockStop(0)),
        *(BlockStart(1, "text"), TextDelta(1, "Look:"), BlockStop(1)),
        *(BlockStart(2, "tool_use", id="toolu_1", name="f"), BlockStop(2)),
        Stop("tool_use", Tokens(input=3, cache_read=4, output=9, reasoning=1)),
        End(),
    ]
    body = CODEC.render_answer(events, REQUEST)
    assert body["id"] == "chatcmpl-msg_1"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Look:",
                "refusal": None,
                "reasoning_content": "Hm.",
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ]
    assert body["usage"]["prompt_tokens"] == 7
    assert body["usage"]["total_tokens"] == 16


@pytest.mark.parametrize("last", [Stop("end_turn"), Failed("server_error", "boom")])
def test_an_incomplete_answer_is_never_rendered(last: AnswerEvent) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.render_answer([Start("a", "m"), last], REQUEST)
