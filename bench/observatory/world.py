"""A simulated provider over months: what truly fails, and what is seen of it, said of it and felt.

Everything follows from a seed. Three surfaces: the API (two models; our own requests, 2 to 10 a
minute by the time of day, and probes), the web and the login (probes). What happens:

- outages of all, of one surface, of one model, whole or in part (5 to 60 % of requests fail), and
  slow ones where some requests time out; as long as vendors' incidents are (median 72 minutes, log
  deviation 1.2: design notes 1.2) and as frequent as theirs in 2026 (28 to 40 in 30 days);
- the vendor posts late (lognormal, median 16 and mean 29 minutes) or, more often than not, never
  (Metrist 2023), sometimes of one surface where two fail, and closes late;
- what is no outage of ours: notices of what only others feel, errors of 2 to 4 %, quarters of an
  hour in which our own line drops probes, and bursts of reports after a rumour.

*Failing* means that five of a hundred requests to a component fail, or more.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator

import msgspec

DAY_S = 86_400.0
MONTH_S = 30 * DAY_S
API, WEB, LOGIN = "vendor/api", "vendor/web", "vendor/login"
MODELS = {"vendor/api/large": 0.7, "vendor/api/small": 0.3}
"""Share of our requests."""
SCORED = (API, *MODELS, WEB, LOGIN)
FAILING = 0.05
OUTAGES_PER_MONTH = 30.0
DURATION_MEDIAN_S, DURATION_SIGMA = 72 * 60.0, 1.2
DURATION_S = (300.0, 24 * 3600.0)
POST_MEDIAN_S, POST_SIGMA = 16 * 60.0, 1.09
NEVER_POSTED = 0.55
USUAL_ERRORS = 0.004
USUAL_PROBE_ERRORS = 0.003
REPORTS_PER_DAY = 60.0
KINDS = (
    ("full", 0.12),
    ("partial", 0.38),
    ("slow", 0.12),
    ("surface", 0.22),
    ("model", 0.16),
)


class Outage(msgspec.Struct, frozen=True):
    start_at: float
    end_at: float
    kind: str
    shares: dict[str, float]
    """By component (models, web, login): how many requests fail. The API's follows."""
    reports: float
    """A minute, at its height."""

    @property
    def worst(self) -> float:
        return max(self.shares.values())


class Posted(msgspec.Struct, frozen=True):
    """What the vendor's page says: stages with their times, and which of its parts it marks."""

    id: str
    stages: tuple[tuple[float, str], ...]
    parts: tuple[str, ...]


class World(msgspec.Struct):
    start_at: float
    end_at: float
    outages: list[Outage]
    posted: list[Posted]
    bursts: list[tuple[float, float, float]]
    """Reports without an outage: start, end, a minute."""
    noise: list[tuple[float, float, float]]
    """Our own line drops probes: start, end, share."""
    starts: list[float]

    def outage(self, at: float) -> Outage | None:
        """The outage that goes on at a moment; they do not overlap."""
        place = bisect_right(self.starts, at) - 1
        if place < 0 or at >= self.outages[place].end_at:
            return None
        return self.outages[place]

    def share(self, component: str, at: float) -> float:
        """The share of requests to a component that fail at a moment, beyond the usual."""
        found = self.outage(at)
        if found is None:
            return 0.0
        if component == API:
            return sum(weight * found.shares.get(name, 0.0) for name, weight in MODELS.items())
        return found.shares.get(component, 0.0)

    def failing(self, component: str, at: float) -> bool:
        return self.share(component, at) >= FAILING

    def noisy(self, at: float) -> float:
        return next((share for start, end, share in self.noise if start <= at < end), 0.0)

    def reports(self, at: float) -> float:
        """Reports of the web a minute."""
        usual = REPORTS_PER_DAY / 1440 * day_shape(at)
        more = sum(rate for start, end, rate in self.bursts if start <= at < end)
        found = self.outage(at)
        if found is not None:
            # People need some minutes to notice, and tire of telling.
            age_min = (at - found.start_at) / 60
            more += found.reports * min(1.0, age_min / 4) * max(0.3, math.exp(-age_min / 120))
        return usual + more

    def busy(self) -> Iterator[tuple[float, float]]:
        """Spans in which something happens that is worth a look every ten seconds."""
        spans = [(one.start_at - 120, one.end_at + 1800) for one in self.outages]
        spans += [(start - 60, end + 1800) for start, end, _ in (*self.bursts, *self.noise)]
        spans += [(one.stages[0][0] - 60, one.stages[0][0] + 900) for one in self.posted]
        last: tuple[float, float] | None = None
        for start, end in sorted(spans):
            if last is not None and start <= last[1]:
                last = (last[0], max(last[1], end))
                continue
            if last is not None:
                yield last
            last = (start, end)
        if last is not None:
            yield last


def day_shape(at: float) -> float:
    """A day's course, from a third at night to five thirds in the afternoon; mean 1."""
    return 1 + 2 / 3 * math.sin(2 * math.pi * (at / DAY_S - 0.375))


