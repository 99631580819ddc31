"""Files that a replay reads: a script (TOML) or a record (JSON lines). Errors are told in words.

A script says what happens between two times, and is played with chance from its seed:

    [[traffic]]   component, from, to, per_minute, error_share, outcome
    [[probe]]     component, from, to, every_s, error_share, outcome, place
    [[reports]]   component, from, to, per_minute, works_share, regions
    [[usual]]     component, per_day, days
    [[page]]      at, provider, the marks of its components, its notice's entries so far
    [[unread]]    at, provider, reason
    [[rumour]]    at, provider, kind, en, fr, sources

A record has one JSON object a line: {"at": …, "observation": {…}} or {"at": …, "page": {…}} or
{"at": …, "unread": {…}} or {"at": …, "reread": {…}} or {"at": …, "rumour": {…}}; what the service
keeps is written so by `outlast replay --record` (recording.py).
"""

from __future__ import annotations

import datetime
import heapq
import random
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from outlast.nouns import Notice, NoticeUpdate, Observation, Outcome, Status
from outlast.observatory.feeds.reading import FeedPage, Reading, sealed
from outlast.observatory.replaying import Happening, Reread, Rumour, Step, Unread
from outlast.observatory.watch import Watch

FILE_LIMIT_BYTES = 512 << 20
STEPS_MAX = 20_000_000
REREAD_S = 300.0
BUILT_IN = Path(__file__).parent / "rehearsals"

T = TypeVar("T", bound=msgspec.Struct)


class BadRehearsal(Exception):
    """The file cannot be played; the message says where and why."""


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    component: str
    start: datetime.datetime
    to: datetime.datetime
    per_minute: float
    error_share: float = 0.0
    outcome: Outcome = Outcome.OVERLOADED
    latency_s: float = 1.0
    upstream: str = ""


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    component: str
    start: datetime.datetime
    to: datetime.datetime
    every_s: float = 30.0
    error_share: float = 0.0
    outcome: Outcome = Outcome.SERVER_ERROR
    place: str = ""


