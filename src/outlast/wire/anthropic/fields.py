"""Typed reading of a caller's JSON: what is wrong is said with the path of the field."""

from __future__ import annotations

import math
from typing import Any, Never

import msgspec

from outlast.wire.canon import JSON, BadRequest

DEPTH_LIMIT = 100
"""Of a schema. Deeper ones could not be written as JSON again."""

_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}


def join(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)


def wrong(path: str, expected: str, value: object) -> Never:
    raise BadRequest(path, f"should be {expected}, not {_NAMES.get(type(value), 'that')}")


def an_object(value: object, path: str) -> JSON:
    if not isinstance(value, dict):
        wrong(path, "an object", value)
    return value


def an_array(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        wrong(path, "an array", value)
    return value


def required(source: JSON, key: str, path: str) -> Any:
    """Return the value; null counts as missing."""
    value = source.get(key)
    if value is None:
        raise BadRequest(join(path, key), "is missing")
    return value


def text(source: JSON, key: str, path: str, *, empty: bool = True) -> str:
    """Return a string that must be there."""
    value = required(source, key, path)
    if not isinstance(value, str):
        wrong(join(path, key), "a string", value)
    if not value and not empty:
        raise BadRequest(join(path, key), "should not be empty")
    return value


def opt_text(source: JSON, key: str, path: str) -> str:
    """Return a string, "" where it is missing or null."""
    return "" if source.get(key) is None else text(source, key, path)


def opt_object(source: JSON, key: str, path: str) -> JSON | None:
    value = source.get(key)
    return None if value is None else an_object(value, join(path, key))


def opt_array(source: JSON, key: str, path: str) -> list[Any]:
    value = source.get(key)
    return [] if value is None else an_array(value, join(path, key))


def opt_bool(source: JSON, key: str, path: str) -> bool | None:
    value = source.get(key)
    if value is not None and not isinstance(value, bool):
        wrong(join(path, key), "a boolean", value)
    return value


def opt_int(source: JSON, key: str, path: str, *, least: int) -> int | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        wrong(join(path, key), "an integer", value)
    if not least <= value < 2**53:
        raise BadRequest(join(path, key), f"should be at least {least} and below 2^53")
    return value


def opt_number(
    source: JSON, key: str, path: str, *, least: float, most: float = math.inf
) -> float | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong(join(path, key), "a number", value)
    if not least <= value <= most:
        allowed = f"between {least:g} and {most:g}" if most < math.inf else f"at least {least:g}"
        raise BadRequest(join(path, key), f"should be {allowed}")
    return float(value)


def one_of(source: JSON, key: str, path: str, allowed: tuple[str, ...]) -> str:
    value = text(source, key, path)
    if value not in allowed:
        raise BadRequest(join(path, key), f"should be one of {', '.join(allowed)}")
    return value


def a_schema(value: object, path: str) -> JSON:
    """Return a JSON Schema: an object, not nested too deeply."""
    schema = an_object(value, path)
    level: list[object] = [schema]
    for _ in range(DEPTH_LIMIT):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return schema
    raise BadRequest(path, f"is nested more than {DEPTH_LIMIT} levels deep")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def encoded(value: JSON, path: str) -> str:
    """Return an object as JSON text."""
    try:
        return msgspec.json.encode(value).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRequest(path, "cannot be read as JSON: nested too deeply?") from error
