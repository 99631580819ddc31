"""The audit in words: who did what, to what, and what they said. Pure.

Entries are read as they come: one that is of no known shape is shown with what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from outlast.observatory.words import Lang
from outlast.status.operator_texts import ACTIONS, TEXTS
from outlast.status.stamps import clean

ROOT = "/operator"
WORDS_LIMIT = 300


class Line(msgspec.Struct, frozen=True):
    at: float
    who: str
    what: str
    about: str = ""
    href: str = ""
    """Where to look at what it is about; empty where there is no page of it."""
    words: str = ""


def lines(entries: Iterable[Mapping[str, Any]], lang: Lang) -> list[Line]:
    return [_line(one, lang) for one in entries]


def _line(entry: Mapping[str, Any], lang: Lang) -> Line:
    what = str(entry.get("what", ""))
    body = entry.get("body")
    body = body if isinstance(body, dict) else {}
    said = body.get("said")
    said = said if isinstance(said, dict) else {}
    about = clean(str(body.get("about") or body.get("window") or body.get("network") or ""), 120)
    incident = what.startswith(("incident.", "post_mortem."))
    return Line(
        at=float(entry.get("at", 0.0)),
        who=clean(str(entry.get("who", "")), 80),
        what=ACTIONS.get(what, {}).get(lang, clean(what, 80)),
        about=about,
        href=f"{ROOT}/incidents/{quote(about, safe='')}?lang={lang}" if incident and about else "",
        words=_words(body, said, lang),
    )


def _words(body: Mapping[str, Any], said: Mapping[str, Any], lang: Lang) -> str:
    note = body.get("note")
    found = [
        _of(said.get("note"), lang),
        _of(said.get("text"), lang),
        _plain(said.get("state")),
        _plain(said.get("reason")),
        _of(note.get("text"), lang) if isinstance(note, dict) else "",
    ]
    if missed := body.get("missed"):
        found.append(TEXTS[lang]["missed"].format(n=missed))
    return clean(" · ".join(one for one in found if one), WORDS_LIMIT)


def _of(text: object, lang: Lang) -> str:
    if not isinstance(text, dict):
        return ""
    return _plain(text.get(lang) or next(iter(text.values()), ""))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else ""
