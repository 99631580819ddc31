"""JSON Schemas as Anthropic's constrained decoding takes them. Pure.

It takes a subset (docs "Structured outputs"): objects are closed, and bounds on numbers, lengths
and counts are refused. What is refused is told to the model in the description instead, as the
official SDK's helper does, so that nothing a caller asked for is lost without a word.
"""

from __future__ import annotations

from typing import Any

import msgspec

from outlast.wire.canon import JSON, Untranslatable

_KEPT = {
    "type", "enum", "const", "description", "title", "default", "$ref", "$defs", "definitions",
    "properties", "required", "items", "anyOf", "allOf", "oneOf", "additionalProperties",
}  # fmt: skip
_IGNORED = {"$schema", "$id", "$comment"}
_STRING_FORMATS = {
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
}  # fmt: skip
_DEPTH_LIMIT = 100


def strict_schema(schema: JSON, field: str) -> JSON:
    """Return the schema within the subset. Raises Untranslatable where it is nested too deeply."""
    return _strict(schema, field, 0)


def _strict(schema: JSON, field: str, depth: int) -> JSON:
    if depth > _DEPTH_LIMIT:
        raise Untranslatable(field, f"the schema is nested more than {_DEPTH_LIMIT} levels deep")
    result: JSON = {}
    told: JSON = {}
    for key, value in schema.items():
        if key in _KEPT:
            result["anyOf" if key == "oneOf" else key] = _inner(key, value, field, depth)
        elif (key == "format" and value in _STRING_FORMATS) or (
            key == "minItems" and value in (0, 1)
        ):
            result[key] = value
        elif key not in _IGNORED:
            told[key] = value
    kinds = result.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        if result.get("additionalProperties") not in (None, False):
            told["additionalProperties"] = True
        result["additionalProperties"] = False
        result.setdefault("properties", {})
    else:
        result.pop("additionalProperties", None)
    if told:
        before = result.get("description")
        words = f"({_words(told)})"
        result["description"] = f"{before} {words}" if isinstance(before, str) else words
    return result


def _words(told: JSON) -> str:
    return ", ".join(f"{key}: {msgspec.json.encode(value).decode()}" for key, value in told.items())


def _inner(key: str, value: Any, field: str, depth: int) -> Any:
    if key in {"properties", "$defs", "definitions"} and isinstance(value, dict):
        return {name: _maybe(inner, field, depth) for name, inner in value.items()}
    if key in {"anyOf", "oneOf", "allOf"} and isinstance(value, list):
        return [_maybe(inner, field, depth) for inner in value]
    return _maybe(value, field, depth) if key == "items" else value


def _maybe(value: Any, field: str, depth: int) -> Any:
    return _strict(value, field, depth + 1) if isinstance(value, dict) else value


def input_schema(parameters: JSON) -> JSON:
    """Return a tool's parameters as an `input_schema`: an object, without alternatives on top.

    Anthropic refuses `anyOf`, `oneOf` and `allOf` at the top level of a tool: their properties are
    laid side by side, none of them required but those that all alternatives of an `allOf` ask for.
    """
    schema = dict(parameters)
    for key in ("anyOf", "oneOf", "allOf"):
        parts = schema.pop(key, None)
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and isinstance(part.get("properties"), dict):
                schema["properties"] = part["properties"] | _properties(schema)
            if key == "allOf" and isinstance(part, dict) and isinstance(part.get("required"), list):
                schema["required"] = [*_required(schema), *part["required"]]
    schema["type"] = "object"
    schema.setdefault("properties", {})
    if schema["properties"] is None:
        schema["properties"] = {}
    return schema


def _properties(schema: JSON) -> JSON:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def _required(schema: JSON) -> list[Any]:
    required = schema.get("required")
    return required if isinstance(required, list) else []
