"""Client connections: inference requests are served here, every other path by the ASGI application.

Built on uvicorn's httptools protocol, which goes on serving those other paths, keeps order between
pipelined requests, and knows how to stop. A request to an inference path is a `Request`: it stands
where uvicorn has its own cycle, and never becomes ASGI.

Bounded: heads (bytes, count, time), bodies (bytes, time), requests waiting behind an unanswered
one, the time that a client may refuse to read. No body is kept before its key is known.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

import httptools
import structlog
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from outlast.accounts.keys import Key
from outlast.gateway.asked import Reply
from outlast.gateway.client import DRAIN_LIMIT_BYTES, DRAIN_S
from outlast.gateway.pump import CLIENT_WRITE_S
from outlast.gateway.relay import heads
from outlast.gateway.server import HEAD_READ_S, HEADERS_MAX
from outlast.gateway.surfaces import SURFACES, Surface

_log = structlog.get_logger(__name__)

PIPELINED_MAX = 8
"""Requests that may wait behind one whose answer is not finished; nobody pipelines POST."""
TICK_S = 1.0
_SURFACES = {path.encode(): surface for path, surface in SURFACES.items()}


class Running(Protocol):
    """An exchange under way, as its client's connection drives it."""

    def client_gone(self) -> None: ...
    def interrupt(self) -> None: ...
    def clogged(self) -> None: ...
    def unclogged(self) -> None: ...


class Door(Protocol):
    """The gateway, as a connection sees it. What it refuses it answers itself, with `reply`."""

    @property
    def body_read_s(self) -> float: ...
    def body_limit_bytes(self) -> int: ...
    def welcome(self, request: Request) -> None:
        """A head is here: call `request.proceed` with the key, now or later, or reply."""

    def serve(self, request: Request, key: Key, body: bytes) -> None:
        """The body is here."""

    def too_large(self, request: Request) -> None: ...
    def too_late(self, request: Request) -> None: ...


