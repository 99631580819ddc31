"""One attempt under way: its answer as it comes, and how long it has been silent. Pure."""

from __future__ import annotations

from outlast.config import TimeoutSettings
from outlast.gateway.asked import Prepared
from outlast.gateway.flow import Flow, Render
from outlast.gateway.gaps import SUSPECT_FLOOR_S, Gaps
from outlast.gateway.holding import Unit
from outlast.gateway.leg import Broken, Leg, broke
from outlast.nouns import Candidate, Outcome, Scope
from outlast.outcome import Verdict

GRACE_S = 2.0
"""How long the format's last word may take after the model said why it stopped."""
DEAD_FLOOR_S = 20.0
"""However regular a stream was, it is not given up after less silence than this."""

LEFT = Verdict(Outcome.LEFT, Scope.NONE, "another attempt was faster")
STOPPED = Verdict(Outcome.LEFT, Scope.NONE, "the service was stopped")
GONE = Verdict(Outcome.CLIENT_GONE, Scope.NONE, "the client closed the connection")


class Racer:
    def __init__(
        self,
        number: int,
        prepared: Prepared,
        leg: Leg,
        timeouts: TimeoutSettings,
        gaps: Gaps,
        now: float,
    ) -> None:
        self.number = number
        self.prepared = prepared
        self.leg = leg
        self.opened_at = now
        self.first_content_s: float | None = None
        self.warmed = False
        self.half_at = now
        """When the half word came that waits for its other half, if one does."""
        self._timeouts = timeouts
        self._gaps = gaps
        self._life_at = now
        self._content_at = now

    @property
    def candidate(self) -> Candidate:
        return self.prepared.candidate

    def head(self, status: int, headers: dict[str, str], now: float) -> None:
        self._life_at = now
        self.leg.head(status, headers)

    def feed(self, data: bytes, now: float) -> list[Unit]:
        """Take in bytes; return the units that may be shown. Raises Broken."""
        self._life_at = now
        size = self.leg.content_size
        waited = self.leg.waiting_for_word
        try:
            units = self.leg.feed(data)
            if units or not waited:
                self.half_at = now  # if half a word waits now, it has just come
            return units
        finally:
            if self.leg.content_size > size:
                if self.first_content_s is None:
                    self.first_content_s = now - self.opened_at
                else:
                    self._gaps.add(now - self._content_at)
                self._content_at = now

    def flow(self, render: Render | None, *, flushing: bool) -> Flow | None:
        """Return what may take in reads in this one's place, until `absorb`; None: now nothing."""
        flow = self.leg.flow(render) if self.leg.skims else None
        if flow is not None:
            flow.number = self.number
            flow.flushing = flushing
            flow.life_at = self._life_at
            flow.content_at = self._content_at
            flow.half_at = self.half_at
            timeouts = self._timeouts
            flow.calm_s = min(SUSPECT_FLOOR_S, timeouts.stall_s, timeouts.whole_s)
        return flow

    def absorb(self, flow: Flow) -> None:
        """Go on from where a flow has got to."""
        self.leg.absorb(flow)
        if flow.times:
            self._gaps.learn(self._content_at, flow.times)
            self._content_at = flow.times[-1]
        self._life_at = flow.life_at
        self.half_at = flow.half_at

    def excuse(self, now: float) -> None:
        """Nobody listened to it for a while: its silence does not count."""
        self._life_at = self._content_at = now

    def due(self) -> float:
        """Return when to look at it again: suspect, or silent for too long."""
        dead_at = self._dead_at()
        suspect_s = self._gaps.suspect_s()
        if self.warmed or suspect_s is None or not self._flowing:
            return dead_at
        return min(dead_at, self._life_at + suspect_s)

    def suspect(self, now: float) -> bool:
        """Whether it has been silent for unusually long; said once."""
        suspect_s = self._gaps.suspect_s()
        if self.warmed or suspect_s is None or not self._flowing:
            return False
        self.warmed = now >= self._life_at + suspect_s
        return self.warmed

    def overdue(self, now: float) -> Broken | None:
        """Return how it broke by being silent, or None."""
        if now < self._dead_at():
            return None
        kind = "stall" if self.leg.content_seen else "first_byte_timeout"
        return broke(kind, f"after {now - self._life_at:.0f} s of silence")

    @property
    def _flowing(self) -> bool:
        return self.leg.streaming and self.leg.content_seen and not self.leg.stopped

    def _dead_at(self) -> float:
        """Pings are life, since a model may think for minutes; but not for longer than a whole
        answer may take."""
        timeouts, leg = self._timeouts, self.leg
        if not self.prepared.streamed:
            return self.opened_at + timeouts.whole_s
        if leg.stopped:
            return self._life_at + GRACE_S
        if not leg.content_seen:
            silent_s = timeouts.first_byte_s
        else:
            floor_s = min(DEAD_FLOOR_S, timeouts.stall_s)
            silent_s = min(timeouts.stall_s, self._gaps.dead_s(floor_s) or timeouts.stall_s)
        return min(self._life_at + silent_s, self._content_at + timeouts.whole_s)
