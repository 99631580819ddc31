"""What a reader may be shown, as plain values: one Snapshot for page, JSON, feeds and mirror.

They all render the same Snapshot, so that they cannot disagree. It holds no secret, no address, no
key and no text that is not meant for the public; what vendors and people wrote in it is hostile
until it is escaped. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from outlast.nouns import (
    Component,
    ComponentState,
    Incident,
    Stage,
    Status,
    Surface,
    Suspicion,
)
from outlast.observatory.board import CrowdState, FeedState
from outlast.observatory.claims import Claim
from outlast.observatory.extent import SEEN, Extent, extent_of
from outlast.observatory.headline import headline
from outlast.observatory.judging import USUAL_SHARE
from outlast.observatory.recovery import Forecast, TooFew
from outlast.observatory.words import provider_name
from outlast.status.post_mortems import PostMortem
from outlast.status.spans import spans_of

Text = dict[str, str]
"""By language: `en`, `fr`."""

DAYS = 90
DAY_S = 86_400.0


class Day(msgspec.Struct, frozen=True):
    """One UTC day of one component."""

    date: str
    """`2026-03-02`."""
    status: Status | None
    """The worst of that day; None: nobody looked."""
    down_s: float = 0.0
    """Seconds inside incidents that reached it as a partial outage or worse."""
    degraded_s: float = 0.0
    incidents: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """One component as the page lists it."""

    state: ComponentState
    surface: str
    model: str = ""
    crowd: CrowdState | None = None
    days: tuple[Day, ...] = ()
    """The last DAYS days, the oldest first."""
    uptime: float | None = None
    """Share of the looked-at time without a partial outage or worse; None: it was looked at for
    less than a day in all, of which a share would say nothing."""
    watched_days: int = 0
    few: bool = False
    """Whether it, or one of its models, fails more often than is usual, and no outage is seen."""


class ProviderView(msgspec.Struct, frozen=True):
    provider: str
    name: str
    rows: tuple[Row, ...]
    """Surfaces first, in the order of Surface, then models of the API."""
    feeds: tuple[FeedState, ...] = ()


class Shown(msgspec.Struct, frozen=True):
    """An incident with what is known around it."""

    incident: Incident
    extent: Extent | None = None
    forecast: Forecast | TooFew | None = None
    claims: tuple[Claim, ...] = ()
    states: tuple[ComponentState, ...] = ()
    """What is said now of its components."""
    post_mortem: tuple[PostMortem, ...] = ()
    """Its versions, the newest last."""


class Fallback(msgspec.Struct, frozen=True):
    """What works instead, from the router's own knowledge."""

    name: str
    """The upstream's name, as the operator gave it; `local` is the embedded model."""
    provider: str
    local: bool
    works: bool
    """Whether it would be asked now."""
    proven_at: float | None = None
    """When it last answered whole; None: not since this service began."""


class Window(msgspec.Struct, frozen=True):
    """A window of maintenance: a vendor's, or our own operator's."""

    id: str
    title: Text
    text: Text
    components: tuple[str, ...]
    starts_at: float
    ends_at: float
    state: str
    """scheduled · in_progress · completed · cancelled"""
    by: str = ""
    """The provider, or `outlast`."""
    announced_at: float = 0.0
    """0: not known."""
    cancelled_at: float | None = None


