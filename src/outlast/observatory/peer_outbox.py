"""What waits to be told to another Outlast: bounded, in batches, tried again while fresh. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

from outlast.nouns import Observation, Outcome
from outlast.observatory.peers import (
    EVIDENCE_MAX,
    ID_MAX,
    OBSERVATIONS_MAX,
    OLDEST_S,
    Batch,
    Said,
)

SEND_EVERY_S = 30.0
CATCH_UP_S = 1.0
"""Between two batches where more than one waits."""
RETRY_MAX_S = 600.0
WAITING_MAX = 2000
FRESH_S = OLDEST_S / 2
"""What is older is given up: the peer would not take it much longer."""
BATCH_LIMIT_BYTES = 60 << 10
_ENVELOPE_BYTES = 200


class Outbox:
    """For one peer: `offer`, then `batch` when it is due, then how that went.

    Times are monotonic seconds; `wall` is seconds since the epoch. One batch is on its way at a
    time.
    """

    def __init__(self, vantage: str, now: float) -> None:
        self._vantage = vantage
        self._waiting: deque[Said] = deque()
        self._flying: tuple[Said, ...] = ()
        self._failures = 0
        self.due_at = now + SEND_EVERY_S
        self.lost = 0
        """Observations that were given up: too many waited, they grew old, or were refused."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._flying)

    def offer(self, observation: Observation) -> None:
        """Take an observation in if our own probe made it and it says something of others."""
        own = observation.source == "probe" and observation.network == self._vantage
        if not own or observation.outcome is Outcome.OURS or not observation.weight:
            return
        if len(self) >= WAITING_MAX and self._waiting:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(
            Said(
                id=observation.id[:ID_MAX],
                at=observation.at,
                component=observation.component,
                outcome=observation.outcome.value,
                scope=observation.scope.value,
                latency_s=observation.latency_s,
                evidence=observation.evidence[:EVIDENCE_MAX],
                symptom=observation.symptom,
            )
        )

    def batch(self, now: float, wall: float) -> bytes | None:
        """Return the body of a batch that is to be sent now; None: there is none."""
        if now < self.due_at or self._flying:
            return None
        while self._waiting and self._waiting[0].at < wall - FRESH_S:
            self._waiting.popleft()
            self.lost += 1
        chosen: list[Said] = []
        size = _ENVELOPE_BYTES
        while self._waiting and len(chosen) < OBSERVATIONS_MAX:
            size += len(msgspec.json.encode(self._waiting[0])) + 1
            if chosen and size > BATCH_LIMIT_BYTES:
                break
            chosen.append(self._waiting.popleft())
        if not chosen:
            self.due_at = now + SEND_EVERY_S
            return None
        self._flying = tuple(chosen)
        return msgspec.json.encode(Batch(self._vantage, wall, self._flying))

    def taken(self, now: float) -> None:
        """The peer has it."""
        self._flying, self._failures = (), 0
        more = len(self._waiting) >= OBSERVATIONS_MAX
        self.due_at = now + (CATCH_UP_S if more else SEND_EVERY_S)

    def failed(self, now: float, retry_after_s: float | None = None) -> None:
        """The peer could not be reached, or is too busy: it is tried again, later each time."""
        self._waiting.extendleft(reversed(self._flying))
        self._flying = ()
        self._back_off(now, retry_after_s)

    def refused(self, now: float) -> None:
        """The peer will never take it: it is given up."""
        self.lost += len(self._flying)
        self._flying = ()
        self._back_off(now, None)

    def _back_off(self, now: float, retry_after_s: float | None) -> None:
        self._failures = min(self._failures + 1, 10)
        wait_s = min(RETRY_MAX_S, SEND_EVERY_S * 2 ** (self._failures - 1))
        self.due_at = now + max(wait_s, min(retry_after_s or 0.0, RETRY_MAX_S))
