"""Whether stated probabilities come true, over a simulated year of outages, quiet and noise.

A year in six worlds of two months (world.py), lived through by the Watch as it is (living.py).
Every ten minutes the probability that is stated of each component is held against the truth:
*failing* is an error share of five percent or more.

- *Brier*: mean squared difference (Brier, Monthly Weather Review 1950). Beside it: always stating
  the year's own share of failing time, and believing the vendor's page.
- *Reliability error*: mean over ten equal bins of |stated - came true|, weighted by their size
  (expected calibration error, Naeini et al., AAAI 2015).
- *Fit*: Platt's logistic of the log-odds, from two further worlds that are not scored. What it
  gives is compared with what fusion.py has (SLOPE, OFFSET), by the same two scores.
- *Time to suspicion*: other worlds with an outage every few hours and probes every 30 s, from its
  start to the first suspicion of any of its components; with probes every five minutes as well.
- *False suspicions*: suspicions of a component while nothing fails, by what brought them.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from bench.observatory import world as worlds
from bench.observatory.living import Lived, Sample, live
from bench.observatory.result import Chart, Figure, Line, Result, Table
from bench.observatory.world import FAILING, Outage, World
from outlast.observatory import fusion

START_AT = 1_735_516_800.0
"""Monday, 30 December 2024."""
YEAR = tuple((seed, 2.0) for seed in range(101, 107))
FIT = ((201, 1.5), (202, 1.5))
QUICK_YEAR, QUICK_FIT = ((101, 1.0), (102, 1.0)), ((201, 1.0),)
DENSE = (301, 302)
DENSE_MONTHS = 0.6
DENSE_PER_MONTH = 240.0
BINS = 10
BRIER, RELIABILITY = 0.05, 0.05
SKILL = 0.5
"""Of the Brier score of stating always the same, at most so much."""
SEEN_SHARE = 0.25
"""Outages that fail a quarter of requests or more are what the bars on time are about."""
P50_S, P95_S = 120.0, 300.0
FALSE_PER_MONTH = 1.0
WRONG_CONFIRMED = 0.05
AFTER_S = 900.0
"""How long after an outage's end a suspicion is still its echo."""


class Life(msgspec.Struct, frozen=True):
    world: World
    lived: Lived


def run(data: Path, since: float | None = None, *, quick: bool = False) -> Result:
    """Live through the year. `data` and `since` are not needed: the world is made here."""
    del data, since
    year, fit = (QUICK_YEAR, QUICK_FIT) if quick else (YEAR, FIT)
    dense = DENSE[:1] if quick else DENSE
    jobs: list[Callable[[], Life]] = [partial(one_life, *each) for each in (*year, *fit)]
    jobs += [partial(dense_life, seed, 30.0) for seed in dense]
    jobs.append(partial(dense_life, dense[0], 300.0))
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        lives = [future.result() for future in [pool.submit(job) for job in jobs]]
    scored, fitted = lives[: len(year)], lives[len(year) : len(year) + len(fit)]
    close = lives[len(year) + len(fit) :][: len(dense)]
    far = lives[len(year) + len(fit) + len(dense) :]
    samples = [one for life in scored for one in life.lived.samples]
    slope, offset = platt([one for life in fitted for one in life.lived.samples])
    months = sum(life.lived.months for life in scored)
    outages = sum(len(life.world.outages) for life in scored)
    return Result(
        (*_score_figures(samples), *_time_figures(close), *_wrong_figures(scored, months)),
        (
            _score_table(samples, slope, offset),
            _reliability_table(samples),
            _time_table(close, far),
            _false_table(scored, months),
        ),
        (
            f"{months:.0f} simulated months, {outages} outages, {len(samples)} moments; "
            f"{100 * _mean([one.failing for one in samples]):.1f} % of them failing",
            f"fitted on other worlds: slope {slope:.2f}, offset {offset:+.2f}; "
            f"in use: {fusion.SLOPE:.2f}, {fusion.OFFSET:+.2f}",
        ),
        (_chart(samples),),
    )


def one_life(seed: int, months: float) -> Life:
    world = worlds.make(seed, months, START_AT)
    return Life(world, live(world, seed))


def dense_life(seed: int, probe_s: float) -> Life:
    """A world with an outage every three hours, of an hour at most."""
    world = worlds.make(seed, DENSE_MONTHS, START_AT, per_month=DENSE_PER_MONTH, longest_s=3600.0)
    return Life(world, live(world, seed, probe_s=probe_s))


# Scores


