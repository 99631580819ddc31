"""2 March 2026 once more: what we would have said, from the public record and scripted probes.

From the record: the vendor's page (its marks and entries, in its own times), when people began to
report (11:37 the first, 11:44 a spike that a watcher of pages alarmed on, 18:32 the last) and of
what (75 % web, 13 % mobile, 12 % the coding tool), and both rumours. Never published was how many
requests failed: so it is played with several shares, several sizes of crowd, several seeds, and
with the vendor's page read at once, every five minutes, or every fifteen. What must hold must hold
in every run.

Between 12:21 and 13:37 the API may never be called fine. That its vendor says otherwise has to be
shown at every look at which a try has failed within five minutes, and after the page with that word
was read: before that nobody here knows of the word, or of anything that speaks against it.
"""

from __future__ import annotations

import copy
import datetime
import json
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from bench.observatory.result import Chart, Figure, Line, Result, Table
from outlast.nouns import ComponentState, Incident, Observation, Status
from outlast.observatory import rehearsal as script
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.judging import STILL_S
from outlast.observatory.replaying import Step, play
from outlast.observatory.retelling import Teller
from outlast.observatory.sequential import FAULTS
from outlast.observatory.watch import Watch, components_of
from outlast.observatory.words import percent, status_name

RECORD = "claude_2026-03-02/statuspage_updates.json"
PROVIDER = "anthropic"
API, WEB, LOGIN = "anthropic/api", "anthropic/web", "anthropic/login"
MODEL = "anthropic/api/claude-opus-4-6"
SURFACES = ("api", "web", "mobile", "code", "login")
DAY = datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC)
CALLED_FINE = ("12:21", "13:37")
"""When the vendor called its API fine."""
BEGINS, RELAPSE = "11:37", "16:50"
"""Of what is scripted to fail."""
SHOWN_LEAST = (76 - 15 - 2) / 76
"""Of 76 minutes, where the page is read every fifteen and something fails within two after that."""
LOOKS = ("11:45", "12:30", "13:40", "15:30", "17:00")
RUMOURS = (
    ("12:40", "People who left ChatGPT overloaded Claude.", "press"),
    ("13:10", "It is linked to failures of AWS in the Middle East on the same days.", "a note"),
)
"""When they went round that day is not known; in the record they are without a time."""


class Setting(msgspec.Struct, frozen=True):
    """What the record leaves open."""

    seed: int
    failing: float
    """Share of probes and requests that fail, of web and login; the API's is two thirds of it."""
    crowd: float
    """Reports, times those of the busiest hour of a small instance: 30 a minute."""
    poll_s: float
    """How often the vendor's page is read; 0: at once."""


SETTINGS = (
    Setting(1, 0.6, 1.0, 300.0),
    Setting(2, 0.3, 1.0, 300.0),
    Setting(3, 0.9, 1.0, 0.0),
    Setting(4, 0.6, 0.3, 300.0),
    Setting(5, 0.3, 0.3, 0.0),
    Setting(6, 0.9, 0.3, 300.0),
    Setting(7, 0.45, 1.0, 0.0),
    Setting(8, 0.6, 3.0, 900.0),
    Setting(9, 0.2, 3.0, 300.0),
    Setting(10, 0.9, 0.0, 300.0),
)
"""The last one without anybody who reports: probes alone must be early enough as well."""


class Told(msgspec.Struct):
    """What one run said."""

    suspected_at: float = 0.0
    confirmed_at: float = 0.0
    vendor_at: float = 0.0
    fine_s: float = 0.0
    """Between 12:21 and 13:37: how long the API was called fine."""
    contradicted_s: float = 0.0
    """Of that span: how long it was shown that the vendor says fine and requests fail."""
    hidden_s: float = 0.0
    """How long that was not shown while it had to be; see the module."""
    one_story: bool = False
    """The relapse at 16:50 was seen: the same incident, or one that names the first."""
    rumours: int = 0
    """Listed, and unconfirmed."""
    cause: str = ""
    relapses: int = 0
    looks: list[tuple[str, ...]] = []
    api: list[tuple[float, float]] = []
    web: list[tuple[float, float]] = []


def run(data: Path, since: float | None = None) -> Result:
    """Play the day in every setting. `since` does not matter: the record is one day's."""
    del since
    path = data / RECORD
    if not path.exists():
        return Result((), (), (f"no record of 2 March 2026: {RECORD} is absent",))
    record = json.loads(path.read_text(encoding="utf-8"))
    usual = warmed()
    told = {one: day(record, one, usual) for one in SETTINGS}
    return Result(
        tuple(_figures(list(told.values()))),
        (_runs_table(told), _looks_table(told[SETTINGS[0]])),
        (
            f"{len(told)} runs; the vendor's first word at 11:49, the crowd's alarm at 11:44, "
            "the API called fine by its vendor from 12:21 to 13:37",
        ),
        (_chart(told[SETTINGS[0]]),),
    )


