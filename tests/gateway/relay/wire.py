"""A client connection of the relay without a socket, and h11 as the judge of what it is sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import h11
import msgspec
from uvicorn.config import Config
from uvicorn.server import ServerState

from outlast.accounts.keys import Key
from outlast.gateway.asked import Reply
from outlast.gateway.relay.inbound import Connection, relay_class
from outlast.gateway.relay.request import Request

KEY = Key(id="key_1", name="k", prefix="ol_", created_at=0.0)
PATH = "/v1/messages"
HEAD_LIMIT_BYTES = 4096
BODY_LIMIT_BYTES = 1 << 20


class Taken(msgspec.Struct, frozen=True):
    """A request that was understood: nothing of it may differ between two readers."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Socket(asyncio.Transport):
    """What a connection writes to: everything is kept, nothing is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closing = False
        self.reading = True

    def write(self, data: Any) -> None:
        if not self.closing:
            self.sent += data

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class Door:
    """Takes every request, and answers it at once with the length of its body."""

    body_read_s = 20.0

    def __init__(self, *, answers: bool = True) -> None:
        self.taken: list[Taken] = []
        self.begun: list[Request] = []
        self.answers = answers

    def body_limit_bytes(self) -> int:
        return BODY_LIMIT_BYTES

    def at_once(self, request: Request, body: bytes, seen: object = None) -> bool:
        return False

    def welcome(self, request: Request) -> None:
        self.begun.append(request)
        request.proceed(KEY)

    def serve(self, request: Request, key: Key, body: bytes) -> None:
        query = f"?{request.query}" if request.query else ""
        target = request.surface.path + query
        headers = dict(request.headers)
        if "transfer-encoding" in headers:
            headers["transfer-encoding"] = headers["transfer-encoding"].lower()
        self.taken.append(Taken("POST", target, headers, body))
        if self.answers:
            request.reply(Reply(200, {"content-type": "text/plain"}, str(len(body)).encode()))

    def too_large(self, request: Request) -> None:
        request.reply(Reply(413, {"connection": "close"}, b""))

    def too_late(self, request: Request) -> None:
        request.reply(Reply(408, {"connection": "close"}, b""))


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    """What serves other paths: nothing here."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Wire:
    """One connection. Made inside of a running event loop."""

    def __init__(self, door: Door | None = None, head_read_s: float = 20.0) -> None:
        self.door = door or Door()
        config = Config(no_app, lifespan="off", ws="none", log_config=None, access_log=False)
        config.load()
        made = relay_class(self.door, HEAD_LIMIT_BYTES, 10, head_read_s)
        self.state = ServerState()
        self.connection: Connection = made(config, self.state, {})
        self.socket = Socket()
        self.connection.connection_made(self.socket)

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            if piece and not self.socket.closing:
                self.connection.data_received(piece)

    @property
    def statuses(self) -> list[int]:
        """The status of each answer, read strictly: what was sent must be whole answers."""
        if not self.socket.sent:
            return []
        judge = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        judge.receive_data(bytes(self.socket.sent))
        found: list[int] = []
        while judge.our_state in {h11.IDLE, h11.DONE}:
            judge.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
            judge.send(h11.EndOfMessage())
            while True:
                event = judge.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return found
                if isinstance(event, h11.Response):
                    found.append(event.status_code)
                if isinstance(event, h11.EndOfMessage):
                    break
            if judge.their_state is not h11.DONE:
                return found
            judge.start_next_cycle()
        return found

    def lost(self) -> None:
        self.connection.connection_lost(None)


def oracle(data: bytes) -> tuple[list[Taken], str]:
    """Return the requests that h11 understands, and why it stopped: `error`, `closed` or `more`.

    Two things that llhttp bears and h11 does not are taken away first, since they leave no doubt:
    empty lines before a request (RFC 9112, 2.2 asks for it), more spaces than one in its line.
    """
    taken: list[Taken] = []
    while True:
        data = re.sub(rb"^([A-Z]+) +(\S+) +", rb"\1 \2 ", data.lstrip(b"\r\n"))
        judge = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT_BYTES)
        judge.receive_data(data)
        head: h11.Request | None = None
        body = b""
        while True:
            try:
                event = judge.next_event()
            except h11.RemoteProtocolError:
                return taken, "error"
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return taken, "more"
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                break
        if head is None:
            return taken, "more"
        taken.append(_taken(head, body))
        judge.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        judge.send(h11.EndOfMessage())
        if judge.our_state is not h11.DONE:
            return taken, "closed"
        data = judge.trailing_data[0]


def _taken(head: h11.Request, body: bytes) -> Taken:
    headers: dict[str, str] = {}
    for raw, value in head.headers:
        name = raw.decode("latin-1").lower()
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        text = text.lower() if name == "transfer-encoding" else text
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    target = head.target.decode("latin-1")
    if target.find("?") == len(target) - 1:
        target = target[:-1]  # an empty query is none
    return Taken(head.method.decode("latin-1"), target, headers, body)
