"""Whether more people report a service than usual, with a stated false-alarm rate. Pure.

    R_t = (R_{t-1} + 1) * L_t        burst at  mean over rho of R >= A        A = 1 / (alarms a bin)

for each rise rho, with L = NB(c | rho mu, r) / NB(c | mu, r): the e-detector of Shin, Ramdas and
Rinaldo (New England Journal of Statistics in Data Science, 2023), which lets at least A bins pass
between false alarms on the average. A mean of e-detectors is one; so is one whose factors were
made smaller, or that waits longer, and that is done because the null is only estimated:

- a factor is raised to the share of evidence that is the bin's own (neighbouring bins are alike;
  E[L^g] <= 1 for g <= 1 by Jensen's inequality),
- no single bin is worth more than `A / 10`, and without its strongest bin a rise must still be
  ten to one: one link on a forum is not an outage, and an outage is not over after one bin. The
  cap alone does not say so: where reports are rare R is some tens on a quiet day, as the change
  could have been at any of the last bins, so that a tenth of A is enough.

A *burst* is no chance; but services have small bursts all the time that no one else ever hears of.
A burst with fewer than `min_reports` reports in any 20 minutes since its onset is no *crowd*. A
crowd becomes a *suspicion* once it is larger than all but `RANK` of the unconfirmed crowds of the
last sixteen weeks: if crowds are exchangeable, about `RANK` in sixteen weeks are (the rank of a new
score among old ones, as in conformal prediction: Vovk, Gammerman and Shafer 2005). Only what could
have been a suspicion itself is compared. The time is long because outages come in clusters (among
eight weeks' three largest the fourth outage of a bad month is none), and no longer because what is
usual for a service grows with it. A crowd that other evidence confirmed is no nuisance: `confirm`
takes it out of the comparison.
"""

from __future__ import annotations

import math

import msgspec

from outlast.nouns import Evidence
from outlast.observatory.baseline import DAY_S, SLOT_S, Baseline, Expected

MONTH_S = 30.0 * DAY_S
RISES = (2.0, 4.0, 8.0, 16.0)
ONE_BIN_SHARE = 0.1
REST = math.log(10.0)
"""Nats that the other bins must add to the strongest one: "strong" evidence on the scale of
Jeffreys (Theory of Probability, 1961, appendix B). Five and a hundred to one find the same on
GitHub's counts; without it twice as many alarms match no incident."""
RANK = 6
"""In `MEMORY_S`: 1.6 in 30 days, where two are the most that is wanted."""
MEMORY_S = 112.0 * DAY_S
BURSTS = 256
"""How many past bursts are kept at most; the smallest goes first."""
CALM_S = 7200.0
NEW_LEVEL_S = DAY_S
"""What lasts longer is learnt as the new normal."""
R_MAX = 1e12
"""R is cut here, far above any threshold, so that it stays a number."""
CONFIRMED_WITHIN_S = 3600.0
"""How long after its end a burst can still be confirmed by a notice that comes late."""


class CrowdSettings(msgspec.Struct, frozen=True):
    """How one stream of reports is judged."""

    bin_s: float = 60.0
    false_alarms_per_30_days: float = 0.1
    """Stated for bursts. Suspicions are fewer: also about `RANK` in sixteen weeks at most."""
    min_reports: float = 10.0
    """In 20 minutes, or in one bin where bins are longer, at some time since the onset."""
    well_weight: float = 1.0
    """How much one "working for me" takes away."""

    @property
    def threshold(self) -> float:
        """A: the average number of bins between false alarms."""
        return MONTH_S / self.bin_s / self.false_alarms_per_30_days


class CrowdSuspicion(msgspec.Struct, frozen=True):
    """More reports than chance brings, and than this service's usual bursts."""

    at: float
    """End of the bin that was looked at last."""
    raised_at: float
    """End of the bin that raised it."""
    since_at: float
    """Start of the first bin of the rise (the most likely onset)."""
    statistic: float
    threshold: float
    """Both in nats: ln R and ln A, at the burst's beginning."""
    log_ratio: float
    """Evidence of the whole burst against the usual, in nats, after tempering."""
    reports: float
    expected: float
    """Counted, and usual, since the onset."""
    rise: float
    """The rise (of `RISES`) that explains it best."""
    cold: bool
    """Less than two weeks of history stood behind it: wide prior, less sure."""

    def evidence(self, detail: str = "") -> Evidence:
        """Return it as what fusion hears. Fusion caps what a crowd is worth."""
        return Evidence(
            kind="report",
            at=self.at,
            log_odds=self.log_ratio,
            statistic=self.statistic,
            threshold=self.threshold,
            failures=self.reports,
            total=self.expected,
            since_at=self.since_at,
            detail=detail,
        )


