"""What the templates ask of the values they are given: words, figures, drawings. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from outlast.nouns import Component, ComponentState, Incident, Status, Suspicion, Update
from outlast.observatory.causing import cause_name
from outlast.observatory.claims import Claim
from outlast.observatory.headline import failing_since, is_sure, looked_at
from outlast.observatory.incident_texts import evidence_words
from outlast.observatory.recovery import Forecast, TooFew
from outlast.observatory.recovery_words import words as forecast_words
from outlast.observatory.words import (
    Lang,
    component_name,
    duration,
    number,
    percent,
    provider_name,
    status_name,
    surface_name,
)
from outlast.status.post_mortems import spoken
from outlast.status.prose import blocks
from outlast.status.view import (
    Day,
    ProviderView,
    Row,
    Shown,
    Snapshot,
    Window,
    date_of,
    untried,
)

WIDTH = 360
BAR = 4
COLOURS = {
    None: "c0",
    Status.OPERATIONAL: "c1",
    Status.DEGRADED: "c2",
    Status.PARTIAL: "c3",
    Status.MAJOR: "c4",
    Status.MAINTENANCE: "c5",
}
_STAGES = {
    "investigating": {"en": "investigating", "fr": "enquête en cours"},
    "identified": {
        "en": "the vendor has found the problem",
        "fr": "problème identifié par le fournisseur",
    },
    "monitoring": {"en": "watching the recovery", "fr": "rétablissement sous surveillance"},
    "resolved": {"en": "resolved", "fr": "résolu"},
}


class Bar(msgspec.Struct, frozen=True):
    x: int
    width: int
    colour: str


class Tick(msgspec.Struct, frozen=True):
    x: int
    label: str


class Drawn(msgspec.Struct, frozen=True):
    """A forecast as a picture: a line of time, logarithmic, with two bands on it."""

    x80: int
    w80: int
    x50: int
    w50: int
    mid: int
    ticks: tuple[Tick, ...]
    half: str
    most: str
    label: str


class Entry(msgspec.Struct, frozen=True):
    number: int
    update: Update
    corrected: bool
    retracted: bool


def fill(text: str, **values: object) -> str:
    """Put values into a sentence of texts.py."""
    return text.format(**values)


def when(at: float, lang: Lang) -> str:
    """`2026-03-02 11:44 UTC`."""
    minutes = int(at // 60) % 1440
    return f"{date_of(at)} {minutes // 60:02}:{minutes % 60:02}\u00a0UTC"


def iso(at: float) -> str:
    seconds = int(at) % 86_400
    hours, rest = divmod(seconds, 3600)
    return f"{date_of(at)}T{hours:02}:{rest // 60:02}:{rest % 60:02}Z"


def span(seconds: float, lang: Lang) -> str:
    return duration(seconds, lang) if seconds else "–"


def uptime(row: Row, t: dict[str, str], lang: Lang) -> str:
    """A share that is rounded down, so that a bad minute in a good month still shows."""
    if row.uptime is None:
        return t["short_uptime" if row.watched_days else "no_uptime"]
    share = f"{math.floor(row.uptime * 100_000) / 1000:.3f}".rstrip("0").rstrip(".")
    if lang == "fr":
        share = share.replace(".", ",") + "\u00a0"
    words = t["uptime_one" if row.watched_days == 1 else "uptime"]
    return words.format(share=f"{share}%", days=row.watched_days)


def runs(row: Row) -> list[Bar]:
    """Days as bars; neighbours of one colour are one, and what nobody looked at is left bare."""
    bars: list[Bar] = []
    for place, day in enumerate(row.days):
        colour = COLOURS[day.status]
        if day.status is None:
            continue
        if bars and bars[-1].colour == colour and bars[-1].x + bars[-1].width == place * BAR:
            bars[-1] = Bar(bars[-1].x, bars[-1].width + BAR, colour)
        else:
            bars.append(Bar(place * BAR, BAR, colour))
    return bars


def bad_days(row: Row) -> list[Day]:
    """Days with incidents, the newest first."""
    return [day for day in reversed(row.days) if day.status is not None and day.incidents]


def part_name(name: str, lang: Lang) -> str:
    """A component below its provider's heading."""
    component = Component.parse(name)
    if component.surface == "upstream":
        return component.model
    surface = surface_name(component.surface, lang)
    return component.model or surface[:1].upper() + surface[1:]


def unseen(state: ComponentState, t: dict[str, str]) -> str:
    """What to say in the place of "operational" where that would say more than anybody has seen."""
    if not untried(state):
        return ""
    return t["unseen_vendor" if looked_at(state) else "unseen"]


def sure(shown: Shown) -> bool:
    """Whether an incident may be called confirmed now."""
    return is_sure(shown.incident, {state.component: state for state in shown.states})


def sources(claim: Claim) -> str:
    """Who says it. What was read in a vendor's notice is the vendor's word."""
    return provider_name(claim.provider) if claim.provider else ", ".join(claim.sources)


def surfaces(provider: ProviderView) -> list[str]:
    return [row.surface for row in provider.rows if not row.model]


