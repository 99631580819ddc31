"""Upstreams over HTTP/1.1: connections kept alive, one call at a time on each. Thin.

A call is `send(prepared, listener)`: no task and no waiting where a connection is idle. Its
listener hears the head once, then the body as it comes, then its end or a fault. What can go wrong
has outcome.py's names, as in transport.py. Redirects are not followed, bodies not decompressed,
proxies and cookies of the environment not used.

A call whose kept-alive connection turns out to be closed before a byte of the answer came is sent
again, until a new connection was made for it (decision 8); after two seconds it was not closed, but
alive with the call, and its end is a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

import structlog

from outlast.config import Settings, UpstreamSettings
from outlast.gateway.asked import Prepared
from outlast.gateway.relay import heads
from outlast.gateway.relay.call import Call, Listener, Origin
from outlast.gateway.relay.connection import Connection
from outlast.gateway.relay.direct import Poll, poll_on
from outlast.gateway.transport import Answer, NetworkFault, credential_headers
from outlast.network import fault_of, tls_context
from outlast.nouns import Candidate
from outlast.outcome import Fault

_log = structlog.get_logger(__name__)

IDLE_S = 30.0
"""How long an unused connection is kept: less than servers usually do."""
DNS_S = 60.0
BUFFERED_PIECES = 8


class Relay:
    """The transport over our own connections. Owned by one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: dict[tuple[str, int, str, bool], dict[Connection, None]] = {}
        """By origin, the one used last at the end."""
        self._origins: dict[str, tuple[UpstreamSettings, Origin]] = {}
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}
        self._trusting: dict[tuple[str, bool], UpstreamSettings] = {}
        """One upstream for each way to trust; it is there although new settings lack it."""
        self._addresses: dict[tuple[str, int], tuple[float, list[Any]]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @cached_property
    def _poll(self) -> Poll | None:
        return poll_on(self.loop)

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
            self._keep(origin, self._take_idle(origin) or await self._connect(origin))

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
        poll = vars(self).get("_poll")
        if poll is not None:
            self.loop.remove_reader(poll.fileno())
            poll.close()

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
        length = f"content-length: {len(body)}\r\n" if body or method == "POST" else ""
        call = Call(self, self._origin(upstream), b"", body, listener)
        try:
            _, head = self.head_of(upstream, method, path, headers)
            call.head = f"{head}{length}\r\n".encode()
        except ValueError:
            self.loop.call_soon(call.fail, Fault("malformed", "not HTTP"))
            return call
        self.dispatch(call)
        return call

    def head_of(
        self, upstream: UpstreamSettings, method: str, path: str, headers: dict[str, str]
    ) -> tuple[Origin, str]:
        """Return where a call goes, and its head but for the body's length. Raises ValueError."""
        origin = self._origin(upstream)
        host = "" if "host" in headers else origin.host_line  # the operator's own stands
        if not path.isprintable() or " " in path:
            raise ValueError("a path that is none")
        lines = heads.lines(headers | origin.credential)
        return origin, f"{method} {path} HTTP/1.1\r\n{host}{lines}"

    def dispatch(self, call: Call) -> None:
        """Send it on an idle connection, or on a new one once that is made."""
        idle = self._idle.get(call.origin.key)
        if idle:
            now = self.loop.time()
            while idle:
                connection, _ = idle.popitem()  # the one that was used last
                if connection.carries(call, now, IDLE_S):
                    return
        call.connecting(self.loop.create_task(self._on_new(call)))

    async def _on_new(self, call: Call) -> None:
        try:
            connection = await self._connect(call.origin)
        except (OSError, ValueError, TimeoutError) as error:
            # Several addresses that failed in different ways are one error without a number.
            nameless = type(error) is OSError and error.errno is None
            call.fail(Fault("refused") if nameless else fault_of(error))
            return
        except Exception as error:  # our own fault: the exchange must not wait for ever
            _log.exception("a connection failed inside Outlast")
            call.fail(Fault("internal", type(error).__name__))
            return
        if call.listener is None:
            self._keep(call.origin, connection)
        elif connection.usable:
            connection.send(call, self.loop.time(), reused=False)
        else:
            call.fail(Fault("reset"))

    # -- connections ---------------------------------------------------------------------------

    def _take_idle(self, origin: Origin) -> Connection | None:
        """Return the connection that was used last; those that waited too long are closed."""
        idle = self._idle.get(origin.key)
        if idle:
            after = self.loop.time() - IDLE_S
            while idle:
                connection, _ = idle.popitem()
                if connection.usable and connection.idle_since > after:
                    return connection
                connection.abort()
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection for later that nobody needs now."""
        if connection.usable:
            connection.idle_since = self.loop.time()
            self.put_back(origin, connection)

    def put_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection that is usable, and free since its `idle_since`."""
        idle = self._idle.get(origin.key)
        if idle is None:
            idle = self._idle[origin.key] = {}
        idle[connection] = None
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
            if self._poll is not None and not origin.tls:
                connection.read_by(self._poll)
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
        trust = origin.key[2:]
        context = self._contexts.get(trust)
        if context is None:
            context = self._contexts[trust] = tls_context(self._settings, self._trusting[trust])
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
        self._trusting[origin.key[2:]] = upstream
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

    def answered(self, status: int, pairs: heads.Pairs, body: bytes) -> None:
        self.headed(status, heads.response_headers(pairs))
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
