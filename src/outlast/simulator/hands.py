"""Tool calls that a coding tool can really run, and values that fit a JSON Schema."""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Sequence
from typing import Any

import msgspec

from outlast.simulator.ask import Ask, Tool
from outlast.simulator.prose import dice
from outlast.wire.canon import JSON

_PATHS = ("file_path", "filePath", "path", "filename", "file_name", "filepath", "file")
_CONTENTS = ("content", "contents", "file_text", "file_content", "text", "code", "data")
_COMMANDS = ("command", "cmd", "script")
_WISH = re.compile(
    r"\b(?:create|write|make|add|save|crée[rz]?|écri(?:s|vez)|erstelle|schreibe|lege|crea|escribe)\b"
    r"[^\n]{0,80}?(?P<quote>[`'\"«“]?)\s?(?P<path>[\w~./\\-]*\w\.\w{1,8})\b",
    re.IGNORECASE,
)
_CONTENT = re.compile(
    r"(?:containing|contains|contenant|contient|conteniendo|mit dem (?:text|inhalt)"
    r"|with (?:the )?(?:text|contents?|words?|line)|avec le (?:texte|contenu))\b[\s:]*(?:exactly )?"
    r"(?:`([^`]+)`|\"([^\"]+)\"|'([^']+)'|«\s?([^»]+?)\s?»|([^\n.]+))",
    re.IGNORECASE,
)
_FOLDER = re.compile(
    r"(?:working directory|<cwd>|\bcwd\b)[^/\n]{0,20}(/[^\s<>`\"']*)", re.IGNORECASE
)
_COUNT = re.compile(r"\bcount\s+from\s+(\d{1,3})\s+to\s+(\d{1,3})\b", re.IGNORECASE)
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_GENERIC = frozenset(
    re.findall(
        r"\w+",
        "get set read write edit list search create update delete find make file files task tool"
        " run fetch open call send view show plan agent skill todo exec command output",
    )
)


class Wish(msgspec.Struct, frozen=True):
    """A file that the user asks for."""

    path: str
    content: str


def file_wish(ask: Ask) -> Wish | None:
    """Return the file that the last user turn asks to create, if it does."""
    words = _REMINDER.sub("", ask.words)
    wishes = list(_WISH.finditer(words))
    if not wishes:
        return None
    found = wishes[-1]
    path = found["path"]
    given = _CONTENT.search(words, found.end())
    content = next((group for group in given.groups() if group), "") if given else ""
    return Wish(path, (content or f"Made by a simulated model: {path}").strip())


def file_call(ask: Ask) -> tuple[Tool, Any] | None:
    """Return a tool and arguments that create the wished file, if the tools allow it."""
    wish = file_wish(ask)
    if wish is None or not ask.tools:
        return None
    folder = _FOLDER.search("\n".join((ask.system, *(turn.text for turn in ask.turns))))
    path = wish.path
    if not path.startswith(("/", "~")) and folder:
        path = f"{folder[1].rstrip('/.,')}/{path}"
    command = f"printf '%s\\n' {shlex.quote(wish.content)} > {shlex.quote(wish.path)}"
    hints: dict[str, Any] = dict.fromkeys(_COMMANDS, command)
    hints |= {"description": f"Create {wish.path}"}
    writer = _tool_with(ask.tools, _PATHS, _CONTENTS)
    runner = _tool_with(ask.tools, _COMMANDS)
    # A writer that insists on absolute paths fails where the folder is unknown; a shell does not.
    if writer is not None and (path.startswith("/") or runner is None):
        hints |= dict.fromkeys(_PATHS, path) | dict.fromkeys(_CONTENTS, wish.content + "\n")
        wanted = (*_first(writer, _PATHS), *_first(writer, _CONTENTS))
        return writer, arguments(writer, dice("file", path), hints, wanted)
    if runner is not None:
        return runner, arguments(runner, dice("file", path), hints, _first(runner, _COMMANDS))
    return None


def counted(ask: Ask) -> str | None:
    """Return the numbers that the user asks to count, if they do: `Count from 1 to 20`."""
    found = _COUNT.search(_REMINDER.sub("", ask.words))
    if found is None or int(found[1]) > int(found[2]):
        return None
    return " ".join(str(number) for number in range(int(found[1]), int(found[2]) + 1))


def _properties(tool: Tool) -> dict[str, Any]:
    properties = tool.parameters.get("properties")
    return properties if isinstance(properties, dict) else {}


def _first(tool: Tool, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in _properties(tool))[:1]


