"""`python -m bench.overhead`, called by `make overhead`."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bench.gauntlet.gateways import CannotRun
from bench.overhead import machine, native, peers
from bench.overhead.figures import Memory, Sample
from bench.overhead.machine import Cores
from bench.overhead.measuring import Bench
from bench.overhead.native import Vendor
from bench.overhead.options import Options, parse
from bench.overhead.picture import draw
from bench.overhead.report import Report, collect, show
from bench.overhead.scenarios import BY_NAME
from bench.overhead.servers import Direct, Nginx, Outlast, Server

WIDTH = 170
"""Of the tables where there is no terminal."""
EXIT_SHORT = 1
EXIT_NOT_RUN = 2
"""Not run, or in a machine so busy that it cannot be told."""
MUST_RUN: tuple[type[Server], ...] = (Direct, Nginx, Outlast)
"""Without these there is nothing to compare; a peer that does not start is skipped."""


class Overhead:
    """A run: all servers started and paused, then rounds in which each wakes in turn."""

    def __init__(self, options: Options, console: Console, folder: Path) -> None:
        self._options = options
        self._console = console
        self._folder = folder
        self._skipped: dict[str, str] = {}
        self._samples: list[Sample] = []
        self._began = time.monotonic()

    async def run(self) -> Report:
        me = asyncio.current_task()
        assert me is not None
        # What is ended by SIGTERM must not leave paused servers behind.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
        cores = machine.two_cores()
        tools = native.compiled()
        os.sched_setaffinity(0, {cores.load})
        async with AsyncExitStack() as stack:
            lock = native.CACHE / "lock"
            await stack.enter_async_context(machine.alone(lock, self._console.print))
            self._began = time.monotonic()
            vendor = await stack.enter_async_context(Vendor(tools, cores))
            chosen = await self._prepared(vendor, cores)
            if self._options.urgent:
                machine.hurry(vendor.pid)
                machine.hurry(os.getpid())
            servers = await self._started(stack, chosen)
            until = self._began + self._options.patience_s
            bench = Bench(tools, vendor, cores, self._options, self._folder, until)
            for number in range(self._options.rounds):
                await self._round(bench, servers, number)
            memory = await self._memory(bench, servers)
        return self._report(servers, memory, cores)

    async def _prepared(self, vendor: Vendor, cores: Cores) -> list[Server]:
        """Return the servers that can be had; what is missing is installed."""
        wanted = [*MUST_RUN, *(peers.ALL[name] for name in self._options.peers)]
        found: list[Server] = []
        for kind in wanted:
            server = kind(vendor, self._options, cores, self._folder / kind.name)
            try:
                await server.prepare()
                found.append(server)
            except CannotRun as why:
                self._skip(kind, why)
        return found

    async def _started(self, stack: AsyncExitStack, chosen: Sequence[Server]) -> list[Server]:
        found: list[Server] = []
        for server in chosen:
            self._say(f"starting {server.name} …")
            try:
                found.append(await stack.enter_async_context(server))
            except CannotRun as why:
                self._skip(type(server), why)
        return found

    def _skip(self, kind: type[Server], why: CannotRun) -> None:
        if kind in MUST_RUN:
            raise CannotRun(f"{kind.name}: {why}") from None
        self._skipped[kind.name] = str(why)
        self._console.print(f"  {kind.name} is skipped: {why}", markup=False)

    async def _round(self, bench: Bench, servers: Sequence[Server], number: int) -> None:
        """Each scenario through each server; the order is turned round every time."""
        for name in self._options.of_round(number):
            scenario = BY_NAME[name]
            for server in servers if number % 2 == 0 else reversed(servers):
                once = (self._options.thin and server.name == "direct") or (
                    server.slow and scenario.paced
                )
                if not server.serves(scenario) or (once and number):
                    continue
                self._say(f"round {number + 1} of {self._options.rounds}: {name} {server.name}")
                found = await bench.sample(server, scenario, number)
                self._samples.append(found)
                if self._options.verbose:
                    self._console.print(in_a_line(found), markup=False, soft_wrap=True)

    async def _memory(self, bench: Bench, servers: Sequence[Server]) -> Memory | None:
        if not self._options.memory_requests:
            return None
        ours = next(server for server in servers if server.name == "outlast")
        self._say(f"memory: {self._options.memory_requests:,} requests through outlast")
        return await bench.memory(ours, self._options.memory_requests, self._options.memory_limit_s)

    def _say(self, words: str) -> None:
        if self._console.is_terminal:
            took = time.monotonic() - self._began
            self._console.file.write(f"\r\x1b[K  {took:4.0f} s  {words}")
            self._console.file.flush()

    def _report(self, servers: Sequence[Server], memory: Memory | None, cores: Cores) -> Report:
        if self._console.is_terminal:
            self._console.file.write("\r\x1b[K")
        options = msgspec.to_builtins(self._options, enc_hook=str)
        rest: dict[str, Any] = {
            "options": {name: value for name, value in options.items() if name != "out"},
            "machine": {
                "python": platform.python_version(),
                "system": platform.system(),
                "processor": platform.machine(),
                "core_of_servers": cores.servers,
                "core_of_load": cores.load,
            },
            "settings": {one.name: one.settings for one in servers if one.settings},
            "skipped": self._skipped,
            "took_s": round(time.monotonic() - self._began, 1),
        }
        idle = {one.name: one.idle_bytes for one in servers if one.idle_bytes}
        names = [one.name for one in servers]
        return collect(self._samples, names, idle, memory, rest)


def in_a_line(one: Sample) -> str:
    """Return a run as a line, for --verbose."""
    return (
        f"  {one.round} {one.scenario:10} {one.server:12} {one.per_s:9,.0f}/s"
        f" {one.cpu_us or 0:9,.1f} µs CPU, core {100 * one.share:3.0f} %, p50 {one.p50_us:,.0f}"
        f" p99 {one.p99_us:,.0f} first {one.first_p50_us:,.0f} event {one.event_p50_us:,.0f}"
        f"/{one.event_p99_us:,.0f} µs, whole {one.whole}/{one.started}, load"
        f" {100 * one.load_share:.0f} %, others {100 * one.foreign_servers:.0f}"
        f"+{100 * one.foreign_load:.0f} %, tries {one.tries} {one.complaint}"
    )


def write(report: Report, options: Options) -> list[Path]:
    """Write JSON and picture; a quick or partial run never overwrites a full one's."""
    stem = "overhead" if options.whole else f"overhead-{options.name}.tmp"
    options.out.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(report), indent=1)
    made = [options.out / f"{stem}.json", options.out / f"{stem}.svg"]
    made[0].write_bytes(data + b"\n")
    made[1].write_text(draw(report), encoding="utf-8")
    return made


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with tempfile.TemporaryDirectory(prefix="outlast-overhead-") as folder:
        try:
            report = asyncio.run(Overhead(options, console, Path(folder)).run())
        except CannotRun as why:
            console.print(f"it could not be run: {why}", style="red", markup=False)
            return EXIT_NOT_RUN
        except (KeyboardInterrupt, asyncio.CancelledError):
            console.print("\nstopped")
            return EXIT_NOT_RUN
    show(report, console, options.strict)
    for path in write(report, options):
        console.print(f"written: {path}", markup=False)
    if report.short(options.strict):
        return EXIT_SHORT
    return EXIT_NOT_RUN if report.unjudged(options.strict) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