def log_odds(sample: Sample) -> float:
    """What fusion had before its last step."""
    p = min(max(sample.probability, 1e-9), 1 - 1e-9)
    return (fusion.logit(p) - fusion.OFFSET) / fusion.SLOPE


def platt(samples: Sequence[Sample]) -> tuple[float, float]:
    """Fit slope and offset by Newton's method, with Platt's targets (Platt 1999)."""
    positives = sum(one.failing for one in samples)
    high = (positives + 1) / (positives + 2)
    low = 1 / (len(samples) - positives + 2)
    pairs = [(log_odds(one), high if one.failing else low) for one in samples]
    slope, offset = 1.0, 0.0
    for _ in range(30):
        g0 = g1 = h00 = h01 = h11 = 0.0
        for x, target in pairs:
            p = fusion.probability(x, slope=slope, offset=offset)
            g, h = p - target, max(p * (1 - p), 1e-9)
            g0, g1 = g0 + g * x, g1 + g
            h00, h01, h11 = h00 + h * x * x, h01 + h * x, h11 + h
        determinant = h00 * h11 - h01 * h01
        step0, step1 = (g0 * h11 - g1 * h01) / determinant, (g1 * h00 - g0 * h01) / determinant
        slope, offset = slope - step0, offset - step1
        if abs(step0) + abs(step1) < 1e-6:
            break
    return slope, offset


def brier(stated: Sequence[float], truth: Sequence[bool]) -> float:
    return math.fsum((p - t) ** 2 for p, t in zip(stated, truth, strict=True)) / len(stated)


