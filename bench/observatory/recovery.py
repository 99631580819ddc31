"""Time to recovery, scored on real incidents with a rolling origin.

The incidents are replayed in order of time, as a service would have seen them: each begins, its
stages are posted, forecasts are asked for at 0, 30, 60 and 120 minutes (of those that last so
long), it ends. A forecast knows what had happened by its moment and nothing else. Target: first
update to resolved.

Scored are the incidents that begin at SINCE or later; all before are history. Without SINCE the
first half is history. Each figure also comes for disjoint parts of the scored span, for times in
between the landmarks, and by provider.

- *Coverage*: share of incidents that end within the 80 % interval. Goal 0.78 to 0.82.
- *CRPS* on the logarithm of the remaining minutes (from one minute up), as twice the mean
  quantile loss over the levels 0.01 to 0.99 (Gneiting & Raftery, JASA 102, 2007), for us and
  for the baselines alike:
  - *online quantiles by provider*: the quantiles of all that provider's durations known by then;
    with fewer than twenty, of all providers' (that is the stronger way: without it the baseline
    would be worse);
  - *unconditional minus elapsed*: the same quantiles, less the time that has passed.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.observatory.incident_data import load
from bench.observatory.result import Chart, Figure, Line, Result, Table
from outlast.observatory.recovery import Case, Curve, Forecast, Recovery

ELAPSED_MIN = (0, 30, 60, 120)
BETWEEN_MIN = (15, 45, 90)
LEVELS = tuple(level / 100 for level in range(1, 100))
COVERAGE = (0.78, 0.82)
GAIN = {0: 0.02, 30: 0.20}
BASELINE = {0: "online quantiles by provider", 30: "unconditional minus elapsed"}
ENOUGH = 20
REFUSED_MOST = 0.05
"""Who refuses what is hard keeps a promise cheaply."""


class Scored(msgspec.Struct, frozen=True):
    """One forecast and how it came out. Times in seconds, losses on log-minutes."""

    provider: str
    started_at: float
    elapsed_min: int
    remaining_s: float
    forecast: Forecast
    level: float
    """The end's probability under the distribution (PIT): uniform when it is calibrated."""
    crps: float
    crps_baseline: float
    crps_global: float
    """As the baseline, of all providers together."""

    @property
    def held_80(self) -> bool:
        return self.forecast.low_80_s <= self.remaining_s <= self.forecast.high_80_s

    @property
    def held_50(self) -> bool:
        return self.forecast.low_50_s <= self.remaining_s <= self.forecast.high_50_s


