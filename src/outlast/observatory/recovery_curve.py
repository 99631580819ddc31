"""How long an outage still lasts, as a whole distribution, from outages that lasted as long. Pure.

The remaining time of a case that has lasted `elapsed_s` is learned from the cases that were not
over by then (conditional survival). In logarithms of minutes it is

    y = effect of provider + posted stage + relapse + office hours + residual

(an accelerated failure time model, Kalbfleisch & Prentice, *The Statistical Analysis of Failure
Time Data*, 2002, ch. 7). The effects are shrunk to zero by ridge penalties, so that a provider
with few cases borrows from all. The residuals' distribution is the weighted Kaplan-Meier
estimate (JASA 53, 1958), in which cases that still go on are right-censored, averaged with the
log-normal of the same mean and spread: that smooths the steps and gives the tails where
Kaplan-Meier runs out. Recent cases weigh more: durations drift.

The constants were chosen on incidents of 2021 to 2024-08; scores are flat around all of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

import msgspec

from outlast.observatory.recovery_case import Case, in_office, posted

HALF_LIFE_S = 100 * 86400.0
"""A case that ended this long ago counts half of one that ends now."""
RIDGE = 20.0
"""An effect seen in so many cases is believed by half."""
OWN_PROVIDER, OWN_STAGE = 20.0, 40.0
"""With so many cases of its own, others' residuals count half."""
SMOOTHING = 0.5
"""Share of the log-normal in the averaged quantiles (Vincent averaging)."""
MAX_PROVIDERS = 16
"""So many providers, those with most cases, have an effect of their own."""
LEAST_SPREAD = 0.1
LEAST_MIN = 1.0
"""Logarithms begin at one minute: nobody plans in seconds."""
FARTHEST_Z = 6.0


class Asked(msgspec.Struct, frozen=True):
    """What is known of the outage in question: it tells cases apart."""

    provider: str
    stage: str = ""
    relapsed: bool = False
    office: bool = False


class Seen(msgspec.Struct, frozen=True):
    """A case that had lasted long enough, as seen at some moment."""

    kind: Asked
    y: float
    """Logarithm of the minutes that it lasted on; so far, when it is not over."""
    over: bool
    weight: float


class Curve(msgspec.Struct, frozen=True):
    """A distribution of the remaining time, addressed by standard normal scores z.

    z = 0 is the median, ±1.28 the ends of the middle 80 %. Strictly increasing in z.
    """

    levels: tuple[float, ...]
    values: tuple[float, ...]
    """Kaplan-Meier's quantiles (log-minutes) at `levels`, the middles of its steps."""
    mean: float
    spread: float
    n: int = 0
    """Cases that were over, and had lasted long enough."""
    n_provider: int = 0
    n_stage: int = 0

    def at(self, z: float) -> float:
        """The quantile at z, in log-minutes."""
        smooth = self.mean + self.spread * z
        return (1 - SMOOTHING) * self._steps(z) + SMOOTHING * smooth

    def score(self, y: float) -> float:
        """The z at which the quantile is `y`: the probability transform as a normal score."""
        low, high = -FARTHEST_Z, FARTHEST_Z
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.at(middle) < y else (low, middle)
        return (low + high) / 2

    def score_s(self, remaining_s: float) -> float:
        """The score of an outage that lasted so many seconds more."""
        return self.score(log_minutes(remaining_s))

    def remaining_s(self, z: float) -> float:
        """The quantile at z, in seconds; what is less than a minute is none."""
        y = min(self.at(z), 20.0)
        return 60 * math.exp(y) if y > math.log(LEAST_MIN) else 0.0

    def quantile_s(self, level: float) -> float:
        """The remaining seconds that are not passed with probability `level`, in (0, 1)."""
        return self.remaining_s(inverse_normal(level))

    def _steps(self, z: float) -> float:
        level = normal(z)
        if level >= self.levels[-1]:
            # Beyond the last case the tail goes on as the log-normal's does.
            return self.values[-1] + self.spread * max(0.0, z - inverse_normal(self.levels[-1]))
        right = bisect_left(self.levels, level)
        if right == 0:
            return self.values[0]
        before, after = self.levels[right - 1], self.levels[right]
        share = (level - before) / (after - before) if after > before else 1.0
        return self.values[right - 1] + share * (self.values[right] - self.values[right - 1])


def lasting(cases: Iterable[Case], elapsed_s: float, now: float) -> list[Seen]:
    """Return the cases that had lasted longer than `elapsed_s`, as seen at `now`."""
    found = []
    for case in cases:
        reached_at = case.started_at + elapsed_s
        if reached_at >= now or (case.ended_at is not None and case.ended_at <= reached_at):
            continue
        over = case.ended_at is not None and case.ended_at <= now
        until = case.ended_at if over and case.ended_at is not None else now
        kind = Asked(
            case.provider,
            case.stage(reached_at),
            case.relapses(reached_at) > 0,
            in_office(reached_at),
        )
        weight = 0.5 ** ((now - until) / HALF_LIFE_S)
        found.append(Seen(kind, log_minutes(until - reached_at), over, weight))
    return found