def at(time: str) -> float:
    """Seconds since the epoch of `11:44` that day."""
    hours, minutes = time.split(":")
    return (DAY + datetime.timedelta(hours=int(hours), minutes=int(minutes))).timestamp()


def warmed() -> Watch:
    """A watch that has seen eight weeks of usual days."""
    shares = (("web", 60.0), ("mobile", 15.0), ("code", 15.0))
    found = script.Script(
        title="usual",
        start=_time("11:00"),
        to=_time("11:01"),
        expect=tuple(f"{PROVIDER}/{surface}" for surface in SURFACES),
        usual=tuple(script.Usual(f"{PROVIDER}/{name}", count, 56) for name, count in shares),
    )
    watch = Watch()
    script.from_script(found).prepare(watch)
    return watch


def day(record: dict[str, Any], setting: Setting, usual: Watch) -> Told:
    """Play one setting on a copy of a watch that knows the usual."""
    rehearsal = script.from_script(written(record, setting))
    return listen(rehearsal, copy.deepcopy(usual))


def listen(rehearsal: script.Rehearsal, watch: Watch) -> Told:
    """Play a rehearsal of this day and note what it said. Also for the one that is built in."""
    told, teller = Told(looks=[], api=[], web=[]), Teller()
    steps = list(rehearsal.steps)
    owed = Owed(steps)
    looks = [(at(one), one) for one in LOOKS]
    before = at("11:00")
    for now, said in play(steps, watch, until_at=rehearsal.until_at):
        teller.hear(now, said)
        states = teller.board.states
        while looks and now >= looks[0][0]:
            told.looks.append(_look(looks.pop(0)[1], teller))
        api = states.get(API)
        if at(CALLED_FINE[0]) < now <= at(CALLED_FINE[1]):
            # What is not on the board yet is called fine too: nothing is said against it.
            told.fine_s += (now - before) if api is None or not api.status.rank else 0.0
            against = api is not None and api.contradiction == "vendor_says_fine"
            told.contradicted_s += (now - before) if against else 0.0
            told.hidden_s += (now - before) if owed.at(now) and not against else 0.0
        before = now
        if not now % 60:
            for name, points in ((API, told.api), (WEB, told.web)):
                if name in states:
                    points.append((now, states[name].probability))
    _note(told, teller)
    return told


