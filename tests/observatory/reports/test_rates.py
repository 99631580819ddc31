"""Token buckets in one number each, and what counts as a flood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.report_rates import Gauge, Rate, Rates


def test_a_burst_is_let_through_and_then_one_for_each_interval() -> None:
    rate, until = Rate(per_s=0.1, burst=6), 0.0
    for _ in range(6):
        until, wait_s = rate.take(until, 100.0)
        assert wait_s == 0
    assert rate.take(until, 100.0)[0] == until
    assert rate.take(until, 100.0)[1] == pytest.approx(10)
    assert rate.take(until, 110.0)[1] == 0


@given(st.lists(st.floats(0, 20), max_size=200))
def test_no_more_than_burst_and_rate_is_ever_let_through(gaps: list[float]) -> None:
    rate, until, now, taken = Rate(per_s=0.5, burst=4), 0.0, 1000.0, 0
    for gap in gaps:
        now += gap
        until, wait_s = rate.take(until, now)
        taken += wait_s == 0
    assert taken <= 4 + (now - 1000.0) * 0.5 + 1e-6


def test_who_waits_as_long_as_told_is_let_through() -> None:
    rate, until = Rate(per_s=0.1, burst=1), 0.0
    until, _ = rate.take(until, 50.0)
    _, wait_s = rate.take(until, 53.0)
    assert rate.take(until, 53.0 + wait_s)[1] == 0


def test_keys_are_apart_and_bounded() -> None:
    rates = Rates(per_s=1, burst=1, limit=100)
    assert (rates.take("a", 0.0), rates.take("b", 0.0)) == (0, 0)
    assert rates.take("a", 0.0) > 0
    for number in range(1000):
        rates.take(f"k{number}", 0.5)
    assert len(rates) <= 101


def test_a_quiet_service_is_not_flooded_by_the_first_reports_of_an_outage() -> None:
    gauge = Gauge(floor_per_s=5)
    for second in range(60):
        gauge.note(float(second))
        gauge.note(float(second))
    assert gauge.rate(60.0) == pytest.approx(2, rel=0.2)
    assert not gauge.flooded(60.0)


def test_more_than_ten_times_the_usual_is_a_flood_until_it_ends() -> None:
    gauge = Gauge(floor_per_s=5)
    gauge.usual(2.0)
    for tenth in range(600):
        for _ in range(3):
            gauge.note(tenth / 10)
    assert gauge.flooded(60.0)
    assert gauge.threshold == 20
    assert not gauge.flooded(120.0)


def test_what_goes_on_for_days_becomes_usual() -> None:
    gauge = Gauge(floor_per_s=0.001)
    for minute in range(3 * 1440):
        for _ in range(6):
            gauge.note(minute * 60.0)
    assert gauge.threshold == pytest.approx(10 * 0.1, rel=0.1)


def test_a_clock_that_steps_back_changes_nothing() -> None:
    gauge = Gauge(floor_per_s=5)
    gauge.note(100.0)
    before = gauge.rate(100.0)
    assert gauge.rate(50.0) == before
