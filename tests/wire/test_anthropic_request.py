"""Requests of the Messages API, read into values."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.nouns import Format
from outlast.wire.anthropic import CODEC, parse_prompt
from outlast.wire.canon import (
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
)

CACHE = {"type": "ephemeral"}
OURS = Format.ANTHROPIC


def body(**more: Any) -> dict[str, Any]:
    return {
        "model": "claude-opus-4-8",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "Hi"}],
        **more,
    }


def parsed(**more: Any) -> Request:
    return CODEC.parse_request(body(**more))


def test_the_least_request() -> None:
    assert parsed() == Request(
        "claude-opus-4-8", (Message("user", (Text("Hi"),)),), OURS, max_tokens=10
    )


FIELDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("sampling", {"temperature": 0, "top_p": 0.5, "top_k": 3}, {
        "temperature": 0.0, "top_p": 0.5, "top_k": 3,
    }),
    ("stop sequences", {"stop_sequences": ["a", ""]}, {"stop": ("a",)}),
    ("stream", {"stream": True}, {"stream": True}),
    ("null is not said", {"temperature": None, "tools": None, "system": None, "speed": None}, {}),
    ("the user", {"metadata": {"user_id": "u", "x": 1}}, {"user": "u", "metadata": {"x": 1}}),
    ("the tier", {"service_tier": "standard_only"}, {"service_tier": "standard_only"}),
    ("what only Anthropic knows", {"context_management": {}, "container": "c", "speed": "fast"}, {
        "extra": ("context_management", "container", "speed"),
    }),
    ("any tool", {"tool_choice": {"type": "any"}}, {"tool_choice": ToolChoice("required")}),
    ("no tool", {"tool_choice": {"type": "none"}}, {"tool_choice": ToolChoice("none")}),
    ("one tool, one call", {
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    }, {"tool_choice": ToolChoice("tool", "f"), "parallel_tool_calls": False}),
    ("several calls", {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}}, {
        "tool_choice": ToolChoice("auto"), "parallel_tool_calls": True,
    }),
    ("a budget", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, {
        "reasoning": Reasoning("on", budget_tokens=2048),
    }),
    ("adaptive, with an effort", {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"},
    }, {"reasoning": Reasoning("adaptive", "high", summary="auto")}),
    ("effort alone", {"output_config": {"effort": "low", "task_budget": {"total": 1}}}, {
        "reasoning": Reasoning("adaptive", "low"), "extra": ("output_config.task_budget",),
    }),
    ("no thinking", {"thinking": {"type": "disabled"}}, {"reasoning": Reasoning("off")}),
    ("thinking between tools only", {"thinking": {"type": "between_tools"}}, {
        "reasoning": Reasoning("off"),
    }),
    ("a shape", {"output_config": {"format": {"type": "json_schema", "schema": {"a": 1}}}}, {
        "output": StructuredOutput({"a": 1}, strict=True),
    }),
    ("a shape in its older place", {"output_format": {"type": "json_schema", "schema": {}}}, {
        "output": StructuredOutput({}, strict=True),
    }),
    ("a tool", {"tools": [{
        "name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True,
        "cache_control": CACHE, "defer_loading": True,
    }]}, {
        "tools": (Tool("f", "d", {"type": "object"}, strict=True, cache_control=CACHE),),
        "extra": ("tools.defer_loading",),
    }),
    ("a tool of type custom", {
        "tools": [{"type": "custom", "name": "f", "input_schema": {}}],
    }, {"tools": (Tool("f", "", {}),)}),
    ("a tool that the vendor runs", {"tools": [{"type": "web_search_20250305", "name": "s"}]}, {
        "tools": (Tool(
            "s", kind="server", raw={"type": "web_search_20250305", "name": "s"}, origin=OURS
        ),),
    }),
]  # fmt: skip


@pytest.mark.parametrize(("why", "given", "fields"), FIELDS, ids=[row[0] for row in FIELDS])
def test_fields_beside_the_turns(why: str, given: dict[str, Any], fields: dict[str, Any]) -> None:
    assert parsed(**given) == Request(
        "claude-opus-4-8",
        (Message("user", (Text("Hi"),)),),
        OURS,
        **({"max_tokens": 10} | fields),
    )


def test_a_system_prompt_in_blocks_keeps_its_order_and_loses_the_attribution() -> None:
    request = parsed(
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
            {"type": "text", "text": "You are", "cache_control": CACHE},
            {"type": "text", "text": "kind"},
        ]
    )
    assert request.messages[0] == Message("system", (Text("You are", CACHE), Text("kind")))
    assert request.extra == ("x-anthropic-billing-header",)


def test_a_system_turn_stands_where_it_stood() -> None:
    request = parsed(
        system="First",
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Be brief", "clear_at": "next_user_message"},
            {"role": "assistant", "content": [{"type": "text", "text": "Yes"}]},
            {"role": "system", "output_config": {"effort": "low"}},
        ],
    )
    assert [message.role for message in request.messages] == [
        "system",
        "user",
        "system",
        "assistant",
        "system",
    ]
    assert request.extra == ("messages.clear_at", "messages.output_config")


def source(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


BLOCKS: list[tuple[str, str, dict[str, Any], list[Block]]] = [
    ("text", "user", {"type": "text", "text": "a", "cache_control": CACHE}, [Text("a", CACHE)]),
    ("an image", "user", {
        "type": "image", "source": source("base64", media_type="image/png", data="AA=="),
    }, [Image("image/png", "AA==")]),
    ("an image elsewhere", "user", {
        "type": "image", "source": source("url", url="https://a/b.png"),
    }, [Image(url="https://a/b.png")]),
    ("an uploaded image", "user", {
        "type": "image", "source": source("file", file_id="file_1"),
    }, [Image(file_id="file_1")]),
    ("a PDF", "user", {
        "type": "document", "title": "T", "cache_control": CACHE,
        "source": source("base64", media_type="application/pdf", data="AA=="),
    }, [Document("application/pdf", "AA==", title="T", cache_control=CACHE)]),
    ("a plain document, with its context", "user", {
        "type": "document", "context": "Old", "citations": {"enabled": True},
        "source": source("text", media_type="text/plain", data="words"),
    }, [Text("About the next document: Old"), Document("text/plain", text="words")]),
    ("a document elsewhere", "user", {
        "type": "document", "source": source("url", url="https://a/b.pdf"),
    }, [Document(url="https://a/b.pdf")]),
    ("an uploaded document", "user", {
        "type": "document", "source": source("file", file_id="file_1"),
    }, [Document(file_id="file_1")]),
    ("a document of blocks", "user", {
        "type": "document", "title": "T", "source": source("content", content=[
            {"type": "text", "text": "a"},
            {"type": "image", "source": source("url", url="https://a/b.png")},
        ]),
    }, [Text("T"), Text("a"), Image(url="https://a/b.png")]),
    ("a document of one string", "user", {
        "type": "document", "source": source("content", content="a"),
    }, [Text("a")]),
    ("a search result", "user", {
        "type": "search_result", "title": "T", "source": "https://a",
        "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
    }, [Text("T\nhttps://a\n\nx\n\ny")]),
    ("a call", "assistant", {
        "type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, "é"]},
    }, [ToolUse("toolu_1", "f", '{"a":[1,"é"]}')]),
    ("a result", "user", {"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}, [
        ToolResult("toolu_1", (Text("42"),)),
    ]),
    ("an error without words", "user", {
        "type": "tool_result", "tool_use_id": "toolu_1", "is_error": True,
    }, [ToolResult("toolu_1", (), is_error=True)]),
    ("a result with an image, a document and a found tool", "user", {
        "type": "tool_result", "tool_use_id": "toolu_1", "cache_control": CACHE, "content": [
            {"type": "image", "source": source("url", url="https://a/b.png")},
            {"type": "document", "source": source("url", url="https://a/b.pdf")},
            {"type": "tool_reference", "tool_name": "g"},
            {"type": "browser_state"},
        ],
    }, [ToolResult("toolu_1", (
        Image(url="https://a/b.png"), Document(url="https://a/b.pdf"), Text("Found the tool g."),
    ), cache_control=CACHE)]),
    ("thinking", "assistant", {"type": "thinking", "thinking": "Hm", "signature": "s"}, [
        Thinking("Hm", "s", origin=OURS),
    ]),
    ("thinking of another vendor, shown by us", "assistant", {
        "type": "thinking", "thinking": "Hm", "signature": "",
    }, [Thinking("Hm")]),
    ("redacted thinking", "assistant", {"type": "redacted_thinking", "data": "d"}, [
        Thinking(signature="d", redacted=True, origin=OURS),
    ]),
    ("a seam", "assistant", {"type": "fallback", "from": {}, "to": {}}, []),
    ("a search by the vendor", "assistant", {"type": "server_tool_use", "id": "s"}, [
        Opaque("server_tool_use", OURS, {"type": "server_tool_use", "id": "s"}),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("why", "role", "block", "blocks"), BLOCKS, ids=[row[0] for row in BLOCKS])
def test_blocks(why: str, role: str, block: dict[str, Any], blocks: list[Block]) -> None:
    request = parsed(messages=[{"role": role, "content": [block]}])
    assert request.messages == (Message(role, tuple(blocks)),)  # type: ignore[arg-type]  # a role


def content(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("no model", {"model": None}, "model"),
    ("a model that is a number", {"model": 3}, "model"),
    ("an empty model", {"model": ""}, "model"),
    ("no max_tokens", {"max_tokens": None}, "max_tokens"),
    ("max_tokens of zero", {"max_tokens": 0}, "max_tokens"),
    ("max_tokens in words", {"max_tokens": "many"}, "max_tokens"),
    ("max_tokens that is true", {"max_tokens": True}, "max_tokens"),
    ("no messages", {"messages": None}, "messages"),
    ("messages of none", {"messages": []}, "messages"),
    ("messages in one string", {"messages": "Hi"}, "messages"),
    ("a message that is a string", {"messages": ["Hi"]}, "messages.0"),
    ("an unknown role", {"messages": [{"role": "tool", "content": ""}]}, "messages.0.role"),
    ("no content", {"messages": [{"role": "user"}]}, "messages.0.content"),
    ("content that is an object", {"messages": [{"role": "user", "content": {}}]},
     "messages.0.content"),
    ("a block that is a string", content("Hi"), "messages.0.content.0"),
    ("a block without a type", content({"text": "a"}), "messages.0.content.0.type"),
    ("text that is a number", content({"type": "text", "text": 1}), "messages.0.content.0.text"),
    ("an image without a source", content({"type": "image"}), "messages.0.content.0.source"),
    ("an image without data", content({"type": "image", "source": source(
        "base64", media_type="image/png")}), "messages.0.content.0.source.data"),
    ("an image as a data URL", content({"type": "image", "source": source(
        "base64", media_type="image/png", data="data:image/png;base64,AA==")}),
     "messages.0.content.0.source.data"),
    ("a source of unknown type", content({"type": "image", "source": source("ftp")}),
     "messages.0.content.0.source.type"),
    ("an image deep in a result", content(
        {"type": "text", "text": "a"},
        {"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "image", "source": source("url", url=5)}]}),
     "messages.0.content.1.content.0.source.url"),
    ("a result without a call", content({"type": "tool_result"}),
     "messages.0.content.0.tool_use_id"),
    ("a call in a user turn", content({"type": "tool_use", "id": "1", "name": "f", "input": {}}),
     "messages.0.content.0"),
    ("a call with a list", {"messages": [{"role": "assistant", "content": [
        {"type": "tool_use", "id": "1", "name": "f", "input": []}]}]},
     "messages.0.content.0.input"),
    ("system that is a number", {"system": 1}, "system"),
    ("an image in system", {"system": [{"type": "image", "source": source("url", url="u")}]},
     "system.0"),
    ("tools in an object", {"tools": {}}, "tools"),
    ("a tool without a name", {"tools": [{"input_schema": {}}]}, "tools.0.name"),
    ("a tool without a schema", {"tools": [{"name": "f"}]}, "tools.0.input_schema"),
    ("an unknown tool choice", {"tool_choice": {"type": "some"}}, "tool_choice.type"),
    ("a choice without a name", {"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ("a hot temperature", {"temperature": 1.5}, "temperature"),
    ("a temperature in words", {"temperature": "warm"}, "temperature"),
    ("a small budget", {"thinking": {"type": "enabled", "budget_tokens": 5}},
     "thinking.budget_tokens"),
    ("no budget", {"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ("unknown thinking", {"thinking": {"type": "hard"}}, "thinking.type"),
    ("unknown effort", {"output_config": {"effort": "huge"}}, "output_config.effort"),
    ("a shape without a schema", {"output_config": {"format": {"type": "json_schema"}}},
     "output_config.format.schema"),
    ("stop that is a string", {"stop_sequences": "a"}, "stop_sequences"),
    ("a stop that is a number", {"stop_sequences": [1]}, "stop_sequences.0"),
    ("stream in words", {"stream": "yes"}, "stream"),
    ("a user that is a number", {"metadata": {"user_id": 3}}, "metadata.user_id"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "given", "field"), WRONG, ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_said_with_its_place(why: str, given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as raised:
        parsed(**given)
    assert raised.value.field == field
    assert raised.value.why.endswith(tuple("abcdefghijklmnopqrstuvwxyz0123456789`"))


def test_a_bottomless_schema_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(300):
        schema = {"items": schema}
    with pytest.raises(BadRequest) as raised:
        parsed(tools=[{"name": "f", "input_schema": schema}])
    assert raised.value.field == "tools.0.input_schema"


def test_a_prompt_to_be_counted_needs_no_max_tokens() -> None:
    counted = body()
    del counted["max_tokens"]
    assert parse_prompt(counted).max_tokens is None
    with pytest.raises(BadRequest):
        CODEC.parse_request(counted)
