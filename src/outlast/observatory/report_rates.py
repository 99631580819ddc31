"""How fast reports come: token buckets in one number each, and what counts as a flood. Pure.

The buckets are the generic cell rate algorithm (ITU-T I.371, annex A): the one time until which a
key has used up its allowance says the same as a bucket's level and the moment it was filled.
"""

from __future__ import annotations

import math


class Rate:
    """`burst` at once, and `per_s` for ever after."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._every_s = 1 / per_s
        self._slack_s = (burst - 1) / per_s

    def take(self, used_until: float, now: float) -> tuple[float, float]:
        """Take one. Return (the new time, seconds to wait); where it waits nothing was taken."""
        wait_s = used_until - self._slack_s - now
        if wait_s > 1e-9:
            return used_until, wait_s
        return max(used_until, now) + self._every_s, 0.0


class Rates:
    """The same rate for many keys, in bounded memory.

    Beyond `limit` keys, those whose bucket is full again are let go, which changes nothing; where
    that is not enough, those that came first, which gives them a fresh bucket.
    """

    def __init__(self, per_s: float, burst: float, limit: int) -> None:
        self._rate = Rate(per_s, burst)
        self._limit = max(2, limit)
        self._used: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._used)

    def take(self, key: str, now: float) -> float:
        """Take one of this key's. Return how long it has to wait in seconds; 0: it was taken."""
        self._used[key], wait_s = self._rate.take(self._used.get(key, 0.0), now)
        if len(self._used) > self._limit:
            self._sweep(now)
        return wait_s

    def _sweep(self, now: float) -> None:
        self._used = {key: until for key, until in self._used.items() if until > now}
        over = len(self._used) - self._limit // 2
        for key in list(self._used)[: max(0, over)]:
            del self._used[key]


class Gauge:
    """The rate of reports now and usually: two exponential averages, over 30 s and over a day.

    A flood is more than ten times the usual and more than `floor` a second: a service that hears
    of nobody for weeks is not flooded by the first dozen reports of an outage.
    """

    FAST_S = 30.0
    SLOW_S = 86_400.0

    def __init__(self, floor_per_s: float, times: float = 10.0) -> None:
        self._floor_per_s = floor_per_s
        self._times = times
        self._at: float | None = None
        self._fast = 0.0
        self._slow = 0.0
        self._baseline: float | None = None

    def usual(self, per_s: float | None) -> None:
        """Take a baseline that was fitted elsewhere; None: our own slow average again."""
        self._baseline = per_s

    def note(self, now: float) -> None:
        self._decay(now)
        self._fast += 1 / self.FAST_S
        self._slow += 1 / self.SLOW_S

    def rate(self, now: float) -> float:
        """Reports a second, over about the last half minute."""
        self._decay(now)
        return self._fast

    @property
    def threshold(self) -> float:
        """Reports a second above which it is a flood."""
        usual = self._slow if self._baseline is None else self._baseline
        return max(self._floor_per_s, self._times * usual)

    def flooded(self, now: float) -> bool:
        return self.rate(now) > self.threshold

    def _decay(self, now: float) -> None:
        elapsed_s = max(0.0, now - self._at) if self._at is not None else 0.0
        if elapsed_s:
            self._fast *= math.exp(-elapsed_s / self.FAST_S)
            self._slow *= math.exp(-elapsed_s / self.SLOW_S)
        if self._at is None or now > self._at:
            self._at = now
