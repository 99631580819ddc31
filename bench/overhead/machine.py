"""The machine underneath: two cores, what was used of them and by whom, who may run."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.gauntlet.gateways import CannotRun, Process
from bench.overhead import proc

QUIET_SHARE = 0.06
"""Of a core, used by others: less counts as a quiet moment to begin a run in."""
QUIET_LOOK_S = 0.15
QUIET_PAUSE_S = 0.25
OTHER_RUN_MAX_S = 3600
BREATH_SHARE = 0.25
"""Of the time that a run took before everybody else: so much is left to the others after it."""


class Cores(msgspec.Struct, frozen=True):
    """Where the servers run, and where generator, vendor and this program do."""

    servers: int
    load: int


def two_cores() -> Cores:
    """Choose two cores of those that we may use. Raises CannotRun."""
    if not hasattr(os, "sched_setaffinity") or not Path("/proc/self/stat").exists():
        raise CannotRun("it needs Linux: processes are pinned to cores and read in /proc")
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise CannotRun("it needs two cores: one for the servers, one for the load")
    return Cores(usable[0], usable[1])


@contextlib.asynccontextmanager
async def alone(lock: Path, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Wait until no other run holds the lock: two at once would measure each other.

    Raises CannotRun where that takes too long.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        for waited_s in range(OTHER_RUN_MAX_S + 1):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if waited_s == 0:
                    say("another run of this benchmark is measuring here: waiting for its end")
                await asyncio.sleep(1)
        else:
            raise CannotRun(f"another run has not ended within {OTHER_RUN_MAX_S} s")
        yield


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started inside the block runs on that core, and so do its children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Family(Process):
    """A child and all its descendants: they share a session, and are stopped and read together."""

    @property
    def pid(self) -> int:
        return self._child.pid if self._child is not None else 0

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.returncode is None

    async def start_on(
        self, core: int, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        with pinned(core):
            await self.start(command, environment, folder)

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def stop(self) -> None:
        self.signal(signal.SIGCONT)  # what is paused hears no SIGTERM
        await super().stop()


def hurry(pid: int) -> None:
    """Let a process, and all that it starts from now on, run before everybody else.

    In real time (SCHED_RR, sched(7)): a nice value alone leaves waits of milliseconds where others
    compute, and sways the fast servers more than the slow ones. The kernel keeps a twentieth of
    each second for the others. Raises CannotRun.
    """
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
    except OSError as why:
        raise CannotRun(f"--urgent: the priority could not be raised, root may: {why}") from None


def members(session: int) -> list[proc.Times]:
    """Return the processes of a session, as they are now."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError, ValueError):
                times = proc.times(Path(f"/proc/{entry}/stat").read_text("utf-8", "replace"))
                if times.session == session:
                    found.append(times)
    return found


def ticks_of(session: int) -> int:
    """CPU that a session used so far, in ticks: its processes, and children they waited for."""
    return sum(times.ticks for times in members(session))


def own_ticks(pid: int) -> int:
    with contextlib.suppress(OSError):
        return proc.times(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")).ticks
    return 0


def resident_bytes(session: int) -> int:
    """Memory in use by a session; what its processes share counts for each."""
    total = 0
    for times in members(session):
        with contextlib.suppress(OSError):
            total += proc.resident_bytes(Path(f"/proc/{times.pid}/status").read_text("utf-8"))
    return total


def cores_now() -> dict[int, proc.Core]:
    return proc.cores(Path("/proc/stat").read_text("utf-8"))


async def until_quiet(cores: Cores, within_s: float) -> None:
    """Wait until others leave both cores alone, or until the time is over."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + within_s
    while True:
        before, began = cores_now(), loop.time()
        await asyncio.sleep(QUIET_LOOK_S)
        after, took = cores_now(), loop.time() - began
        busy = max(
            after[core].busy - before[core].busy + after[core].stolen - before[core].stolen
            for core in (cores.servers, cores.load)
        )
        if busy <= max(1, QUIET_SHARE * took * proc.TICKS_PER_S) or loop.time() >= ends:
            return
        await asyncio.sleep(QUIET_PAUSE_S)