def _tool_with(tools: Sequence[Tool], *groups: Sequence[str]) -> Tool | None:
    for tool in tools:
        known = _properties(tool)
        edits = any(name.startswith(("old", "insert", "new_")) for name in known)
        if not tool.custom and not edits and all(_first(tool, group) for group in groups):
            return tool
    return None


def named_tools(ask: Ask) -> list[Tool]:
    """Return the tools that the user's words name: `get_weather` for "weather"."""
    words = set(re.findall(r"[a-z]{3,}", _REMINDER.sub("", ask.words).lower()))
    found = []
    for tool in ask.tools:
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tool.name).lower()
        telling = set(re.findall(r"[a-z]{3,}", spaced)) - _GENERIC
        if telling and telling <= words:
            found.append(tool)
    return found


def call_for(tool: Tool, ask: Ask, *key: object) -> Any:
    """Return arguments for a tool that was asked for without more detail."""
    place = re.search(r"\b(?:in|for|at|à|in der Stadt|en)\s+([A-ZÀ-Ý][\w-]+)", ask.words)
    hints: dict[str, Any] = {}
    if place:
        hints = dict.fromkeys(("location", "city", "place", "town"), place[1])
    return arguments(tool, dice("call", tool.name, *key), hints, tuple(hints))


def arguments(
    tool: Tool, chance: random.Random, hints: dict[str, Any], wanted: Sequence[str] = ()
) -> Any:
    """Return arguments that fit the tool's schema: all required ones, and those `wanted`."""
    if tool.custom:
        return f"free text {chance.randrange(1000)}"
    schema = {"type": "object", **tool.parameters}
    required = schema.get("required")
    names = {*(required if isinstance(required, list) else ()), *wanted} & set(_properties(tool))
    return {
        name: _hinted(value, name, hints, chance, schema)
        for name, value in _properties(tool).items()
        if name in names
    }


def _hinted(
    schema: JSON, name: str, hints: dict[str, Any], chance: random.Random, root: JSON
) -> Any:
    if name not in hints or "enum" in schema:
        return instance(schema, chance, root)
    if schema.get("type") == "array":
        return ["bash", "-lc", hints[name]]
    return hints[name]


def instance(schema: Any, chance: random.Random, root: JSON, depth: int = 0) -> Any:
    """Return a value that fits a JSON Schema of the subset that vendors accept."""
    if not isinstance(schema, dict) or depth > 12:
        return "value"
    if isinstance(schema.get("$ref"), str):
        target: Any = root
        for step in schema["$ref"].removeprefix("#").strip("/").split("/"):
            target = target.get(step, {}) if isinstance(target, dict) and step else target
        return instance(target, chance, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return chance.choice(schema["enum"])
    for several in ("anyOf", "oneOf"):
        if isinstance(schema.get(several), list) and schema[several]:
            return instance(schema[several][0], chance, root, depth + 1)
    if isinstance(schema.get("allOf"), list):
        merged: JSON = {}
        for part in schema["allOf"]:
            merged |= part if isinstance(part, dict) else {}
        return instance(merged, chance, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_kind(kind[0] if isinstance(kind, list) else kind, schema, chance, root, depth)


def _of_kind(kind: str, schema: JSON, chance: random.Random, root: JSON, depth: int) -> Any:
    if kind == "object":
        properties = schema.get("properties") or {}
        return {
            name: instance(value, chance, root, depth + 1) for name, value in properties.items()
        }
    if kind == "array":
        # A schema that contains itself through a list must come to an end.
        count = schema.get("minItems", 2 if depth < 4 else 0)
        return [instance(schema.get("items", {}), chance, root, depth + 1) for _ in range(count)]
    if kind in {"integer", "number"}:
        low = int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
        high = int(schema.get("maximum", low + 99))
        value = chance.randint(low, max(low, high))
        return value if kind == "integer" else value + 0.5 if value < high else float(value)
    if kind == "boolean":
        return chance.random() < 0.5
    if kind == "null":
        return None
    return _string(schema, chance)


def _string(schema: JSON, chance: random.Random) -> str:
    stamp = f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    formats = {
        "date": stamp,
        "date-time": f"{stamp}T11:49:20Z",
        "time": "11:49:20Z",
        "email": "person@example.org",
        "uri": "https://example.org/",
        "uuid": f"{chance.getrandbits(32):08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
    }
    if schema.get("format") in formats:
        return formats[schema["format"]]
    words = " ".join(chance.choice(("blue", "café", "river", "“north”", "7")) for _ in range(3))
    return words.ljust(int(schema.get("minLength", 0)), "x")[: int(schema.get("maxLength", 1000))]
