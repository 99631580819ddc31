"""Client connections: inference requests are served here, every other path by the ASGI application.

Built on uvicorn's httptools protocol, which goes on serving those other paths, keeps order between
pipelined requests, and knows how to stop. A request to an inference path is a `Request`: it stands
where uvicorn has its own cycle, and never becomes ASGI.

Bounded: heads (bytes, count, time), bodies (bytes, time), requests waiting behind an unanswered
one, the time that a client may refuse to read. No body is kept before its key is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools
import structlog
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from outlast.gateway.joining import Joined
from outlast.gateway.pump import CLIENT_WRITE_S
from outlast.gateway.relay import heads
from outlast.gateway.relay.direct import Writer, writer_to
from outlast.gateway.relay.known import Heads, Known, known_elsewhere, what_is_known
from outlast.gateway.relay.request import Door, Request
from outlast.gateway.server import HEAD_READ_S, HEADERS_MAX
from outlast.gateway.surfaces import SURFACES
from outlast.native import compiled

_log = structlog.get_logger(__name__)

PIPELINED_MAX = 8
"""Requests that may wait behind one whose answer is not finished; nobody pipelines POST."""
TICK_S = 1.0
DIGITS_MAX = 12
_ask = compiled("ask")
_SURFACES = {path.encode(): surface for path, surface in SURFACES.items()}


class Watch:
    """Looks once a second for connections whose time is up: cheaper than a timer for each wait."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection, tick_s: float) -> None:
        self.connections.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(tick_s, self._tick, connection.loop, tick_s)

    def _tick(self, loop: asyncio.AbstractEventLoop, tick_s: float) -> None:
        # First of all: an error in one connection must not keep the others from being looked at.
        self._timer = (
            loop.call_later(tick_s, self._tick, loop, tick_s) if self.connections else None
        )
        now = loop.time()
        for connection in list(self.connections):
            connection.look(now)


