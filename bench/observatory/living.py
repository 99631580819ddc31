"""A simulated world lived through by a Watch, as the service would: events in, probabilities out.

Our own requests come minute by minute; probes of each surface every five minutes, every half
minute while the watch wants them hurried, one more where it asks for a close look (of which the
service makes two dozen: what is said here is said later than there); the vendor's page
is read every quarter of an hour, every five minutes while hurried. Time is looked at every five
minutes while nothing happens, every ten seconds when something begins and every minute while it
lasts (the watch is not told which is which; it is only looked at less often).
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right

import msgspec

from bench.observatory.world import (
    LOGIN,
    MODELS,
    SCORED,
    USUAL_ERRORS,
    USUAL_PROBE_ERRORS,
    WEB,
    Outage,
    World,
    requests_per_minute,
)
from outlast.nouns import Notice, NoticeUpdate, Observation, Outcome, Status, Suspicion
from outlast.observatory.feeds.reading import FeedPage, Reading, sealed
from outlast.observatory.watch import Said, Watch

PROBED = (*MODELS, WEB, LOGIN)
"""A model is probed by asking it for an answer; that is a probe of the API too."""
PROBE_S = 300.0
HURRIED_S = 30.0
PAGE_S, PAGE_HURRIED_S = 900.0, 300.0
QUIET_LOOK_S = 300.0
LOOK_S = 10.0
CLOSE_S = 20 * 60.0
BUSY_LOOK_S = 60.0
GRID_S = 600.0
PAGE_DEAD_SHARE = 0.01
FAILURES = (Outcome.OVERLOADED, Outcome.SERVER_ERROR, Outcome.TIMEOUT)


class Sample(msgspec.Struct, frozen=True):
    """What was said of a component at a moment of the grid, and what was so."""

    component: str
    at: float
    probability: float
    failing: bool
    vendor: bool
    """Whether the vendor's page marked it as not well."""


class Lived(msgspec.Struct):
    samples: list[Sample]
    opened: list[tuple[float, str]]
    """When suspicions of a component began: time, component."""
    confirmed: list[tuple[float, str]]
    delays: list[tuple[Outage, float | None]]
    """From an outage's start to the first suspicion of anything; None: never."""
    months: float


class _Life:
    def __init__(self, world: World, seed: int, probe_s: float) -> None:
        self.world, self.roll = world, random.Random(seed)
        self.watch = Watch()
        self.probe_s = probe_s
        self.hurried: set[str] = set()
        self.events: list[tuple[float, int, str, str]] = []
        self.count = 0
        self.version = 0
        self.suspicions: dict[str, Suspicion] = {}
        self.lived = Lived([], [], [], [], (world.end_at - world.start_at) / (30 * 86_400))
        self.watch.expect(SCORED, ("vendor",))
        self.busy = list(world.busy())
        self.busy_starts = [start for start, _ in self.busy]

    def push(self, at: float, what: str, name: str = "") -> None:
        self.count += 1
        heapq.heappush(self.events, (at, self.count, what, name))


def live(world: World, seed: int, *, probe_s: float = PROBE_S) -> Lived:
    """Live through a world. `probe_s`: how far apart probes are while nothing is suspected."""
    life = _Life(world, seed, probe_s)
    for name in PROBED:
        life.push(world.start_at + life.roll.uniform(0, probe_s), "probe", name)
    for what in ("minute", "page", "look"):
        life.push(world.start_at, what)
    life.push(world.start_at + GRID_S, "grid")
    does = {"minute": _minute, "probe": _probe, "page": _page, "look": _look, "grid": _grid,
            "attempt": _attempt, "extra": _extra, "report": _report}  # fmt: skip
    while life.events:
        at, _, what, name = heapq.heappop(life.events)
        if at >= world.end_at:
            break
        does[what](life, at, name)
    _score_delays(life)
    return life.lived


def _minute(life: _Life, at: float, _: str) -> None:
    """Put a minute's requests and reports in their places."""
    roll = life.roll
    for name, weight in MODELS.items():
        for _n in range(_poisson(roll, requests_per_minute(at) * weight)):
            life.push(at + roll.uniform(0, 60), "attempt", name)
    for _n in range(_poisson(roll, life.world.reports(at))):
        life.push(at + roll.uniform(0, 60), "report", WEB)
    life.push(at + 60, "minute")


def _attempt(life: _Life, at: float, name: str) -> None:
    share = USUAL_ERRORS + life.world.share(name, at)
    outcome = Outcome.OK if life.roll.random() >= share else life.roll.choice(FAILURES)
    life.watch.observe(Observation(at, "attempt", name, outcome), at)


def _probe(life: _Life, at: float, name: str) -> None:
    _extra(life, at, name)
    every = min(HURRIED_S, life.probe_s) if name in life.hurried else life.probe_s
    life.push(at + every * life.roll.uniform(0.9, 1.1), "probe", name)


def _extra(life: _Life, at: float, name: str) -> None:
    share = USUAL_PROBE_ERRORS + life.world.share(name, at) + life.world.noisy(at)
    outcome = Outcome.OK if life.roll.random() >= share else life.roll.choice(FAILURES)
    life.watch.observe(Observation(at, "probe", name, outcome), at)


