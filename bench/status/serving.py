"""The whole service in a process of its own, with a bad day on its board, for status-bench.

    python -m bench.status.serving FOLDER

It is built by app.py, as `outlast serve` builds it, and shows the rehearsal of 2 March 2026 as it
stood at half past twelve. It prints its port when it listens; each line that it is sent on standard
input it answers with the number of SQL statements that this process has run so far.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import event
from sqlalchemy.engine import Engine

from outlast import logs
from outlast.app import Server, running, uvicorn_config
from outlast.config import Settings, load
from outlast.observatory.board import Board
from outlast.observatory.rehearsal import open_rehearsal
from outlast.observatory.replaying import play
from outlast.observatory.watch import Watch
from outlast.observatory.watcher import Role

CONFIGURATION = """
[server]
port = 0
[local]
enabled = false
[observatory]
feeds = false
probes = false
[upstreams.anthropic]
kind = "anthropic"
base_url = "http://127.0.0.1:9"
key_env = "BENCH_KEY"
"""
UNTIL_AT = 1_772_454_600.0
"""2 March 2026, 12:30 UTC."""


def bad_day() -> Board:
    rehearsal, watch, board = open_rehearsal(Path("2026-03-02")), Watch(), Board()
    rehearsal.prepare(watch)
    for at, said in play(rehearsal.steps, watch):
        if at > UNTIL_AT:
            break
        board.set_states(said.states)
        board.set_incidents(said.incidents)
        board.forecasts.update(said.forecasts)
        board.extents.update(said.extents)
        board.crowds = said.crowds or board.crowds
        board.set_claims(said.claims)
    return board


class Counter:
    """SQL statements of this process, whichever thread ran them."""

    def __init__(self) -> None:
        self.count = 0
        event.listen(Engine, "before_cursor_execute", self._one)

    def _one(self, *_: Any) -> None:
        self.count += 1


async def _answer(counter: Counter) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(counter.count, flush=True)


def configured(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "outlast.toml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    return load(path, {"BENCH_KEY": "none"}, overrides={"server.data_dir": str(folder)})


async def serve(folder: Path) -> None:
    counter = Counter()
    logs.configure("error", "text")
    settings = configured(folder)
    shown = bad_day()
    async with running(settings) as service:
        assert service.observing is not None
        for _ in range(1000):  # until the watch has taken up what is stored: nothing
            if service.observing.watcher.role is not Role.STARTING:
                break
            await asyncio.sleep(0.01)
        board = service.observing.board
        board.set_states(shown.states.values())
        board.set_incidents([*shown.open(), *shown.recent()])
        for claims in shown.claims.values():
            board.set_claims(claims)
        board.forecasts.update(shown.forecasts)
        board.extents.update(shown.extents)
        board.crowds = shown.crowds

        def started() -> None:
            print(server.servers[0].sockets[0].getsockname()[1], flush=True)

        server = Server(uvicorn_config(service), started)
        serving = asyncio.create_task(server.serve())
        await _answer(counter)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
