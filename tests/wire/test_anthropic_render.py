"""Requests of any origin, written for the Messages API: the fields beside the turns, and tools."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from outlast.wire.anthropic import CODEC
from outlast.wire.canon import Reasoning, StructuredOutput, Tool, ToolChoice, Untranslatable
from tests.wire.requests_anthropic import (
    CACHE,
    CHAT,
    EIGHT,
    FIVE,
    NEW,
    OLD,
    OTHER,
    SIX,
    asked,
    rendered,
)

TOOL = Tool("f", "Does f", {"type": "object", "properties": {"a": {"type": "string"}}})


def test_the_least_request() -> None:
    result = CODEC.render_request(asked())
    assert result.body == {
        "model": EIGHT,
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    assert result.dropped == ()
    assert result.headers == {"anthropic-version": "2023-06-01"}


FIELDS: list[tuple[str, str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ("other vendors' models get a small default", OTHER, {}, {"max_tokens": 8192}, ()),
    ("so do models that write less", "claude-3-haiku-20240307", {}, {"max_tokens": 4096}, ()),
    ("more than the model writes", OLD, {"max_tokens": 99_999}, {"max_tokens": 64_000},
     ("max_tokens",)),
    ("stream", EIGHT, {"stream": True}, {"stream": True}, ()),
    ("a hot temperature is cooled", OLD, {"temperature": 1.7}, {"temperature": 1.0},
     ("temperature",)),
    ("only one of two ways to sample", OLD, {"temperature": 0.5, "top_p": 0.9},
     {"temperature": 0.5}, ("top_p",)),
    ("other vendors take both", OTHER, {"temperature": 0.5, "top_p": 0.9},
     {"temperature": 0.5, "top_p": 0.9, "max_tokens": 8192}, ()),
    ("no sampling on newer models", EIGHT, {"temperature": 0.5, "top_p": 0.9, "top_k": 4}, {},
     ("temperature", "top_p", "top_k")),
    ("defaults are no loss", EIGHT, {"temperature": 1, "top_p": 1}, {}, ()),
    ("stop sequences that are blank", EIGHT, {"stop": ("a", "\n")}, {"stop_sequences": ["a"]},
     ("stop",)),
    ("the user", EIGHT, {"user": "u"}, {"metadata": {"user_id": "u"}}, ()),
    ("tiers", EIGHT, {"service_tier": "default"}, {"service_tier": "standard_only"}, ()),
    ("tiers that are not here", EIGHT, {"service_tier": "flex"}, {}, ("service_tier",)),
    ("what has no equivalent", EIGHT, {
        "seed": 1, "frequency_penalty": 0.5, "presence_penalty": 0.0, "verbosity": "low",
        "prompt_cache_key": "k", "metadata": {"a": "b"}, "extra": ("logprobs", "store"),
    }, {}, ("metadata", "frequency_penalty", "seed", "verbosity", "prompt_cache_key", "logprobs",
            "store")),
    ("thinking with an effort", EIGHT, {"reasoning": Reasoning(effort="high")},
     {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, ()),
    ("a summary of the thinking", EIGHT, {"reasoning": Reasoning(summary="auto")},
     {"thinking": {"type": "adaptive", "display": "summarized"}}, ()),
    ("minimal is low", EIGHT, {"reasoning": Reasoning(effort="minimal")},
     {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, ()),
    ("the nearest effort below", SIX, {"reasoning": Reasoning(effort="xhigh")},
     {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
     ("reasoning_effort",)),
    ("a budget on older models", OLD, {"reasoning": Reasoning(effort="medium")},
     {"thinking": {"type": "enabled", "budget_tokens": 8192}}, ()),
    ("a budget within max_tokens", OLD, {
        "reasoning": Reasoning(effort="high"), "max_tokens": 4096,
    }, {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 4096}, ()),
    ("no room to think", OLD, {"reasoning": Reasoning(effort="high"), "max_tokens": 500},
     {"max_tokens": 500}, ("reasoning_effort",)),
    ("thinking samples in its own way", OLD, {
        "reasoning": Reasoning(effort="low"), "temperature": 0.3,
    }, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, ("temperature",)),
    ("models that cannot think", "claude-3-haiku-20240307", {"reasoning": Reasoning()},
     {"max_tokens": 4096}, ("reasoning_effort",)),
    ("off where it is off by itself", EIGHT, {"reasoning": Reasoning(effort="none")}, {}, ()),
    ("off where it is on by itself", FIVE, {"reasoning": Reasoning("off")},
     {"thinking": {"type": "disabled"}}, ()),
    ("off in the words of Sonnet 5.5", "claude-sonnet-5-5", {"reasoning": Reasoning("off")},
     {"thinking": {"type": "between_tools"}}, ()),
    ("never off", NEW, {"reasoning": Reasoning("off")}, {"output_config": {"effort": "low"}},
     ("reasoning_effort",)),
    ("a forced tool excludes thinking", FIVE, {
        "tools": (TOOL,), "tool_choice": ToolChoice("required"),
    }, {"thinking": {"type": "disabled"}, "tool_choice": {"type": "any"}, "tools": ...}, ()),
    ("even thinking that was asked for", SIX, {
        "tools": (TOOL,), "tool_choice": ToolChoice("tool", "f"),
        "reasoning": Reasoning(effort="high"),
    }, {"tool_choice": {"type": "tool", "name": "f"}, "tools": ...,
        "output_config": {"effort": "high"}}, ("reasoning_effort",)),
    ("a choice without tools", EIGHT, {"tool_choice": ToolChoice("auto")}, {}, ()),
    ("no tool now", EIGHT, {"tools": (TOOL,), "tool_choice": ToolChoice("none")},
     {"tool_choice": {"type": "none"}, "tools": ...}, ()),
    ("one call at a time", EIGHT, {"tools": (TOOL,), "parallel_tool_calls": False},
     {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}, "tools": ...}, ()),
    ("a tool of another vendor", EIGHT, {
        "tools": (Tool("web_search", kind="server", raw={"type": "web_search"}, origin=CHAT),),
    }, {}, ("tools.web_search",)),
    ("a shape", EIGHT, {"output": StructuredOutput({"type": "object"}, strict=True)}, {
        "output_config": {"format": {"type": "json_schema", "schema": {
            "type": "object", "properties": {}, "additionalProperties": False,
        }}},
    }, ()),
    ("any JSON is asked for in words", EIGHT, {"output": StructuredOutput()},
     {"system": ...}, ("response_format",)),
    ("and so is a shape on other models", OTHER, {"output": StructuredOutput({"type": "object"})},
     {"system": ..., "max_tokens": 8192}, ("response_format",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("why", "model", "given_fields", "expected", "dropped"), FIELDS, ids=[row[0] for row in FIELDS]
)
def test_fields_beside_the_turns(
    why: str,
    model: str,
    given_fields: dict[str, Any],
    expected: dict[str, Any],
    dropped: tuple[str, ...],
) -> None:
    body, left_out = rendered(model=model, **given_fields)
    least = {"model": model, "max_tokens": 32_000, "messages": body["messages"]}
    assert set(body) == set(least | expected)
    for name, value in (least | expected).items():
        assert value is ... or body[name] == value, name
    assert left_out == dropped


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("several answers", {"extra": ("n",)}, "n"),
    ("a forced tool that is not there", {"tool_choice": ToolChoice("required")}, "tool_choice"),
    ("another vendor's tool, forced", {
        "tools": (Tool("s", kind="server", raw={"type": "web_search"}, origin=CHAT),),
        "tool_choice": ToolChoice("tool", "s"),
    }, "tool_choice"),
    ("a forced tool where the model refuses", {
        "model": NEW, "tools": (TOOL,), "tool_choice": ToolChoice("required"),
    }, "tool_choice"),
    ("a name that is not legal", {"tools": (Tool("a.b"),)}, "tools.0.name"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "fields", "field"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_left_out_is_refused(why: str, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as raised:
        rendered(**fields)
    assert raised.value.field == field


def test_tools() -> None:
    grammar = {"format": {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}}
    body, _ = rendered(
        tools=(
            msgspec.structs.replace(TOOL, cache_control=CACHE),
            Tool("g", parameters={"properties": {"n": {"type": "integer", "minimum": 1}}},
                 strict=True),
            Tool("p", "Patches", kind="custom", raw=grammar),
            Tool("none"),
        )
    )  # fmt: skip
    first, strict, custom, none = body["tools"]
    assert first == {
        "name": "f",
        "description": "Does f",
        "input_schema": TOOL.parameters,
        "cache_control": CACHE,
    }
    assert strict["strict"] is True
    assert strict["input_schema"]["additionalProperties"] is False
    assert strict["input_schema"]["properties"]["n"] == {
        "type": "integer",
        "description": "(minimum: 1)",
    }
    assert custom["description"].endswith("start: WORD")
    assert custom["input_schema"]["required"] == ["input"]
    assert none["input_schema"] == {"type": "object", "properties": {}}
