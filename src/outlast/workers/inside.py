"""How the processes of a service ask each other: HTTP on sockets in a folder of the owner's alone.

What comes from outside and is passed on carries `TARGET`; a client's own header of that name never
does. Everything else on such a socket is one of our processes asking.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import structlog
from yarl import URL

from outlast.workers.line import socket_of

log = structlog.get_logger(__name__)

PREFIX = b"outlast-inside-"
TARGET = "outlast-inside-target"
"""Path and query of a client's request, as it sent them."""
CLIENT = "outlast-inside-client"
"""Its address and port."""
SCHEME = "outlast-inside-scheme"

PASS_SILENCE_S = 60.0
"""How long an answer that is passed on may be silent; the event stream speaks every 15 s."""
ASK_S = 2.0
"""How long one process waits for another where somebody waits for both."""
AWAY = (aiohttp.ClientError, OSError, TimeoutError)


class Away(Exception):
    """Another process of this service does not answer."""


def end(response: aiohttp.ClientResponse) -> None:
    """An unfinished answer costs the connection, a finished one gives it back."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()


class Neighbour:
    """Another process. Owned by one event loop."""

    def __init__(self, folder: str, place: int) -> None:
        self.place = place
        self._path = socket_of(folder, place)
        self._session: aiohttp.ClientSession | None = None

    async def begin(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        body: Any = None,
        limit_s: float | None = ASK_S,
        silence_s: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request and return when the head of its answer is here; the caller ends it.

        `limit_s`: for all of it, `silence_s`: between two reads; None: without end. Raises Away
        where it cannot be sent.
        """
        url = URL.build(scheme="http", host="inside", path=path)
        timeout = aiohttp.ClientTimeout(total=limit_s, connect=ASK_S, sock_read=silence_s)
        try:
            return await self._client().request(
                method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
            )
        except AWAY as error:
            raise Away(type(error).__name__) from error

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, **how: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """As `begin`, and close it in the end."""
        response = await self.begin(method, path, **how)
        try:
            yield response
        finally:
            end(response)

    async def fetch(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Return status and body of a GET. Raises Away."""
        try:
            async with self.ask("GET", path, headers=headers) as response:
                return response.status, await response.read()
        except AWAY as error:
            raise Away(type(error).__name__) from error

    async def tell(self, path: str, said: msgspec.Struct) -> None:
        """POST as MessagePack. Raises Away where it was not taken."""
        body = msgspec.msgpack.encode(said)
        async with self.ask("POST", path, body=body, limit_s=10.0) as response:
            if response.status != 204:
                raise Away(f"HTTP {response.status}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=self._path, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("accept", "accept-encoding", "user-agent", "content-type"),
                trust_env=False,
            )
        return self._session
