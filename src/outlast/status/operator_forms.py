"""Forms of the operators' pages as values: fields, what was typed into them, what was wrong. Pure.

What was typed is kept as it came, so that nothing of it is lost when something is wrong; whoever
shows it escapes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec

from outlast.status.stamps import iso

FIELDS_MAX = 200
SOURCES_MAX = 20
OURS = frozenset({"csrf", "once", "seen", "step", "template"})
"""Fields of the page itself: they are no part of what is published."""

Values = Mapping[str, Sequence[str]]
"""What was typed, by the field's name; several where a field may have several."""


class Choice(msgspec.Struct, frozen=True):
    value: str
    label: str


class Field(msgspec.Struct, frozen=True):
    """One field as the page shows it. `kind`: line · area · time · choice · many · hidden."""

    name: str
    label: str = ""
    kind: str = "line"
    hint: str = ""
    lang: str = ""
    """In which language it is written; empty: in none that is known."""
    limit: int = 0
    rows: int = 4
    choices: tuple[Choice, ...] = ()
    needed: bool = False
    values: tuple[str, ...] = ()
    """What stands in it."""

    @property
    def value(self) -> str:
        return self.values[0] if self.values else ""


class Wrong(msgspec.Struct, frozen=True):
    """What is wrong, for the operator; `field` is empty where it is about the whole."""

    words: str
    field: str = ""


class Refused(Exception):
    """What was asked for cannot be done, as it was typed."""

    def __init__(self, problems: Iterable[Wrong]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(one.words for one in self.problems))


def read(body: bytes) -> dict[str, list[str]]:
    """Read an urlencoded form, with line ends of one kind. More than FIELDS_MAX fields are an
    error. Raises ValueError."""
    found: dict[str, list[str]] = {}
    pairs = parse_qsl(
        body.decode("ascii", "replace"),
        keep_blank_values=True,
        encoding="utf-8",
        errors="replace",
        max_num_fields=FIELDS_MAX,
    )
    for name, value in pairs:
        found.setdefault(name, []).append(value.replace("\r\n", "\n").replace("\r", "\n"))
    return found


def first(values: Values, name: str) -> str:
    found = values.get(name)
    return found[0] if found else ""


def texts(values: Values, name: str) -> dict[str, str]:
    """What was typed by language: of `text_en` and `text_fr`, those that are not empty."""
    found = {lang: first(values, f"{name}_{lang}") for lang in ("en", "fr")}
    return {lang: words for lang, words in found.items() if words.strip()}


def lines(values: Values, name: str) -> list[str]:
    """A line each, without empty ones."""
    found = (line.strip() for line in first(values, name).splitlines())
    return [line for line in found if line][:SOURCES_MAX]


def filled(fields: Iterable[Field], values: Values) -> list[Field]:
    """The fields with what was sent in them; before anything was sent they have their own."""
    if not values:
        return list(fields)
    return [msgspec.structs.replace(one, values=tuple(values.get(one.name, ()))) for one in fields]


def put_in(
    values: Values, fields: Iterable[Field], text: Mapping[str, str]
) -> dict[str, list[str]]:
    """Put a template's words into the fields of their language: below what stands there."""
    found = {name: list(ones) for name, ones in values.items()}
    for one in fields:
        if one.kind != "area" or one.lang not in text:
            continue
        typed = first(values, one.name).rstrip()
        found[one.name] = [f"{typed}\n\n{text[one.lang]}" if typed else text[one.lang]]
    return found


def digest(values: Values, fields: Iterable[Field]) -> str:
    """Stands for what would be published: another text has another one."""
    parts = [(one.name, [text for text in values.get(one.name, ()) if text]) for one in fields]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def time_of(text: str) -> float | None:
    """`2026-03-02T12:30`, UTC, as seconds since 1970; None for what is no time."""
    text = text.strip()
    if not 16 <= len(text) <= 19:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is not None else found.replace(tzinfo=UTC).timestamp()


def time_text(at: float) -> str:
    """As a field for times has it."""
    return iso(at)[:16]