def curve(seen: Sequence[Seen], asked: Asked) -> Curve:
    """Return the distribution for `asked`. At least one of `seen` has to be over."""
    asked = Asked(asked.provider, posted(asked.stage), asked.relapsed, asked.office)
    newest = max(one.weight for one in seen)
    seen = [Seen(one.kind, one.y, one.over, one.weight / newest) for one in seen]
    effect = _effects(seen)
    weights = [one.weight for one in seen]
    weights = _nearer(weights, [s.kind.provider == asked.provider for s in seen], OWN_PROVIDER)
    weights = _nearer(weights, [s.kind.stage == asked.stage for s in seen], OWN_STAGE)
    middle = effect(asked)
    moved = [(middle + one.y - effect(one.kind), one.over) for one in seen]
    ends = [one.kind for one in seen if one.over]
    steps = kaplan_meier([(y, over, w) for (y, over), w in zip(moved, weights, strict=True)])
    return _smoothed(
        steps,
        max(y for y, _ in moved),
        (
            len(ends),
            sum(kind.provider == asked.provider for kind in ends),
            sum(kind.stage == asked.stage for kind in ends),
        ),
    )


def kaplan_meier(seen: Iterable[tuple[float, bool, float]]) -> list[tuple[float, float]]:
    """Return (y, probability) of each end, in order; from (y, over or censored there, weight).

    Kaplan & Meier, *Nonparametric estimation from incomplete observations*, JASA 53 (1958).
    The probabilities sum to less than one when the last case is censored.
    """
    ordered = sorted(seen, key=lambda one: (one[0], not one[1]))
    at_risk = math.fsum(weight for _, _, weight in ordered)
    surviving, steps = 1.0, []
    for y, over, weight in ordered:
        if over:
            mass = surviving * min(1.0, weight / max(at_risk, weight))
            surviving = max(0.0, surviving - mass)
            steps.append((y, mass))
        at_risk -= weight
    return steps


def _smoothed(
    steps: Sequence[tuple[float, float]], longest: float, counts: tuple[int, int, int]
) -> Curve:
    rest = max(0.0, 1 - math.fsum(mass for _, mass in steps))
    masses = [*steps, (longest, rest)]
    mean = math.fsum(y * mass for y, mass in masses)
    spread = math.sqrt(math.fsum((y - mean) ** 2 * mass for y, mass in masses))
    levels, values, below = [], [], 0.0
    for y, mass in steps:
        levels.append(min(1 - 1e-9, max(1e-9, below + mass / 2)))
        values.append(y)
        below += mass
    return Curve(tuple(levels), tuple(values), mean, max(spread, LEAST_SPREAD), *counts)


def _nearer(weights: list[float], same: Sequence[bool], own: float) -> list[float]:
    """Let cases of another sort count less, the more there are of the same sort."""
    total = math.fsum(w for w, is_same in zip(weights, same, strict=True) if is_same)
    if total <= 0:
        return weights
    squares = math.fsum(w * w for w, is_same in zip(weights, same, strict=True) if is_same)
    # Kish's effective sample size: what unequal weights are worth in equal ones.
    less = own / (total * total / squares + own) if squares > 0 else 1.0
    return [w if is_same else w * less for w, is_same in zip(weights, same, strict=True)]


def _effects(seen: Sequence[Seen]) -> Callable[[Asked], float]:
    """Fit the effects on the cases that are over: ridge regression (Hoerl & Kennard, 1970)."""
    cells: dict[Asked, tuple[float, float]] = {}
    counts: dict[str, float] = {}
    for one in seen:
        if one.over:
            weight, total = cells.get(one.kind, (0.0, 0.0))
            cells[one.kind] = (weight + one.weight, total + one.weight * one.y)
            counts[one.kind.provider] = counts.get(one.kind.provider, 0.0) + one.weight
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_PROVIDERS]
    names = ["all", "relapsed", "office"]
    names += [f"provider {name}" for name in largest]
    names += sorted({f"stage {kind.stage}" for kind in cells})
    place = {name: number for number, name in enumerate(names)}

    def columns(kind: Asked) -> list[int]:
        present = ["all", f"provider {kind.provider}", f"stage {kind.stage}"]
        present += ["relapsed"] * kind.relapsed + ["office"] * kind.office
        return [place[name] for name in present if name in place]

    size = len(names)
    matrix = [[RIDGE * (row == column) for column in range(size)] for row in range(size)]
    matrix[0][0] = 0.01  # the level itself is not shrunk
    right = [0.0] * size
    for kind, (weight, total) in cells.items():
        present = columns(kind)
        for row in present:
            right[row] += total
            for column in present:
                matrix[row][column] += weight
    solved = solve(matrix, right)
    return lambda kind: math.fsum(solved[column] for column in columns(kind))


def solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric positive definite system by elimination; no pivot is needed there."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for first in range(size):
        for row in range(first + 1, size):
            factor = rows[row][first] / rows[first][first]
            if factor:
                for column in range(first, size + 1):
                    rows[row][column] -= factor * rows[first][column]
    solved = [0.0] * size
    for row in reversed(range(size)):
        known = math.fsum(rows[row][c] * solved[c] for c in range(row + 1, size))
        solved[row] = (rows[row][size] - known) / rows[row][row]
    return solved


def log_minutes(seconds: float) -> float:
    return math.log(max(seconds / 60, LEAST_MIN))


def normal(z: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def inverse_normal(level: float) -> float:
    """Its inverse on (0, 1): Abramowitz & Stegun 26.2.23, then two steps of Newton's."""
    if level > 0.5:
        return -inverse_normal(1 - level)
    level = max(level, 1e-12)
    t = math.sqrt(-2 * math.log(level))
    over = 2.515517 + t * (0.802853 + t * 0.010328)
    under = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    z = over / under - t
    for _ in range(2):
        z -= (normal(z) - level) * math.sqrt(2 * math.pi) * math.exp(z * z / 2)
    return z
