"""The test for attempts and probes: what is a vote, when it suspects, when it is healthy again."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.nouns import Outcome
from outlast.observatory.sequential import (
    FAULTS,
    P0_CEILING,
    P0_FLOOR,
    RISES,
    WATCH_VOTES,
    WINDOW_VOTES,
    ErrorStream,
    Rate,
    share_of,
    weights_of,
)

VOTES = st.lists(st.tuples(st.booleans(), st.sampled_from([0.25, 0.5, 1.0])), max_size=80)


def copy(stream: ErrorStream) -> ErrorStream:
    return msgspec.json.decode(msgspec.json.encode(stream), type=ErrorStream)


def fed(votes: list[tuple[bool, float]], step_s: float = 6.0) -> ErrorStream:
    stream = ErrorStream()
    for number, (failed, weight) in enumerate(votes):
        stream.vote(number * step_s, failed=failed, weight=weight)
    return stream


@pytest.mark.parametrize(
    ("pattern", "suspects"),
    [
        pytest.param("xxx", False, id="three failures in a row may be chance"),
        pytest.param("xxxx", True, id="four in a row are not"),
        pytest.param("x.x.x.x.x", True, id="every second request fails"),
        pytest.param("x" + "." * 60 + "x" + "." * 60 + "x", False, id="one in sixty is usual"),
        pytest.param("." * 500 + "xxxx", True, id="a long quiet time buys no patience"),
        pytest.param("." * 500, False, id="nothing fails"),
    ],
)
def test_suspicion_by_pattern(pattern: str, suspects: bool) -> None:
    stream = fed([(sign == "x", 1.0) for sign in pattern])
    assert (stream.raised is not None) is suspects


@pytest.mark.parametrize("outcome", [one for one in Outcome if one not in FAULTS])
def test_what_is_not_the_providers_fault_is_no_failure(outcome: Outcome) -> None:
    stream = ErrorStream()
    for at in range(200):
        assert stream.observe(float(at), outcome) is None
    assert not stream.watching()


@pytest.mark.parametrize("outcome", sorted(FAULTS))
def test_each_fault_of_the_provider_is_a_failure(outcome: Outcome) -> None:
    stream = ErrorStream()
    suspicions = [stream.observe(float(at), outcome) for at in range(4)]
    assert suspicions[-1] is not None


def test_a_suspicion_says_since_when_and_how_sure() -> None:
    stream = ErrorStream()
    for number in range(100):
        stream.observe(number * 6.0, Outcome.OK)
    suspicion = None
    for number in range(100, 104):
        suspicion = stream.observe(number * 6.0, Outcome.OVERLOADED)
    assert suspicion is not None
    assert suspicion.since_at == 600.0
    assert suspicion.raised_at == suspicion.at == 618.0
    assert (suspicion.failures, suspicion.total, suspicion.p1) == (4, 4, 1.0)
    assert suspicion.statistic >= suspicion.threshold == math.log(432_000)
    assert suspicion.evidence("HTTP 529").log_odds == suspicion.log_ratio > 0


def test_it_looks_closer_before_it_suspects() -> None:
    stream = ErrorStream()
    seen = []
    for at in range(4):
        seen.append((stream.watching(), stream.raised is not None))
        stream.vote(float(at), failed=True)
    assert seen == [(False, False), (False, False), (True, False), (True, False)]
    assert stream.raised is not None


@pytest.mark.parametrize(
    ("pattern", "looks"),
    [
        pytest.param("x", False, id="one failure comes by chance all the time"),
        pytest.param("xx", True, id="two in a row"),
        pytest.param("x.x", True, id="two close to each other"),
        pytest.param("x" + "." * 30 + "x", False, id="two far apart"),
        pytest.param("xx..", True, id="a success or two prove nothing"),
        pytest.param("xx" + "." * 30, False, id="many do"),
        pytest.param("." * 500 + "xx", True, id="a long quiet time buys no patience"),
    ],
)
def test_when_a_close_look_is_worth_its_probes(pattern: str, looks: bool) -> None:
    assert fed([(sign == "x", 1.0) for sign in pattern]).watching() is looks


def test_close_looks_are_rare_by_chance() -> None:
    """R >= 600 at most once in 600 quiet votes on the average: the e-detector makes fewer."""
    rng, stream, begun, was = random.Random(3), ErrorStream(), 0, False
    for number in range(60_000):
        stream.vote(number * 6.0, failed=rng.random() < 0.01)
        begun += stream.watching() and not was
        was = stream.watching()
    assert 0 < begun <= 60_000 / WATCH_VOTES


def test_sustained_success_ends_a_suspicion_and_a_failing_quarter_does_not() -> None:
    ill = fed([(True, 1.0)] * 5)
    well = copy(ill)
    for number in range(60):
        well.vote(100.0 + number, failed=False)
        ill.vote(100.0 + number, failed=number % 4 == 0)
    assert well.raised is None
    assert ill.raised is not None


@pytest.mark.parametrize("weight", [137.0, 5_000.0, 1e9])
def test_a_flood_told_as_one_vote_is_suspected_and_ends_like_any_other(weight: float) -> None:
    stream = fed([(False, 1.0)] * 100)
    assert stream.votes(700.0, failed=True, weight=weight) is not None
    assert stream.votes(701.0, failed=False, weight=weight) is None


def test_a_second_outage_is_suspected_like_the_first() -> None:
    stream = fed([(True, 1.0)] * 4 + [(False, 1.0)] * 60)
    assert stream.raised is None
    for at in range(4):
        stream.vote(1000.0 + at, failed=True)
    assert stream.raised is not None


def test_an_outage_does_not_become_usual() -> None:
    stream = ErrorStream()
    for number in range(3000):
        stream.vote(number * 6.0, failed=False)
    before = stream.rate.p0()
    for number in range(3000, 6000):
        stream.vote(number * 6.0, failed=True)
    assert stream.rate.p0() == before


@pytest.mark.parametrize(
    ("failures", "total", "p0"),
    [
        pytest.param(0, 0, 0.01, id="nothing is known: 1 %"),
        pytest.param(0, 10_000, P0_FLOOR, id="nothing ever fails: the floor"),
        pytest.param(298, 9_800, 0.03, id="three in a hundred"),
        pytest.param(10_000, 10_000, P0_CEILING, id="all fails: the ceiling"),
    ],
)
def test_the_usual_rate(failures: int, total: int, p0: float) -> None:
    assert Rate(failures=failures, total=total).p0() == pytest.approx(p0)


def test_hours_older_than_a_week_are_forgotten() -> None:
    rate = Rate()
    for hour in range(400):
        rate.note(hour * 3600.0, 0.0 if hour > 200 else 1.0, 100.0)
    assert rate.failures == 0
    assert len(rate.hours) <= 171


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
def test_nobody_has_more_than_one_voice(weight: float) -> None:
    with pytest.raises(ValueError, match="one voice"):
        ErrorStream().vote(0.0, failed=True, weight=weight)


def test_probes_of_one_network_share_one_vote() -> None:
    assert weights_of(["a", "b", "a", "a", "a"]) == [0.25, 1.0, 0.25, 0.25, 0.25]


@pytest.mark.parametrize(
    ("failures", "total", "low", "high"),
    [
        pytest.param(0, 0, 0.0, 1.0, id="nothing is known"),
        pytest.param(0, 20, 0.0, 0.112, id="none of twenty"),
        pytest.param(10, 20, 0.365, 0.635, id="half of twenty"),
        pytest.param(20, 20, 0.888, 1.0, id="all of twenty"),
    ],
)
def test_the_share_has_an_interval(failures: float, total: float, low: float, high: float) -> None:
    share = share_of(failures, total)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-3)
    assert share.low <= share.middle <= share.high


@settings(deadline=None)
@given(VOTES)
def test_a_saved_and_loaded_stream_goes_on_the_same(votes: list[tuple[bool, float]]) -> None:
    stream, saved = ErrorStream(), ErrorStream()
    for number, (failed, weight) in enumerate(votes):
        said = stream.vote(number * 6.0, failed=failed, weight=weight)
        saved = copy(saved)
        assert saved.vote(number * 6.0, failed=failed, weight=weight) == said
    assert saved == stream


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=300), st.floats(0.1, 5000))
def test_successes_alone_are_never_suspected(weights: list[float], step_s: float) -> None:
    assert fed([(False, weight) for weight in weights], step_s).raised is None


@settings(deadline=None)
@given(VOTES, st.integers(0, 79))
def test_one_more_failure_never_lowers_the_statistic(
    votes: list[tuple[bool, float]], which: int
) -> None:
    worse = [(failed or i == which, weight) for i, (failed, weight) in enumerate(votes)]
    less, more = fed(votes), fed(worse)
    if less.raised is None and more.raised is None:
        assert more._statistic() >= less._statistic() * (1 - 1e-9)
    else:
        assert more.raised is not None or less.raised is not None


@settings(deadline=None)
@given(VOTES, st.booleans())
def test_no_weight_changes_nothing(votes: list[tuple[bool, float]], failed: bool) -> None:
    stream = fed(votes)
    before = copy(stream)
    stream.vote(1e6, failed=failed, weight=0.0)
    assert stream == before


@settings(max_examples=5, deadline=None)
@given(st.floats(0.001, 10_000), st.integers(0, 2**32))
def test_memory_is_bounded(step_s: float, seed: int) -> None:
    rng, stream = random.Random(seed), ErrorStream()
    for number in range(1500):
        stream.vote(number * step_s, failed=rng.random() < 0.05)
    assert len(stream.window) <= WINDOW_VOTES
    assert len(stream.rate.hours) <= 171


@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("p0", [0.005, 0.01, 0.2])
def test_each_factor_is_worth_one_at_most_under_the_null(p0: float, weight: float) -> None:
    """The e-detector's guarantee stands on this; it is computed, not sampled."""
    for rise in RISES:
        p1 = p0 + (1 - p0) * rise
        mean = p0 * (p1 / p0) ** weight + (1 - p0) * ((1 - p1) / (1 - p0)) ** weight
        assert mean <= 1 + 1e-12


def test_false_alarms_are_rarer_than_stated() -> None:
    """Threshold 200: in 40,000 quiet votes at most 200 alarms; the e-detector makes far fewer."""
    rng, stream, alarms = random.Random(5), ErrorStream(threshold=200.0), 0
    for number in range(40_000):
        was = stream.raised is not None
        stream.vote(number * 6.0, failed=rng.random() < 0.01)
        alarms += stream.raised is not None and not was
    assert 0 < alarms <= 200
