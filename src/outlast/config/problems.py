"""What is wrong with a configuration, said for people: all of it at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect


class Problem(msgspec.Struct, frozen=True):
    """One thing to put right."""

    where: str
    """`outlast.toml:12`, `environment` or `command line`."""
    key: str
    """`server.port`; empty when it is about the whole."""
    what: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.what) if part)


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds every reason found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def suggestion(word: str, known: Iterable[str]) -> str:
    """` Did you mean "port"?`, or an empty text when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{near[0]}"?' if near else ""


def expected(hint: Any) -> str:
    """A type as a person would say it: `a whole number from 0 to 65535`."""
    return _expected(inspect.type_info(hint))


def _expected(info: inspect.Type) -> str:  # a table written as returns
    if isinstance(info, inspect.Metadata):
        if isinstance(info.type, inspect.EnumType):
            return "one of " + _quoted(_members(info.type, info.extra))
        return _expected(info.type)
    if isinstance(info, inspect.BoolType):
        return "true or false"
    if isinstance(info, inspect.IntType):
        return "a whole number" + _range(info)
    if isinstance(info, inspect.FloatType):
        return "a number" + _range(info)
    if isinstance(info, inspect.StrType):
        return "a text" + (" that is not empty" if info.min_length else "")
    if isinstance(info, inspect.EnumType):
        return "one of " + _quoted(_members(info, None))
    if isinstance(info, inspect.LiteralType):
        return "one of " + _quoted(str(value) for value in info.values)
    if isinstance(info, inspect.UnionType):
        parts = (part for part in info.types if not isinstance(part, inspect.NoneType))
        return " or ".join(_expected(part) for part in parts)
    if isinstance(info, inspect.DictType):
        return 'a table of texts, { name = "value" }'
    if isinstance(info, inspect.VarTupleType | inspect.ListType):
        return "a list"
    return "a table"


def choices(hint: Any) -> list[str]:
    """The words that a setting takes; empty when it takes more than a few."""
    info = inspect.type_info(hint)
    extra = None
    if isinstance(info, inspect.Metadata):
        extra, info = info.extra, info.type
    if isinstance(info, inspect.EnumType):
        return _members(info, extra)
    if isinstance(info, inspect.LiteralType):
        return [str(value) for value in info.values]
    return []


def shown(value: Any) -> str:
    """A value of the file in a message, by kind and cut short; never something like a key."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if looks_like_a_key(value):
            return "a text"
        return f'the text "{value[:60]}{"…" if len(value) > 60 else ""}"'
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    return "a date or time"


_KEY_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|ol|gsk|xai|pplx|hf|ghp|Bearer|Basic)[-_ ](?=[A-Za-z_\-.]*\d)[\w\-.]{12,}"
    r"|\b(?:AIza|AKIA)[\w\-]{12,}"
    r"|(?=[A-Za-z]*\d)[A-Za-z0-9]{40,}"
)


def looks_like_a_key(text: str) -> bool:
    """Whether a text has the shape of a credential (a known prefix, or 40 random signs)."""
    return bool(_KEY_SHAPES.search(text))


def _members(info: inspect.EnumType, extra: dict[Any, Any] | None) -> list[str]:
    left_out = (extra or {}).get("left_out", ())
    return [str(member.value) for member in info.cls if member not in left_out]


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    low = info.ge if info.ge is not None else info.gt
    high = info.le if info.le is not None else info.lt
    above = "above" if info.gt is not None else "from"
    if low is not None and high is not None:
        return f" {above} {low} to {high}"
    if low is not None:
        return f" {above} {low}" + ("" if info.gt is not None else " up")
    return f" up to {high}" if high is not None else ""
