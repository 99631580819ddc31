"""Requests, probes and the watch at the service's own pace, on a clock that is told the time.

As it is put together in the service (outlast/observing): the targets of the settings, their
decider (probing.py) with the default pace and budget, and a Watch with the default rate of false
alarms, which is looked at once a second. Requests come by themselves (a Poisson process). What is
asked of a model, by a request or by a probe, fails with one share; doors and lists of models
always work, as on most bad days, and so never help.
"""

from __future__ import annotations

import heapq
import random

from outlast.config import (
    CandidateSettings,
    ObservatorySettings,
    RouteSettings,
    Settings,
    UpstreamSettings,
)
from outlast.config.settings import Secret
from outlast.nouns import Kind, Observation, Outcome, Scope, Suspicion
from outlast.observatory.probe_events import (
    Calm,
    Closer,
    Due,
    Enough,
    Event,
    Hurry,
    Result,
    Run,
    Seen,
)
from outlast.observatory.probe_targets import ProbeKind, Target, targets_of
from outlast.observatory.probing import Pace, Probing
from outlast.observatory.watch import Said, Watch
from outlast.observatory.watcher import TICK_S

MODEL = "claude-opus-4-8"
COMPONENT = f"anthropic/api/{MODEL}"
FAILURES = (Outcome.OVERLOADED, Outcome.SERVER_ERROR, Outcome.TIMEOUT)
ANSWER_S = (0.5, 2.5)
"""How long a short answer takes."""


def house() -> Settings:
    """One vendor, one model that a route names; all else as it is by default."""
    return Settings(
        upstreams={
            "main": UpstreamSettings(
                name="main",
                kind=Kind.ANTHROPIC,
                provider="anthropic",
                base_url="https://api.anthropic.com",
                key=Secret("of-no-account"),
            )
        },
        routes=(
            RouteSettings(
                model=MODEL, candidates=(CandidateSettings(upstream="main", model=MODEL),)
            ),
        ),
        observatory=ObservatorySettings(providers=("anthropic",)),
    )


class Dice:
    """Chance that a copy of its owner takes along."""

    def __init__(self, seed: int) -> None:
        self.roll = random.Random(seed)

    def __call__(self) -> float:
        return self.roll.random()


class Play:
    """Copy it with `copy.deepcopy` to go on from one moment in several ways."""

    def __init__(self, seed: int, *, per_minute: float, probes: bool = True) -> None:
        settings = house()
        wanted = settings.observatory
        self.dice = Dice(seed)
        self.share = 0.0
        """Of requests to the model that fail, and of probes that ask it."""
        self.now = 0.0
        self.requests = 0
        self.suspected = False
        self.alarms = 0
        self.canaries: list[tuple[float, int]] = []
        """When the model was probed, and what the probe was taken to cost."""
        self.looks = 0
        self.watch = Watch(rate=wanted.false_alarms_per_month)
        self._gap_s = 60.0 / per_minute
        self._targets = targets_of(settings) if probes else ()
        pace = Pace(wanted.probe_every_s, wanted.probe_tokens_per_day)
        self._probing = Probing(self._targets, pace, self.dice, 0.0)
        self._events: list[tuple[float, int, Result | None]] = []
        self._count = 0
        self._tick_at = 0.0
        self._failed = False
        self._looking: set[str] = set()
        self._push(self._next_request(), None)

    def run(self, until: float, *, requests: int = 1 << 60, stop: bool = False) -> None:
        """Go on until then, or to so many requests; `stop`: or to a suspicion."""
        while self.now < until and self.requests < requests and not (stop and self.suspected):
            self._step(until)

    def _step(self, until: float) -> None:
        """Whatever comes first: a request or a probe's result, a look, a probe's turn."""
        wake_at = self._probing.wake_at()
        at = min(self._events[0][0], until, wake_at if wake_at is not None else until)
        # A look that nothing has failed since finds nothing new, unless it can end a close one.
        if (self._failed or self._looking) and self._tick_at <= at:
            self.now = max(self.now, self._tick_at)
            self._failed = False
            self._hear(self.watch.tick(self.now))
            self._tick_at = self.now + TICK_S
            return
        self.now = max(self.now, at)
        if self._events[0][0] <= self.now:
            _, _, what = heapq.heappop(self._events)
            if what is None:
                self._request()
            else:
                self._handle(what)
        else:
            self._handle(Due(self.now))
        self._tick_at = max(self._tick_at, self.now - self.now % TICK_S + TICK_S)

    def _request(self) -> None:
        self.requests += 1
        self._push(self.now + self._next_request(), None)
        outcome = self._outcome()
        scope = Scope.NONE if outcome is Outcome.OK else Scope.PROVIDER
        self._observe(
            Observation(self.now, "attempt", COMPONENT, outcome, scope=scope, upstream="main")
        )

    def _handle(self, event: Event) -> None:
        for command in self._probing.handle(event):
            if isinstance(command, Run):
                self._probe(command.target)
            else:
                self._observe(command.observation)

    def _probe(self, target: Target) -> None:
        asks = target.kind is ProbeKind.CANARY
        if asks:
            self.canaries.append((self.now, target.tokens))
        outcome = self._outcome() if asks else Outcome.OK
        scope = Scope.NONE if outcome is Outcome.OK else Scope.PROVIDER
        took_s = ANSWER_S[0] + (ANSWER_S[1] - ANSWER_S[0]) * self.dice()
        ended_at = self.now + took_s
        seen = Seen(self.now, outcome, scope, tokens=target.tokens if outcome is Outcome.OK else 0)
        self._push(ended_at, Result(target.name, seen, ended_at))

    def _observe(self, observation: Observation) -> None:
        self._failed = self._failed or observation.outcome is not Outcome.OK
        self.watch.observe(observation, self.now)

    def _hear(self, said: Said) -> None:
        """What the watcher does with it, in its order."""
        for state in said.states:
            if state.component == COMPONENT:
                now = state.suspicion is not Suspicion.NONE
                self.alarms += now and not self.suspected
                self.suspected = now
        self._looking = (self._looking | said.closer) - said.enough
        self.looks += COMPONENT in said.closer
        wishes: list[Event] = [Closer(name, self.now) for name in sorted(said.closer)]
        wishes += [Enough(name, self.now) for name in sorted(said.enough)]
        wishes += [Hurry(name, self.now) for name in sorted(said.hurry)]
        wishes += [Calm(name, self.now) for name in sorted(said.relax)]
        for wish in wishes:
            self._handle(wish)

    def _outcome(self) -> Outcome:
        if self.dice() >= self.share:
            return Outcome.OK
        return FAILURES[int(self.dice() * len(FAILURES))]

    def _next_request(self) -> float:
        return self.dice.roll.expovariate(1.0 / self._gap_s)

    def _push(self, at: float, what: Result | None) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, what))
