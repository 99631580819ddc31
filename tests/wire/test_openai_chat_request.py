"""Reading chat requests: what each message and field means, and what is said of wrong ones."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.nouns import Format
from outlast.wire.canon import (
    JSON,
    BadRequest,
    Document,
    Image,
    Message,
    Reasoning,
    StructuredOutput,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Untranslatable,
)
from outlast.wire.openai_chat import CODEC
from outlast.wire.openai_chat.parse import LEGACY
from tests.wire.requests_openai_chat import PNG, SCHEMA

CHAT = Format.OPENAI_CHAT
HI: JSON = {"role": "user", "content": "Hi"}


def asked(**fields: Any) -> JSON:
    return {"model": "m", "messages": [HI], **fields}


def parsed(*messages: JSON) -> tuple[Message, ...]:
    return CODEC.parse_request({"model": "m", "messages": list(messages)}).messages


MESSAGES: list[tuple[str, list[JSON], tuple[Message, ...]]] = [
    (
        "system and developer stay where they stand",
        [{"role": "system", "content": "a"}, HI, {"role": "developer", "content": "b"}],
        (
            Message("system", (Text("a"),)),
            Message("user", (Text("Hi"),)),
            Message("developer", (Text("b"),)),
        ),
    ),
    (
        "parts: text, image as data and as an address, a file",
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "text",
                        "text": "See",
                        "prompt_cache_breakpoint": {"mode": "explicit"},
                    },
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"},
                    },
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
                    {
                        "type": "file",
                        "file": {
                            "filename": "a.pdf",
                            "file_data": "data:application/pdf;base64,JVBE",
                        },
                    },
                    {"type": "file", "file": {"filename": "n.txt", "file_data": "SGk="}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            }
        ],
        (
            Message(
                "user",
                (
                    Text("See", {"type": "ephemeral"}),
                    Image(media_type="image/png", data=PNG, detail="low"),
                    Image(url="https://x.example/a.png"),
                    Document(media_type="application/pdf", data="JVBE", title="a.pdf"),
                    Document(media_type="text/plain", data="SGk=", title="n.txt"),
                    Document(file_id="file-1"),
                ),
            ),
        ),
    ),
    (
        "thoughts, words, two calls, and their results in one turn",
        [
            {
                "role": "assistant",
                "content": "Look:",
                "reasoning_content": "Hm.",
                "refusal": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{} "}},
                    {"id": "b", "type": "custom", "custom": {"name": "p", "input": "x"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
            HI,
        ],
        (
            Message(
                "assistant",
                (
                    Thinking("Hm.", origin=CHAT),
                    Text("Look:"),
                    ToolUse("a", "f", "{} "),
                    ToolUse("b", "p", "x", custom=True),
                ),
            ),
            Message(
                "user", (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),), custom=True))
            ),
            Message("user", (Text("Hi"),)),
        ),
    ),
    (
        "a refusal, as a field and as a part",
        [
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "Never."}]},
        ],
        (Message("assistant", (Text("No."),)), Message("assistant", (Text("Never."),))),
    ),
    (
        "the older function messages find their call",
        [
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": "{}"},
            },
            {"role": "function", "name": "f", "content": "1"},
        ],
        (
            Message("assistant", (ToolUse("call_legacy_0", "f", "{}"),)),
            Message("user", (ToolResult("call_legacy_0", (Text("1"),)),)),
        ),
    ),
    (
        "arguments as an object, from clients that send them so",
        [
            {
                "role": "assistant",
                "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"a": 1}}}],
            }
        ],
        (Message("assistant", (ToolUse("a", "f", '{"a":1}'),)),),
    ),
]


@pytest.mark.parametrize(("sentence", "given", "canonical"), MESSAGES, ids=[r[0] for r in MESSAGES])
def test_messages_are_read(
    sentence: str, given: list[JSON], canonical: tuple[Message, ...]
) -> None:
    assert parsed(*given) == canonical, sentence


FIELDS: list[tuple[str, JSON, JSON]] = [
    ("the newer limit counts", {"max_tokens": 5, "max_completion_tokens": 9}, {"max_tokens": 9}),
    ("the older limit", {"max_tokens": 5}, {"max_tokens": 5}),
    (
        "sampling",
        {"temperature": 0, "top_p": 0.5, "top_k": 4, "seed": 7, "frequency_penalty": 1.0,
         "presence_penalty": -1},
        {"temperature": 0, "top_p": 0.5, "top_k": 4, "seed": 7, "frequency_penalty": 1.0,
         "presence_penalty": -1},
    ),
    ("one stop sequence", {"stop": "END"}, {"stop": ("END",)}),
    ("several", {"stop": ["a", "b"]}, {"stop": ("a", "b")}),
    ("nulls count as absent", {"stop": None, "tools": None, "temperature": None}, {"stop": ()}),
    (
        "a stream with usage",
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "include_usage": True},
    ),
    ("any JSON", {"response_format": {"type": "json_object"}}, {"output": StructuredOutput()}),
    ("plain text", {"response_format": {"type": "text"}}, {"output": None}),
    (
        "JSON of a shape",
        {"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "schema": SCHEMA, "strict": True, "description": "d"}}},
        {"output": StructuredOutput(SCHEMA, "n", strict=True, description="d")},
    ),
    ("effort", {"reasoning_effort": "high"}, {"reasoning": Reasoning("on", "high")}),
    ("no thinking", {"reasoning_effort": "none"}, {"reasoning": Reasoning("off", "none")}),
    ("effort, nested", {"reasoning": {"effort": "low"}}, {"reasoning": Reasoning("on", "low")}),
    ("the safety identifier is the user", {"user": "u", "safety_identifier": "s"}, {"user": "s"}),
    (
        "labels",
        {"metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k",
         "verbosity": "low"},
        {"metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k",
         "verbosity": "low"},
    ),
    (
        "what nobody else knows is named",
        {"logprobs": True, "top_logprobs": 3, "logit_bias": {"5": 1}, "store": True,
         "prediction": {"type": "content", "content": "x"}, "new_field": 1, "n": 1,
         "web_search_options": {"search_context_size": "low"}, "bad\r\nname": 1},
        {"extra": ("top_logprobs", "logit_bias", "prediction", "new_field", "web_search_options",
                   "unnamed-field", "logprobs", "store")},
    ),
    ("what says nothing is not named", {"logprobs": False, "store": False, "logit_bias": {}},
     {"extra": ()}),
    (
        "tools",
        {"tools": [
            {"type": "function", "function": {"name": "f", "description": "d",
                                              "parameters": SCHEMA, "strict": True}},
            {"type": "custom", "custom": {"name": "p", "format": {"type": "grammar", "grammar": {
                "syntax": "lark", "definition": "start: X"}}}}],
         "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": (
            Tool("f", "d", SCHEMA, strict=True, origin=CHAT),
            Tool("p", kind="custom", origin=CHAT, raw={"format": {
                "type": "grammar", "syntax": "lark", "definition": "start: X"}})),
         "tool_choice": ToolChoice("required"), "parallel_tool_calls": False},
    ),
    (
        "a named tool",
        {"tools": [{"type": "custom", "custom": {"name": "p"}}],
         "tool_choice": {"type": "custom", "custom": {"name": "p"}}},
        {"tool_choice": ToolChoice("tool", "p")},
    ),
    (
        "allowed tools: the others are not offered",
        {"tools": [{"type": "function", "function": {"name": "f"}},
                   {"type": "function", "function": {"name": "g"}}],
         "tool_choice": {"type": "allowed_tools", "allowed_tools": {
             "mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}}},
        {"tools": (Tool("g", parameters={"type": "object", "properties": {}}, origin=CHAT),),
         "tool_choice": ToolChoice("required")},
    ),
    (
        "the older functions",
        {"functions": [{"name": "f", "parameters": SCHEMA}], "function_call": {"name": "f"}},
        {"tools": (Tool("f", parameters=SCHEMA, raw=LEGACY, origin=CHAT),),
         "tool_choice": ToolChoice("tool", "f"), "parallel_tool_calls": False},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "given", "canonical"), FIELDS, ids=[r[0] for r in FIELDS])
def test_fields_are_read(sentence: str, given: JSON, canonical: JSON) -> None:
    request = CODEC.parse_request(asked(**given))
    assert {name: getattr(request, name) for name in canonical} == canonical, sentence


def _message(**fields: Any) -> JSON:
    return {"model": "m", "messages": [HI, fields]}


BAD: list[tuple[JSON, str, str]] = [
    ({"messages": [HI]}, "model", "is missing; it must be a string"),
    ({"model": 5, "messages": [HI]}, "model", "must be a string, not a whole number"),
    ({"model": "m"}, "messages", "is missing; it must be a list of messages"),
    ({"model": "m", "messages": []}, "messages", "must hold at least one message"),
    ({"model": "m", "messages": {}}, "messages", "must be a list, not an object"),
    ({"model": "m", "messages": ["Hi"]}, "messages.0", "must be an object, not a string"),
    (_message(content="x"), "messages.1.role", "is missing; it must be a string"),
    (_message(role="bot", content="x"), "messages.1.role", "must be one of system, developer, "),
    (_message(role="user"), "messages.1.content", "is missing; it must be text or a list of parts"),
    (_message(role="user", content=5), "messages.1.content", "must be a string or a list of parts"),
    (_message(role="user", content=[]), "messages.1.content", "is an empty list"),
    (_message(role="user", content=["x"]), "messages.1.content.0", "must be an object"),
    (_message(role="user", content=[{"type": "text"}]), "messages.1.content.0.text", "is missing"),
    (
        _message(role="user", content=[{"type": "image_url", "image_url": "x"}]),
        "messages.1.content.0.image_url",
        "must be an object, not a string",
    ),
    (
        _message(role="user", content=[{"type": "image_url", "image_url": {"url": "ftp://x"}}]),
        "messages.1.content.0.image_url.url",
        "must be an http(s) address or a data URL",
    ),
    (
        _message(role="user", content=[{"type": "image_url", "image_url": {"url": "data:x"}}]),
        "messages.1.content.0.image_url.url",
        "must be of the form data:",
    ),
    (
        _message(role="user", content=[{"type": "file", "file": {}}]),
        "messages.1.content.0.file",
        "must hold file_data or file_id",
    ),
    (
        _message(role="system", content=[{"type": "image_url"}]),
        "messages.1.content.0.type",
        "must be one of text here, not 'image_url'",
    ),
    (_message(role="tool", content="x"), "messages.1.tool_call_id", "is missing"),
    (
        _message(role="function", name="f", content="x"),
        "messages.1.name",
        "answers a call of 'f' that was never made",
    ),
    (
        _message(role="assistant", tool_calls=[{"function": {"name": "f"}}]),
        "messages.1.tool_calls.0.id",
        "is missing",
    ),
    (
        _message(role="assistant", tool_calls=[{"id": "a", "type": "function"}]),
        "messages.1.tool_calls.0.function",
        "is missing; it must be an object",
    ),
    (asked(temperature="hot"), "temperature", "must be a number, not a string"),
    (asked(temperature=True), "temperature", "must be a number, not true or false"),
    (asked(max_tokens=0), "max_tokens", "must be at least 1, not 0"),
    (asked(max_tokens=1.5), "max_tokens", "must be a whole number, not 1.5"),
    (asked(stream="yes"), "stream", "must be true or false, not a string"),
    (asked(stop=[1]), "stop.0", "must be a non-empty string, not a whole number"),
    (asked(stop=["a"] * 65), "stop", "has 65 entries; at most 64 are taken"),
    (asked(response_format={"type": "xml"}), "response_format.type", "must be one of text, "),
    (
        asked(response_format={"type": "json_schema", "json_schema": {}}),
        "response_format.json_schema.name",
        "is missing",
    ),
    (asked(reasoning_effort="huge"), "reasoning_effort", "must be one of none, minimal, "),
    (asked(tools=[{"type": "web"}]), "tools.0.type", "must be one of function, custom, not 'web'"),
    (asked(tools=[{"type": "function", "function": {}}]), "tools.0.function.name", "is missing"),
    (asked(tool_choice="required"), "tool_choice", "requires a tool call, but there are no tools"),
    (
        asked(tool_choice={"type": "function", "function": {"name": "f"}}),
        "tool_choice",
        "names 'f', which is not among the tools",
    ),
]


@pytest.mark.parametrize(("body", "field", "why"), BAD, ids=[f"{r[1]} {r[2][:30]}" for r in BAD])
def test_a_bad_request_names_the_field_and_says_why(body: JSON, field: str, why: str) -> None:
    with pytest.raises(BadRequest) as caught:
        CODEC.parse_request(body)
    assert caught.value.field == field
    assert caught.value.why.startswith(why)
    assert not isinstance(caught.value, Untranslatable)


SOUND: JSON = {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}
IMPOSSIBLE: list[tuple[JSON, str]] = [
    (asked(n=2), "n"),
    (asked(modalities=["text", "audio"]), "modalities"),
    (_message(role="user", content=[SOUND]), "messages.1.content.0"),
    (asked(moderation={"model": "x", "policy": {"output": {"mode": "block"}}}),
     "moderation.policy.output.mode"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field"), IMPOSSIBLE, ids=[row[1] for row in IMPOSSIBLE])
def test_what_no_other_format_can_do_is_refused(body: JSON, field: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        CODEC.parse_request(body)
    assert caught.value.field == field
