"""From every kind of evidence to one probability of an outage, for one component. Pure.

Log-odds are added: a prior, and for each kind what it says now, capped so that no kind alone can
say everything, and fading as it ages, because an outage that nobody sees any more is over:

    lambda = lambda_0 + own (traffic, probes) + elsewhere (other vantage points) + crowd + vendor

*Traffic and probes* are counts of failures and of tries that fade with a time constant; what they
say is a Bayes factor, a mixture over error shares against the usual one (Kass and Raftery, "Bayes
Factors", JASA 1995). They share network and account, so they share one cap: they are one kind.
*The crowd's* factor comes from its detector and is worth ln 20 at most: people can be many without
being right, or be few pretending to be many. *The vendor's* silence is worth next to nothing
(`silence`), and a vendor's "operational" is never averaged against what fails in our hands: the
contradiction is shown (judging.py).

Prior and caps are stated below with their reasons; `bench/observatory/calibration.py` fits the
last step, from log-odds to a probability that comes true as often as it says.
"""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec

PRIOR = 0.05
"""Of all time, the share in which a component of a large vendor is degraded or worse. Vendors
announce 14 % (API) to 20 % (any product) of 2026 as such, most of it with few requests failing."""

TAU_S = 180.0
"""Time constant with which counts fade: an e-fold in three minutes."""
TRAFFIC_P0 = 0.01
PROBE_P0 = 0.015
"""Usual error shares; `Counts` takes a learnt one where there is one."""
SHARES = (0.04, 0.08, 0.15, 0.3, 0.5, 0.75, 0.97)
"""Error shares of an outage, equally likely beforehand."""

OWN_CAP = 7.5
"""1 in 1,800: traffic and probes together. With the prior it makes 0.99."""
SLOW_CAP = math.log(20)
"""Slow answers are an outage less often than failed ones: they are worth as much as a crowd."""
AGAINST_CAP = 4.0
"""What goes on well for us may still fail for others."""
ELSEWHERE_CAP = 4.0
CROWD_CAP = math.log(20)
VENDOR_OUTAGE = math.log(30)
"""Vendors post late and seldom, and hardly ever without a reason."""
VENDOR_ELSEWHERE = math.log(6)
"""It posted about the provider, without saying that this component is touched."""
VENDOR_MONITORING = math.log(3)
"""A fix is in: half of what comes next is recovery, some of it relapse."""

SILENT_FOR_EVER = 0.55
"""Share of outages that never appear on the vendor's page: the majority (Metrist 2023)."""
SILENCE_MEDIAN_S = 16 * 60.0
SILENCE_SIGMA = 1.09
"""The page's delay is lognormal with median 16 and mean 29 minutes (Metrist 2023, n = 25):
sigma = sqrt(2 ln(29/16))."""

SLOPE = 1.45
OFFSET = 1.0
"""The last step, fitted on simulated outages that are not those it is scored on: what the parts say
together is surer than each cap allows, and outages are more frequent than the prior, which counts
what vendors announce. `bench/observatory/calibration.py` prints what it would fit now."""


class Counts(msgspec.Struct):
    """Failures and tries that fade. Changed in place: one for each stream."""

    failures: float = 0.0
    total: float = 0.0
    at: float = 0.0

    def fade(self, now: float, tau_s: float = TAU_S) -> None:
        """Bring the counts up to `now` (seconds since the epoch). Time never goes back."""
        if now > self.at:
            factor = math.exp(-(now - self.at) / tau_s) if self.at else 0.0
            self.failures *= factor
            self.total *= factor
            self.at = now

    def add(self, failed: bool, weight: float, now: float, tau_s: float = TAU_S) -> None:
        self.fade(now, tau_s)
        self.total += weight
        if failed:
            self.failures += weight


def log_bayes(failures: float, total: float, p0: float) -> float:
    """ln of P(counts | outage) / P(counts | as usual), in nats, for counts that may be fractions.

    The mean over SHARES of the likelihood ratio of a Bernoulli sequence; shares that are not at
    least three times the usual one are left out.
    """
    if total <= 0:
        return 0.0
    good = max(0.0, total - failures)
    terms = [failures * failed + good * went for failed, went in _factors(p0)]
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms) / len(terms))


@lru_cache(maxsize=64)
def _factors(p0: float) -> tuple[tuple[float, float], ...]:
    """For each share of an outage, what a failure and a success are worth against `p0`."""
    p0 = min(max(p0, 1e-4), 0.3)
    shares = [share for share in SHARES if share >= 3 * p0] or [SHARES[-1]]
    return tuple((math.log(p / p0), math.log1p(-p) - math.log1p(-p0)) for p in shares)


def silence(since_s: float) -> float:
    """ln P(the vendor has posted nothing | an outage began `since_s` seconds ago), at most 0.

    P = pi + (1 - pi)(1 - Phi(ln(t / 16 min) / 1.09)): never below ln pi, 0.6 nats.
    """
    if since_s <= 0:
        return 0.0
    z = math.log(since_s / SILENCE_MEDIAN_S) / SILENCE_SIGMA
    late = 0.5 * math.erfc(z / math.sqrt(2))
    return math.log(SILENT_FOR_EVER + (1 - SILENT_FOR_EVER) * late)


def clamp(value: float, most: float, least: float = -AGAINST_CAP) -> float:
    return max(least, min(most, value))


class Parts(msgspec.Struct, frozen=True):
    """What each kind adds at this moment, in nats, after its cap."""

    own: float = 0.0
    elsewhere: float = 0.0
    crowd: float = 0.0
    vendor: float = 0.0

    @property
    def log_odds(self) -> float:
        return logit(PRIOR) + self.own + self.elsewhere + self.crowd + self.vendor


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def probability(log_odds: float, *, slope: float = SLOPE, offset: float = OFFSET) -> float:
    """A probability that comes true as often as it says (Platt 1999: a logistic of the score)."""
    x = slope * log_odds + offset
    if x >= 0:
        return 1 / (1 + math.exp(-min(x, 40.0)))
    e = math.exp(max(x, -40.0))
    return e / (1 + e)
