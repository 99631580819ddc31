"""Attempts on their way to the history: failures one by one, successes by the second. Pure.

A busy gateway sees thousands of requests a second. Each ends in one Observation that breakers and
receipts read; the history keeps every failure, and successes of the same component, upstream and
second as one row whose weight says how many they were. Nothing is lost but the moment within the
second; the slowest of them is told by its latency.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from outlast.nouns import Ended, Observation, Outcome

FAILURES_PER_S = 200
"""Beyond it failures are summed as well: a flood of them is one outage, not a full disk."""
KEYS_MAX = 2000


class Sum(msgspec.Struct):
    first: Observation
    weight: float = 0.0
    latency_s: float = 0.0


class Gathering:
    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, Outcome], Sum] = {}
        self._second = 0
        self._failures = 0

    def add(self, observation: Observation) -> list[Observation]:
        """Take in an attempt's observation; return what is to be kept now."""
        out = self.flush(observation.at)
        if observation.outcome is not Outcome.OK and self._failures < FAILURES_PER_S:
            self._failures += 1
            return [*out, observation]
        key = (observation.component, observation.upstream, observation.outcome)
        summed = self._sums.get(key)
        if summed is None:
            if len(self._sums) >= KEYS_MAX:
                return [*out, observation]
            summed = self._sums[key] = Sum(observation)
        summed.weight += observation.weight
        summed.latency_s = max(summed.latency_s, observation.latency_s)
        return out

    def well(self, component: str, upstream: str, ended: Sequence[Ended]) -> list[Observation]:
        """As `add` of attempts that went well; mostly nothing is made for them."""
        summed = self._sums.get((component, upstream, Outcome.OK))
        if summed is None or int(ended[-1][0]) > self._second:
            out: list[Observation] = []
            for at, took_s in ended:
                name, ok = component, Outcome.OK
                one = Observation(at, "attempt", name, ok, latency_s=took_s, upstream=upstream)
                out += self.add(one)
            return out
        summed.weight += len(ended)
        summed.latency_s = max(summed.latency_s, *[took_s for _, took_s in ended])
        return []

    def flush(self, now: float) -> list[Observation]:
        """Return the sums of seconds that are over."""
        second = int(now)
        if second <= self._second:
            return []
        self._second, self._failures = second, 0
        out = [
            msgspec.structs.replace(one.first, weight=one.weight, latency_s=one.latency_s, id="")
            for one in self._sums.values()
        ]
        self._sums.clear()
        return out
