"""The engine's process, watched: started, waited for, restarted when it dies, ended with us.

The weights are never loaded here: a process of its own keeps them (a fork after loading hangs),
serves chat completions on 127.0.0.1 with a key made for this run, and goes when its stdin ends.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec
import structlog

from outlast.local.state import Failed, Ready, Starting, State

log = structlog.get_logger(__name__)

SCRIPT = Path(__file__).with_name("serve.py")
THREADS_SLEEP = "GOMP_SPINCOUNT=1000"
"""Threads that wait for each other soon sleep instead of spinning: on two cores with a load of
five, 2 threads write 9 tokens/s so, and 3 as OpenMP does by default."""
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 3.0
STEADY_S = 60.0
"""After so long without dying, the next death counts as the first."""
FIRST_BACKOFF_S = 0.2
MOST_BACKOFF_S = 30.0
HEALTH_EVERY_S = 15.0
HEALTH_TIMEOUT_S = 10.0
HEALTH_MISSES = 4
_MEASURE_WORDS = 150
_TAIL_LINES = 20


class EngineSettings(msgspec.Struct, frozen=True):
    """`context_tokens` is shared out over the slots."""

    model_path: Path
    model_name: str
    threads: int
    context_tokens: int = 32_768
    slots: int = 2
    cache_mib: int = 256


class _Line(msgspec.Struct, frozen=True):
    event: str
    url: str = ""
    load_s: float = 0.0
    why: str = ""


class CannotStart(Exception):
    """Starting again would end the same way. The text is for people."""


class Died(Exception):
    """The process ended or never came up; worth another try."""


def backoff_s(deaths: int) -> float:
    """Return how long to wait after the n-th death in a row (from 1)."""
    return min(MOST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(deaths - 1, 16))


class Engine:
    """Supervises one engine process. `state` says at any time how it stands."""

    def __init__(
        self,
        settings: EngineSettings,
        on_state: Callable[[State], None] = lambda _: None,
        script: Path = SCRIPT,
    ) -> None:
        self._settings = settings
        self._on_state = on_state
        self._script = script
        self._key = secrets.token_urlsafe(24)
        self._state: State = Starting()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        self.restarts = 0
        self.prefill_tokens_per_s: float | None = None
        """Measured on this machine right after each start; None: not yet."""

    @property
    def state(self) -> State:
        return self._state

    @property
    def base_url(self) -> str:
        """Where the engine listens, without a path; empty while it does not."""
        return self._state.base_url if isinstance(self._state, Ready) else ""

    @property
    def api_key(self) -> str:
        return self._key

    @property
    def model_name(self) -> str:
        return self._settings.model_name

    @property
    def context_tokens(self) -> int:
        """Of one slot."""
        return self._settings.context_tokens // self._settings.slots

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Begin supervising; returns at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._supervise(), name="local-engine")

    async def stop(self) -> None:
        """End the process and the supervision."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def wait_ready(self, timeout_s: float) -> bool:
        """Wait until it is Ready (True), or until it Failed for good or the time is up (False)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not isinstance(self._state, Ready):
                    if isinstance(self._state, Failed) and self._state.final:
                        return False
                    await self._changed.wait()
        return isinstance(self._state, Ready)

    def _set(self, state: State) -> None:
        self._state = state
        self._changed.set()
        self._changed = asyncio.Event()
        self._on_state(state)

    async def _supervise(self) -> None:
        deaths = 0
        loop = asyncio.get_running_loop()
        while True:
            self._set(Starting())
            began = loop.time()
            try:
                await self._run_once()
            except CannotStart as error:
                log.warning("local_engine_cannot_start", why=str(error))
                self._set(Failed(str(error), final=True))
                return
            except Died as error:
                deaths = 1 if loop.time() - began > STEADY_S else deaths + 1
                wait_s = backoff_s(deaths)
                why = f"the engine of the local model {error}; it is started again in {wait_s:g} s"
                log.warning("local_engine_died", why=str(error), deaths=deaths, wait_s=wait_s)
                self._set(Failed(why))
                await asyncio.sleep(wait_s)
                self.restarts += 1

    async def _run_once(self) -> None:
        """One life of the process, to its end. Raises CannotStart or Died."""
        process = await asyncio.create_subprocess_exec(
            *("/usr/bin/env", THREADS_SLEEP, sys.executable, "-P", str(self._script)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A Ctrl-C in the terminal is for us: we drain, then end the engine.
            start_new_session=True,
        )
        self._process = process
        self._tail.clear()
        drain = asyncio.create_task(self._drain(process))
        watch: asyncio.Task[None] | None = None
        try:
            ready = await self._ready(process)
            self._set(Ready(ready.url, ready.load_s))
            log.info("local_engine_ready", model=self.model_name, load_s=ready.load_s)
            watch = asyncio.create_task(self._watch(process, ready.url))
            await process.wait()
            raise Died(self._cause(process))
        finally:
            if watch is not None:
                watch.cancel()
            await self._end(process)
            drain.cancel()
            self._process = None

    async def _ready(self, process: asyncio.subprocess.Process) -> _Line:
        assert process.stdin is not None
        assert process.stdout is not None
        task = {
            "model": str(self._settings.model_path),
            "alias": self.model_name,
            "api_key": self._key,
            "context_tokens": self._settings.context_tokens,
            "slots": self._settings.slots,
            "threads": self._settings.threads,
            "cache_mib": self._settings.cache_mib,
        }
        try:
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            await process.stdin.drain()
            line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)
        except TimeoutError:
            raise Died(f"did not come up within {START_TIMEOUT_S:.0f} s") from None
        except (ConnectionError, ValueError) as error:
            raise Died(f"did not take its orders ({error})") from error
        if not line:
            await process.wait()
            raise Died(self._cause(process))
        try:
            said = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError as error:
            raise Died(f"said something unexpected: {line[:100]!r}") from error
        if said.event != "ready":
            raise CannotStart(said.why)
        await self._healthy(said.url)
        return said

    async def _healthy(self, url: str) -> None:
        timeout = aiohttp.ClientTimeout(total=HEALTH_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{url}/health") as answer,
            ):
                if answer.status != 200:
                    raise Died(f"answers its health check with HTTP {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Died(f"does not answer its health check ({type(error).__name__})") from error

    async def _watch(self, process: asyncio.subprocess.Process, url: str) -> None:
        """Measure its speed once; then end a process that hangs, so that it is restarted."""
        await self._measure(url)
        misses = 0
        while True:
            await asyncio.sleep(HEALTH_EVERY_S)
            try:
                await self._healthy(url)
                misses = 0
            except Died:
                misses += 1
            if misses >= HEALTH_MISSES:
                log.warning("local_engine_hangs", misses=misses)
                process.kill()
                return

    async def _measure(self, url: str) -> None:
        """Read a prompt and see how fast: the budget of `prompt.py` is in seconds."""
        body = {"prompt": "one two three " * (_MEASURE_WORDS // 3), "n_predict": 1}
        headers = {"Authorization": f"Bearer {self._key}"}
        timeout = aiohttp.ClientTimeout(total=60)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(f"{url}/completion", json=body, headers=headers) as answer,
            ):
                timings = (await answer.json(content_type=None)).get("timings", {})
                speed = float(timings.get("prompt_per_second", 0))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            # Its repr would show the request's headers, and the key in them.
            log.warning("local_engine_not_measured", why=type(error).__name__)
            return
        if speed > 0:
            self.prefill_tokens_per_s = speed
            log.info("local_engine_measured", prefill_tokens_per_s=round(speed, 1))

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        """A full pipe would stop the engine; its last words explain its death."""
        assert process.stderr is not None
        while chunk := await process.stderr.read(65536):
            self._tail.extend(chunk.decode("utf-8", "replace").splitlines()[-_TAIL_LINES:])

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except (TimeoutError, asyncio.CancelledError):
            process.kill()
            await process.wait()

    def _cause(self, process: asyncio.subprocess.Process) -> str:
        code = process.returncode or 0
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            how = f"was killed by {name}"
            if name == "SIGKILL":
                how += " (by hand, or because memory ran out)"
        else:
            how = f"ended by itself with code {code}"
        last = next((line for line in reversed(self._tail) if line.strip()), "")
        return f"{how}{f', its last words: {last[:200]}' if last else ''}"
