"""The client as ASGI shows it, and reading its request within limits. Thin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from outlast.gateway.asked import Reply

DRAIN_LIMIT_BYTES = 256 << 20
DRAIN_S = 20.0


class TooLarge(Exception):
    """The body is beyond the limit (bytes)."""


class ReadTimeout(Exception):
    """The body did not arrive in time."""


class Disconnected(Exception):
    """The client left before its request was complete."""


def _text(value: bytes) -> str:
    """A header's value as it was meant: what is sent on is encoded as UTF-8 again."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class AsgiClient:
    """One request's other end."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._gone = asyncio.Event()
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), _text(raw_value)
            # Repeated headers are one list (RFC 9110, 5.3): beta flags may come so.
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    async def read(self, limit_bytes: int, timeout_s: float) -> bytes:
        """Return the body. Raises TooLarge, ReadTimeout, Disconnected.

        A body that is too large is read on for a while and thrown away, because a client that
        is cut off while it writes never reads why.
        """
        declared = self.headers.get("content-length", "")
        too_large = declared.isdigit() and int(declared) > limit_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(timeout_s if not too_large else DRAIN_S):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    too_large = too_large or size > limit_bytes
                    if too_large:
                        chunks.clear()
                    else:
                        chunks.append(chunk)
                    if not message.get("more_body", False) or size > DRAIN_LIMIT_BYTES:
                        break
        except TimeoutError as error:
            if not too_large:
                raise ReadTimeout from error
        if too_large:
            raise TooLarge
        return b"".join(chunks)

    async def head(self, status: int, headers: dict[str, str]) -> None:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def body(self, data: bytes) -> None:
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def reply(self, reply: Reply) -> None:
        headers = {**reply.headers, "content-length": str(len(reply.body))}
        await self.head(reply.status, headers)
        await self._send({"type": "http.response.body", "body": reply.body, "more_body": False})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def abort(self) -> None:
        close: Callable[[], Any] | None = self.scope.get("outlast.close")
        if close is not None:
            close()
            await self.gone()

    async def gone(self) -> None:
        while not self._gone.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone.set()
