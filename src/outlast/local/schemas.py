"""JSON Schemas of the outside world, made simple enough for a grammar and a small model. Pure.

The engine turns a schema into a grammar. It knows `type`, `properties`, `required`, `items`,
`enum`, `const` and `anyOf`; it refuses unknown types and references that lead nowhere, and it
does not enforce patterns, formats or ranges (tried with xllamacpp 2026.10.11549). Here everything
else is removed, references are resolved, and objects are closed, so that what the grammar lets
through has every required field, of the right type, and no invented ones.
"""

from __future__ import annotations

from typing import Any

from outlast.wire.canon import JSON

MAX_DEPTH = 8
"""Deeper (or recursive) schemas become any JSON value there."""
MAX_PROPERTIES = 40
MAX_CHOICES = 60
_MAX_MIN_ITEMS = 8
_TYPES = {"string", "integer", "number", "boolean", "null", "array", "object"}
ANYTHING: JSON = {}


def simplify(schema: Any, *, keep_optional: bool) -> JSON:
    """Return a schema that the engine accepts and whose values `schema` would accept too,
    as far as types, required fields, enums and closed objects go.

    `keep_optional` False drops optional properties where there are required ones: a small model
    fills in whatever it is offered, and an absent optional argument is always right.
    """
    return _simple(schema, schema if isinstance(schema, dict) else {}, 0, keep_optional)


def _simple(schema: Any, root: JSON, depth: int, keep_optional: bool) -> JSON:
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return ANYTHING
    schema = _resolved(schema, root)
    if "const" in schema:
        return {"const": schema["const"]}
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return {"enum": schema["enum"][:MAX_CHOICES]}
    merged = _all_of(schema, root)
    for keyword in ("anyOf", "oneOf"):
        choices = merged.get(keyword)
        if isinstance(choices, list) and choices and "properties" not in merged:
            return _any_of(
                [_simple(c, root, depth + 1, keep_optional) for c in choices[:MAX_CHOICES]]
            )
    kind = merged.get("type")
    if isinstance(kind, list):
        kinds = [k for k in kind if isinstance(k, str) and k in _TYPES]
        # Where null is one way among others, the value itself is what the tool can use.
        useful = [k for k in kinds if k != "null"] or kinds
        return _any_of(
            [_simple({**merged, "type": k}, root, depth + 1, keep_optional) for k in useful]
        )
    if kind == "object" or (kind is None and "properties" in merged):
        return _object(merged, root, depth, keep_optional)
    if kind == "array" or (kind is None and "items" in merged):
        return _array(merged, root, depth, keep_optional)
    return {"type": kind} if isinstance(kind, str) and kind in _TYPES else ANYTHING


def _any_of(choices: list[JSON]) -> JSON:
    distinct: list[JSON] = []
    for choice in choices:
        if choice == ANYTHING:
            return ANYTHING
        if choice not in distinct:
            distinct.append(choice)
    if not distinct:
        return ANYTHING
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _object(schema: JSON, root: JSON, depth: int, keep_optional: bool) -> JSON:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        # An object of free keys (`additionalProperties`, `patternProperties`), or of none.
        closed = schema.get("additionalProperties") is False
        return (
            {"type": "object", "properties": {}, "additionalProperties": False}
            if closed
            else {"type": "object"}
        )
    names = required_names(schema)
    if keep_optional or not names:
        # Optional ones after the required ones: the grammar keeps this order.
        names = [*names, *(n for n in properties if n not in names)]
    names = names[: max(MAX_PROPERTIES, len(required_names(schema)))]
    return {
        "type": "object",
        "properties": {
            n: _simple(properties.get(n, {}), root, depth + 1, keep_optional) for n in names
        },
        "required": [n for n in names if n in required_names(schema)],
        "additionalProperties": False,
    }


def required_names(schema: JSON) -> list[str]:
    """Return the required property names, without doubles, in order."""
    required = schema.get("required")
    if not isinstance(required, list):
        return []
    return list(dict.fromkeys(n for n in required if isinstance(n, str)))


def _array(schema: JSON, root: JSON, depth: int, keep_optional: bool) -> JSON:
    simple: JSON = {"type": "array"}
    items = schema.get("items")
    if isinstance(items, dict) and items:
        simple["items"] = _simple(items, root, depth + 1, keep_optional)
    least = schema.get("minItems")
    if isinstance(least, int) and not isinstance(least, bool) and least > 0:
        simple["minItems"] = min(least, _MAX_MIN_ITEMS)
    return simple


def _resolved(schema: JSON, root: JSON) -> JSON:
    """Follow local references (`#/$defs/x`); one that leads nowhere becomes any value."""
    for _ in range(MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        target: Any = root if reference.startswith("#") else None
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            return ANYTHING
        schema = target
    return ANYTHING


def _all_of(schema: JSON, root: JSON) -> JSON:
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    merged: JSON = {k: v for k, v in schema.items() if k != "allOf"}
    for part in parts[:MAX_CHOICES]:
        if not isinstance(part, dict):
            continue
        part = _resolved(part, root)  # noqa: PLW2901  (the same part, looked up)
        properties = {**_dict(merged.get("properties")), **_dict(part.get("properties"))}
        required = [*required_names(merged), *required_names(part)]
        merged = {**part, **merged}
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = required
    return merged


def _dict(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def signature(schema: JSON) -> str:
    """Return a simplified schema as a model reads it with the fewest tokens: `path: string`."""
    properties = _dict(schema.get("properties"))
    required = set(required_names(schema))
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {_type_word(value, 0)}"
        for name, value in properties.items()
    )


def _type_word(schema: JSON, depth: int) -> str:
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(repr(v) for v in schema["enum"][:8])
    if "anyOf" in schema:
        return " | ".join(_type_word(c, depth + 1) for c in schema["anyOf"][:4])
    kind = str(schema.get("type", "any"))
    if kind == "array" and isinstance(schema.get("items"), dict) and depth < 3:
        return f"[{_type_word(schema['items'], depth + 1)}]"
    if kind == "object" and schema.get("properties") and depth < 3:
        inner = ", ".join(
            f"{n}: {_type_word(v, depth + 1)}" for n, v in schema["properties"].items()
        )
        return f"{{{inner}}}"
    return kind
