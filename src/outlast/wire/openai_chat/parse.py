"""The body of POST /v1/chat/completions → canon.Request.

A body is parsed only when it has to be translated: between two servers of this format the bytes
pass. So what no other format can do is refused here, in the caller's own terms.
"""

from __future__ import annotations

from typing import Literal

from outlast.nouns import Format
from outlast.wire.canon import (
    JSON,
    BadRequest,
    Reasoning,
    Request,
    StructuredOutput,
    Tool,
    ToolChoice,
    Untranslatable,
)
from outlast.wire.openai_chat.fields import Obj, kind_of
from outlast.wire.openai_chat.parse_messages import MESSAGES_LIMIT, parse_messages

TOOLS_LIMIT = 1_024
STOP_LIMIT = 64
EXTRA_LIMIT = 32
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LEGACY = {"legacy": "functions"}
"""`Tool.raw` of a tool from `functions`: its client expects `function_call` back."""

_KNOWN = frozenset({
    "model", "messages", "tools", "tool_choice", "functions", "function_call", "n",
    "parallel_tool_calls", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k",
    "frequency_penalty", "presence_penalty", "seed", "stop", "stream", "stream_options",
    "response_format", "reasoning_effort", "reasoning", "verbosity", "user", "safety_identifier",
    "metadata", "service_tier", "prompt_cache_key", "modalities", "moderation", "logprobs",
    "store",
})  # fmt: skip


def parse_request(body: JSON) -> Request:
    """Return what a chat body asks for.

    Raises BadRequest for a malformed body and Untranslatable for what no other format can do
    (several choices, sound, blocking moderation).
    """
    top = Obj(body, "")
    _refuse_the_untranslatable(top)
    values = top.items("messages", MESSAGES_LIMIT)
    if values is None:
        raise BadRequest("messages", "is missing; it must be a list of messages")
    messages, extra = parse_messages(values, "messages")
    extra += _extra(top)
    tools, choice, parallel = _tools(top)
    options = top.obj("stream_options")
    return Request(
        model=top.need_text("model"),
        messages=messages,
        origin=Format.OPENAI_CHAT,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        max_tokens=_max_tokens(top),
        temperature=top.number("temperature"),
        top_p=top.number("top_p"),
        top_k=top.integer("top_k"),
        frequency_penalty=top.number("frequency_penalty"),
        presence_penalty=top.number("presence_penalty"),
        seed=top.integer("seed"),
        stop=_stop(top),
        stream=top.flag("stream") or False,
        include_usage=bool(options and options.flag("include_usage")),
        output=_output(top),
        reasoning=_reasoning(top),
        verbosity=top.choice("verbosity", ("low", "medium", "high")),
        user=top.text("safety_identifier") or top.text("user") or "",
        metadata=_metadata(top),
        service_tier=top.text("service_tier") or "",
        prompt_cache_key=top.text("prompt_cache_key") or "",
        extra=tuple(dict.fromkeys(extra))[:EXTRA_LIMIT],
    )


def _refuse_the_untranslatable(top: Obj) -> None:
    if (top.integer("n", low=1) or 1) > 1:
        raise Untranslatable(
            "n", "asks for several answers, which this model's provider cannot give; send n=1"
        )
    if "audio" in (top.items("modalities", 8) or []):
        raise Untranslatable(
            "modalities", "asks for sound, which this model's provider cannot give; ask for text"
        )
    policy = (moderation := top.obj("moderation")) and moderation.obj("policy")
    for side in ("input", "output"):
        if policy and (rule := policy.obj(side)) and rule.text("mode") == "block":
            raise Untranslatable(
                rule.at("mode"), "asks to block, which this model's provider cannot promise"
            )


def _extra(top: Obj) -> list[str]:
    extra = top.others(_KNOWN)
    extra += [name for name in ("logprobs", "store") if top.flag(name)]
    if top.has("moderation"):
        extra.append("moderation")
    return extra


def _max_tokens(top: Obj) -> int | None:
    """Return the limit; where both names are given, the newer one counts."""
    newer = top.integer("max_completion_tokens", low=1)
    older = top.integer("max_tokens", low=1)
    return older if newer is None else newer


def _stop(top: Obj) -> tuple[str, ...]:
    if isinstance(top.raw.get("stop"), str):
        return (top.need_text("stop"),)
    values = top.items("stop", STOP_LIMIT) or []
    for index, value in enumerate(values):
        if not isinstance(value, str) or not value:
            raise BadRequest(f"stop.{index}", f"must be a non-empty string, not {kind_of(value)}")
    return tuple(values)


