"""A server's side of HTTP/1.1 that can break off anywhere: what no finished server lets one do."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

import httptools
import msgspec

BODY_LIMIT_BYTES = 64 << 20
HEAD_LIMIT_BYTES = 64 << 10
FLUSH_LIMIT_S = 5.0
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}


_NOT_HTTP = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Request(msgspec.Struct, frozen=True):
    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    keep_alive: bool
    too_large: bool = False


Handler = Callable[["Connection", Request], Awaitable[None]]


class Connection(asyncio.Protocol):
    """One client's connection: requests one after another, each to the handler.

    It stands in `open_ones` from the moment it is made (after a TLS handshake) until it is lost.
    """

    def __init__(self, handler: Handler, open_ones: set[Connection]) -> None:
        self._handler = handler
        self._open_ones = open_ones
        self._parser = httptools.HttpRequestParser(self)
        self._requests: asyncio.Queue[Request | None] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._fresh()
        self.busy = False
        self.ended_by_us = False
        self._chunked = False

    def _fresh(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # What asyncio tells us.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open_ones.add(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # Answers to sound requests before it go out first.
            self._requests.put_nowait(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if self._task is not None:
            self._task.cancel()
        self._open_ones.discard(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What the parser tells us.

    def on_message_begin(self) -> None:
        self._fresh()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_LIMIT_BYTES:
            raise ValueError("header too large")
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes <= BODY_LIMIT_BYTES:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._requests.put_nowait(
            Request(
                self._parser.get_method().decode(),
                self._target.decode("latin-1"),
                self._headers,
                b"".join(self._body),
                self._parser.should_keep_alive(),
                self._body_bytes > BODY_LIMIT_BYTES,
            )
        )

    async def _serve(self) -> None:
        while True:
            request = await self._requests.get()
            if request is None:
                self._write(_NOT_HTTP)
                self.close()
                return
            self.busy = True
            try:
                await self._handler(self, request)
            except Exception:
                # A defect of ours must not look like a vendor that thinks for ever.
                self.reset_soon()
                raise
            self.busy = False
            if not request.keep_alive or self.ended_by_us:
                self.close()
                return

    # What the handler says.

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def head(
        self, status: int, headers: Iterable[tuple[str, str]], length: int | None
    ) -> None:
        """Send the head; `length` None: the body comes in chunks."""
        self._chunked = length is None
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines.append(
            "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        )
        self._write("\r\n".join((*lines, "", "")).encode("latin-1"))
        await self._writable.wait()

    async def send(self, data: bytes) -> None:
        if data:
            self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
            await self._writable.wait()

    def finish(self) -> None:
        """End the body as it should end."""
        if self._chunked:
            self._write(b"0\r\n\r\n")

    def close(self) -> None:
        """Say no more: FIN after what was written."""
        self.ended_by_us = True
        if self._transport is not None:
            self._transport.close()

    def reset_soon(self) -> None:
        """RST now, whatever is still on its way."""
        self.ended_by_us = True
        if self._transport is not None:
            _linger_zero(self._transport.get_extra_info("socket"))
            self._transport.abort()

    def _in_flight(self, sock: Any) -> bool:
        waiting = self._transport.get_write_buffer_size() if self._transport else 0
        return bool(waiting or _unsent_bytes(sock))

    async def reset(self) -> None:
        """RST once all that was written has reached the client's machine."""
        self.ended_by_us = True
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_LIMIT_S):
                # The kernel has no event for "all is acknowledged", so this asks again.
                while self._in_flight(sock):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        self.reset_soon()


def _linger_zero(sock: Any) -> None:
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _unsent_bytes(sock: Any) -> int:
    """Return the bytes that the other side's kernel has not acknowledged yet."""
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    except (OSError, AttributeError, ValueError):
        return 0
    return int(count)


def drop(sock: socket.socket) -> None:
    """RST a connection that was only just accepted."""
    _linger_zero(sock)
    sock.close()
