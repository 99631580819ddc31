"""One call to an upstream, as who made it holds it, and who hears its answer.

A listener hears the head once, then the body as it comes, then its end or a fault. connection.py
carries it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from outlast.gateway.relay import heads
from outlast.outcome import Fault

if TYPE_CHECKING:
    from outlast.gateway.relay.connection import Connection

LINGER_S = 1.0
"""How long an answer that nobody needs any more is read on, so that its connection can stay."""
WHOLE, STREAM = 1, 2
"""What an answer is like that one read may bring whole."""


class Listener(Protocol):
    """Hears one call's answer. After `ended` or `failed` nothing more comes."""

    def headed(self, status: int, headers: dict[str, str]) -> None: ...
    def received(self, data: bytes) -> None: ...
    def answered(self, status: int, pairs: heads.Pairs, body: bytes) -> None:
        """Head, body and end, where one read brought them all; the headers as they came."""

    def ended(self) -> None: ...
    def failed(self, fault: Fault) -> None: ...


Tap = Callable[[bytes], bool]
"""Whether it takes a read: it is whole chunks then. Else the listener hears what is in it."""


class Origin(msgspec.Struct, frozen=True):
    """Where an upstream is, and the lines that every call to it begins with."""

    key: tuple[str, int, str, bool]
    host: str
    port: int
    tls: bool
    host_line: str
    credential: dict[str, str]
    connect_s: float


class Pool(Protocol):
    """Where a call's connection comes from, and where it goes back to."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def dispatch(self, call: Call) -> None: ...
    def put_back(self, origin: Origin, connection: Connection) -> None: ...
    def forget(self, origin: Origin, connection: Connection) -> None: ...


class Call:
    """One call under way, as its listener's owner holds it."""

    __slots__ = (
        "_connection",
        "_paused",
        "_task",
        "body",
        "head",
        "listener",
        "origin",
        "pool",
        "quick",
    )

    def __init__(
        self, pool: Pool, origin: Origin, head: bytes, body: bytes, listener: Listener
    ) -> None:
        self.pool = pool
        self.origin = origin
        self.head = head
        self.body = body
        self.listener: Listener | None = listener
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self.quick = 0
        """WHOLE or STREAM: such an answer is told with `quickly`, if one read brings it."""

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

    def show(self, tap: Tap | None) -> None:
        """Let it take reads that begin with a chunk, before the listener hears of them."""
        if self._connection is not None:
            self._connection.reads.tap = tap

    def release(self) -> None:
        """What is wanted has come. Its last bytes are waited for, so that the connection stays."""
        if self._connection is None or self._connection.whole:
            self.listener = None
        else:
            self.listener = None
            self.resume()
            self.pool.loop.call_later(LINGER_S, self.abandon)

    # -- for the pool and the connection -------------------------------------------------------

    def quickly(self, connection: Connection, answer: tuple[bytes, str, bytes]) -> bool:
        """Whether it takes this for its whole answer, 200, and gives the connection back: header
        lines as the client sees them, the upstream's own request id, the body."""
        return False

    def begun(self, lines: bytes, theirs: str, head: bytes) -> bool:
        """Whether it takes this for the head of a stream, 200; its body is `received`. As
        `quickly`, and the head as it came."""
        return False

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
