"""Writing chat requests from those of other formats: the fields beside the turns, by dialect."""

from __future__ import annotations

import pytest

from outlast.nouns import Format
from outlast.wire.canon import (
    JSON,
    Document,
    Image,
    Reasoning,
    Request,
    StructuredOutput,
    Thinking,
    Tool,
    ToolChoice,
    Untranslatable,
)
from outlast.wire.openai_chat import CODEC
from outlast.wire.openai_chat.dialect import COMPATIBLE, OPENAI, Dialect, dialect_of, nearest_effort
from outlast.wire.openai_chat.render import opaque_user, render_request
from tests.wire.requests_openai_chat import END_USER, IMAGE, SCHEMA, request, said

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
