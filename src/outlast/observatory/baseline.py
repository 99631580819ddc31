"""How many reports a service usually gets at this time of the week, and how they scatter. Pure.

    mu = level * bias * shape(time of week)      var = the larger of phi * mu and mu + mu^2 / r

The *shape* is the median of the same 20 minutes of the week (and their neighbours, further away
where reports are rare) over eight weeks, shrunk 0.7 to 0.3 towards the mean of the last four.
The *bias* mends it over weeks: a median is no mean. The *level* follows a busy day within hours,
but never goes below one: a quiet day (ours, or the collector's) is no new normal, and its end no
outage.

What lies inside a burst is left out, and what sticks out without one is cut back, so that an
outage does not become usual. Scatter and likeness are learnt once the shape is known: against twice
a flat mean every night is alike, and an outage of the first days, which no test could leave out,
would count as scatter for two months. All is learnt online, from older bins alone, two hours late:
an outage that is just beginning must not be learnt.

Sources: the design's time-of-week median and shrinkage; leaving out past outbreaks after Farrington
et al. 1996 and Noufaily et al. (Statistics in Medicine 2013); the two forms of the negative
binomial's variance after Cameron and Trivedi, Regression Analysis of Count Data, chapter 3; the
residuals' first autocorrelation as a measure of how much independent evidence there is: Bartlett's
effective sample size, n (1 - a) / (1 + a).
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

import msgspec

DAY_S = 86_400
WEEK_S = 604_800
SLOT_S = 1200
"""The width of one time of the week: fine enough for mornings, coarse enough to be learnt."""
SLOTS = WEEK_S // SLOT_S
WEEKS = 8
NEAR_WEEKS = 4
USUAL_SHARE = 0.7
SPARSE = 4.0
"""Below so many reports in a slot their median is mostly zero, and their mean is taken."""
REACHES = (1, 4, 12, 36)
"""How many neighbouring slots are taken in on each side, until there is enough to go by."""
SUPPORT = 60.0
"""Reports that are enough."""
HOLD_S = 7200.0
"""How long a bin waits before it becomes history."""
COLD_S = 2.0 * WEEK_S
"""Below this much history the shape is flat and the scatter is taken as wide."""
SURE_S = 4.0 * WEEK_S
COLD_R = 0.5
COLD_PEAK = 2.0
"""While the shape is unknown any hour may be the day's peak, about twice its mean."""
LEARN_S = 1.0 * DAY_S
"""The first day teaches alone: nothing is unusual yet."""
FLOOR_PER_SLOT = 0.02
LEVEL_HALF_LIFE_S = 0.5 * DAY_S
SCATTER_HALF_LIFE_S = 28.0 * DAY_S
BIAS_BOUNDS = (0.05, 20.0)
LEVEL_MAX = 20.0
RATIO_PRIOR = 4.0
"""How many reports "neither more nor less than the shape says" is worth."""
PRIOR_INDEPENDENT = 20.0
"""How many bins the belief in independent bins is worth."""
AUTOCORRELATION_MAX = 0.6
RESIDUAL_MAX = 2.0
"""Deviations. Small bursts are alike within; it is the quiet times whose likeness matters."""
PRIOR_PER_DAY = 24.0
"""Before anything is known: one report an hour, worth half a day of history."""
PRIOR_S = 43_200.0
PRIOR_PHI = 2.0
PRIOR_PHI_MU = 10.0
"""How many expected reports the prior scatter is worth."""
PHI_MIN = 1.5
"""Crowds are never Poisson for long: what is learnt between bursts knows none."""
PHI_MAX = 16.0
CLIP_PHI = 4.0
"""A tail that feeds on what it lets in must have an end."""
R_BOUNDS = (0.01, 1e6)
"""Of one slot; r grows with the bin's width, like the mean."""
LEFT_OUT = -1.0


class Expected(msgspec.Struct, frozen=True):
    """What one bin is expected to hold: mean `mu` (reports), and the scatter's `r`."""

    mu: float
    r: float
    cold: bool = False
    """There are less than two weeks of history: the prior speaks, not the service."""


