"""Budgets, buckets and counts: tables over told time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway.limits import InFlight, RetryBudget, TokenBucket


def drained(budget: RetryBudget, now: float) -> int:
    """How many retries there are at once, at most 10 000."""
    return next((n for n in range(10_000) if not budget.withdraw(now)), 10_000)


def test_the_reserve_is_there_from_the_start_whatever_the_clock_says() -> None:
    assert drained(RetryBudget(0.2, 3, ttl_s=10), 0) == 30
    assert drained(RetryBudget(0.2, 3, ttl_s=10), 1e9) == 30


def test_the_reserve_refills_at_its_rate_and_no_further() -> None:
    budget = RetryBudget(0.2, 3)
    drained(budget, 100)
    assert drained(budget, 101) == 3
    assert drained(budget, 1000) == 30


def test_one_retry_for_five_requests() -> None:
    budget = RetryBudget(0.2, 0)
    assert not budget.withdraw(0)
    for _ in range(50):
        budget.deposit(0)
    assert drained(budget, 0) in {9, 10}  # fifths do not add up exactly


def test_what_was_paid_in_fades() -> None:
    budget = RetryBudget(1, 0, ttl_s=10)
    for _ in range(10):
        budget.deposit(0)
    assert drained(budget, 5) == 5
    for _ in range(10):
        budget.deposit(5)
    assert drained(budget, 15) == 0


def test_nothing_allowed_is_nothing() -> None:
    budget = RetryBudget(0, 0)
    for at in range(100):
        budget.deposit(at)
        assert not budget.withdraw(at)


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0, 1), st.floats(0, 20))
def test_retries_never_exceed_the_reserve_and_the_share(
    waits_s: list[float], share: float, min_per_s: float
) -> None:
    budget, now, taken = RetryBudget(share, min_per_s), 1000.0, 0
    for wait_s in waits_s:
        now += wait_s
        budget.deposit(now)
        taken += budget.withdraw(now)
    allowed = min_per_s * 10 + min_per_s * sum(waits_s) + share * len(waits_s)
    assert taken <= allowed + 1e-6


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    budget = RetryBudget(0.2, 3)
    drained(budget, 100)
    assert drained(budget, 50) == 0
    bucket = TokenBucket(1, 100)
    bucket.take(100)
    assert bucket.take(50) > 0


def test_a_minutes_worth_at_once_then_one_by_one() -> None:
    bucket = TokenBucket(60, 0)
    assert [bucket.take(0) for _ in range(60)] == [0.0] * 60
    assert bucket.take(0) == pytest.approx(1)
    assert bucket.take(1) == 0
    assert bucket.take(1.5) == pytest.approx(0.5)


@pytest.mark.parametrize("per_minute", [1, 7, 60, 1000, 1_000_000])
def test_who_waits_as_long_as_told_is_served(per_minute: int) -> None:
    bucket, now = TokenBucket(per_minute, 0), 0.0
    for _ in range(2 * per_minute if per_minute < 1000 else 1500):
        wait_s = bucket.take(now)
        if wait_s:
            now += wait_s + 1e-9
            assert bucket.take(now) == 0


@given(st.lists(st.floats(0, 30), max_size=300), st.integers(1, 100))
def test_never_more_than_the_minute_allows(waits_s: list[float], per_minute: int) -> None:
    bucket, now, served = TokenBucket(per_minute, 0), 0.0, 0
    for wait_s in waits_s:
        now += wait_s
        served += bucket.take(now) == 0
    assert served <= per_minute + now * per_minute / 60 + 1e-6


def test_places_are_taken_and_given_back() -> None:
    load = InFlight(2)
    assert [load.enter() for _ in range(3)] == [True, True, False]
    load.leave()
    assert load.enter()
    assert load.count == 2


def test_a_place_given_back_twice_is_not_two_places() -> None:
    load = InFlight(1)
    load.enter()
    load.leave()
    load.leave()
    assert [load.enter() for _ in range(2)] == [True, False]


def test_no_limit_counts_all_the_same() -> None:
    load = InFlight(None)
    assert all(load.enter() for _ in range(1000))
    assert load.count == 1000


def test_a_lower_limit_holds_for_those_who_come_after() -> None:
    load = InFlight(3)
    for _ in range(3):
        load.enter()
    load.limit = 1
    load.leave()
    assert not load.enter()
