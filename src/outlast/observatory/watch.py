"""The observatory's decider: observations, pages, actions and time in; what to say out. Pure.

    observe(observation) ─┐
    page(FeedPage)  ──────┼─▶ components looked at ─▶ states ─▶ incidents ─▶ Said
    act(…)  ──────────────┤
    tick(now) ────────────┘

It holds no clock and does nothing: the watcher (shell) stores and publishes what it says. Fed the
same in the same order it says the same, which is what replays, drills and restarts rest on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from outlast.nouns import (
    Component,
    ComponentState,
    Incident,
    Notice,
    Observation,
    Outcome,
    Suspicion,
)
from outlast.observatory.acting import Action, BadAction, act
from outlast.observatory.board import CrowdState
from outlast.observatory.causing import Causing
from outlast.observatory.claiming import Claiming
from outlast.observatory.claims import Claim
from outlast.observatory.crowd import CrowdStream
from outlast.observatory.extent import Extent, extent_of
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.incident import Incidents
from outlast.observatory.learning import case_of, case_of_notice
from outlast.observatory.recovery import Forecast, Recovery, State, TooFew
from outlast.observatory.sequential import Rate
from outlast.observatory.vendors import PageMemory, Seen, VendorPage
from outlast.observatory.voices import WINDOW_S
from outlast.observatory.watched import Watched

COMPONENTS_MAX = 3000
IDLE_S = 6 * 3600.0
"""A component that nobody expects and nobody saw for so long is forgotten."""
LOOK_EVERY_S = 10.0
REPEAT_EVERY_S = 60.0
"""What is said of every component is said again, so that who missed it hears it."""
FORECAST_EVERY_S = 60.0
HURRY_EVERY_S = 600.0
CLOSER_EVERY_S = 60.0


class Said(msgspec.Struct):
    """What is new. Lists are in the order in which they should be stored and told."""

    states: list[ComponentState] = msgspec.field(default_factory=list)
    incidents: list[Incident] = msgspec.field(default_factory=list)
    forecasts: dict[str, Forecast | TooFew] = msgspec.field(default_factory=dict)
    extents: dict[str, Extent] = msgspec.field(default_factory=dict)
    crowds: dict[str, CrowdState] = msgspec.field(default_factory=dict)
    notices: list[Notice] = msgspec.field(default_factory=list)
    """Versions of notices to keep."""
    hurry: set[str] = msgspec.field(default_factory=set)
    """Components to look at more closely: probes, and their provider's page."""
    closer: set[str] = msgspec.field(default_factory=set)
    """Components to look at closely: their own test is on the way to a suspicion."""
    enough: set[str] = msgspec.field(default_factory=set)
    """Components whose close look is over: it is not, or it has arrived."""
    relax: set[str] = msgspec.field(default_factory=set)
    claims: list[Claim] = msgspec.field(default_factory=list)
    anew: dict[str, str] = msgspec.field(default_factory=dict)
    """Components whose evidence could not be judged, and why: what is known of them begins anew."""

    def add(self, incidents: Iterable[Incident]) -> None:
        """Note changed incidents, the last version of each."""
        for incident in incidents:
            self.incidents = [one for one in self.incidents if one.id != incident.id]
            self.incidents.append(incident)


class Snapshot(msgspec.Struct, frozen=True):
    """What is worth more than the minutes it took to learn; plain values."""

    at: float
    recovery: State | None = None
    crowds: dict[str, CrowdStream] = {}
    rates: dict[str, Rate] = {}
    """Usual shares of failures."""


