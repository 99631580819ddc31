"""Request → the body of POST /v1/messages. Pure.

Decisions, where the formats differ (docs/decisions names the alternatives):

- `max_tokens` is required here: where the caller says nothing, 32,000, or the most that the model
  writes; 8,192 for models that are not Claude's.
- A later system or developer turn stays one where the model takes it (Claude 4.8 and newer at
  Anthropic, after a user turn and before an assistant's), else it is put, marked with <system>,
  into the user's turn: nothing is lost but some of its authority.
- A custom tool (free text in) becomes a function with one string, `input`.
- Temperatures above 1 become 1; a model that takes no sampling parameters gets none.
- Forced tools exclude thinking; where thinking cannot be turned off, a forced tool is refused
  with a reason rather than turned into a polite request.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from outlast.nouns import Format
from outlast.wire.anthropic.models import Traits, traits_of
from outlast.wire.anthropic.schema import input_schema, strict_schema
from outlast.wire.anthropic.thinking import Thought, thought_of
from outlast.wire.anthropic.turns import Dropped, Turns
from outlast.wire.canon import JSON, Rendered, Request, Tool, Untranslatable

VERSION = "2023-06-01"
HEADERS = {"anthropic-version": VERSION}
DEFAULT_MAX_TOKENS = 32_000
DEFAULT_MAX_TOKENS_ELSEWHERE = 8_192

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_USER_LIMIT = 256
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def render_request(request: Request) -> Rendered:
    """Return the body, the headers it needs and the names of what was left out.

    Raises Untranslatable where leaving out would change what is asked.
    """
    dropped = Dropped()
    traits = traits_of(request.model)
    if "n" in request.extra:
        raise Untranslatable("n", "Anthropic gives one answer per request")
    max_tokens = _max_tokens(request, traits, dropped)
    body: JSON = {"model": request.model, "max_tokens": max_tokens}
    tools = _tools(request, traits, dropped)
    choice = _tool_choice(request, traits, tools)
    forced = choice is not None and choice["type"] in {"any", "tool"}
    thought = thought_of(request, traits, max_tokens, forced=forced)
    system, messages = Turns(request, traits, dropped).build(thinking=thought.on)
    config = _output_config(request, traits, thought, system, dropped)
    if thought.dropped:
        dropped.add("reasoning_effort")
    parts: JSON = {
        "system": system,
        "messages": messages,
        "tools": tools,
        "tool_choice": choice,
        "thinking": thought.thinking,
        "output_config": config,
        "stop_sequences": _stop(request, dropped),
        "metadata": _metadata(request, dropped),
        "service_tier": _service_tier(request, dropped),
    }
    body |= {name: value for name, value in parts.items() if value}
    body |= _sampling(request, traits, thought, dropped)
    if request.stream:
        body["stream"] = True
    _name_the_rest(request, dropped)
    return Rendered(body, dropped.names(), HEADERS)


def default_max_tokens(traits: Traits) -> int:
    """Return the limit where the caller says none."""
    if traits.max_output is None:
        return DEFAULT_MAX_TOKENS_ELSEWHERE
    return min(DEFAULT_MAX_TOKENS, traits.max_output)


def _max_tokens(request: Request, traits: Traits, dropped: Dropped) -> int:
    asked = request.max_tokens
    if asked is None:
        return default_max_tokens(traits)
    if traits.max_output is not None and asked > traits.max_output:
        dropped.add("max_tokens")
        return traits.max_output
    return max(1, asked)


def _tools(request: Request, traits: Traits, dropped: Dropped) -> list[JSON]:
    tools: list[JSON] = []
    for index, tool in enumerate(request.tools):
        field = f"tools.{index}"
        if tool.kind == "server":
            if tool.origin is Format.ANTHROPIC:
                tools.append(tool.raw)
            else:
                dropped.add(f"tools.{tool.raw.get('type') or tool.name}")
            continue
        if not _TOOL_NAME.match(tool.name):
            raise Untranslatable(
                f"{field}.name", "should be 1 to 128 letters, digits, underscores and dashes"
            )
        tools.append(_tool(tool, traits, field, dropped))
    return tools


def _tool(tool: Tool, traits: Traits, field: str, dropped: Dropped) -> JSON:
    shown: JSON = {"name": tool.name}
    description = tool.description
    if tool.kind == "custom":
        if grammar := _grammar(tool.raw):
            description = f"{description}\n\nThe input must follow this grammar:\n{grammar}".strip()
        shown["input_schema"] = {
            "type": "object",
            "properties": {"input": {"type": "string", "description": "The whole input."}},
            "required": ["input"],
            "additionalProperties": False,
        }
    else:
        shown["input_schema"] = input_schema(tool.parameters)
    if tool.strict and traits.structured_output:
        shown["input_schema"] = strict_schema(shown["input_schema"], f"{field}.parameters")
        shown["strict"] = True
    elif tool.strict:
        dropped.add("tools.strict")
    if description:
        shown["description"] = description
    if tool.cache_control:
        shown["cache_control"] = tool.cache_control
    return shown


def _grammar(raw: JSON) -> str:
    """Return the grammar of a custom tool in either of OpenAI's two spellings."""
    inner: Any = raw.get("custom", raw)
    shape: Any = inner.get("format") if isinstance(inner, dict) else None
    if isinstance(shape, dict) and isinstance(shape.get("grammar"), dict):
        shape = shape["grammar"]
    definition = shape.get("definition") if isinstance(shape, dict) else None
    return definition if isinstance(definition, str) else ""


