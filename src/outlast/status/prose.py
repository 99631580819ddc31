"""An operator's long text in the small form that it may have: a part of Markdown. Pure.

Paragraphs are apart by an empty line. A line that begins with `#` is a heading, one that begins
with `-` or `*` a point of a list. `[words](https://…)` and a bare `https://…` are links. All else
is text: nothing of it is ever taken for HTML, and whoever shows it escapes it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

_LINK = re.compile(
    r"\[(?P<words>[^\[\]\n]{1,200})\]\((?P<to>https?://[^\s()<>\"]{1,1000})\)"
    r"|(?P<bare>https?://[^\s<>\"]{1,1000})"
)
_AFTER = ".,;:!?)]}'\u00bb\u201d\u2026"
"""What stands after a bare address and is not a part of it."""
_HEAD = re.compile(r"#{1,6}\s+")
_POINT = re.compile(r"[-*]\s+")


class Span(msgspec.Struct, frozen=True):
    text: str
    href: str = ""
    """Where it leads: an http or https address; empty for plain text."""


class Block(msgspec.Struct, frozen=True):
    kind: str
    """text · head · list"""
    items: tuple[tuple[Span, ...], ...]
    """A list's points; of the others the one line."""


def blocks(text: str) -> tuple[Block, ...]:
    found: list[Block] = []
    points: list[str] = []
    lines: list[str] = []

    def end() -> None:
        if lines:
            found.append(Block("text", (spans(" ".join(lines)),)))
            lines.clear()
        if points:
            found.append(Block("list", tuple(map(spans, points))))
            points.clear()

    for raw in text.splitlines():
        line = raw.strip()
        if not line:
            end()
        elif mark := _HEAD.match(line):
            end()
            found.append(Block("head", (spans(line[mark.end() :]),)))
        elif mark := _POINT.match(line):
            if lines:
                end()
            points.append(line[mark.end() :])
        elif points:
            points[-1] += f" {line}"
        else:
            lines.append(line)
    end()
    return tuple(found)


def spans(line: str) -> tuple[Span, ...]:
    """A line as text and links."""
    found: list[Span] = []
    place = 0
    for mark in _LINK.finditer(line):
        address = mark["to"] or mark["bare"].rstrip(_AFTER)
        if not _leads(address):
            continue
        if mark.start() > place:
            found.append(Span(line[place : mark.start()]))
        found.append(Span(mark["words"] or address, address))
        place = mark.end() if mark["to"] else mark.start() + len(address)
    if place < len(line) or not found:
        found.append(Span(line[place:]))
    return tuple(found)


def _leads(address: str) -> bool:
    """Whether it is an address of the web that does not pretend to be another (`https://a@b`)."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