class Baseline(msgspec.Struct):
    """One stream's usual counts. Plain values: it can be saved, loaded and goes on the same.

    Memory: at most `SLOTS * (WEEKS + 1)` numbers, zeros not counted, and `HOLD_S / bin_s` bins.
    """

    bin_s: float
    first_at: float | None = None
    noted_at: float = 0.0
    slots: dict[int, dict[int, float]] = {}
    """Time of week → week → reports in it; `LEFT_OUT` where an alarm lies over it."""
    waiting: list[tuple[float, float, float, float]] = []
    """(bin_start_at, count, mu, plain shape) of what is not history yet; a cold shape is 0."""
    level: tuple[float, float] = (0.0, 0.0)
    """Reports, and what the shape alone said; older ones fade."""
    bias: tuple[float, float] = (0.0, 0.0)
    """As `level`, over weeks: the median of rare reports is zero."""
    scatter: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Squared residuals, mu, mu squared; older ones fade."""
    all_time: tuple[float, float] = (0.0, 0.0)
    """Reports and seconds of history, for the cold start."""
    likeness: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Products of neighbouring residuals, their squares (both fade), the last residual."""
    pruned_week: int = -1
    shaped: tuple[int, float, float] = (-1, 0.0, 0.0)
    """The last slot that was looked up, its shape, its support: fixed while the slot lasts."""

    def expected(self, at: float) -> Expected:
        """Return what the bin that starts at `at` is expected to hold."""
        shape, cold = self._shape(at)
        mu = max(shape * self._level(), self._floor())
        if not cold:
            mu *= 1 + math.sqrt(self._doubt())
        return Expected(mu, self._r(mu, cold), cold)

    def note(self, at: float, count: float, expected: Expected) -> None:
        """Take in a bin. It becomes history after `HOLD_S`, unless `leave_out` comes first."""
        if self.first_at is None:
            self.first_at = at
        elif at - self.noted_at > SLOT_S:
            self._miss(self.noted_at + SLOT_S, at)
        self.noted_at = at
        shape, cold = self._shape(at)
        self.waiting.append((at, count, expected.mu, 0.0 if cold else shape / self._bias()))
        while self.waiting and self.waiting[0][0] <= at - HOLD_S:
            self._learn(*self.waiting.pop(0))
        if cold:
            return
        mu = expected.mu
        residual = min((count - mu) / math.sqrt(mu + mu * mu / expected.r), RESIDUAL_MAX)
        fade = 0.5 ** (self.bin_s / SCATTER_HALF_LIFE_S)
        products, squares, last = self.likeness
        self.likeness = (
            products * fade + residual * last,
            squares * fade + residual * residual,
            residual,
        )

    def learning(self, at: float) -> bool:
        """Whether less than a day is known: no test is possible yet."""
        return self.first_at is None or at - self.first_at < LEARN_S

    def sureness(self, at: float) -> float:
        """Return the share of a bin's evidence that counts, in (0, 1].

        Neighbouring bins that are alike share theirs; history of less than four weeks is worth
        what it is long.
        """
        products, squares, _ = self.likeness
        alike = min(max(products / (squares + PRIOR_INDEPENDENT), 0.0), AUTOCORRELATION_MAX)
        known_s = 0.0 if self.first_at is None else at - self.first_at
        return (1 - alike) / (1 + alike) * min(max(known_s / SURE_S, 0.1), 1.0)

    def leave_out(self, since: float) -> None:
        """Drop the waiting bins from `since` on: they belong to an outage."""
        for at, *_ in self.waiting:
            if at >= since:
                self._mark(at)
        self.waiting = [bin_ for bin_ in self.waiting if bin_[0] < since]

    def skip(self, at: float) -> None:
        """Note that the bin at `at` lies inside an outage and is not to be learnt."""
        self.noted_at = at
        self._mark(at)

    # Learning

    def _learn(self, at: float, count: float, mu: float, shape: float) -> None:
        clipped = min(count, self._clip(mu))
        week, slot = _place(at)
        if clipped > 0:
            weeks = self.slots.setdefault(slot, {})
            if weeks.get(week, 0.0) != LEFT_OUT:
                weeks[week] = weeks.get(week, 0.0) + clipped
        fade = 0.5 ** (self.bin_s / SCATTER_HALF_LIFE_S)
        if shape > 0:
            mended = shape * self._bias()
            self.bias = (self.bias[0] * fade + clipped, self.bias[1] * fade + shape)
            quick = 0.5 ** (self.bin_s / LEVEL_HALF_LIFE_S)
            self.level = (self.level[0] * quick + clipped, self.level[1] * quick + mended)
            squares, sum_mu, sum_mu2 = self.scatter
            self.scatter = (
                squares * fade + (clipped - mu) ** 2,
                sum_mu * fade + mu,
                sum_mu2 * fade + mu * mu,
            )
        self.all_time = (self.all_time[0] + clipped, self.all_time[1] + self.bin_s)
        self._prune(week)

    def _miss(self, since: float, until: float) -> None:
        """Leave out what nobody counted: silence of the counter is not silence of the people."""
        at = max(since, until - WEEKS * WEEK_S)
        while at < until:
            self._mark(at)
            at += SLOT_S

    def _mark(self, at: float) -> None:
        week, slot = _place(at)
        self.slots.setdefault(slot, {})[week] = LEFT_OUT
        self._prune(week)

    def _prune(self, week: int) -> None:
        if week <= self.pruned_week:
            return
        self.pruned_week = week
        for slot, weeks in list(self.slots.items()):
            for old in [w for w in weeks if w < week - WEEKS]:
                del weeks[old]
            if not weeks:
                del self.slots[slot]

    def _clip(self, mu: float) -> float:
        """Return the most that one bin may teach: three deviations and five times the scatter.

        The tail of a negative binomial falls by e with every `phi` reports or so.
        """
        phi = self._phi()
        return mu + 3 * math.sqrt(phi * mu) + 5 * min(phi, CLIP_PHI)

    # What was learnt

    def _shape(self, at: float) -> tuple[float, bool]:
        """Return the shape's reports per bin, mended by the bias, and whether the start is cold."""
        if self.first_at is None or at - self.first_at < COLD_S:
            reports, seconds = self.all_time
            prior = PRIOR_PER_DAY * PRIOR_S / DAY_S
            return COLD_PEAK * (reports + prior) / (seconds + PRIOR_S) * self.bin_s, True
        index = int(at // SLOT_S)
        if self.shaped[0] != index:
            self.shaped = (index, *self._time_of_week(index * SLOT_S, self.first_at))
        return self.shaped[1] * self.bin_s / SLOT_S * self._bias(), False

    def _time_of_week(self, at: float, first_at: float) -> tuple[float, float]:
        """Return the reports of this slot of the week, and how many reports say so."""
        values: list[float] = []
        reports, slots, near_reports, near_slots = 0.0, 0, 0.0, 0
        for inner, reach in pairwise((-1, *REACHES)):
            for offset in (*range(-reach, -inner), *range(inner + 1, reach + 1)):
                place = int((at + offset * SLOT_S) // SLOT_S) % SLOTS
                if place not in self.slots:  # no report then, ever: nearly all where they are rare
                    known = min(WEEKS, int((at + offset * SLOT_S - first_at) // WEEK_S))
                    slots, near_slots = slots + known, near_slots + min(known, NEAR_WEEKS)
                    if reach == REACHES[0]:
                        values += [0.0] * known
                    continue
                found = self._same_time(at + offset * SLOT_S, first_at)
                near = found[:NEAR_WEEKS]
                if reach == REACHES[0]:
                    values += [value for value in found if value != LEFT_OUT]
                left_out, near_left_out = found.count(LEFT_OUT), near.count(LEFT_OUT)
                reports += sum(found) - left_out * LEFT_OUT
                slots += len(found) - left_out
                near_reports += sum(near) - near_left_out * LEFT_OUT
                near_slots += len(near) - near_left_out
            if reports >= SUPPORT:
                break
        if not slots:
            reports, seconds = self.all_time
            return max(reports / max(seconds, 1.0) * SLOT_S, FLOOR_PER_SLOT), 0.0
        mean = reports / slots
        recent = near_reports / near_slots if near_slots else mean
        usual = median(values) if mean >= SPARSE and values else mean
        shape = USUAL_SHARE * usual + (1 - USUAL_SHARE) * recent
        return max(shape, FLOOR_PER_SLOT), reports

    def _same_time(self, at: float, first_at: float) -> list[float]:
        """Return the slot's reports of the last weeks, the newest first, as far as known."""
        known = min(WEEKS, int((at - first_at) // WEEK_S))
        week, slot = _place(at)
        weeks = self.slots[slot]
        return [weeks.get(week - ago, 0.0) for ago in range(1, known + 1)]

    def _bias(self) -> float:
        reports, said = self.bias
        low, high = BIAS_BOUNDS
        return min(max((reports + RATIO_PRIOR) / (said + RATIO_PRIOR), low), high)

    def _level(self) -> float:
        reports, said = self.level
        return min(max((reports + RATIO_PRIOR) / (said + RATIO_PRIOR), 1.0), LEVEL_MAX)

    def _floor(self) -> float:
        return FLOOR_PER_SLOT * self.bin_s / SLOT_S

    def _phi(self) -> float:
        squares, mu, _ = self.scatter
        phi = (squares + PRIOR_PHI * PRIOR_PHI_MU) / (mu + PRIOR_PHI_MU)
        return min(max(phi, PHI_MIN), PHI_MAX)

    def _doubt(self) -> float:
        """Return the relative variance of the shape's own estimate, at most 1."""
        return min(1.0, self._phi() / (self.shaped[2] + 1))

    def _r(self, mu: float, cold: bool) -> float:
        """Return the scatter's r: that of the wider of the two forms, at this mean."""
        squares, sum_mu, sum_mu2 = self.scatter
        low, high = R_BOUNDS
        over = (squares - sum_mu) / sum_mu2 if sum_mu2 > 0 else 0.0
        r = 1 / over if over > 1 / high else high
        phi = self._phi()
        r = min(r, mu / (phi - 1))
        if cold:
            r = min(r, COLD_R)
        elif self.shaped[0] >= 0:
            # The mean is itself an estimate: its relative variance adds to the scatter's.
            r = 1 / (1 / r + self._doubt())
        return min(max(r, low * self.bin_s / SLOT_S), high)


def _place(at: float) -> tuple[int, int]:
    week, into = divmod(at, WEEK_S)
    return int(week), int(into // SLOT_S)