class Request:
    """One inference request and the way back. Takes the place of uvicorn's RequestResponseCycle."""

    __slots__ = (
        "_begun",
        "_chunked",
        "_connection",
        "_declared",
        "_key",
        "_out",
        "_pieces",
        "_size",
        "_task",
        "_too_large",
        "clogged",
        "disconnected",
        "due",
        "expects",
        "headers",
        "keep_alive",
        "message_event",
        "more_body",
        "old",
        "query",
        "response_complete",
        "running",
        "surface",
    )

    def __init__(
        self, connection: Connection, surface: Surface, query: str, headers: dict[str, str]
    ) -> None:
        self._connection = connection
        self.surface = surface
        self.query = query
        self.headers = headers
        self.expects = headers.get("expect", "").lower() == "100-continue"
        self.keep_alive = True
        self.old = False
        """HTTP/1.0: no chunked coding; the end of a stream is the end of the connection."""
        self.response_complete = False
        self.disconnected = False
        self.more_body = True
        self.clogged = False
        self.running: Running | None = None
        self.due = 0.0
        """When the body must be here (the loop's time); 0: nothing is waited for."""
        self.message_event = _NOBODY
        self._key: Key | None = None
        self._task: asyncio.Task[None] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        declared = headers.get("content-length", "")
        self._declared = int(declared) if declared.isdigit() else 0
        self._too_large = False
        self._begun = False
        self._chunked = True
        self._out: list[bytes] = []

    # -- the request ---------------------------------------------------------------------------

    def begin(self) -> None:
        """It is this request's turn."""
        connection = self._connection
        connection.answering = self
        connection.tasks.add(cast("Any", self))
        self.clogged = connection.flow.write_paused
        connection.door.welcome(self)

    def wait_for(self, task: asyncio.Task[None]) -> None:
        """Read nothing of the body before this task has told `proceed` or replied."""
        self._task = task
        self._connection.flow.pause_reading()

    def proceed(self, key: Key) -> None:
        """Whose it is, is known: now the body may be read."""
        self._key = key
        self._task = None
        connection = self._connection
        self._too_large = self._declared > connection.door.body_limit_bytes()
        if not self.more_body:
            self._whole()
            return
        read_s = DRAIN_S if self._too_large else connection.door.body_read_s
        self.due = connection.loop.time() + read_s
        if self.expects:
            if self._too_large:
                connection.door.too_large(self)
                return
            connection.transport.write(heads.CONTINUE)
            self.expects = False
        connection.flow.resume_reading()

    def take(self, data: bytes) -> None:
        self._size += len(data)
        if self.response_complete:
            if self._size > DRAIN_LIMIT_BYTES:
                self._connection.transport.close()
            return
        self._pieces.append(data)
        if self._key is None:
            self._connection.flow.pause_reading()
        elif self._too_large or self._size > self._connection.door.body_limit_bytes():
            # Read on and thrown away: a client that is cut off while it writes never reads why.
            self._too_large = True
            self._pieces.clear()
            if self._size > DRAIN_LIMIT_BYTES:
                self._connection.door.too_large(self)

    def complete(self) -> bool:
        """The body is at its end. Returns whether it was answered long ago."""
        self.more_body = False
        self.due = 0.0
        if self._key is not None and not self.response_complete:
            self._whole()
            return False
        return self.response_complete

    def _whole(self) -> None:
        pieces, self._pieces = self._pieces, []
        if self._too_large or self._size > self._connection.door.body_limit_bytes():
            self._connection.door.too_large(self)
            return
        assert self._key is not None
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._connection.door.serve(self, self._key, body)

    def late(self) -> None:
        """The body did not come in time."""
        self.due = 0.0
        if self.response_complete:
            self._connection.transport.close()
        elif self._too_large:
            self._connection.door.too_large(self)
        else:
            self._connection.door.too_late(self)

    def cancel(self, msg: str = "") -> None:
        """As a task is cancelled: the time for draining is over. Who cancels goes through `tasks`,
        which must not change meanwhile.
        """
        self._connection.loop.call_soon(self._interrupted)

    def _interrupted(self) -> None:
        if self.running is not None:
            self.running.interrupt()
        elif not self.response_complete:
            self._connection.transport.close()

    def give_up(self) -> bool:
        """The rest of it cannot be read. True: nothing was begun for it, and it is over."""
        if not self.more_body or self._begun or self is not self._connection.answering:
            return False
        if self._task is not None:
            self._task.cancel()
        self._done()
        return True

    def clog(self) -> None:
        self.clogged = True
        if self.running is not None:
            self.running.clogged()

    def unclog(self) -> None:
        self.clogged = False
        if self.running is not None:
            self.running.unclogged()

    def lost(self) -> None:
        """The connection is gone."""
        self.disconnected = True
        self._connection.tasks.discard(cast("Any", self))
        if self._task is not None:
            self._task.cancel()
        if self.running is not None:
            self.running.client_gone()

    # -- the answer ----------------------------------------------------------------------------

    def head(self, status: int, headers: dict[str, str]) -> None:
        self._begun = True
        if self.old:
            self._chunked = self.keep_alive = False
        coding = "transfer-encoding: chunked\r\n" if self._chunked else ""
        self._out.append(self._head(status, headers, coding))

    def _head(self, status: int, headers: dict[str, str], framing: str) -> bytes:
        if self.more_body and (self.expects or headers.get("connection") == "close"):
            # Whether the body still comes, nobody knows: nothing after it could be trusted.
            self.keep_alive = False
        closing = "" if self.keep_alive or "connection" in headers else "connection: close\r\n"
        if headers.get("connection") == "close":
            self.keep_alive = False
        rest = f"{heads.lines(headers)}{framing}{closing}\r\n".encode("latin-1", "replace")
        return b"%b%b%b" % (heads.status_line(status), self._connection.usual_lines(), rest)

    def body(self, data: bytes) -> None:
        if data:
            self._out.append(heads.chunk(data) if self._chunked else data)

    def reply(self, reply: Reply) -> None:
        self._begun = True
        length = f"content-length: {len(reply.body)}\r\n"
        self._out += (self._head(reply.status, reply.headers, length), reply.body)
        self._finish()

    def end(self) -> None:
        if self._chunked:
            self._out.append(heads.LAST_CHUNK)
        self._finish()

    def abort(self) -> None:
        """Hang up without the body's end: a client that waits for the rest must hear of it."""
        self.flush()
        self.keep_alive = False
        self._done()
        if not self.disconnected:
            close = self._connection.transport
            close.close() if self._chunked else close.abort()

    def crash(self) -> None:
        self._out.clear()
        if self._begun:
            self.abort()
        else:
            headers = {"content-type": "text/plain; charset=utf-8", "connection": "close"}
            self.reply(Reply(500, headers, b"Internal Server Error"))

    def flush(self) -> None:
        out = self._out
        if out:
            self._out = []
            if not self.disconnected:
                self._connection.transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _finish(self) -> None:
        self.flush()
        self._done()
        connection = self._connection
        if self.disconnected:
            return
        if self.more_body:  # what still comes of it is read and thrown away
            self._pieces.clear()
            self.due = self.due or connection.loop.time() + connection.door.body_read_s
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()

    def _done(self) -> None:
        self.running = None
        self.response_complete = True
        connection = self._connection
        connection.tasks.discard(cast("Any", self))
        if connection.answering is self and not self.more_body:
            connection.answering = None