def leading(shown: Shown) -> list[ComponentState]:
    """What is failing now, surfaces before their models, the worst first, six at most."""
    failing = [state for state in shown.states if state.suspicion is not Suspicion.NONE]
    named = {state.component for state in failing}
    top = [
        state
        for state in failing
        if (whole := Component.parse(state.component).whole.name) == state.component
        or whole not in named
    ]
    return sorted(top, key=lambda state: (-state.status.rank, state.component))[:6]


def evidence(state: ComponentState, lang: Lang) -> str:
    return evidence_words(state.evidence, lang, Component.parse(state.component).provider)


def own_evidence(state: ComponentState, lang: Lang) -> str:
    own = [one for one in state.evidence if one.kind != "notice"]
    return evidence_words(own, lang, Component.parse(state.component).provider)


def contradictions(shown: Shown) -> list[ComponentState]:
    """What contradicts the vendor, whole surfaces only."""
    return [
        state
        for state in shown.states
        if state.contradiction and Component.parse(state.component).whole.name == state.component
    ]


def vendor_silence(shown: Shown, view: Snapshot, t: dict[str, str]) -> str:
    """What to say where the vendor has said nothing, or cannot be heard."""
    incident = shown.incident
    vendor = provider_name(incident.provider)
    provider = view.provider(incident.provider)
    feeds = provider.feeds if provider is not None else ()
    if feeds and all(feed.unreachable_since is not None for feed in feeds):
        return t["vendor_unread"].format(vendor=vendor)
    if incident.notices or not any(feed.read_at for feed in feeds):
        return ""
    return t["vendor_silent"].format(vendor=vendor)


def active(windows: Iterable[Window]) -> list[Window]:
    return [one for one in windows if one.state in {"scheduled", "in_progress"}]


def of_provider(shown: Iterable[Shown], provider: str) -> list[Shown]:
    return [one for one in shown if one.incident.provider == provider]


def entries(incident: Incident, most: int) -> list[Entry]:
    """The newest updates, each with whether a later one corrects or takes it back."""
    corrected = {u.corrects for u in incident.updates if u.kind == "corrected"}
    retracted = {u.corrects for u in incident.updates if u.kind == "retracted"}
    numbered = [
        Entry(place, update, place in corrected, place in retracted)
        for place, update in enumerate(incident.updates)
    ]
    return numbered[::-1][:most]


def drawn(forecast: Forecast | TooFew | None, lang: Lang) -> Drawn | None:
    """A forecast on a line from a minute to two weeks, 400 wide."""
    if not isinstance(forecast, Forecast):
        return None
    left, right = 60.0, 14 * 86_400.0

    def x(seconds: float) -> int:
        inside = min(max(seconds, left), right)
        return round(10 + 380 * math.log(inside / left) / math.log(right / left))

    low80, high80 = x(forecast.low_80_s), x(forecast.high_80_s)
    low50, high50 = x(forecast.low_50_s), x(forecast.high_50_s)
    marks = (60.0, 600.0, 3600.0, 6 * 3600.0, 86_400.0, 7 * 86_400.0)
    names = ["1\u00a0min", *(duration(mark, lang) for mark in marks[1:])]
    ticks = tuple(Tick(x(mark), name) for mark, name in zip(marks, names, strict=True))
    ends = " – ".join(duration(s, lang) for s in (forecast.low_80_s, forecast.high_80_s))
    half = " – ".join(duration(s, lang) for s in (forecast.low_50_s, forecast.high_50_s))
    return Drawn(
        x80=low80,
        w80=max(2, high80 - low80),
        x50=low50,
        w50=max(2, high50 - low50),
        mid=x(forecast.median_s),
        ticks=ticks,
        half=half,
        most=ends,
        label=ends,
    )


def stage_name(stage: str, lang: Lang) -> str:
    return _STAGES.get(stage, {}).get(lang, stage)


FILTERS: dict[str, Callable[..., Any]] = {
    "f": fill,
    "blocks": blocks,
    "spoken": spoken,
    "when": when,
    "iso": iso,
    "span": span,
    "uptime": uptime,
    "runs": runs,
    "bad_days": bad_days,
    "part_name": part_name,
    "unseen": unseen,
    "sure": sure,
    "sources": sources,
    "failing_since": failing_since,
    "surfaces": surfaces,
    "leading": leading,
    "evidence": evidence,
    "own_evidence": own_evidence,
    "contradictions": contradictions,
    "vendor_silence": vendor_silence,
    "active": active,
    "of_provider": of_provider,
    "entries": entries,
    "drawn": drawn,
    "stage_name": stage_name,
    "forecast_words": forecast_words,
    "cause_name": cause_name,
    "component_name": component_name,
    "provider_name": provider_name,
    "surface_name": surface_name,
    "status_name": status_name,
    "number": number,
    "percent": percent,
}


def in_month(shown: Sequence[Shown], month: str) -> list[Shown]:
    """Incidents that began in a month, `2026-03`, the newest first."""
    return sorted(
        (one for one in shown if date_of(one.incident.started_at)[:7] == month),
        key=lambda one: -one.incident.started_at,
    )
