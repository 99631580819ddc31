"""Sequential detection, measured: from 1 % to 25 % failures at ten requests a minute.

*Suspicion* is counted in users' requests after the change. *With close looks* it is the service's
own deciders at their own pace (closely.py): its watch with the default rate of false alarms, looked
at once a second, and its probes with their default pace and budget, in the quiet months too.

*Traffic alone* has a bound that no test can beat. With fewer than one false alarm in N requests
there is a stretch of m requests that holds one with probability m / N at most, and in it no test
finds the change more often than the most powerful test of that size (Neyman-Pearson), which looks
at the number of failures among m. The bound is the first m for which that reaches one half.
"""

from __future__ import annotations

import copy
import math
import os
import random
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from bench.observatory.closely import Play
from bench.observatory.result import Chart, Figure, Line, Result, Table
from outlast.config import ObservatorySettings
from outlast.observatory.sequential import VOTES_PER_FALSE_ALARM, ErrorStream

QUIET, FAILING = 0.01, 0.25
PER_MINUTE = 10.0
MONTH_S = 30 * 86_400.0
MONTH_REQUESTS = 432_000
TRIALS, QUICK_TRIALS = 1000, 200
WARM_REQUESTS = 2000
LEAD_S = (900.0, 1800.0)
"""Quiet minutes of its own before each change: longer than a look's allowance remembers."""
MONTHS, QUICK_MONTHS = 6, 1
WITHIN = 12.0
FIXED_WINDOW_S = 300.0
FIXED_SHARE = 0.05


class Delay(msgspec.Struct, frozen=True):
    """From the change to the suspicion."""

    requests: int
    seconds: float


class Month(msgspec.Struct, frozen=True):
    """A quiet month."""

    alarms: int
    looks: int
    """Close looks that were asked for."""
    probes: int
    """Times that the model was asked by a probe."""
    tokens_per_day: float
    """At most, in any of its days."""


class Fixed:
    """The naive rule: at least 5 % of at least ten requests of five minutes fail."""

    def __init__(self) -> None:
        self.votes: list[tuple[float, bool]] = []

    def vote(self, at: float, *, failed: bool) -> bool:
        self.votes = [one for one in self.votes if one[0] > at - FIXED_WINDOW_S]
        self.votes.append((at, failed))
        return len(self.votes) >= 10 and sum(f for _, f in self.votes) > FIXED_SHARE * len(
            self.votes
        )


