"""Whether attempts or probes at one component fail more than usual, with a stated error. Pure.

    R_t = (R_{t-1} + 1) * (P(x | p1) / P(x | p0)) ^ weight      suspicion at  mean over p1 of R >= A

the e-detector of Shin, Ramdas and Rinaldo (NEJSDS 2023) with a grid for p1: at least A votes pass
between false alarms on the average, whenever one looks. A weight below one keeps that (E[L^w] <= 1
for w <= 1, Jensen). p0 is what the last seven days say, at least 0.5 %, learnt late and never from
inside a suspicion. The onset is the most likely one: where the CUSUM of the best p1 left zero
(Page 1954). "Healthy again" is the same test the other way round: at least `HEALTHY_VOTES` votes
between false all-clears while `p_bad` or more still fail. The error share's interval is Jeffreys'
in Wilson's form (Brown, Cai and DasGupta, Statistical Science 2001).

No test that sees only failures and successes can be much faster. A month's false alarm at ten
requests a minute (432,000) leaves 15 requests as the least possible median from 1 % to 25 %
(Neyman-Pearson on windows; `bench/observatory/sequential.py` computes it). What makes it faster is
more evidence: `watching` says when to look closely, with a probe every few seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from outlast.nouns import Evidence, Outcome

FAULTS = frozenset(
    {
        Outcome.OVERLOADED,
        Outcome.SERVER_ERROR,
        Outcome.TIMEOUT,
        Outcome.STALLED,
        Outcome.BROKEN_STREAM,
        Outcome.CONNECT_FAILED,
    }
)
"""Failures of the provider. All others but OK say nothing of it: they are nobody's vote."""
VOTES_PER_FALSE_ALARM = 432_000.0
"""A: ten requests a minute for 30 days, so at most one false alarm a month at that rate."""
HEALTHY_VOTES = 1000.0
WATCH_VOTES = 600.0
"""From here on a close look is worth its probes. R >= 600 comes at most once in 600 quiet votes on
the average: an hour of ten requests a minute. Two failures close to each other bring it there."""
WATCH_ENDS_VOTES = 100.0
"""What one failure alone brings at the usual 1 %: with less, nothing is left to look at."""
RISES = (0.1, 0.25, 0.5, 0.9)
"""p1 = p0 + (1 - p0) * rise."""
P0_FLOOR = 0.005
P0_CEILING = 0.5
PRIOR_FAILURES, PRIOR_TOTAL = 2.0, 200.0
"""Before a week is known: 1 %, worth 200 requests."""
HOUR_S = 3600.0
WEEK_HOURS = 168
LATE_HOURS = 2
"""How many hours old an hour must be before it is learnt."""
HOUR_SHARE_MAX = 5.0
"""An hour teaches at most five times the usual rate (and three failures): winsorised."""
WINDOW_S = 600.0
WINDOW_VOTES = 512
R_MAX = 1e12
STEP_MAX = 600.0
"""Nats of one step: a second's flood is told as one vote of thousands, and e^710 is no number."""
HEAL_VOTES_MAX = 300.0
"""As STEP_MAX, for votes of "healthy again", each worth ten to one at most."""
Z80 = 1.2816


class Share(msgspec.Struct, frozen=True):
    """A share of failures and its 80 % interval."""

    low: float
    middle: float
    high: float
    failures: float
    total: float


class ErrorSuspicion(msgspec.Struct, frozen=True):
    """More failures than chance brings."""

    at: float
    raised_at: float
    since_at: float
    """The most likely onset."""
    statistic: float
    threshold: float
    """In nats: ln R when it was raised, and ln A."""
    log_ratio: float
    """Evidence since the onset, in nats; it goes on growing and falls when requests succeed."""
    failures: float
    total: float
    """Votes in the last ten minutes, since the onset at most."""
    p0: float
    p1: float
    """Usual share of failures, and the estimated one since the onset."""
    kind: str = "traffic"

    def evidence(self, detail: str = "") -> Evidence:
        """Return it as what fusion hears."""
        return Evidence(
            kind=self.kind,
            at=self.at,
            log_odds=self.log_ratio,
            statistic=self.statistic,
            threshold=self.threshold,
            failures=self.failures,
            total=self.total,
            since_at=self.since_at,
            detail=detail,
        )


