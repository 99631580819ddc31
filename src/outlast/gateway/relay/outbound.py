"""Upstreams over HTTP/1.1: connections kept alive, one call at a time on each. Thin.

A call is `send(prepared, listener)`: no task and no waiting where a connection is idle. Its
listener hears the head once, then the body as it comes, then its end or a fault. What can go wrong
has outcome.py's names, as in transport.py. Redirects are not followed, bodies not decompressed,
proxies and cookies of the environment not used.

A call whose kept-alive connection turns out to be closed before a byte of the answer came is sent
again, until a new connection was made for it (decision 8).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import httptools
import msgspec

from outlast.config import Settings, UpstreamSettings
from outlast.gateway.asked import Prepared
from outlast.gateway.relay import heads
from outlast.gateway.transport import HEAD_LIMIT_BYTES, Answer, NetworkFault, credential_headers
from outlast.network import fault_of, tls_context
from outlast.nouns import Candidate
from outlast.outcome import Fault

HEADERS_MAX = 200
INTERIM_MAX = 8
"""Answers of 1xx before the one that counts."""
IDLE_S = 30.0
"""How long an unused connection is kept: less than servers usually do."""
LINGER_S = 1.0
"""How long an answer that nobody needs any more is read on, so that its connection can stay."""
DNS_S = 60.0
BUFFERED_PIECES = 8
_BODILESS = frozenset({204, 304})
_TOGETHER_BYTES = 64 << 10
"""Up to here head and body are one piece; beyond, the copy would cost more than the call."""


class Listener(Protocol):
    """Hears one call's answer. After `ended` or `failed` nothing more comes."""

    def headed(self, status: int, headers: dict[str, str]) -> None: ...
    def received(self, data: bytes) -> None: ...
    def answered(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Head, body and end, where one read brought them all."""

    def ended(self) -> None: ...
    def failed(self, fault: Fault) -> None: ...


class Origin(msgspec.Struct, frozen=True):
    """Where an upstream is, and the lines that every call to it begins with."""

    key: tuple[str, int, str, bool]
    host: str
    port: int
    tls: bool
    host_line: str
    credential: dict[str, str]
    connect_s: float


class Call:
    """One call under way, as its listener's owner holds it."""

    __slots__ = ("_connection", "_paused", "_task", "body", "head", "listener", "origin", "pool")

    def __init__(
        self, pool: Relay, origin: Origin, head: bytes, body: bytes, listener: Listener
    ) -> None:
        self.pool = pool
        self.origin = origin
        self.head = head
        self.body = body
        self.listener: Listener | None = listener
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = False

    def pause(self) -> None:
        """Read no more of the answer for now."""
        self._paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        self._paused = False
        if self._connection is not None:
            self._connection.resume()

    def abandon(self) -> None:
        """Nothing of it is wanted any more: an unfinished answer costs the connection."""
        self.listener = None
        if self._task is not None:
            self._task.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def release(self) -> None:
        """What is wanted has come. Its last bytes are waited for, so that the connection stays."""
        if self._connection is None or self._connection.whole:
            self.listener = None
        else:
            self.listener = None
            self.resume()
            self.pool.loop.call_later(LINGER_S, self.abandon)

    # -- for the pool and the connection -------------------------------------------------------

    def carried_by(self, connection: Connection) -> None:
        self._connection = connection
        if self._paused:
            connection.pause()

    def connecting(self, task: asyncio.Task[None]) -> None:
        self._task = task
        task.add_done_callback(self._connected)

    def _connected(self, _: asyncio.Task[None]) -> None:
        self._task = None

    def fail(self, fault: Fault) -> None:
        self._connection = None
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.failed(fault)

    def leave(self) -> None:
        """Its connection is free again."""
        self._connection = None

    def end(self) -> None:
        self._connection = None
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.ended()


class Connection(asyncio.Protocol):
    """One connection to an upstream; httptools calls the `on_…` methods while it parses."""

    def __init__(self, pool: Relay, origin: Origin) -> None:
        self._pool = pool
        self._origin = origin
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._call: Call | None = None
        self._reused = False
        self._read_paused = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self._pairs: heads.Pairs = []
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._interim = 0
        self._headed = False
        self._told = False
        self._heard = False
        self.whole = False
        self._surplus = False
        self._until_close = False
        self._kept = False
        self._status = 0

    # -- used by calls and the pool ------------------------------------------------------------

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, call: Call, *, reused: bool) -> None:
        assert self._transport is not None
        self._begin()
        self._call, self._reused = call, reused
        call.carried_by(self)
        if len(call.body) <= _TOGETHER_BYTES:
            self._transport.write(call.head + call.body)
        else:
            self._transport.writelines((call.head, call.body))

    def pause(self) -> None:
        if not self._read_paused and self.usable:
            assert self._transport is not None
            self._read_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._read_paused and self.usable:
            assert self._transport is not None
            self._read_paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        self._call = None
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        call = self._call
        if call is None:  # nobody asked
            self.abort()
            return
        self._heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break(Fault("malformed", "not HTTP"))
            return
        if not self._headed:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES:
                self._break(Fault("malformed", "not HTTP"))
            return
        self._tell(call)

    def _tell(self, call: Call) -> None:
        """Let the listener hear what this read brought; it may abandon the call at any word."""
        listener = call.listener
        if self.whole and not self._told and listener is not None and self._pieces:
            self._told = True
            pieces, self._pieces = self._pieces, []
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            headers = heads.response_headers(self._pairs)
            self._finish(call)
            call.listener = None
            call.leave()
            listener.answered(self._status, headers, body)
            return
        if not self._told:
            self._told = True
            if listener is not None:
                listener.headed(self._status, heads.response_headers(self._pairs))
        pieces = self._pieces
        if pieces:
            self._pieces = []
            listener = call.listener
            if listener is not None:
                listener.received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self.whole and self._call is call:
            self._finish(call)
            call.end()

    def _finish(self, call: Call) -> None:
        self._call = None
        transport = self._transport
        assert transport is not None
        unsent = transport.get_write_buffer_size() > 0  # an answer before the question's end
        if self._surplus or unsent or not self._kept:
            transport.abort()
        else:
            self.resume()
            self._pool.put_back(self._origin, self)

    def _break(self, fault: Fault) -> None:
        call = self._call
        self.abort()
        if call is not None:
            call.fail(fault)

    def connection_lost(self, exc: Exception | None) -> None:
        call, self._call = self._call, None
        self._transport = None
        if call is None:
            self._pool.forget(self._origin, self)
        elif self._until_close and exc is None:
            call.end()
        elif self._reused and not self._heard and call.listener is not None:
            self._pool.dispatch(call)
        else:
            call.fail(fault_of(exc) if exc is not None else Fault("reset"))

    # -- httptools -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._surplus = self.whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._headed:
            return  # trailers mean nothing here
        self._head_bytes += len(name) + len(value)
        self._pairs.append((name, value))
        if self._head_bytes > HEAD_LIMIT_BYTES or len(self._pairs) > HEADERS_MAX:
            raise ValueError("a head beyond the limit")

    def on_headers_complete(self) -> None:
        status = self._status = self._parser.get_status_code()
        if status >= 200:
            self._headed = not self.whole
            coded = {name.lower() for name, _ in self._pairs}
            counted = coded & {b"content-length", b"transfer-encoding"}
            self._until_close = not counted and status not in _BODILESS
        elif status == 101 or self._interim >= INTERIM_MAX:
            raise ValueError("an answer that was not asked for")

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._headed:
            self.whole = True
            self._kept = self._parser.should_keep_alive()  # afterwards it forgets
        else:
            self._interim += 1
            self._pairs = []


