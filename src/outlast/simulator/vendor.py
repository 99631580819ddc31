"""A simulated vendor: one port of 127.0.0.1, three wire formats, and failures on cue."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from outlast.clock import Clock, SystemClock
from outlast.simulator import certificate, http1, schedule
from outlast.simulator.ask import Rejected
from outlast.simulator.script import Fault, FaultKind, Script, check
from outlast.simulator.serving import Serving, read
from outlast.simulator.truth import Answer, answer
from outlast.wire.canon import JSON


@dataclass
class Recorded:
    """One request as the vendor saw it, and what became of it."""

    number: int
    """Counts requests for answers and embeddings; 0 for others (models, HEAD, count_tokens)."""
    at_s: float
    """Script time at which it had arrived."""
    method: str
    path: str
    query: str
    headers: dict[str, str]
    raw: bytes
    body: JSON | None
    fault: Fault | None = None
    """The fault that was played; None also where it had no place in this answer."""
    status: int = 0
    sent_bytes: int = 0
    """Bytes of the answer's body that were sent."""
    finished: bool = False
    client_closed_early: bool = False

    @property
    def model(self) -> str:
        return str((self.body or {}).get("model", ""))


@dataclass
class _Play:
    """A script being played: its clock and its counters start with it."""

    script: Script
    began_s: float
    numbered: int = 0
    connections: int = 0
    edge: asyncio.TimerHandle | None = field(default=None, repr=False)


class Vendor:
    """`async with Vendor(script) as vendor:` listens at `vendor.url` until the end of the block.

    `vendor.requests` are the requests of all scripts so far. A new `vendor.script` may be set at
    any time: its clock and its request numbers start at that moment; answers on their way stay
    as they were begun. Raises ScriptError for a script that cannot be played.
    """

    def __init__(self, script: Script | None = None, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._play = _Play(check(script or Script()), self._clock.monotonic())
        self._listener: socket.socket | None = None
        self._listening = False
        self._connections: set[http1.Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tls: ssl.SSLContext | None = None
        self._served = 0
        self.requests: list[Recorded] = []
        self.ca_file: Path | None = None
        """With `tls`: the certificate that a client must trust."""
        self.port = 0

    @property
    def url(self) -> str:
        """Base URL without a path: `http://127.0.0.1:4711`."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def script(self) -> Script:
        return self._play.script

    @script.setter
    def script(self, script: Script) -> None:
        if self._listener is not None and script.tls != self._play.script.tls:
            raise ValueError("a vendor cannot begin or end TLS while it listens")
        if self._play.edge is not None:
            self._play.edge.cancel()
        self._play = _Play(check(script), self._clock.monotonic())
        if self._listener is not None:
            self._turn()

    @property
    def at_s(self) -> float:
        """Script time: seconds since the script was set, times its `speed`."""
        return (self._clock.monotonic() - self._play.began_s) * self._play.script.speed

    def answer(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Return the truth for a request under the present script. Raises Rejected."""
        return answer(read(path, dict(body)), self.script)

    async def __aenter__(self) -> Self:
        if self.script.tls:
            self._folder = tempfile.TemporaryDirectory(prefix="outlast-simulator-")
            self._tls, self.ca_file = await certificate.make(Path(self._folder.name))
        self._bind(self.script.port)
        self._play.began_s = self._clock.monotonic()
        self._turn()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._play.edge is not None:
            self._play.edge.cancel()
        self._deaf()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            connection.reset_soon()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Each connection that was reset says goodbye in the loop's next rounds.
        while self._connections:  # noqa: ASYNC110
            await asyncio.sleep(0)
        if self._folder is not None:
            self._folder.cleanup()

    # Listening, or not.

    def _bind(self, port: int) -> None:
        """Hold the port. A bound socket that does not listen refuses, and nobody else gets it."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(("127.0.0.1", port))
        self.port = listener.getsockname()[1]
        self._listener = listener

    def _turn(self) -> None:
        """Open or close the port as the script says now, and look again when that may change."""
        if schedule.refuses(self.script, self.at_s):
            self._shut()
        else:
            self._listen()
        change = schedule.next_change_s(self.script, self.at_s)
        if change is not None:
            delay = (change - self.at_s) / self.script.speed
            loop = asyncio.get_running_loop()
            # A hair later than the edge: the timer may not fire before it.
            self._play.edge = loop.call_later(delay + 0.001, self._turn)

    def _listen(self) -> None:
        if not self._listening and self._listener is not None:
            self._listener.listen(512)
            asyncio.get_running_loop().add_reader(self._listener, self._acceptable)
            self._listening = True

    def _deaf(self) -> None:
        if self._listening and self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listening = False

    def _shut(self) -> None:
        if not self._listening or self._listener is None:
            return
        self._deaf()
        self._listener.close()
        self._bind(self.port)
        for connection in list(self._connections):
            # Kept-alive connections must not get round the closed door; answers end first.
            if not connection.busy:
                connection.reset_soon()
            connection.ended_by_us = True

    def _acceptable(self) -> None:
        while self._listening and self._listener is not None:
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            sock.setblocking(False)
            self._play.connections += 1
            fault = schedule.on_accept(
                self.script,
                connection=self._play.connections,
                number=self._play.numbered + 1,
                at_s=self.at_s,
            )
            if fault is None:
                self._spawn(self._welcome(sock))
            elif fault.kind is FaultKind.TLS:
                self._spawn(_spoil_handshake(sock))
            else:
                http1.drop(sock)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _welcome(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._connection, sock, ssl=self._tls
            )
        except OSError:
            # A client that leaves, or does not trust us, inside the handshake.
            sock.close()

    def _connection(self) -> http1.Connection:
        return http1.Connection(self._serve, self._connections)

    # Serving.

    async def _serve(self, connection: http1.Connection, request: http1.Request) -> None:
        path, _, query = request.target.partition("?")
        self._served += 1
        serving = Serving(self.script, path, request, self._served, self._clock.wall())
        if serving.is_counted:
            self._play.numbered += 1
        recorded = Recorded(
            number=self._play.numbered if serving.is_counted else 0,
            at_s=self.at_s,
            method=request.method,
            path=path,
            query=query,
            headers=request.headers,
            raw=request.body,
            body=serving.body,
        )
        self.requests.append(recorded)
        fault = schedule.choose(
            self.script,
            number=recorded.number,
            at_s=recorded.at_s,
            path=path,
            model=recorded.model,
            stream=(serving.body or {}).get("stream") is True,
        )
        sending = serving.sending(fault, recorded.number)
        recorded.status, recorded.fault = sending.status, sending.fault
        try:
            await sending.send(connection)
            recorded.finished = True
        except asyncio.CancelledError:
            recorded.client_closed_early = not connection.ended_by_us
            raise
        finally:
            recorded.sent_bytes = sending.sent_bytes


async def _spoil_handshake(sock: socket.socket) -> None:
    """Hear the client's hello and answer with a fatal alert."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_recv(sock, 65536)
        await loop.sock_sendall(sock, certificate.HANDSHAKE_FAILURE)
    except OSError:
        pass  # The client gave up first, which is what a failed handshake looks like too.
    finally:
        sock.close()


__all__ = ["Recorded", "Rejected", "Vendor"]
