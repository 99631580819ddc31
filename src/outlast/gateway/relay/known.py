"""Heads that were understood before: a request behind the same bytes needs no parser."""

from __future__ import annotations

from typing import Any, NamedTuple

from outlast.gateway.relay.request import Request, Wire
from outlast.gateway.surfaces import Surface
from outlast.nouns import Format

KNOWN_MAX_BYTES = 8 << 10
HEADS_MAX = 256
"""Heads of which all connections know what they mean."""
_LENGTH = b"\r\ncontent-length:"


class Meaning(NamedTuple):
    """What a head means, and what was learnt of requests behind it (lane.py)."""

    surface: Surface
    query: str
    headers: dict[str, str]
    ways: dict[str, Any]


Heads = dict[tuple[bytes, bytes], Meaning]
"""By its bytes before and after the body's length."""


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
    parts = _parts(data)
    if parts is None:
        return None
    cycle.ways = {}
    if cycle.admitted:
        if len(meanings) >= HEADS_MAX:
            meanings.clear()
        meaning = Meaning(cycle.surface, cycle.query, cycle.headers, cycle.ways)
        cycle.ways = meanings.setdefault(parts, meaning).ways
    return Known(*parts, cycle)


def known_elsewhere(data: bytes, wire: Wire, meanings: Heads) -> Known | None:
    """Return what is known of the head with which a connection begins; None: nothing."""
    parts = _parts(data) if meanings else None
    meaning = meanings.get(parts) if parts is not None else None
    if parts is None or meaning is None:
        return None
    request = Request(wire, meaning.surface, meaning.query, meaning.headers)
    request.ways = meaning.ways
    return Known(*parts, request)


def _parts(data: bytes) -> tuple[bytes, bytes] | None:
    """Return what stands before and after the body's length in the head that `data` begins with;
    None where it is none that may be known."""
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
    return head[:at], head[head.find(b"\r", at) :]