def _tool_choice(request: Request, traits: Traits, tools: list[JSON]) -> JSON | None:
    choice = request.tool_choice
    mode = choice.mode if choice else "auto"
    if choice is not None and mode in {"required", "tool"}:
        known = {tool.get("name") for tool in tools}
        if not tools or (mode == "tool" and choice.name not in known):
            named = f"the tool {choice.name!r}" if choice.name else "a tool"
            raise Untranslatable("tool_choice", f"asks for {named}, which Anthropic cannot run")
        if not traits.forced_tools:
            raise Untranslatable(
                "tool_choice", f"{request.model} refuses to be made to use a tool; use `auto`"
            )
    if not tools:
        return None
    if mode == "none":
        return {"type": "none"}
    shown: JSON = {"type": {"auto": "auto", "required": "any", "tool": "tool"}[mode]}
    if choice is not None and mode == "tool":
        shown["name"] = choice.name
    if request.parallel_tool_calls is False:
        shown["disable_parallel_tool_use"] = True
    elif choice is None:
        return None
    return shown


def _output_config(
    request: Request, traits: Traits, thought: Thought, system: list[JSON], dropped: Dropped
) -> JSON:
    """Return `output_config`. A shape that the model cannot be held to is asked for in words."""
    config: JSON = {"effort": thought.effort} if thought.effort else {}
    output = request.output
    if output is None:
        return config
    if output.schema is not None and traits.structured_output:
        schema = strict_schema(output.schema, "response_format.json_schema.schema")
        if output.description:
            schema.setdefault("description", output.description)
        config["format"] = {"type": "json_schema", "schema": schema}
        return config
    words = "Answer with one JSON object and nothing else: no code fence, no words around it."
    if output.schema is not None:
        words += f" It must be valid against this JSON Schema:\n{_json(output.schema)}"
    system.append({"type": "text", "text": words})
    dropped.add("response_format")
    return config


def _json(schema: JSON) -> str:
    return msgspec.json.encode(schema).decode()


def _sampling(request: Request, traits: Traits, thought: Thought, dropped: Dropped) -> JSON:
    asked: JSON = {
        name: value
        for name in ("temperature", "top_p", "top_k")
        if (value := getattr(request, name)) is not None
    }
    refused = {} if traits.sampling else {"temperature": 1, "top_p": 1, "top_k": 0}
    for name in [name for name in asked if name in refused]:
        if asked.pop(name) != refused[name]:
            dropped.add(name)
    if thought.on:
        # While it thinks, a model samples in its own way (docs "Extended thinking").
        for name in [name for name in asked if name != "top_p" or asked[name] < 0.95]:
            if asked.pop(name) != 1:
                dropped.add(name)
    if asked.get("temperature", 0) > 1:
        asked["temperature"] = 1.0
        dropped.add("temperature")
    both = "temperature" in asked and "top_p" in asked
    if both and not traits.temperature_with_top_p and asked.pop("top_p") != 1:
        dropped.add("top_p")
    return asked


def _stop(request: Request, dropped: Dropped) -> list[str]:
    kept = [one for one in request.stop if one.strip()]
    if len(kept) < len(request.stop):
        dropped.add("stop")  # Anthropic refuses sequences of white space
    return kept


def _metadata(request: Request, dropped: Dropped) -> JSON | None:
    if request.metadata:
        dropped.add("metadata")
    if not request.user:
        return None
    user = request.user
    if len(user) > _USER_LIMIT and request.origin is not Format.ANTHROPIC:
        user = hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()
    return {"user_id": user}


def _service_tier(request: Request, dropped: Dropped) -> str:
    if request.service_tier and request.service_tier not in _TIERS:
        dropped.add("service_tier")
    return _TIERS.get(request.service_tier, "")


def _name_the_rest(request: Request, dropped: Dropped) -> None:
    for name in ("frequency_penalty", "presence_penalty"):
        if getattr(request, name):
            dropped.add(name)
    if request.seed is not None:
        dropped.add("seed")
    for name in ("verbosity", "prompt_cache_key"):
        if getattr(request, name):
            dropped.add(name)
    for name in request.extra:
        dropped.add(name)
