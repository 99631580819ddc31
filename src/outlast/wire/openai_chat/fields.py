"""Typed access to a caller's JSON: every complaint names the field's path and says what it is."""

from __future__ import annotations

import re
from typing import Any

from outlast.wire.canon import JSON, BadRequest

_KINDS = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
NUMBER_LIMIT = 1 << 63
"""JSON knows no largest number; what no server's integer can hold is refused here."""
_SPEAKABLE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def kind_of(value: object) -> str:
    """Return what people call a JSON value of this kind."""
    return _KINDS.get(type(value), "a value")


def speakable(name: str) -> str:
    """Return a field's name as it may stand in a response header, whoever chose it."""
    return name if _SPEAKABLE.fullmatch(name) else "unnamed-field"


class Obj:
    """One JSON object and its path. Getters raise BadRequest; null counts as absent."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise BadRequest(path, f"must be an object, not {kind_of(value)}")
        self.raw: JSON = value
        self.path = path

    def at(self, key: str | int) -> str:
        return f"{self.path}.{key}" if self.path else str(key)

    def has(self, key: str) -> bool:
        return self.raw.get(key) is not None

    def _typed(self, key: str, kinds: tuple[type, ...], word: str) -> Any:
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise BadRequest(self.at(key), f"must be {word}, not {kind_of(value)}")
        return value

    def text(self, key: str) -> str | None:
        value: str | None = self._typed(key, (str,), "a string")
        return value

    def need_text(self, key: str) -> str:
        """Return a string that must be there and say something."""
        value = self.text(key)
        if value is None:
            raise BadRequest(self.at(key), "is missing; it must be a string")
        if not value:
            raise BadRequest(self.at(key), "must not be empty")
        return value

    def flag(self, key: str) -> bool | None:
        value: bool | None = self._typed(key, (bool,), "true or false")
        return value

    def number(self, key: str) -> float | None:
        value: float | None = self._typed(key, (int, float), "a number")
        if value is not None and not -NUMBER_LIMIT < value < NUMBER_LIMIT:
            raise BadRequest(self.at(key), "is a number beyond all use")
        return value

    def integer(self, key: str, low: int | None = None) -> int | None:
        value = self.number(key)
        if value is None:
            return None
        if value != int(value):
            raise BadRequest(self.at(key), f"must be a whole number, not {value}")
        if low is not None and value < low:
            raise BadRequest(self.at(key), f"must be at least {low}, not {int(value)}")
        return int(value)

    def items(self, key: str, limit: int) -> list[Any] | None:
        value: list[Any] | None = self._typed(key, (list,), "a list")
        if value is not None and len(value) > limit:
            raise BadRequest(self.at(key), f"has {len(value)} entries; at most {limit} are taken")
        return value

    def obj(self, key: str) -> Obj | None:
        return Obj(self.raw[key], self.at(key)) if self.has(key) else None

    def need_obj(self, key: str) -> Obj:
        found = self.obj(key)
        if found is None:
            raise BadRequest(self.at(key), "is missing; it must be an object")
        return found

    def choice(self, key: str, words: tuple[str, ...]) -> str:
        """Return one of `words`, or "" where absent."""
        value = self.text(key)
        if value is None:
            return ""
        if value not in words:
            raise BadRequest(self.at(key), f"must be one of {', '.join(words)}, not {value[:60]!r}")
        return value

    def others(self, known: frozenset[str]) -> list[str]:
        """Return the names of fields beyond `known` that say something (not null, not empty)."""
        return [
            speakable(key)
            for key, value in self.raw.items()
            if key not in known and value not in (None, [], {}, "")
        ]