class Watch:
    def __init__(
        self, *, vantage: str = "here", rate: float = 0.1, recovery: Recovery | None = None
    ) -> None:
        """`rate`: false suspicions a month that are accepted for each stream of evidence."""
        self._vantage = vantage
        self._rate = rate
        self._watched: dict[str, Watched] = {}
        self._expected: set[str] = set()
        self._pages: dict[str, VendorPage] = {}
        self._incidents = Incidents()
        self._recovery = recovery if recovery is not None else Recovery()
        self._causing = Causing()
        self.claims = Claiming()
        self._dirty: dict[str, None] = {}
        self._looked_at = 0.0
        self._repeated_at = 0.0
        self._forecast_at = 0.0
        self._hurried: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        """When a close look was asked for, of what is on the way to a suspicion."""
        self._learned: set[str] = set()
        """Notices that time to recovery has learnt from, `feed/id`."""

    def expect(self, components: Iterable[str], providers: Iterable[str] = ()) -> None:
        """Name what is watched from the start, whether anything is seen of it or not."""
        for name in components:
            self._expected.add(name)
            self._of(name)
        for provider in providers:
            self._pages.setdefault(provider, VendorPage(provider))

    def warm(self, component: str, first_minute: int, counts: Sequence[float]) -> None:
        """Give a component's crowd a history; see Watched.warm."""
        watched = self._of(component)
        if watched is not None:
            watched.warm(first_minute, counts)

    def restore(
        self,
        incidents: Sequence[Incident],
        notices: Sequence[Notice],
        states: Sequence[ComponentState],
    ) -> None:
        """Take up what was stored, in the place of what was decided here until now."""
        self._incidents.restore(incidents, states)
        for notice in notices:
            self._page(notice.provider).restore([notice])
        for state in states:
            watched = self._of(state.component)
            if watched is not None:
                watched.state = state

    def restore_late(
        self, incidents: Sequence[Incident], notices: Sequence[Notice], now: float
    ) -> Said:
        """Take up what was stored, where it could be read only after the watch had begun."""
        ours = {one.id: one for one in self._incidents.kept()}
        stored = [one for one in incidents if one.id not in ours]
        self._incidents.restore([*stored, *ours.values()], self.states())
        for notice in notices:
            self._page(notice.provider).restore([notice])
        said = Said()
        said.add(self._incidents.unite(now))
        said.states = [self._with_incident(state) for state in self.states()]
        return said

    # What comes in ----------------------------------------------------------------------------

    def observe(self, observation: Observation, now: float) -> None:
        """Take in one observation; what follows from it is said at the next tick."""
        if observation.outcome is Outcome.OURS:
            return  # our own network: nobody's outage
        names = components_of(observation)
        if not names:
            return  # no component's name: nobody's evidence
        self._causing.observe(observation, now)
        for name in names:
            watched = self._of(name)
            if watched is not None:
                watched.observe(observation, now, self._vantage)
                self._dirty[name] = None

    def page(self, page: FeedPage) -> Said:
        """Take in a vendor's page that was read."""
        now = page.fetched_at
        vendor = self._page(page.provider)
        news = vendor.take(page)
        for surface in vendor.marks():
            self._of(f"{page.provider}/{surface}")
        for seen in news:
            for name in seen.touched:
                self._of(name)
        said = self._look([n for n in self._watched if n.startswith(f"{page.provider}/")], now)
        for seen in news:
            self._tell(seen, said, now)
        self._learn_from(vendor)
        return said

    def page_failed(self, provider: str, reason: str, now: float) -> None:
        self._page(provider).failed(reason, now)

    def page_unchanged(self, provider: str, now: float) -> None:
        self._page(provider).confirmed(now)

    def act(self, incident_id: str, action: Action, by: str, now: float) -> Said:
        """Do what an operator asks. Raises BadAction."""
        incident = self._incidents.find(incident_id)
        if incident is None:
            raise BadAction(
                "There is no such incident here any more: only open ones and those of the last "
                "two days can be changed.",
                "Cet incident n'est plus ici\u00a0: seuls ceux qui sont ouverts et ceux des deux "
                "derniers jours peuvent être modifiés.",
            )
        done = act(incident, action, by, now)
        changed = self._incidents.add(incident_id, done.update, **done.changes)
        said = Said()
        if changed is not None:
            said.add([changed])
        return said

    def rumour(
        self, provider: str, kind: str, text: dict[str, str], sources: Sequence[str], now: float
    ) -> Said:
        """Take in a claim about a provider's outage. Raises BadAction, in words."""
        mine = [one for one in self._incidents.open() if one.provider == provider]
        incident = mine[-1].id if mine else ""
        return self.claim(self.claims.enter(incident, kind, text, sources, "operator", now))

    def claim(self, claim: Claim) -> Said:
        """Say a claim that was entered or judged."""
        said = Said()
        said.claims.append(claim)
        return said

    def tick(self, now: float) -> Said:
        """Let time pass. Cheap when nothing happened; call it every second or so."""
        repeat = now - self._repeated_at >= REPEAT_EVERY_S
        every = repeat or now - self._looked_at >= LOOK_EVERY_S
        names = list(self._watched) if every else list(self._dirty)
        said = self._look(names, now, repeat=repeat)
        if every:
            self._looked_at = now
            ended = self._incidents.tick(now)
            said.add(ended)
            for incident in ended:
                said.claims += self.claims.seen(incident, (), now)
        if repeat:
            self._repeated_at = now
            said.claims += self.claims.expire(now)
            self._forget(now)
        for incident in said.incidents:
            self._recovery.learn(case_of(incident, self._pages.get(incident.provider)))
        if now - self._forecast_at >= FORECAST_EVERY_S or said.incidents:
            self._forecast_at = now
            self._around(said, now)
        return said

    # What goes out ----------------------------------------------------------------------------

    def open(self) -> list[Incident]:
        return self._incidents.open()

    def states(self) -> list[ComponentState]:
        return [one.state for one in self._watched.values() if one.state is not None]

    def remember_pages(self) -> dict[str, PageMemory]:
        """What vendors' pages showed, for a start before they are read again; plain values."""
        return {name: page.memory() for name, page in self._pages.items() if page.read_at}

    def recall_pages(self, found: Mapping[str, PageMemory]) -> None:
        """Take up what pages showed, after `restore`."""
        for provider, memory in found.items():
            self._page(provider).recall(memory)

    def vendor_pages(self) -> dict[str, VendorPage]:
        return dict(self._pages)

    def snapshot(self, now: float) -> Snapshot:
        crowds = {n: w.crowd for n, w in self._watched.items() if w.crowd.last_at is not None}
        rates = {n: w.rate for n, w in self._watched.items() if w.rate.hours}
        return Snapshot(now, self._recovery.state(), crowds, rates)

    def recall(self, snapshot: Snapshot) -> None:
        """Take up what an earlier process had learnt."""
        if snapshot.recovery is not None:
            self._recovery = Recovery.restored(snapshot.recovery)
        for name, crowd in snapshot.crowds.items():
            watched = self._of(name)
            if watched is not None:
                watched.recall(crowd, snapshot.rates.get(name))

    def _look(self, names: Iterable[str], now: float, *, repeat: bool = False) -> Said:
        said = Said()
        seen: list[ComponentState] = []
        for name in names:
            watched = self._watched[name]
            before = watched.state
            page = self._pages.get(watched.component.provider)
            try:
                state = watched.look(page, self._vantage, now)
            except (ArithmeticError, LookupError, ValueError) as error:
                # One value that cannot be judged must not keep the others from being looked at.
                said.anew[name] = repr(error)
                watched = self._watched[name] = Watched(watched.component, rate=self._rate)
                watched.state, watched.touched_at = before, now
                continue
            watching = watched.watching and state.suspicion is Suspicion.NONE
            self._closer(name, said, now, watching=watching)
            seen.append(state)
            if repeat or _differs(before, state):
                said.states.append(state)
            self._hurry(state, said, now)
            self._dirty.pop(name, None)
        said.add(self._incidents.states(seen, now))
        said.states = [self._with_incident(state) for state in said.states]
        return said

    def _with_incident(self, state: ComponentState) -> ComponentState:
        incident = self._incidents.of(state.component)
        if incident is None:
            return state
        return msgspec.structs.replace(state, incident=incident.id)

    def _closer(self, name: str, said: Said, now: float, *, watching: bool) -> None:
        """On the way to a suspicion: a close look, and none at the vendor's page yet."""
        if not watching:
            if self._asked.pop(name, None) is not None:
                said.enough.add(name)
        elif now - self._asked.get(name, -CLOSER_EVERY_S) >= CLOSER_EVERY_S:
            self._asked[name] = now
            said.closer.add(name)

    def _hurry(self, state: ComponentState, said: Said, now: float) -> None:
        name = state.component
        if state.suspicion is Suspicion.NONE:
            if self._hurried.pop(name, None) is not None:
                said.relax.add(name)
        elif now - self._hurried.get(name, -HURRY_EVERY_S) >= HURRY_EVERY_S:
            self._hurried[name] = now
            said.hurry.add(name)

    def _learn_from(self, vendor: VendorPage) -> None:
        """Past outages on the vendor's page, but those that we have an incident of our own for."""
        ours = {name for one in self._incidents.kept() for name in one.notices}
        for notice in vendor.past():
            name = f"{notice.feed}/{notice.id}"
            if name in self._learned or name in ours:
                continue
            self._learned.add(name)
            case = case_of_notice(notice)
            if case is not None:
                self._recovery.learn(case)

    def _tell(self, seen: Seen, said: Said, now: float) -> None:
        said.notices.append(seen.notice)
        changed = self._incidents.notice(
            seen.notice, seen.touched, seen.fresh, now, edited=seen.edited
        )
        said.add(changed)
        home = next((one.id for one in changed if not one.merged_into), "")
        if home:
            said.claims += self.claims.heard(seen.notice, home, now)

    def _around(self, said: Said, now: float) -> None:
        """What is known around open incidents: extent, cause, time to recovery, people."""
        states = self.states()
        for incident in self._incidents.open():
            page = self._pages.get(incident.provider)
            changed = self._causing.of(incident, page, self._incidents, now)
            if changed is not None:
                said.add([changed])
                said.claims += self.claims.measured(changed, now)
                incident = changed  # noqa: PLW2901 - what is known now
            case = case_of(incident, page)
            self._recovery.learn(case)
            said.forecasts[incident.id] = self._recovery.predict(
                incident.provider,
                max(0.0, now - incident.started_at),
                case.stage(now),
                incident.relapses,
                now,
            )
            regions: dict[str, int] = {}
            for name in incident.components:
                if name in self._watched:
                    for region, count in self._watched[name].voices.regions().items():
                        regions[region] = regions.get(region, 0) + count
            said.extents[incident.id] = extent_of(incident, states, regions)
            said.claims += self.claims.seen(incident, states, now)
        for name, watched in self._watched.items():
            if len(watched.voices):
                said.crowds[name] = crowd_state(watched)

    # What is kept -----------------------------------------------------------------------------

    def _page(self, provider: str) -> VendorPage:
        page = self._pages.get(provider)
        if page is None:
            page = self._pages[provider] = VendorPage(provider)
        return page

    def _of(self, name: str) -> Watched | None:
        """The component of this name; None where there is no room for another."""
        watched = self._watched.get(name)
        if watched is None:
            if len(self._watched) >= COMPONENTS_MAX:
                return None
            try:
                component = Component.parse(name)
            except ValueError:
                return None
            watched = self._watched[name] = Watched(component, rate=self._rate)
        return watched

    def _forget(self, now: float) -> None:
        for name, watched in list(self._watched.items()):
            if name not in self._expected and watched.touched_at and watched.idle(now, IDLE_S):
                del self._watched[name]
                self._asked.pop(name, None)


