"""Heads that were understood before: a request behind the same bytes needs no parser."""

from __future__ import annotations

from typing import Any

from outlast.gateway.relay.request import Request
from outlast.nouns import Format

KNOWN_MAX_BYTES = 8 << 10
HEADS_MAX = 256
"""Heads of which all connections know what they mean."""
_LENGTH = b"\r\ncontent-length:"
Heads = dict[tuple[bytes, bytes], dict[str, Any]]
"""What was learnt of a head (lane.py), by its bytes before and after the body's length."""


class Known:
    """A head that was understood before: the same bytes mean the same, whatever the body's length
    between them."""

    __slots__ = ("after", "anthropic", "before", "request")

    def __init__(self, before: bytes, after: bytes, request: Request) -> None:
        self.before = before
        self.after = after
        self.request = request
        self.anthropic = request.surface.format is Format.ANTHROPIC


def what_is_known(data: bytes, cycle: object, meanings: Heads) -> Known | None:
    """Return what is to be known of the head that one read began with; None: nothing.

    What such requests mean is known to all connections, once somebody was admitted with this head.
    """
    if not isinstance(cycle, Request) or cycle.old or cycle.expects or not cycle.keep_alive:
        return None
    head = data[: data.find(b"\r\n\r\n") + 4]
    names = head.lower()
    name = names.find(_LENGTH)
    if not 0 < len(head) <= KNOWN_MAX_BYTES or name < 0 or b"\r\nupgrade:" in names:
        return None
    if not head.startswith(b"POST ") or names.count(_LENGTH) > 1:
        return None
    at = name + len(_LENGTH)
    while head[at : at + 1] == b" ":
        at += 1
    before, after = head[:at], head[head.find(b"\r", at) :]
    cycle.ways = {}
    if cycle.admitted:
        if len(meanings) >= HEADS_MAX:
            meanings.clear()
        cycle.ways = meanings.setdefault((before, after), cycle.ways)
    return Known(before, after, cycle)
