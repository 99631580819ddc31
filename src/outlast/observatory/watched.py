"""One component as the observatory knows it: its streams of evidence, and what they say now. Pure.

    attempts ─▶ Stream ─┐
    probes ───▶ Stream ─┤ (one for each vantage point)
    reports ──▶ Voices ─┼─▶ readings ─▶ judge ─▶ ComponentState
    notices ──▶ VendorPage ┘

A stream has a test of its own with a stated false-alarm rate (sequential.py, crowd.py), and counts
that fade, from which fusion makes log-odds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from outlast.nouns import Component, ComponentState, Evidence, Observation, Outcome, Suspicion
from outlast.observatory import fusion
from outlast.observatory.crowd import (
    CrowdSettings,
    CrowdStream,
    CrowdSuspicion,
    new_stream,
)
from outlast.observatory.judging import Before, Reading, Vendor, judge
from outlast.observatory.sequential import (
    VOTES_PER_FALSE_ALARM,
    ErrorStream,
    ErrorSuspicion,
    Rate,
)
from outlast.observatory.sequential_latency import LatencyStream, LatencySuspicion
from outlast.observatory.vendors import VendorPage
from outlast.observatory.voices import WINDOW_S, Voices

FAILURES = frozenset(
    {
        Outcome.OVERLOADED,
        Outcome.SERVER_ERROR,
        Outcome.TIMEOUT,
        Outcome.STALLED,
        Outcome.BROKEN_STREAM,
        Outcome.CONNECT_FAILED,
    }
)
"""What is the provider's fault. Our key, our limits, the caller and our network are not."""
SHOWN_S = 300.0
"""The window of the figures that people read."""
FADED_S = 1800.0
"""Without a try for half an hour a stream says nothing any more."""
AGAIN = math.log(100)
VANTAGES_MAX = 20
FEW = 3.0
"""Successes summed in one row whose slowest still tells how long answers take."""
CROWD_STRICTER = 0.1
"""People's reports scatter more than any model says: their test is ten times as strict."""
SHOWN_PROBES_S = 600.0


class Window:
    """Failures and tries of the last half hour, by minute: for figures that people read."""

    def __init__(self) -> None:
        self._minutes: deque[list[float]] = deque(maxlen=32)

    def add(self, failed: bool, weight: float, now: float) -> None:
        minute = now // 60
        if not self._minutes or self._minutes[-1][0] < minute:
            self._minutes.append([minute, 0.0, 0.0])
        last = self._minutes[-1]
        last[2] += weight
        if failed:
            last[1] += weight

    def sums(self, now: float, span_s: float) -> tuple[float, float]:
        """Failures and tries since then, to the minute."""
        since = (now - span_s) // 60
        failures = total = 0.0
        for minute, failed, tried in reversed(self._minutes):
            if minute <= since:
                break
            failures += failed
            total += tried
        return failures, total


class Stream:
    """Tries of one kind, from one place."""

    def __init__(self, p0: float) -> None:
        self._p0 = p0
        self._counts = fusion.Counts()
        self._window = Window()
        self._at = 0.0
        self._fires = False

    def add(self, failed: bool, weight: float, now: float) -> None:
        self._at = now
        self._counts.add(failed, weight, now)
        self._window.add(failed, weight, now)

    def live(self, now: float) -> bool:
        return bool(self._at) and now - self._at <= FADED_S

    def reading(
        self, kind: str, now: float, shown_s: float, suspicion: ErrorSuspicion | None
    ) -> Reading:
        """What it says. `suspicion`: of the test that its tries are votes of."""
        self._counts.fade(now)
        failures, total = self._window.sums(now, shown_s)
        log_odds = fusion.log_bayes(self._counts.failures, self._counts.total, self._p0)
        if suspicion is None:
            self._fires = False
            return Reading(Evidence(kind, now, log_odds, failures=failures, total=total))
        evidence = Evidence(
            kind,
            now,
            log_odds,
            statistic=suspicion.statistic,
            threshold=suspicion.threshold,
            failures=failures,
            total=total,
            since_at=suspicion.since_at,
        )
        if not failures:
            self._fires = False
        elif not self._fires:
            # Its test needs many tries to call it well again. Until then one failure after a
            # pause without any is no relapse; what is a hundred times likelier in one is.
            self._fires = now - suspicion.raised_at <= shown_s or log_odds >= AGAIN
        return Reading(evidence, self._fires)


