"""What people read in an answer when a weaker model speaks, and how it is taken out. Pure.

A notice is no part of the answer. It comes back in the history all the same, and a model that
reads it there takes it for its own words; so it never leaves for an upstream.
"""

from __future__ import annotations

import re

from outlast.wire.looking import Word

_SEAM = {
    "en": "\n\n[Outlast: {gone} failed here; {model} goes on.]\n\n",
    "fr": "\n\n[Outlast : {gone} a été interrompu ici ; {model} prend la suite.]\n\n",
}
_FOREWORD = {
    "en": "[Outlast: {gone} cannot answer now; {model} answers instead.]\n\n",
    "fr": "[Outlast : {gone} ne peut pas répondre en ce moment ; {model} répond à sa place.]\n\n",
}
LANGUAGES = frozenset(_SEAM)

# No notice begins inside another: a text that begins many is looked at once, not once for each.
_NAME = r"(?:(?!\[Outlast)[^\n]){1,200}?"
_ANY = re.compile(
    rf"(?:\n\n)?\[Outlast ?: {_NAME}"
    rf"(?: failed here; {_NAME} goes on\.| a été interrompu ici ; {_NAME} prend la suite\."
    rf"| cannot answer now; {_NAME} answers instead\."
    rf"| ne peut pas répondre en ce moment ; {_NAME} répond à sa place\.)\](?:\n\n)?"
)
_MARK = Word(b"[Outlast")
"""What all of them begin with, however a body is escaped."""


def seam_notice(language: str, gone: str, model: str) -> str:
    """Return the words for a seam; empty where the language is none of ours."""
    return _SEAM.get(language, "").format(gone=gone, model=model)


def foreword(language: str, gone: str, model: str) -> str:
    """Return the words before an answer; empty where the language is none of ours."""
    return _FOREWORD.get(language, "").format(gone=gone, model=model)


def may_hold_notice(body: bytes) -> bool:
    """Return whether a request's body may carry one of them back; cheap."""
    return _MARK.find(body) >= 0


def without_notices(text: str) -> str:
    """Return an answer's text as the models wrote it; the same object where nothing is in it."""
    return _ANY.sub("", text) if "[Outlast" in text and _ANY.search(text) else text
