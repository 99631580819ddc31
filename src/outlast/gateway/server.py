"""Our limits on uvicorn's HTTP/1.1 connection, and the one thing ASGI cannot say: hang up."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from outlast.gateway.joining import Joined
from outlast.gateway.relay.heads import FRAMING

HEADERS_MAX = 200
HEAD_READ_S = 20.0


def _framed(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() in FRAMING and value.strip() != b"0" for name, value in headers)


def protocol_class(
    header_limit_bytes: int, max_connections: int, head_read_s: float = HEAD_READ_S
) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol with these limits."""

    class Connection(HttpToolsProtocol):
        """One client connection: a bounded head that arrives in time, and a way to hang up."""

        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self._head_bytes = 0
            self._head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._joined = Joined(transport, self.loop)
            if len(self.connections) > max_connections:
                self._refuse(503, "Too many connections at once. Try again shortly.")
                return
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_arrived()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._head_bytes = 0
            # Ending a body cleanly and hanging up are different statements to a client that
            # waits for the rest of an answer; ASGI has only the first.
            cast("dict[str, Any]", self.scope)["outlast.close"] = self._joined.close

        def data_received(self, data: bytes) -> None:
            cycle: RequestResponseCycle | None = self.cycle
            if self._head_timer is None and (cycle is None or cycle.response_complete):
                self._await_head()
            super().data_received(data)

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value))
            super().on_header(name, value)
            if len(self.headers) > HEADERS_MAX:
                self._refuse(431, f"More than {HEADERS_MAX} headers.")

        def on_headers_complete(self) -> None:
            self._head_arrived()
            if self.parser.should_upgrade() and _framed(self.headers):
                # llhttp takes what follows for another protocol: it would be the next request.
                self._refuse(400, "A request that asks for another protocol cannot have a body.")
            if not self.transport.is_closing():
                super().on_headers_complete()

        def on_message_complete(self) -> None:
            if not self.transport.is_closing():
                super().on_message_complete()

        def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
            cycle.transport = cast("asyncio.Transport", self._joined)
            super()._start_asgi_task(cycle, app)

        def on_response_complete(self) -> None:
            self._joined.flush()
            super().on_response_complete()

        def _count(self, size: int) -> None:
            self._head_bytes += size
            if self._head_bytes > header_limit_bytes:
                self._refuse(431, f"The request's head is larger than {header_limit_bytes} bytes.")

        def _await_head(self) -> None:
            self._head_timer = self.loop.call_later(head_read_s, self._late)

        def _head_arrived(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _late(self) -> None:
            self._refuse(408, f"The request's head did not arrive within {head_read_s:.0f} s.")

        def _refuse(self, status: int, words: str) -> None:
            if self.transport.is_closing():
                return
            body = words.encode()
            again = "retry-after: 1\r\n" if status == 503 else ""
            head = (
                f"HTTP/1.1 {status} Refused\r\ncontent-type: text/plain; charset=utf-8\r\n"
                f"{again}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self._joined.flush()
            self.transport.write(head.encode() + body)
            self.transport.close()

    return Connection
