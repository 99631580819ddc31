"""The report endpoint on a port of its own, with the real stream behind it, for the flood.

    python -m bench.observatory.flood_server FOLDER

prints the port when it listens and everything that a dead process left is in the database. It is
built like the service: the same protocol class, Starlette's router, journal, history, database,
and the watch that hears of every report.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from ipaddress import ip_network
from pathlib import Path

import msgspec
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outlast.clock import SystemClock
from outlast.gateway.server import protocol_class
from outlast.observatory.board import Board
from outlast.observatory.history import History
from outlast.observatory.report_files import DAY_S, DailySecrets, recall
from outlast.observatory.report_http import Ahead, Options, ReportEndpoint, keeper
from outlast.observatory.reporting import Reporting
from outlast.observatory.watch import LOOK_EVERY_S, Watch
from outlast.store.database import Database
from outlast.store.journal import Journal

PROVIDERS = {"anthropic": frozenset({"claude-opus-4-8"}), "openai": frozenset({"gpt-5"})}


def application(
    reporting: Reporting, history: History, folder: Path, trusted: str
) -> tuple[Starlette, ReportEndpoint]:
    now = SystemClock().wall()
    DailySecrets(folder / "reports").pair(now - DAY_S)  # as if it had run yesterday
    endpoint = ReportEndpoint(
        reporting,
        keeper(history),
        DailySecrets(folder / "reports"),
        Board(),
        SystemClock(),
        Options(known=lambda: PROVIDERS, trusted=(ip_network(trusted),)),
    )

    async def state(_: Request) -> Response:
        """What the benchmark wants to know: voices in memory, and records on their way."""
        told = {"voices": len(reporting), "scale": reporting.scale, "drain": history.state}
        return Response(msgspec.json.encode(told), media_type="application/json")

    routes, ahead = [Route("/state", state)], [Middleware(Ahead, endpoint=endpoint)]
    return Starlette(routes=routes, middleware=ahead), endpoint


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)


async def _look(watch: Watch) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        watch.tick(SystemClock().wall())


async def serve(folder: Path) -> None:
    journal = Journal(folder / "journal")
    database = Database(f"sqlite:///{folder / 'outlast.db'}")
    history = History(journal, database)
    watch = Watch()
    watch.expect(["anthropic/web"], ["anthropic"])
    history.listen(lambda one: watch.observe(one, one.at))
    reporting = Reporting()
    await recall(history, reporting, SystemClock().wall())
    app, _ = application(reporting, history, folder, "127.0.0.0/8")
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=protocol_class(64 << 10, 2000),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=2048,
    )
    working = [asyncio.create_task(history.run()), asyncio.create_task(_look(watch))]
    try:
        await Server(config).serve()
    finally:
        for task in working:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await history.close()
        await database.close()
        journal.close()


if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
