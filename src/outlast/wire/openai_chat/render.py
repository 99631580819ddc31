"""canon.Request → the body of POST /v1/chat/completions.

Read beside docs/translation.md, where everything that is changed or dropped here is listed.
"""

from __future__ import annotations

import hashlib
import re

from outlast.nouns import Format
from outlast.wire.canon import JSON, Rendered, Request, StructuredOutput, Tool, Untranslatable
from outlast.wire.openai_chat.dialect import Dialect, dialect_of, nearest_effort
from outlast.wire.openai_chat.fields import speakable
from outlast.wire.openai_chat.render_messages import Dropped, render_messages

_OPENAI = (Format.OPENAI_CHAT, Format.OPENAI_RESPONSES)
_PLAIN_USER = re.compile(r"[\w.@:-]{1,64}", re.ASCII)


def render_request(request: Request, dialect: Dialect | None = None) -> Rendered:
    """Return the body for an upstream of this format.

    `dialect` None: what the model's name suggests. A streamed request always asks for the usage
    chunk. Raises Untranslatable where dropping would change the meaning.
    """
    dialect = dialect or dialect_of(request.model)
    dropped = Dropped(request.extra)
    tools = [tool for tool in request.tools if tool.kind != "server"]
    native = dialect.custom_tools and request.origin in _OPENAI
    body: JSON = {
        "model": request.model,
        "messages": render_messages(request, dropped, native_custom=native),
    }
    _tools(body, request, tools, dropped, native=native)
    _sampling(body, request, dialect, dropped)
    _reasoning(body, request, dialect, dropped)
    if request.output is not None:
        body["response_format"] = _response_format(request.output)
    _labels(body, request, dialect, dropped)
    body["stream"] = request.stream
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    return Rendered(body, dropped.names())


def _tools(
    body: JSON, request: Request, tools: list[Tool], dropped: Dropped, *, native: bool
) -> None:
    for tool in request.tools:
        if tool.kind == "server":
            dropped.add(f"tools.{speakable(tool.name or 'server')}")
        if tool.cache_control:
            dropped.add("cache_control")
    choice = request.tool_choice
    if tools:
        body["tools"] = [_tool(tool, native=native) for tool in tools]
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    if choice is None:
        return
    forced = choice.mode in {"required", "tool"}
    named = next((tool for tool in tools if tool.name == choice.name), None)
    if forced and (not tools or (choice.mode == "tool" and named is None)):
        raise Untranslatable(
            "tool_choice",
            "forces a tool that only its own vendor can run; this model's provider has none",
        )
    if named is not None and choice.mode == "tool":
        kind = "custom" if named.kind == "custom" and native else "function"
        body["tool_choice"] = {"type": kind, kind: {"name": named.name}}
    elif tools:
        # OpenAI refuses tool_choice without tools; there, auto and none say nothing.
        body["tool_choice"] = choice.mode


def _tool(tool: Tool, *, native: bool) -> JSON:
    inner: JSON = {"name": tool.name}
    if tool.description:
        inner["description"] = tool.description
    if tool.kind == "custom":
        if native:
            if form := _custom_format(tool):
                inner["format"] = form
            return {"type": "custom", "custom": inner}
        inner["description"] = _described_format(tool)
        inner["parameters"] = {
            "type": "object",
            "properties": {"input": {"type": "string", "description": "The tool's whole input."}},
            "required": ["input"],
            "additionalProperties": False,
        }
        return {"type": "function", "function": inner}
    inner["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict is not None:
        inner["strict"] = tool.strict
    return {"type": "function", "function": inner}


def _grammar(tool: Tool) -> JSON | None:
    form = tool.raw.get("format")
    if not isinstance(form, dict) or form.get("type") != "grammar":
        return None
    inner = form.get("grammar", form)
    return inner if isinstance(inner, dict) else None


def _custom_format(tool: Tool) -> JSON | None:
    """Return the grammar in this format's nesting (the Responses API writes it flat)."""
    if (grammar := _grammar(tool)) is None:
        return None
    inner = {"syntax": grammar.get("syntax"), "definition": grammar.get("definition")}
    return {"type": "grammar", "grammar": inner}


def _described_format(tool: Tool) -> str:
    """A grammar cannot be enforced in a function's string, but the model can be told of it."""
    if (grammar := _grammar(tool)) is None:
        return tool.description
    syntax, definition = grammar.get("syntax"), grammar.get("definition")
    rule = f"The input must follow this {syntax} grammar:\n{definition}"
    return f"{tool.description}\n\n{rule}" if tool.description else rule


def _sampling(body: JSON, request: Request, dialect: Dialect, dropped: Dropped) -> None:
    for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.max_tokens is not None:
        body[dialect.limit_field] = request.max_tokens
    if request.top_k is not None:
        dropped.add("top_k")
    if len(request.stop) > dialect.stop_limit:
        raise Untranslatable(
            "stop",
            f"has {len(request.stop)} stop sequences; this model's provider takes at most "
            f"{dialect.stop_limit}, and without the others it would not stop where you want",
        )
    if request.stop:
        body["stop"] = list(request.stop)


def _reasoning(body: JSON, request: Request, dialect: Dialect, dropped: Dropped) -> None:
    reasoning = request.reasoning
    if reasoning is None:
        return
    wanted = reasoning.effort
    if not wanted and reasoning.budget_tokens is not None and reasoning.mode == "on":
        wanted = _effort_of_budget(reasoning.budget_tokens)
    if reasoning.mode == "off":
        # `none` only where it was said: most servers that do not reason refuse the field.
        wanted = "none" if wanted == "none" else ""
    effort = nearest_effort(wanted, dialect.efforts)
    if effort:
        body["reasoning_effort"] = effort
    elif wanted or reasoning.mode == "off":
        dropped.add("reasoning")
    if reasoning.summary:
        dropped.add("reasoning.summary")


def _effort_of_budget(tokens: int) -> str:
    """Anthropic's budgets begin at 1,024; its coding tool asks for 31,999 at most."""
    return "low" if tokens < 4_096 else "medium" if tokens < 16_384 else "high"


def _response_format(output: StructuredOutput) -> JSON:
    if output.schema is None:
        return {"type": "json_object"}
    inner: JSON = {"name": output.name, "schema": output.schema}
    if output.description:
        inner["description"] = output.description
    if output.strict is not None:
        inner["strict"] = output.strict
    return {"type": "json_schema", "json_schema": inner}


def _labels(body: JSON, request: Request, dialect: Dialect, dropped: Dropped) -> None:
    if request.user:
        body["user"] = opaque_user(request.user)
    if request.metadata:
        # OpenAI takes it only with `store`, others not at all.
        dropped.add("metadata")
    ours = dialect.openai_fields and request.origin in _OPENAI
    for name in ("verbosity", "service_tier", "prompt_cache_key"):
        value = getattr(request, name)
        if value and ours:
            body[name] = value
        elif value:
            dropped.add(name)


def opaque_user(user: str) -> str:
    """Return the end user's id; one that holds more than an id is replaced by its digest.

    Coding tools put account and device ids of one vendor there, which are not another's affair.
    """
    if _PLAIN_USER.fullmatch(user):
        return user
    return "user_" + hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()[:32]