def _output(top: Obj) -> StructuredOutput | None:
    wanted = top.obj("response_format")
    if wanted is None:
        return None
    wanted.need_text("type")
    match wanted.choice("type", ("text", "json_object", "json_schema")):
        case "json_object":
            return StructuredOutput()
        case "json_schema":
            inner = wanted.need_obj("json_schema")
            schema = inner.obj("schema")
            return StructuredOutput(
                schema=schema.raw if schema else {},
                name=inner.need_text("name"),
                strict=inner.flag("strict"),
                description=inner.text("description") or "",
            )
        case _:
            return None


def _reasoning(top: Obj) -> Reasoning | None:
    effort = top.choice("reasoning_effort", EFFORTS)
    if not effort and isinstance(top.raw.get("reasoning"), dict):
        # OpenRouter's and the Responses API's spelling.
        effort = top.need_obj("reasoning").choice("effort", EFFORTS)
    if not effort:
        return None
    return Reasoning(mode="off" if effort == "none" else "on", effort=effort)


def _metadata(top: Obj) -> JSON:
    found = top.obj("metadata")
    return found.raw if found else {}


def _tools(top: Obj) -> tuple[tuple[Tool, ...], ToolChoice | None, bool | None]:
    parallel = top.flag("parallel_tool_calls")
    functions = top.items("functions", TOOLS_LIMIT)
    values = top.items("tools", TOOLS_LIMIT) or []
    tools = [_tool(Obj(value, f"tools.{i}")) for i, value in enumerate(values)]
    if functions and not values:
        tools = [
            _function(Obj(value, f"functions.{i}"), LEGACY) for i, value in enumerate(functions)
        ]
        legacy = _legacy_choice(top)
        _check_choice(legacy, tools)
        return tuple(tools), legacy, False
    choice, allowed = _tool_choice(top)
    if allowed is not None:
        tools = [tool for tool in tools if tool.name in allowed]
    _check_choice(choice, tools)
    return tuple(tools), choice, parallel


def _check_choice(choice: ToolChoice | None, tools: list[Tool]) -> None:
    if choice is None:
        return
    if choice.mode == "required" and not tools:
        raise BadRequest("tool_choice", "requires a tool call, but there are no tools")
    if choice.mode == "tool" and choice.name not in {tool.name for tool in tools}:
        raise BadRequest("tool_choice", f"names {choice.name[:60]!r}, which is not among the tools")


def _tool(tool: Obj) -> Tool:
    tool.need_text("type")
    kind = tool.choice("type", ("function", "custom"))
    inner = tool.need_obj(kind)
    if kind == "function":
        return _function(inner, {}, tool.obj("cache_control"))
    raw: JSON = {}
    if (form := inner.obj("format")) and form.text("type") == "grammar":
        grammar = form.need_obj("grammar")
        raw["format"] = {
            "type": "grammar",
            "syntax": grammar.need_text("syntax"),
            "definition": grammar.need_text("definition"),
        }
    return Tool(
        inner.need_text("name"),
        inner.text("description") or "",
        kind="custom",
        raw=raw,
        origin=Format.OPENAI_CHAT,
    )


def _function(inner: Obj, raw: JSON, cache: Obj | None = None) -> Tool:
    parameters = inner.obj("parameters")
    return Tool(
        inner.need_text("name"),
        inner.text("description") or "",
        parameters.raw if parameters else {"type": "object", "properties": {}},
        strict=inner.flag("strict"),
        cache_control=cache.raw if cache else None,
        raw=raw,
        origin=Format.OPENAI_CHAT,
    )


def _tool_choice(top: Obj) -> tuple[ToolChoice | None, set[str] | None]:
    """Return the choice and, for `allowed_tools`, the names of the tools that may be called."""
    if not top.has("tool_choice"):
        return None, None
    if isinstance(top.raw["tool_choice"], str):
        mode = top.choice("tool_choice", ("none", "auto", "required"))
        return ToolChoice(_mode(mode)), None
    choice = top.need_obj("tool_choice")
    choice.need_text("type")
    kind = choice.choice("type", ("function", "custom", "allowed_tools"))
    if kind != "allowed_tools":
        return ToolChoice("tool", choice.need_obj(kind).need_text("name")), None
    allowed = choice.need_obj("allowed_tools")
    mode = allowed.choice("mode", ("auto", "required")) or "auto"
    names: set[str] = set()
    for index, value in enumerate(allowed.items("tools", TOOLS_LIMIT) or []):
        entry = Obj(value, allowed.at(f"tools.{index}"))
        inner = entry.obj("custom") or entry.obj("function") or entry
        names.add(inner.need_text("name"))
    return ToolChoice(_mode(mode)), names


def _mode(word: str) -> Literal["none", "auto", "required"]:
    return "none" if word == "none" else "required" if word == "required" else "auto"


def _legacy_choice(top: Obj) -> ToolChoice | None:
    if not top.has("function_call"):
        return None
    if isinstance(top.raw["function_call"], str):
        return ToolChoice(_mode(top.choice("function_call", ("none", "auto"))))
    return ToolChoice("tool", top.need_obj("function_call").need_text("name"))