class Reports(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    component: str
    start: datetime.datetime
    to: datetime.datetime
    per_minute: float
    works_share: float = 0.0
    regions: tuple[str, ...] = ()
    groups: int = 2000
    """From how many networks, of different autonomous systems, they come."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: datetime.datetime
    stage: str
    body: str


class NoticeLines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    impact: str = "major"
    kind: str = "incident"
    entries: tuple[Entry, ...] = ()
    components: dict[str, Status] = {}


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: datetime.datetime
    provider: str
    components: dict[str, Status] = {}
    notices: tuple[NoticeLines, ...] = ()


class Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many report a component on a usual day, for the days before the script begins."""

    component: str
    per_day: float
    days: int = 15


class Blind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: datetime.datetime
    provider: str
    reason: str


class Talk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: datetime.datetime
    provider: str
    kind: str
    en: str
    fr: str
    sources: tuple[str, ...]


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    title: str
    start: datetime.datetime
    to: datetime.datetime
    seed: int = 1
    expect: tuple[str, ...] = ()
    """Components that are watched from the start."""
    usual: tuple[Usual, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    probe: tuple[Probe, ...] = ()
    reports: tuple[Reports, ...] = ()
    page: tuple[Page, ...] = ()
    unread: tuple[Blind, ...] = ()
    rumour: tuple[Talk, ...] = ()


class Rehearsal(msgspec.Struct):
    """What is played. `steps` can be taken once."""

    title: str
    steps: Iterator[Step]
    start_at: float | None
    until_at: float | None
    expect: tuple[str, ...] = ()
    warm: dict[str, tuple[int, list[float]]] = {}
    """By component: the first minute (since the epoch) of its history, and reports by minute."""

    def prepare(self, watch: Watch) -> None:
        """Tell a watch what is known before it begins."""
        watch.expect(self.expect)
        for component, (minute, counts) in self.warm.items():
            watch.warm(component, minute, counts)


def open_rehearsal(path: Path) -> Rehearsal:
    """Read a script or a record; a bare name may be one of those built in. Raises BadRehearsal."""
    if not path.exists():
        built_in = BUILT_IN / f"{path.name.removesuffix('.toml')}.toml"
        if path.parent != Path() or not built_in.exists():
            raise BadRehearsal(f"There is no file {path}. Built in: {', '.join(rehearsals())}.")
        path = built_in
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise BadRehearsal(f"{path.name} is larger than 512 MiB: cut it into parts.")
        if path.suffix == ".toml":
            return from_script(read_script(path.read_text(encoding="utf-8"), path.name))
        return Rehearsal(path.stem, _record(path), None, None)
    except UnicodeDecodeError:
        raise BadRehearsal(f"{path.name} is not UTF-8 text.") from None
    except OSError as error:
        raise BadRehearsal(f"{path.name} cannot be read: {error.strerror}.") from None


def rehearsals() -> dict[str, str]:
    """The rehearsals that come with the service: name → title."""
    found = sorted(BUILT_IN.glob("*.toml"))
    return {one.stem: read_script(one.read_text(encoding="utf-8")).title for one in found}


def read_script(text: str, name: str = "script") -> Script:
    """Raises BadRehearsal."""
    try:
        script = msgspec.convert(tomllib.loads(text), Script)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadRehearsal(f"{name} is no script that can be played: {error}") from None
    if _at(script.to) <= _at(script.start):
        raise BadRehearsal(f"{name} ends before it begins: see `from` and `to`.")
    return script


def from_script(script: Script) -> Rehearsal:
    """Make a script's steps, in order, with chance from its seed."""
    roll = random.Random(script.seed)  # noqa: S311 - a script, played the same each time
    steps: list[Step] = []
    for number, traffic in enumerate(script.traffic):
        steps += _traffic(traffic, number, roll)
    for number, probe in enumerate(script.probe):
        steps += _probes(probe, number, roll)
    for number, reports in enumerate(script.reports):
        steps += _reports(reports, number, roll)
    steps += [Step(_at(one.at), _page(one)) for one in script.page]
    steps += _reread(script)
    steps += [Step(_at(one.at), Unread(one.provider, one.reason)) for one in script.unread]
    steps += [
        Step(
            _at(one.at),
            Rumour(one.provider, one.kind, {"en": one.en, "fr": one.fr}, one.sources),
        )
        for one in script.rumour
    ]
    steps.sort(key=lambda step: step.at)
    warm = {one.component: _history(one, _at(script.start), roll) for one in script.usual}
    return Rehearsal(
        script.title, iter(steps), _at(script.start), _at(script.to), script.expect, warm
    )


def _history(one: Usual, start_at: float, roll: random.Random) -> tuple[int, list[float]]:
    """Reports by minute of a component's usual days: a Poisson stream."""
    minutes = min(one.days, 60) * 1440
    counts = [0.0] * minutes
    at = roll.expovariate(max(one.per_day, 1e-6) / 1440)
    while at < minutes:
        counts[int(at)] += 1
        at += roll.expovariate(max(one.per_day, 1e-6) / 1440)
    return int(start_at // 60) - minutes, counts


def _reread(script: Script) -> list[Step]:
    """Each page, once read, is read again every five minutes until it says something else."""
    found: list[Step] = []
    news = sorted(
        [(_at(one.at), one.provider, True) for one in script.page]
        + [(_at(one.at), one.provider, False) for one in script.unread]
    )
    for number, (at, provider, readable) in enumerate(news):
        following = next((t for t, p, _ in news[number + 1 :] if p == provider), _at(script.to))
        again = at + REREAD_S
        while readable and again < following:
            found.append(Step(again, Reread(provider)))
            again += REREAD_S
    return found


def _traffic(one: Traffic, number: int, roll: random.Random) -> list[Step]:
    found: list[Step] = []
    for at in _times(one.start, one.to, one.per_minute, roll):
        failed = roll.random() < one.error_share
        found.append(
            _step(
                at,
                "attempt",
                one.component,
                one.outcome if failed else Outcome.OK,
                id=f"replay/traffic/{number}/{len(found)}",
                latency_s=one.latency_s,
                upstream=one.upstream,
            )
        )
    return found


def _probes(one: Probe, number: int, roll: random.Random) -> list[Step]:
    found: list[Step] = []
    at = _at(one.start) + one.every_s * roll.random()
    while at < _at(one.to):
        failed = roll.random() < one.error_share
        found.append(
            _step(
                at,
                "probe",
                one.component,
                one.outcome if failed else Outcome.OK,
                id=f"replay/probe/{number}/{len(found)}",
                network=one.place,
            )
        )
        at += one.every_s
    return found


def _reports(one: Reports, number: int, roll: random.Random) -> list[Step]:
    found: list[Step] = []
    for at in _times(one.start, one.to, one.per_minute, roll):
        works = roll.random() < one.works_share
        group = roll.randrange(max(1, one.groups))
        found.append(
            _step(
                at,
                "report",
                one.component,
                Outcome.OK if works else Outcome.SERVER_ERROR,
                id=f"replay/report/{number}/{len(found)}",
                network=f".g{group}.n{group}",
                reporter=f"r{number}-{len(found)}",
                region=roll.choice(one.regions) if one.regions else "",
            )
        )
    return found


def _step(at: float, source: str, component: str, outcome: Outcome, **more: Any) -> Step:
    return Step(at, Observation(at, source, component, outcome, **more))


def _times(
    start: datetime.datetime, to: datetime.datetime, per_minute: float, roll: random.Random
) -> Iterator[float]:
    """Moments of a Poisson stream."""
    if per_minute <= 0:
        return
    at = _at(start)
    while True:
        at += roll.expovariate(per_minute / 60)
        if at >= _at(to):
            return
        yield at


def _page(page: Page) -> FeedPage:
    at = _at(page.at)
    notices = tuple(_notice(one, page, at) for one in page.notices)
    return FeedPage(
        provider=page.provider,
        feed=f"{page.provider}-replay",
        format="statuspage",
        fetched_at=at,
        components=tuple(Reading(name, status) for name, status in page.components.items()),
        notices=notices,
        covers="history",
    )


def _notice(one: NoticeLines, page: Page, at: float) -> Notice:
    updates = tuple(NoticeUpdate(_at(e.at), e.stage, e.body) for e in one.entries)
    over = updates[-1] if updates and updates[-1].stage in {"resolved", "completed"} else None
    return sealed(
        Notice(
            provider=page.provider,
            feed=f"{page.provider}-replay",
            id=one.id,
            kind=one.kind,
            title=one.title,
            stage=updates[-1].stage if updates else "",
            impact=one.impact,
            components=tuple((n, str(s)) for n, s in (one.components or page.components).items()),
            updates=updates,
            started_at=updates[0].at if updates else at,
            resolved_at=over.at if over is not None else None,
            fetched_at=at,
        )
    )


class _Line(msgspec.Struct, frozen=True):
    at: float
    observation: Observation | None = None
    page: FeedPage | None = None
    unread: Unread | None = None
    reread: Reread | None = None
    rumour: Rumour | None = None


def _record(path: Path) -> Iterator[Step]:
    """The steps of a record, in the order of their times within a window of lines."""
    decoder = msgspec.json.Decoder(_Line)
    waiting: list[tuple[float, int, Happening]] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if number > STEPS_MAX:
                raise BadRehearsal(f"{path.name} has more than {STEPS_MAX} lines.")
            try:
                found = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadRehearsal(f"{path.name}:{number} cannot be read: {error}") from None
            said = (found.observation, found.page, found.unread, found.reread, found.rumour)
            what = next((one for one in said if one is not None), None)
            if what is None:
                raise BadRehearsal(f"{path.name}:{number} says nothing that happened.")
            heapq.heappush(waiting, (found.at, number, what))
            if len(waiting) > 10_000:
                at, _, first = heapq.heappop(waiting)
                yield Step(at, first)
    while waiting:
        at, _, first = heapq.heappop(waiting)
        yield Step(at, first)


def _at(time: datetime.datetime) -> float:
    return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp()
