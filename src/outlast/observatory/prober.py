"""The task that probes: carries probing.py's commands out, brings results in. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from outlast.clock import Clock
from outlast.nouns import Observation
from outlast.observatory.probe_events import (
    Calm,
    Closer,
    Due,
    Enough,
    Event,
    Hurry,
    Offline,
    Result,
    Run,
    Seen,
)
from outlast.observatory.probe_targets import Target
from outlast.observatory.probing import Pace, Probing
from outlast.outcome import Fault, Network, classify_fault

_log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""How often it is looked whether we are offline, while nothing else happens."""
WAITING_MAX = 1000
"""Wishes to hurry or to look that may wait; results are bounded by what runs at once."""


class Prober:
    """`run` it in one task, of one replica (its caller holds a lease); cancel it to stop.

    `check` probes one target (probe_checks.Checks). `sink` gets each Observation and must not wait
    (History.append). `offline` says whether our own network is gone; `heard` gets a provider and
    what a probe says of the network, so that the gateway knows it too, even without any traffic.
    `roll` gives numbers in [0, 1).
    """

    def __init__(
        self,
        targets: Sequence[Target],
        pace: Pace,
        check: Callable[[Target], Awaitable[Seen]],
        sink: Callable[[Observation], object],
        clock: Clock,
        roll: Callable[[], float],
        *,
        offline: Callable[[], bool] = lambda: False,
        heard: Callable[[str, Network], object] = lambda provider, network: None,
    ) -> None:
        self._targets = {target.name: target for target in targets}
        self._pace = pace
        self._check = check
        self._sink = sink
        self._clock = clock
        self._roll = roll
        self._offline = offline
        self._heard = heard
        self._waiting: list[Event] = []
        self._awake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def hurry(self, component: str) -> None:
        """Probe what this component is about now, and often for a while: it is suspected.

        A provider's name alone means all of it. May be called at any time, as often as one likes.
        """
        self._tell(Hurry(component, self._clock.monotonic()))

    def closer(self, component: str) -> None:
        """Look closely: this component may begin to fail. Say it once a minute while it holds."""
        self._tell(Closer(component, self._clock.monotonic()))

    def enough(self, component: str) -> None:
        """End a close look: it does not look like that any more."""
        self._tell(Enough(component, self._clock.monotonic()))

    def calm(self, component: str) -> None:
        """Go back to the usual turns: nothing is suspected any more."""
        self._tell(Calm(component, self._clock.monotonic()))

    async def run(self) -> None:
        """Probe until cancelled; what runs then is abandoned and never told."""
        if not self._targets:
            return
        probing = Probing(self._targets.values(), self._pace, self._roll, self._clock.monotonic())
        offline = False
        try:
            while True:
                events, self._waiting = self._waiting, []
                if (gone := self._offline()) is not offline:
                    offline = gone  # known first: it says what the rest means
                    events.insert(0, Offline(offline, self._clock.monotonic()))
                for event in [*events, Due(self._clock.monotonic())]:
                    self._carry_out(probing, event)
                await self._rest(probing)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _carry_out(self, probing: Probing, event: Event) -> None:
        for command in probing.handle(event):
            if isinstance(command, Run):
                task = asyncio.create_task(self._probe(command.target))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                continue
            try:
                self._sink(command.observation)
            except Exception:  # the log is the report; the next result must still be told
                _log.exception("a probe's result could not be kept")

    async def _probe(self, target: Target) -> None:
        at = self._clock.wall()
        try:
            seen = await self._check(target)
            if target.remote:
                self._heard(target.provider, seen.network)
        except Exception as error:
            _log.exception("a probe failed inside Outlast", target=target.name)
            verdict = classify_fault(Fault("internal", type(error).__name__))
            seen = Seen(at, verdict.outcome, verdict.scope, "unknown", evidence=verdict.evidence)
        self._tell(Result(target.name, seen, self._clock.monotonic()))

    async def _rest(self, probing: Probing) -> None:
        """Wait until something is due or has happened."""
        wake_at = probing.wake_at()
        now = self._clock.monotonic()
        wait_s = LOOK_S if wake_at is None else min(LOOK_S, max(0.0, wake_at - now))
        try:
            async with asyncio.timeout(wait_s):
                await self._awake.wait()
        except TimeoutError:
            return
        self._awake.clear()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Hurry | Closer | Enough | Calm) and len(self._waiting) >= WAITING_MAX:
            return  # somebody hurries faster than we look: one of a kind says as much
        self._waiting.append(event)
        self._awake.set()