class Rise(msgspec.Struct):
    """The test against one rise: `r` the e-detector, the rest its most likely onset (CUSUM)."""

    r: float = 0.0
    log_ratio: float = 0.0
    since_at: float = 0.0
    reports: float = 0.0
    expected: float = 0.0
    strongest: float = 0.0
    """What the strongest bin since then adds to `log_ratio`."""
    crowd: float = 0.0
    """The most reports within 20 minutes since then."""

    @property
    def rest(self) -> float:
        """The evidence without its strongest bin."""
        return self.log_ratio - self.strongest


class Burst(msgspec.Struct):
    """A burst that goes on."""

    since_at: float
    began_at: float
    statistic: float
    cold: bool
    size: float
    """The largest log-ratio so far."""
    crowd: float
    """The most reports within 20 minutes so far."""
    busy_at: float
    """When it was last more than usual."""
    raised_at: float | None = None
    confirmed: bool = False


class Block(msgspec.Struct):
    """The 20 minutes in which calm is looked for; single minutes are too noisy."""

    index: int = -1
    count: float = 0.0
    mu: float = 0.0
    variance: float = 0.0


class CrowdStream(msgspec.Struct):
    """The reports of one component. Plain values: msgspec can save and load it.

    Memory: the baseline's, and at most `BURSTS` past bursts.
    """

    settings: CrowdSettings
    baseline: Baseline
    rises: list[Rise]
    burst: Burst | None = None
    past: list[tuple[float, float, float]] = []
    """(began_at, ended_at, size) of unconfirmed bursts that were crowds."""
    block: Block = msgspec.field(default_factory=Block)
    recent: list[tuple[float, float]] = []
    """The bins of the last 20 minutes."""
    last_at: float | None = None

    def observe(
        self, bin_start_at: float, count: float, well: float = 0.0
    ) -> CrowdSuspicion | None:
        """Take in a closed bin; return the suspicion that stands after it, or None.

        `count` and `well` are weighted reports of "not working" and "working for me". Bins come
        in order, each once; a missing one is no evidence.

        Raises:
            ValueError: a bin that is not later than the last, or a count that is no count.
        """
        if self.last_at is not None and bin_start_at <= self.last_at:
            raise ValueError("This bin is not later than the last: bins come in order, once.")
        if not (0 <= count < math.inf and 0 <= well < math.inf):
            raise ValueError("Reports are counted: zero or more, and not infinite.")
        self.last_at = bin_start_at
        seen = max(0.0, count - self.settings.well_weight * well)
        self.recent.append((bin_start_at, seen))
        self.recent = [one for one in self.recent if one[0] > bin_start_at - SLOT_S]
        usual = self.baseline.expected(bin_start_at)
        if not self.baseline.learning(bin_start_at):
            self._weigh(bin_start_at, seen, usual)
        if self.burst is None:
            self.baseline.note(bin_start_at, seen, usual)
            self._begin(bin_start_at, usual)
        else:
            self._go_on(bin_start_at, seen, usual)
        if self.burst is not None:
            self._rank(bin_start_at, seen > usual.mu)
        suspicion = self._suspicion(bin_start_at)
        self._end(bin_start_at)
        return suspicion

    def confirm(self, now: float) -> None:
        """Other evidence says that the burst that goes on, or one just past, is an outage."""
        if self.burst is not None:
            self.burst.confirmed = True
        self.past = [past for past in self.past if past[1] < now - CONFIRMED_WITHIN_S]

    @property
    def bursting(self) -> bool:
        """Whether there is more than chance, be it a suspicion or not: look closer."""
        return self.burst is not None

    def _weigh(self, at: float, seen: float, usual: Expected) -> None:
        """Bring the tests up to date with one bin.

        NB(c | rho mu, r) / NB(c | mu, r) = rho^c ((r + mu) / (r + rho mu))^(c + r).
        """
        mu, r = usual.mu, usual.r
        own = self.baseline.sureness(at)
        cap = math.log(self.settings.threshold * ONE_BIN_SHARE)
        crowd = self._crowd()
        for rho, rise in zip(RISES, self.rises, strict=True):
            shrink = math.log((r + mu) / (r + rho * mu))
            log_ratio = own * (seen * (math.log(rho) + shrink) + r * shrink)
            if self.burst is None:
                rise.r = min((rise.r + 1) * math.exp(min(log_ratio, cap)), R_MAX)
            if rise.log_ratio <= 0:
                rise.log_ratio, rise.since_at, rise.reports, rise.expected = 0.0, at, 0.0, 0.0
                rise.strongest = rise.crowd = 0.0
            rise.log_ratio += log_ratio
            rise.reports += seen
            rise.expected += mu
            rise.strongest = max(rise.strongest, log_ratio)
            rise.crowd = max(rise.crowd, crowd)

    def _crowd(self) -> float:
        """Return the reports of the last 20 minutes."""
        return sum(count for _, count in self.recent)

    def _best(self) -> Rise:
        return max(self.rises, key=lambda rise: rise.log_ratio)

    def _begin(self, at: float, usual: Expected) -> None:
        best = self._best()
        statistic = sum(rise.r for rise in self.rises) / len(self.rises)
        few = best.reports < self.settings.min_reports
        if statistic < self.settings.threshold or few or best.rest < REST:
            return
        self.burst = Burst(
            since_at=best.since_at,
            began_at=at,
            statistic=math.log(statistic),
            cold=usual.cold,
            size=best.log_ratio,
            crowd=best.crowd,
            busy_at=at,
        )
        self.block = Block()
        self.baseline.leave_out(best.since_at)

    def _go_on(self, at: float, seen: float, usual: Expected) -> None:
        assert self.burst is not None
        burst, block = self.burst, self.block
        if at - burst.began_at < NEW_LEVEL_S:
            self.baseline.skip(at)
        else:
            self.baseline.note(at, seen, usual)
        burst.size = max(burst.size, self._best().log_ratio)
        burst.crowd = max(burst.crowd, self._crowd())
        index = int(at // SLOT_S)
        if block.index != index:
            block = self.block = Block(index=index)
        block.count += seen
        block.mu += usual.mu
        block.variance += usual.mu + usual.mu**2 / usual.r
        if block.count > block.mu + 2 * math.sqrt(block.variance) + 1:
            burst.busy_at = at

    def _rank(self, at: float, rising: bool) -> None:
        """Raise the burst to a suspicion when it is among the largest crowds of late."""
        burst = self.burst
        if burst is None or burst.raised_at is not None:
            return
        if not rising or burst.crowd < self.settings.min_reports:
            return
        known_s = at - (self.baseline.first_at if self.baseline.first_at is not None else at)
        rank = max(1, round(RANK * min(1.0, known_s / MEMORY_S)))
        sizes = sorted(size for began, _, size in self.past if began > at - MEMORY_S)
        if burst.confirmed or len(sizes) < rank or burst.size > sizes[-rank]:
            burst.raised_at = at + self.settings.bin_s

    def _suspicion(self, at: float) -> CrowdSuspicion | None:
        burst = self.burst
        if burst is None or burst.raised_at is None:
            return None
        best = max(range(len(RISES)), key=lambda i: self.rises[i].log_ratio)
        rise = self.rises[best]
        return CrowdSuspicion(
            at=at + self.settings.bin_s,
            raised_at=burst.raised_at,
            since_at=burst.since_at,
            statistic=burst.statistic,
            threshold=math.log(self.settings.threshold),
            log_ratio=rise.log_ratio,
            reports=rise.reports,
            expected=rise.expected,
            rise=RISES[best],
            cold=burst.cold,
        )

    def _end(self, at: float) -> None:
        burst = self.burst
        if burst is None or at - burst.busy_at < CALM_S:
            return
        if not burst.confirmed and burst.crowd >= self.settings.min_reports:
            self.past.append((burst.began_at, at, burst.size))
        self.past = [past for past in self.past if past[0] > at - MEMORY_S]
        if len(self.past) > BURSTS:
            self.past.remove(min(self.past, key=lambda past: past[2]))
        self.burst = None
        self.rises = [Rise() for _ in RISES]


def new_stream(settings: CrowdSettings | None = None) -> CrowdStream:
    """Return a stream that knows nothing yet."""
    settings = settings or CrowdSettings()
    return CrowdStream(settings, Baseline(settings.bin_s), [Rise() for _ in RISES])