class Connection(HttpToolsProtocol):
    """One client connection. `relay_class` gives it its limits and the gateway."""

    door: Door
    header_limit_bytes: int
    max_connections: int
    head_read_s: float
    watch: Watch
    known_heads: Heads

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # uvicorn lets bytes pass after a request that closes; here they are an error.
        self.parser = httptools.HttpRequestParser(self)
        self._under_way: set[Any] = self.tasks
        self.answering: Request | None = None
        self._in_head = False
        self._head_bytes = 0
        self._head_raw_bytes = 0
        self._head_due = 0.0
        self._idle_due = 0.0
        self._clogged_at = 0.0
        self._framing = b""
        """How the body is framed that comes after a wish for another protocol."""
        self._muted = False
        self._broken = False
        """What came cannot be read any further; answers under way are finished."""
        self._usual: tuple[object, bytes] = (None, b"")
        self._known: Known | None = None
        self._writer: Writer | None = None
        self.write: Callable[[bytes], None] = _nowhere
        """Writes what is small, as the transport does."""
        self._between = True
        """Whether what comes next is a new request."""
        self._began = 0
        """Requests whose heads came with this read."""
        self._missing = 0
        """Bytes of a body that do not pass the parser, because its head was known."""

    # -- asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._joined = Joined(transport, self.loop)
        self._writer = writer_to(transport)
        self.write = self._writer or transport.write
        if len(self.connections) > self.max_connections:
            self._refuse(503, "Too many connections at once. Try again shortly.")
            return
        self._head_due = self.loop.time() + self.head_read_s
        self.watch.add(self, min(TICK_S, self.head_read_s / 4))

    def connection_lost(self, exc: Exception | None) -> None:
        self.watch.connections.discard(self)
        self.pipeline.clear()
        if self._writer is not None:
            self._writer.close()
        answering, self.answering = self.answering, None
        super().connection_lost(exc)
        if answering is not None:
            answering.lost()

    def data_received(self, data: bytes) -> None:
        if self._broken or self.transport.is_closing():
            return
        if self._missing:
            data = self._more(data)
        cycle: Any = self.cycle
        fresh = self._between and (cycle is None or cycle.response_complete)
        known = self._known
        if cycle is None and known is None and fresh:
            known = self._known = known_elsewhere(data, self, self.known_heads)
        if fresh and known is not None:
            if _ask is not None:
                seen = _ask(data, known.before, known.after, known.anthropic)
                if seen is not None:
                    self._whole(known.request, seen)
                    return
            if self._again(known, data):
                return
        if data:
            self._read(data, fresh)

    def _read(self, data: bytes, fresh: bool) -> None:
        """Let the parser read. `fresh`: a new request begins here."""
        inside, self._began = self._in_head, 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "Invalid HTTP request received.")
        if self._in_head:
            if not self._head_due:
                self._head_due = self.loop.time() + self.head_read_s
            if inside:
                # A line that never ends is counted here: the parser tells of whole ones alone.
                self._head_raw_bytes += len(data)
                if self._head_raw_bytes > 2 * self.header_limit_bytes:
                    self._too_long()
        elif fresh and self._began == 1:
            self._known = what_is_known(data, self.cycle, self.known_heads)

    def _again(self, known: Known, data: bytes) -> bool:
        """Whether a request begins here whose head is known: then the parser is not asked."""
        at = len(known.before)
        end = data.find(b"\r", at, at + DIGITS_MAX)
        if not data.startswith(known.before) or not data.startswith(known.after, end):
            return False
        digits, start = data[at:end], end + len(known.after)
        size = int(digits) if digits.isdigit() else 0
        missing = size - (len(data) - start)
        if not size or missing < 0:
            return False  # what comes behind it is the parser's
        request = known.request
        if not missing:
            self._whole(request, (data[start:],))
            return True
        self.cycle, self._missing = cast("RequestResponseCycle", request), missing
        self._idle_due = self._head_due = 0.0
        request.again(size)
        request.begin()
        if start < len(data):
            request.take(data[start:])
        return True

    def _whole(self, request: Any, seen: Any) -> None:
        """A request is whole whose head is known. `seen`: as express.Seen, or its body alone."""
        body = seen[-1]
        self.cycle = request
        self._idle_due = self._head_due = 0.0
        request.again(len(body))
        if self.door.at_once(request, body, seen if len(seen) > 1 else None):
            request.more_body = False
            self.answering = request
            self._under_way.add(request)
            return
        request.begin()
        request.take(body)
        self.on_message_complete()

    def _more(self, data: bytes) -> bytes:
        """Take the body of a request whose head was known; return what comes behind it."""
        part, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(part)
        self.on_body(part)
        if not self._missing:
            self.on_message_complete()
        return rest

    def _go_on(self, rest: bytes) -> None:
        """Go on with HTTP/1.1 after a head that wished for something else (RFC 9110, 7.8)."""
        if self.parser.get_method() == b"CONNECT":
            self._stop_reading()
            return
        self.parser = httptools.HttpRequestParser(self)
        framing, self._framing = self._framing, b""
        if framing:
            # llhttp takes what follows for another protocol. It is the body: let a parser read on
            # from behind a head of the same framing.
            self._muted = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
            self._muted = False
        if rest:
            self.data_received(rest)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._clogged_at = self.loop.time()
        if self.answering is not None:
            self.answering.clog()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._clogged_at = 0.0
        if self.answering is not None:
            self.answering.unclog()

    def look(self, now: float) -> None:
        """Close what waited too long; called about once a second."""
        answering = self.answering
        if answering is not None and answering.running is not None:
            answering.running.look()
        if self._clogged_at and now - self._clogged_at > CLIENT_WRITE_S:
            self.transport.abort()
        elif answering is not None and answering.due and now > answering.due:
            answering.late()
        elif self._head_due and now > self._head_due:
            self._head_due = 0.0
            seconds = f"{self.head_read_s:.0f} s"
            self._refuse(408, f"The request's head did not arrive within {seconds}.")
        elif self._idle_due and now > self._idle_due:
            self.transport.close()

    # -- httptools -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._muted:
            return
        before: Any = self.cycle
        if before is not None and not before.keep_alive:
            self._stop_reading()  # the request before was said to be the last
        self._idle_due = 0.0  # not before: empty lines ask for nothing
        self._between = False
        self.url = b""
        self.headers = []
        self._head_bytes = self._head_raw_bytes = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        if self._muted:
            return
        self.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self.headers.append((name, value))
            self._head_bytes += len(name) + len(value)
            if self._head_bytes > self.header_limit_bytes or len(self.headers) > HEADERS_MAX:
                self._count(0)
        elif name.lower() in heads.FRAMING and not self._muted:
            # Trailers mean nothing here, but one that frames is an attack.
            self._refuse(400, "A trailer cannot say how long a body is.")

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.header_limit_bytes:
            self._too_long()
        elif len(self.headers) > HEADERS_MAX:
            self._refuse(431, f"More than {HEADERS_MAX} headers.")

    def _too_long(self) -> None:
        limit = self.header_limit_bytes
        self._refuse(431, f"The request's head is larger than {limit} bytes.")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_due = 0.0
        self._began += 1
        if self._broken or self._muted:
            return
        if len(self.pipeline) >= PIPELINED_MAX:
            self._stop_reading()
            return
        headers, version = heads.request_headers(self.headers), self.parser.get_http_version()
        if odd := heads.oddity(headers, version):
            self._refuse(400, odd)
            return
        if self.parser.should_upgrade():
            self._framing = heads.framing(headers)
        path, _, query = self.url.partition(b"?")
        surface = _SURFACES.get(path)
        if surface is None or self.parser.get_method() != b"POST":
            self._to_asgi()
            return
        request = Request(self, surface, query.decode("latin-1"), headers)
        request.old = version == "1.0"
        request.expects = request.expects and not request.old  # RFC 9110, 10.1.1
        request.keep_alive = not request.old and self.parser.should_keep_alive()
        before: Any = self.cycle
        self.cycle = cast("RequestResponseCycle", request)
        if before is None or before.response_complete:
            request.begin()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _to_asgi(self) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        cast("dict[str, Any]", self.scope)["outlast.close"] = self._joined.close
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle: Any = self.cycle
        if self._broken:
            return
        self._idle_due = 0.0
        if isinstance(cycle, Request):
            cycle.take(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        cycle: Any = self.cycle
        if self._broken or self._framing:
            return
        self._between = True
        if not isinstance(cycle, Request):
            super().on_message_complete()
        elif cycle.complete():
            self.wait_idle()

    # -- the turn of each request --------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        waiting: Any = cycle
        if isinstance(waiting, Request):
            waiting.begin()
        else:
            waiting.transport = self._joined
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._joined.flush()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not self._broken and self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._broken:
            self.transport.close()
        else:
            self.wait_idle()

    def whole(self, request: Any, lines: bytes, ident: str, who: bytes, body: bytes) -> None:
        """Answer a request with 200, and go on. As Request.whole."""
        self.answering = None
        self._under_way.discard(request)
        if request.disconnected:
            return
        transport, state, usual = self.transport, self.server_state, self._usual
        usual_lines = usual[1] if usual[0] is state.default_headers else self.usual_lines()
        keep = request.keep_alive
        if self._joined.held:
            self._joined.flush()
        self.write(heads.written(usual_lines, lines, ident, who, body, keep_alive=keep))
        if not keep:
            transport.close()
        if self.pipeline or self._broken or self.flow.read_paused or transport.is_closing():
            self.on_response_complete()
        else:
            state.total_requests += 1
            self._idle_due = self.loop.time() + self.timeout_keep_alive

    def wait_idle(self) -> None:
        """Nothing is asked: how long may it stay so?"""
        self._idle_due = self.loop.time() + self.timeout_keep_alive

    def usual_lines(self) -> bytes:
        """Return the header lines of every answer (the date), made once while they are the same."""
        usual = self.server_state.default_headers
        if self._usual[0] is not usual:
            made = b"".join([b"%b: %b\r\n" % pair for pair in usual])
            self._usual = (usual, made)
        return self._usual[1]

    # -- refusals ------------------------------------------------------------------------------

    def _stop_reading(self) -> None:
        """Answer what was asked so far, and close."""
        self._broken = True
        self._head_due = 0.0
        self.flow.pause_reading()
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.close()
        else:
            cycle.keep_alive = False

    def _refuse(self, status: int, words: str) -> None:
        """What was asked cannot be read, or came too late: say so, after the answers before it."""
        if self._broken or self.transport.is_closing():
            return
        cycle: Any = self.cycle
        answering = cycle is not None and not cycle.response_complete
        if answering and isinstance(cycle, Request) and cycle.give_up():
            answering = bool(self.pipeline)
        if answering:
            self._stop_reading()
            return
        self._broken = True
        again = "retry-after: 1\r\n" if status == 503 else ""
        body = words.encode()
        head = (
            f"content-type: text/plain; charset=utf-8\r\n{again}"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._joined.flush()
        self.transport.write(heads.status_line(status) + head.encode() + body)
        self.transport.close()


def _nowhere(_: bytes) -> None:
    """Where a connection writes that is not made yet."""


def relay_class(
    door: Door,
    header_limit_bytes: int,
    max_connections: int,
    head_read_s: float = HEAD_READ_S,
) -> type[Connection]:
    """Return the protocol with these limits, for uvicorn's configuration."""
    limits = {
        "door": door,
        "header_limit_bytes": header_limit_bytes,
        "max_connections": max_connections,
        "head_read_s": head_read_s,
        "watch": Watch(),
        "known_heads": {},
    }
    return type("RelayConnection", (Connection,), limits)
