"""Views of the status page a second, on one core: `make status-bench`.

The service (bench/status/serving.py) has one core, the generator (bench/overhead/load.c) another.
Every answer is checked to be a 200 of the whole length. What a page costs whose bytes are ready is
measured for a browser that takes gzip and for one that does not. What a core can carry follows from
the processor time of a view, which others on the machine sway less than the rate itself.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.gauntlet.gateways import CannotRun
from bench.overhead import machine
from bench.overhead.machine import Cores, pinned
from bench.overhead.native import compiled
from bench.overhead.proc import TICKS_PER_S

CONNECTIONS = 64
WARM_S = 1.0
GOAL = 2000
HEAD = (
    "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    "accept: text/html,application/xhtml+xml\r\naccept-language: en-GB,en;q=0.8,fr;q=0.5\r\n"
    "x-view: #q00000000\r\n{more}\r\n"
)
GZIP = "accept-encoding: gzip, deflate, br\r\n"
PAGES = {
    "overview": ("/status", GZIP),
    "overview, not packed": ("/status", ""),
    "one provider": ("/status/anthropic?lang=fr", GZIP),
    "summary.json": ("/api/v2/summary.json", GZIP),
}


class Service:
    """The service in its own process."""

    def __init__(self, child: asyncio.subprocess.Process, port: int) -> None:
        self._child = child
        self.port = port

    @property
    def pid(self) -> int:
        return self._child.pid

    async def statements(self) -> int:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(b"?\n")
        return int(await self._child.stdout.readline())


@asynccontextmanager
async def served(folder: Path, cores: Cores) -> AsyncIterator[Service]:
    with pinned(cores.servers):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.status.serving",
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        port = await asyncio.wait_for(child.stdout.readline(), 120)
        if not port.strip().isdigit():
            raise CannotRun("the service did not start")
        yield Service(child, int(port))
    finally:
        child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), 15)
        except TimeoutError:
            child.kill()
            await child.wait()


async def views(
    service: Service, path: str, more: str, cores: Cores, open_s: float, folder: Path
) -> dict[str, Any]:
    """Ask for one page as often as it is answered; return what the generator saw."""
    request = folder / "request"
    request.write_text(HEAD.format(path=path, more=more))
    with pinned(cores.load):
        child = await asyncio.create_subprocess_exec(
            *(str(compiled().load), str(service.port), str(request), str(CONNECTIONS)),
            *("0", str(WARM_S), f"{open_s:g}", "2", "100000000", "-1", ""),
            stdout=asyncio.subprocess.PIPE,
        )
    assert child.stdout is not None
    last, read = b"", []
    while line := await child.stdout.readline():
        if line in {b"open\n", b"closed\n"}:
            ticks = machine.own_ticks(service.pid)
            read.append((time.monotonic(), ticks, await service.statements()))
        last = line
    await child.wait()
    found: dict[str, Any] = msgspec.json.decode(last)
    (began, ticks, before), (ended, later, after) = read
    found["share"] = (later - ticks) / TICKS_PER_S / (ended - began)
    found["statements"] = after - before
    return found


def whole_page(service: Service, path: str) -> bytes:
    url = f"http://127.0.0.1:{service.port}{path}"
    asked = urllib.request.Request(url, headers={"accept-encoding": "gzip"})
    with urllib.request.urlopen(asked) as answer:
        body = bytes(answer.read())
    return gzip.decompress(body) if answer.headers.get("content-encoding") == "gzip" else body


async def main(open_s: float) -> int:
    cores = machine.two_cores()
    compiled()
    dearest_us = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with served(folder / "data", cores) as service:
            page = whole_page(service, "/status")
            assert b"Anthropic is failing" in page
            packed = len(gzip.compress(page, 6))
            print(f"A page of {len(page):,} bytes, {packed:,} packed; {CONNECTIONS} connections.")
            before, began = await service.statements(), time.monotonic()
            await asyncio.sleep(open_s)
            idle = (await service.statements() - before) / (time.monotonic() - began)
            print(f"{'':24}{'views/s':>9}{'p50':>9}{'p99':>9}{'CPU a view':>12}{'SQL in all':>12}")
            for label, (path, more) in PAGES.items():
                got = await views(service, path, more, cores, open_s, folder)
                rate = got["requests"] / got["seconds"]
                each_us = got["share"] / rate * 1e6
                print(
                    f"{label:24}{rate:>9,.0f}{got['p50_us'] / 1000:>6.1f} ms"
                    f"{got['p99_us'] / 1000:>6.1f} ms{each_us:>9.0f} us{got['statements']:>12}"
                )
                if got["failed"]:
                    print(f"  {got['failed']} failed: {got['complaint']}")
                if more == GZIP and path.startswith("/status"):
                    dearest_us = max(dearest_us, each_us)
            print(f"SQL while nobody reads: {idle * open_s:.0f} statements in the same time.")
    carried = 1e6 / max(1e-9, dearest_us)
    held = carried >= GOAL
    print(
        f"A core that nobody else uses carries {carried:,.0f} views of the dearer page a second: "
        f"{'held' if held else 'missed'}, {GOAL:,} are promised."
    )
    return 0 if held else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each page")
    os.environ.setdefault("PYTHONPATH", "src")
    try:
        sys.exit(asyncio.run(main(parser.parse_args().seconds)))
    except CannotRun as why:
        sys.exit(f"It cannot be measured here: {why}.")