def _report(life: _Life, at: float, name: str) -> None:
    roll = life.roll
    life.count += 1
    group = roll.randrange(3000)
    outcome = Outcome.OK if roll.random() < 0.08 else Outcome.SERVER_ERROR
    life.watch.observe(
        Observation(
            at,
            "report",
            name,
            outcome,
            network=f".g{group}.n{group}",
            reporter=f"r{life.count}",
        ),
        at,
    )


def _page(life: _Life, at: float, _: str) -> None:
    life.push(at + (PAGE_HURRIED_S if life.hurried else PAGE_S), "page")
    if life.roll.random() < PAGE_DEAD_SHARE:
        life.watch.page_failed("vendor", "HTTP 503", at)
        return
    _heard(life, life.watch.page(page_of(life.world, at)), at)


def page_of(world: World, at: float) -> FeedPage:
    """The vendor's page at a moment: what it has posted in the last days, and its marks."""
    marks = dict.fromkeys(("API", "Web", "Login"), Status.OPERATIONAL)
    notices = []
    for one in world.posted:
        began = one.stages[0][0]
        if not at - 3 * 86_400 < began <= at:
            continue
        said = [(when, stage) for when, stage in one.stages if when <= at]
        stage = said[-1][1]
        ended = stage in {"monitoring", "resolved"}
        status = Status.OPERATIONAL if ended else Status.PARTIAL
        if not ended:
            marks |= dict.fromkeys(one.parts, Status.PARTIAL)
        notices.append(_notice(one.id, one.parts, said, status, at))
    readings = tuple(Reading(name, status) for name, status in marks.items())
    return FeedPage(
        "vendor",
        "page",
        "statuspage",
        at,
        components=readings,
        notices=tuple(notices),
        covers="history",
    )


def _notice(
    ident: str, parts: tuple[str, ...], said: list[tuple[float, str]], status: Status, at: float
) -> Notice:
    return sealed(
        Notice(
            "vendor",
            "page",
            ident,
            "incident",
            "Elevated errors",
            stage=said[-1][1],
            impact="major",
            components=tuple((name, str(status)) for name in parts),
            updates=tuple(NoticeUpdate(when, stage, stage) for when, stage in said),
            started_at=said[0][0],
            resolved_at=said[-1][0] if said[-1][1] == "resolved" else None,
            fetched_at=at,
        )
    )


def _look(life: _Life, at: float, _: str) -> None:
    _heard(life, life.watch.tick(at), at)
    place = bisect_right(life.busy_starts, at) - 1
    busy = place >= 0 and at < life.busy[place][1]
    if busy or life.hurried:
        began = busy and at - life.busy[place][0] < CLOSE_S
        life.push(at + (LOOK_S if began else BUSY_LOOK_S), "look")
        return
    following = life.busy_starts[place + 1] if place + 1 < len(life.busy) else at + QUIET_LOOK_S
    life.push(min(at + QUIET_LOOK_S, max(following, at + LOOK_S)), "look")


def _grid(life: _Life, at: float, _: str) -> None:
    life.push(at + GRID_S, "grid")
    _heard(life, life.watch.tick(at), at)
    page = life.watch.vendor_pages()["vendor"]
    marks = {name for name, mark in page.marks().items() if mark.status.rank}
    for state in life.watch.states():
        surface = state.component.split("/")[1]
        life.lived.samples.append(
            Sample(
                state.component,
                at,
                state.probability,
                life.world.failing(state.component, at),
                surface in marks,
            )
        )


def _heard(life: _Life, said: Said, at: float) -> None:
    for state in said.states:
        before = life.suspicions.get(state.component, Suspicion.NONE)
        life.suspicions[state.component] = state.suspicion
        if before is Suspicion.NONE and state.suspicion is not Suspicion.NONE:
            life.lived.opened.append((at, state.component))
        if state.suspicion is Suspicion.O_DOWN and before is not Suspicion.O_DOWN:
            life.lived.confirmed.append((at, state.component))
    for name in sorted(said.hurry | said.closer):
        for one in PROBED:
            if one == name or one.startswith(f"{name}/"):
                life.push(at + 1.0, "extra", one)
        if name in said.hurry:
            for one in PROBED:
                if one not in life.hurried:
                    life.hurried.add(one)
                    life.push(at + life.roll.uniform(2, HURRIED_S), "extra", one)
    if said.relax and all(one is Suspicion.NONE for one in life.suspicions.values()):
        life.hurried.clear()


def _score_delays(life: _Life) -> None:
    """From each outage to the first suspicion of anything within it."""
    opened = [at for at, _ in life.lived.opened]
    for outage in life.world.outages:
        place = bisect_right(opened, outage.start_at)
        at = opened[place] if place < len(opened) else None
        found = at is not None and at < outage.end_at + 60
        life.lived.delays.append((outage, at - outage.start_at if found and at else None))


def _poisson(roll: random.Random, mean: float) -> int:
    """A count; means are small here."""
    count, left = 0, roll.expovariate(1.0)
    while left < mean:
        count += 1
        left += roll.expovariate(1.0)
    return count
