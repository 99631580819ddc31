"""What probes may spend, so that a day's tokens last the day. Pure."""

from __future__ import annotations

DAY_S = 86_400.0
LEFT_BY_LOOKS = 0.25
"""Of the reserve. With the default budget that is a quarter of an hour of one hurried canary."""


class Budget:
    """Tokens for probes: never more than `per_day` in any 24 hours, however they fall.

    Two leaky buckets: one for the usual turns (60 % of the day's tokens, flowing in evenly, an
    hour's worth at once), one that only hurried probes may use when the first is empty (25 % at
    most, and 10 % a day flow in). A service that starts finds the second one half full, so that
    one which starts over and over does not spend a day's reserve each time.
    """

    def __init__(self, per_day: int, largest: int, now: float) -> None:
        self.usual_per_s = 0.6 * per_day / DAY_S
        self._reserve_per_s = 0.1 * per_day / DAY_S
        # At least one probe's worth, or a small budget would never be spent.
        self._usual_max = max(self.usual_per_s * 3600, float(largest)) if per_day else 0.0
        self._reserve_max = 0.25 * per_day
        self.usual = self._usual_max
        self.reserve = self._reserve_max / 2
        self._at = now

    def take(self, tokens: int, *, hurried: bool, now: float, close: bool = False) -> bool:
        """Take a probe's tokens; False where they would have to come from another's share.

        `close`: for a close look, which leaves a quarter of the reserve to what is suspected.
        """
        elapsed_s, self._at = max(0.0, now - self._at), now
        self.usual = min(self._usual_max, self.usual + elapsed_s * self.usual_per_s)
        self.reserve = min(self._reserve_max, self.reserve + elapsed_s * self._reserve_per_s)
        if self.usual >= tokens:
            self.usual -= tokens
            return True
        left = LEFT_BY_LOOKS * self._reserve_max if close else 0.0
        if (hurried or close) and self.reserve - left >= tokens:
            self.reserve -= tokens
            return True
        return False

    def settle(self, estimated: int, spent: int) -> None:
        """Put right what was taken: a refusal costs nothing, a talkative model more."""
        self.usual = min(self._usual_max, self.usual + estimated - spent)
