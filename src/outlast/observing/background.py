"""Background work that goes on: what ends by an error is begun again, after a pause that grows.

background = Background(clock)
stack.push_async_callback(background.start("probes", prober.run))
background.describe()        for /readyz: what does not run, why, and when it is tried again
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from outlast.clock import Clock

log = structlog.get_logger(__name__)

Job = Callable[[], Awaitable[None]]


class Pauses(msgspec.Struct, frozen=True):
    """How long a piece of work rests after it has failed so many times in a row."""

    first_s: float = 1.0
    last_s: float = 300.0
    """Seldom enough that what fails at once, each time, is no load and fills no log."""
    steady_s: float = 600.0
    """What has run for so long since it was begun is in order: the next failure is a first one."""

    def after(self, failures: int) -> float:
        """`failures`: in a row, 1 or more."""
        return min(self.first_s * 2.0 ** min(failures - 1, 30), self.last_s)


class Work(msgspec.Struct):
    """One piece of work, and how it goes. Changed in place."""

    name: str
    failures: int = 0
    """In a row."""
    restarts: int = 0
    failed_at: float = 0.0
    """Wall clock; 0: never."""
    again_at: float = 0.0
    """When it is begun again; 0: it runs, or has done all there was to do."""
    error: str = ""


class Background:
    """Owned by one event loop."""

    def __init__(self, clock: Clock, pauses: Pauses | None = None) -> None:
        self._clock = clock
        self._pauses = pauses or Pauses()
        self._work: dict[str, Work] = {}

    def start(self, name: str, job: Job) -> Callable[[], Awaitable[None]]:
        """Begin it. What is returned ends it. A job that returns has done all there was to do."""
        work = self._work[name] = Work(name)
        task = asyncio.create_task(self._keep(work, job), name=name)

        async def stop() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        return stop

    def describe(self) -> dict[str, Any]:
        """For /readyz: how many run or are done, and those that have failed lately."""
        now = self._clock.wall()
        resting = [one for one in self._work.values() if one.again_at]
        lately = [
            one
            for one in self._work.values()
            if one.again_at or (one.failures and now - one.failed_at < self._pauses.steady_s)
        ]
        return {
            "in_order": len(self._work) - len(resting),
            "restarts": sum(one.restarts for one in self._work.values()),
            "failed": {
                one.name: {
                    "error": one.error,
                    "failures": one.failures,
                    "again_in_s": round(max(0.0, one.again_at - now), 1) if one.again_at else None,
                }
                for one in lately
            },
        }

    async def _keep(self, work: Work, job: Job) -> None:
        """An error in it is logged and never ends the service, nor the work for good."""
        while True:
            began_at = self._clock.monotonic()
            try:
                await job()
            except Exception as error:
                if self._clock.monotonic() - began_at >= self._pauses.steady_s:
                    work.failures = 0
                work.failures += 1
                pause_s = self._pauses.after(work.failures)
                work.failed_at = self._clock.wall()
                work.again_at = work.failed_at + pause_s
                # Its text may show what nobody else should read: that is for the log.
                kind = type(error).__name__
                work.error = f"An error of Outlast's own, which the log describes: {kind}."
                log.exception(
                    "background_work_failed",
                    work=work.name,
                    failures=work.failures,
                    again_in_s=pause_s,
                )
            else:
                return
            await asyncio.sleep(pause_s)
            work.again_at = 0.0
            work.restarts += 1
            log.info("background_work_begun_again", work=work.name, restarts=work.restarts)
