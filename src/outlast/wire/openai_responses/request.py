"""A body of POST /v1/responses → a canonical request."""

from __future__ import annotations

from typing import Any

from outlast.nouns import Format
from outlast.wire.canon import (
    JSON,
    BadRequest,
    Message,
    Reasoning,
    Request,
    StructuredOutput,
    Text,
    Untranslatable,
)
from outlast.wire.openai_responses import fields
from outlast.wire.openai_responses.items import parse_input
from outlast.wire.openai_responses.tools import merge, parse_choice, parse_tools

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_KNOWN = frozenset(
    {
        "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls",
        "max_output_tokens", "temperature", "top_p", "text", "reasoning", "user",
        "safety_identifier", "metadata", "stream", "prompt_cache_key", "service_tier",
        "previous_response_id", "conversation", "background", "prompt",
    }
)  # fmt: skip
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "store": (False,),
    "truncation": ("disabled",),
    "include": ([],),
    "top_logprobs": (0,),
}
"""Values that ask for nothing: the field is then not worth a word."""


def parse_request(body: JSON) -> Request:
    """Return what the client asks for. Raises BadRequest, and Untranslatable for stored state."""
    body = fields.as_object(body, "")
    _refuse_state(body)
    model = fields.name(body, "model")
    if body.get("input") is None:
        raise BadRequest("input", "is missing; it must be a string or a list of items")
    conversation = parse_input(body["input"])
    messages = conversation.messages
    if instructions := fields.text_or(body, "instructions"):
        messages = [Message("system", (Text(instructions),)), *messages]
    tools = parse_tools(body["tools"]) if body.get("tools") is not None else []
    choice, tools = parse_choice(body.get("tool_choice"), merge(tools, conversation.tools))
    text = {**(fields.optional_object(body, "text") or {}), **conversation.updates.get("text", {})}
    extra: list[str] = []
    reasoning = fields.optional_object(body, "reasoning")
    if (update := conversation.updates.get("reasoning")) is not None:
        reasoning = {**(reasoning or {}), **update}
    return Request(
        model=model,
        messages=tuple(messages),
        origin=Format.OPENAI_RESPONSES,
        tools=tuple(tools),
        tool_choice=choice,
        parallel_tool_calls=fields.flag(body, "parallel_tool_calls"),
        max_tokens=fields.count(body, "max_output_tokens"),
        temperature=fields.number(body, "temperature", 0, 2),
        top_p=fields.number(body, "top_p", 0, 1),
        stream=fields.flag(body, "stream") or False,
        output=_output(text),
        reasoning=_reasoning(reasoning, extra),
        verbosity=fields.choice(text, "verbosity", "text", ("low", "medium", "high")),
        user=fields.text_or(body, "safety_identifier") or fields.text_or(body, "user"),
        metadata=fields.optional_object(body, "metadata") or {},
        service_tier=fields.text_or(body, "service_tier"),
        prompt_cache_key=fields.text_or(body, "prompt_cache_key"),
        extra=(*extra, *_unknown(body)),
    )


def _refuse_state(body: JSON) -> None:
    for field in ("previous_response_id", "conversation"):
        if body.get(field) is not None:
            raise Untranslatable(
                field,
                "needs a conversation stored at OpenAI, and the upstreams that can answer now do "
                "not have it; send the whole conversation in `input`, with store: false",
            )
    if body.get("prompt") is not None:
        raise Untranslatable(
            "prompt",
            "is a template stored at OpenAI, and the upstreams that can answer now do not have "
            "it; send its text in `instructions` and `input`",
        )
    if body.get("background") not in (None, False):
        raise Untranslatable(
            "background",
            "asks for an answer to be fetched later, which needs OpenAI's store; send the "
            "request without it, with stream: true if the answer may take long",
        )


def _unknown(body: JSON) -> list[str]:
    """Return the given fields that no other format knows, in the caller's order."""
    return [
        name
        for name, value in body.items()
        if name not in _KNOWN and value is not None and value not in _HARMLESS.get(name, ())
    ]


def _output(text: JSON) -> StructuredOutput | None:
    form = fields.optional_object(text, "format", "text")
    if form is None:
        return None
    kind = fields.name(form, "type", "text.format")
    if kind == "text":
        return None
    if kind == "json_object":
        return StructuredOutput()
    if kind != "json_schema":
        raise BadRequest(
            "text.format.type", f"must be text, json_object or json_schema, not {kind!r:.60}"
        )
    if "schema" not in form and "json_schema" in form:
        raise BadRequest(
            "text.format.schema",
            "is missing; in this API name and schema stand beside `type`, "
            "not inside `json_schema` as in chat completions",
        )
    return StructuredOutput(
        schema=fields.as_object(form.get("schema"), "text.format.schema"),
        name=fields.name(form, "name", "text.format"),
        strict=fields.flag(form, "strict", "text.format"),
        description=fields.text_or(form, "description", "text.format"),
    )


def _reasoning(raw: JSON | None, extra: list[str]) -> Reasoning | None:
    """Return the wish. A summary without an effort leaves the amount to the model: adaptive."""
    if raw is None:
        return None
    effort = fields.choice(raw, "effort", "reasoning", _EFFORTS)
    summary = fields.text_or(raw, "summary", "reasoning")
    summary = summary or fields.text_or(raw, "generate_summary", "reasoning")
    said = ("effort", "summary", "generate_summary")
    extra += [f"reasoning.{key}" for key, value in raw.items() if value and key not in said]
    if effort == "none":
        return Reasoning(mode="off", effort=effort, summary=summary)
    if not effort and not summary:
        return None
    return Reasoning(mode="on" if effort else "adaptive", effort=effort, summary=summary)
