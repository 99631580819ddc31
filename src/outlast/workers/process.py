"""`python -m outlast.workers.process FD NAME`: a worker or the observer, started by the supervisor.

FD is the line to the supervisor, on which everything else is told. When the line ends the
supervisor is gone, and the process drains as if it had been told to.
"""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outlast import app, logs, pages, starting
from outlast.app import Server, Service, Standing, running, uvicorn_config
from outlast.gateway.ledger import Ledger
from outlast.gateway.server import protocol_class
from outlast.gateway.shared_counts import SharedCounts
from outlast.progress import ModelProgress
from outlast.workers import receipts
from outlast.workers.front import FrontOfMany
from outlast.workers.inside import Neighbour
from outlast.workers.line import Beat, Begin, Go, Line, Ready, Take, socket_of
from outlast.workers.observer import Observer, Standings, neighbours
from outlast.workers.passing import Passing
from outlast.workers.receipts import SharedReceipts
from outlast.workers.supervisor import reserved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

INSIDE_CONNECTIONS = 10_000
INSIDE_HEAD_BYTES = 256 << 10


class PartOfMany:
    """See app.Part."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        places = begin.workers + 1
        self.company = SharedCounts(begin.counts_fd, begin.place, places, others=1)
        self.holder = begin.holder
        self.workers = neighbours(begin.folder, begin.workers, but=begin.place)
        self.standings = Standings()

    def front(self, service: Service) -> FrontOfMany | None:
        begin = self._begin
        if begin.observes:
            return None
        return FrontOfMany(service, begin.place, Neighbour(begin.folder, begin.workers))

    def receipts(self, ledger: Ledger) -> SharedReceipts:
        return SharedReceipts(ledger, list(self.workers.values()))

    def standing(self, own: Standing) -> Standing:
        return lambda: self.standings.together(own(), time.monotonic())

    async def close(self) -> None:
        for neighbour in self.workers.values():
            await neighbour.close()


def main(arguments: Sequence[str]) -> int:
    pages.use()
    sys.setswitchinterval(0.001)  # as in app.serve
    end = socket.socket(fileno=int(arguments[1]))
    end.set_inheritable(False)
    with asyncio.Runner(loop_factory=app.loop_factory()) as runner:
        return runner.run(_main(end))


async def _main(end: socket.socket) -> int:
    line = await Line.over(end)
    begin = await line.hear()
    if not isinstance(begin, Begin):
        return starting.EXIT_PROBLEM
    os.set_inheritable(begin.counts_fd, False)
    server = begin.settings.server
    logs.configure(server.log_level, server.log_format, begin.name)
    part = PartOfMany(begin)
    try:
        await (_observe(begin, part, line) if begin.observes else _work(begin, part, line))
    except OSError as error:
        sys.stderr.write(starting.explain(error, begin.settings) + "\n")
        return starting.EXIT_PROBLEM
    finally:
        await part.close()
        line.close()
    return starting.EXIT_OK


async def _work(begin: Begin, part: PartOfMany, line: Line) -> None:
    """Answer clients."""
    async with running(begin.settings, part=part) as service:
        observer = Neighbour(begin.folder, begin.workers)
        passing = Passing(service.asgi, observer)
        try:
            async with _inside(_private(service), begin):
                config = uvicorn_config(service, app=passing)
                server = Server(config, lambda: line.say(Ready()))
                await _serve(server, service, line, [reserved(begin.settings)])
        finally:
            await observer.close()


async def _observe(begin: Begin, part: PartOfMany, line: Line) -> None:
    """Observe, and answer workers."""
    progress = ModelProgress()
    async with running(begin.settings, progress.show, part) as service:
        observer = Observer(service, part.standings, part.workers)
        config = inside_config(observer, begin)
        config.timeout_graceful_shutdown = math.ceil(begin.settings.server.drain_s)

        def ready() -> None:
            line.say(Ready(service.first_key or ""))

        server = _Observing(config, ready, observer)
        async with observer.running():
            orphaned = await _serve(server, service, line, None, progress)
    if orphaned:  # who would have taken it away was killed
        await asyncio.to_thread(shutil.rmtree, begin.folder, ignore_errors=True)


class _Observing(Server):
    """The observer's server: at its end, those who only listen are let go."""

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], None], observer: Observer
    ) -> None:
        super().__init__(config, on_started)
        self._observer = observer

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._observer.stopping.set()
        await super().shutdown(sockets)


async def _serve(
    server: uvicorn.Server,
    service: Service,
    line: Line,
    sockets: list[socket.socket] | None,
    progress: ModelProgress | None = None,
) -> bool:
    """Serve until told to stop, and hear what the supervisor says meanwhile. Returns whether that
    is gone."""
    app.stop_on_signals(server)
    hearing = asyncio.create_task(_hear(line, server, service, progress))
    try:
        await server.serve(sockets)
        return hearing.done()
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


async def _hear(
    line: Line, server: uvicorn.Server, service: Service, progress: ModelProgress | None
) -> None:
    while (said := await line.hear()) is not None:
        if isinstance(said, Take):
            service.take(said.settings)
        elif isinstance(said, Beat):
            line.say(said)
        elif isinstance(said, Go) and progress is not None:
            service.first_key = None
            progress.begin()
    server.handle_exit(signal.SIGTERM, None)


def _private(service: Service) -> Starlette:
    """What other processes ask a worker."""
    life = secrets.token_hex(8)

    async def metrics(_: Request) -> Response:
        page = service.gateway.metrics.render(
            service.state, service.waiting(), service.clock.monotonic()
        )
        return Response(f"{life}\n".encode() + page, media_type="text/plain")

    async def ready(_: Request) -> Response:
        able, detail = service.ready()
        return Response(
            msgspec.json.encode({"ready": able, **detail}), media_type="application/json"
        )

    async def receipt(request: Request) -> Response:
        key_id = request.headers.get(receipts.KEY)
        found = await receipts.look_up(service.ledger, request.path_params["receipt_id"], key_id)
        return Response(found[1], found[0], media_type="application/json")

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/ready", ready),
            Route(receipts.PATH + "{receipt_id}", receipt),
        ]
    )


def inside_config(application: ASGIApp, begin: Begin) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        uds=socket_of(begin.folder, begin.place),
        http=protocol_class(INSIDE_HEAD_BYTES, INSIDE_CONNECTIONS),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )


@asynccontextmanager
async def _inside(application: ASGIApp, begin: Begin) -> AsyncIterator[None]:
    """Answer the other processes meanwhile."""
    started = asyncio.Event()
    config = inside_config(application, begin)
    config.timeout_graceful_shutdown = 1
    server = Server(config, started.set)
    serving = asyncio.create_task(server.serve())
    beginning = asyncio.create_task(started.wait())
    await asyncio.wait({serving, beginning}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        beginning.cancel()
        server.should_exit = True
        await serving


if __name__ == "__main__":
    sys.exit(main(sys.argv))
