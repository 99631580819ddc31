"""HTTP/1.1 by hand, for tests that must see every byte or send what no client library sends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import h11
import msgspec

LIMIT_S = 20.0


class Reply(msgspec.Struct):
    """An answer as it came off the wire, de-chunked. `whole`: the body came to its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True
    closed: bool = False
    """The server closed the connection after it, or said that it would."""

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def ask(
    url: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Reply:
    """Send one request on a connection of its own, and read the answer to its end."""
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    named = {name.lower() for name, _ in pairs}
    if "host" not in named:
        pairs.insert(0, ("host", urlsplit(url).netloc))
    if (body or method == "POST") and not named & {"content-length", "transfer-encoding"}:
        pairs.append(("content-length", str(len(body))))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    return await exchange(url, "\r\n".join([*lines, "", ""]).encode("latin-1") + body, method)


async def exchange(url: str, sent: bytes, method: str = "POST") -> Reply:
    """Send these bytes and read one answer."""
    parts = urlsplit(url)
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        sending = asyncio.create_task(_send(writer, sent))
        try:
            return await read_reply(reader, method)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await hang_up(writer)


async def _send(writer: asyncio.StreamWriter, sent: bytes) -> None:
    writer.write(sent)
    await writer.drain()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionError, BrokenPipeError):
        return  # the server was first


async def read_reply(reader: asyncio.StreamReader, method: str = "POST") -> Reply:
    """Read one answer; one that is cut comes back with `whole` False."""
    parser = _parser(method)
    head: h11.Response | None = None
    body: list[bytes] = []
    while True:
        try:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(1 << 16)
                parser.receive_data(data)
        except (ConnectionError, h11.RemoteProtocolError):
            return _reply(head, body, whole=False, closed=True)
        if event is h11.NEED_DATA:
            if not data and head is None:
                raise ConnectionError("the server closed the connection without an answer")
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            closing = parser.their_state is h11.MUST_CLOSE
            return _reply(head, body, whole=True, closed=closing)
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return _reply(head, body, whole=False, closed=True)


def _parser(method: str) -> h11.Connection:
    """A parser of one answer to a request that was sent without its help."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    parser.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    parser.send(h11.EndOfMessage())
    return parser


def _reply(head: h11.Response | None, body: list[bytes], *, whole: bool, closed: bool) -> Reply:
    if head is None:
        raise ConnectionError("the connection broke before the answer's head")
    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return Reply(head.status_code, headers, b"".join(body), whole, closed)
