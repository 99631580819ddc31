"""Which line of a TOML file a key stands on; tomllib does not say.

A reader of headers and keys, good enough to point at a line: `[a.b]`, `[[a]]` and `key =`.
Keys inside inline tables are found under the key that holds them.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_WORD = r"""(?:[A-Za-z0-9_\-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"^\s*({_WORD}(?:\s*\.\s*{_WORD})*)\s*=")
_FENCE = re.compile(r'"""|\'\'\'')


def key_lines(text: str) -> dict[str, int]:
    """`server.port` → 3, `routes[0].model` → 9; tables stand under their own path."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    inside_text = False
    for number, line in enumerate(text.splitlines(), start=1):
        fences = len(_FENCE.findall(line))
        if inside_text:
            inside_text = fences % 2 == 0
            continue
        if header := _HEADER.match(line):
            table = _plain(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = f"{table}[{counts[table]}]"
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault(f"{table}.{_plain(key[1])}".lstrip("."), number)
        inside_text = fences % 2 == 1
    return lines


def line_of(path: str, lines: dict[str, int]) -> int | None:
    """The line of a path, or of the nearest table around it."""
    while path:
        if path in lines:
            return lines[path]
        cut = path.rindex("[") if path.endswith("]") else max(path.rfind("."), 0)
        path = path[:cut]
    return None


def _plain(dotted: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in dotted.split("."))
