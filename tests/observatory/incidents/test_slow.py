"""Answers that begin late are evidence of their own, and make a component degraded, no worse."""

from __future__ import annotations

import random

from outlast.nouns import Component, Observation, Outcome, Status, Suspicion
from outlast.observatory.watched import Watched


def answers(watched: Watched, now: float, count: int, seconds: float, roll: random.Random) -> float:
    for _ in range(count):
        now += 6.0
        took_s = seconds * roll.lognormvariate(0.0, 0.3)
        watched.observe(Observation(now, "attempt", "a/api", Outcome.OK, latency_s=took_s), now, "")
    return now


def test_three_times_slower_is_degraded_and_said_so_and_is_over_again() -> None:
    roll, watched = random.Random(1), Watched(Component("a", "api"), rate=1.0)
    now = answers(watched, 1e9, 600, 1.0, roll)
    assert watched.look(None, "", now).suspicion is Suspicion.NONE
    now = answers(watched, now, 60, 3.0, roll)
    slow = watched.look(None, "", now)
    assert (slow.suspicion, slow.status) == (Suspicion.S_DOWN, Status.DEGRADED)
    assert [one.kind for one in slow.evidence if one.fired] == ["slow"]
    now = answers(watched, now, 120, 1.0, roll)
    assert watched.look(None, "", now).status is Status.OPERATIONAL
