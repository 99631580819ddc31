"""Ids in Anthropic's spelling. Pure functions: the same id in every turn, on every replica."""

from __future__ import annotations

import hashlib
import re

_LEGAL = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:24]


def message_id(answer_id: str) -> str:
    """Return a `msg_…` id for an answer that another vendor may have begun."""
    return answer_id if answer_id.startswith("msg_") else f"msg_{digest(answer_id)}"


def answer_tool_id(tool_id: str, answer_id: str, index: int) -> str:
    """Return a `toolu_…` id for a tool call of an answer.

    Other vendors' ids may be legal for them and still repeat in every answer (`call_0`), which
    Anthropic refuses in a history: the answer's id and the place in it are part of ours.
    """
    if tool_id.startswith("toolu_") and _LEGAL.match(tool_id):
        return tool_id
    return f"toolu_{digest(answer_id, str(index), tool_id)}"


def request_tool_id(tool_id: str, occurrence: int = 0) -> str:
    """Return an id that Anthropic accepts (`^[a-zA-Z0-9_-]+$`): the caller's own where it can be.

    `occurrence` counts earlier calls of the same history with the same id.
    """
    base = tool_id if _LEGAL.match(tool_id) else f"toolu_{digest(tool_id)}"
    return f"{base}_{occurrence + 1}" if occurrence else base
