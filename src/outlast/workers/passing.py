"""A worker's ASGI application: its own paths, and all others passed on to the observer. Thin.

What passes keeps its method, path, headers and body; the address that it came from is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import quote

import msgspec
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from outlast.workers.inside import (
    AWAY,
    CLIENT,
    PASS_SILENCE_S,
    PREFIX,
    SCHEME,
    TARGET,
    Away,
    Neighbour,
    end,
)

log = structlog.get_logger(__name__)

OWN = frozenset({"/", "/healthz"})
OWN_PREFIX = "/v1/"
OWN_TOO = frozenset({"/metrics", "/readyz"})
"""Answered for all processes by the observer, and for this one alone while that is away."""
ANYTHING = "/any"
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_OURS = frozenset({b"date", b"server"})
_WORDS = {
    "en": "The part of this service that observes is being started again. Requests to models are "
    "answered meanwhile. Try again in a few seconds.",
    "fr": "La partie de ce service qui observe redémarre. Les requêtes aux modèles obtiennent "
    "réponse entre-temps. Réessayez dans quelques secondes.",
}


class Passing:
    def __init__(self, own: ASGIApp, observer: Neighbour) -> None:
        self._own = own
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path in OWN or path.startswith(OWN_PREFIX):
            await self._own(scope, receive, send)
            return
        asking = _Asking(receive)
        passing = asyncio.create_task(self._pass_on(scope, asking, send))
        leaving = asyncio.create_task(asking.left())
        try:
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (passing, leaving):
                if not task.done():
                    task.cancel()
            await asyncio.gather(passing, leaving, return_exceptions=True)
        if passing.cancelled():
            return
        error = passing.exception()
        if isinstance(error, Away):
            if path in OWN_TOO:
                await self._own(scope, receive, send)
            else:
                await _say_away(send)
        elif error is not None:
            raise error

    async def _pass_on(self, scope: Scope, asking: _Asking, send: Send) -> None:
        """Raises Away as long as nothing was answered."""
        raw = scope["raw_path"] or scope["path"].encode()
        query = scope["query_string"]
        target = raw + b"?" + query if query else raw
        client = scope.get("client") or ("", 0)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name not in _HOP_BY_HOP and not name.startswith(PREFIX)
        ]
        headers += [
            (TARGET, quote(target, safe="".join(map(chr, range(0x21, 0x7F))))),
            (CLIENT, f"{client[0]} {client[1]}"),
            (SCHEME, scope.get("scheme", "http")),
        ]
        names = {name for name, _ in scope["headers"]}
        with_body = bool(names & {b"content-length", b"transfer-encoding"})
        if not with_body:
            asking.has_no_body()
        response = await self._observer.begin(
            scope["method"],
            ANYTHING,
            headers=headers,
            body=asking.body() if with_body else None,
            limit_s=None,
            silence_s=PASS_SILENCE_S,
        )
        try:
            told = [
                (name.lower(), value)
                for name, value in response.raw_headers
                if name.lower() not in _HOP_BY_HOP | _OURS
            ]
            closing = response.headers.get("connection", "").lower() == "close"
            if closing:
                told.append((b"connection", b"close"))
            await send({"type": "http.response.start", "status": response.status, "headers": told})
            async for chunk in response.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except AWAY as error:
            # The answer has begun: it must not seem to be whole.
            log.warning("observer_broke_off", reason=repr(error)[:200])
            close = scope.get("outlast.close")
            if close is not None:
                close()
        finally:
            end(response)


class _Asking:
    """The request's body, and whether who asked is still there."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read = asyncio.Event()
        self._gone = False

    def has_no_body(self) -> None:
        self._read.set()

    async def body(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone = True
                self._read.set()
                raise ConnectionResetError("the client has left")
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk
        self._read.set()

    async def left(self) -> None:
        """Return when the client has left."""
        await self._read.wait()
        while not self._gone:
            self._gone = (await self._receive())["type"] == "http.disconnect"


async def _say_away(send: Send) -> None:
    body = msgspec.json.encode({"error": {"message": _WORDS["en"], "says": _WORDS}})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"retry-after", b"2"),
    ]
    with suppress(OSError):
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
