"""The process that starts the others: it answers nothing, and knows nothing of requests.

It holds the port (bound, not listening: nothing is ever queued at it), so that the port stays ours
while all others start again. It starts whoever dies, later each time; kills whoever stands still,
because the kernel goes on giving it connections; drains them at the end, the observer last, because
the others still ask it; and reads the settings for all, so that all have the same. What has to
survive is in the others' journals: when it is killed, they drain and end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from subprocess import DEVNULL

import msgspec
import structlog

from outlast import logs, starting, welcome
from outlast.config import Settings
from outlast.config.environ import taken
from outlast.gateway import shared_counts
from outlast.manager import HANDED_OVER, VARIABLES, Manager, handed_over
from outlast.workers.line import Beat, Begin, Go, Line, Ready, Take, name_of
from outlast.workers.lives import BEAT_S, Lives, Pulse

log = structlog.get_logger(__name__)


def serve(settings: Settings, *, reload_from: Path | None) -> int:
    """Run the service until SIGTERM or Ctrl-C; returns the exit code."""
    logs.configure(settings.server.log_level, settings.server.log_format, "supervisor")
    try:
        return asyncio.run(_serve(settings, reload_from))
    except OSError as error:
        sys.stderr.write(starting.explain(error, settings) + "\n")
        return starting.EXIT_PROBLEM


async def _serve(settings: Settings, reload_from: Path | None) -> int:
    if (listener := handed_over(taken(*HANDED_OVER), settings.server.port)) is not None:
        listener.close()
        raise OSError(
            "systemd holds the port, which several processes cannot share with it. Disable "
            "outlast.socket, or set server.workers to 1."
        )
    starting.check_port(settings)
    settings.data_path.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(reserved(settings))
        server = msgspec.structs.replace(settings.server, port=port.getsockname()[1])
        settings = msgspec.structs.replace(settings, server=server)
        # Short: the address of such a socket has about a hundred bytes.
        folder = tempfile.mkdtemp(prefix="outlast-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        manager = Manager(taken(*VARIABLES))
        supervisor = Supervisor(settings, folder, manager)
        stack.callback(supervisor.counts.close)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)
        beside = (
            asyncio.create_task(starting.watch_settings(supervisor, reload_from)),
            asyncio.create_task(manager.live()),
        )
        try:
            return await supervisor.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


def reserved(settings: Settings) -> socket.socket:
    """A socket on the service's address that others of ours can share. Raises OSError."""
    host, port = settings.server.host, settings.server.port
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind((host, port))
    except BaseException:
        found.close()
        raise
    return found


