"""Whether a component has become slow: its time to first token against its own week. Pure.

    p = share of the week that was as slow or slower      e = kappa p^(kappa - 1), kappa = 0.5
    R_t = (R_{t-1} + 1) * e_t                             suspicion at R >= A

The p-value is conformal (Vovk, Gammerman and Shafer 2005), taken high among equals, so that no
chance is needed; the bet is Shafer's calibrator (Shafer, Shen, Vereshchagin and Vovk, Statistical
Science 2011); R is the e-detector of Shin, Ramdas and Rinaldo 2023. Only what is also twice the
usual middle counts as slow: a bet that is cut to one keeps its expectation at most one.

The week is a histogram in logarithmic steps of 15 % that forgets with a half-life of 3.5 days.
"""

from __future__ import annotations

import math

import msgspec

from outlast.nouns import Evidence

KAPPA = 0.5
STEP = math.log(1.15)
SHORTEST_S = 0.01
BUCKETS = 96
"""From 10 ms to more than an hour and a half."""
HALF_LIFE_S = 3.5 * 86_400
SLOW_RATIO = 2.0
ENOUGH = 200.0
"""Below so many answers there is no usual."""
HOLD = 64
"""How many answers wait before they are learnt."""
BET_MAX = 32.0
"""One answer alone is never worth more."""
VOTES_PER_FALSE_ALARM = 432_000.0
HEALTHY_VOTES = 1000.0
HEALTHY_RATE = (0.9, 0.5)
"""Share of answers below twice the middle: when healthy, and when still slow."""
R_MAX = 1e12


class LatencySuspicion(msgspec.Struct, frozen=True):
    """Answers begin later than usual. Times to first token in seconds."""

    at: float
    raised_at: float
    since_at: float
    statistic: float
    threshold: float
    log_ratio: float
    slow: float
    total: float
    """Answers since the onset, and how many took more than twice the usual middle."""
    usual_s: float

    def evidence(self, detail: str = "") -> Evidence:
        """Return it as what fusion hears."""
        return Evidence(
            kind="traffic",
            at=self.at,
            log_odds=self.log_ratio,
            statistic=self.statistic,
            threshold=self.threshold,
            failures=self.slow,
            total=self.total,
            since_at=self.since_at,
            detail=detail,
        )


class LatencyStream(msgspec.Struct):
    """Times to first token of one component. Plain values; `BUCKETS + HOLD` numbers."""

    threshold: float = VOTES_PER_FALSE_ALARM
    buckets: list[float] = msgspec.field(default_factory=lambda: [0.0] * BUCKETS)
    faded_at: float = 0.0
    waiting: list[tuple[float, int]] = []
    r: float = 0.0
    log_ratio: float = 0.0
    since_at: float = 0.0
    slow: float = 0.0
    total: float = 0.0
    raised_at: float | None = None
    statistic: float = 0.0
    healthy: float = 0.0

    def observe(self, at: float, first_token_s: float) -> LatencySuspicion | None:
        """Take in one answer's time to first token; return the suspicion that stands, or None.

        Raises:
            ValueError: a time that is no time.
        """
        if not 0 <= first_token_s < math.inf:
            raise ValueError("A time to first token is zero or more, and not infinite.")
        bucket = _bucket(first_token_s)
        usual = self._middle()
        if usual is not None:
            is_slow = bucket >= usual + math.ceil(math.log(SLOW_RATIO) / STEP)
            self._weigh(at, bucket, is_slow)
        if self.raised_at is None:
            self.waiting.append((at, bucket))
            if len(self.waiting) > HOLD:
                self._learn(*self.waiting.pop(0))
        return self.suspicion(at)

    def suspicion(self, at: float) -> LatencySuspicion | None:
        """Return the suspicion that stands at `at`, or None."""
        usual = self._middle()
        if self.raised_at is None or usual is None:
            return None
        return LatencySuspicion(
            at=at,
            raised_at=self.raised_at,
            since_at=self.since_at,
            statistic=self.statistic,
            threshold=math.log(self.threshold),
            log_ratio=self.log_ratio,
            slow=self.slow,
            total=self.total,
            usual_s=SHORTEST_S * math.exp(usual * STEP),
        )

    def _weigh(self, at: float, bucket: int, is_slow: bool) -> None:
        total = sum(self.buckets)
        p = (sum(self.buckets[bucket:]) + 1.0) / (total + 1.0)
        bet = min(KAPPA * p ** (KAPPA - 1), BET_MAX)
        if not is_slow:
            bet = min(bet, 1.0)
        if self.log_ratio <= 0:
            self.log_ratio, self.since_at, self.slow, self.total = 0.0, at, 0.0, 0.0
        self.log_ratio += math.log(bet)
        self.slow += is_slow
        self.total += 1
        if self.raised_at is not None:
            self._heal(is_slow)
            return
        self.r = min((self.r + 1) * bet, R_MAX)
        if self.r >= self.threshold:
            self.raised_at, self.statistic, self.healthy = at, math.log(self.r), 0.0
            self.waiting = [one for one in self.waiting if one[0] < self.since_at]

    def _heal(self, is_slow: bool) -> None:
        well, ill = HEALTHY_RATE
        ratio = (1 - well) / (1 - ill) if is_slow else well / ill
        self.healthy = (self.healthy + 1) * ratio
        if self.healthy >= HEALTHY_VOTES:
            self.raised_at, self.r, self.log_ratio = None, 0.0, 0.0

    def _learn(self, at: float, bucket: int) -> None:
        if at > self.faded_at:
            fade = 0.5 ** ((at - self.faded_at) / HALF_LIFE_S) if self.faded_at else 1.0
            self.buckets = [count * fade for count in self.buckets]
            self.faded_at = at
        self.buckets[bucket] += 1.0

    def _middle(self) -> int | None:
        total = sum(self.buckets)
        if total < ENOUGH:
            return None
        below = 0.0
        for bucket, count in enumerate(self.buckets):
            below += count
            if below >= total / 2:
                return bucket
        return BUCKETS - 1


def _bucket(first_token_s: float) -> int:
    if first_token_s <= SHORTEST_S:
        return 0
    return min(int(math.log(first_token_s / SHORTEST_S) / STEP), BUCKETS - 1)
