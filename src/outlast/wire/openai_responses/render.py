"""A canonical request → a body of POST /v1/responses, always with `store: false`."""

from __future__ import annotations

import hashlib
import re

from outlast.nouns import Format
from outlast.wire.canon import (
    JSON,
    Reasoning,
    Rendered,
    Request,
    StructuredOutput,
    Tool,
    Untranslatable,
)
from outlast.wire.openai_responses.names import original_name
from outlast.wire.openai_responses.render_items import Items

ORIGIN = Format.OPENAI_RESPONSES
MIN_OUTPUT_TOKENS = 16
"""OpenAI refuses a smaller `max_output_tokens`."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_UNSUPPORTED = ("top_k", "frequency_penalty", "presence_penalty", "seed")


def render_request(request: Request) -> Rendered:
    """Return the body and what it leaves out. Raises Untranslatable.

    Stop sequences are neither sent nor named as dropped: this format has none, so the gateway
    keeps them itself (`outlast.wire.stops`).
    """
    dropped: list[str] = []
    items = Items(request, dropped)
    items.render()
    if not items.input:
        raise Untranslatable("messages", "hold nothing that this upstream could read")
    body: JSON = {"model": request.model, "input": items.input, "store": False}
    if items.instructions:
        body["instructions"] = items.instructions
    if request.stream:
        body["stream"] = True
    body.update(_tools(request, items))
    body.update(_sampling(request, items))
    if text := _text(request):
        body["text"] = text
    if (reasoning := _reasoning(request.reasoning)) is not None:
        body["reasoning"] = reasoning
    body.update(_account(request, items))
    for name in request.extra:
        items.drop(name)
    return Rendered(body=body, dropped=tuple(dropped))


def _tools(request: Request, items: Items) -> JSON:
    rendered: list[JSON] = []
    spaces: dict[str, JSON] = {}
    callable_names: set[str] = set()
    for index, tool in enumerate(request.tools):
        if tool.cache_control is not None:
            items.drop("cache_control")
        if tool.kind == "server":
            if tool.origin is ORIGIN:
                rendered.append(tool.raw)
            else:
                items.drop(f"tools.{tool.name}")
            continue
        entry = _tool(tool, request.origin, f"tools.{index}")
        callable_names.add(tool.name)
        if not tool.namespace:
            rendered.append(entry)
        elif tool.namespace in spaces:
            spaces[tool.namespace]["tools"].append(entry)
        else:
            spaces[tool.namespace] = {
                "type": "namespace",
                "name": tool.namespace,
                "description": tool.raw.get("namespace_description", ""),
                "tools": [entry],
            }
            rendered.append(spaces[tool.namespace])
    fields: JSON = {"tools": rendered} if rendered else {}
    if rendered and request.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = request.parallel_tool_calls
    fields.update(_choice(request, callable_names, bool(rendered)))
    return fields


def _tool(tool: Tool, origin: Format, path: str) -> JSON:
    name = original_name(tool).name
    if not _NAME.match(name):
        raise Untranslatable(
            f"{path}.name",
            f"{name!r:.80} is not a name that this upstream accepts: 1 to 128 letters, digits, "
            "_ and -",
        )
    entry: JSON = {"type": tool.kind, "name": name}
    if tool.description:
        entry["description"] = tool.description
    if tool.kind == "custom":
        if (form := _custom_format(tool)) is not None:
            entry["format"] = form
        return entry
    entry["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict is not None:
        entry["strict"] = tool.strict
    elif origin is not ORIGIN:
        # This format alone is strict where nothing is said, and refuses most other schemas then.
        entry["strict"] = False
    return entry


def _custom_format(tool: Tool) -> JSON | None:
    """Return the input format in this format's flat shape.

    Chat completions nests it: `{type: custom, custom: {format: {type, grammar: {…}}}}`.
    """
    nested = tool.raw.get("custom")
    form = tool.raw.get("format")
    if form is None and isinstance(nested, dict):
        form = nested.get("format")
    if not isinstance(form, dict):
        return None
    if isinstance(grammar := form.get("grammar"), dict):
        return {"type": "grammar", **grammar}
    return form


def _choice(request: Request, names: set[str], any_tools: bool) -> JSON:
    choice = request.tool_choice
    if choice is None or (choice.mode in ("auto", "none") and not any_tools):
        return {}
    if choice.mode == "tool":
        if choice.name not in names:
            raise Untranslatable(
                "tool_choice",
                f"forces the tool {choice.name!r:.80}, which only its own vendor can run",
            )
        tool = next(tool for tool in request.tools if tool.name == choice.name)
        return {"tool_choice": {"type": tool.kind, "name": original_name(tool).name}}
    if choice.mode == "required" and not any_tools:
        raise Untranslatable(
            "tool_choice", "requires a tool call, but no tool can run at this upstream"
        )
    return {"tool_choice": choice.mode}


def _sampling(request: Request, items: Items) -> JSON:
    fields: JSON = {}
    if request.max_tokens is not None:
        if request.max_tokens < MIN_OUTPUT_TOKENS:
            items.drop("max_tokens")
        fields["max_output_tokens"] = max(request.max_tokens, MIN_OUTPUT_TOKENS)
    for name in ("temperature", "top_p"):
        if (value := getattr(request, name)) is not None:
            fields[name] = value
    for name in _UNSUPPORTED:
        if getattr(request, name) is not None:
            items.drop(name)
    return fields


def _text(request: Request) -> JSON:
    fields: JSON = {}
    if request.output is not None:
        fields["format"] = render_format(request.output)
    if request.verbosity:
        fields["verbosity"] = request.verbosity
    return fields


def render_format(output: StructuredOutput) -> JSON:
    if output.schema is None:
        return {"type": "json_object"}
    name = re.sub(r"[^A-Za-z0-9_-]", "_", output.name)[:64] or "answer"
    form: JSON = {"type": "json_schema", "name": name, "schema": output.schema}
    if output.description:
        form["description"] = output.description
    if output.strict is not None:
        form["strict"] = output.strict
    return form


def _reasoning(reasoning: Reasoning | None) -> JSON | None:
    """Return the `reasoning` field, or None to leave all to the model.

    An effort is sent only where one was said: models that do not reason refuse the field.
    """
    if reasoning is None:
        return None
    fields: JSON = {}
    if reasoning.effort:
        fields["effort"] = reasoning.effort
    elif reasoning.mode != "off" and reasoning.budget_tokens is not None:
        fields["effort"] = effort_of(reasoning.budget_tokens)
    if reasoning.summary:
        fields["summary"] = reasoning.summary
    return fields or None


def effort_of(budget_tokens: int) -> str:
    """Return the effort nearest to a thinking budget (our own cuts; no vendor publishes any)."""
    if budget_tokens < 4096:
        return "low"
    return "medium" if budget_tokens < 16384 else "high"


def _account(request: Request, items: Items) -> JSON:
    fields: JSON = {}
    if request.user:
        # At most 64 characters; Claude Code's own id is a JSON object that is longer.
        user = request.user
        if len(user) > 64:
            user = hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()
        fields["safety_identifier"] = user
    if request.metadata:
        if _fits(request.metadata):
            fields["metadata"] = request.metadata
        else:
            items.drop("metadata")
    if request.service_tier:
        if request.origin is Format.ANTHROPIC:
            fields["service_tier"] = "auto" if request.service_tier == "auto" else "default"
        else:
            fields["service_tier"] = request.service_tier
    if request.prompt_cache_key:
        fields["prompt_cache_key"] = request.prompt_cache_key
    return fields


def _fits(metadata: JSON) -> bool:
    """Return whether OpenAI takes this: 16 pairs, keys of 64 and values of 512 characters."""
    return len(metadata) <= 16 and all(
        len(key) <= 64 and isinstance(value, str) and len(value) <= 512
        for key, value in metadata.items()
    )
