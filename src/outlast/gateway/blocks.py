"""Markdown's blocks where two texts are joined: fences, lists, tables, headings. Pure.

Models leave out the line end that their text would begin with, and write the line again that they
go on in, its marker included. Both would break a list or a table in the reader's sight. What a
block is: CommonMark 0.31 (sections 4.2, 4.5, 5.1, 5.2) and GitHub's tables.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FENCE = re.compile(r"^[ ]{0,3}(```+|~~~+)", re.MULTILINE)
_MARKER = re.compile(r"(?:([-*+])|(\d{1,9})([.)]))(?=[ \t]|\Z)")
_LINE_START = re.compile(r"(?:[-*+]|\d{1,9}[.)]|#{1,6}|>+)(?=[ \t]|\Z)|\|")
_MARKS = re.compile(r"#{1,5}")
"""A heading's, of which more may follow: what comes goes on with them."""
_HEADING = re.compile(r"#{1,6}[ \t]+\S")
_OPENING = re.compile(r"(?:```+|~~~+)[^`\n]*\n")
_ROW = re.compile(r"\|[^\n]*\|[ \t]*\Z")


class Marker(NamedTuple):
    """What begins a list's item: its sign (`-`, `.`), and its number (0 for a bullet)."""

    sign: str
    number: int


def in_code_fence(text: str) -> bool:
    """Whether a fenced code block is open at the end of `text` (CommonMark 0.31, 4.5)."""
    opened = ""
    for match in _FENCE.finditer(text):
        sign = match.group(1)
        if not opened:
            opened = sign
        elif sign[0] == opened[0] and len(sign) >= len(opened):
            opened = ""
    return bool(opened)


def line_again(shown: str, text: str) -> int:
    """Return how many characters of `text` write the list's item or table's row again in which
    `shown` ends: from its marker on, and so however little of it there is.
    """
    line = _last_line(shown)
    if _LINE_START.match(line) is None or _MARKS.fullmatch(line) or in_code_fence(shown):
        return 0
    body = text.lstrip()
    lead = len(text) - len(body)
    if body.startswith(line):
        return lead + len(line)
    bare = line.rstrip()
    after = body[len(bare) : len(bare) + 1]
    if body.startswith(bare) and after in {" ", "\t", "\n"}:
        return lead + len(bare) + (1 if after != "\n" and line != bare else 0)
    if line != bare and _MARKER.fullmatch(bare):
        # The item is open and empty: a second marker can only be meant as the first.
        again = _MARKER.match(body)
        if again is not None and bool(again.group(1)) is bare.startswith(("-", "*", "+")):
            return lead + len(body) - len(body[again.end() :].lstrip(" \t"))
    return 0


def line_end(shown: str, text: str) -> str:
    """Return the line end that is missing between `shown` and the block that `text` begins with."""
    if not shown or shown[-1].isspace() or not text or in_code_fence(shown):
        return ""
    line = _last_line(shown)
    if _MARKS.fullmatch(line):
        return ""
    if _HEADING.match(text) or _OPENING.match(text):
        return "\n\n"
    if text.startswith("|") and _ROW.match(line):
        return "\n"
    new = _marker(text)
    if new is None or text[1:2] == "\n":
        return ""
    item = _marker(line)
    if item is not None:
        follows = new.sign == item.sign and new.number == item.number + bool(item.number)
        return "\n" if follows else ""
    return "\n\n" if line.endswith((":", "\uff1a")) and new.number in (0, 1) else ""


def _last_line(text: str) -> str:
    return text[text.rfind("\n") + 1 :].lstrip(" \t")


def _marker(line: str) -> Marker | None:
    found = _MARKER.match(line)
    if found is None:
        return None
    bullet, number, end = found.groups()
    return Marker(bullet, 0) if bullet else Marker(end, int(number))
