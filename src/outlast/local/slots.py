"""A bounded queue in front of the engine: so many at once, so many waiting, else a truthful no."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

from outlast.clock import Clock, SystemClock

LEAST_RETRY_S = 1
MOST_RETRY_S = 60
"""The official SDKs ignore a longer `retry-after`."""
_FIRST_GUESS_S = 10.0
_SMOOTHING = 0.3


class Busy(Exception):
    """All slots are taken and the queue is full, or the wait was too long: HTTP 529."""

    def __init__(self, why: str, retry_after_s: int) -> None:
        super().__init__(f"{why} Try again in about {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class Slots:
    """At most `running` holders of a slot, at most `waiting` in line, first come first served.

    `max_wait_s` stays below the 300 s after which coding tools give a silent stream up.
    """

    def __init__(
        self,
        running: int,
        waiting: int,
        max_wait_s: float = 120.0,
        clock: Clock | None = None,
    ) -> None:
        self._total = running
        self._limit_waiting = waiting
        self._max_wait_s = max_wait_s
        self._clock = clock or SystemClock()
        self._running = 0
        self._queue: list[asyncio.Future[None]] = []
        self._mean_hold_s = _FIRST_GUESS_S

    @property
    def running(self) -> int:
        return self._running

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def retry_after_s(self) -> int:
        """When a slot may be free for somebody who comes now: from how long they were held."""
        rounds = (len(self._queue) + 1) / self._total
        return min(MOST_RETRY_S, max(LEAST_RETRY_S, math.ceil(rounds * self._mean_hold_s)))

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot. Raises Busy at once where the queue is full, or after `max_wait_s`."""
        await self._take()
        started = self._clock.monotonic()
        try:
            yield
        finally:
            held_s = self._clock.monotonic() - started
            self._mean_hold_s += _SMOOTHING * (held_s - self._mean_hold_s)
            self._give_back()

    async def _take(self) -> None:
        if self._running < self._total and not self._queue:
            self._running += 1
            return
        if len(self._queue) >= self._limit_waiting:
            raise Busy(
                f"The local model is busy: {self._running} answers are being written and "
                f"{len(self._queue)} requests wait.",
                self.retry_after_s,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._max_wait_s):
                await turn
        except BaseException as error:
            if turn in self._queue:
                self._queue.remove(turn)
            elif turn.done() and not turn.cancelled():
                # The slot was handed over in the same moment: pass it on.
                self._give_back()
            if isinstance(error, TimeoutError):
                raise Busy(
                    f"The local model was busy for {self._max_wait_s:.0f} s.", self.retry_after_s
                ) from None
            raise

    def _give_back(self) -> None:
        while self._queue:
            turn = self._queue.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1