def requests_per_minute(at: float) -> float:
    """Our own requests: 2 at night, 10 in the afternoon, 4 on the average."""
    return 2 + 8 * max(0.0, math.sin(2 * math.pi * (at / DAY_S - 0.375))) ** 2


def make(
    seed: int,
    months: float,
    start_at: float,
    *,
    per_month: float = OUTAGES_PER_MONTH,
    longest_s: float = DURATION_S[1],
) -> World:
    """Return a world; `start_at` in seconds since the epoch."""
    roll = random.Random(seed)
    end_at = start_at + months * MONTH_S
    outages: list[Outage] = []
    posted: list[Posted] = []
    at = start_at + 6 * 3600
    while True:
        at += roll.expovariate(per_month / MONTH_S)
        if at >= end_at - 3 * 3600:
            break
        outage = _outage(roll, at, longest_s)
        outages.append(outage)
        posted += _posted(roll, outage, len(posted))
        at = outage.end_at + 1800
    posted += _others(roll, start_at, end_at)
    return World(
        start_at,
        end_at,
        outages,
        sorted(posted, key=lambda one: one.stages[0][0]),
        [(t, t + roll.uniform(600, 1500), roll.uniform(0.7, 2.5)) for t in
         _moments(roll, start_at, end_at, 2.0)],
        [(t, t + roll.uniform(300, 900), roll.uniform(0.1, 0.4)) for t in
         _moments(roll, start_at, end_at, 1.5)],
        [one.start_at for one in outages],
    )  # fmt: skip


def _moments(roll: random.Random, start: float, end: float, per_month: float) -> list[float]:
    count = int(per_month * (end - start) / MONTH_S + roll.random())
    return sorted(roll.uniform(start, end - 3600) for _ in range(count))


def _outage(roll: random.Random, at: float, longest_s: float) -> Outage:
    kind = roll.choices([name for name, _ in KINDS], [weight for _, weight in KINDS])[0]
    share = math.exp(roll.uniform(math.log(0.05), math.log(0.6)))
    large, small = MODELS
    everything = (large, small, WEB, LOGIN)
    if kind == "full":
        shares = {name: roll.uniform(0.9, 1.0) for name in everything}
    elif kind == "partial":
        shares = {name: min(1.0, share * roll.uniform(0.5, 1.5)) for name in everything}
    elif kind == "slow":
        shares = {name: roll.uniform(0.05, 0.2) for name in (large, small, WEB)}
    elif kind == "model":
        shares = {roll.choice((large, small)): roll.uniform(0.2, 1.0)}
    else:
        whole = roll.uniform(0.1, 1.0)
        surface = roll.choice(((large, small), (WEB,), (LOGIN,)))
        shares = dict.fromkeys(surface, whole)
    if roll.random() < 0.1:  # not an outage by our measure, only more errors than usual
        shares = {name: roll.uniform(0.02, 0.04) for name in shares}
    lasts = DURATION_MEDIAN_S * math.exp(roll.gauss(0, DURATION_SIGMA))
    lasts = min(max(lasts, DURATION_S[0]), longest_s)
    felt = max(shares.get(WEB, 0.0), shares.get(LOGIN, 0.0), 0.2 * max(shares.values()))
    reports = felt * math.exp(roll.gauss(math.log(6), 0.8))
    return Outage(at, at + lasts, kind, shares, reports)


def _posted(roll: random.Random, outage: Outage, number: int) -> Iterator[Posted]:
    delay = POST_MEDIAN_S * math.exp(roll.gauss(0, POST_SIGMA))
    if roll.random() < NEVER_POSTED or outage.worst < FAILING:
        return
    began, ended = outage.start_at + delay, outage.end_at
    if began > ended + 3600:
        return
    parts = []
    if any(name in outage.shares for name in MODELS):
        parts.append("API")
    parts += [name for name, key in (("Web", WEB), ("Login", LOGIN)) if key in outage.shares]
    if len(parts) > 1 and roll.random() < 0.3:
        parts.remove(roll.choice(parts))
    stages = [(began, "investigating")]
    if ended - began > 1200 and roll.random() < 0.6:
        stages.append((roll.uniform(began + 300, ended), "identified"))
    fixed = max(ended + roll.gauss(300, 300), began + 120)
    stages.append((fixed, "monitoring"))
    stages.append((fixed + 1800 * math.exp(roll.gauss(0, 0.7)), "resolved"))
    yield Posted(f"n{number}", tuple(stages), tuple(parts))


def _others(roll: random.Random, start: float, end: float) -> Iterator[Posted]:
    """Notices of what only others feel: another region, another kind of customer, a mistake."""
    for number, at in enumerate(_moments(roll, start, end, 2.5)):
        lasts = 3600 * math.exp(roll.gauss(0, 0.8))
        stages = ((at, "investigating"), (at + lasts, "monitoring"), (at + lasts * 1.4, "resolved"))
        yield Posted(f"x{number}", stages, (roll.choice(("API", "Web", "Login")),))