def run(data: Path, since: float | None = None) -> Result:
    """Replay the incidents in `data`; score those that begin at `since` (epoch, s) or after."""
    found = load(data)
    cases = found.cases
    if not cases:
        return Result((), (), ("no incidents: incidents/llm_incidents*.csv is absent",))
    if since is None:
        since = cases[len(cases) // 2].started_at
    scored, refused = replay(cases, since)
    asked = len(scored) + len(refused)
    ended = sum(case.ended_at is not None for case in cases)
    notes = (
        f"{len(cases)} incidents of {', '.join(found.files)}, {ended} of them over; left out: "
        + (", ".join(f"{n} {why}" for why, n in sorted(found.left_out.items())) or "none"),
        f"{sum(case.started_at < since for case in cases)} are history, the others are scored; "
        f"{len(refused)} of {asked} forecasts refused for fewer than twenty cases; coverage is of "
        "those that were made",
    )
    return Result(
        tuple(_figures(scored, refused)),
        (_baselines(scored, refused), _by_part(scored), _by_provider(scored)),
        notes,
        (_coverage_chart(scored), _levels_chart(scored)),
    )


def replay(cases: Sequence[Case], since: float) -> tuple[list[Scored], list[int]]:
    """Return the scored forecasts, in order, and the elapsed minutes of those that were refused."""
    recovery = Recovery()
    over: list[Case] = []
    scored: list[Scored] = []
    refused: list[int] = []
    for at, what, case, minutes in _events(cases, since):
        if what == _CHANGES:
            recovery.learn(_as_of(case, at))
            if case.ended_at == at:
                over.append(case)
        else:
            one = _forecast(recovery, over, case, minutes)
            if one is None:
                refused.append(minutes)
            else:
                scored.append(one)
    return scored, refused


_CHANGES, _ASKED = 0, 1


def _events(cases: Sequence[Case], since: float) -> list[tuple[float, int, Case, int]]:
    """Everything that happens, in order of time; what changes comes before what is asked."""
    events: list[tuple[float, int, Case, int]] = []
    for case in cases:
        moments = {case.started_at, *(at for at, _ in case.stages)}
        if case.ended_at is not None:
            moments = {at for at in moments if at < case.ended_at} | {case.ended_at}
        events += [(at, _CHANGES, case, 0) for at in moments]
        if case.ended_at is not None and case.started_at >= since:
            events += [
                (case.started_at + 60 * minutes, _ASKED, case, minutes)
                for minutes in ELAPSED_MIN + BETWEEN_MIN
                if case.ended_at > case.started_at + 60 * minutes
            ]
    return sorted(events, key=lambda event: (event[0], event[1], event[2].id, event[3]))


def _as_of(case: Case, now: float) -> Case:
    over = case.ended_at is not None and case.ended_at <= now
    return Case(
        case.id,
        case.provider,
        case.started_at,
        case.ended_at if over else None,
        tuple((at, stage) for at, stage in case.stages if at <= now),
    )


def _forecast(recovery: Recovery, over: Sequence[Case], case: Case, minutes: int) -> Scored | None:
    now = case.started_at + 60 * minutes
    stage = case.stage(now)
    made = recovery.predict(case.provider, 60.0 * minutes, stage, 0, now)
    curve = recovery.distribution(case.provider, 60.0 * minutes, stage, 0, now)
    if not isinstance(made, Forecast) or not isinstance(curve, Curve) or case.ended_at is None:
        return None
    remaining_s = case.ended_at - now
    all_s = [(past.ended_at or 0.0) - past.started_at for past in over]
    own_s = [
        (past.ended_at or 0.0) - past.started_at for past in over if past.provider == case.provider
    ]
    base = quantiles(own_s if len(own_s) >= ENOUGH else all_s)
    overall = quantiles(all_s)
    return Scored(
        provider=case.provider,
        started_at=case.started_at,
        elapsed_min=minutes,
        remaining_s=remaining_s,
        forecast=made,
        level=0.5 * math.erfc(-curve.score_s(remaining_s) / math.sqrt(2)),
        crps=crps(curve.quantile_s, remaining_s),
        crps_baseline=crps(lambda level: base(level) - 60 * minutes, remaining_s),
        crps_global=crps(lambda level: overall(level) - 60 * minutes, remaining_s),
    )


def quantiles(values: Sequence[float]) -> Callable[[float], float]:
    """Empirical quantiles, linear between the middles of the steps (Hazen's)."""
    ordered = sorted(values)
    levels = [(place + 0.5) / len(ordered) for place in range(len(ordered))]

    def at(level: float) -> float:
        right = bisect_right(levels, level)
        if right == 0 or right == len(levels):
            return ordered[0 if right == 0 else -1]
        share = (level - levels[right - 1]) / (levels[right] - levels[right - 1])
        return ordered[right - 1] + share * (ordered[right] - ordered[right - 1])

    return at


def crps(quantile_s: Callable[[float], float], remaining_s: float) -> float:
    """The continuous ranked probability score on log-minutes, from 99 quantiles."""
    y = _log(remaining_s)
    losses = []
    for level in LEVELS:
        q = _log(quantile_s(level))
        losses.append(level * (y - q) if y >= q else (1 - level) * (q - y))
    return 2 * math.fsum(losses) / len(losses)


def _log(seconds: float) -> float:
    return math.log(max(seconds / 60, 1.0))


def _at(scored: Sequence[Scored], minutes: int) -> list[Scored]:
    return [one for one in scored if one.elapsed_min == minutes]


def _share(some: Sequence[Scored], which: str) -> float:
    held = [one.held_80 if which == "80" else one.held_50 for one in some]
    return sum(held) / len(held)


def _mean(some: Sequence[Scored], which: str) -> float:
    return math.fsum(getattr(one, which) for one in some) / len(some)


def _gain(some: Sequence[Scored]) -> float:
    return 1 - _mean(some, "crps") / _mean(some, "crps_baseline")


def _figures(scored: Sequence[Scored], refused: Sequence[int]) -> list[Figure]:
    asked = len(scored) + len(refused)
    share = len(refused) / asked if asked else math.nan
    figures = [Figure("share of forecasts refused", share, 0.0, REFUSED_MOST, asked)]
    for minutes in ELAPSED_MIN:
        some = _at(scored, minutes)
        value = _share(some, "80") if some else math.nan
        name = f"coverage of the 80 % interval at {minutes} min"
        figures.append(Figure(name, value, *COVERAGE, len(some)))
    for minutes, least in GAIN.items():
        some = _at(scored, minutes)
        value = _gain(some) if some else math.nan
        name = f"CRPS at {minutes} min, better than {BASELINE[minutes]} by"
        figures.append(Figure(name, value, least, math.inf, len(some)))
    return figures


def _baselines(scored: Sequence[Scored], refused: Sequence[int]) -> Table:
    rows = []
    for minutes in sorted(ELAPSED_MIN + BETWEEN_MIN):
        some = _at(scored, minutes)
        if some:
            width = sorted(
                _log(one.forecast.high_80_s) - _log(one.forecast.low_80_s) for one in some
            )[len(some) // 2]
            rows.append(
                (
                    str(minutes),
                    str(len(some)),
                    str(refused.count(minutes)),
                    f"{_share(some, '80'):.3f}",
                    f"{_share(some, '50'):.3f}",
                    f"{math.exp(width):.0f}",
                    f"{_mean(some, 'crps'):.3f}",
                    f"{_mean(some, 'crps_baseline'):.3f}",
                    f"{_mean(some, 'crps_global'):.3f}",
                    f"{100 * _gain(some):+.1f} %",
                )
            )
    intervals = ("80 % holds", "50 % holds", "high/low")
    losses = ("CRPS", "by provider", "of all", "better by")
    header = ("elapsed, min", "n", "refused", *intervals, *losses)
    return Table("Time to recovery, by elapsed time", header, tuple(rows))


def _by_part(scored: Sequence[Scored]) -> Table:
    """The scored incidents in three parts, equally many in each."""
    starts = sorted(one.started_at for one in _at(scored, 0))
    edges = [starts[len(starts) * part // 3] for part in (1, 2)] if len(starts) > 2 else []
    groups = {f"part {part + 1} of 3": _part(scored, edges, part) for part in range(3)}
    return _grouped("Time to recovery, by part of the span", groups)


def _part(scored: Sequence[Scored], edges: Sequence[float], part: int) -> list[Scored]:
    return [one for one in scored if bisect_right(edges, one.started_at) == part]


def _by_provider(scored: Sequence[Scored]) -> Table:
    names = sorted({one.provider for one in scored})
    groups = {name: [one for one in scored if one.provider == name] for name in names}
    return _grouped("Time to recovery, by provider", groups)


def _grouped(title: str, groups: dict[str, list[Scored]]) -> Table:
    rows = []
    for name, group in groups.items():
        row = [name]
        for minutes in ELAPSED_MIN:
            some = _at(group, minutes)
            row.append(f"{_share(some, '80'):.2f} ({len(some)})" if some else "-")
        first, later = _at(group, 0), _at(group, 30)
        row += [f"{100 * _gain(some):+.1f} %" if some else "-" for some in (first, later)]
        rows.append(tuple(row))
    header = ("", *(f"80 % at {minutes} (n)" for minutes in ELAPSED_MIN))
    return Table(title, (*header, "CRPS at 0", "CRPS at 30"), tuple(rows))


def _coverage_chart(scored: Sequence[Scored]) -> Chart:
    elapsed = [minutes for minutes in sorted(ELAPSED_MIN + BETWEEN_MIN) if _at(scored, minutes)]
    lines = tuple(
        Line(
            f"{which} % interval",
            tuple((float(minutes), _share(_at(scored, minutes), which)) for minutes in elapsed),
        )
        for which in ("80", "50")
    )
    said = ", ".join(f"{y:.2f} at {x:.0f} min" for x, y in lines[0].points)
    return Chart(
        "recovery",
        "How often the end lay within the interval that was stated",
        "minutes elapsed",
        "share",
        lines,
        (0.0, 0.0),
        (float(max(ELAPSED_MIN)), 1.0),
        levels=((0.8, ""), (0.5, "")),
        words=f"The 80 % interval held: {said}.",
    )


def _levels_chart(scored: Sequence[Scored]) -> Chart:
    """The PIT: where in its distribution the end lay; level is right."""
    lines = []
    for minutes in ELAPSED_MIN:
        bins = _histogram(_at(scored, minutes))
        points = tuple((place / 10 + 0.05, n / max(1, sum(bins))) for place, n in enumerate(bins))
        lines.append(Line(f"at {minutes} min", points))
    return Chart(
        "recovery-levels",
        "Where in the stated distribution the end lay",
        "stated probability that it would be over by then",
        "share of outages",
        tuple(lines),
        (0.0, 0.0),
        (1.0, 0.3),
        levels=((0.1, "as it should be"),),
        words="Each tenth of the distribution should hold a tenth of the ends.",
    )


def _histogram(some: Sequence[Scored]) -> tuple[int, ...]:
    bins = [0] * 10
    for one in some:
        bins[min(9, int(10 * one.level))] += 1
    return tuple(bins)