class _Child:
    """A process that lives."""

    def __init__(self, process: asyncio.subprocess.Process, line: Line) -> None:
        self.process = process
        self.line = line
        self.pulse: Pulse | None = None
        """From when it is ready."""

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Supervisor:
    """See the module. `settings` are those in force."""

    def __init__(self, settings: Settings, folder: str, manager: Manager) -> None:
        self.settings = settings
        self._manager = manager
        self._workers = settings.server.workers
        self._folder = folder
        places = self._workers + 1
        self._counts_fd = shared_counts.make(places)
        self.counts = shared_counts.SharedCounts(self._counts_fd, self._workers, places, others=1)
        sqlite = settings.store_url.startswith("sqlite")
        self._holder = "here" if sqlite else secrets.token_hex(8)
        self._children: dict[int, _Child] = {}
        self._ready: set[int] = set()
        """Places that were ready once."""
        self._first_key = ""
        self._greeted = False
        self._stopping = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._draining: asyncio.Task[None] | None = None
        self._code = starting.EXIT_OK

    async def run(self) -> int:
        """Keep all processes alive until `stop`; returns the exit code."""
        for place in range(self._workers + 1):
            self._tasks[place] = asyncio.create_task(self._keep(place))
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(*self._tasks.values())
        finally:
            watching.cancel()
            for child in self._children.values():
                child.signal(signal.SIGKILL)
        return self._code

    def take(self, settings: Settings) -> None:
        """New settings for all of them."""
        server = msgspec.structs.replace(settings.server, port=self.settings.server.port)
        self.settings = msgspec.structs.replace(settings, server=server)
        for child in self._children.values():
            child.line.say(Take(self.settings))

    def stop(self) -> None:
        """Drain; called again: hang up."""
        self._manager.stopping(starting.stop_within_s(self.settings))
        if self._draining is None:
            self._stopping.set()
            self._draining = asyncio.create_task(self._drain())
        else:
            for child in self._children.values():
                child.signal(signal.SIGINT)

    async def _drain(self) -> None:
        """Workers first: what they still answer may need the observer."""
        everyone = sorted(self._tasks)
        within_s = self.settings.server.drain_s + starting.CLOSE_S
        for places in (everyone[: self._workers], everyone[self._workers :]):
            tasks = [self._tasks[place] for place in places]
            for place in places:
                if (child := self._children.get(place)) is not None:
                    child.signal(signal.SIGTERM)
            _, late = await asyncio.wait(tasks, timeout=within_s)
            for place in places:
                if self._tasks[place] in late and (child := self._children.get(place)) is not None:
                    log.error("process_killed", process=name_of(place, self._workers))
                    child.signal(signal.SIGKILL)

    async def _watch(self) -> None:
        """Ask all who are ready whether they are there. At the end `_drain` has its own patience:
        who closes down does not listen any more."""
        while not self._stopping.is_set():
            await asyncio.sleep(BEAT_S)
            for place, child in self._children.items():
                if child.pulse is None:
                    continue
                if child.pulse.asked():
                    log.error("process_stands_still", process=name_of(place, self._workers))
                    child.signal(signal.SIGKILL)
                else:
                    child.line.say(Beat())

    async def _keep(self, place: int) -> None:
        lives, name = Lives(), name_of(place, self._workers)
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                code = await self._live(place)
            except OSError as error:  # no process, no socket: there may be one later
                log.error("process_not_started", ended=name, reason=str(error))  # noqa: TRY400 - said
                code = starting.EXIT_PROBLEM
            self.counts.forget(place)
            if self._stopping.is_set():
                return
            if place not in self._ready:  # it said itself why it cannot begin
                self._code = code if code > 0 else starting.EXIT_PROBLEM
                self.stop()
                return
            wait_s = lives.ended(time.monotonic() - began)
            log.error("process_ended", ended=name, code=code, again_in_s=wait_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()

    async def _live(self, place: int) -> int:
        """One life, from the start to the exit code. Raises OSError where none can begin."""
        ours, theirs = socket.socketpair()
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            # A session of its own: Ctrl-C in a terminal is for us, and we drain them in order.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "outlast.workers.process",
                str(theirs.fileno()),
                name_of(place, self._workers),  # for who looks at the list of processes
                stdin=DEVNULL,
                pass_fds=(theirs.fileno(), self._counts_fd),
                start_new_session=True,
            )
        line = await Line.over(ours)
        child = self._children[place] = _Child(process, line)
        try:
            line.say(self._begin(place))
            if self._stopping.is_set():
                child.signal(signal.SIGTERM)
            while (said := await line.hear()) is not None:
                if isinstance(said, Ready):
                    child.pulse = Pulse()
                    self._is_ready(place, said)
                elif child.pulse is not None:
                    child.pulse.answered()
            return await process.wait()
        finally:
            del self._children[place]
            line.close()
            if process.returncode is None:
                process.kill()

    def _begin(self, place: int) -> Begin:
        return Begin(
            settings=self.settings,
            place=place,
            workers=self._workers,
            folder=self._folder,
            counts_fd=self._counts_fd,
            holder=self._holder,
        )

    def _is_ready(self, place: int, said: Ready) -> None:
        self._ready.add(place)
        self._first_key = self._first_key or said.first_key
        if self._greeted:
            self._children[place].line.say(Go())
        elif len(self._ready) == self._workers + 1:
            self._greeted = True
            starting.say(welcome.greeting(self.settings, self._first_key or None))
            self._manager.ready(self.settings.base_url)
            self._first_key = ""
            for child in self._children.values():
                child.line.say(Go())
