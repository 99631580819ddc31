"""The embedded model as the application sees it: weights, engine, queue and prompts in one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from outlast.local import upstream, weights
from outlast.local.catalogue import CATALOGUE, DEFAULT, Model
from outlast.local.engine import Engine, EngineSettings
from outlast.local.prompt import Limits
from outlast.local.slots import Slots
from outlast.local.state import Absent, Downloading, Failed, Ready, Starting, State
from outlast.local.weights import Got, Progress, WeightsError
from outlast.wire.canon import Request

log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 30.0
_MOST_RETRY_S = 600.0
_STOP_FETCH_S = 5.0
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_GUESS_TOKENS_PER_S = 70.0
"""Prefill of the 0.5B model with one thread, as measured (local-model.md); others by size."""


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `[local]` of the configuration says. `threads` 0: one per usable core."""

    model: str = DEFAULT.name
    path: str = ""
    threads: int = 0
    context_tokens: int = 32_768
    slots: int = 2
    queue: int = 8
    prefill_budget_s: float = 20.0
    output_tokens: int = 2048
    fetch: bool = True
    """Whether missing weights are fetched at the start."""


def usable_cores(quota: str = "") -> int:
    """Return how many cores this process may use: its affinity, and a container's quota
    (the text of cpu.max: `200000 100000` is two cores, `max 100000` no limit).
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    words = quota.split()
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
        cores = min(cores or 1, max(1, int(words[0]) // int(words[1])))
    return max(1, cores or 1)


def _quota() -> str:
    try:
        return _QUOTA.read_text(encoding="ascii")
    except OSError:
        return ""


def _own_file(settings: LocalSettings) -> Path | None:
    return Path(settings.path).expanduser() if settings.path else None


class LocalModel:
    """Start it and forget it: it fetches what is missing, runs the engine, and says how it is."""

    def __init__(
        self,
        folder: Path,
        settings: LocalSettings,
        *,
        on_state: Callable[[State], None] = lambda _: None,
        catalogue: Sequence[Model] = CATALOGUE,
        pip_args: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.slots = Slots(settings.slots, settings.queue)
        self.got: Got | None = None
        """What was fetched in this run: the caller prints its licence and attribution."""
        self._on_state = on_state
        self._catalogue = catalogue
        self._pip_args = pip_args
        self._threads = settings.threads or usable_cores(_quota())
        self._guess = _GUESS_TOKENS_PER_S
        self._state: State = Starting()
        self._engine: Engine | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        self._changed = asyncio.Event()

    @property
    def state(self) -> State:
        return self._state

    @property
    def ready(self) -> bool:
        return isinstance(self._state, Ready)

    @property
    def base_url(self) -> str:
        return self._engine.base_url if self._engine else ""

    @property
    def api_key(self) -> str:
        return self._engine.api_key if self._engine else ""

    @property
    def model_name(self) -> str:
        return self._engine.model_name if self._engine else self.settings.model

    @property
    def engine_pid(self) -> int | None:
        return self._engine.pid if self._engine else None

    @property
    def context_tokens(self) -> int:
        """Of one slot."""
        return self.settings.context_tokens // self.settings.slots

    @property
    def limits(self) -> Limits:
        """What a prompt may cost now: by the measured speed, else by the model's size."""
        measured = self._engine.prefill_tokens_per_s if self._engine else None
        # Measured once, perhaps in a busy or a lucky second: believed within limits.
        speed = min(max(measured or self._guess, self._guess / 2), self._guess * 3)
        return Limits(
            context_tokens=self.context_tokens,
            prefill_tokens_per_s=speed,
            prefill_s=self.settings.prefill_budget_s,
            output_tokens=min(self.settings.output_tokens, self.context_tokens // 2),
        )

    def prepare(self, request: Request, exchange_id: str, partial: str = "") -> upstream.Prepared:
        """Return the engine's request for this one (upstream.prepare, with today's limits)."""
        return upstream.prepare(request, self.limits, exchange_id, self.model_name, partial)

    def start(self) -> None:
        """Begin; returns at once. `state` and `on_state` tell how it goes."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="local-model")

    async def stop(self) -> None:
        """End the engine, and a fetch at its next piece (it goes on another time)."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._engine is not None:
            await self._engine.stop()
            self._engine = None

    async def wait_ready(self, timeout_s: float) -> bool:
        """Wait until it is ready (True), or it cannot be or the time is up (False)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.ready:
                    if isinstance(self._state, Absent) or (
                        isinstance(self._state, Failed) and self._state.final
                    ):
                        return False
                    await self._changed.wait()
        return self.ready

    def _set(self, state: State) -> None:
        self._state = state
        self._changed.set()
        self._changed = asyncio.Event()
        self._on_state(state)

    async def _run(self) -> None:
        path = await self._weights()
        if path is None:
            return
        size_bytes = path.stat().st_size
        self._guess = _GUESS_TOKENS_PER_S * self._threads * DEFAULT.size_bytes / size_bytes
        known = next((m.name for m in self._catalogue if m.file_name == path.name), path.stem)
        self._engine = Engine(
            EngineSettings(
                model_path=path,
                model_name=known,
                threads=self._threads,
                context_tokens=self.settings.context_tokens,
                slots=self.settings.slots,
            ),
            self._set,
        )
        self._engine.start()

    async def _weights(self) -> Path | None:
        """Return the file to serve, fetched if need be; None where there will be none."""
        own = _own_file(self.settings)
        if own is not None and not own.is_file():
            self._set(Failed(f"local.path names {own}, which is not there", final=True))
            return None
        if own is not None:
            return own
        wait_s = _FIRST_RETRY_S
        while True:
            found = weights.chosen(self.folder, self._catalogue, self.settings.model)
            if found is not None:
                return found
            if not self.settings.fetch:
                self._set(Absent("no local model is here yet: run `outlast model get`"))
                return None
            try:
                self.got = await self._fetch()
            except weights.FINAL as error:
                self._set(Failed(str(error), final=True))
                return None
            except (WeightsError, OSError) as error:
                log.warning("local_model_not_fetched", why=str(error), wait_s=wait_s)
                self._set(Failed(f"{error} It is tried again in {wait_s:.0f} s."))
                await asyncio.sleep(wait_s)
                wait_s = min(_MOST_RETRY_S, wait_s * 2)

    async def _fetch(self) -> Got:
        loop = asyncio.get_running_loop()

        def told(progress: Progress) -> None:
            if not self._stopping.is_set():
                loop.call_soon_threadsafe(self._set, Downloading(progress))

        fetching = asyncio.create_task(
            asyncio.to_thread(
                weights.get,
                self.settings.model,
                self.folder,
                None,
                told,
                catalogue=self._catalogue,
                pip_args=self._pip_args,
                stop=self._stopping.is_set,
            )
        )
        try:
            return await asyncio.shield(fetching)
        except asyncio.CancelledError:
            # The thread ends at its next look at `stop`; then pip is gone too.
            with contextlib.suppress(WeightsError, OSError, TimeoutError):
                await asyncio.wait_for(fetching, _STOP_FETCH_S)
            raise
