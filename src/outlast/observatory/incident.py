"""The life of an incident: from the first suspicion to the end, relapses included. Pure.

Component states, vendors' notices, operators' actions and time go in; changed incidents come out.
What may follow what is the TABLE of incident_life.py. Everything that happens is an Update, and
none is ever changed or taken out: a correction is a further one that names the first.

One provider has one open incident, unless a component fails that has nothing to do with an older
one (`SPREAD_S`). A component that fails again within `REOPEN_S` of the end reopens its incident;
later than that it begins a new one that names the old (`previous`, within `FOLLOWS_S`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from outlast.nouns import (
    ComponentState,
    Impact,
    Incident,
    Notice,
    NoticeUpdate,
    Stage,
    Status,
    Suspicion,
    Update,
)
from outlast.observatory import incident_texts as texts
from outlast.observatory.incident_life import (
    Event,
    Live,
    age,
    contradicted,
    declared,
    impact,
    incident_id,
    include,
    is_open,
    is_whole,
    kinds_of,
    last_at,
    move,
    note_status,
    replace,
    surface,
    title,
    worst,
)

CALM_S = 15 * 60.0
"""Healthy for so long without relapse, and it is over."""
REOPEN_S = 60 * 60.0
"""On 2 March 2026 the vendor called it resolved, and it was back within 63 minutes."""
FOLLOWS_S = 24 * 3600.0
SPREAD_S = 60 * 60.0
"""What begins to fail within an hour of an open incident's last spread is the same outage."""
CHANGED_EVERY_S = 5 * 60.0
SAID_AGAIN_S = 60 * 60.0
"""A vendor's same words within the hour, on both sides of a restart, are one post read twice."""
KEPT_MAX = 200
"""Ended incidents that are remembered here, for relapses and late notices."""


