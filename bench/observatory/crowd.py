"""Crowd detection, measured: official incidents found, alarms without one, and the null.

GitHub's counts against its official incidents, the two busiest services, a million null minutes.
An alarm *matches* an incident when the bin that raised it begins between an hour before the
official start and an hour after the official end; the same for our alarms and for every rule's.
Before the start because official times lag: people often report first, and a bin is 20 minutes
long. The first two weeks of a series are history.

The baseline to beat is the *5x ratio rule*: a bin of at least five times the usual count (the same
online baseline) and at least ten reports, alarms less than two hours apart being one. The minimum
is our reading: the rule is known here for 17 of 66 incidents and 0.90 alarms without one per 30
days, over a longer span. Ten reports come nearest to the second figure, eight to the first, and
five find more of both; the table shows them all.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.observatory import crowd_data
from bench.observatory.crowd_data import BIN_S, EVENT_BIN_S, Official, Series
from bench.observatory.result import Chart, Figure, Line, Result, Table
from outlast.observatory.baseline import COLD_S, DAY_S, Baseline
from outlast.observatory.crowd import CALM_S, MONTH_S, CrowdSettings, new_stream

SERVICE = "github"
BEFORE_S = AFTER_S = 3600.0
RULES = ((5.0, 10.0), (5.0, 5.0), (5.0, 8.0), (10.0, 20.0))
"""(ratio, least reports in a bin); the first is the bar."""
MAJOR = frozenset({"major", "critical"})
"""What Statuspage calls more than minor."""
SPOKEN_OF = RULES[0][1]
"""Reports in an incident's window below which no crowd spoke of it."""
BUSY_MOST = 2.0
NULL_MINUTES = 1_000_000
NULL_STREAMS = tuple((phi, mean) for phi in (1.0, 2.0, 3.0, 4.0) for mean in (0.1, 1.5))
"""(variance / mean, mean reports a minute)."""


class Span(msgspec.Struct, frozen=True):
    """What is scored of a series."""

    start_at: float
    end_at: float

    @property
    def months(self) -> float:
        return max(0.0, self.end_at - self.start_at) / MONTH_S


class Score(msgspec.Struct, frozen=True):
    found: tuple[Official, ...]
    unmatched: int
    months: float
    alarms: tuple[float, ...]

    @property
    def rate(self) -> float:
        return self.unmatched / self.months if self.months else math.nan


NOTHING = Score((), 0, 0.0, ())


def run(data: Path, since: float | None = None) -> Result:
    """Measure on `data`; score what comes after `since` (epoch, s), all before being history."""
    series, files = crowd_data.counts(data)
    notes = [f"{sum(map(len, series.values()))} bins of {', '.join(files) or 'no file'}"]
    figures, tables = [], []
    charts: tuple[Chart, ...] = ()
    if SERVICE in series:
        incidents = crowd_data.official(data)
        counts = series[SERVICE]
        span = span_of(counts, since)
        ours = score(alarms_of(counts), incidents, span)
        rules = {rule: score(ratio_alarms(counts, *rule), incidents, span) for rule in RULES}
        scored = [one for one in incidents if span.start_at <= one.start_at < span.end_at]
        figures += _official_figures(ours, rules[RULES[0]], scored)
        figures += _major_figures(ours, scored, counts)
        tables.append(_rules_table(ours, rules, len(scored)))
        tables.append(_severity_table(ours, scored, counts))
        charts = (_alarm_chart(ours, counts, incidents, span),)
        notes.append(f"{SERVICE}: {span.months:.1f} months scored; {_delays(ours)}")
    else:
        figures += _official_figures(NOTHING, NOTHING, ())
        notes.append(f"no counts of {SERVICE}: crowd/outagereport_counts*.csv[.gz] is absent")
    found, table = _services(series, since)
    figures += found
    tables += [table, _events_table(data)]
    figures.append(null_figure())
    return Result(tuple(figures), tuple(tables), tuple(notes), charts)


def _alarm_chart(ours: Score, counts: Series, incidents: Sequence[Official], span: Span) -> Chart:
    """Alarms by day and by how many reported, matched or not."""

    def days(at: float) -> float:
        return (at - span.start_at) / DAY_S

    matched = [at for at in ours.alarms if matches(at, incidents)]
    others = [at for at in ours.alarms if at not in matched]
    most = max((counts[int(at)] for at in ours.alarms), default=1.0)
    return Chart(
        name="crowd",
        title="GitHub: alarms from people's reports",
        x="days since the first that is scored",
        y="reports in 20 minutes",
        lines=(
            Line("with an official incident", _dots(matched, counts, days), dots=True),
            Line("without one", _dots(others, counts, days), dots=True),
        ),
        low=(0.0, 0.0),
        high=(max(1.0, days(span.end_at)), most * 1.1),
        words=f"{len(matched)} alarms match an official incident, {len(others)} do not.",
    )