class Relay:
    """The transport over our own connections. Owned by one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: dict[tuple[str, int, str, bool], dict[Connection, None]] = {}
        """By origin, the one used last at the end."""
        self._origins: dict[str, tuple[UpstreamSettings, Origin]] = {}
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}
        self._addresses: dict[tuple[str, int], tuple[float, list[Any]]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def send(self, prepared: Prepared, listener: Listener) -> Call:
        """Send a call. Its listener hears of everything, failures to connect included."""
        upstream = self._settings.upstreams[prepared.candidate.upstream]
        return self._send(
            upstream, "POST", prepared.path, prepared.headers, prepared.body, listener
        )

    async def open(self, prepared: Prepared) -> Answer:
        """As `Transport.open`: return when the head is here. Raises NetworkFault."""
        listening = _Listening()
        return await listening.answer(self.send(prepared, listening))

    async def get(self, name: str, path: str, headers: dict[str, str]) -> Answer:
        """Ask an upstream for `path`, as the calls do, with its key. Raises NetworkFault."""
        listening = _Listening()
        upstream = self._settings.upstreams[name]
        return await listening.answer(self._send(upstream, "GET", path, headers, b"", listening))

    async def warm(self, candidate: Candidate) -> None:
        """Resolve, connect and shake hands now, without a request."""
        upstream = self._settings.upstreams.get(candidate.upstream)
        if upstream is None:
            return
        origin = self._origin(upstream)
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            self.put_back(origin, self._take_idle(origin) or await self._connect(origin))

    def reconfigure(self, settings: Settings) -> None:
        """Take new settings; connections under way end as they are."""
        self._settings = settings
        self._origins.clear()
        self._contexts.clear()
        self._drop_idle()

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._drop_idle()

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.abort()

    # -- calls ---------------------------------------------------------------------------------

    def _send(
        self,
        upstream: UpstreamSettings,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        listener: Listener,
    ) -> Call:
        origin = self._origin(upstream)
        length = f"content-length: {len(body)}\r\n" if body or method == "POST" else ""
        first = f"{method} {path} HTTP/1.1\r\n{origin.host_line}"
        call = Call(self, origin, b"", body, listener)
        try:
            if not path.isprintable() or " " in path:
                raise ValueError("a path that is none")  # noqa: TRY301 - one way out
            head = f"{first}{heads.lines(headers | origin.credential)}{length}\r\n"
            call.head = head.encode()
        except ValueError:
            self.loop.call_soon(call.fail, Fault("malformed", "not HTTP"))
            return call
        self.dispatch(call)
        return call

    def dispatch(self, call: Call) -> None:
        """Send it on an idle connection, or on a new one once that is made."""
        connection = self._take_idle(call.origin)
        if connection is not None:
            connection.send(call, reused=True)
        else:
            call.connecting(self.loop.create_task(self._on_new(call)))

    async def _on_new(self, call: Call) -> None:
        try:
            connection = await self._connect(call.origin)
        except (OSError, ValueError, TimeoutError) as error:
            # Several addresses that failed in different ways are one error without a number.
            nameless = type(error) is OSError and error.errno is None
            call.fail(Fault("refused") if nameless else fault_of(error))
            return
        if call.listener is None:
            self.put_back(call.origin, connection)
        elif connection.usable:
            connection.send(call, reused=False)
        else:
            call.fail(Fault("reset"))

    # -- connections ---------------------------------------------------------------------------

    def _take_idle(self, origin: Origin) -> Connection | None:
        """Return the connection that was used last; those that waited too long are closed."""
        idle = self._idle.get(origin.key)
        after = self.loop.time() - IDLE_S
        while idle:
            connection, _ = idle.popitem()
            if connection.usable and connection.idle_since > after:
                return connection
            connection.abort()
        return None

    def put_back(self, origin: Origin, connection: Connection) -> None:
        if not connection.usable:
            return
        connection.idle_since = self.loop.time()
        self._idle.setdefault(origin.key, {})[connection] = None
        if self._sweeping is None:
            self._sweeping = self.loop.call_later(IDLE_S, self._sweep)

    def forget(self, origin: Origin, connection: Connection) -> None:
        idle = self._idle.get(origin.key)
        if idle is not None:
            idle.pop(connection, None)

    def _sweep(self) -> None:
        self._sweeping = None
        after = self.loop.time() - IDLE_S
        for key, idle in list(self._idle.items()):
            for connection in [one for one in idle if one.idle_since <= after]:
                del idle[connection]
                connection.abort()
            if not idle:
                del self._idle[key]
        if self._idle:
            self._sweeping = self.loop.call_later(IDLE_S / 4, self._sweep)

    async def _connect(self, origin: Origin) -> Connection:
        """Raises OSError, ValueError, TimeoutError."""
        async with asyncio.timeout(origin.connect_s):
            found = await self._resolve(origin.host, origin.port)
            sock = await _reach(found)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                _, connection = await self.loop.create_connection(
                    partial(Connection, self, origin),
                    sock=sock,
                    ssl=self._context(origin) if origin.tls else None,
                    server_hostname=origin.host if origin.tls else None,
                )
            except BaseException:
                sock.close()
                raise
            return connection

    async def _resolve(self, host: str, port: int) -> list[Any]:
        now = self.loop.time()
        known = self._addresses.get((host, port))
        if known is not None and known[0] > now:
            return known[1]
        found = await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self._addresses[host, port] = (now + DNS_S, found)
        return found

    def _context(self, origin: Origin) -> ssl.SSLContext:
        ca_file, verify = origin.key[2:]
        context = self._contexts.get((ca_file, verify))
        if context is None:
            upstream = next(
                one
                for one in self._settings.upstreams.values()
                if (one.ca_file, one.verify) == (ca_file, verify)
            )
            context = self._contexts[ca_file, verify] = tls_context(self._settings, upstream)
        return context

    def _origin(self, upstream: UpstreamSettings) -> Origin:
        known = self._origins.get(upstream.name)
        if known is not None and known[0] is upstream:
            return known[1]
        parts = urlsplit(upstream.base_url)
        tls = parts.scheme == "https"
        host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
        usual = 443 if tls else 80
        port = parts.port or usual
        shown = f"[{host}]" if ":" in host else host
        shown = shown if port == usual else f"{shown}:{port}"
        origin = Origin(
            key=(parts.netloc, port if tls else -port, upstream.ca_file, upstream.verify),
            host=host,
            port=port,
            tls=tls,
            host_line=f"host: {shown}\r\n",
            credential=credential_headers(upstream),
            connect_s=self._settings.timeouts_of(upstream.name).connect_s,
        )
        self._origins[upstream.name] = (upstream, origin)
        return origin


async def _reach(found: list[Any]) -> socket.socket:
    """Return a connected socket; where there are several addresses, the first that answers
    (RFC 8305). Raises OSError.
    """
    from aiohappyeyeballs import start_connection  # noqa: PLC0415 - only where one is connected to

    return await start_connection(
        [(family, kind, proto, "", address) for family, kind, proto, _, address in found],
        happy_eyeballs_delay=0.25,
        interleave=1,
    )


class _Listening:
    """A listener for those who would rather wait: the answer's head, then its pieces."""

    def __init__(self) -> None:
        self._head: asyncio.Future[tuple[int, dict[str, str]]] = (
            asyncio.get_running_loop().create_future()
        )
        self._pieces: asyncio.Queue[bytes | Fault | None] = asyncio.Queue()
        self._call: Call | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    async def answer(self, call: Call) -> Answer:
        self._call = call
        try:
            self.status, self.headers = await self._head
        except BaseException:
            call.abandon()
            raise
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, Fault):
                raise NetworkFault(piece)
            if self._pieces.qsize() < BUFFERED_PIECES and self._call is not None:
                self._call.resume()
            yield piece

    def close(self) -> None:
        if self._call is not None:
            self._call.abandon()

    def headed(self, status: int, headers: dict[str, str]) -> None:
        if not self._head.done():
            self._head.set_result((status, headers))

    def answered(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.headed(status, headers)
        self.received(body)
        self.ended()

    def received(self, data: bytes) -> None:
        self._pieces.put_nowait(data)
        if self._pieces.qsize() >= BUFFERED_PIECES and self._call is not None:
            self._call.pause()

    def ended(self) -> None:
        self._pieces.put_nowait(None)

    def failed(self, fault: Fault) -> None:
        if not self._head.done():
            self._head.set_exception(NetworkFault(fault))
        self._pieces.put_nowait(fault)
