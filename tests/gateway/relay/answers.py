"""Upstreams' answers, whole and broken, and h11 as the judge of what the relay makes of them."""

from __future__ import annotations

import random
import re
from types import SimpleNamespace
from typing import Any, cast

import h11
import msgspec

from outlast.gateway.relay.call import Call, Origin
from outlast.gateway.relay.connection import Connection
from outlast.gateway.relay.heads import Pairs, response_headers
from outlast.gateway.relay.outbound import Relay
from outlast.outcome import Fault
from tests.gateway.relay.requests import TOKENS, chunked
from tests.gateway.relay.wire import Socket

HEAD_LIMIT_BYTES = 64 << 10
ORIGIN = Origin(("x", 1, "", True), "127.0.0.1", 1, False, "host: x\r\n", {}, 5.0)


class Answer(msgspec.Struct, frozen=True):
    """What an upstream sends; `closes`: then it closes the connection."""

    data: bytes
    closes: bool = False


class Hearing:
    """A listener that keeps what it hears, and minds the order."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.end = ""
        """`ended`, the kind of a fault, or empty."""

    def headed(self, status: int, headers: dict[str, str]) -> None:
        assert not self.status
        assert not self.end
        self.status, self.headers = status, headers

    def received(self, data: bytes) -> None:
        assert self.status
        assert not self.end
        assert data
        self.body += data

    def answered(self, status: int, pairs: Pairs, body: bytes) -> None:
        self.headed(status, response_headers(pairs))
        self.received(body)
        self.ended()

    def ended(self) -> None:
        assert self.status
        assert not self.end
        self.end = "ended"

    def failed(self, fault: Fault) -> None:
        assert not self.end
        self.end = fault.kind


class Pool:
    """Where connections go back to."""

    def __init__(self) -> None:
        self.idle: list[Connection] = []
        self.resent: list[Call] = []
        self.now = 0.0
        self.loop = SimpleNamespace(call_later=lambda *_: None, time=lambda: self.now)

    def put_back(self, _: Origin, connection: Connection) -> None:
        self.idle.append(connection)

    def forget(self, _: Origin, connection: Connection) -> None:
        self.idle = [one for one in self.idle if one is not connection]

    def dispatch(self, call: Call) -> None:
        self.resent.append(call)


class Line:
    """One call on a connection without a socket."""

    def __init__(self, *, reused: bool = False) -> None:
        self.pool = Pool()
        relay: Any = cast("Relay", self.pool)
        self.heard = Hearing()
        self.socket = Socket()
        self.connection = Connection(relay, ORIGIN)
        self.connection.connection_made(self.socket)
        self.call = Call(relay, ORIGIN, b"POST / HTTP/1.1\r\n\r\n", b"{}", self.heard)
        self.connection.send(self.call, 0.0, reused=reused)

    def feed(self, *pieces: bytes, closes: bool = False) -> None:
        for piece in pieces:
            if piece and not self.socket.closing:
                self.connection.data_received(piece)
        if closes or self.socket.closing:
            self.connection.connection_lost(None)


def judged(answer: Answer) -> tuple[int, bytes, str]:
    """Return (status, body, end) as h11 reads it; end: `ended`, `error` or `more`."""
    judge = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT_BYTES)
    judge.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    judge.send(h11.EndOfMessage())
    judge.receive_data(_plain(answer.data))
    status, body = 0, b""
    closed = False
    while True:
        try:
            event = judge.next_event()
            if event is h11.NEED_DATA and answer.closes and not closed:
                closed = True
                judge.receive_data(b"")
                continue
        except h11.RemoteProtocolError:
            return status, body, "error"
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return status, body, "more"
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return status, body, "ended"
        elif isinstance(event, h11.ConnectionClosed):
            return status, body, "error"


def _plain(data: bytes) -> bytes:
    """The same answer without what llhttp bears and h11 does not, which leaves no doubt: empty
    lines before it, and any sign in its phrase.
    """
    out = b""
    while True:
        data = re.sub(rb"\A(HTTP/1\.1 \d\d\d )[^\r\n]*", rb"\1Word", data.lstrip(b"\r\n"))
        if not re.match(rb"HTTP/1\.1 1\d\d ", data):
            return out + data
        head, end, data = data.partition(b"\r\n\r\n")
        out += head + end


def check_answer(answer: Answer, pieces: list[bytes], *, well_formed: bool) -> None:
    """Raises AssertionError where the relay and h11 do not agree."""
    line = Line()
    line.feed(*pieces, closes=answer.closes)
    status, body, end = judged(answer)
    heard = line.heard
    if heard.end == "ended":
        assert (heard.status, heard.body, end) == (status, body, "ended")
    elif heard.status:
        assert heard.status == status
        assert body.startswith(heard.body) or heard.end
    if well_formed:
        assert heard.end == "ended", f"{end} for h11"
    if end == "error" and answer.closes:
        assert heard.end not in {"", "ended"}
    if line.pool.idle:
        assert heard.end == "ended", "an unfinished connection went back"


def valid_answer(rng: random.Random) -> Answer:
    body = bytes(rng.randrange(32, 127) for _ in range(rng.choice((0, 1, 5, 40, 300))))
    status = rng.choice((200, 200, 200, 201, 400, 429, 500, 529))
    lines = [b"content-type: application/json", b"x-request-id: r"]
    interim = rng.choice(
        (b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\n\r\n")
    )
    closes = False
    how = rng.randrange(3)
    if how == 0:
        lines.append(b"content-length: %d" % len(body))
    elif how == 1:
        lines.append(b"Transfer-Encoding: chunked")
        body = chunked(rng, body)
    else:
        closes = True
    rng.shuffle(lines)
    head = b"HTTP/1.1 %d Word\r\n%b\r\n\r\n" % (status, b"\r\n".join(lines))
    return Answer(interim + head + body, closes)


def hostile_answer(rng: random.Random) -> Answer:
    data = valid_answer(rng).data
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data = data[:at] + rng.choice(TOKENS) + data[at:]
        elif kind == 1:
            data = data[:at]
        elif kind == 2:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        else:
            start = data.find(b"\r\n", at) + 2
            data = data[:start] + rng.choice(TOKENS) + data[start:]
    return Answer(data, closes=rng.random() < 0.7)
