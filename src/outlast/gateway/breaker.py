"""Breakers: whether a candidate is worth asking now. Pure: outcomes and times in, verdicts out.

    CLOSED ──too many failures──▶ OPEN ──ejection over──▶ HALF_OPEN ──one success──▶ CLOSED
                                   ▲                          │                     (ramping)
                                   └────────one failure───────┘

Sources: consecutive failures and growing ejection times after Envoy's outlier detection;
failure share over a window after Finagle's failure accrual; the ramp after Envoy's slow start.
Statistical outliers are useless here: there are three to eight upstreams, not hundreds.

Each process keeps its own breakers on purpose: it sees its own network.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from outlast.config import BreakerSettings
from outlast.nouns import Outcome, Scope

CREDENTIAL_EJECTION_S = 60.0
"""How long a refused credential rests: it needs a person, but a fixed key must be noticed."""

_FAILURES = {
    Outcome.OVERLOADED: 1,
    Outcome.SERVER_ERROR: 1,
    Outcome.BROKEN_STREAM: 1,
    Outcome.CONNECT_FAILED: 1,
    # A time-out costs the person waiting far more than a refusal: it counts double.
    Outcome.TIMEOUT: 2,
    Outcome.STALLED: 2,
}
_SILENT = {Outcome.CONNECT_FAILED, Outcome.TIMEOUT, Outcome.STALLED}
"""What a network of our own that is gone looks like."""
_SPEAKING = {Outcome.OK, Outcome.AUTH, Outcome.RATE_LIMITED, *_FAILURES}
"""All else says nothing of the upstream's health: a caller's fault, a client that left, an attempt
that we left, a model's habit."""


WINDOW_MAX = 1000
"""Attempts that are remembered at most."""


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """The breaker of one candidate. All times are monotonic seconds, told by the caller."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self.open_until = 0.0
        self._opened = False
        self._consecutive = 0
        self._ejections = 0
        self._probing_since: float | None = None
        self._recovered_at: float | None = None
        self._window: deque[tuple[float, bool]] = deque()
        self.reason = ""
        self.calm = True
        """Whether it admits every request now: closed, and not coming back from anything."""

    def state(self, now: float) -> State:
        if not self._opened:
            return State.CLOSED
        return State.OPEN if now < self.open_until else State.HALF_OPEN

    def admits(self, now: float, roll: float) -> bool:
        """Return whether a request may go there now. `roll` in [0, 1) decides during the ramp.

        Half-open admits one request at a time (the probe); a probe that never reported back
        is given up after the longest ejection.
        """
        match self.state(now):
            case State.OPEN:
                return False
            case State.HALF_OPEN:
                since = self._probing_since
                return since is None or now - since > self._settings.ejection_max_s
            case State.CLOSED:
                return roll < self.share(now)

    def share(self, now: float) -> float:
        """Return the share of traffic a recovered candidate gets, 0.1 → 1 over the ramp."""
        if self._recovered_at is None or self._settings.ramp_s <= 0:
            return 1.0
        return min(1.0, max(0.1, (now - self._recovered_at) / self._settings.ramp_s))

    def take(self, now: float) -> None:
        """Note that a request was sent there; in half-open it is the probe."""
        if self.state(now) is State.HALF_OPEN:
            self._probing_since = now

    def observe(
        self, outcome: Outcome, scope: Scope, now: float, retry_after_s: float | None = None
    ) -> None:
        """Take in how an attempt ended."""
        if outcome is Outcome.OK:
            self.succeed(now)
        elif outcome not in _SPEAKING:
            self._probing_since = None
        elif outcome is Outcome.AUTH:
            self._eject(now, CREDENTIAL_EJECTION_S, "the credential was refused")
        elif outcome is Outcome.RATE_LIMITED:
            wait_s = retry_after_s if retry_after_s is not None else self._settings.ejection_s
            self._eject(now, min(wait_s, self._settings.ejection_max_s), "rate limited")
        else:
            self._fail(outcome, now, retry_after_s)

    def warm(self, now: float) -> None:
        """It was known to fail, and is known to be well again: begin the ramp.

        An open breaker stays open: what it saw itself counts for more.
        """
        if not self._opened:
            self._recovered_at = now
            self.calm = False

    def forgive(self) -> None:
        """Forget silence that turned out to be our own network's.

        What the upstream said itself (overloaded, rate limited, a refused key) still holds.
        """
        if self._opened and self.reason not in _SILENT:
            return
        if self._opened:
            self._opened = False
            self._ejections -= 1
            self.open_until = 0.0
            self.calm = self._recovered_at is None
        self._consecutive = 0
        self._probing_since = None
        self._window.clear()

    def succeed(self, now: float, count: int = 1) -> None:
        """Take in that an attempt went well, or so many."""
        if self.calm:
            self._consecutive = 0
            self._note(now, failed=False, count=count)
            return
        if self._opened:
            if now < self.open_until:
                return  # a late success of a request sent before the ejection proves nothing
            self._recovered_at = now
            self._window.clear()
        self._opened = False
        self._probing_since = None
        self._consecutive = 0
        self._note(now, failed=False, count=count)
        if self._recovered_at is not None and now - self._recovered_at > self._settings.ramp_s:
            self._recovered_at = None
            self._ejections = 0
        self.calm = self._recovered_at is None

    def _fail(self, outcome: Outcome, now: float, retry_after_s: float | None) -> None:
        if self.state(now) is State.OPEN:
            return
        half_open = self.state(now) is State.HALF_OPEN
        self._consecutive += _FAILURES[outcome]
        self._note(now, failed=True)
        settings = self._settings
        failed = sum(1 for _, bad in self._window if bad)
        too_many = (
            len(self._window) >= settings.min_requests
            and failed / len(self._window) >= settings.failure_share
        )
        if half_open or self._consecutive >= settings.consecutive_failures or too_many:
            self._ejections = min(self._ejections + 1, 30)
            wait_s = min(settings.ejection_s * 2 ** (self._ejections - 1), settings.ejection_max_s)
            self._eject(
                now, max(wait_s, min(retry_after_s or 0.0, settings.ejection_max_s)), outcome
            )

    def _eject(self, now: float, for_s: float, reason: str) -> None:
        self._opened = True
        self.calm = False
        self.open_until = max(self.open_until, now + for_s)
        self._probing_since = None
        self._recovered_at = None
        self._consecutive = 0
        self.reason = reason

    def _note(self, now: float, *, failed: bool, count: int = 1) -> None:
        window, since = self._window, now - self._settings.window_s
        window.extend([(now, failed)] * count)
        while window and (window[0][0] < since or len(window) > WINDOW_MAX):
            window.popleft()
