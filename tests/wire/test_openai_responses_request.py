"""Reading requests: what each field means, and a clear sentence for each that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.nouns import Format
from outlast.wire.canon import (
    BadRequest,
    Document,
    Image,
    Message,
    Opaque,
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
from outlast.wire.openai_responses import CODEC

ORIGIN = Format.OPENAI_RESPONSES
PNG = "iVBORw0KGgo="
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
SPACE = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Agents.",
    "tools": [{"type": "function", "name": "spawn_agent", "strict": False}],
}


def parse(**body: Any) -> Any:
    return CODEC.parse_request({"model": "m", "input": "Hi", **body})


def blocks(*items: Any) -> list[Any]:
    return [block for message in parse(input=list(items)).messages for block in message.content]


def test_the_body_of_codex_is_understood() -> None:
    request = CODEC.parse_request(
        {
            "model": "gpt-5.6",
            "input": [
                {
                    "type": "message",
                    "role": "developer",
                    "content": [{"type": "input_text", "text": "Permissions"}],
                },
                {
                    "type": "message",
                    "role": "developer",
                    "content": [{"type": "input_text", "text": "Skills"}],
                },
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "# AGENTS.md"}],
                },
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Create hello.txt"}],
                },
            ],
            "tools": [
                {"type": "function", "name": "exec_command", "strict": False, "parameters": {}},
                {"type": "function", "name": "write_stdin", "strict": False, "parameters": {}},
                SPACE,
                {"type": "web_search", "external_web_access": False},
            ],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"summary": "auto"},
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "0199",
            "client_metadata": {"x-codex-installation-id": "1"},
        }
    )
    assert [message.role for message in request.messages] == ["developer"] * 2 + ["user"] * 2
    assert [tool.name for tool in request.tools] == [
        "exec_command",
        "write_stdin",
        "multi_agent_v1__spawn_agent",
        "web_search",
    ]
    assert request.tools[2].namespace == "multi_agent_v1"
    assert request.tools[3].kind == "server"
    assert request.reasoning == Reasoning(mode="adaptive", summary="auto")
    assert (request.stream, request.prompt_cache_key) == (True, "0199")
    assert request.extra == ("include", "client_metadata")


def test_a_turn_with_calls_becomes_alternating_messages() -> None:
    request = parse(
        instructions="Be brief.",
        input=[
            {"role": "user", "content": "Weather?"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA"},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Looking.", "annotations": []}],
            },
            {"type": "function_call", "call_id": "call_1", "name": "a", "arguments": '{"x":1}'},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "b", "input": "free"},
            {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
            {
                "type": "custom_tool_call_output",
                "call_id": "call_2",
                "output": [
                    {"type": "input_text", "text": "shot:"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                ],
            },
            {"role": "user", "content": "And?"},
        ],
    )
    assert request.messages == (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("Weather?"),)),
        Message(
            "assistant",
            (
                Thinking(signature="gA", origin=ORIGIN, id="rs_1"),
                Text("Looking."),
                ToolUse("call_1", "a", '{"x":1}'),
                ToolUse("call_2", "b", "free", custom=True),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("call_1", (Text("sunny"),)),
                ToolResult(
                    "call_2",
                    (Text("shot:"), Image(media_type="image/png", data=PNG)),
                    custom=True,
                ),
            ),
        ),
        Message("user", (Text("And?"),)),
    )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "x"}, Text("x")),
        (
            {"type": "input_image", "image_url": "https://e.org/a.png"},
            Image(url="https://e.org/a.png"),
        ),
        (
            {"type": "input_image", "file_id": "file_1", "detail": "low"},
            Image(file_id="file_1", detail="low"),
        ),
        (
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,QQ==",
            },
            Document(media_type="application/pdf", data="QQ==", title="a.pdf"),
        ),
        (
            {"type": "input_file", "filename": "a.csv", "file_data": "QQ=="},
            Document(media_type="text/csv", data="QQ==", title="a.csv"),
        ),
        (
            {"type": "input_file", "file_url": "https://e.org/a.pdf"},
            Document(url="https://e.org/a.pdf"),
        ),
        ({"type": "input_file", "file_id": "file_1"}, Document(file_id="file_1")),
    ],
)
def test_each_part_of_a_message_has_its_block(part: dict[str, Any], expected: Any) -> None:
    assert blocks({"role": "user", "content": [part]}) == [expected]


def test_a_refusal_in_the_history_is_text_and_a_hosted_tool_is_opaque() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    refusal = {"type": "refusal", "refusal": "No."}
    found = blocks(search, {"role": "assistant", "content": [refusal]})
    assert found == [Opaque("web_search_call", ORIGIN, search), Text("No.")]


def test_a_call_in_a_namespace_has_the_same_name_as_its_tool() -> None:
    call = {
        "type": "function_call",
        "call_id": "call_1",
        "namespace": "multi_agent_v1",
        "name": "spawn_agent",
        "arguments": "{}",
    }
    request = parse(tools=[SPACE], input=[call])
    assert request.messages[0].content[0].name == request.tools[0].name


def test_tools_that_the_input_brings_are_added() -> None:
    item = {"type": "additional_tools", "role": "developer", "tools": [WEATHER]}
    request = parse(tools=[SPACE], input=[item, {"role": "user", "content": "Hi"}])
    assert [tool.name for tool in request.tools] == ["multi_agent_v1__spawn_agent", "get_weather"]


@pytest.mark.parametrize(
    ("choice", "expected", "left"),
    [
        ("required", ToolChoice("required"), 2),
        ({"type": "function", "name": "get_weather"}, ToolChoice("tool", "get_weather"), 2),
        (
            {"type": "function", "name": "spawn_agent"},
            ToolChoice("tool", "multi_agent_v1__spawn_agent"),
            2,
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "get_weather"}],
            },
            ToolChoice("required"),
            1,
        ),
    ],
)
def test_each_tool_choice(choice: Any, expected: ToolChoice, left: int) -> None:
    request = parse(tools=[WEATHER, SPACE], tool_choice=choice)
    assert request.tool_choice == expected
    assert len(request.tools) == left


def test_a_custom_tool_keeps_its_grammar() -> None:
    form = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
    tool = parse(tools=[{"type": "custom", "name": "p", "format": form}]).tools[0]
    assert tool == Tool("p", kind="custom", raw={"format": form}, origin=ORIGIN)


@pytest.mark.parametrize(
    ("text", "output", "verbosity"),
    [
        ({"format": {"type": "text"}, "verbosity": "low"}, None, "low"),
        ({"format": {"type": "json_object"}}, StructuredOutput(), ""),
        (
            {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}},
            StructuredOutput({"a": 1}, "n", True),
            "",
        ),
    ],
)
def test_each_form_of_output(text: Any, output: Any, verbosity: str) -> None:
    request = parse(text=text)
    assert (request.output, request.verbosity) == (output, verbosity)


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        ({"effort": "high"}, Reasoning("on", "high")),
        ({"effort": "none"}, Reasoning("off", "none")),
        ({"effort": "low", "summary": "concise"}, Reasoning("on", "low", summary="concise")),
        ({}, None),
        (None, None),
    ],
)
def test_each_wish_for_reasoning(reasoning: Any, expected: Any) -> None:
    assert parse(reasoning=reasoning).reasoning == expected


def test_a_later_update_of_the_configuration_counts() -> None:
    update = {"type": "configuration_update", "reasoning": {"effort": "low"}}
    request = parse(reasoning={"effort": "high"}, input=[{"role": "user", "content": "x"}, update])
    assert request.reasoning == Reasoning("on", "low")


def test_sampling_user_and_the_rest() -> None:
    request = parse(
        max_output_tokens=50,
        temperature=1,
        top_p=0.5,
        user="u",
        safety_identifier="s",
        metadata={"k": "v"},
        service_tier="flex",
        truncation="disabled",
        store=True,
        top_logprobs=3,
        sparkle=1,
    )
    assert (request.max_tokens, request.temperature, request.top_p) == (50, 1.0, 0.5)
    assert (request.user, request.metadata, request.service_tier) == ("s", {"k": "v"}, "flex")
    assert request.extra == ("store", "top_logprobs", "sparkle")


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "store: false"),
        ({"conversation": {"id": "c"}}, "conversation", "whole conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "template"),
        ({"background": True}, "background", "without it"),
        ({"input": [{"type": "item_reference", "id": "m"}]}, "input.0", "whole item"),
        ({"input": [{"id": "msg_1"}]}, "input.0", "whole item"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input.0", "compacted"),
        ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice", "only OpenAI"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "input.0.content.0",
            "audio",
        ),
        (
            {"tools": [SPACE, {"type": "function", "name": "multi_agent_v1__spawn_agent"}]},
            "tools",
            "rename",
        ),
    ],
)
def test_what_needs_openai_itself_is_refused_with_advice(
    body: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(Untranslatable, match=says) as caught:
        parse(**body)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input.0"),
        ({"input": [{"type": "message"}]}, "input.0.role"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input.0.role"),
        ({"input": [{"role": "narrator", "content": "x"}]}, "input.0.role"),
        ({"input": [{"role": "user"}]}, "input.0.content"),
        ({"input": [{"role": "user", "content": [{"type": "text"}]}]}, "input.0.content.0.type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input.0.content.0.text",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input.0.content.0"),
        (
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": "data:x,y"}]}
                ]
            },
            "input.0.content.0.image_url",
        ),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input.0.call_id"),
        (
            {"input": [{"type": "function_call", "name": "f", "call_id": "c", "arguments": {}}]},
            "input.0.arguments",
        ),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input.0.output"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [{}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools.0.name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [SPACE]}]}, "tools.0.tools.0.type"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice.name"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"stream": "yes"}, "stream"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "json_schema": {}}}}, "text.format.schema"),
        ({"text": {"verbosity": "loud"}}, "text.verbosity"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"reasoning": "high"}, "reasoning"),
        ({"metadata": []}, "metadata"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(**body)
    assert caught.value.field == field
    assert not isinstance(caught.value, Untranslatable)


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(BadRequest, match="must be an object"):
        CODEC.parse_request([])  # type: ignore[arg-type]  # what a caller may send
