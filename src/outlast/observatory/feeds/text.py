"""Text from outside made fit for people: no markup, no tricks with direction, a bounded size. Pure.

What comes back is plain text. Whoever puts it into HTML still has to escape it.
"""

from __future__ import annotations

import html
import re
import unicodedata

TEXT_LIMIT_BYTES = 64 << 10
LINE_LIMIT_BYTES = 500

# A vendor's text is short; what is longer than this raw is cut before any work is spent on it.
_RAW_LIMIT_CHARS = 4 * TEXT_LIMIT_BYTES
_BREAKING_TAG = re.compile(
    r"</?(?:br|p|div|li|ul|ol|tr|h[1-6]|hr|table|blockquote)(?![a-z])[^<>]{0,1000}>", re.IGNORECASE
)
_TAG = re.compile(r"</?[a-z][^<>]{0,4000}>|<![^<>]{0,4000}>", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
_NEWLINES = re.compile(r" ?\n ?(?:\n ?)+")
_UNSEEN = frozenset("\u200b\u2060\ufeff\u00ad\u034f\u061c\u200e\u200f\u180e\u3164\uffa0")
"""Marks without width and marks of direction. Bidirectional overrides and isolates can show a
text in another order than it is read (Unicode TR 36, 2.2; CVE-2021-42574)."""


def plain(text: str, limit_bytes: int = TEXT_LIMIT_BYTES) -> str:
    """Return `text` without markup, control and direction characters, at most `limit_bytes` long.

    Paragraphs and line breaks stay as newlines, all other white space becomes one space.
    """
    if not text:
        return ""
    text = _without_blocks(text[:_RAW_LIMIT_CHARS])
    text = _BREAKING_TAG.sub("\n", text)
    text = _TAG.sub("", text)
    text = visible(html.unescape(text))
    text = _SPACES.sub(" ", text)
    return cut(_NEWLINES.sub("\n\n", text).strip(" \n"), limit_bytes)


def line(text: str, limit_bytes: int = LINE_LIMIT_BYTES) -> str:
    """Return `text` as `plain` does, in one line: for titles and names."""
    return cut(" ".join(plain(text).split()), limit_bytes)


def visible(text: str) -> str:
    """Return `text` without what cannot be seen or what changes how the rest is seen."""
    return "".join(_shown(character) for character in text)


def cut(text: str, limit_bytes: int) -> str:
    """Return `text`, or so much of it that it and a final `…` fit into `limit_bytes` of UTF-8."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit_bytes:
        return text
    kept = raw[: max(0, limit_bytes - 3)].decode("utf-8", "ignore")
    return kept.rstrip() + "…"


def _shown(character: str) -> str:
    if character in "\n\u2028\u2029\x85":
        return "\n"
    if character == "\t":
        return " "
    if character.isascii():
        return character if character >= " " and character != "\x7f" else ""
    if character in _UNSEEN or 0xE0000 <= ord(character) <= 0xE007F:
        return ""
    category = unicodedata.category(character)
    if category in {"Cc", "Cs", "Cn"} or "\u202a" <= character <= "\u202e":
        return ""
    return "" if "\u2066" <= character <= "\u206f" else character


def _without_blocks(text: str) -> str:
    """Leave out comments, scripts and styles with what they contain; unfinished ones to the end."""
    for opening, closing in (("<!--", "-->"), ("<script", "</script"), ("<style", "</style")):
        # Lower-casing some characters changes their number, which would shift the positions.
        low = text.lower() if text.isascii() else _ascii_lower(text)
        parts: list[str] = []
        at = 0
        while (start := low.find(opening, at)) >= 0:
            parts.append(text[at:start])
            end = low.find(closing, start)
            if end < 0:
                at = len(text)
                break
            # The rest of a closing tag, `</script >`, falls to the tags.
            at = end + len(closing) if closing == "-->" else end
        parts.append(text[at:])
        text = "".join(parts)
    return text


def _ascii_lower(text: str) -> str:
    return text.translate({upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)})
