"""How long a stream's silences usually are, and when one is too long to be usual. Pure.

φ-accrual failure detection (Hayashibara et al., "The φ accrual failure detector", SRDS 2004):
φ = −log10 P(a gap at least as long as this one). Gaps between tokens are heavy-tailed, so the
normal distribution is fitted to their logarithms, and old ones fade.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable

from outlast.native import compiled

SUSPECT_Z = 3.719
"""φ = 4: one gap in 10,000 is longer."""
DEAD_Z = 5.612
"""φ = 8: one in a hundred million."""
MIN_SAMPLES = 20
MIN_SIGMA = 0.7
"""A very regular stream must not be suspected for a single hiccup: a factor of 2 per σ."""
FADE = 0.02
MIN_GAP_S = 0.001
_learn = compiled("learn")
SUSPECT_FLOOR_S = 1.0


class Gaps:
    """The gaps of one candidate, over all its streams."""

    def __init__(self) -> None:
        self._mean = 0.0
        self._variance = 0.0
        self._samples = 0

    def add(self, gap_s: float) -> None:
        """Take in one gap between two pieces of content, in seconds."""
        self.learn(0.0, (gap_s,))

    def learn(self, since: float, times: Iterable[float]) -> None:
        """Take in the gaps before each of these times, the first `since` then."""
        if _learn is not None and isinstance(times, array):
            learnt = _learn(since, times, self._samples, self._mean, self._variance)
            if learnt is not None:
                self._samples, self._mean, self._variance = learnt
                return
        samples, mean, variance, log = self._samples, self._mean, self._variance, math.log
        for at in times:
            gap_s = at - since
            since = at
            samples += 1
            weight = FADE if samples >= 1 / FADE else 1 / samples
            delta = log(max(gap_s, MIN_GAP_S)) - mean
            mean += weight * delta
            variance = (1 - weight) * (variance + weight * delta * delta)
        self._samples, self._mean, self._variance = samples, mean, variance

    def suspect_s(self) -> float | None:
        """After how much silence to get ready for the worst; None: too little is known."""
        found = self._quantile(SUSPECT_Z)
        return None if found is None else max(SUSPECT_FLOOR_S, found)

    def dead_s(self, floor_s: float) -> float | None:
        """After how much silence to give up, at least `floor_s`; None: too little is known."""
        found = self._quantile(DEAD_Z)
        return None if found is None else max(floor_s, found)

    def _quantile(self, z: float) -> float | None:
        if self._samples < MIN_SAMPLES:
            return None
        sigma = max(MIN_SIGMA, math.sqrt(self._variance))
        return math.exp(min(20.0, self._mean + z * sigma))
