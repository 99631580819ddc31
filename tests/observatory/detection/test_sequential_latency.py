"""Slowness: against the component's own week, one-sided, and never by one answer alone."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.observatory.sequential_latency import BUCKETS, ENOUGH, HOLD, LatencyStream


def usual(count: int = 1500, seed: int = 1) -> LatencyStream:
    """A stream whose answers begin after about a second."""
    rng, stream = random.Random(seed), LatencyStream()
    for number in range(count):
        assert stream.observe(number * 6.0, math.exp(rng.gauss(0, 0.3))) is None
    return stream


@pytest.mark.parametrize(
    ("first_token_s", "suspects"),
    [
        pytest.param(0.2, False, id="faster is never suspicious"),
        pytest.param(1.0, False, id="as usual"),
        pytest.param(1.6, False, id="slower, but not twice"),
        pytest.param(6.0, True, id="six times slower"),
    ],
)
def test_thirty_answers_of_one_speed(first_token_s: float, suspects: bool) -> None:
    stream = usual()
    for number in range(30):
        stream.observe(9000.0 + number, first_token_s)
    assert (stream.raised_at is not None) is suspects


def test_one_very_slow_answer_is_no_suspicion_and_without_history_none_is() -> None:
    assert usual().observe(9000.0, 500.0) is None
    young = LatencyStream()
    assert all(young.observe(float(at), 500.0) is None for at in range(int(ENOUGH)))


def test_a_suspicion_says_since_when_and_what_is_usual_and_ends() -> None:
    stream = usual()
    suspicion = None
    for number in range(20):
        suspicion = stream.observe(9000.0 + number, 8.0) or suspicion
    assert suspicion is not None
    assert suspicion.since_at == 9000.0
    assert suspicion.slow == suspicion.total == 20
    assert 0.8 < suspicion.usual_s < 1.2
    assert suspicion.evidence().log_odds > 0
    for number in range(40):
        stream.observe(9100.0 + number, 1.0)
    assert stream.raised_at is None


@pytest.mark.parametrize("wrong", [-1.0, math.inf, math.nan])
def test_a_time_that_is_no_time_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="zero or more"):
        LatencyStream().observe(0.0, wrong)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1e6), max_size=100))
def test_saved_and_loaded_it_goes_on_the_same_in_bounded_memory(times: list[float]) -> None:
    stream = usual(300)
    saved = msgspec.json.decode(msgspec.json.encode(stream), type=LatencyStream)
    for number, first_token_s in enumerate(times):
        at = 5000.0 + number
        assert stream.observe(at, first_token_s) == saved.observe(at, first_token_s)
    assert saved == stream
    assert len(stream.buckets) == BUCKETS
    assert len(stream.waiting) <= HOLD


def test_its_bets_lose_under_the_null() -> None:
    """The mean of R / t stays below one where nothing changes (E[R_t] <= t)."""
    worth = []
    for seed in range(15):
        stream, rng = usual(800, seed), random.Random(100 + seed)
        stream.r = 0.0
        for number in range(200):
            stream.observe(9000.0 + number * 6, math.exp(rng.gauss(0, 0.3)))
        worth.append(stream.r / 200)
    assert sum(worth) / len(worth) < 1