def reliability(stated: Sequence[float], truth: Sequence[bool]) -> list[tuple[int, float, float]]:
    """Return for each bin how many, the mean that was stated, and the share that came true."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for p, t in zip(stated, truth, strict=True):
        bins[min(BINS - 1, int(p * BINS))].append((p, t))
    return [(len(some), _mean([p for p, _ in some]), _mean([t for _, t in some])) for some in bins]


def reliability_error(stated: Sequence[float], truth: Sequence[bool]) -> float:
    total = max(1, len(stated))
    return sum(n * abs(said - came) for n, said, came in reliability(stated, truth)) / total


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _score_figures(samples: Sequence[Sample]) -> list[Figure]:
    stated, truth = [one.probability for one in samples], [one.failing for one in samples]
    base = _mean(truth)
    ours = brier(stated, truth)
    n = len(samples)
    return [
        Figure("Brier", ours, 0.0, BRIER, n),
        Figure("reliability error", reliability_error(stated, truth), 0.0, RELIABILITY, n),
        Figure("Brier, of that of always the same", ours / (base * (1 - base)), 0.0, SKILL, n),
    ]


def _score_table(samples: Sequence[Sample], slope: float, offset: float) -> Table:
    rows = []
    groups = {"all": list(samples)} | {
        name: [one for one in samples if one.component == name] for name in worlds.SCORED
    }
    for name, some in groups.items():
        truth = [one.failing for one in some]
        base = _mean(truth)
        stated = [one.probability for one in some]
        again = [fusion.probability(log_odds(one), slope=slope, offset=offset) for one in some]
        vendor = [float(one.vendor) for one in some]
        rows.append(
            (
                name,
                f"{100 * base:.1f} %",
                f"{brier(stated, truth):.4f}",
                f"{brier(again, truth):.4f}",
                f"{brier([base] * len(some), truth):.4f}",
                f"{brier(vendor, truth):.4f}",
                f"{reliability_error(stated, truth):.4f}",
                f"{reliability_error(again, truth):.4f}",
            )
        )
    head = ("component", "failing", "Brier", "refitted", "always the same", "vendor's page")
    return Table("Probabilities", (*head, "reliability error", "refitted"), tuple(rows))


def _reliability_table(samples: Sequence[Sample]) -> Table:
    bins = reliability([one.probability for one in samples], [one.failing for one in samples])
    rows = tuple(
        (f"{place / BINS:.1f} to {(place + 1) / BINS:.1f}", str(n), f"{said:.3f}", f"{came:.3f}")
        for place, (n, said, came) in enumerate(bins)
        if n
    )
    return Table("Reliability", ("stated", "moments", "mean stated", "came true"), rows)


# Times and false alarms


def _delays(lives: Sequence[Life]) -> list[tuple[Outage, float | None]]:
    return [pair for life in lives for pair in life.lived.delays if pair[0].worst >= FAILING]


def quantile(pairs: Sequence[tuple[Outage, float | None]], level: float) -> float:
    """A quantile of delays; those that were never suspected come last."""
    ordered = sorted(math.inf if delay is None else delay for _, delay in pairs)
    return ordered[min(len(ordered) - 1, int(level * len(ordered)))] if ordered else math.nan


def _time_figures(close: Sequence[Life]) -> list[Figure]:
    seen = [pair for pair in _delays(close) if pair[0].worst >= SEEN_SHARE]
    return [
        Figure(
            "s to suspicion, median (a quarter fails)", quantile(seen, 0.5), 0, P50_S, len(seen)
        ),
        Figure("s to suspicion, 95 % (a quarter fails)", quantile(seen, 0.95), 0, P95_S, len(seen)),
    ]


def _time_table(close: Sequence[Life], far: Sequence[Life]) -> Table:
    rows = []
    classes: list[tuple[str, float, float]] = [
        ("5 to 10 %", 0.05, 0.1),
        ("10 to 25 %", 0.1, 0.25),
        ("25 to 60 %", 0.25, 0.6),
        ("more", 0.6, 2.0),
    ]
    for name, least, most in classes:
        cells = [name]
        for lives in (close, far):
            some = [pair for pair in _delays(lives) if least <= pair[0].worst < most]
            times = [quantile(some, level) for level in (0.5, 0.95)]
            cells += [str(len(some)), *(_minutes(one) for one in times)]
        rows.append(tuple(cells))
    head = ("fails", "n", "median, min", "95 %", "n, probes at 300 s", "median, min", "95 %")
    return Table("Time to suspicion, probes at 30 s and at 300 s", head, tuple(rows))


def _minutes(seconds: float) -> str:
    return "never" if seconds == math.inf else f"{seconds / 60:.1f}"


def _why(life: Life, at: float) -> str:
    """What a suspicion may come from; empty where something fails."""
    near = [one for one in life.world.outages if one.start_at <= at <= one.end_at + AFTER_S]
    if any(one.worst >= FAILING for one in near):
        return ""
    if near:
        return "more errors, below the bar"
    if any(start <= at <= end + AFTER_S for start, end, _ in life.world.bursts):
        return "people, after a rumour"
    if any(one.stages[0][0] <= at <= one.stages[-1][0] + AFTER_S for one in life.world.posted):
        return "the vendor's word alone"
    if any(start <= at <= end + AFTER_S for start, end, _ in life.world.noise):
        return "our own line"
    return "chance"


def _wrong_figures(scored: Sequence[Life], months: float) -> list[Figure]:
    suspected = [_why(life, at) for life in scored for at, _ in life.lived.opened]
    confirmed = [_why(life, at) for life in scored for at, _ in life.lived.confirmed]
    by_chance = suspected.count("chance")
    wrong = sum(bool(why) for why in confirmed)
    return [
        Figure(
            "suspicions by chance, a month", by_chance / months, 0.0, FALSE_PER_MONTH, by_chance
        ),
        Figure(
            "share of confirmations that were wrong",
            wrong / len(confirmed) if confirmed else math.nan,
            0.0,
            WRONG_CONFIRMED,
            len(confirmed),
        ),
    ]


def _false_table(scored: Sequence[Life], months: float) -> Table:
    suspected = Counter(_why(life, at) for life in scored for at, _ in life.lived.opened)
    confirmed = Counter(_why(life, at) for life in scored for at, _ in life.lived.confirmed)
    rows = tuple(
        (name or "an outage", f"{suspected[name] / months:.2f}", f"{confirmed[name] / months:.2f}")
        for name in sorted(suspected | confirmed)
    )
    head = ("what was so", "suspected, a month", "confirmed, a month")
    return Table("Suspicions of components, by what brought them", head, rows)


def _chart(samples: Sequence[Sample]) -> Chart:
    bins = reliability([one.probability for one in samples], [one.failing for one in samples])
    points = tuple((said, came) for n, said, came in bins if n >= 20)
    error = reliability_error(
        [one.probability for one in samples], [one.failing for one in samples]
    )
    return Chart(
        "calibration",
        "Stated probability of an outage, and how often it came true",
        "stated",
        "came true",
        (Line("a simulated year", points), Line("bins", points, dots=True)),
        (0.0, 0.0),
        (1.0, 1.0),
        diagonal=True,
        words=f"Points near the diagonal are true to their word; the mean distance is {error:.3f}. "
        + "; ".join(f"stated {said:.2f}, came true {came:.2f}" for said, came in points)
        + ".",
    )
