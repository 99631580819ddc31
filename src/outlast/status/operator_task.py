"""One thing that an operator can do: its fields, what it would look like, and the doing. Pure.

Whatever is published goes the same way: fields, a preview by the same function that decides in the
end, and then the doing. A task is made anew for each request, in the operator's language.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import msgspec

from outlast.observatory.words import LANGS, Lang
from outlast.status.operator_forms import Field, Values
from outlast.status.operator_templates import Template
from outlast.status.operator_texts import TEXTS

LEFT_MAX = 10
_OPEN = re.compile(r"\[[^\[\]]{3,200}\](?!\()")
"""Words in brackets that are no link."""


class Piece(msgspec.Struct, frozen=True):
    """What readers of one language will see."""

    lang: Lang
    """The readers' …"""
    spoken: str
    """… and the words', where these are the other language's."""
    text: str
    title: str = ""
    by: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    """What stands around it, in the operator's language."""
    prose: bool = False
    """Whether the text is in the form of prose.py."""
    left: tuple[str, ...] = ()
    """What a template or a draft left open in brackets, and still is."""


class Task(msgspec.Struct, frozen=True):
    path: str
    back: str
    """Where it leads when it is done."""
    title: str
    about: str
    button: str
    fields: tuple[Field, ...]
    look: Callable[[Values], tuple[Piece, ...]]
    """What it would look like. Raises Refused."""
    do: Callable[[Values], Awaitable[bool]]
    """Do it; whether it is stored yet. Raises Refused, and what the shells below raise."""
    templates: tuple[Template, ...] = ()
    grave: str = ""
    """What to think of before."""
    back_words: str = ""


def pieces(
    text: dict[str, str],
    typed: dict[str, str],
    *,
    title: dict[str, str] | None = None,
    by: str = "",
    facts: tuple[tuple[str, str], ...] = (),
    prose: bool = False,
) -> tuple[Piece, ...]:
    """A piece for each language. `text`: what will be said; `typed`: what was typed, by which one
    sees whose words they are."""
    found = []
    for lang in LANGS:
        spoken = lang if lang in typed or not typed else next(iter(typed))
        words = text.get(lang) or text.get(spoken, "")
        found.append(
            Piece(
                lang=lang,
                spoken=spoken,
                text=words,
                left=tuple(_OPEN.findall(words)[:LEFT_MAX]),
                title=(title or {}).get(lang, ""),
                by=by,
                facts=facts,
                prose=prose,
            )
        )
    return tuple(found)


def both(
    lang: Lang, name: str, limit: int, values: dict[str, str], *, kind: str = "area", rows: int = 4
) -> list[Field]:
    """Two fields, one for each language; the operator's own first."""
    t = TEXTS[lang]
    order: tuple[Lang, ...] = (lang, "fr" if lang == "en" else "en")
    return [
        Field(
            f"{name}_{one}",
            t[f"{name}_{one}"],
            kind,
            hint=t["text_hint"] if one == order[0] else "",
            lang=one,
            limit=limit,
            rows=rows,
            values=(values[one],) if values.get(one) else (),
        )
        for one in order
    ]
