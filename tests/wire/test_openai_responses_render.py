"""Writing requests for an upstream of this format, out of the two others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from outlast.nouns import Format
from outlast.wire.canon import (
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
from outlast.wire.openai_responses import CODEC
from outlast.wire.openai_responses.repair import without_our_reasoning
from tests.wire.test_openai_responses_request import SPACE, WEATHER

ANTHROPIC = Format.ANTHROPIC
HI = Message("user", (Text("Hi"),))
_INPUT: TypeAdapter[Any] = TypeAdapter(response_create_params.ResponseCreateParamsBase)


def request(*messages: Message, **fields: Any) -> Request:
    return Request(**{"model": "m", "messages": messages or (HI,), "origin": ANTHROPIC, **fields})


def body(*messages: Message, **fields: Any) -> dict[str, Any]:
    rendered = CODEC.render_request(request(*messages, **fields)).body
    _INPUT.validate_python(rendered)  # the official SDK's own types
    return rendered


def dropped(*messages: Message, **fields: Any) -> tuple[str, ...]:
    return CODEC.render_request(request(*messages, **fields)).dropped


def test_the_leading_system_prompt_becomes_instructions_and_a_later_one_stays_in_place() -> None:
    rendered = body(
        Message("system", (Text("One."), Text("Two."))),
        HI,
        Message("system", (Text("Later."),)),
        Message("user", (Text("Go"),)),
    )
    assert rendered["instructions"] == "One.\n\nTwo."
    assert [item["role"] for item in rendered["input"]] == ["user", "developer", "user"]
    assert rendered["store"] is False
    assert "stream" not in rendered


def test_a_request_of_system_messages_alone_still_has_input() -> None:
    rendered = body(Message("system", (Text("Say hi."),)))
    assert rendered["input"][0]["role"] == "developer"
    assert "instructions" not in rendered


def test_a_turn_with_calls_keeps_ids_order_and_arguments() -> None:
    rendered = body(
        HI,
        Message(
            "assistant",
            (
                Thinking("Hm", "sig", origin=ANTHROPIC),
                Text("Looking."),
                ToolUse("toolu_1", "a", '{"x": 1.0}'),
                ToolUse("toolu_2", "b", "{}"),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("toolu_1", (Text("sunny"), Text("warm"))),
                ToolResult("toolu_2", (Image(media_type="image/png", data="QQ=="),)),
                Text("And?"),
            ),
        ),
    )
    assert rendered["input"][1:] == [
        {"type": "message", "role": "assistant", "content": "Looking."},
        {"type": "function_call", "call_id": "toolu_1", "name": "a", "arguments": '{"x": 1.0}'},
        {"type": "function_call", "call_id": "toolu_2", "name": "b", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "toolu_1", "output": "sunny\nwarm"},
        {
            "type": "function_call_output",
            "call_id": "toolu_2",
            "output": [
                {
                    "type": "input_image",
                    "detail": "auto",
                    "image_url": "data:image/png;base64,QQ==",
                }
            ],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}]},
    ]


def test_an_id_that_is_too_long_is_shortened_alike_in_call_and_result() -> None:
    ident = "toolu_" + "x" * 80
    items = body(
        HI,
        Message("assistant", (ToolUse(ident, "a", "{}"),)),
        Message("user", (ToolResult(ident, (Text("ok"),)),)),
    )["input"]
    assert items[1]["call_id"] == items[2]["call_id"]
    assert len(items[1]["call_id"]) <= 64


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ((Text("no such file"),), "Error: no such file"),
        ((Text("Error: no such file"),), "Error: no such file"),
        ((), "Error: "),
    ],
)
def test_a_failed_call_says_so_in_its_text(content: Any, output: str) -> None:
    result = Message("user", (ToolResult("c", content, is_error=True),))
    assert body(HI, result)["input"][1]["output"] == output


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            Document(media_type="application/pdf", data="QQ==", title="a.pdf"),
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,QQ==",
            },
        ),
        (
            Document(media_type="application/pdf", data="QQ=="),
            {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,QQ==",
            },
        ),
        (
            Document(url="https://e.org/a.pdf"),
            {"type": "input_file", "file_url": "https://e.org/a.pdf"},
        ),
        (
            Document(text="Hello", title='A "b"'),
            {"type": "input_text", "text": "<document title=\"A 'b'\">\nHello\n</document>"},
        ),
        (
            Image(url="https://e.org/a.png", detail="low"),
            {"type": "input_image", "detail": "low", "image_url": "https://e.org/a.png"},
        ),
    ],
)
def test_each_medium_has_its_part(block: Block, part: dict[str, Any]) -> None:
    assert body(Message("user", (block,)))["input"][0]["content"] == [part]


def test_only_reasoning_that_openai_sealed_goes_back() -> None:
    genuine = Thinking("Sum", "gA", origin=Format.OPENAI_RESPONSES, id="rs_1")
    unsealed = Thinking("Sum", origin=Format.OPENAI_RESPONSES, id="rs_ol_1")
    messages = (HI, Message("assistant", (genuine, unsealed)), HI)
    items = body(*messages)["input"]
    assert items[1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Sum"}],
        "encrypted_content": "gA",
    }
    assert len(items) == 3
    assert dropped(*messages) == ("thinking",)


def test_tools_of_the_client_go_and_tools_of_another_vendor_do_not() -> None:
    tools = (
        Tool("f", "Does f", {"type": "object"}, cache_control={"type": "ephemeral"}),
        Tool("g", strict=True),
        Tool("web_search", kind="server", origin=ANTHROPIC),
    )
    fields: dict[str, Any] = {
        "tools": tools,
        "tool_choice": ToolChoice("tool", "g"),
        "parallel_tool_calls": False,
    }
    rendered = body(**fields)
    empty = {"type": "object", "properties": {}}
    assert rendered["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": "Does f",
            "parameters": {"type": "object"},
            "strict": False,
        },
        {"type": "function", "name": "g", "parameters": empty, "strict": True},
    ]
    assert rendered["tool_choice"] == {"type": "function", "name": "g"}
    assert rendered["parallel_tool_calls"] is False
    assert dropped(**fields) == ("cache_control", "tools.web_search")


@pytest.mark.parametrize(
    "raw",
    [
        {"format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {
            "custom": {
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
            }
        },
    ],
)
def test_a_custom_tool_keeps_its_grammar_in_this_formats_shape(raw: dict[str, Any]) -> None:
    rendered = body(
        HI,
        Message("assistant", (ToolUse("c", "p", "free", custom=True),)),
        Message("user", (ToolResult("c", (Text("ok"),)),)),
        tools=(Tool("p", kind="custom", raw=raw),),
        origin=Format.OPENAI_CHAT,
    )
    form = {"type": "grammar", "syntax": "lark", "definition": "x"}
    assert rendered["tools"] == [{"type": "custom", "name": "p", "format": form}]
    assert rendered["input"][1]["input"] == "free"
    assert rendered["input"][2]["type"] == "custom_tool_call_output"


def test_every_field_with_an_equivalent_is_sent() -> None:
    rendered = body(
        stream=True,
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        output=StructuredOutput({"type": "object"}, "my answer", description="d"),
        verbosity="low",
        reasoning=Reasoning("adaptive", "high"),
        user="u",
        metadata={"k": "v"},
        service_tier="standard_only",
        prompt_cache_key="k",
    )
    assert rendered["text"] == {
        "format": {
            "type": "json_schema",
            "name": "my_answer",
            "schema": {"type": "object"},
            "description": "d",
        },
        "verbosity": "low",
    }
    for key, value in {
        "stream": True,
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning": {"effort": "high"},
        "safety_identifier": "u",
        "metadata": {"k": "v"},
        "service_tier": "default",
        "prompt_cache_key": "k",
    }.items():
        assert rendered[key] == value


def test_a_long_user_is_hashed() -> None:
    assert len(body(user="u" * 500)["safety_identifier"]) == 64


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        (Reasoning("on", budget_tokens=1024), {"effort": "low"}),
        (Reasoning("on", budget_tokens=8000), {"effort": "medium"}),
        (Reasoning("on", budget_tokens=31999), {"effort": "high"}),
        (Reasoning("adaptive"), None),
        (Reasoning("off"), None),
        (Reasoning("off", "none"), {"effort": "none"}),
        (Reasoning("on", summary="auto"), {"summary": "auto"}),
    ],
)
def test_thinking_becomes_effort(reasoning: Reasoning, expected: Any) -> None:
    assert body(reasoning=reasoning).get("reasoning") == expected


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"top_k": 5, "seed": 1}, ("top_k", "seed")),
        (
            {"frequency_penalty": 0.1, "presence_penalty": 0.2},
            ("frequency_penalty", "presence_penalty"),
        ),
        ({"stop": ("END",)}, ()),
        ({"max_tokens": 1}, ("max_tokens",)),
        ({"metadata": {"k": {"deep": 1}}}, ("metadata",)),
        ({"extra": ("sparkle",)}, ("sparkle",)),
        (
            {
                "messages": (
                    Message("user", (Text("x", cache_control={}), Opaque("o", ANTHROPIC, {}))),
                )
            },
            ("cache_control", "o"),
        ),
    ],
)
def test_what_has_no_equivalent_is_named(fields: dict[str, Any], names: tuple[str, ...]) -> None:
    assert dropped(**fields) == names


def test_a_limit_below_the_least_is_raised_to_it() -> None:
    assert body(max_tokens=1)["max_output_tokens"] == 16


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messages": (HI, Message("assistant", (Text("{"),)))}, "messages.1"),
        ({"messages": (Message("user", (Image(file_id="file_1"),)),)}, "messages.0.content.0"),
        ({"messages": (Message("user", (Opaque("o", ANTHROPIC, {}),)),)}, "messages"),
        ({"messages": ()}, "messages"),
        ({"tools": (Tool("a b"),)}, "tools.0.name"),
        (
            {
                "tools": (Tool("s", kind="server", origin=ANTHROPIC),),
                "tool_choice": ToolChoice("tool", "s"),
            },
            "tool_choice",
        ),
        ({"tool_choice": ToolChoice("required")}, "tool_choice"),
    ],
)
def test_what_cannot_be_left_out_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        dropped(**fields)
    assert caught.value.field == field


def test_a_request_of_this_format_comes_back_as_it_was() -> None:
    original = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {
                "type": "function_call",
                "call_id": "call_1",
                "namespace": "multi_agent_v1",
                "name": "spawn_agent",
                "arguments": "{}",
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        ],
        "store": False,
        "stream": True,
        "tools": [WEATHER, SPACE, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "get_weather"},
        "temperature": 0.5,
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "low"},
    }
    rendered = CODEC.render_request(CODEC.parse_request(original))
    space = rendered.body["tools"][1]["tools"][0]
    space.pop("parameters")  # an absent schema is written out as an empty one
    assert rendered.body == original
    assert rendered.dropped == ()


def test_history_that_we_wrote_is_taken_out_before_it_goes_to_openai() -> None:
    ours = [
        {"type": "reasoning", "id": "rs_ol_1", "summary": []},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]},
    ]
    genuine = [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "summary": [], "encrypted_content": "gA"},
        {"role": "user", "content": "Hi"},
    ]
    assert without_our_reasoning({"input": [*ours, *genuine], "x": 1}) == {"input": genuine, "x": 1}
    untouched = {"input": genuine}
    assert without_our_reasoning(untouched) is untouched


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_USER = st.one_of(
    st.builds(Text, _TEXT),
    st.builds(Image, media_type=st.just("image/png"), data=st.just("QQ==")),
    st.builds(Document, text=_TEXT.filter(bool)),
    st.builds(ToolResult, st.sampled_from(["a", "b" * 90]), st.tuples(st.builds(Text, _TEXT))),
)
_ORIGINS = st.sampled_from([None, *Format])
_ASSISTANT = st.one_of(
    st.builds(Text, _TEXT),
    st.builds(Thinking, _TEXT, _TEXT, origin=_ORIGINS, id=st.just("rs_1")),
    st.builds(ToolUse, st.sampled_from(["a", "b" * 90]), st.just("f"), _TEXT),
)
_MESSAGES = st.lists(
    st.one_of(
        st.builds(Message, st.just("user"), st.lists(_USER, min_size=1, max_size=3).map(tuple)),
        st.builds(Message, st.just("assistant"), st.lists(_ASSISTANT, max_size=3).map(tuple)),
        st.builds(Message, st.just("system"), st.tuples(st.builds(Text, _TEXT))),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(_MESSAGES)
def test_what_is_rendered_can_be_read_again(messages: list[Message]) -> None:
    rendered = body(*messages, HI)
    again = CODEC.parse_request(rendered)
    assert CODEC.render_request(again).body == rendered