class _Nobody:
    """Where uvicorn sets an event that nobody waits for here."""

    def set(self) -> None:
        """Nothing to wake."""


_NOBODY = _Nobody()


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
        now = loop.time()
        for connection in list(self.connections):
            connection.look(now)
        self._timer = (
            loop.call_later(tick_s, self._tick, loop, tick_s) if self.connections else None
        )


class Connection(HttpToolsProtocol):
    """One client connection. `relay_class` gives it its limits and the gateway."""

    door: Door
    header_limit_bytes: int
    max_connections: int
    head_read_s: float
    watch: Watch

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
        self.answering: Request | None = None
        self._in_head = False
        self._head_bytes = 0
        self._head_raw_bytes = 0
        self._head_due = 0.0
        self._idle_due = 0.0
        self._clogged_at = 0.0
        self._broken = False
        """What came cannot be read any further; answers under way are finished."""
        self._usual: tuple[object, bytes] = (None, b"")

    # -- asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(503, "Too many connections at once. Try again shortly.")
            return
        self._head_due = self.loop.time() + self.head_read_s
        self.watch.add(self, min(TICK_S, self.head_read_s / 4))

    def connection_lost(self, exc: Exception | None) -> None:
        self.watch.connections.discard(self)
        self.pipeline.clear()
        answering, self.answering = self.answering, None
        super().connection_lost(exc)
        if answering is not None:
            answering.lost()

    def data_received(self, data: bytes) -> None:
        if self._broken or self.transport.is_closing():
            return
        self._idle_due = 0.0
        inside = self._in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Not changed to: HTTP/1.1 goes on (RFC 9110, 7.8), but for CONNECT, which has no body.
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

    def _go_on(self, rest: bytes) -> None:
        if self.parser.get_method() == b"CONNECT":
            self._stop_reading()
            return
        self.parser = httptools.HttpRequestParser(self)
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
        self.url = b""
        self.headers = []
        self._head_bytes = self._head_raw_bytes = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers mean nothing here
            self.headers.append((name, value))
            self._head_bytes += len(name) + len(value)
            if self._head_bytes > self.header_limit_bytes or len(self.headers) > HEADERS_MAX:
                self._count(0)

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
        if self._broken:
            return
        if len(self.pipeline) >= PIPELINED_MAX:
            self._stop_reading()
            return
        path, _, query = self.url.partition(b"?")
        surface = _SURFACES.get(path)
        if surface is None or self.parser.get_method() != b"POST":
            self._to_asgi()
            return
        headers = heads.request_headers(self.headers)
        request = Request(self, surface, query.decode("latin-1"), headers)
        request.old = self.parser.get_http_version() == "1.0"
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
        cast("dict[str, Any]", self.scope)["outlast.close"] = self.transport.close
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle: Any = self.cycle
        if self._broken:
            return
        if isinstance(cycle, Request):
            cycle.take(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        cycle: Any = self.cycle
        if self._broken:
            return
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
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not self._broken:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._broken:
            self.transport.close()
        else:
            self.wait_idle()

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
        self.transport.write(heads.status_line(status) + head.encode() + body)
        self.transport.close()


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
    }
    return type("RelayConnection", (Connection,), limits)
