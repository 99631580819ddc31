"""Answers that are ready to be sent: what a flood of readers is given, at the price of a look-up.

A bad day's readers all ask for the same few pages. The first of them has a page rendered; whoever
asks for the same while it is fresh gets the same bytes before any routing, and no query is asked.
Owned by one event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outlast.observatory.words import Lang, language

AGE_S = 15.0
"""Older ones are made anew."""
READY_MAX = 1000
QUERY_LIMIT = 200
_ACCEPTED_LIMIT = 200

Version = tuple[int, int]
Key = tuple[str, bytes, Lang, bool]


class Wishes(msgspec.Struct, frozen=True):
    """What of a request's head decides which bytes it gets."""

    lang: Lang
    packed: bool
    known: bytes
    """The validators that the reader has (if-none-match)."""


class Ready(msgspec.Struct, frozen=True):
    version: Version
    made_at: float
    etag: bytes
    whole: tuple[Message, Message]
    unchanged: tuple[Message, Message]
    """To a reader who has it already."""


def wishes(headers: list[tuple[bytes, bytes]]) -> Wishes:
    """Read them of the headers, whose names are in lower case."""
    accepted, packed, known = b"", False, b""
    for name, value in headers:
        if name == b"accept-language":
            accepted = value[:_ACCEPTED_LIMIT]
        elif name == b"accept-encoding":
            packed = b"gzip" in value and b"gzip;q=0" not in value
        elif name == b"if-none-match":
            known = value
    return Wishes(language(accepted), packed, known)


class Shelf:
    def __init__(self, version: Callable[[], Version], wall: Callable[[], float]) -> None:
        """`version`: of what is shown now; `wall`: seconds since the epoch."""
        self._version = version
        self._wall = wall
        self._ready: dict[Key, Ready] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def put(self, scope: Scope, response: Response, version: Version, made_at: float) -> None:
        """Keep an answer to a request for whoever asks the same. It must have an etag."""
        query: bytes = scope["query_string"]
        if len(query) > QUERY_LIMIT or response.status_code != 200:
            return
        wish = wishes(scope["headers"])
        if len(self._ready) >= READY_MAX:
            # Odd addresses fill it, never the few that all ask for: those are back at once.
            self._ready.clear()
        self._ready[scope["path"], query, wish.lang, wish.packed] = Ready(
            version,
            made_at,
            response.headers["etag"].encode("latin-1"),
            _messages(200, response.raw_headers, bytes(response.body)),
            _messages(304, response.raw_headers, b""),
        )

    def find(self, scope: Scope) -> tuple[Message, Message] | None:
        """Return what to send; None: it is not here, or no longer fresh."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or not self._ready:
            return None
        wish = wishes(scope["headers"])
        found = self._ready.get((scope["path"], scope["query_string"], wish.lang, wish.packed))
        if (
            found is None
            or found.version != self._version()
            or not 0.0 <= self._wall() - found.made_at < AGE_S
        ):
            return None
        if wish.known and found.etag in wish.known:
            return found.unchanged
        return found.whole


class FromShelf:
    """ASGI middleware: what is ready goes out, all else goes on."""

    def __init__(self, app: ASGIApp, shelf: Shelf) -> None:
        self._app = app
        self._shelf = shelf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._shelf.find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        for message in found:
            await send(message)


def _messages(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[Message, Message]:
    kept = [
        pair
        for pair in headers
        if status != 304 or pair[0] not in {b"content-length", b"content-encoding"}
    ]
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": kept}
    return start, {"type": "http.response.body", "body": body, "more_body": False}
