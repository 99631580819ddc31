"""How wide an interval has to be to be true, learned from the intervals before it. Pure.

Adaptive conformal inference (Gibbs & Candès, NeurIPS 2021, arXiv:2106.00170) on normal scores:
each interval that missed widens the next ones, each that held narrows them a little, so that
over any stretch of cases the share that holds comes near what is promised, however wrong the
distribution is and however it drifts. As in conformal PID control (Angelopoulos, Candès &
Tibshirani, NeurIPS 2023, arXiv:2307.16895) it is the score's threshold that moves, not the
level, and it saturates. The width answers to all misses; which side they fell on moves the
middle, more slowly.

With the step g per case the share that holds misses its goal by about 0.7 / (n √g) over n cases.
The step is large on purpose: a vendor has some ten outages a month, and a promise kept only over
years is of no use. Its price, on incidents of 2023-05 to 2024-08: interval scores 7 to 9 % above
those of the distribution's own intervals.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import msgspec

LANDMARKS_S = (0.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
"""Elapsed times at which forecasts are settled; between two of them the band is in between."""
_STEP = 0.6
_SIDE_STEP = 0.1
Z80, Z50 = 1.2815515655446004, 0.6744897501960817
_WIDE = (-0.9, 1.6)
_MIDDLE = (-0.5, 1.0)
_SHIFT = (-1.0, 1.0)
MAX_SETTLED = 1200
"""So many bands are kept per landmark: what is asked is seldom older than the last one."""


class Limits(NamedTuple):
    """Where intervals end, in normal scores of the distribution, in order."""

    low_80: float
    low_50: float
    median: float
    high_50: float
    high_80: float


class Band(msgspec.Struct, frozen=True):
    """What to add to the distribution's own limits, in normal scores."""

    shift: float = 0.0
    wide: float = 0.0
    """To each side of the 80 % interval."""
    middle: float = 0.0
    """To each side of the 50 % interval."""

    def limits(self) -> Limits:
        outer = Z80 + self.wide
        inner = min(Z50 + self.middle, outer)
        return Limits(
            self.shift - outer,
            self.shift - inner,
            self.shift,
            self.shift + inner,
            self.shift + outer,
        )

    def lesson(self, score: float) -> Band:
        """What to add to the band after an outage that ended at `score` of its forecast."""
        limits = self.limits()
        side = (score > limits.high_80) - (score < limits.low_80)
        missed_50 = score < limits.low_50 or score > limits.high_50
        return Band(_SIDE_STEP * side, _STEP * (abs(side) - 0.2), _STEP / 2 * (missed_50 - 0.5))

    def plus(self, lesson: Band) -> Band:
        return Band(
            _within(_SHIFT, self.shift + lesson.shift),
            _within(_WIDE, self.wide + lesson.wide),
            _within(_MIDDLE, self.middle + lesson.middle),
        )


class Settled(msgspec.Struct, frozen=True):
    """A band, and since when it holds."""

    at: float
    band: Band


class Bands:
    """The bands of all landmarks over time."""

    def __init__(self, logs: tuple[tuple[Settled, ...], ...] = ()) -> None:
        self._logs = [list(log) for log in logs] or [[] for _ in LANDMARKS_S]

    def plain(self) -> tuple[tuple[Settled, ...], ...]:
        return tuple(map(tuple, self._logs))

    def at_landmark(self, landmark: int, now: float) -> Band:
        """The band of that landmark as of `now`."""
        log = self._logs[landmark]
        after = bisect_right(log, now, key=lambda one: one.at)
        return log[after - 1].band if after else Band()

    def between(self, elapsed_s: float, now: float) -> Band:
        """The band for any elapsed time as of `now`."""
        right = bisect_right(LANDMARKS_S, elapsed_s)
        if right == len(LANDMARKS_S):
            return self.at_landmark(right - 1, now)
        before, after = LANDMARKS_S[right - 1], LANDMARKS_S[right]
        share = (elapsed_s - before) / (after - before)
        a, b = self.at_landmark(right - 1, now), self.at_landmark(right, now)
        return Band(
            a.shift + share * (b.shift - a.shift),
            a.wide + share * (b.wide - a.wide),
            a.middle + share * (b.middle - a.middle),
        )

    def settle(self, landmark: int, asked_at: float, ended_at: float, score: float) -> None:
        """Take in how a forecast that was made at `asked_at` came out, at `ended_at`.

        Whether it held is judged by the band of that time; what moves is the band of today.
        """
        log = self._logs[landmark]
        lesson = self.at_landmark(landmark, asked_at).lesson(score)
        today = log[-1].band if log else Band()
        log.append(Settled(ended_at, today.plus(lesson)))
        del log[:-MAX_SETTLED]

    def forget_from(self, at: float) -> None:
        """Forget what was settled at `at` or later, to settle it again."""
        for log in self._logs:
            while log and log[-1].at >= at:
                log.pop()


def _within(limits: tuple[float, float], value: float) -> float:
    return min(max(value, limits[0]), limits[1])
