"""One inference request on a client's connection, and the way back for its answer.

It stands where uvicorn has its own cycle, and never becomes ASGI. What it needs of its connection
is `Wire`; inbound.py has the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from outlast.accounts.keys import Key
from outlast.gateway.asked import Reply
from outlast.gateway.client import DRAIN_LIMIT_BYTES, DRAIN_S
from outlast.gateway.express import Seen
from outlast.gateway.relay import heads
from outlast.gateway.surfaces import Surface


class Running(Protocol):
    """An exchange under way, as its client's connection drives it."""

    def client_gone(self) -> None: ...
    def interrupt(self) -> None: ...
    def clogged(self) -> None: ...
    def unclogged(self) -> None: ...
    def look(self) -> None:
        """About a second is over."""


class Door(Protocol):
    """The gateway, as a connection sees it. What it refuses it answers itself, with `reply`."""

    @property
    def body_read_s(self) -> float: ...
    def body_limit_bytes(self) -> int: ...
    def at_once(self, request: Request, body: bytes, seen: Seen | None = None) -> bool:
        """A request is here whose head came before: whether it is being answered already."""

    def welcome(self, request: Request) -> None:
        """A head is here: call `request.proceed` with the key, now or later, or reply."""

    def serve(self, request: Request, key: Key, body: bytes) -> None:
        """The body is here."""

    def too_large(self, request: Request) -> None: ...
    def too_late(self, request: Request) -> None: ...


class Wire(Protocol):
    """The connection, as its requests see it."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    flow: FlowControl
    tasks: set[Any]
    answering: Request | None

    @property
    def door(self) -> Door: ...
    def usual_lines(self) -> bytes: ...
    @property
    def write(self) -> Callable[[bytes], None]: ...
    def whole(self, request: Request, lines: bytes, ident: str, who: bytes, body: bytes) -> None:
        """Answer a request with 200, and go on."""

    def on_response_complete(self) -> None: ...


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
        "ways",
    )

    def __init__(
        self, connection: Wire, surface: Surface, query: str, headers: dict[str, str]
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
        self.ways: dict[str, Any] | None = None
        """What is known of such requests (lane.py), by model; None: nobody may know anything."""
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

    @property
    def admitted(self) -> bool:
        """Whether it is known whose it is."""
        return self._key is not None

    def again(self, size: int) -> None:
        """The same head came once more, before a body of `size` bytes."""
        self.keep_alive = self.more_body = self._chunked = True
        self.response_complete = self._too_large = self._begun = False
        self._key = None
        self._declared, self._size = size, 0
        self.clogged = self._connection.flow.write_paused

    def begin(self) -> None:
        """It is this request's turn."""
        connection = self._connection
        connection.answering = self
        connection.tasks.add(self)
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
        self._connection.tasks.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self.running is not None:
            self.running.client_gone()

    # -- the answer ----------------------------------------------------------------------------

    def head(self, status: int, headers: dict[str, str]) -> None:
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

    def stream(self, lines: bytes) -> None:
        """Begin to answer 200 with these header lines."""
        if self.old:
            self._chunked = self.keep_alive = False
        coding = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        usual = self._connection.usual_lines()
        self._out.append(b"HTTP/1.1 200 OK\r\n%b%b%b%b\r\n" % (usual, lines, coding, closing))

    def pass_on(self, data: bytes) -> None:
        """As `body` and `flush`, in the middle of an answer."""
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if not self.disconnected:
            self._connection.write(data)

    def chunk_writer(self) -> Callable[[bytes], None] | None:
        """Return what writes whole chunks in the middle of an answer, as long as the client is
        there; None: it gets none."""
        return self._connection.write if self._chunked else None

    def reply(self, reply: Reply) -> None:
        length = f"content-length: {len(reply.body)}\r\n"
        self._out += (self._head(reply.status, reply.headers, length), reply.body)
        self._finish()

    def whole(self, lines: bytes, ident: str, who: bytes, body: bytes) -> None:
        """Answer 200 with an upstream's header lines and body, and be done. `ident`: this request's
        id; `who`: header lines that say who answered."""
        self.running = None
        self.response_complete = True
        self._connection.whole(self, lines, ident, who, body)

    def streamed(self, lines: bytes, body: bytes) -> None:
        """Answer 200 with these header lines and this whole stream, and be done."""
        self.stream(lines)
        if self._chunked:
            self._out = [b"%b%x\r\n%b\r\n0\r\n\r\n" % (self._out[0], len(body), body)]
        else:
            self._out.append(body)
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
            self._begun = True
            if not self.disconnected:
                self._connection.write(out[0] if len(out) == 1 else b"".join(out))

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
        connection.tasks.discard(self)
        if connection.answering is self and not self.more_body:
            connection.answering = None


class _Nobody:
    """Where uvicorn sets an event that nobody waits for here."""

    def set(self) -> None:
        """Nothing to wake."""


_NOBODY = _Nobody()
