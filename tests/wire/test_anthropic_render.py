"""Requests of any origin, written for the Messages API."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Format
from outlast.wire.anthropic import CODEC
from outlast.wire.anthropic.ids import request_tool_id
from outlast.wire.anthropic.models import traits_of
from outlast.wire.anthropic.repair import without_unsigned_thinking
from outlast.wire.anthropic.schema import input_schema, strict_schema
from outlast.wire.canon import (
    Block,
    Document,
    Image,
    Message,
    Opaque,
    Reasoning,
    Request,
    Role,
    StructuredOutput,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Untranslatable,
)

CHAT = Format.OPENAI_CHAT
OLD, SIX, EIGHT, FIVE, NEW, OTHER = (
    "claude-haiku-4-5-20251001",
    "claude-sonnet-4-6",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-opus-5-5",
    "kimi-k3",
)
TOOL = Tool("f", "Does f", {"type": "object", "properties": {"a": {"type": "string"}}})
CACHE = {"type": "ephemeral"}


def say(text: str) -> Message:
    return Message("user", (Text(text),))


def answer(*blocks: Block) -> Message:
    return Message("assistant", blocks)


def asked(*messages: Message, model: str = EIGHT, **fields: Any) -> Request:
    return Request(model, messages or (say("Hi"),), fields.pop("origin", CHAT), **fields)


def rendered(*messages: Message, model: str = EIGHT, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    result = CODEC.render_request(asked(*messages, model=model, **fields))
    return result.body, result.dropped


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


REFUSED_BLOCKS: list[tuple[str, Block]] = [
    ("an image that Anthropic does not take", Image("image/heic", "AA==")),
    ("an image that was uploaded elsewhere", Image(file_id="file-1")),
    ("an image at no web address", Image(url="ftp://a/b.png")),
    ("a spreadsheet", Document("application/vnd.ms-excel", "AA==")),
    ("a document that was uploaded elsewhere", Document(file_id="file-1")),
    ("text that is not text", Document("text/plain", "//8=")),
    ("a sound", Opaque("input_audio", CHAT, {})),
    ("an image deep in a result", ToolResult("1", (Image("image/tiff", "AA=="),))),
]


@pytest.mark.parametrize(("why", "block"), REFUSED_BLOCKS, ids=[row[0] for row in REFUSED_BLOCKS])
def test_a_block_that_the_answer_depends_on_is_refused_with_its_place(
    why: str, block: Block
) -> None:
    with pytest.raises(Untranslatable) as raised:
        rendered(say("Hi"), Message("user", (Text("See"), block)))
    assert raised.value.field == "messages.1.content.1"


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(id_: str, name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def result(id_: str, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": "tool_result", "tool_use_id": id_}
    return shown | ({"content": list(content)} if content else {}) | more


GO_ON = ("user", [text("Please continue.")])
BEGIN = ("user", [text("(The conversation begins here.)")])


def missing(id_: str) -> dict[str, Any]:
    return result(id_, text("No result was recorded for this call."), is_error=True)


TURNS: list[
    tuple[str, list[Message], list[dict[str, Any]], list[tuple[str, list[dict[str, Any]]]]]
] = [
    ("leading system turns are the system prompt",
     [Message("system", (Text("A", CACHE),)), Message("developer", (Text("B"),)), say("Hi")],
     [text("A") | {"cache_control": CACHE}, text("B")], [("user", [text("Hi")])]),
    ("only a system prompt is what is asked", [Message("system", (Text("A"), Text("B")))],
     [text("A")], [("user", [text("B")])]),
    ("turns of one role are one", [say("a"), say("b"), answer(Text("c")), answer(Text("d")),
                                   say("e")],
     [], [("user", [text("a"), text("b")]), ("assistant", [text("c"), text("d")]),
          ("user", [text("e")])]),
    ("blank text and empty turns are left out", [say("a"), answer(Text(" \n")), say("b"), say("")],
     [], [("user", [text("a"), text("b")])]),
    ("the assistant cannot begin", [answer(Text("Hello")), say("Hi")],
     [], [BEGIN, ("assistant", [text("Hello")]), ("user", [text("Hi")])]),
    ("nor have the last word", [say("Hi"), answer(Text("Hello "))],
     [], [("user", [text("Hi")]), ("assistant", [text("Hello ")]), GO_ON]),
    ("results stand first in the next turn, in the words of their calls",
     [say("Hi"), answer(Text("I look."), ToolUse("call_1", "f", '{"a":1}'),
                        ToolUse("call 2", "f", "")),
      say("wait"), Message("user", (ToolResult("call_1", (Text("42"),)),)),
      Message("user", (ToolResult("call 2", (), is_error=True),))],
     [], [("user", [text("Hi")]),
          ("assistant", [text("I look."), call("call_1", a=1),
                         call(request_tool_id("call 2"))]),
          ("user", [result("call_1", text("42")),
                    result(request_tool_id("call 2"), is_error=True), text("wait")])]),
    ("ids that repeat are told apart, in order",
     [say("Hi"), answer(ToolUse("0", "f", "{}"), ToolUse("0", "g", "{}")),
      Message("user", (ToolResult("0", (Text("a"),)), ToolResult("0", (Text("b"),)))),
      answer(ToolUse("0", "f", "{}")), Message("user", (ToolResult("0", (Text("c"),)),))],
     [], [("user", [text("Hi")]), ("assistant", [call("0"), call("0_2", "g")]),
          ("user", [result("0", text("a")), result("0_2", text("b"))]),
          ("assistant", [call("0_3")]), ("user", [result("0_3", text("c"))])]),
    ("a call without a result gets one that says so",
     [say("Hi"), answer(ToolUse("1", "f", "{}"), ToolUse("2", "f", "{}")),
      Message("user", (Text("and?"), ToolResult("2", (Text("b"),))))],
     [], [("user", [text("Hi")]), ("assistant", [call("1"), call("2")]),
          ("user", [result("2", text("b")), missing("1"), text("and?")])]),
    ("even the last one", [say("Hi"), answer(ToolUse("1", "f", "{}"))],
     [], [("user", [text("Hi")]), ("assistant", [call("1")]), ("user", [missing("1")])]),
    ("a result without a call is told in words",
     [say("Hi"), Message("user", (ToolResult("9", (Text("42"),)),))],
     [], [("user", [text("Hi"), text("The result of a tool call:"), text("42")])]),
    ("arguments that are no object are kept as text",
     [say("Hi"), answer(ToolUse("1", "f", '{"a'), ToolUse("2", "p", "diff", custom=True)),
      Message("user", (ToolResult("1"), ToolResult("2")))],
     [], [("user", [text("Hi")]),
          ("assistant", [call("1", arguments='{"a'), call("2", "p", input="diff")]),
          ("user", [result("1"), result("2")])]),
    ("only Anthropic's signed thinking goes back",
     [say("Hi"), answer(Thinking("a", "s", origin=Format.ANTHROPIC), Thinking("b", "t",
                        origin=Format.OPENAI_RESPONSES), Thinking("c"),
                        Thinking(signature="r", redacted=True, origin=Format.ANTHROPIC),
                        Text("d")), say("e")],
     [], [("user", [text("Hi")]),
          ("assistant", [{"type": "thinking", "thinking": "a", "signature": "s"},
                         {"type": "redacted_thinking", "data": "r"}, text("d")]),
          ("user", [text("e")])]),
    ("a system turn stays one where it may", [say("a"), Message("developer", (Text("b"),)),
                                              answer(Text("c")), say("d"),
                                              Message("system", (Text("e"),))],
     [], [("user", [text("a")]), ("system", [text("b")]), ("assistant", [text("c")]),
          ("user", [text("d")]), ("system", [text("e")])]),
    ("else it is marked in the user's turn, and results stay first",
     [say("a"), Message("system", (Text("b"),)), say("c"), answer(ToolUse("1", "f", "{}")),
      Message("system", (Text("d"),)), Message("user", (ToolResult("1"),))],
     [], [("user", [text("a"), text("<system>\nb\n</system>"), text("c")]),
          ("assistant", [call("1")]),
          ("user", [result("1"), text("<system>\nd\n</system>")])]),
    ("images and documents",
     [Message("user", (Image("image/jpg", "AA==", cache_control=CACHE), Image(url="https://a/b"),
                       Document("application/pdf", "AA==", title="T"),
                       Document("text/markdown", "SGk="), Document(url="https://a/c")))],
     [], [("user", [
         {"type": "image", "cache_control": CACHE,
          "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}},
         {"type": "image", "source": {"type": "url", "url": "https://a/b"}},
         {"type": "document", "title": "T",
          "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
         {"type": "document",
          "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}},
         {"type": "document", "source": {"type": "url", "url": "https://a/c"}},
     ])]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("why", "messages", "system", "turns"), TURNS, ids=[row[0] for row in TURNS]
)
def test_turns(
    why: str,
    messages: list[Message],
    system: list[dict[str, Any]],
    turns: list[tuple[str, list[dict[str, Any]]]],
) -> None:
    body, _ = rendered(*messages)
    assert body.get("system", []) == system
    assert [(turn["role"], turn["content"]) for turn in body["messages"]] == turns


def test_a_model_that_continues_a_last_turn_is_let_to() -> None:
    body, _ = rendered(say("Hi"), answer(Text("The answer is \n")), model=OLD)
    assert body["messages"][-1] == {"role": "assistant", "content": [text("The answer is")]}
    thinking, _ = rendered(
        say("Hi"), answer(Text("The answer is ")), model=OLD, reasoning=Reasoning(effort="low")
    )
    assert thinking["messages"][-1]["role"] == "user"


def test_older_models_get_later_system_turns_as_marked_text() -> None:
    body, dropped = rendered(say("a"), Message("system", (Text("b"),)), model=OLD)
    assert dropped == ("messages.system",)
    assert body["messages"] == [
        {"role": "user", "content": [text("a"), text("<system>\nb\n</system>")]}
    ]


def test_a_budget_is_not_asked_for_inside_a_loop_of_another_vendor() -> None:
    unsigned = [say("Hi"), answer(ToolUse("1", "f", "{}")), Message("user", (ToolResult("1"),))]
    body, dropped = rendered(*unsigned, model=OLD, reasoning=Reasoning(effort="high"))
    assert "thinking" not in body
    assert dropped == ("reasoning_effort",)
    signed = Thinking("a", "s", origin=Format.ANTHROPIC)
    unsigned[1] = answer(signed, ToolUse("1", "f", "{}"))
    body, _ = rendered(*unsigned, model=OLD, reasoning=Reasoning(effort="high"))
    assert body["thinking"]["type"] == "enabled"


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


def test_a_schema_keeps_what_is_taken_and_tells_the_rest() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "code": {"type": "string", "format": "zip", "description": "Post code"},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
            "more": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
            "either": {"oneOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["when"],
        "$defs": {"tag": {"type": "string", "maxLength": 3}},
    }
    assert strict_schema(schema, "x") == {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "code": {"type": "string", "description": 'Post code (format: "zip")'},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
            "more": {
                "type": ["object", "null"],
                "properties": {},
                "additionalProperties": False,
                "description": "(additionalProperties: true)",
            },
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["when"],
        "additionalProperties": False,
        "$defs": {"tag": {"type": "string", "description": "(maxLength: 3)"}},
    }
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(200):
        deep = {"type": "array", "items": deep}
    with pytest.raises(Untranslatable):
        strict_schema(deep, "x")


def test_alternatives_on_top_of_a_tool_are_laid_side_by_side() -> None:
    one = {"properties": {"a": {}}, "required": ["a"]}
    two = {"properties": {"b": {}}, "required": ["b"]}
    both = {"type": "object", "properties": {"a": {}, "b": {}}}
    assert input_schema({"anyOf": [one, two]}) == both
    assert input_schema({"allOf": [one, two]}) == both | {"required": ["a", "b"]}


MODELS = [
    ("claude-3-5-sonnet-20241022", "none", True, True, True),
    ("claude-3-7-sonnet-latest", "budget", True, True, True),
    ("claude-sonnet-4-20250514", "budget", True, True, True),
    ("anthropic.claude-opus-4-5-20251101-v1:0", "budget", True, True, True),
    ("claude-opus-4-6", "adaptive", True, True, False),
    ("claude-opus-4-7", "adaptive", False, True, False),
    ("claude-sonnet-5", "adaptive", False, True, False),
    ("claude-fable-5-1", "adaptive", False, False, False),
    ("claude-haiku-5-5", "adaptive", False, False, False),
    ("claude-mythos-preview", "adaptive", False, False, False),
    ("claude-opus-7", "adaptive", False, False, False),
    ("deepseek-v4", "budget", True, True, True),
]


@pytest.mark.parametrize(("model", "thinking", "sampling", "forced", "prefill"), MODELS)
def test_a_model_is_known_by_its_name(
    model: str, thinking: str, sampling: bool, forced: bool, prefill: bool
) -> None:
    traits = traits_of(model)
    assert (traits.thinking, traits.sampling, traits.forced_tools, traits.prefill) == (
        thinking,
        sampling,
        forced,
        prefill,
    )


def test_system_turns_are_for_anthropics_own_hosts() -> None:
    assert traits_of("claude-opus-4-8").system_turns
    assert not traits_of("anthropic.claude-opus-4-8-v1:0").system_turns
    assert not traits_of("claude-opus-4-7").system_turns


def test_a_history_is_made_safe_to_pass_on() -> None:
    unsigned = {"type": "thinking", "thinking": "Hm", "signature": ""}
    signed = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    user = {"role": "user", "content": "Hi"}
    body = {
        "model": "m",
        "messages": [
            user,
            {"role": "assistant", "content": [unsigned, text("a")]},
            user,
            {"role": "assistant", "content": [unsigned]},
            {"role": "assistant", "content": [signed, text("b")]},
        ],
    }
    assert without_unsigned_thinking(body) == {
        "model": "m",
        "messages": [
            user,
            {"role": "assistant", "content": [text("a")]},
            user,
            {"role": "assistant", "content": [signed, text("b")]},
        ],
    }
    clean = {"messages": [user, {"role": "assistant", "content": [signed]}]}
    assert without_unsigned_thinking(clean) is clean
    odd: dict[str, Any] = {"messages": ["x", {"content": [1]}]}
    assert without_unsigned_thinking(odd) is odd


# Properties.

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
IDS = st.sampled_from(["call_1", "call_2", "", "a b", "0", "0_2"])
TEXT_BLOCKS = st.builds(Text, WORDS)
RESULTS = st.builds(
    lambda id_, inside, bad: ToolResult(id_, tuple(inside), bad),
    IDS, st.lists(TEXT_BLOCKS, max_size=2), st.booleans(),
)  # fmt: skip
CALLS = st.builds(
    ToolUse, IDS, st.just("f"), st.sampled_from(["{}", '{"a":1}', "", "[", "3"]), st.booleans()
)
THOUGHTS = st.builds(Thinking, WORDS, WORDS, origin=st.sampled_from([None, Format.ANTHROPIC, CHAT]))
PLACED: dict[Role, st.SearchStrategy[Any]] = {
    "user": TEXT_BLOCKS | RESULTS,
    "assistant": TEXT_BLOCKS | CALLS | THOUGHTS,
    "system": TEXT_BLOCKS,
    "developer": TEXT_BLOCKS,
}
MESSAGES = st.lists(
    st.sampled_from(list(PLACED)).flatmap(
        lambda role: st.lists(PLACED[role], max_size=3).map(
            lambda blocks: Message(role, tuple(blocks))
        )
    ),
    min_size=1,
    max_size=8,
)


@given(MESSAGES, st.sampled_from([OLD, SIX, EIGHT, FIVE, NEW, OTHER]))
def test_every_history_becomes_a_legal_one(messages: list[Message], model: str) -> None:
    body, _ = rendered(*messages, model=model)
    turns = body["messages"]
    roles = [turn["role"] for turn in turns]
    assert roles[0] == "user"
    assert all(first != second for first, second in pairwise(roles))
    for place, role in enumerate(roles):
        if role == "system":
            assert traits_of(model).system_turns
            assert roles[place - 1] == "user"
            assert roles[place + 1 : place + 2] in (["assistant"], [])
    if not traits_of(model).prefill:
        assert roles[-1] != "assistant"
    seen: set[str] = set()
    owed: list[str] = []
    for turn in turns:
        assert turn["content"]
        results = [one for one in turn["content"] if one["type"] == "tool_result"]
        assert turn["content"][: len(results)] == results, "results stand first"
        assert sorted(one["tool_use_id"] for one in results) == sorted(owed)
        owed = [one["id"] for one in turn["content"] if one["type"] == "tool_use"]
        assert not seen & set(owed), "ids are used once"
        seen |= set(owed)
        assert len(set(owed)) == len(owed)
        assert all(re.fullmatch("[a-zA-Z0-9_-]+", one) for one in owed)
        for one in turn["content"]:
            match one["type"]:
                case "text":
                    assert one["text"].strip()
                case "thinking":
                    assert one["signature"]
                case "tool_use":
                    assert isinstance(one["input"], dict)
    assert not owed


@given(MESSAGES)
def test_a_rendered_request_is_read_back_and_rendered_the_same(messages: list[Message]) -> None:
    body, _ = rendered(*messages)
    understood = CODEC.parse_request(body)
    again = CODEC.render_request(msgspec.structs.replace(understood, origin=Format.ANTHROPIC))
    assert again.body == body
