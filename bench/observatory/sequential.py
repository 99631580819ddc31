"""Sequential detection, measured: from 1 % to 25 % failures at ten requests a minute.

*Suspicion* is counted in users' requests after the change. *With probes at once*: while the
detector says `watching`, a probe is sent every two seconds, three for each request; they fail like
requests do and are votes like any other, in the quiet month too.

*Traffic alone* has a bound that no test can beat. With fewer than one false alarm in N requests
there is a stretch of m requests that holds one with probability m / N at most, and in it no test
finds the change more often than the most powerful test of that size (Neyman-Pearson), which looks
at the number of failures among m. The bound is the first m for which that reaches one half.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.observatory.result import Chart, Figure, Line, Result, Table
from outlast.observatory.sequential import ErrorStream

QUIET, FAILING = 0.01, 0.25
PER_MINUTE = 10.0
MONTH_REQUESTS = 432_000
TRIALS = 600
WARM_REQUESTS = 2000
MONTHS = 3
PROBES_PER_REQUEST = 3
WITHIN = 12.0
FIXED_WINDOW_S = 300.0
FIXED_SHARE = 0.05


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


def run(data: Path, since: float | None = None) -> Result:
    """Simulate; nothing is read from `data`, so `since` changes nothing."""
    del data, since
    warm = warmed()
    alone = [delay(warm, seed, 0) for seed in range(TRIALS)]
    helped = [delay(warm, seed, PROBES_PER_REQUEST) for seed in range(TRIALS)]
    alarms, votes = month(warm, 0)
    helped_alarms, helped_votes = month(warm, PROBES_PER_REQUEST)
    fixed = [fixed_delay(seed) for seed in range(TRIALS)]
    bound = least_median(QUIET, FAILING, MONTH_REQUESTS)
    figures = (
        Figure(
            "requests to suspicion, median, with probes at once",
            statistics.median(helped),
            0.0,
            WITHIN,
            TRIALS,
        ),
        Figure("false alarms a month, with probes", helped_alarms / MONTHS, 0.0, 0.999, MONTHS),
        Figure("false alarms a month, traffic alone", alarms / MONTHS, 0.0, 0.999, MONTHS),
    )
    rows = (
        ("least any test can have", str(bound), "-", "< 1", "-"),
        ("ours, traffic alone", *_said(alone), f"{alarms / MONTHS:.2f}", "0"),
        (
            "ours, with probes at once",
            *_said(helped),
            f"{helped_alarms / MONTHS:.2f}",
            f"{helped_votes / votes - 1:.2%}",
        ),
        ("5 % of 5 minutes", *_said(fixed), f"{fixed_month():.0f}", "0"),
    )
    head = ("test", "median requests", "90 %", "false alarms a month", "probes per request")
    notes = (
        f"traffic alone cannot reach {WITHIN:.0f} requests: its least possible median is {bound}",
    )
    return Result(
        figures, (Table("1 % to 25 % failures", head, rows),), notes, (_chart(alone, helped),)
    )


def _chart(alone: Sequence[float], helped: Sequence[float]) -> Chart:
    """Share of runs in which it was suspected within so many requests."""

    def share(found: Sequence[float]) -> tuple[tuple[float, float], ...]:
        return tuple((float(n), sum(one <= n for one in found) / len(found)) for n in range(61))

    return Chart(
        name="sequential",
        title="From 1 % to 25 % failures: suspected after how many requests",
        x="requests after the change",
        y="share of runs",
        lines=(Line("with probes at once", share(helped)), Line("traffic alone", share(alone))),
        low=(0.0, 0.0),
        high=(60.0, 1.0),
        levels=((0.5, "half"),),
        moments=((WITHIN, "asked"),),
        words="How soon failures become a suspicion, with and without probes.",
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


def warmed() -> bytes:
    """A stream that has seen a quiet stretch, saved."""
    stream, rng = ErrorStream(), random.Random(1)
    for number in range(WARM_REQUESTS):
        stream.vote(number * 60 / PER_MINUTE, failed=rng.random() < QUIET)
    return msgspec.json.encode(stream)


def delay(warm: bytes, seed: int, probes: int) -> int:
    """Return the users' requests from the change to the suspicion."""
    stream, rng = msgspec.json.decode(warm, type=ErrorStream), random.Random(seed)
    for number in range(1, 10_000):
        at = (WARM_REQUESTS + number) * 60 / PER_MINUTE
        if stream.vote(at, failed=rng.random() < FAILING) is not None:
            return number
        for probe in range(probes):
            if not stream.watching():
                break
            if stream.vote(at + 2 * probe, failed=rng.random() < FAILING) is not None:
                return number
    return 10_000


def month(warm: bytes, probes: int) -> tuple[int, int]:
    """Return the false alarms and the votes of `MONTHS` quiet months."""
    stream, rng = msgspec.json.decode(warm, type=ErrorStream), random.Random(7)
    alarms = votes = 0
    for number in range(1, MONTHS * MONTH_REQUESTS + 1):
        at, was = (WARM_REQUESTS + number) * 60 / PER_MINUTE, stream.raised is not None
        stream.vote(at, failed=rng.random() < QUIET)
        votes += 1
        for probe in range(probes):
            if stream.raised is not None or not stream.watching():
                break
            stream.vote(at + 2 * probe, failed=rng.random() < QUIET)
            votes += 1
        alarms += stream.raised is not None and not was
    return alarms, votes


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


def _said(delays: list[int]) -> tuple[str, str]:
    return f"{statistics.median(delays):.0f}", f"{sorted(delays)[int(0.9 * len(delays))]}"