class Watched:
    """All that is known of one component. `rate`: false alarms a month for each stream."""

    def __init__(self, component: Component, *, rate: float) -> None:
        self.component = component
        self.voices = Voices()
        self.crowd = new_stream(CrowdSettings(false_alarms_per_30_days=rate * CROWD_STRICTER))
        self.state: ComponentState | None = None
        self.touched_at = 0.0
        self._threshold = VOTES_PER_FALSE_ALARM / rate
        self._own = ErrorStream(self._threshold)
        """Our requests and our own probes vote together: they are one kind of evidence."""
        self._traffic = Stream(fusion.TRAFFIC_P0)
        self._slow = LatencyStream(self._threshold)
        """Whether answers begin later than usual."""
        self._probes: dict[str, Stream] = {}
        self._elsewhere: dict[str, ErrorStream] = {}
        self._crowd_says: CrowdSuspicion | None = None
        self._loud_since = 0.0
        """Since when more people than usual speak, without a pause; 0: they do not."""
        self._minute = 0
        self._quiet_at = 0.0
        """Since when our own test has not fired."""
        self._failed_at = 0.0

    def observe(self, observation: Observation, now: float, vantage: str) -> None:
        """Take in one observation. `vantage`: our own name as a place that probes."""
        self.touched_at = now
        if observation.source == "report":
            self._catch_up(now)
            self.voices.add(observation, now)
            return
        failed = observation.outcome in FAILURES
        if not failed and observation.outcome is not Outcome.OK:
            return
        if failed:
            self._failed_at = now
        if observation.source == "attempt":
            self._traffic.add(failed, observation.weight, now)
            self._own.take(now, failed=failed, weight=observation.weight)
            if not failed and observation.latency_s > 0 and observation.weight <= FEW:
                self._slow.observe(now, observation.latency_s)
        elif observation.source == "probe":
            self._probe(failed, min(1.0, observation.weight), observation.network, vantage, now)

    def _probe(self, failed: bool, weight: float, place: str, vantage: str, now: float) -> None:
        place = place or vantage
        stream = self._probes.get(place)
        if stream is None:
            if len(self._probes) >= VANTAGES_MAX:
                return
            stream = self._probes[place] = Stream(fusion.PROBE_P0)
        stream.add(failed, weight, now)
        if place == vantage:
            self._own.take(now, failed=failed, weight=weight)
            return
        test = self._elsewhere.get(place)
        if test is None:
            test = self._elsewhere[place] = ErrorStream(self._threshold)
        test.take(now, failed=failed, weight=weight)

    @property
    def rate(self) -> Rate:
        """Its usual share of failures."""
        return self._own.rate

    def recall(self, crowd: CrowdStream, rate: Rate | None) -> None:
        """Take up what was learnt before a restart."""
        crowd.settings = self.crowd.settings
        self.crowd = crowd
        if crowd.last_at is not None:
            self._minute = int(crowd.last_at // 60) + 1
        if rate is not None:
            self._own.rate = rate

    def warm(self, first_minute: int, counts: Sequence[float]) -> None:
        """Give the crowd's test a history: reports of each minute from this one on."""
        for number, count in enumerate(counts):
            self.crowd.observe((first_minute + number) * 60.0, count)
        self._minute = first_minute + len(counts)

    @property
    def watching(self) -> bool:
        """Whether its own test is half way to a suspicion: more probes now make it sooner."""
        return self._own.watching()

    def look(self, page: VendorPage | None, vantage: str, now: float) -> ComponentState:
        """Return what is said of it now, and remember that it was."""
        self._catch_up(now)
        suspicion = self._own.suspicion(now)
        readings = self._readings(suspicion, vantage, now)
        vendor = Vendor()
        if page is not None:
            onset = min(
                (r.evidence.since_at for r in readings.values() if r.fired and r.evidence.since_at),
                default=0.0,
            )
            readings["notice"] = page.reading(self.component, onset, now)
            vendor = page.vendor(self.component, now)
        before = Before()
        if self.state is not None:
            before = Before(
                self.state.suspicion,
                self.state.status,
                self.state.since_at,
                self._quiet_at,
                self._failed_at,
                self.state.contradiction,
            )
        if suspicion is not None:
            self._quiet_at = 0.0
        elif not self._quiet_at:
            self._quiet_at = now
        self.state = judge(self.component.name, readings, vendor, before, now)
        if self.state.suspicion is Suspicion.O_DOWN:
            # What two kinds of evidence say is no nuisance: the next crowd need not be larger.
            self.crowd.confirm(now)
        return self.state

    def idle(self, now: float, after_s: float) -> bool:
        """Whether nothing was seen of it for long, and nothing is said against it."""
        fine = self.state is None or self.state.suspicion is Suspicion.NONE
        return fine and now - self.touched_at > after_s

    def _readings(
        self, suspicion: ErrorSuspicion | None, vantage: str, now: float
    ) -> dict[str, Reading]:
        found: dict[str, Reading] = {}
        if self._traffic.live(now):
            found["traffic"] = self._traffic.reading("traffic", now, SHOWN_S, suspicion)
            if (slow := self._slow.suspicion(now)) is not None:
                found["slow"] = Reading(slow_evidence(slow), fired=True)
        own = self._probes.get(vantage)
        if own is not None and own.live(now):
            found["probe"] = own.reading("probe", now, SHOWN_PROBES_S, suspicion)
        others = [
            (self._elsewhere[place].suspicion(now), stream)
            for place, stream in self._probes.items()
            if place != vantage and stream.live(now)
        ]
        if others:
            found["elsewhere"] = _elsewhere(others, now)
        if len(self.voices) or self._crowd_says is not None:
            found["report"] = self._crowd_reading(now)
        return found

    def _crowd_reading(self, now: float) -> Reading:
        against, _ = self.voices.people()
        says = self._crowd_says
        if says is None:
            self._loud_since = 0.0
            return Reading(Evidence("report", now, 0.0, failures=float(against)))
        weight = self.voices.weight()
        loud = self._loud(weight, now)
        if not loud:
            self._loud_since = 0.0
        elif not self._loud_since:
            # What comes back within the detector's two hours began anew.
            fresh = now - says.raised_at <= WINDOW_S
            self._loud_since = says.since_at if fresh else now
        evidence = Evidence(
            "report",
            now,
            fusion.clamp(says.log_ratio, fusion.CROWD_CAP) if loud else 0.0,
            statistic=says.statistic,
            threshold=says.threshold,
            failures=float(against),
            total=weight,
            since_at=self._loud_since,
        )
        return Reading(evidence, fired=loud)

    def _loud(self, weight: float, now: float) -> bool:
        """Whether still more people than usual speak: two deviations and one voice more.

        The detector lets a burst last two hours beyond its end, so that its echo is no second
        one; what it fired on is over sooner than that.
        """
        minutes = WINDOW_S / 60
        usual = self.crowd.baseline.expected(now)
        variance = minutes * (usual.mu + usual.mu**2 / usual.r)
        return weight > minutes * usual.mu + 2 * math.sqrt(variance) + 1

    def _catch_up(self, now: float) -> None:
        """Give the crowd's detector every minute that is over, the silent ones too."""
        if self.component.model or self.component.region:
            return  # people report surfaces; parts of them have no crowd
        minute = int(now // 60)
        if not self._minute:
            if not len(self.voices):
                # Nobody has ever spoken: its history begins with the first who does.
                self._minute = minute if self.touched_at else 0
                return
            self._minute = minute
        while self._minute < minute:
            self.voices.expire(self._minute * 60 + 59.0)
            self._crowd_says = self.crowd.observe(
                self._minute * 60.0, self.voices.new_in(self._minute)
            )
            self._minute += 1
        self.voices.expire(now)


def slow_evidence(slow: LatencySuspicion) -> Evidence:
    """Slow answers as evidence of their own kind."""
    return Evidence(
        "slow",
        slow.at,
        slow.log_ratio,
        statistic=slow.statistic,
        threshold=slow.threshold,
        failures=slow.slow,
        total=slow.total,
        since_at=slow.since_at,
        detail=f"{slow.usual_s:.1f}",
    )


def _elsewhere(streams: list[tuple[ErrorSuspicion | None, Stream]], now: float) -> Reading:
    """Other vantage points together: they fire when half of those that look do."""
    readings = [
        stream.reading("elsewhere", now, SHOWN_PROBES_S, suspicion) for suspicion, stream in streams
    ]
    firing = [one.evidence for one in readings if one.fired]
    said = [one.evidence for one in readings]
    evidence = Evidence(
        "elsewhere",
        now,
        sum(one.log_odds for one in said),
        statistic=max(one.statistic for one in said),
        threshold=max(one.threshold for one in said),
        failures=sum(one.failures for one in said),
        total=sum(one.total for one in said),
        since_at=min((one.since_at for one in firing), default=0.0),
    )
    return Reading(evidence, bool(firing) and 2 * len(firing) >= len(streams))
