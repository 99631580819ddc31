"""Budgets that keep a bad day from getting worse. Pure: the caller tells the time.

Failing over to another upstream is not charged: it is what the service is for, and it is bounded
by the number of candidates and the deadline. Asking the *same* upstream again is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from outlast.nouns import Candidate, Scope
from outlast.outcome import Verdict

AT_ONCE_S = 0.5
"""How long an upstream that names no time is left alone before it is asked again."""


def soonest(tried: Sequence[tuple[Candidate, Verdict]]) -> tuple[float, Candidate] | None:
    """Return (seconds to wait, who could be asked again first); None where nobody could be."""
    waits = [
        (verdict.retry_after_s if verdict.retry_after_s is not None else AT_ONCE_S, candidate)
        for candidate, verdict in tried
        if verdict.scope in {Scope.PROVIDER, Scope.MODEL, Scope.ACCOUNT}
    ]
    return min(waits, key=lambda pair: pair[0], default=None)


class RetryBudget:
    """Leaky bucket after Finagle's RetryBudget: each request deposits a share, a retry takes one.

    `share` 0.2 allows one retry for five requests; `min_per_s` retries are free each second.
    What is above that reserve fades with the time constant `ttl_s`.
    """

    def __init__(self, share: float, min_per_s: float, ttl_s: float = 10.0) -> None:
        self._share = share
        self._min_per_s = min_per_s
        self._ttl_s = ttl_s
        self._reserve = self._balance = min_per_s * ttl_s
        self._at = 0.0

    def deposit(self, now: float) -> None:
        elapsed_s, balance, reserve = now - self._at, self._balance, self._reserve
        if 0 <= elapsed_s < self._ttl_s and balance > reserve:  # as _leaked, of each request
            self._at = now
            left = 1 - elapsed_s / self._ttl_s
            self._balance = reserve + (balance - reserve) * left + self._share
        else:
            self._balance = self._leaked(now) + self._share

    def withdraw(self, now: float) -> bool:
        """Take one retry; False when there is none left."""
        self._balance = self._leaked(now)
        if self._balance < 1:
            return False
        self._balance -= 1
        return True

    def _leaked(self, now: float) -> float:
        """Move towards the free reserve: what is above it decays, what is below it refills."""
        balance, reserve, elapsed_s = self._balance, self._reserve, now - self._at
        if elapsed_s <= 0:
            elapsed_s = 0.0
        self._at = now
        if balance > reserve:
            left = 1 - elapsed_s / self._ttl_s
            return reserve + (balance - reserve) * left if left > 0 else reserve
        balance += elapsed_s * self._min_per_s
        return min(reserve, balance)


def take_one(level: float, at: float, per_minute: int, now: float) -> tuple[float, float]:
    """Take one from a bucket that held `level` at `at`: return what it holds now, and 0 or the
    seconds to wait until there is one.
    """
    level = min(float(per_minute), max(0.0, level) + max(0.0, now - at) * per_minute / 60)
    if level >= 1:
        return level - 1, 0.0
    return level, (1 - level) * 60 / per_minute


class TokenBucket:
    """At most `per_minute` on average, a minute's worth at once."""

    def __init__(self, per_minute: int, now: float) -> None:
        self._per_minute = per_minute
        self._level = float(per_minute)
        self._at = now

    def take(self, now: float) -> float:
        """Take one; return 0, or the seconds to wait until there is one."""
        self._level, wait_s = take_one(self._level, self._at, self._per_minute, now)
        self._at = now
        return wait_s


class InFlight:
    """How many are under way, at most `limit` (None: no limit)."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.count = 0

    def enter(self) -> bool:
        if self.limit is not None and self.count >= self.limit:
            return False
        self.count += 1
        return True

    def leave(self) -> None:
        if self.count > 0:
            self.count -= 1


class Company(Protocol):
    """The other processes of the same service, as the limits that hold for all of them see them."""

    @property
    def count(self) -> int:
        """How many processes answer requests."""

    def take(self, name: str, per_minute: int, now: float) -> float | None:
        """As TokenBucket.take, for all of them; None: the others cannot be asked now."""

    def load(self, name: str, limit: int | None) -> InFlight:
        """What is under way in all of them."""