def components_of(observation: Observation) -> tuple[str, ...]:
    """The components that an observation is evidence for: itself, its surface, our upstream."""
    upstream = observation.upstream if observation.source in {"attempt", "probe"} else ""
    return _components_of(observation.component, observation.source == "report", upstream)


@lru_cache(maxsize=4096)
def _components_of(name: str, report: bool, upstream: str) -> tuple[str, ...]:
    try:
        component = Component.parse(name)
    except ValueError:
        return ()
    whole = component.whole.name
    if report:
        return (whole,)
    names = [component.name] if component.name != whole else []
    names.append(whole)
    if upstream:
        names.append(f"outlast/upstream/{upstream}")
    return tuple(dict.fromkeys(names))


def crowd_state(watched: Watched) -> CrowdState:
    against, works = watched.voices.people()
    return CrowdState(
        not_working=against,
        working=works,
        window_s=WINDOW_S,
        shed=watched.voices.forgotten,
        top_share=watched.voices.top_share(),
        regions=watched.voices.regions(),
    )


def _differs(before: ComponentState | None, now: ComponentState) -> bool:
    """Whether a reader would see a difference."""
    if before is None:
        return True
    return (
        before.status is not now.status
        or before.suspicion is not now.suspicion
        or before.contradiction != now.contradiction
        or abs(before.probability - now.probability) >= 0.05
    )