def run(data: Path, since: float | None = None, *, quick: bool = False) -> Result:
    """Simulate; nothing is read from `data`, so `since` changes nothing."""
    del data, since
    trials, months = (QUICK_TRIALS, QUICK_MONTHS) if quick else (TRIALS, MONTHS)
    jobs: list[Callable[[], list[Delay]]] = [
        partial(delays, probes, range(half * trials // 2, (half + 1) * trials // 2))
        for probes in (True, False)
        for half in range(2)
    ]
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        lived = [pool.submit(month, seed) for seed in range(months)]
        found = [one.result() for one in [pool.submit(job) for job in jobs]]
        quiet = [one.result() for one in lived]
    close, alone = found[0] + found[1], found[2] + found[3]
    close_alarms = sum(one.alarms for one in quiet) / months
    alone_alarms = traffic_alone(months) / months
    bound = least_median(QUIET, FAILING, MONTH_REQUESTS)
    figures = (
        Figure(
            "requests to suspicion, median, with close looks",
            statistics.median(one.requests for one in close),
            0.0,
            WITHIN,
            len(close),
        ),
        Figure("false alarms a month, with close looks", close_alarms, 0.0, 0.999, months),
        Figure("false alarms a month, traffic alone", alone_alarms, 0.0, 0.999, months),
    )
    fixed = [Delay(fixed_delay(seed), math.nan) for seed in range(trials)]
    rows = (
        ("least any test can have, traffic alone", str(bound), "-", "-", "< 1"),
        ("ours, traffic alone", *_said(alone), f"{alone_alarms:.2f}"),
        ("ours, with close looks", *_said(close), f"{close_alarms:.2f}"),
        ("5 % of 5 minutes", *_said(fixed), f"{fixed_month():.0f}"),
    )
    head = ("test", "median requests", "90 %", "median s", "false alarms a month")
    notes = (
        f"traffic alone cannot reach {WITHIN:.0f} requests: its least possible median is {bound}",
        _cost(quiet),
    )
    return Result(
        figures, (Table("1 % to 25 % failures", head, rows),), notes, (_chart(alone, close),)
    )


def _cost(quiet: Sequence[Month]) -> str:
    days = 30 * len(quiet)
    allowed = ObservatorySettings().probe_tokens_per_day
    return (
        f"a quiet day has {sum(one.looks for one in quiet) / days:.1f} close looks; its model is "
        f"probed {sum(one.probes for one in quiet) / days:.0f} times, its usual turns included; "
        f"the dearest day takes {max(one.tokens_per_day for one in quiet):.0f} tokens of {allowed}"
    )


def _chart(alone: Sequence[Delay], close: Sequence[Delay]) -> Chart:
    """Share of runs in which it was suspected within so many requests."""

    def share(found: Sequence[Delay]) -> tuple[tuple[float, float], ...]:
        some = [one.requests for one in found]
        return tuple((float(n), sum(one <= n for one in some) / len(some)) for n in range(61))

    return Chart(
        name="sequential",
        title="From 1 % to 25 % failures: suspected after how many requests",
        x="requests after the change",
        y="share of runs",
        lines=(Line("with close looks", share(close)), Line("traffic alone", share(alone))),
        low=(0.0, 0.0),
        high=(60.0, 1.0),
        levels=((0.5, "half"),),
        moments=((WITHIN, "asked"),),
        words="How soon failures become a suspicion, with and without close looks.",
    )


def least_median(p0: float, p1: float, per_alarm: int) -> int:
    """Return the least m for which a test of size m / `per_alarm` can have power one half."""
    m = 1
    while power(m, p0, p1, m / per_alarm) < 0.5:
        m += 1
    return m


def power(m: int, p0: float, p1: float, size: float) -> float:
    """The most powerful (randomised) test on the failures among `m` (Neyman-Pearson)."""
    left, reached = size, 0.0
    for failures in range(m, -1, -1):
        null, other = (
            math.comb(m, failures) * p**failures * (1 - p) ** (m - failures) for p in (p0, p1)
        )
        if null > left:
            return reached + other * left / null
        left, reached = left - null, reached + other
    return reached


def warmed(*, probes: bool = True) -> Play:
    """A service that has seen a quiet stretch."""
    play = Play(1, per_minute=PER_MINUTE, probes=probes)
    play.share = QUIET
    play.run(math.inf, requests=WARM_REQUESTS)
    return play


def delays(probes: bool, seeds: Sequence[int]) -> list[Delay]:
    """How long it took in each of these runs."""
    warm = warmed(probes=probes)
    return [delay(warm, seed) for seed in seeds]


def delay(warm: Play, seed: int) -> Delay:
    """Let failures begin at some moment; go on until the suspicion."""
    play = copy.deepcopy(warm)
    play.dice.roll = random.Random(seed)
    play.run(play.now + LEAD_S[0] + (LEAD_S[1] - LEAD_S[0]) * play.dice())
    while play.suspected:  # by chance, before the change: wait until that is over
        play.run(play.now + 60.0)
    play.share, requests, began_at = FAILING, play.requests, play.now
    play.run(math.inf, stop=True)
    return Delay(play.requests - requests, play.now - began_at)


def month(seed: int) -> Month:
    """Live through a quiet month."""
    play = Play(1000 + seed, per_minute=PER_MINUTE)
    play.share = QUIET
    play.run(MONTH_S)
    spent = [0.0] * 31
    for at, tokens in play.canaries:
        spent[int(at // 86_400)] += tokens
    return Month(play.alarms, play.looks, len(play.canaries), max(spent))


def traffic_alone(months: int) -> int:
    """False alarms of the test by itself: probes change nothing of what it is asked here."""
    rate = ObservatorySettings().false_alarms_per_month
    stream, rng = ErrorStream(VOTES_PER_FALSE_ALARM / rate), random.Random(7)
    alarms = 0
    for number in range(1, months * MONTH_REQUESTS + 1):
        was = stream.raised is not None
        stream.vote(number * 60 / PER_MINUTE, failed=rng.random() < QUIET)
        alarms += stream.raised is not None and not was
    return alarms


def fixed_delay(seed: int) -> int:
    rule, rng = Fixed(), random.Random(seed)
    while True:  # it raises false alarms before the change: begin from a quiet window
        quiet = [rng.random() < QUIET for _ in range(49)]
        if sum(quiet) <= FIXED_SHARE * 49:
            break
    for number, failed in enumerate(quiet):
        rule.vote(number * 6.0, failed=failed)
    number = 0
    while True:
        number += 1
        if rule.vote((48 + number) * 6.0, failed=rng.random() < FAILING):
            return number


def fixed_month() -> float:
    """False alarms of the naive rule in a month, from a tenth of one."""
    rule, rng, alarms, was = Fixed(), random.Random(9), 0, False
    for number in range(MONTH_REQUESTS // 10):
        now = rule.vote(number * 6.0, failed=rng.random() < QUIET)
        alarms += now and not was
        was = now
    return alarms * 10.0


def _said(delays: Sequence[Delay]) -> tuple[str, str, str]:
    requests = sorted(one.requests for one in delays)
    seconds = statistics.median(one.seconds for one in delays)
    took = "-" if math.isnan(seconds) else f"{seconds:.0f}"
    return f"{statistics.median(requests):.0f}", f"{requests[int(0.9 * len(requests))]}", took
