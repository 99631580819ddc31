"""One run: a server wakes, is loaded, is read at both ends of the window, and sleeps again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.gauntlet.gateways import CannotRun
from bench.overhead import machine
from bench.overhead.figures import Memory, Sample, kept, memory
from bench.overhead.machine import Cores, pinned
from bench.overhead.native import Tools, Vendor
from bench.overhead.options import Options
from bench.overhead.proc import TICKS_PER_S
from bench.overhead.scenarios import BY_NAME, Scenario
from bench.overhead.servers import Server

RAMP_S = 1.0
"""Over which many streams begin: they do not all begin in one moment in life either."""
SETTLE_S = 0.05
SETTLE_MAX_S = 30.0
"""For a server to clear up behind the generator, before it sleeps: what it leaves undone would be
paid for in its next run."""
COUNT_MAX = 5_000_000
MEMORY_EVERY_S = 0.5
SLOW_STRETCH = 3
"""How much longer the window of a slow server is: else it holds a handful of answers."""


class Reading(msgspec.Struct, frozen=True):
    """Ticks used so far."""

    at_s: float
    server: int
    load: int
    cores: dict[int, Any]


class Bench:
    """Measures servers one at a time; all others sleep."""

    def __init__(
        self,
        tools: Tools,
        vendor: Vendor,
        cores: Cores,
        options: Options,
        folder: Path,
        until_s: float,
    ) -> None:
        """`until_s`: on the monotonic clock; after it there is no patience left."""
        self._until_s = until_s
        self._tools = tools
        self._vendor = vendor
        self._cores = cores
        self._options = options
        self._folder = folder

    async def sample(self, server: Server, scenario: Scenario, round_: int) -> Sample:
        """Measure until a run is undisturbed, or as often as allowed; keep the quietest."""
        tries: list[Sample] = []
        for number in range(1 + self._options.repeats):
            patient = time.monotonic() < self._until_s
            if number and not patient:
                break
            if patient and not self._options.urgent:
                await machine.until_quiet(self._cores, self._options.quiet_s)
            began = time.monotonic()
            tries.append(await self._once(server, scenario, round_))
            if self._options.urgent and patient:
                await asyncio.sleep(machine.BREATH_SHARE * (time.monotonic() - began))
            if not tries[-1].disturbed:
                break
        return kept(tries)

    async def _once(self, server: Server, scenario: Scenario, round_: int) -> Sample:
        server.resume()
        try:
            read: list[Reading] = []
            raw = await self._load(server, scenario, self._window(server, scenario), read)
            await self._settled(server)
            resident = machine.resident_bytes(server.process.pid) if server.process.pid else 0
        finally:
            server.pause()
        if len(read) != 2:
            raise CannotRun("the generator broke off")
        return _sample(
            server.name, scenario, round_, raw, read, resident, self._cores, self._options.urgent
        )

    async def _settled(self, server: Server) -> None:
        if not server.process.pid:
            return
        used, quiet_s = machine.ticks_of(server.process.pid), 0.0
        for _ in range(int(SETTLE_MAX_S / SETTLE_S)):
            await asyncio.sleep(SETTLE_S)
            before, used = used, machine.ticks_of(server.process.pid)
            quiet_s = quiet_s + SETTLE_S if used - before <= 1 else 0.0
            if quiet_s >= server.settles_s:
                return

    def _window(self, server: Server, scenario: Scenario) -> list[str]:
        """Return ramp, warm-up, window, drain and limit, as the generator takes them."""
        open_s = self._options.paced_open_s if scenario.paced else self._options.open_s
        if server.slow and not scenario.paced:
            open_s *= SLOW_STRETCH
        ramp_s = RAMP_S if scenario.paced else 0.0
        times_s = (ramp_s, server.warm_s, open_s, self._options.drain_s)
        return [*(f"{each:g}" for each in times_s), str(COUNT_MAX)]

    async def _load(
        self,
        server: Server,
        scenario: Scenario,
        window: list[str],
        read: list[Reading],
        during: Callable[[], Awaitable[None]] | None = None,
    ) -> dict[str, Any]:
        request = self._folder / "request"
        request.write_bytes(server.request(scenario))
        command = [str(self._tools.load), str(server.port), str(request)]
        command += [str(scenario.connections), *window, str(scenario.tokens), scenario.end]
        with pinned(self._cores.load):
            child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert child.stdout is not None
        beside = asyncio.ensure_future(during()) if during is not None else None
        last = b""
        try:
            while line := await child.stdout.readline():
                if line in {b"open\n", b"closed\n"}:
                    read.append(self._read(server, child.pid))
                last = line
            await child.wait()
        finally:
            if beside is not None:
                beside.cancel()
            if child.returncode is None:
                child.kill()
        try:
            found: dict[str, Any] = msgspec.json.decode(last)
        except msgspec.DecodeError:
            raise CannotRun(f"the generator said {last[:200]!r}") from None
        return found

    def _read(self, server: Server, generator: int) -> Reading:
        own = machine.own_ticks
        return Reading(
            at_s=time.monotonic(),
            server=machine.ticks_of(server.process.pid) if server.process.pid else 0,
            load=own(generator) + own(self._vendor.pid) + own(os.getpid()),
            cores=machine.cores_now(),
        )

    async def memory(self, server: Server, requests: int, limit_s: float) -> Memory:
        """Read resident memory along many requests; it ends with them, or with the time."""
        scenario = BY_NAME["c32"]
        began = time.monotonic()
        taken: list[tuple[float, int]] = []

        async def watch() -> None:
            while True:
                taken.append((time.monotonic(), machine.resident_bytes(server.process.pid)))
                await asyncio.sleep(MEMORY_EVERY_S)

        server.resume()
        try:
            window = ["0", "0", f"{limit_s:g}", f"{self._options.drain_s:g}", str(requests)]
            raw = await self._load(server, scenario, window, [], watch)
        finally:
            server.pause()
        took_s = time.monotonic() - began
        # The rate is even in a closed loop: a reading's time tells how many were answered.
        counts = [int(raw["started"] * (at_s - began) / took_s) for at_s, _ in taken]
        sizes = [size for _, size in taken]
        return memory(counts, sizes, raw["failed"], took_s, raw["unfinished"])


def _sample(
    name: str,
    scenario: Scenario,
    round_: int,
    raw: dict[str, Any],
    read: list[Reading],
    resident: int,
    cores: Cores,
    urgent: bool,
) -> Sample:
    before, after = read
    ticks = max(1e-9, (after.at_s - before.at_s) * TICKS_PER_S)

    def used(core: int) -> int:
        return int(after.cores[core].busy - before.cores[core].busy)

    def stolen(core: int) -> int:
        return int(after.cores[core].stolen - before.cores[core].stolen)

    server, load = after.server - before.server, after.load - before.load
    return Sample(
        server=name,
        scenario=scenario.name,
        round=round_,
        seconds=raw["seconds"],
        requests=raw["requests"],
        tokens=raw["tokens"],
        tokens_each=scenario.tokens,
        started=raw["started"],
        whole=raw["whole"],
        unfinished=raw["unfinished"],
        cpu_s=server / TICKS_PER_S,
        p50_us=raw["p50_us"],
        p99_us=raw["p99_us"],
        first_p50_us=raw["first_p50_us"],
        first_p99_us=raw["first_p99_us"],
        event_p50_us=raw["event_p50_us"],
        event_p99_us=raw["event_p99_us"],
        foreign_servers=max(0.0, (used(cores.servers) - server) / ticks),
        foreign_load=max(0.0, (used(cores.load) - load) / ticks),
        stolen=(stolen(cores.servers) + stolen(cores.load)) / ticks,
        urgent=urgent,
        load_share=load / ticks,
        resident_bytes=resident,
        complaint=raw["complaint"] if raw["started"] > raw["whole"] else "",
    )