class Rate(msgspec.Struct):
    """The usual share of failures: hours of the last week, the newest of which still wait."""

    hours: list[tuple[int, float, float]] = []
    """(hour, failures, total), oldest first; the last `LATE_HOURS` are not counted yet."""
    failures: float = 0.0
    total: float = 0.0
    """Sums of those that count."""
    counted_to: int = -1

    def p0(self) -> float:
        share = (self.failures + PRIOR_FAILURES) / (self.total + PRIOR_TOTAL)
        return min(max(share, P0_FLOOR), P0_CEILING)

    def note(self, at: float, failed: float, weight: float) -> None:
        hour = int(at // HOUR_S)
        if self.hours and self.hours[-1][0] >= hour:
            last, failures, total = self.hours[-1]
            self.hours[-1] = (last, failures + failed, total + weight)
            return
        self.hours.append((hour, failed, weight))
        self._count(hour)

    def leave_out(self, since: float) -> None:
        """Drop the waiting hours from the one of `since` on."""
        first = int(since // HOUR_S)
        self.hours = [h for h in self.hours if h[0] < first or h[0] <= self.counted_to]

    def _count(self, hour: int) -> None:
        p0 = self.p0()
        for i, (when, failures, total) in enumerate(self.hours):
            if self.counted_to < when <= hour - LATE_HOURS:
                most = max(3.0, HOUR_SHARE_MAX * p0 * total)
                self.hours[i] = (when, min(failures, most), total)
        self.counted_to = max(self.counted_to, hour - LATE_HOURS)
        self.hours = [h for h in self.hours if h[0] > hour - WEEK_HOURS - LATE_HOURS]
        counted = [h for h in self.hours if h[0] <= self.counted_to]
        self.failures = sum(h[1] for h in counted)
        self.total = sum(h[2] for h in counted)


class Rise(msgspec.Struct):
    """The test against one p1: the e-detector, and its most likely onset."""

    r: float = 0.0
    log_ratio: float = 0.0
    since_at: float = 0.0
    failures: float = 0.0
    total: float = 0.0


class Raised(msgspec.Struct):
    """A suspicion that stands."""

    at: float
    since_at: float
    statistic: float
    kind: str
    healthy: float = 0.0
    """The e-detector of "healthy again"."""


class ErrorStream(msgspec.Struct):
    """Successes and failures of one component. Plain values: msgspec can save and load it.

    Memory: 170 hours and at most `WINDOW_VOTES` votes.
    """

    threshold: float = VOTES_PER_FALSE_ALARM
    """A, in votes between false alarms."""
    kind: str = "traffic"
    rate: Rate = msgspec.field(default_factory=Rate)
    rises: list[Rise] = msgspec.field(default_factory=lambda: [Rise() for _ in RISES])
    raised: Raised | None = None
    window: list[tuple[float, float, float]] = []
    """(at, failed, weight) of the last ten minutes."""
    close: bool = False
    """Whether a close look was begun, and is not over."""

    def observe(self, at: float, outcome: Outcome, weight: float = 1.0) -> ErrorSuspicion | None:
        """Take in how an attempt or probe ended; return the suspicion that stands, or None.

        `weight` in [0, 1]: probes that share a network share one vote.
        """
        if outcome is Outcome.OK:
            return self.vote(at, failed=False, weight=weight)
        if outcome in FAULTS:
            return self.vote(at, failed=True, weight=weight)
        return self.suspicion(at)

    def vote(self, at: float, *, failed: bool, weight: float = 1.0) -> ErrorSuspicion | None:
        """As `observe`, for a caller with its own idea of a failure.

        Keys of different accounts that are refused together are such a case: the caller feeds
        them to a stream of their own.

        Raises:
            ValueError: a weight outside [0, 1].
        """
        if not 0 <= weight <= 1:
            raise ValueError("A vote weighs between 0 and 1: no one has more than one voice.")
        return self.votes(at, failed=failed, weight=weight)

    def votes(self, at: float, *, failed: bool, weight: float) -> ErrorSuspicion | None:
        """As `vote`, for many votes that are alike and are told at once.

        They are one step: the test looks once where it could have looked often, which keeps the
        stated error (each step's factor still has expectation 1) and may cost it a moment.
        """
        self.take(at, failed=failed, weight=weight)
        return self.suspicion(at)

    def take(self, at: float, *, failed: bool, weight: float) -> None:
        """As `votes`, for who asks later what stands."""
        if weight <= 0:
            return
        p0 = self.rate.p0()
        bad = weight if failed else 0.0
        self._weigh(at, failed, weight, p0)
        self.window.append((at, bad, weight))
        while self.window[0][0] < at - WINDOW_S or len(self.window) > WINDOW_VOTES:
            self.window.pop(0)
        if self.raised is None:
            self.rate.note(at, bad, weight)
            statistic = self._statistic()
            self.close = statistic >= (WATCH_ENDS_VOTES if self.close else WATCH_VOTES)
            self._raise(at, statistic)
        else:
            self._heal(failed, weight, p0)

    def suspicion(self, at: float) -> ErrorSuspicion | None:
        """Return the suspicion that stands at `at`, or None."""
        raised = self.raised
        if raised is None:
            return None
        best = max(self.rises, key=lambda rise: rise.log_ratio)
        share = self.share(at, raised.since_at)
        return ErrorSuspicion(
            at=at,
            raised_at=raised.at,
            since_at=raised.since_at,
            statistic=raised.statistic,
            threshold=math.log(self.threshold),
            log_ratio=best.log_ratio,
            failures=share.failures,
            total=share.total,
            p0=self.rate.p0(),
            p1=share.middle,
            kind=self.kind,
        )

    def watching(self) -> bool:
        """Whether to look closely, with a probe every few seconds.

        Probes sent then are votes like any other: when to take one may depend on all that was
        seen before it, and the stated false-alarm rate holds over all votes.
        """
        return self.raised is not None or self.close

    def share(self, at: float, since: float = 0.0) -> Share:
        """Return the share of failures in the last ten minutes, from `since` on."""
        first = max(since, at - WINDOW_S)
        failures = total = 0.0
        for when, bad, weight in reversed(self.window):
            if when < first:
                break
            failures += bad
            total += weight
        return share_of(failures, total)

    def _statistic(self) -> float:
        return sum(rise.r for rise in self.rises) / len(self.rises)

    def _weigh(self, at: float, failed: bool, weight: float, p0: float) -> None:
        for factor, rise in zip(_factors(p0, failed), self.rises, strict=True):
            log_ratio = weight * factor
            if self.raised is None:
                rise.r = min((rise.r + 1) * math.exp(min(log_ratio, STEP_MAX)), R_MAX)
            if rise.log_ratio <= 0:
                rise.log_ratio, rise.since_at, rise.failures, rise.total = 0.0, at, 0.0, 0.0
            rise.log_ratio += log_ratio
            rise.failures += weight if failed else 0.0
            rise.total += weight

    def _raise(self, at: float, statistic: float) -> None:
        if statistic < self.threshold:
            return
        best = max(self.rises, key=lambda rise: rise.log_ratio)
        self.raised = Raised(at, best.since_at, math.log(statistic), self.kind)
        self.rate.leave_out(best.since_at)

    def _heal(self, failed: bool, weight: float, p0: float) -> None:
        """Weigh "as usual" against "`p_bad` still fail"; a lower share than that is not told from
        health here, but by `share`."""
        assert self.raised is not None
        p_bad = min(max(10 * p0, 0.1), 0.9)
        ratio = p0 / p_bad if failed else (1 - p0) / (1 - p_bad)
        self.raised.healthy = (self.raised.healthy + 1) * ratio ** min(weight, HEAL_VOTES_MAX)
        if self.raised.healthy >= HEALTHY_VOTES:
            self.raised, self.close = None, False
            self.rises = [Rise() for _ in RISES]


@lru_cache(maxsize=1024)
def _factors(p0: float, failed: bool) -> tuple[float, ...]:
    """What one vote is worth against each p1, in nats; p0 changes once an hour."""
    rises = [p0 + (1 - p0) * step for step in RISES]
    return tuple(math.log(p1 / p0 if failed else (1 - p1) / (1 - p0)) for p1 in rises)


def share_of(failures: float, total: float, z: float = Z80) -> Share:
    """Return the share of failures and its interval: Wilson's, on Jeffreys' half counts.

    None that failed cannot exclude 0, and none that went well cannot exclude 1 (Brown, Cai and
    DasGupta's modification at the ends); without votes all is possible.
    """
    n = total + 1.0
    p = (failures + 0.5) / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Share(
        low=0.0 if failures <= 0 else max(0.0, centre - half),
        middle=failures / total if total > 0 else 0.0,
        high=1.0 if failures >= total else min(1.0, centre + half),
        failures=failures,
        total=total,
    )


def weights_of(networks: Iterable[str]) -> list[float]:
    """Return the weights of probes made together: those of one network share one vote."""
    named = list(networks)
    return [1.0 / named.count(name) for name in named]
