"""Generator and vendor, compiled from the two C files beside this one."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from bench.gauntlet.gateways import CannotRun, free_port
from bench.overhead.machine import Cores, pinned
from bench.overhead.options import ROOT

HERE = Path(__file__).resolve().parent
CACHE = ROOT / ".cache" / "overhead"
COMPILER_FLAGS = ("-O2", "-Wall", "-Wextra")


class Tools(msgspec.Struct, frozen=True):
    load: Path
    vendor: Path


def compiled() -> Tools:
    """Compile both, once for each state of their source. Raises CannotRun."""
    compiler = next(
        filter(None, map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang"))), None
    )
    if compiler is None:
        raise CannotRun(
            "there is no C compiler, and without the generator nothing is measured:"
            " install one (apt-get install gcc libc6-dev), or name it in CC"
        )
    return Tools(load=_compile(compiler, "load"), vendor=_compile(compiler, "vendor"))


def _compile(compiler: str, name: str) -> Path:
    source = HERE / f"{name}.c"
    state = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    made = CACHE / f"{name}-{state}"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = CACHE / f"{name}-{state}.{os.getpid()}"
        command = [compiler, *COMPILER_FLAGS, "-o", str(fresh), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotRun(f"{name}.c does not compile: {done.stderr.strip()[-400:]}")
        fresh.replace(made)
    return made


class Vendor:
    """`async with Vendor(…) as vendor`: it answers on `port`, and ends with the block."""

    def __init__(self, tools: Tools, cores: Cores) -> None:
        self._tools = tools
        self._cores = cores
        self._child: asyncio.subprocess.Process | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        return self._child.pid if self._child is not None else 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Vendor:
        self.port = free_port()
        with pinned(self._cores.load):
            self._child = await asyncio.create_subprocess_exec(
                str(self._tools.vendor),
                str(self.port),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        assert self._child.stdout is not None
        if await asyncio.wait_for(self._child.stdout.readline(), 5) != b"ready\n":
            raise CannotRun("the simulated vendor did not start")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
            await self._child.wait()
