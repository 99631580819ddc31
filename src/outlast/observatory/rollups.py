"""Sums of observations by minute, hour and day: what is left when single ones are gone. Pure.

A sum is kept for each period, component, source and outcome. Days are UTC days.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from outlast.nouns import Observation

Period = Literal["minute", "hour", "day"]
PERIOD_S: dict[Period, int] = {"minute": 60, "hour": 3600, "day": 86_400}

_PERIODS: tuple[Period, ...] = ("minute", "hour", "day")
_Key = tuple[int, str, str, str]


class Rollup(msgspec.Struct, frozen=True):
    """What was observed of one component, from one source, with one outcome, in one period."""

    period: Period
    start_at: int
    """Seconds since the epoch, a multiple of the period."""
    component: str
    source: str
    outcome: str
    count: int
    weight: float
    latency_sum_s: float
    """Of all of them; the mean is this divided by `count`."""
    latency_max_s: float


def roll_up(observations: Iterable[Observation]) -> list[Rollup]:
    """Their sums for all three periods, in a fixed order, so that two writers who add to the same
    rows take their locks in the same order."""
    sums: dict[_Key, list[float]] = {}
    for one in observations:
        key = (int(one.at // 60), one.component, one.source, one.outcome.value)
        latency_s = one.latency_s
        _add(sums, key, (1, one.weight, latency_s, latency_s))
    found: list[Rollup] = []
    size_s = 60
    for period in _PERIODS:
        factor = PERIOD_S[period] // size_s
        if factor > 1:
            size_s *= factor
            coarser: dict[_Key, list[float]] = {}
            for (slot, component, source, outcome), values in sums.items():
                _add(coarser, (slot // factor, component, source, outcome), values)
            sums = coarser
        for (slot, component, source, outcome), values in sorted(sums.items()):
            count, weight, total, longest = values
            found.append(
                Rollup(
                    period,
                    slot * size_s,
                    component,
                    source,
                    outcome,
                    int(count),
                    weight,
                    total,
                    longest,
                )
            )
    return found


def _add(sums: dict[_Key, list[float]], key: _Key, values: Iterable[float]) -> None:
    count, weight, total, longest = values
    held = sums.get(key)
    if held is None:
        sums[key] = [count, weight, total, longest]
        return
    held[0] += count
    held[1] += weight
    held[2] += total
    held[3] = max(held[3], longest)
