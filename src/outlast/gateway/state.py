"""What the gateway knows at this moment: breakers, connectivity, budgets, loads.

One object per process, changed only by what it is told (`observe`, `reconfigure`); the deciders
in it are pure. Nothing here waits for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from outlast.accounts.keys import Key
from outlast.config import RouteSettings, Settings
from outlast.gateway.asked import Asked, Plan
from outlast.gateway.breaker import Breaker
from outlast.gateway.connectivity import Connectivity
from outlast.gateway.events import Observe
from outlast.gateway.gaps import Gaps
from outlast.gateway.hearing import Hearing, components_of
from outlast.gateway.limits import InFlight, RetryBudget, TokenBucket
from outlast.gateway.routing import candidates_of, narrower, order, permitted, spread
from outlast.gateway.transport import is_remote
from outlast.nouns import Candidate, ComponentState, Kind, Outcome

T = TypeVar("T")

MAX_TRACKED = 10_000
"""Breakers and buckets kept at most: model names and keys come from outside."""


class GatewayState:
    def __init__(self, settings: Settings, roll: Callable[[], float]) -> None:
        self.settings = settings
        self.connectivity = Connectivity()
        self.budget = RetryBudget(settings.retry.budget_share, settings.retry.budget_min_per_s)
        self.hearing = Hearing()
        """What Status says, filled from the bus."""
        self._roll = roll
        self._breakers: dict[str, Breaker] = {}
        self._known: dict[str, Candidate] = {}
        self._gaps: dict[str, Gaps] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._loads: dict[str, InFlight] = {}
        self._upstream_loads: dict[str, InFlight] = {}

    def reconfigure(self, settings: Settings) -> None:
        """Take new settings; what was learnt of upstreams that stay as they are is kept."""
        if settings.breaker != self.settings.breaker:
            self._breakers.clear()
        stays = {
            name
            for name, upstream in settings.upstreams.items()
            if upstream == self.settings.upstreams.get(name)
        }
        self._breakers = {
            name: breaker
            for name, breaker in self._breakers.items()
            if name.partition("/")[0] in stays
        }
        self.settings = settings
        self.budget = RetryBudget(settings.retry.budget_share, settings.retry.budget_min_per_s)
        for name, load in self._upstream_loads.items():
            upstream = settings.upstreams.get(name)
            load.limit = upstream.max_concurrency if upstream is not None else None

    def breaker(self, candidate: Candidate) -> Breaker:
        return _kept(self._breakers, candidate.name, lambda: Breaker(self.settings.breaker))

    def breakers(self) -> dict[str, Breaker]:
        return dict(self._breakers)

    def plan(
        self, asked: Asked, route: RouteSettings, now: float, *, prompt_tokens: int = 0
    ) -> Plan:
        """Decide where this request may go and in which order."""
        settings = self.settings
        listed = candidates_of(route, asked.model, settings)
        primary = listed[0]
        allow = narrower(route.allow, asked.allow)
        chosen = [c for c in spread(route, listed, self._roll) if permitted(c, primary, allow)]
        for candidate in chosen:
            _kept(self._known, candidate.name, partial(_same, candidate))
        self.budget.deposit(now)
        roll = self._ramp_roll(chosen, now)
        ordered = order(
            chosen,
            lambda candidate: self.breaker(candidate).admits(now, roll),
            offline=self.connectivity.offline(now),
            here=lambda candidate: not is_remote(settings.upstreams[candidate.upstream]),
            demoted=self.hearing.demoted(chosen, now),
        )
        return Plan(
            asked=asked,
            candidates=ordered,
            primary=primary,
            timeouts={c.upstream: settings.timeouts_of(c.upstream) for c in listed},
            retry=settings.retry,
            prompt_tokens=prompt_tokens,
        )

    def _ramp_roll(self, chosen: Sequence[Candidate], now: float) -> float:
        """Return what decides whether a recovered candidate gets this request during its ramp.

        Only where somebody as good could take it instead: the embedded model could not.
        """
        sure = any(
            candidate.kind is not Kind.LOCAL and self.breaker(candidate).admits(now, 0.999999)
            for candidate in chosen
        )
        return self._roll() if sure else 0.0

    def observe(self, observed: Observe, now: float) -> None:
        """Take in how an attempt ended."""
        candidate, observation = observed.candidate, observed.observation
        verdict = observed.verdict
        upstream = self.settings.upstreams.get(candidate.upstream)
        if upstream is None:
            return  # it was removed from the settings meanwhile
        if observation.outcome not in {Outcome.CLIENT_GONE, Outcome.LEFT}:
            network = verdict.network if verdict is not None else "carried"
            remote = is_remote(upstream)
            if self.connectivity.observe(candidate.provider, network, remote=remote, now=now):
                for breaker in self._breakers.values():
                    breaker.forgive()
            if remote and network != "carried" and self.connectivity.offline(now):
                return  # our own network: nobody is marked down for it
        retry_after_s = verdict.retry_after_s if verdict is not None else None
        self.breaker(candidate).observe(observation.outcome, observation.scope, now, retry_after_s)

    def heed(self, state: ComponentState, now: float) -> None:
        """Take in what Status says of a component; what comes back gets its traffic slowly."""
        if not self.hearing.heed(state, now):
            return
        for candidate in list(self._known.values()):
            if state.component in components_of(candidate):
                self.breaker(candidate).warm(now)

    def admit(self, key: Key, now: float) -> float:
        """Charge one request to a key; return 0 or the seconds to wait."""
        if key.requests_per_minute is None:
            return 0.0
        per_minute = key.requests_per_minute
        name = f"{key.id}/{per_minute}"
        return _kept(self._buckets, name, lambda: TokenBucket(per_minute, now)).take(now)

    def load(self, key: Key) -> InFlight:
        """How many requests of this key are under way."""
        load = _kept(self._loads, key.id, lambda: InFlight(key.concurrent))
        load.limit = key.concurrent
        return load

    def upstream_load(self, name: str) -> InFlight:
        upstream = self.settings.upstreams.get(name)
        limit = upstream.max_concurrency if upstream is not None else None
        return _kept(self._upstream_loads, name, lambda: InFlight(limit))

    def gaps(self, candidate: Candidate) -> Gaps:
        """How regular this candidate's streams are."""
        return _kept(self._gaps, candidate.name, Gaps)

    def healthy(self, route: RouteSettings, model: str, now: float) -> bool:
        """Whether some candidate beyond this machine would be asked now."""
        return any(
            candidate.kind is not Kind.LOCAL and self.breaker(candidate).admits(now, 0.0)
            for candidate in candidates_of(route, model, self.settings)
        )


def _same(candidate: Candidate) -> Candidate:
    return candidate


def _kept(known: dict[str, T], name: str, make: Callable[[], T]) -> T:
    """Return the value of this name; beyond the limit, the one unused for longest is forgotten."""
    found = known.pop(name, None)
    if found is None:
        if len(known) >= MAX_TRACKED:
            known.pop(next(iter(known)))
        found = make()
    known[name] = found
    return found
