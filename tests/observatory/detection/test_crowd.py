"""The crowd's detector: playbooks of reports, and the promises that hold for any."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.observatory.baseline import DAY_S, LEFT_OUT, SLOTS, WEEK_S, WEEKS, Baseline
from outlast.observatory.crowd import (
    BURSTS,
    CALM_S,
    RANK,
    RISES,
    CrowdSettings,
    CrowdStream,
    new_stream,
)

BIN_S = 1200.0
SETTINGS = CrowdSettings(bin_s=BIN_S)
DAYS = 35
END = float(DAYS * DAY_S)


def copy(stream: CrowdStream) -> CrowdStream:
    return msgspec.json.decode(msgspec.json.encode(stream), type=CrowdStream)


def _learnt() -> bytes:
    """Five weeks of about two reports per 20 minutes, saved."""
    rng, stream = random.Random(3), new_stream(SETTINGS)
    at = 0.0
    while at < END:
        stream.observe(at, float(sum(rng.random() < 0.2 for _ in range(10))))
        at += BIN_S
    return msgspec.json.encode(stream)


LEARNT = _learnt()


def learnt() -> CrowdStream:
    return msgspec.json.decode(LEARNT, type=CrowdStream)


def play(stream: CrowdStream, counts: list[float], begin: float = END) -> list[bool]:
    """Return after each bin whether a suspicion stands."""
    return [stream.observe(begin + i * BIN_S, count) is not None for i, count in enumerate(counts)]


def _rare() -> bytes:
    """Nine weeks of about one report in seven bins, as a service has that few report; saved."""
    rng, stream = random.Random(4), new_stream(SETTINGS)
    at = END - 9.0 * WEEK_S
    while at < END:
        stream.observe(at, float(rng.random() < 0.14))
        at += BIN_S
    return msgspec.json.encode(stream)


RARE = _rare()


def rare() -> CrowdStream:
    return msgspec.json.decode(RARE, type=CrowdStream)


@pytest.mark.parametrize(
    ("counts", "suspects"),
    [
        pytest.param([0, 1, 0, 0, 1], False, id="as usual"),
        pytest.param([15, 0, 0, 1, 0], False, id="one bin alone is a link on a forum"),
        pytest.param([400, 0, 0, 0, 0], False, id="however many they are"),
        pytest.param([14, 8], True, id="a crowd that is past its peak when it is believed"),
        pytest.param([17, 18], True, id="two bins"),
        pytest.param([5, 5, 5, 5, 5], False, id="never ten in 20 minutes"),
    ],
)
def test_suspicion_where_reports_are_rare(counts: list[float], suspects: bool) -> None:
    assert any(play(rare(), counts)) is suspects


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1e9), st.booleans())
def test_one_bin_alone_is_never_a_burst(count: float, few: bool) -> None:
    stream = rare() if few else learnt()
    for i, seen in enumerate([count, *[0.0] * 8]):
        stream.observe(END + i * BIN_S, seen)
        assert not stream.bursting


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        pytest.param([5, 5, 5, 5, 5], 0, id="a burst that was no crowd"),
        pytest.param([14, 8], 1, id="a crowd"),
    ],
)
def test_only_a_crowd_is_held_against_the_next(counts: list[float], kept: int) -> None:
    stream = rare()
    play(stream, counts)
    began = stream.bursting
    play(stream, [0.0] * 10, END + len(counts) * BIN_S)
    assert (began, stream.bursting) == (True, False)
    assert len(stream.past) == kept


def test_an_outage_of_the_first_day_is_not_learnt_as_scatter() -> None:
    """No test can leave it out: there was nothing to tell it from. `mu / r` is the scatter."""
    calm, hit = new_stream(SETTINGS), new_stream(SETTINGS)
    for i in range(4 * SLOTS):
        usual = float(i % 7 == 0)
        calm.observe(i * BIN_S, usual)
        hit.observe(i * BIN_S, 300.0 if 60 <= i < 66 else usual)
    at = 4.0 * WEEK_S + 3 * DAY_S
    after, without = hit.baseline.expected(at), calm.baseline.expected(at)
    assert after.mu / after.r == pytest.approx(without.mu / without.r, rel=0.1)
    assert hit.baseline.sureness(at) == pytest.approx(calm.baseline.sureness(at), rel=0.1)


@pytest.mark.parametrize(
    ("counts", "suspects"),
    [
        pytest.param([2, 3, 1, 2], False, id="as usual"),
        pytest.param([60, 0, 0], False, id="one bin alone is a link on a forum"),
        pytest.param([60, 60], True, id="two full bins are an outage"),
        pytest.param([20, 30, 40], True, id="a rise within the hour"),
        pytest.param([0] * 30, False, id="silence is no outage"),
    ],
)
def test_suspicion_by_pattern(counts: list[float], suspects: bool) -> None:
    assert any(play(learnt(), counts)) is suspects


def test_working_for_me_takes_away() -> None:
    stream = learnt()
    for i in range(3):
        assert stream.observe(END + i * BIN_S, 60.0, well=58.0) is None
    assert not stream.bursting


def test_a_suspicion_says_what_it_saw() -> None:
    stream = learnt()
    play(stream, [2, 2])
    suspicion = None
    for i in range(2, 5):
        suspicion = stream.observe(END + i * BIN_S, 50.0)
    assert suspicion is not None
    assert suspicion.since_at == END + 2 * BIN_S
    assert suspicion.raised_at == END + 4 * BIN_S
    assert suspicion.at == END + 5 * BIN_S
    assert suspicion.reports == 150
    assert 2 < suspicion.expected < 15
    assert suspicion.statistic >= suspicion.threshold == math.log(21_600)
    assert not suspicion.cold
    assert suspicion.evidence("reports").kind == "report"


def test_it_ends_after_two_calm_hours_and_can_begin_again() -> None:
    stream = learnt()
    calm = [2.0] * int(CALM_S / BIN_S)
    seen = play(stream, [60, 60, 60, *calm, 2, 80, 80, 80])
    assert seen[1:3] == [True, True]
    assert not seen[3 + len(calm)]
    assert seen[-1]


def test_a_burst_that_is_smaller_than_many_of_late_is_none_until_it_is_confirmed() -> None:
    stream = learnt()
    stream.past = [(END - DAY_S, END - DAY_S, 1e6)] * RANK
    assert play(stream, [60, 60, 60]) == [False] * 3
    assert stream.bursting
    stream.confirm(END + 3 * BIN_S)
    assert play(stream, [60], END + 3 * BIN_S) == [True]


def test_a_confirmed_burst_is_not_held_against_the_next() -> None:
    stream = learnt()
    play(stream, [60, 60, 60, *[2.0] * 8])
    assert len(stream.past) == 1
    stream.confirm(END + 11 * BIN_S)
    assert stream.past == []


def test_an_outage_does_not_become_usual() -> None:
    stream = learnt()
    before = stream.baseline.expected(END + WEEK_S).mu
    play(stream, [500.0] * 30 + [2.0] * 10)
    assert stream.baseline.expected(END + WEEK_S).mu < 1.5 * before


def test_the_first_day_teaches_alone_and_the_second_week_is_cold() -> None:
    stream = new_stream(SETTINGS)
    assert not any(play(stream, [50.0] * 20, 0.0))
    stream = new_stream(SETTINGS)
    play(stream, [1.0] * 500, 0.0)
    suspicion = None
    for i in range(500, 512):
        suspicion = stream.observe(i * BIN_S, 300.0) or suspicion
    assert suspicion is not None
    assert suspicion.cold


@pytest.mark.parametrize(
    ("at", "count", "well"),
    [
        pytest.param(END - BIN_S, 1.0, 0.0, id="a bin that was there already"),
        pytest.param(END, -1.0, 0.0, id="fewer than none"),
        pytest.param(END, math.inf, 0.0, id="infinitely many"),
        pytest.param(END, math.nan, 0.0, id="no number"),
        pytest.param(END, 1.0, -1.0, id="fewer than none work"),
    ],
)
def test_a_bin_that_is_none_is_refused(at: float, count: float, well: float) -> None:
    with pytest.raises(ValueError, match=r"(bins come|Reports are counted)"):
        learnt().observe(at, count, well)


def test_silence_of_the_counter_is_not_learnt_as_silence_of_the_people() -> None:
    gap, full = learnt(), learnt()
    for stream, step in ((gap, 3.0 * DAY_S), (full, BIN_S)):
        at = END
        while at < END + 3 * DAY_S:
            stream.observe(at, 2.0)
            at += step
    at = END + WEEK_S + DAY_S
    gap.observe(END + 3 * DAY_S, 2.0)
    assert gap.baseline.expected(at).mu == pytest.approx(full.baseline.expected(at).mu, rel=0.5)
    assert LEFT_OUT in {v for weeks in gap.baseline.slots.values() for v in weeks.values()}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1e6), max_size=40), st.integers(0, 40))
def test_a_saved_and_loaded_stream_goes_on_the_same(counts: list[float], where: int) -> None:
    stream, saved = learnt(), learnt()
    for i, count in enumerate(counts):
        if i == where:
            saved = copy(saved)
        at = END + i * BIN_S
        assert stream.observe(at, count) == saved.observe(at, count)
    assert saved == stream


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_reports_without_weight_change_nothing(counts: list[float]) -> None:
    plain, weighed = learnt(), learnt()
    weighed.settings = CrowdSettings(bin_s=BIN_S, well_weight=0.0)
    for i, count in enumerate(counts):
        at = END + i * BIN_S
        assert plain.observe(at, count) == weighed.observe(at, count, well=1e9)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32))
def test_memory_is_bounded(seed: int) -> None:
    rng, stream = random.Random(seed), new_stream(SETTINGS)
    at = 0.0
    for _ in range(800):
        at += BIN_S * rng.choice([1] * 15 + [300])
        stream.observe(at, float(rng.choice([0, 1, 1000])))
    baseline = stream.baseline
    assert len(baseline.slots) <= SLOTS
    assert all(len(weeks) <= WEEKS + 1 for weeks in baseline.slots.values())
    assert len(baseline.waiting) <= 7
    assert len(stream.past) <= BURSTS


@pytest.mark.parametrize("rho", RISES)
@pytest.mark.parametrize(("mu", "r"), [(0.05, 0.1), (2.0, 1.0), (5.0, 50.0)])
def test_each_factor_is_worth_one_under_the_null(rho: float, mu: float, r: float) -> None:
    """The e-detector's guarantee stands on this: the sum over all counts, computed."""
    total = 0.0
    for count in range(4000):
        log_null = (
            math.lgamma(count + r)
            - math.lgamma(r)
            - math.lgamma(count + 1)
            + r * math.log(r / (r + mu))
            + count * math.log(mu / (r + mu))
        )
        shrink = math.log((r + mu) / (r + rho * mu))
        total += math.exp(log_null + count * (math.log(rho) + shrink) + r * shrink)
    assert total == pytest.approx(1, abs=1e-3)


def test_the_baseline_learns_mornings_and_nights() -> None:
    baseline, at = Baseline(BIN_S), 0.0
    while at < 4 * WEEK_S:
        busy = at % DAY_S < DAY_S / 2
        baseline.note(at, 12.0 if busy else 3.0, baseline.expected(at))
        at += BIN_S
    day, night = baseline.expected(at + DAY_S / 4), baseline.expected(at + 3 * DAY_S / 4)
    assert day.mu / night.mu == pytest.approx(4, rel=0.25)
    assert not day.cold
