"""Chat requests: read into canonical values, and written from those of other formats."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.nouns import Format
from outlast.wire.canon import (
    JSON,
    BadRequest,
    Block,
    Document,
    Image,
    Message,
    Opaque,
    Reasoning,
    Request,
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
from outlast.wire.openai_chat.dialect import COMPATIBLE, OPENAI, Dialect, dialect_of, nearest_effort
from outlast.wire.openai_chat.parse import LEGACY
from outlast.wire.openai_chat.render import opaque_user, render_request

PNG = "iVBORw0KGgo="
CHAT = Format.OPENAI_CHAT
HI: JSON = {"role": "user", "content": "Hi"}


def asked(**fields: Any) -> JSON:
    return {"model": "m", "messages": [HI], **fields}


def parsed(*messages: JSON) -> tuple[Message, ...]:
    return CODEC.parse_request({"model": "m", "messages": list(messages)}).messages


# Reading


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


SCHEMA: JSON = {"type": "object", "properties": {"a": {"type": "string"}}}
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


# Writing


def said(*blocks: Block, role: Any = "user") -> Message:
    return Message(role, blocks)


def request(*messages: Message, origin: Format = Format.ANTHROPIC, **fields: Any) -> Request:
    return Request(fields.pop("model", "m"), messages, origin, **fields)


USE_A, USE_B = ToolUse("toolu_a", "f", '{"a": 1}'), ToolUse("toolu_b", "g", "{}")
CALL_A: JSON = {
    "id": "toolu_a",
    "type": "function",
    "function": {"name": "f", "arguments": '{"a": 1}'},
}
CALL_B: JSON = {"id": "toolu_b", "type": "function", "function": {"name": "g", "arguments": "{}"}}
IMAGE = Image(media_type="image/png", data=PNG)
IMAGE_PART: JSON = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
END_USER, USER = said(Text("Go")), {"role": "user", "content": "Go"}

RENDERED: list[tuple[str, list[Message], list[JSON], tuple[str, ...]]] = [
    (
        "the leading system turns become one; the attribution line is left out",
        [
            said(
                Text("x-anthropic-billing-header: cc_version=2"),
                Text("You code.", {"type": "ephemeral"}),
                Text("Be brief."),
                role="system",
            ),
            END_USER,
            said(Text("Now in French."), role="system"),
        ],
        [
            {"role": "system", "content": "You code.\n\nBe brief."},
            USER,
            {"role": "system", "content": "Now in French."},
        ],
        ("system.x-anthropic-billing-header", "cache_control"),
    ),
    (
        "developer is said as system, which every server knows",
        [said(Text("a"), role="developer"), END_USER],
        [{"role": "system", "content": "a"}, USER],
        (),
    ),
    (
        "parallel calls: results right after, in the order of the calls, the rest after them",
        [
            said(Thinking("hm", "sig"), Text("Look:"), USE_A, USE_B, role="assistant"),
            said(Text("Mind the time."), role="system"),
            said(
                ToolResult("toolu_b", (Text("no"),), is_error=True),
                ToolResult("toolu_a", (Text("yes"),)),
                Text("Go"),
            ),
        ],
        [
            {"role": "assistant", "content": "Look:", "tool_calls": [CALL_A, CALL_B]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "yes"},
            {
                "role": "tool",
                "tool_call_id": "toolu_b",
                "content": "[The tool reported an error.]\n\nno",
            },
            {"role": "system", "content": "Mind the time."},
            USER,
        ],
        ("thinking",),
    ),
    (
        "calls in turns of their own, as the Responses API has them, are one turn here",
        [
            said(USE_A, role="assistant"),
            said(USE_B, role="assistant"),
            said(ToolResult("toolu_a", (Text("1"),))),
            said(ToolResult("toolu_b", (Text("2"),))),
        ],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL_A, CALL_B]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "1"},
            {"role": "tool", "tool_call_id": "toolu_b", "content": "2"},
        ],
        (),
    ),
    (
        "an image in a result follows in a user message",
        [
            said(USE_A, role="assistant"),
            said(ToolResult("toolu_a", (Text("Shot:"), IMAGE))),
        ],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {
                "role": "tool",
                "tool_call_id": "toolu_a",
                "content": "Shot:\n\n[The image of this result is in the next user message.]",
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "[The image from the result of tool call toolu_a:]"},
                    IMAGE_PART,
                ],
            },
        ],
        (),
    ),
    (
        "the same id in two turns: each call has its own result",
        [
            said(USE_A, role="assistant"),
            said(ToolResult("toolu_a", (Text("1"),))),
            said(USE_A, role="assistant"),
            said(ToolResult("toolu_a", (Text("2"),))),
        ],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "1"},
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "2"},
        ],
        (),
    ),
    (
        "a call without a result and a result without a call are mended, and said",
        [said(USE_A, role="assistant"), said(ToolResult("toolu_x", (Text("old"),)), Text("Go"))],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {
                "role": "tool",
                "tool_call_id": "toolu_a",
                "content": "(No result of this call was recorded.)",
            },
            {"role": "user", "content": "[Result of an earlier tool call:]\nold\n\nGo"},
        ],
        ("tool_use.without_result", "tool_result.without_call"),
    ),
    (
        "documents: a PDF as a file, text in line",
        [
            said(
                Document(media_type="application/pdf", data="JVBE", title="Report"),
                Document(text="Hello", title="Note"),
                Document(media_type="text/plain", data="SGk="),
                Text("Go", citations=[{"type": "x"}]),
            )
        ],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {
                            "filename": "Report.pdf",
                            "file_data": "data:application/pdf;base64,JVBE",
                        },
                    },
                    {"type": "text", "text": "[Document: Note]\nHello\n[End of the document]"},
                    {"type": "text", "text": "[Document]\nHi\n[End of the document]"},
                    {"type": "text", "text": "Go"},
                ],
            }
        ],
        ("citations",),
    ),
    (
        "a turn of thoughts alone disappears; pieces of one sentence stay one",
        [
            END_USER,
            said(Thinking("hm", "sig"), role="assistant"),
            said(Text("As it says,"), Text(" yes."), role="assistant"),
            said(Opaque("server_tool_use", Format.ANTHROPIC, {}), Text("And?")),
        ],
        [
            USER,
            {"role": "assistant", "content": "As it says, yes."},
            {"role": "user", "content": "And?"},
        ],
        ("thinking", "content.server_tool_use"),
    ),
    (
        "the beginning of an answer is kept, and said, since few servers go on from it",
        [END_USER, said(Text("{"), role="assistant")],
        [USER, {"role": "assistant", "content": "{"}],
        ("prefill",),
    ),
]


@pytest.mark.parametrize(
    ("sentence", "messages", "chat", "dropped"), RENDERED, ids=[row[0] for row in RENDERED]
)
def test_messages_are_written(
    sentence: str, messages: list[Message], chat: list[JSON], dropped: tuple[str, ...]
) -> None:
    rendered = CODEC.render_request(request(*messages))
    assert rendered.body["messages"] == chat, sentence
    assert rendered.dropped == dropped


def test_a_long_call_id_is_cut_the_same_way_in_call_and_result() -> None:
    use = ToolUse("x" * 80, "f", "{}")
    chat = CODEC.render_request(
        request(said(use, role="assistant"), said(ToolResult("x" * 80, (Text("1"),))))
    ).body["messages"]
    made = chat[0]["tool_calls"][0]["id"]
    assert chat[1]["tool_call_id"] == made
    assert len(made) <= 40


SERVER = Tool("web_search", kind="server", origin=Format.ANTHROPIC)
FUNCTION = Tool("f", "d", SCHEMA, strict=True)
PATCH = Tool("patch", "Edits.", kind="custom", raw={"format": {
    "type": "grammar", "syntax": "lark", "definition": "start: X"}})  # fmt: skip
WRITTEN: list[tuple[str, JSON, JSON, tuple[str, ...]]] = [
    ("the limit for compatible servers", {"max_tokens": 5}, {"max_tokens": 5}, ()),
    (
        "the limit for OpenAI's",
        {"max_tokens": 5, "model": "gpt-5.6"},
        {"max_completion_tokens": 5},
        (),
    ),
    ("top_k has no equivalent", {"top_k": 5, "top_p": 0.1}, {"top_p": 0.1}, ("top_k",)),
    ("stop sequences", {"stop": ("a", "b")}, {"stop": ["a", "b"]}, ()),
    (
        "a stream always asks for its usage",
        {"stream": True},
        {"stream": True, "stream_options": {"include_usage": True}},
        (),
    ),
    ("a whole answer", {}, {"stream": False}, ()),
    ("effort", {"reasoning": Reasoning("adaptive", "high")}, {"reasoning_effort": "high"}, ()),
    ("effort moves to the nearest that compatible servers know",
     {"reasoning": Reasoning("on", "xhigh")}, {"reasoning_effort": "high"}, ()),
    ("a budget is an effort", {"reasoning": Reasoning("on", budget_tokens=1024)},
     {"reasoning_effort": "low"}, ()),
    ("a large budget", {"reasoning": Reasoning("on", budget_tokens=31_999)},
     {"reasoning_effort": "high"}, ()),
    ("thinking left to the model is left to the model", {"reasoning": Reasoning("adaptive")}, {},
     ()),
    ("no thinking cannot be promised", {"reasoning": Reasoning("off")}, {}, ("reasoning",)),
    ("no thinking, in OpenAI's word", {"reasoning": Reasoning("off", "none")},
     {"reasoning_effort": "none"}, ()),
    ("models that never reason refuse the field",
     {"reasoning": Reasoning("on", "high"), "model": "gpt-4o"}, {}, ("reasoning",)),
    ("a summary of thoughts", {"reasoning": Reasoning("on", "low", summary="auto")},
     {"reasoning_effort": "low"}, ("reasoning.summary",)),
    ("any JSON", {"output": StructuredOutput()}, {"response_format": {"type": "json_object"}}, ()),
    (
        "JSON of a shape",
        {"output": StructuredOutput(SCHEMA, "n", strict=True)},
        {"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "schema": SCHEMA, "strict": True}}},
        (),
    ),
    (
        "tools, forced by name",
        {"tools": (FUNCTION,), "tool_choice": ToolChoice("tool", "f"),
         "parallel_tool_calls": False},
        {"tools": [{"type": "function", "function": {
            "name": "f", "description": "d", "parameters": SCHEMA, "strict": True}}],
         "tool_choice": {"type": "function", "function": {"name": "f"}},
         "parallel_tool_calls": False},
        (),
    ),
    (
        "tools that the vendor runs are left out",
        {"tools": (SERVER,), "tool_choice": ToolChoice("auto"), "parallel_tool_calls": True},
        {},
        ("tools.web_search",),
    ),
    (
        "a custom tool is a function of one string",
        {"tools": (PATCH,), "origin": Format.OPENAI_RESPONSES,
         "tool_choice": ToolChoice("tool", "patch")},
        {"tools": [{"type": "function", "function": {
            "name": "patch",
            "description": "Edits.\n\nThe input must follow this lark grammar:\nstart: X",
            "parameters": {"type": "object", "properties": {"input": {
                "type": "string", "description": "The tool's whole input."}},
                "required": ["input"], "additionalProperties": False}}}],
         "tool_choice": {"type": "function", "function": {"name": "patch"}}},
        (),
    ),
    (
        "a custom tool stays one between OpenAI's formats, for OpenAI's models",
        {"tools": (PATCH,), "origin": Format.OPENAI_RESPONSES, "model": "openai/gpt-5.6",
         "tool_choice": ToolChoice("tool", "patch")},
        {"tools": [{"type": "custom", "custom": {
            "name": "patch", "description": "Edits.", "format": {"type": "grammar", "grammar": {
                "syntax": "lark", "definition": "start: X"}}}}],
         "tool_choice": {"type": "custom", "custom": {"name": "patch"}}},
        (),
    ),
    (
        "labels go from OpenAI's format to OpenAI's models only",
        {"origin": Format.OPENAI_RESPONSES, "model": "gpt-5.6", "verbosity": "low",
         "service_tier": "flex", "prompt_cache_key": "k", "user": "u-1", "metadata": {"a": "b"}},
        {"verbosity": "low", "service_tier": "flex", "prompt_cache_key": "k", "user": "u-1"},
        ("metadata",),
    ),
    ("labels elsewhere", {"verbosity": "low", "service_tier": "auto", "prompt_cache_key": "k"}, {},
     ("verbosity", "service_tier", "prompt_cache_key")),
    ("what the parser named stays named", {"extra": ("container",)}, {}, ("container",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "fields", "body", "dropped"), WRITTEN, ids=[row[0] for row in WRITTEN]
)
def test_fields_are_written(
    sentence: str, fields: JSON, body: JSON, dropped: tuple[str, ...]
) -> None:
    rendered = CODEC.render_request(request(END_USER, **fields))
    more = {k: v for k, v in rendered.body.items() if k not in {"model", "messages"}}
    assert more == {"stream": False, **body}, sentence
    assert rendered.dropped == dropped


REFUSED: list[tuple[str, Request, str]] = [
    ("five stop sequences", request(END_USER, stop=("a", "b", "c", "d", "e")), "stop"),
    (
        "a forced tool of the vendor's",
        request(END_USER, tools=(SERVER, FUNCTION), tool_choice=ToolChoice("tool", "web_search")),
        "tool_choice",
    ),
    (
        "any tool, where all are the vendor's",
        request(END_USER, tools=(SERVER,), tool_choice=ToolChoice("required")),
        "tool_choice",
    ),
    ("another vendor's file", request(said(Document(file_id="file_1"))), "document"),
    ("a document's address", request(said(Document(url="https://x.example/a.pdf"))), "document"),
    ("an image's file id", request(said(Image(file_id="file_1"))), "image"),
    ("an image for the system", request(said(IMAGE, role="system"), END_USER), "system"),
    ("nothing at all", request(said(Thinking("hm"), role="assistant")), "messages"),
]


@pytest.mark.parametrize(("sentence", "given", "field"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_dropped_is_refused(sentence: str, given: Request, field: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        CODEC.render_request(given)
    assert caught.value.field == field, sentence


def test_a_caller_who_knows_the_server_chooses_the_dialect() -> None:
    given = request(END_USER, max_tokens=5, reasoning=Reasoning("on", "low"), stop=("a",) * 6)
    body = render_request(
        given, Dialect(limit_field="max_completion_tokens", efforts=(), stop_limit=8)
    ).body
    assert body["max_completion_tokens"] == 5
    assert "reasoning_effort" not in body
    assert len(body["stop"]) == 6


@pytest.mark.parametrize(
    ("model", "openai"),
    [("gpt-5.6", True), ("openai/gpt-4o", True), ("o3-mini", True), ("o1", True),
     ("chatgpt-4o-latest", True), ("gpt-oss-120b", False), ("openai/gpt-oss-20b", False),
     ("qwen3", False), ("gpt-j-6b", False), ("olmo", False), ("claude-opus-5", False)],
)  # fmt: skip
def test_a_models_name_suggests_the_dialect(model: str, openai: bool) -> None:
    assert dialect_of(model).openai_fields is openai


@pytest.mark.parametrize(
    ("effort", "sent"),
    [("none", "none"), ("minimal", "low"), ("low", "low"), ("xhigh", "high"), ("max", "high")],
)
def test_effort_moves_to_the_nearest_known(effort: str, sent: str) -> None:
    assert nearest_effort(effort, COMPATIBLE.efforts) == sent
    assert nearest_effort(effort, OPENAI.efforts) == effort
    assert nearest_effort(effort, ()) == ""


def test_a_users_id_that_holds_more_than_an_id_is_sent_as_a_digest() -> None:
    rich = '{"device_id":"d","account_uuid":"a","session_id":"s"}'
    assert opaque_user("user-1@x.example") == "user-1@x.example"
    assert opaque_user(rich) == opaque_user(rich) != opaque_user(rich + " ")
    assert "account" not in opaque_user(rich)