class Snapshot(msgspec.Struct, frozen=True):
    at: float
    """When the observatory last looked; 0: it has not."""
    made_at: float
    stale: bool
    trouble: str
    headline: Text
    providers: tuple[ProviderView, ...]
    upstreams: tuple[Row, ...]
    """Our own upstreams."""
    open: tuple[Shown, ...]
    """The newest first."""
    recent: tuple[Shown, ...]
    """Those that are over, the last to end first."""
    windows: tuple[Window, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    base_url: str = ""
    reports: bool = True
    """Whether people may report."""
    subscriptions: tuple[str, ...] = ()
    """Channels on which one may subscribe: webhook, slack, email."""
    rehearsal: str = ""
    """What is played here, and is not happening now; empty in earnest."""

    def provider(self, name: str) -> ProviderView | None:
        return next((one for one in self.providers if one.provider == name), None)

    def shown(self, incident_id: str) -> Shown | None:
        found = (one for one in (*self.open, *self.recent) if one.incident.id == incident_id)
        return next(found, None)


class Around(msgspec.Struct, frozen=True):
    """What is known beside states and incidents."""

    extents: Mapping[str, Extent] = {}
    forecasts: Mapping[str, Forecast | TooFew] = {}
    claims: Mapping[str, tuple[Claim, ...]] = {}
    crowds: Mapping[str, CrowdState] = {}
    feeds: Mapping[str, FeedState] = {}
    looked_days: Mapping[str, frozenset[str]] = {}
    """By component: the dates on which anything was observed of it."""
    windows: tuple[Window, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    post_mortems: Mapping[str, tuple[PostMortem, ...]] = {}
    """By incident, the newest version last."""


class Frame(msgspec.Struct, frozen=True):
    """What holds for the whole page; as in Snapshot."""

    at: float
    now: float
    stale: bool = False
    trouble: str = ""
    base_url: str = ""
    reports: bool = True
    subscriptions: tuple[str, ...] = ()
    rehearsal: str = ""


def snapshot(
    states: Iterable[ComponentState],
    incidents: Sequence[Incident],
    around: Around,
    frame: Frame,
) -> Snapshot:
    """Return what may be shown. `incidents`: open ones, and those of the last DAYS days."""
    working = at_work(around.windows)
    known = {state.component: _worked_on(state, working) for state in states}
    some = [name for name, state in known.items() if some_failed(state)]
    rows: dict[str, list[Row]] = {}
    for name, state in sorted(known.items()):
        component = Component.parse(name)
        if not component.region:
            row = _row(component, state, incidents, around, frame.now)
            if state.status is Status.OPERATIONAL and not is_suspect(state):
                few = any(within(one, component.name) for one in some)
                row = msgspec.structs.replace(row, few=few)
            rows.setdefault(component.provider, []).append(row)
    upstreams = tuple(rows.pop("outlast", ()))
    shown = [_shown(one, known, around) for one in incidents if not one.merged_into]
    still = [one for one in shown if one.incident.stage is not Stage.RESOLVED]
    over = [one for one in shown if one.incident.stage is Stage.RESOLVED]
    return Snapshot(
        at=frame.at,
        made_at=frame.now,
        stale=frame.stale,
        trouble=frame.trouble,
        headline=headline([one.incident for one in still], known.values()),
        providers=tuple(
            _provider(name, found, around)
            for name, found in sorted(rows.items(), key=lambda item: _urgency(item[1]))
        ),
        upstreams=upstreams,
        open=tuple(sorted(still, key=lambda one: -one.incident.opened_at)),
        recent=tuple(sorted(over, key=lambda one: -(one.incident.resolved_at or 0.0))),
        windows=around.windows,
        fallbacks=around.fallbacks,
        base_url=frame.base_url,
        reports=frame.reports,
        subscriptions=frame.subscriptions,
        rehearsal=frame.rehearsal,
    )


def at_work(windows: Iterable[Window]) -> frozenset[str]:
    """Return the components on which operators work now."""
    active = (one for one in windows if one.state == "in_progress")
    return frozenset(name for one in active for name in one.components)


def within(name: str, component: str) -> bool:
    """Whether `name` is that component, or one of its models or regions."""
    return name == component or name.startswith((f"{component}/", f"{component}@"))


def _worked_on(state: ComponentState, working: Collection[str]) -> ComponentState:
    """What works while operators work on it is under maintenance; what fails is said to fail."""
    fine = state.status is Status.OPERATIONAL and not is_suspect(state)
    if fine and any(within(state.component, one) for one in working):
        return msgspec.structs.replace(state, status=Status.MAINTENANCE)
    return state


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of several; maintenance is told before what works."""
    return max(statuses, key=lambda one: (one.rank, one is Status.MAINTENANCE))


def _urgency(rows: Sequence[Row]) -> tuple[int, str]:
    """What fails comes first, then by name."""
    return -worst(row.state.status for row in rows).rank, rows[0].state.component


def _provider(name: str, rows: Sequence[Row], around: Around) -> ProviderView:
    order = [surface.value for surface in Surface]

    def place(row: Row) -> tuple[int, int, str]:
        known = order.index(row.surface) if row.surface in order else len(order)
        return (1 if row.model else 0, known, row.model)

    return ProviderView(
        provider=name,
        name=provider_name(name),
        rows=tuple(sorted(rows, key=place)),
        feeds=tuple(feed for feed in around.feeds.values() if feed.provider == name),
    )


def _shown(incident: Incident, states: Mapping[str, ComponentState], around: Around) -> Shown:
    return Shown(
        incident=incident,
        extent=_extent(around.extents.get(incident.id), incident, states),
        forecast=around.forecasts.get(incident.id),
        claims=around.claims.get(incident.id, ()),
        states=tuple(states[name] for name in sorted(incident.components) if name in states),
        post_mortem=around.post_mortems.get(incident.id, ()),
    )


def _extent(
    known: Extent | None, incident: Incident, states: Mapping[str, ComponentState]
) -> Extent | None:
    """From the states that stand beside it: what is kept may be a minute older than they are."""
    return extent_of(incident, states.values(), known.regions) if known is not None else None


def _row(
    component: Component,
    state: ComponentState,
    incidents: Sequence[Incident],
    around: Around,
    now: float,
) -> Row:
    name = component.name
    looked = around.looked_days.get(name, frozenset())
    days = days_of(name, incidents, looked, now)
    seen = [day for day in days if day.status is not None]
    down_s = sum(day.down_s for day in seen)
    # Of today only what has passed: an hour that was down is not yet an hour of a whole day.
    to_come_s = DAY_S - now % DAY_S if days[-1].status is not None else 0.0
    watched_s = len(seen) * DAY_S - to_come_s
    return Row(
        state=state,
        surface=component.surface,
        model=component.model,
        crowd=around.crowds.get(name),
        days=days,
        uptime=1.0 - down_s / watched_s if watched_s >= DAY_S else None,
        watched_days=len(seen),
    )


def days_of(
    component: str, incidents: Iterable[Incident], looked: frozenset[str], now: float
) -> tuple[Day, ...]:
    """The last DAYS days of a component, from the incidents that reached it.

    An incident counts for as long as it reached the component (spans.py), with the component's
    worst status: how that wavered is not kept. Retracted ones count for nothing.
    """
    spans = [
        (start, end, one)
        for one in incidents
        if not one.retracted and not one.merged_into
        for start, end in spans_of(one, component, now)
    ]
    today = int(now // DAY_S)
    return tuple(_day(number, component, spans, looked, now) for number in _last(today))


def _last(today: int) -> range:
    return range(today - DAYS + 1, today + 1)


def _day(
    number: int,
    component: str,
    spans: Sequence[tuple[float, float, Incident]],
    looked: frozenset[str],
    now: float,
) -> Day:
    start, end = number * DAY_S, min((number + 1) * DAY_S, now)
    inside = [
        (max(begin, start), min(finish, end), one)
        for begin, finish, one in spans
        if begin < end and finish > start
    ]
    down = [(a, b) for a, b, one in inside if one.components[component].rank >= 2]
    slow = [(a, b) for a, b, one in inside if one.components[component].rank == 1]
    date = date_of(start)
    worst: Status | None = Status.OPERATIONAL if date in looked or inside else None
    for _, _, one in inside:
        status = one.components[component]
        if worst is None or status.rank > worst.rank:
            worst = status
    return Day(
        date=date,
        status=worst,
        down_s=covered(down),
        degraded_s=covered(slow),
        incidents=tuple(dict.fromkeys(one.id for _, _, one in inside)),
    )


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds that any of these spans covers: what overlaps counts once."""
    total, reached = 0.0, float("-inf")
    for begin, finish in sorted(spans):
        if finish > reached:
            total += finish - max(begin, reached)
            reached = finish
    return total


def date_of(at: float) -> str:
    """The UTC date of a time (H. Hinnant, chrono dates: days since 1970 to a civil date)."""
    days = int(at // DAY_S) + 719_468
    era = days // 146_097
    day_of_era = days - era * 146_097
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_part = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_part + 2) // 5 + 1
    month = month_part + 3 if month_part < 10 else month_part - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return f"{year:04}-{month:02}-{day:02}"


def is_suspect(state: ComponentState) -> bool:
    return state.suspicion is not Suspicion.NONE


def tried(state: ComponentState) -> bool:
    """Whether we tried it ourselves, from here or elsewhere: what a vendor or people say of it is
    no proof that it works."""
    return any(one.kind in SEEN and one.total > 0 for one in state.evidence)


def untried(state: ComponentState) -> bool:
    """Whether "operational" would say more than anybody has seen."""
    return state.status is Status.OPERATIONAL and not is_suspect(state) and not tried(state)


def some_failed(state: ComponentState) -> bool:
    """Whether more tries failed than is usual, where no outage is seen: "operational" alone would
    hide them."""
    fine = state.status is Status.OPERATIONAL and not is_suspect(state)
    return fine and state.error_share[0] > USUAL_SHARE
