"""What the gateway knows at this moment: breakers, connectivity, budgets, loads.

One object per process, changed only by what it is told (`observe`, `reconfigure`); the deciders
in it are pure. Nothing here waits for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from outlast.accounts.keys import Key
from outlast.config import RouteSettings, Settings, TimeoutSettings
from outlast.gateway.asked import Asked, Plan
from outlast.gateway.breaker import Breaker
from outlast.gateway.connectivity import Connectivity
from outlast.gateway.events import Observe
from outlast.gateway.gaps import Gaps
from outlast.gateway.hearing import Hearing, components_of
from outlast.gateway.limits import Company, InFlight, RetryBudget, TokenBucket
from outlast.gateway.routing import candidates_of, narrower, order, permitted, spread
from outlast.gateway.transport import is_remote
from outlast.nouns import Allow, Candidate, ComponentState, Kind, Outcome

K = TypeVar("K")
T = TypeVar("T")

_SILENT_OF_NETWORK = frozenset({Outcome.CLIENT_GONE, Outcome.LEFT})

MAX_TRACKED = 10_000
"""Breakers and buckets kept at most: model names and keys come from outside."""


class _Menu(msgspec.Struct, frozen=True):
    """What a route offers for a model name within `allow`: worked out once for its settings."""

    route: RouteSettings
    listed: tuple[Candidate, ...]
    permitted: tuple[Candidate, ...]
    mixed: bool
    """Whether some have the same order: then each request spreads them anew."""
    timeouts: Mapping[str, TimeoutSettings]


class GatewayState:
    def __init__(
        self, settings: Settings, roll: Callable[[], float], company: Company | None = None
    ) -> None:
        """`company`: the other processes of this service, where there are some."""
        self.settings = settings
        self._company = company
        self.connectivity = Connectivity()
        self.budget = self._budget(settings)
        self.hearing = Hearing()
        """What Status says, filled from the bus."""
        self._roll = roll
        self._breakers: dict[str, Breaker] = {}
        self._menus: dict[tuple[str, str, Allow], _Menu] = {}
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
        self._menus.clear()
        self.budget = self._budget(settings)
        for name, load in self._upstream_loads.items():
            upstream = settings.upstreams.get(name)
            load.limit = upstream.max_concurrency if upstream is not None else None

    def _budget(self, settings: Settings) -> RetryBudget:
        """Our share of the free retries; the other part follows our own requests."""
        retry, count = settings.retry, self._company.count if self._company is not None else 1
        return RetryBudget(retry.budget_share, retry.budget_min_per_s / count)

    def breaker(self, candidate: Candidate) -> Breaker:
        return _kept(self._breakers, candidate.name, lambda: Breaker(self.settings.breaker))

    def breakers(self) -> dict[str, Breaker]:
        return dict(self._breakers)

    def plan(
        self, asked: Asked, route: RouteSettings, now: float, *, prompt_tokens: int = 0
    ) -> Plan:
        """Decide where this request may go and in which order."""
        settings, menu = self.settings, self._menu(route, asked.model, asked.allow)
        chosen: Sequence[Candidate] = menu.permitted
        if menu.mixed:
            chosen = [c for c in spread(route, menu.listed, self._roll) if c in menu.permitted]
        self.budget.deposit(now)
        return Plan(
            asked=asked,
            candidates=self._ordered(chosen, now),
            primary=menu.listed[0],
            timeouts=menu.timeouts,
            retry=settings.retry,
            prompt_tokens=prompt_tokens,
        )

    def listed(self, route: RouteSettings, asked: Asked) -> tuple[Candidate, ...]:
        """Return who is asked, in this order, while `smooth`; nobody where chance decides too."""
        menu = self._menu(route, asked.model, asked.allow)
        return () if menu.mixed else menu.permitted

    def smooth(self, names: Sequence[str]) -> bool:
        """Whether nothing speaks against any of these candidates, or the network."""
        if not self.hearing.quiet or not self.connectivity.calm:
            return False
        known = self._breakers
        for name in names:
            breaker = known.get(name)
            if breaker is not None and not breaker.calm:
                return False
        return True

    def _menu(self, route: RouteSettings, model: str, allow: Allow) -> _Menu:
        key = (route.model, model, allow)
        menu = self._menus.get(key)
        if menu is not None and menu.route is route:
            return menu
        listed = candidates_of(route, model, self.settings)
        within = narrower(route.allow, allow)
        orders = [p if c.order is None else c.order for p, c in enumerate(route.candidates)]
        menu = _Menu(
            route,
            tuple(listed),
            tuple(c for c in listed if permitted(c, listed[0], within)),
            mixed=len(set(orders)) < len(orders),
            timeouts={c.upstream: self.settings.timeouts_of(c.upstream) for c in listed},
        )
        return _kept(self._menus, key, lambda: menu)

    def _ordered(self, chosen: Sequence[Candidate], now: float) -> tuple[Candidate, ...]:
        """Return the candidates, best first. Mostly nothing speaks against any of them."""
        offline = self.connectivity.offline(now)
        known = [self._breakers.get(candidate.name) for candidate in chosen]
        if not offline and self.hearing.quiet and all(b is None or b.calm for b in known):
            return tuple(chosen)
        settings = self.settings
        roll = self._ramp_roll(chosen, now)
        return order(
            chosen,
            lambda candidate: self.breaker(candidate).admits(now, roll),
            offline=offline,
            here=lambda candidate: not is_remote(settings.upstreams[candidate.upstream]),
            demoted=self.hearing.demoted(chosen, now),
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
        if verdict is None:
            self.well(candidate, now)
            return
        upstream = self.settings.upstreams.get(candidate.upstream)
        if upstream is None:
            return  # it was removed from the settings meanwhile
        if observation.outcome not in _SILENT_OF_NETWORK:
            network, remote = verdict.network, is_remote(upstream)
            if self.connectivity.observe(candidate.provider, network, remote=remote, now=now):
                for breaker in self._breakers.values():
                    breaker.forgive()
            if remote and network != "carried" and self.connectivity.offline(now):
                return  # our own network: nobody is marked down for it
        self.breaker(candidate).observe(
            observation.outcome, observation.scope, now, verdict.retry_after_s
        )

    def well(self, candidate: Candidate, now: float, count: int = 1) -> None:
        """Take in that an attempt went well, or so many."""
        upstream = self.settings.upstreams.get(candidate.upstream)
        if upstream is None:
            return  # it was removed from the settings meanwhile
        if not self.connectivity.calm:
            remote = is_remote(upstream)
            self.connectivity.observe(candidate.provider, "carried", remote=remote, now=now)
        few = len(self._breakers) <= MAX_TRACKED // 2
        breaker = self._breakers.get(candidate.name) if few else None
        (breaker or self.breaker(candidate)).succeed(now, count)

    def heed(self, state: ComponentState, now: float) -> None:
        """Take in what Status says of a component; what comes back gets its traffic slowly."""
        if not self.hearing.heed(state, now):
            return
        known = {one.name: one for menu in self._menus.values() for one in menu.permitted}
        for candidate in known.values():
            if state.component in components_of(candidate):
                self.breaker(candidate).warm(now)

    def admit(self, key: Key, now: float) -> float:
        """Charge one request to a key; return 0 or the seconds to wait."""
        if key.requests_per_minute is None:
            return 0.0
        per_minute = key.requests_per_minute
        name = f"{key.id}/{per_minute}"
        if self._company is not None:
            wait_s = self._company.take(name, per_minute, now)
            if wait_s is not None:
                return wait_s
            per_minute = max(1, per_minute // self._company.count)  # our own share
        return _kept(self._buckets, name, lambda: TokenBucket(per_minute, now)).take(now)

    def load(self, key: Key) -> InFlight:
        """How many requests of this key are under way."""
        load = self._loads.get(key.id) if len(self._loads) <= MAX_TRACKED // 2 else None
        if load is None:
            load = _kept(self._loads, key.id, lambda: self._in_flight(key.id, key.concurrent))
        load.limit = key.concurrent
        return load

    def enter(self, key: Key) -> InFlight | None:
        """Count one more of this key's requests; None: it has as many under way as it may."""
        load = self._loads.get(key.id)
        many = len(self._loads) > MAX_TRACKED // 2
        if load is None or load.limit is not None or key.concurrent is not None or many:
            load = self.load(key)
        return load if load.enter() else None

    def upstream_load(self, name: str) -> InFlight:
        upstream = self.settings.upstreams.get(name)
        limit = upstream.max_concurrency if upstream is not None else None
        return _kept(self._upstream_loads, name, lambda: self._in_flight(f"upstream/{name}", limit))

    def _in_flight(self, name: str, limit: int | None) -> InFlight:
        return self._company.load(name, limit) if self._company is not None else InFlight(limit)

    def gaps(self, candidate: Candidate) -> Gaps:
        """How regular this candidate's streams are."""
        return _kept(self._gaps, candidate.name, Gaps)

    def healthy(self, route: RouteSettings, model: str, now: float) -> bool:
        """Whether some candidate beyond this machine would be asked now."""
        return any(
            candidate.kind is not Kind.LOCAL and self.breaker(candidate).admits(now, 0.0)
            for candidate in candidates_of(route, model, self.settings)
        )


def standing(state: GatewayState, now: float) -> list[tuple[Candidate, bool]]:
    """One candidate of each upstream, and whether any of that upstream would be asked now."""
    found: dict[str, tuple[Candidate, bool]] = {}
    for route in state.settings.routes:
        name = route.model if "*" not in route.model else ""
        for candidate in candidates_of(route, name, state.settings):
            asked = state.breaker(candidate).admits(now, 0.0)
            fine = asked and not state.hearing.against(candidate, now)
            known = found.get(candidate.upstream)
            found[candidate.upstream] = (candidate, fine or (known is not None and known[1]))
    return list(found.values())


def _kept(known: dict[K, T], name: K, make: Callable[[], T]) -> T:
    """Return the value of this name; beyond the limit, the one unused for longest is forgotten."""
    found = known.pop(name, None) if len(known) > MAX_TRACKED // 2 else known.get(name)
    if found is None:
        if len(known) >= MAX_TRACKED:
            known.pop(next(iter(known)))
        found = make()
    elif len(known) <= MAX_TRACKED // 2:
        return found  # far from the limit, who was used last does not matter
    known[name] = found
    return found
