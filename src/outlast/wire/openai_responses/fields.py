"""Typed reading of a caller's JSON: each getter raises BadRequest with the field's path."""

from __future__ import annotations

import math
from typing import Any

from outlast.wire.canon import JSON, BadRequest

_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def kind_of(value: object) -> str:
    """Return what JSON calls this value, for people: `a string`, `null`."""
    return _KINDS.get(type(value), type(value).__name__)


def join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def as_object(value: object, path: str) -> JSON:
    if isinstance(value, dict):
        return value
    raise BadRequest(path, f"must be an object, not {kind_of(value)}")


def as_list(value: object, path: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise BadRequest(path, f"must be a list, not {kind_of(value)}")


def as_text(value: object, path: str) -> str:
    if isinstance(value, str):
        return value
    raise BadRequest(path, f"must be a string, not {kind_of(value)}")


def text(raw: JSON, key: str, path: str = "") -> str:
    """Return a string that must be there."""
    if raw.get(key) is None:
        raise BadRequest(join(path, key), "is missing; it must be a string")
    return as_text(raw[key], join(path, key))


def name(raw: JSON, key: str, path: str = "") -> str:
    """Return a string that must be there and not be empty."""
    value = text(raw, key, path)
    if not value:
        raise BadRequest(join(path, key), "must not be empty")
    return value


def text_or(raw: JSON, key: str, path: str = "", default: str = "") -> str:
    """Return an optional string; null counts as absent."""
    value = raw.get(key)
    return default if value is None else as_text(value, join(path, key))


def choice(raw: JSON, key: str, path: str, allowed: tuple[str, ...]) -> str:
    """Return an optional string out of `allowed`; empty where absent."""
    value = text_or(raw, key, path)
    if value and value not in allowed:
        raise BadRequest(join(path, key), f"must be one of {', '.join(allowed)}, not {value!r:.60}")
    return value


def flag(raw: JSON, key: str, path: str = "") -> bool | None:
    value = raw.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise BadRequest(join(path, key), f"must be true or false, not {kind_of(value)}")


def count(raw: JSON, key: str, path: str = "") -> int | None:
    """Return an optional whole number of at least 1."""
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequest(join(path, key), f"must be a whole number, not {kind_of(value)}")
    if value < 1:
        raise BadRequest(join(path, key), f"must be at least 1, not {value}")
    return value


def number(raw: JSON, key: str, low: float, high: float) -> float | None:
    """Return an optional number from `low` to `high`."""
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadRequest(key, f"must be a number, not {kind_of(value)}")
    if not low <= value <= high or math.isnan(value):
        raise BadRequest(key, f"must be between {low:g} and {high:g}, not {value}")
    return float(value)


def optional_object(raw: JSON, key: str, path: str = "") -> JSON | None:
    value = raw.get(key)
    return None if value is None else as_object(value, join(path, key))
