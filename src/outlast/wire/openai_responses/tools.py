"""Tools and tool choice of a Responses request → canonical ones."""

from __future__ import annotations

from typing import Any

from outlast.nouns import Format
from outlast.wire.canon import JSON, BadRequest, Tool, ToolChoice, Untranslatable
from outlast.wire.openai_responses import fields
from outlast.wire.openai_responses.names import flat_name

ORIGIN = Format.OPENAI_RESPONSES


def parse_tools(value: object, path: str = "tools") -> list[Tool]:
    """Return the tools in order, functions of a namespace one by one under flat names.

    Raises BadRequest for a malformed tool and Untranslatable where two get the same flat name.
    """
    tools: list[Tool] = []
    for index, item in enumerate(fields.as_list(value, path)):
        where = fields.join(path, index)
        raw = fields.as_object(item, where)
        kind = fields.name(raw, "type", where)
        if kind == "namespace":
            tools += _namespace(raw, where)
        elif kind in ("function", "custom"):
            tools.append(_client_tool(raw, where))
        else:
            tools.append(Tool(name=kind, kind="server", raw=raw, origin=ORIGIN))
    return tools


def merge(tools: list[Tool], more: list[Tool]) -> list[Tool]:
    """Return both lists; a later tool of the same name and namespace replaces the earlier."""
    merged: dict[tuple[str, str], Tool] = {}
    servers = [tool for tool in [*tools, *more] if tool.kind == "server"]
    for tool in [*tools, *more]:
        if tool.kind != "server":
            merged[tool.namespace, tool.name] = tool
    owners: dict[str, str] = {}
    for namespace, name in merged:
        if owners.setdefault(name, namespace) != namespace:
            raise Untranslatable(
                "tools",
                f"has two tools that are both called {name!r} once namespaces are written out; "
                "rename one of them",
            )
    return [*merged.values(), *servers]


def _namespace(raw: JSON, path: str) -> list[Tool]:
    namespace = fields.name(raw, "name", path)
    description = fields.text_or(raw, "description", path)
    tools: list[Tool] = []
    for index, item in enumerate(fields.as_list(raw.get("tools"), fields.join(path, "tools"))):
        where = f"{path}.tools.{index}"
        inner = fields.as_object(item, where)
        kind = fields.name(inner, "type", where)
        if kind not in ("function", "custom"):
            raise BadRequest(
                fields.join(where, "type"),
                f"must be function or custom inside a namespace, not {kind!r:.60}",
            )
        tools.append(_client_tool(inner, where, namespace, description))
    return tools


def _client_tool(raw: JSON, path: str, namespace: str = "", about: str = "") -> Tool:
    if isinstance(raw.get("function"), dict) and "name" not in raw:
        raise BadRequest(
            fields.join(path, "name"),
            "is missing; in this API name, description and parameters stand beside `type`, "
            "not inside `function` as in chat completions",
        )
    name = fields.name(raw, "name", path)
    extra: JSON = {"name": name, "namespace_description": about} if namespace else {}
    description = fields.text_or(raw, "description", path)
    if raw["type"] == "custom":
        form = fields.optional_object(raw, "format", path)
        if form is not None:
            extra["format"] = form
        return Tool(
            name=flat_name(namespace, name),
            description=description,
            kind="custom",
            namespace=namespace,
            raw=extra,
            origin=ORIGIN,
        )
    return Tool(
        name=flat_name(namespace, name),
        description=description,
        parameters=fields.optional_object(raw, "parameters", path) or {},
        strict=fields.flag(raw, "strict", path),
        namespace=namespace,
        raw=extra,
        origin=ORIGIN,
    )


def parse_choice(value: object, tools: list[Tool]) -> tuple[ToolChoice | None, list[Tool]]:
    """Return the choice and the tools it leaves: `allowed_tools` removes all others.

    Raises BadRequest for an unknown form or tool, Untranslatable for a forced hosted tool.
    """
    if value is None:
        return None, tools
    if value in ("auto", "none", "required"):
        return ToolChoice(mode=value), tools
    raw = fields.as_object(value, "tool_choice") if not isinstance(value, str) else {}
    kind = raw.get("type", value)
    if kind in ("function", "custom"):
        return ToolChoice(mode="tool", name=_named(raw, "tool_choice", tools)), tools
    if kind == "allowed_tools":
        return _allowed(raw, tools)
    if raw and isinstance(kind, str):
        raise Untranslatable(
            "tool_choice",
            f"forces {kind!r:.60}, which only OpenAI runs; the upstreams that can answer now do "
            "not have it. Use auto, or name a function",
        )
    raise BadRequest(
        "tool_choice",
        "must be auto, none, required, or an object with type function, custom or allowed_tools",
    )


def _named(raw: JSON, path: str, tools: list[Tool]) -> str:
    name = fields.name(raw, "name", path)
    flat = flat_name(fields.text_or(raw, "namespace", path), name)
    names = {tool.name for tool in tools if tool.kind != "server"}
    if flat in names:
        return flat
    inside = [tool.name for tool in tools if tool.namespace and tool.raw.get("name") == name]
    if len(inside) == 1:
        return inside[0]
    raise BadRequest(fields.join(path, "name"), f"{name!r:.80} is not among `tools`")


def _allowed(raw: JSON, tools: list[Tool]) -> tuple[ToolChoice, list[Tool]]:
    mode = fields.choice(raw, "mode", "tool_choice", ("auto", "required")) or "auto"
    listed: list[Any] = fields.as_list(raw.get("tools"), "tool_choice.tools")
    keep: set[str] = set()
    for index, item in enumerate(listed):
        path = f"tool_choice.tools.{index}"
        entry = fields.as_object(item, path)
        kind = fields.name(entry, "type", path)
        if kind in ("function", "custom"):
            keep.add(_named(entry, path, tools))
        elif kind == "namespace":
            space = fields.name(entry, "name", path)
            keep.update(tool.name for tool in tools if tool.namespace == space)
        else:
            keep.update(tool.name for tool in tools if tool.kind == "server" and tool.name == kind)
    return (
        ToolChoice(mode="required" if mode == "required" else "auto"),
        [tool for tool in tools if tool.name in keep],
    )