class Owed:
    """Whether the contradiction has to be shown, by what was played and not by what was said."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._fine_since: list[tuple[float, bool]] = []
        """Pages as they were read: when, and whether they mark the API as fine."""
        self._failed: list[float] = []
        for step in steps:
            what = step.what
            if isinstance(what, FeedPage):
                self._read(what, step.at)
            elif (
                isinstance(what, Observation)
                and what.source in {"attempt", "probe"}
                and what.outcome in FAULTS
                and API in components_of(what)
            ):
                self._failed.append(step.at)

    def _read(self, page: FeedPage, at_: float) -> None:
        fine = next((one.status is Status.OPERATIONAL for one in page.components
                     if "API" in one.name), False)  # fmt: skip
        if not self._fine_since or self._fine_since[-1][1] is not fine:
            self._fine_since.append((at_, fine))

    def at(self, now: float) -> bool:
        """At a look: the last page says fine, and something fails, and has since it was read."""
        read = [one for one in self._fine_since if one[0] <= now]
        if not read or not read[-1][1]:
            return False
        since = max(read[-1][0], now - STILL_S)
        return any(since < failed <= now for failed in self._failed)


def _note(told: Told, teller: Teller) -> None:
    incidents = [one for one in teller.incidents() if not one.merged_into]
    facts = [teller.facts(one) for one in incidents]
    told.suspected_at = min((one.opened_at for one in incidents), default=at("23:59"))
    told.confirmed_at = min((f["confirmed_at"] for f in facts if f["confirmed_at"]), default=0.0)
    told.vendor_at = min((f["vendor_at"] for f in facts if f["vendor_at"]), default=0.0)
    told.one_story = one_story(incidents)
    told.relapses = sum(one.relapses for one in incidents)
    entered = [one for one in teller.claims() if one.entered_by != "outlast"]
    told.rumours = sum(one.state == "unconfirmed" and bool(one.incident) for one in entered)
    told.cause = ", ".join(sorted({one.cause for one in incidents} - {"unknown"}))


def one_story(incidents: Sequence[Incident]) -> bool:
    """The relapse reopened an incident or opened one; and each names the one before."""
    seen = any(
        update.kind in {"opened", "relapsed"} and update.at >= at(RELAPSE)
        for one in incidents
        for update in one.updates
    )
    return seen and all(later.previous == earlier.id for earlier, later in pairwise(incidents))


# The day, as a script


def written(record: dict[str, Any], setting: Setting) -> script.Script:
    """The record as a script."""
    web, api = setting.failing, setting.failing * 2 / 3
    return script.Script(
        title="2 March 2026",
        start=_time("11:00"),
        to=_time("18:00"),
        seed=setting.seed,
        expect=tuple(f"{PROVIDER}/{surface}" for surface in SURFACES),
        probe=(
            *_probes(WEB, web, "11:37", "15:25"),
            *_probes(LOGIN, web, "11:37", "15:25"),
            *_probes(API, api, "11:42", "15:25"),
        ),
        traffic=tuple(_traffic(MODEL, api, "11:42", "15:45")),
        reports=tuple(_reports(setting.crowd)),
        page=tuple(_pages(record, setting.poll_s)),
        rumour=tuple(
            script.Talk(_time(time), PROVIDER, "cause", words, words, (source,))
            for time, words, source in RUMOURS
        ),
    )


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at(text), datetime.UTC)


def _spans(share: float, start: str, end: str) -> Iterator[tuple[str, str, float]]:
    """Well, failing, well, failing again as in the second wave, well."""
    yield from (("11:00", start, 0.0), (start, end, share), (end, "16:50", 0.0))
    yield from (("16:50", "17:24", share), ("17:24", "18:00", 0.0))


def _probes(component: str, share: float, start: str, end: str) -> Iterator[script.Probe]:
    for begin, until, failing in _spans(share, start, end):
        yield script.Probe(component, _time(begin), _time(until), 30.0, error_share=failing)


def _traffic(component: str, share: float, start: str, end: str) -> Iterator[script.Traffic]:
    for begin, until, failing in _spans(share, start, end):
        usual = max(failing, 0.005)
        yield script.Traffic(component, _time(begin), _time(until), 10.0, error_share=usual)


def _reports(crowd: float) -> Iterator[script.Reports]:
    """Reports a minute in all: few at 11:37, a spike at 11:44, and the two waves after it."""
    rates = (
        ("11:37", "11:40", 3.0, 0.0),
        ("11:40", "11:44", 8.0, 0.0),
        ("11:44", "13:30", 30.0, 0.05),
        ("13:30", "15:25", 12.0, 0.1),
        ("15:25", "16:50", 0.7, 0.7),
        ("16:50", "17:30", 8.0, 0.1),
        ("17:30", "18:00", 0.7, 0.6),
    )
    yield script.Reports(WEB, _time("11:00"), _time("11:37"), 60 / 1440)
    for begin, end, rate, works in rates:
        for surface, share in (("web", 0.75), ("mobile", 0.13), ("code", 0.12)):
            yield script.Reports(
                f"{PROVIDER}/{surface}",
                _time(begin),
                _time(end),
                rate * crowd * share,
                works_share=works,
            )


def _pages(record: dict[str, Any], poll_s: float) -> Iterator[script.Page]:
    """The page after each entry, as it stood at our next look; its marks are those set last."""
    names = _names(record)
    entries = sorted(
        (datetime.datetime.fromisoformat(update["at"]), incident["id"], update)
        for incident in record["incidents"]
        for update in incident["updates"]
    )
    marks = dict.fromkeys(names.values(), Status.OPERATIONAL)
    yield script.Page(_time("11:00"), PROVIDER, dict(marks))
    notices: dict[str, script.NoticeLines] = {}
    incidents = {incident["id"]: incident for incident in record["incidents"]}
    waiting: script.Page | None = None
    for when, ident, update in entries:
        shown = {names[name]: Status(value) for name, value in update["new_status"].items()}
        marks |= shown
        before = notices.get(ident)
        stage = update["status"].strip("(").partition(";")[0]
        entry = script.Entry(when, stage, update["body"] or "")
        notices[ident] = script.NoticeLines(
            id=ident,
            title=incidents[ident]["name"],
            impact=incidents[ident]["impact"].strip("()"),
            entries=(*(before.entries if before is not None else ()), entry),
            components=shown,
        )
        page = script.Page(_looked(when, poll_s), PROVIDER, dict(marks), tuple(notices.values()))
        if waiting is not None and waiting.at < page.at:
            yield waiting
        waiting = page
    if waiting is not None:
        yield waiting


def _looked(when: datetime.datetime, poll_s: float) -> datetime.datetime:
    """When we read it: looks are `poll_s` apart from 11:00 on."""
    since = when.timestamp() - at("11:00")
    at_ = when.timestamp() if not poll_s else at("11:00") + (since // poll_s + 1) * poll_s
    return datetime.datetime.fromtimestamp(at_, datetime.UTC)


def _names(record: dict[str, Any]) -> dict[str, str]:
    """The record's short names → the page's own."""
    full = list(record["components"].values())
    short = {"claude.ai": "claude.ai", "console": "console", "api": "API", "code": "Code"}
    short["gov"] = "Government"
    return {key: next(name for name in full if part in name) for key, part in short.items()}


# What is made of it


def _look(time: str, teller: Teller) -> tuple[str, ...]:
    (first, *_) = teller.state(at(time))
    return (
        time,
        first.text["en"].replace("\u00a0", " "),
        *(_shown(teller.board.states.get(name)) for name in (API, WEB)),
    )


def _shown(state: ComponentState | None) -> str:
    if state is None:
        return "-"
    against = ", against the vendor's word" if state.contradiction == "vendor_says_fine" else ""
    words = f"{status_name(state.status, 'en')}, {percent(state.probability, 'en')}"
    return f"{words}{against}".replace("\u00a0", " ")


def _figures(told: Sequence[Told]) -> list[Figure]:
    n = len(told)
    early = min(at("11:44") - one.suspected_at for one in told) / 60
    fine = max(one.fine_s for one in told) / 60
    shown = min(one.contradicted_s for one in told) / _span_s()
    hidden = max(one.hidden_s for one in told)
    too_early = sum(one.suspected_at < at(BEGINS) for one in told)
    return [
        Figure("suspected before 11:44, min (least)", early, 1 / 60, math.inf, n),
        Figure("runs that suspect before anything fails", too_early, 0, 0, n),
        Figure("API called fine 12:21-13:37, min (most)", fine, 0.0, 0.0, n),
        Figure("contradiction hidden while it is owed, s (most)", hidden, 0.0, 0.0, n),
        Figure("contradiction stands, share of that (least)", shown, SHOWN_LEAST, 1.0, n),
        Figure("runs that tell the relapse apart", sum(not one.one_story for one in told), 0, 0, n),
        Figure("rumours listed unconfirmed (least)", min(one.rumours for one in told), 2, 2, n),
        Figure("runs that claim a cause", sum(bool(one.cause) for one in told), 0, 0, n),
    ]


def _runs_table(told: dict[Setting, Told]) -> Table:
    rows = []
    for setting, one in told.items():
        rows.append(
            (
                f"{setting.failing:.0%}",
                f"{30 * setting.crowd:.0f}",
                "at once" if not setting.poll_s else f"{setting.poll_s / 60:.0f} min",
                _clock(one.suspected_at),
                _clock(one.confirmed_at) if one.confirmed_at else "never",
                f"{(one.vendor_at - one.suspected_at) / 60:.0f} min",
                f"{one.contradicted_s / _span_s():.0%}",
                str(one.relapses),
                one.cause or "none",
            )
        )
    head = ("failing", "reports/min", "page read", "suspected", "confirmed", "before the vendor")
    return Table(
        "2 March 2026, by what the record leaves open",
        (*head, "contradiction", "relapses", "cause"),
        tuple(rows),
    )


def _span_s() -> float:
    return at(CALLED_FINE[1]) - at(CALLED_FINE[0])


def _looks_table(one: Told) -> Table:
    head = ("UTC", "what a reader is told first", "API", "web")
    return Table("As a reader, 60 % failing", head, tuple(one.looks))


def _clock(when: float) -> str:
    return f"{datetime.datetime.fromtimestamp(when, datetime.UTC):%H:%M:%S}"


def _chart(one: Told) -> Chart:
    ahead = (one.vendor_at - one.suspected_at) / 60
    moments = (("11:49", "vendor's first word"), ("12:21", "“API works”"), ("13:37", "taken back"))
    resolved = ("15:47", "“resolved”")
    return Chart(
        "march",
        "2 March 2026: probability of an outage that we would have stated",
        "UTC",
        "P",
        (Line("API", tuple(one.api)), Line("web", tuple(one.web))),
        (at("11:00"), 0.0),
        (at("18:00"), 1.0),
        levels=((0.95, "needed to confirm"),),
        moments=tuple((at(time), words) for time, words in (*moments, resolved)),
        ticks=tuple((at(f"{hour}:00"), f"{hour}:00") for hour in range(11, 19)),
        words=(
            f"Suspected at {_clock(one.suspected_at)}, {ahead:.0f} minutes before the vendor's "
            "first word. While the vendor called the API working, the stated probability of its "
            "outage stayed high."
        ),
    )