class Incidents:
    def __init__(self, *, calm_s: float = CALM_S, reopen_s: float = REOPEN_S) -> None:
        self._calm_s = calm_s
        self._reopen_s = reopen_s
        self._lives: dict[str, Live] = {}
        self._seen: dict[str, ComponentState] = {}

    def restore(self, incidents: Iterable[Incident], states: Iterable[ComponentState] = ()) -> None:
        """Take up incidents again after a start: the open ones, and those that ended lately.

        `states`: what was said last. What was failing counts as failing until the first look at
        it says otherwise, and what was said of it is not said again.
        """
        self._lives.clear()
        self._seen.clear()
        for incident in sorted(incidents, key=lambda one: one.opened_at):
            live = Live(incident, spread_at=last_at(incident), restored=len(incident.updates))
            if incident.stage is Stage.MONITORING:
                live.healthy_at = last_at(incident, "monitoring")
            self._lives[incident.id] = live
        for state in states:
            self._seen[state.component] = state
            life = self._life_of(state.component)
            if life is None or state.suspicion is Suspicion.NONE:
                continue
            life.failing[state.component] = state
            if state.contradiction and is_whole(state):
                life.contradictions.add(contradicted(state))

    def unite(self, now: float) -> list[Incident]:
        """Make one of incidents that are open at once and share a surface, as where the past could
        be read only after the watch had begun. Returns the incidents that changed by it."""
        changed: dict[str, Live] = {}
        lives = sorted(filter(is_open, self._lives.values()), key=age)
        for number, live in enumerate(lives):
            surfaces = set(map(surface, live.incident.components))
            for older in lives[:number]:
                same = older.incident.provider == live.incident.provider and is_open(older)
                if same and surfaces & set(map(surface, older.incident.components)):
                    self._merge(live, older, now)
                    changed |= {older.incident.id: older, live.incident.id: live}
                    break
        return [live.incident for live in changed.values()]

    def open(self) -> list[Incident]:
        """Every incident that is not over, the oldest first."""
        return [live.incident for live in self._lives.values() if is_open(live)]

    def kept(self) -> list[Incident]:
        """Every incident that is remembered, over or not."""
        return [live.incident for live in self._lives.values()]

    def find(self, incident_id: str) -> Incident | None:
        live = self._lives.get(incident_id)
        return live.incident if live is not None else None

    def of(self, component: str) -> Incident | None:
        """The open incident that a component belongs to."""
        for live in self._lives.values():
            if is_open(live) and component in live.incident.components:
                return live.incident
        return None

    def states(self, states: Sequence[ComponentState], now: float) -> list[Incident]:
        """Take in what is said of components now. Returns the incidents that changed by it."""
        changed: dict[str, None] = {}
        by_provider: dict[str, list[ComponentState]] = {}
        for state in states:
            if not state.component.startswith("outlast/"):  # ours follow their provider's
                by_provider.setdefault(state.component.partition("/")[0], []).append(state)
        for provider, found in by_provider.items():
            for live in self._take(provider, found, now):
                changed[live.incident.id] = None
        for state in states:
            self._seen[state.component] = state
        return [self._lives[name].incident for name in changed if name in self._lives]

    def tick(self, now: float) -> list[Incident]:
        """Let time pass: what has been healthy for long enough is over."""
        ended = []
        for live in list(self._lives.values()):
            incident, since = live.incident, live.healthy_at
            if incident.stage is not Stage.MONITORING or since is None:
                continue
            if now - since >= self._calm_s and not live.failing:
                text = texts.resolved(
                    incident.started_at,
                    since,
                    self._calm_s,
                    confirmed=incident.suspicion is Suspicion.O_DOWN,
                    relapses=incident.relapses,
                )
                move(live, Event.CALM, now, text)
                replace(live, resolved_at=since)
                ended.append(live.incident)
        self._forget(now)
        return ended

    def notice(
        self,
        notice: Notice,
        touched: Mapping[str, Status],
        fresh: Sequence[NoticeUpdate],
        now: float,
        *,
        edited: bool = False,
    ) -> list[Incident]:
        """Take in what a vendor says. `touched`: our components that it names; `fresh`: its
        entries that were not there before. Merges what it says is one outage."""
        homes = self._homes_of(notice, touched, now)
        if not homes:
            return []
        first, *others = homes
        merged = [
            self._merge(other, first, now) for other in others if is_open(first) and is_open(other)
        ]
        name = f"{notice.feed}/{notice.id}"
        if name not in first.incident.notices:
            replace(first, notices=(*first.incident.notices, name))
        for entry in fresh:
            event = Event.IDENTIFIED if entry.stage == "identified" else Event.SAID
            text = texts.vendor(notice.provider, entry.stage, entry.body, edited=edited)
            if _told_before(first, text, now):
                continue
            move(first, event, now, text, components=tuple(sorted(touched)))
        return [first.incident, *(live.incident for live in merged)]

    def add(
        self,
        incident_id: str,
        update: Update,
        **changes: object,
    ) -> Incident | None:
        """Append an update made elsewhere (an operator's, a cause's), with what it changes."""
        live = self._lives.get(incident_id)
        if live is None:
            return None
        replace(live, updates=(*live.incident.updates, update), **changes)
        return live.incident

    def _life_of(self, component: str) -> Live | None:
        """The incident that this component is in; else the one that it was in last."""
        lives = [one for one in self._lives.values() if component in one.incident.components]
        lives = [one for one in lives if not one.incident.merged_into]
        return next(filter(is_open, reversed(lives)), lives[-1] if lives else None)

    # What follows from component states -------------------------------------------------------

    def _take(self, provider: str, states: list[ComponentState], now: float) -> list[Live]:
        changed: list[Live] = []
        for live in self._lives.values():
            if not is_open(live):
                # Over by an operator's word while it failed: its next failure is a new one.
                for state in states:
                    if state.suspicion is Suspicion.NONE:
                        live.failing.pop(state.component, None)
        starting = [s for s in states if s.suspicion is not Suspicion.NONE and not self._was(s)]
        if starting:
            changed.append(self._begin(provider, starting, now))
        for live in self._open_of(provider):
            own = [s for s in states if s.component in live.incident.components]
            if own and self._follow(live, provider, own, now) and live not in changed:
                changed.append(live)
        return changed

    def _was(self, state: ComponentState) -> bool:
        """Whether this component's failure is known: in an open incident, or in one that an
        operator ended while it failed."""
        return any(state.component in live.failing for live in self._lives.values())

    def _begin(self, provider: str, starting: list[ComponentState], now: float) -> Live:
        """Find the incident that these belong to, or open one."""
        home = self._home(provider, starting, now)
        if home is None:
            return self._open(provider, starting, now)
        before = set(home.incident.components)
        was_over = home.incident.stage in {Stage.MONITORING, Stage.RESOLVED}
        include(home, starting)
        home.spread_at = home.changed_at = now
        if was_over:
            count = home.incident.relapses + 1
            move(
                home,
                Event.FAILING,
                now,
                texts.relapsed(starting, provider, count),
                starting[0].evidence,
                tuple(s.component for s in starting),
            )
            replace(home, relapses=count, resolved_at=None)
            home.healthy_at = None
        elif new := [s for s in starting if s.component not in before]:
            move(
                home,
                Event.SPREAD,
                now,
                texts.extended(new, provider),
                new[0].evidence,
                tuple(s.component for s in new),
            )
        return home

    def _home(self, provider: str, starting: list[ComponentState], now: float) -> Live | None:
        surfaces = {surface(state.component) for state in starting}
        lives = [live for live in self._lives.values() if live.incident.provider == provider]
        for live in reversed(lives):
            same = surfaces & {surface(name) for name in live.incident.components}
            if is_open(live) and (same or now - live.spread_at <= SPREAD_S):
                return live
        for live in reversed(lives):
            incident = live.incident
            same = surfaces & {surface(name) for name in incident.components}
            ended = incident.resolved_at
            over = incident.stage is Stage.RESOLVED and _was_one(incident)
            if over and same and ended is not None and now - ended <= self._reopen_s:
                return live
        return None

    def _open(self, provider: str, starting: list[ComponentState], now: float) -> Live:
        began = min([s.since_at for s in starting if s.since_at] or [now])
        previous = self._previous(provider, now)
        components = tuple(state.component for state in starting)
        text = texts.opened(starting[0], provider)
        if previous:
            text = {lang: text[lang] + more for lang, more in texts.follows(previous).items()}
        incident = Incident(
            id=incident_id(provider, components[0], now),
            provider=provider,
            opened_at=now,
            started_at=min(began, now),
            stage=Stage.INVESTIGATING,
            impact=Impact.NONE,
            suspicion=Suspicion.S_DOWN,
            components={},
            title={},
            updates=(
                Update(
                    at=now,
                    kind="opened",
                    stage=Stage.INVESTIGATING,
                    text=text,
                    evidence=starting[0].evidence,
                    components=components,
                ),
            ),
            previous=previous,
        )
        live = Live(incident, spread_at=now, changed_at=now)
        include(live, starting)
        self._lives[incident.id] = live
        return live

    def _previous(self, provider: str, now: float) -> str:
        for live in reversed(self._lives.values()):
            ended = live.incident.resolved_at
            same = live.incident.provider == provider and _was_one(live.incident)
            if same and ended is not None:
                return live.incident.id if now - ended <= FOLLOWS_S else ""
        return ""

    def _follow(self, live: Live, provider: str, states: list[ComponentState], now: float) -> bool:
        """Bring an open incident up to what is said of its components; whether that says more."""
        updates = len(live.incident.updates)
        note_status(live, states)
        for state in states:
            if state.suspicion is Suspicion.NONE:
                live.failing.pop(state.component, None)
            elif state.component in live.failing:
                live.failing[state.component] = state
        self._confirm(live, provider, states, now)
        self._contradict(live, provider, states, now)
        worse = [s for s in states if self._worse(s) and _is_told(s, live)]
        if worse and now - live.changed_at >= CHANGED_EVERY_S:
            live.changed_at = now
            names = tuple(s.component for s in worse)
            move(live, Event.CHANGED, now, texts.changed(worse), worse[0].evidence, names)
        if live.failing or live.incident.stage is Stage.MONITORING:
            return len(live.incident.updates) != updates
        live.healthy_at = now
        vendor_open = any(declared(state) for state in states)
        text = texts.monitoring(now, self._calm_s, vendor_open=vendor_open, provider=provider)
        move(live, Event.HEALTHY, now, text)
        return True

    def _worse(self, state: ComponentState) -> bool:
        before = self._seen.get(state.component)
        return before is not None and before.status is not state.status

    def _confirm(self, live: Live, provider: str, states: list[ComponentState], now: float) -> None:
        if live.incident.suspicion is Suspicion.O_DOWN:
            return
        sure = [state for state in states if state.suspicion is Suspicion.O_DOWN]
        if sure:
            kinds = kinds_of(sure[0].evidence)
            text = texts.confirmed(sure[0], provider, kinds)
            names = tuple(s.component for s in sure)
            move(live, Event.CONFIRMED, now, text, sure[0].evidence, names)
            replace(live, suspicion=Suspicion.O_DOWN)

    def _contradict(
        self, live: Live, provider: str, states: list[ComponentState], now: float
    ) -> None:
        for state in states:
            if not is_whole(state):
                continue  # a model's contradiction is its surface's
            key = contradicted(state)
            if state.contradiction and key not in live.contradictions:
                live.contradictions.add(key)
                text = texts.contradiction(state, provider)
                names = (state.component,)
                move(live, Event.CONTRADICTED, now, text, state.evidence, names)
            elif not state.contradiction:
                # Said again if it comes back: on 2 March it was taken back after 76 minutes.
                live.contradictions -= {
                    f"{state.component} vendor_says_fine",
                    f"{state.component} vendor_says_down",
                }

    # What follows from notices ----------------------------------------------------------------

    def _homes_of(self, notice: Notice, touched: Mapping[str, Status], now: float) -> list[Live]:
        """The incidents that a notice is about, the oldest first."""
        name = f"{notice.feed}/{notice.id}"
        lives = [
            live
            for live in self._lives.values()
            if live.incident.provider == notice.provider and not live.incident.merged_into
        ]
        known = [live for live in lives if name in live.incident.notices]
        surfaces = {surface(component) for component in touched}
        about = [
            live
            for live in lives
            if is_open(live)
            and surfaces & {surface(component) for component in live.incident.components}
        ]
        if known or about:
            return sorted({id(one): one for one in (*known, *about)}.values(), key=age)
        near = [live for live in lives if is_open(live)] if not surfaces else []
        late = [
            live
            for live in lives
            if live.incident.resolved_at is not None
            and now - live.incident.resolved_at <= FOLLOWS_S
            and live.incident.started_at - SPREAD_S
            <= notice.started_at
            <= live.incident.resolved_at
        ]
        return sorted(near or late, key=age)[:1]

    def _merge(self, live: Live, into: Live, now: float) -> Live:
        """End `live` as a part of `into`."""
        one, other = into.incident, live.incident
        for component, state in live.failing.items():
            into.failing[component] = state
        components = worst(one.components, other.components)
        replace(
            into,
            components=components,
            impact=impact(components.values()),
            title=title(one.provider, components),
            started_at=min(one.started_at, other.started_at),
            suspicion=max(one.suspicion, other.suspicion, key=list(Suspicion).index),
            updates=(
                *one.updates,
                Update(
                    at=now,
                    kind="merged",
                    stage=one.stage,
                    text=texts.took_in(other.id, other.components),
                    components=tuple(sorted(other.components)),
                ),
            ),
        )
        replace(
            live,
            stage=Stage.RESOLVED,
            resolved_at=now,
            merged_into=one.id,
            updates=(
                *other.updates,
                Update(at=now, kind="merged", stage=Stage.RESOLVED, text=texts.merged(one.id)),
            ),
        )
        live.failing.clear()
        return live

    def _open_of(self, provider: str) -> list[Live]:
        return [
            live
            for live in self._lives.values()
            if live.incident.provider == provider and is_open(live)
        ]

    def _forget(self, now: float) -> None:
        over = [name for name, live in self._lives.items() if not is_open(live)]
        for name in over[: max(0, len(over) - KEPT_MAX)]:
            del self._lives[name]
        for name in over:
            ended = self._lives[name].incident.resolved_at if name in self._lives else None
            if ended is not None and now - ended > 2 * FOLLOWS_S:
                del self._lives[name]


def _was_one(incident: Incident) -> bool:
    """Whether it was an outage of its own: neither taken back nor a part of another."""
    return not incident.retracted and not incident.merged_into


def _told_before(live: Live, text: Mapping[str, str], now: float) -> bool:
    """Whether a vendor's words were written down shortly before a restart. The page may have been
    read, and the incident stored, when there was no time left to store the notice."""
    return any(
        update.kind == "vendor" and update.text == text and now - update.at <= SAID_AGAIN_S
        for update in live.incident.updates[: live.restored]
    )


def _is_told(state: ComponentState, live: Live) -> bool:
    """Whether a change of how bad it is becomes an update: a model's does where its surface fails
    not, else the surface's says enough."""
    if state.suspicion is Suspicion.NONE:
        return False
    whole = surface(state.component)
    return whole == state.component or whole not in live.failing
