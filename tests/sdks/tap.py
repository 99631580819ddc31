"""A wire-tap: TCP through one port to another, with every byte of both directions kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import msgspec

from tests.raw import hang_up


class Heard(msgspec.Struct):
    """One connection's two directions, as they came."""

    sent: bytearray
    received: bytearray


class Tap:
    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: list[Heard] = []

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        there, away = await asyncio.open_connection("127.0.0.1", self._port)
        heard = Heard(bytearray(), bytearray())
        self.connections.append(heard)
        try:
            # One side may hang up: that is all a tap can notice.
            await asyncio.gather(
                _carry(reader, away, heard.sent),
                _carry(there, writer, heard.received),
                return_exceptions=True,
            )
        finally:
            await hang_up(writer)
            await hang_up(away)

    def forget(self) -> None:
        """Begin anew; connections that are kept alive go on."""
        for heard in self.connections:
            heard.sent.clear()
            heard.received.clear()

    def _only(self) -> Heard:
        (found,) = [heard for heard in self.connections if heard.sent]
        return found

    def request(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return (target, headers, body) of the only request since `forget`."""
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(bytes(self._only().sent))
        head = parser.next_event()
        assert isinstance(head, h11.Request)
        headers = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
        return head.target.decode(), headers, _body(parser)

    def answer(self) -> bytes:
        """Return the body of the answer to it."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(bytes(self._only().received))
        assert isinstance(parser.next_event(), h11.Response)
        return _body(parser)


def _body(parser: h11.Connection) -> bytes:
    body = b""
    while isinstance(event := parser.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage), event
    return body


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    while data := await reader.read(1 << 16):
        kept += data
        writer.write(data)
        await writer.drain()
    writer.write_eof()


@asynccontextmanager
async def tapped(port: int) -> AsyncIterator[Tap]:
    tap = Tap(port)
    await tap.open()
    try:
        yield tap
    finally:
        await tap.close()
