"""The same story told to two gateways without sockets: one knows the express lane, one does not."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
from uvicorn.config import Config
from uvicorn.server import ServerState

from outlast.accounts.keys import Key
from outlast.clock import ManualClock
from outlast.config import LocalSettings, RetrySettings, ServerSettings, Settings
from outlast.gateway.dispatch import Dispatch
from outlast.gateway.events import Observe
from outlast.gateway.flow import FLUSH_S
from outlast.gateway.http import Gateway
from outlast.gateway.metrics import Metrics
from outlast.gateway.relay.connection import Connection
from outlast.gateway.relay.door import Entrance
from outlast.gateway.relay.inbound import relay_class
from outlast.gateway.relay.lane import Plain
from outlast.gateway.relay.outbound import Relay
from outlast.gateway.relay.request import Request
from outlast.gateway.relay.run import Run
from outlast.gateway.relay.streaming import Streamed
from outlast.gateway.state import GatewayState
from outlast.nouns import Kind, Receipt
from tests.gateway.relay.wire import HEAD_LIMIT_BYTES, Socket, no_app
from tests.service import route, upstream

START = 1_700_000_000.0
_ID = re.compile(rb"req_[0-9a-f]{24}")


class Keys:
    """A roster of one key, which can be exchanged for another."""

    def __init__(self, key: Key) -> None:
        self.key: Key | None = key
        self.generation = 0

    def authenticate(self, secret: str) -> Key | None:
        return self.key if secret == "s" else None

    async def authenticate_fresh(self, secret: str) -> Key | None:
        return self.authenticate(secret)


def settings_of(folder: Path, retry: RetrySettings | None = None, **more: Any) -> Settings:
    """Two upstreams of each kind; a route whose models have names of their own at the first."""
    kinds = {"chat": Kind.OPENAI_CHAT, "messages": Kind.ANTHROPIC}
    upstreams = {
        f"{kind}-{name}": upstream(f"{kind}-{name}", kinds[kind], "https://x.example/v1", **more)
        for kind in kinds
        for name in "ab"
    }
    routes = (
        route("gpt-5", "chat-a", "chat-b/other"),
        route("named", "chat-a/gpt-5-2026", "chat-b"),
        route("crossed", "messages-a/claude-opus-4-8", "chat-b/gpt-5"),
        route("claude-opus-4-8", "messages-a", "messages-b/claude-sonnet-4-5"),
    )
    return Settings(
        server=ServerSettings(data_dir=str(folder)),
        local=LocalSettings(enabled=False),
        upstreams=upstreams,
        routes=routes,
        retry=retry or RetrySettings(),
    )


class _Client(Socket):
    """The client's end, which may be full at once."""

    def __init__(self, side: Side) -> None:
        super().__init__()
        self._side = side

    def write(self, data: Any) -> None:
        super().write(data)
        if self._side.clogs_at_once:
            self._side.clogs_at_once = False
            self._side.clog()