def _dots(
    alarms: Sequence[float], counts: Series, days: Callable[[float], float]
) -> tuple[tuple[float, float], ...]:
    return tuple((days(at), counts[int(at)]) for at in alarms)


# Detectors over a series


def alarms_of(counts: Series, bin_s: float = BIN_S) -> list[float]:
    """Return the beginnings of the bins that raised a suspicion."""
    stream = new_stream(CrowdSettings(bin_s=bin_s))
    raised = []
    for at, count in counts.items():
        suspicion = stream.observe(at, count)
        if suspicion is not None and suspicion.raised_at == at + bin_s:
            raised.append(float(at))
    return raised


def ratio_alarms(counts: Series, ratio: float, least: float) -> list[float]:
    """The ratio rule: `ratio` times the baseline and `least` reports in one bin."""
    baseline, raised, last = Baseline(BIN_S), [], -math.inf
    for at, count in counts.items():
        usual = baseline.expected(at)
        if count >= least and count >= ratio * usual.mu:
            if at - last > CALM_S:
                raised.append(float(at))
            last = at
            baseline.leave_out(at)
            baseline.skip(at)
        else:
            baseline.note(at, count, usual)
    return raised


# Scores


def span_of(counts: Series, since: float | None) -> Span:
    start = min(counts) + COLD_S
    return Span(max(start, since) if since is not None else start, max(counts) + BIN_S)


def matches(at: float, incidents: Sequence[Official]) -> bool:
    return any(one.start_at - BEFORE_S <= at <= one.end_at + AFTER_S for one in incidents)


def score(alarms: Sequence[float], incidents: Sequence[Official], span: Span) -> Score:
    mine = [at for at in alarms if span.start_at <= at < span.end_at]
    found = [
        one
        for one in incidents
        if span.start_at <= one.start_at < span.end_at and any(matches(at, [one]) for at in mine)
    ]
    unmatched = sum(not matches(at, incidents) for at in mine)
    return Score(tuple(found), unmatched, span.months, tuple(mine))


def _official_figures(ours: Score, rule: Score, scored: Sequence[Official]) -> list[Figure]:
    """What nothing was there to be found of is not a number: it was not measured."""
    return [
        Figure(
            "official incidents found (5x rule)",
            len(ours.found) if scored else math.nan,
            len(rule.found),
            math.inf,
            len(scored),
        ),
        Figure("alarms without one, per 30 days", ours.rate, 0.0, rule.rate / 2, ours.unmatched),
    ]


def _major_figures(ours: Score, scored: Sequence[Official], counts: Series) -> list[Figure]:
    """All major ones that a crowd spoke of. Of none, nothing can be asked; the table has the others
    too."""
    major = [one for one in scored if one.status in MAJOR and _heard(one, counts) >= SPOKEN_OF]
    if not major:
        return []
    share = sum(one in ours.found for one in major) / len(major)
    return [Figure("share of major incidents found", share, 1.0, 1.0, len(major))]


def _heard(one: Official, counts: Series) -> float:
    """Reports in the window of an incident."""
    return sum(count for at, count in counts.items() if matches(at, [one]))


def _rules_table(ours: Score, rules: dict[tuple[float, float], Score], n: int) -> Table:
    rows = [("ours", f"{len(ours.found)}/{n}", str(ours.unmatched), f"{ours.rate:.2f}")]
    for (ratio, least), one in rules.items():
        name = f"{ratio:.0f}x, at least {least:.0f} reports"
        rows.append((name, f"{len(one.found)}/{n}", str(one.unmatched), f"{one.rate:.2f}"))
    return Table(
        "GitHub: official incidents", ("rule", "found", "unmatched", "per 30 days"), tuple(rows)
    )


def _severity_table(ours: Score, scored: Sequence[Official], counts: Series) -> Table:
    rows = []
    for status in sorted({one.status for one in scored}):
        some = [one for one in scored if one.status == status]
        few = len(some) < 10
        said = ", ".join(f"{_heard(one, counts):.0f}" for one in some) if few else "-"
        rows.append((status, f"{sum(one in ours.found for one in some)}/{len(some)}", said))
    return Table("By severity", ("severity", "found", "reports in each one's window"), tuple(rows))