class Side:
    """One gateway, one client's connection to it, and a connection to each upstream."""

    def __init__(self, settings: Settings, key: Key, *, express: bool) -> None:
        self.clock = ManualClock(START)
        self.settled: list[Receipt] = []
        self.observed: list[Observe] = []
        self.state = GatewayState(settings, lambda: 0.5)
        self.relay = Relay(settings)
        self.metrics = Metrics()
        self.keys = Keys(key)
        dispatch = Dispatch(self.state, self.relay, cast("Any", None), self.clock)
        self.gateway = Gateway(
            self.state,
            self.keys,
            dispatch,
            cast("Any", None),
            self.metrics,
            self.clock,
            record=self.settled.append,
            publish=self.observed.append,
        )
        self.entrance = Entrance(self.gateway, self.keys, dispatch, self.clock)
        if not express:
            self.entrance._lane = None
        config = Config(no_app, lifespan="off", ws="none", log_config=None, access_log=False)
        config.load()
        made = relay_class(self.entrance, HEAD_LIMIT_BYTES, 10)
        self.server = ServerState()
        self.server.default_headers = [(b"date", b"today")]
        self._made = partial(made, config, self.server, {})
        self.connection = self._made()
        self.socket = _Client(self)
        self.connection.connection_made(self.socket)
        self.upstreams: dict[str, tuple[Connection, Socket]] = {}
        self.took_express = 0
        self.clogs_at_once = False
        """Whether the client takes nothing more after the next write."""

    def exchange_key(self, key: Key | None) -> None:
        self.keys.key = key
        self.keys.generation += 1

    def reconfigure(self, settings: Settings) -> None:
        self.state.reconfigure(settings)
        self.relay.reconfigure(settings)

    def come_again(self) -> None:
        """The client makes another connection."""
        self.leave()
        self.socket, self.connection = _Client(self), self._made()
        self.connection.connection_made(self.socket)

    def connect(self) -> None:
        """Have an idle connection to each upstream."""
        for name, one in self.state.settings.upstreams.items():
            known = self.upstreams.get(name)
            if known is not None and not known[1].closing:
                continue
            origin = self.relay._origin(one)
            connection, socket = Connection(self.relay, origin), Socket()
            connection.connection_made(socket)
            self.relay._keep(origin, connection)
            self.upstreams[name] = (connection, socket)

    def ask(self, *pieces: bytes) -> None:
        for piece in pieces:
            if piece and not self.socket.closing:
                self.connection.data_received(piece)
        self.took_express += isinstance(self.running, Plain)

    def turn(self) -> None:
        """The event loop's turn ends."""
        if self.entrance._lane is not None:
            self.entrance._lane.settling.settle()

    @property
    def running(self) -> object:
        cycle: Any = self.connection.cycle
        return cycle.running if isinstance(cycle, Request) else None

    def answer(self, name: str, *pieces: bytes, closes: bool = False) -> None:
        connection, socket = self.upstreams[name]
        for piece in pieces:
            if piece and not socket.closing:
                connection.data_received(piece)
        self.turn()  # a connection's end is told in another turn than its bytes
        if (closes or socket.closing) and connection.usable:
            socket.closing = True
            connection.connection_lost(None)

    def wait(self, seconds: float = 400.0) -> None:
        """Time passes; whoever has timers looks at them."""
        self.clock.advance(seconds)
        self.connection.look(self.connection.loop.time())
        if isinstance(self.running, Streamed):
            self.running.alarm()
        if isinstance(self.running, Run):
            self.running.alarm()

    def pause(self) -> None:
        """So much time passes that half a word is looked at."""
        self.clock.advance(FLUSH_S)
        if isinstance(self.running, Run | Streamed):
            self.running.flush()

    def leave(self) -> None:
        if self.connection.parser is not None:
            self.socket.closing = True
            self.connection.connection_lost(None)

    def interrupt(self) -> None:
        cycle: Any = self.connection.cycle
        if isinstance(cycle, Request):
            cycle._interrupted()

    def stop(self) -> None:
        self.connection.shutdown()

    def clog(self) -> None:
        if not self.socket.closing:
            self.connection.pause_writing()

    def unclog(self) -> None:
        if not self.socket.closing:
            self.connection.resume_writing()

    def told(self) -> dict[str, Any]:
        """All that anybody can see of what happened until now, without what is random."""
        return {
            "client": _plain(bytes(self.socket.sent)),
            "closed": self.socket.closing,
            "upstreams": {n: _plain(bytes(s.sent)) for n, (_, s) in self.upstreams.items()},
            "lost": {n: s.closing for n, (_, s) in self.upstreams.items()},
            "settled": [_unnamed(receipt) for receipt in self.settled],
            "observed": self.observed,
            "metrics": self.metrics.render(self.state, 0, self.clock.monotonic()),
            "under way": self.metrics.under_way,
            "loads": {name: load.count for name, load in self.state._loads.items()},
            # What is learnt of silences is learnt later where text flows: at the end of all.
            "gaps": {
                name: one.__dict__ for name, one in self.state._gaps.items() if self.running is None
            },
            "budget": self.state.budget.__dict__,
            "breakers": {name: one.__dict__ for name, one in self.state.breakers().items()},
            "requests": self.server.total_requests,
            "tasks": len(self.connection.tasks),
        }


def _plain(data: bytes) -> bytes:
    return _ID.sub(b"(id)", data)


def _unnamed(receipt: Receipt) -> Receipt:
    assert _ID.fullmatch(receipt.id.encode())
    return msgspec.structs.replace(receipt, id="(id)")