def _delays(ours: Score) -> str:
    """From the official start to the end of the bin that raised the first matching alarm."""
    delays = [
        min(at for at in ours.alarms if matches(at, [one])) + BIN_S - one.start_at
        for one in ours.found
    ]
    if not delays:
        return "nothing found"
    ahead = sum(delay < 0 for delay in delays)
    middle = statistics.median(delays) / 60
    return f"median {middle:.0f} min after the official start, {ahead} of {len(delays)} before it"


def _services(series: dict[str, Series], since: float | None) -> tuple[list[Figure], Table]:
    """Alarms of every service; the two with the highest mean have a bar."""
    means = {name: statistics.fmean(counts.values()) for name, counts in series.items() if counts}
    busiest = sorted(means, key=lambda name: -means[name])[:2]
    figures, rows = [], []
    if not busiest:
        figures.append(Figure("alarms per 30 days, busiest", math.nan, 0.0, BUSY_MOST, 0))
    for name in sorted(means, key=lambda name: -means[name]):
        span = span_of(series[name], since)
        if span.months <= 0:
            if name in busiest:
                title = f"alarms per 30 days, {name}"
                figures.append(Figure(title, math.nan, 0.0, BUSY_MOST, 0))
            continue
        alarms = [at for at in alarms_of(series[name]) if span.start_at <= at < span.end_at]
        rate = len(alarms) / span.months
        rows.append((name, f"{means[name]:.2f}", str(len(alarms)), f"{rate:.2f}"))
        if name in busiest:
            title = f"alarms per 30 days, {name}"
            figures.append(Figure(title, rate, 0.0, BUSY_MOST, len(alarms)))
    head = ("service", "reports per bin", "alarms", "per 30 days")
    return figures, Table("Every service (GitHub's alarms included)", head, tuple(rows))


def _events_table(data: Path) -> Table:
    """Other crowds: 24 hours around each cloud outage, nothing between; the first teaches."""
    rows = []
    for provider, some in sorted(crowd_data.events(data).items()):
        counts = dict(sorted((at, c) for event in some.values() for at, c in event.items()))
        stream = new_stream(CrowdSettings(bin_s=EVENT_BIN_S))
        bursts, suspected = set(), set()
        for at, count in counts.items():
            if stream.observe(at, count) is not None:
                suspected.add(at)
            if stream.bursting:
                bursts.add(at)
        n = [sum(not seen.isdisjoint(one) for one in some.values()) for seen in (bursts, suspected)]
        rows.append((provider, str(len(some)), str(n[0]), str(n[1])))
    head = ("provider", "outages", "bursts", "suspected")
    return Table("Downdetector: 24 hours around each cloud outage", head, tuple(rows))


# The null


def null_figure(minutes: int = NULL_MINUTES) -> Figure:
    """Bursts per 30 days where nothing ever happens; the bar is the rate that is stated."""
    each, bursts = minutes // len(NULL_STREAMS), 0
    for number, (phi, mean) in enumerate(NULL_STREAMS):
        bursts += null_bursts(random.Random(number), phi, mean, each)
    stated = CrowdSettings().false_alarms_per_30_days
    rate = bursts / (each * len(NULL_STREAMS) * 60 / MONTH_S)
    return Figure("bursts per 30 null days, stated", rate, 0.0, stated, bursts)


def null_bursts(rng: random.Random, phi: float, mean: float, minutes: int) -> int:
    """Count the bursts in null minutes: negative binomial, variance `phi` times the mean."""
    stream, bursts, was = new_stream(), 0, False
    draw = counter(rng, phi)
    for minute in range(minutes):
        at = minute * 60.0
        stream.observe(at, draw(mean * shape(at)))
        bursts += stream.bursting and not was
        was = stream.bursting
    return bursts


def shape(at: float) -> float:
    """A time of the week's share: nights at a third of the day's peak, quiet week-ends."""
    day = 1 + 0.5 * math.sin(2 * math.pi * at / DAY_S)
    return day * (0.7 if (at // DAY_S) % 7 >= 5 else 1.12)


def counter(rng: random.Random, phi: float) -> Callable[[float], int]:
    """Return a draw of a count with a given mean and variance `phi` times it (gamma-Poisson)."""

    def draw(mean: float) -> int:
        rate = rng.gammavariate(mean / (phi - 1), phi - 1) if phi > 1 else mean
        limit, product, count = math.exp(-rate), rng.random(), 0
        while product > limit:
            product *= rng.random()
            count += 1
        return count

    return draw
