"""Polite polling: how long a feed is left alone, and what a failure means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.feeds.catalogue import Feed
from outlast.observatory.feeds.schedule import (
    BACKOFF_MAX_S,
    RETRY_AFTER_MAX_S,
    SPREAD,
    Answer,
    Plan,
    Validators,
    answered,
    begin,
    due,
    hurry,
    relax,
)

ONE = Feed("deepseek", "deepseek", ("https://a.test/summary.json",))
TWO = Feed("anthropic", "anthropic", ("https://a.test/s.json", "https://b.test/s.json"))
OK = Answer("ok", validators=Validators('"1"'))
UNCHANGED = Answer("unchanged")
SILENT = Answer("silent", "no answer")
REFUSED = Answer("refused", "HTTP 405")


def after(plan: Plan, *answers: Answer, now: float = 0.0) -> Plan:
    for answer in answers:
        now = max(now, plan.due_at)
        plan = answered(plan, answer, now, 0.0)
    return plan


def waits(plan: Plan, *answers: Answer) -> list[float]:
    """Return how long it waits after each answer."""
    found: list[float] = []
    for answer in answers:
        now = plan.due_at
        plan = answered(plan, answer, now, 0.0)
        found.append(plan.due_at - now)
    return found


def test_a_feed_that_answers_is_left_alone_for_a_quarter_of_an_hour() -> None:
    assert waits(begin(ONE, 0, 0), OK, UNCHANGED, OK) == [900, 900, 900]


def test_what_it_said_of_its_document_is_asked_back() -> None:
    plan = after(begin(ONE, 0, 0), OK)
    assert plan.turn().validators == Validators('"1"')
    assert after(plan, UNCHANGED).turn().validators == Validators('"1"')
    assert after(plan, Answer("ok")).turn().validators == Validators()


def test_feeds_do_not_all_begin_at_once() -> None:
    assert [begin(ONE, 100, roll).due_at for roll in (0, 0.5)] == [100, 115]


def test_in_a_hurry_it_looks_sooner_and_back_again_afterwards() -> None:
    plan = after(begin(ONE, 0, 0), OK)
    plan = hurry(plan, 30, 0)
    assert plan.due_at == 90
    assert waits(plan, UNCHANGED, UNCHANGED) == [90, 90]
    late = hurry(plan, 30, 0)
    calm = answered(late, UNCHANGED, 30 + 1800, 0)
    assert calm.due_at == 1830 + 900


def test_a_hurry_does_not_put_off_what_is_due_and_asks_at_once_what_was_long_ago() -> None:
    plan = after(begin(ONE, 0, 0), OK)
    assert hurry(plan, 895, 0).due_at == 895
    assert hurry(begin(ONE, 0, 0.5), 5, 0).due_at == 5


def test_a_suspicion_that_is_over_brings_back_the_usual_wait() -> None:
    plan = relax(hurry(after(begin(ONE, 0, 0), OK), 30, 0))
    assert waits(plan, UNCHANGED) == [900]


def test_each_failed_round_waits_twice_as_long_up_to_a_limit() -> None:
    assert waits(begin(ONE, 0, 0), *[SILENT] * 7) == [900, 1800, 3600, 7200, 14400, 14400, 14400]


def test_whoever_refuses_is_asked_no_sooner_in_any_hurry() -> None:
    plan = hurry(after(begin(ONE, 0, 0), OK), 1, 0)
    plan = answered(plan, REFUSED, 100, 0)
    assert plan.due_at == 1000
    assert hurry(plan, 200, 0).due_at == 1000


def test_a_page_that_fails_like_its_vendor_is_asked_often_in_a_hurry() -> None:
    plan = hurry(after(begin(ONE, 0, 0), OK), 1, 0)
    plan = answered(plan, Answer("failing", "HTTP 503"), 100, 0)
    assert plan.due_at == 190


@pytest.mark.parametrize(
    ("retry_after_s", "wait_s"),
    [(None, 900), (5, 900), (3600, 3600), (1e9, RETRY_AFTER_MAX_S), (-5, 900)],
    ids=["none", "short", "an hour", "longer than a day", "nonsense"],
)
def test_retry_after_is_obeyed(retry_after_s: float | None, wait_s: float) -> None:
    limited = Answer("limited", "HTTP 429", retry_after_s)
    assert waits(begin(ONE, 0, 0), limited) == [wait_s]
    assert hurry(after(begin(ONE, 0, 0), limited), 10, 0).due_at == wait_s


def test_an_address_that_refuses_is_followed_by_the_next_at_once() -> None:
    plan = after(begin(TWO, 0, 0), REFUSED)
    assert (plan.due_at, plan.turn().url, plan.failures) == (0, "https://b.test/s.json", 0)
    plan = after(plan, OK)
    assert (plan.due_at, plan.turn().url) == (900, "https://b.test/s.json")


def test_the_round_has_failed_when_every_address_has() -> None:
    plan = after(begin(TWO, 0, 0), REFUSED, SILENT)
    assert (plan.failures, plan.turn().url, plan.unreachable) == (1, "https://a.test/s.json", False)
    plan = after(plan, REFUSED, SILENT)
    assert plan.unreachable
    assert plan.failing_since_at == 0
    assert after(plan, REFUSED, OK).unreachable is False


def test_a_limit_is_about_us_and_the_other_address_is_not_tried() -> None:
    plan = after(begin(TWO, 0, 0), Answer("limited", "HTTP 429", 1000))
    assert (plan.due_at, plan.turn().url) == (1000, "https://a.test/s.json")


def test_the_first_address_is_tried_again_after_a_day() -> None:
    plan = after(begin(TWO, 0, 0), REFUSED, OK)
    seen = set()
    while plan.due_at <= 86_400:
        seen.add(plan.turn().url)
        plan = after(plan, UNCHANGED)
    assert seen == {"https://b.test/s.json"}
    assert plan.turn().url == "https://a.test/s.json"


def test_a_feed_that_cannot_be_read_is_never_current() -> None:
    plan = begin(ONE, 0, 0)
    assert not plan.current(0)
    plan = after(plan, OK)
    assert plan.current(2000)
    assert not plan.current(2300)
    failed = answered(answered(plan, SILENT, 10, 0), SILENT, 20, 0)
    assert failed.unreachable
    assert not failed.current(21)


def test_the_earliest_comes_next() -> None:
    plans = [begin(ONE, 10, 0), begin(TWO, 5, 0)]
    found = due(plans)
    assert found is not None
    assert found.feed is TWO
    assert due([]) is None


ANSWERS = st.sampled_from(["ok", "unchanged", "limited", "refused", "failing", "silent", "garbage"])


@given(
    st.lists(
        st.tuples(ANSWERS, st.floats(0, 1, exclude_max=True), st.floats(0, 1e6), st.booleans()),
        max_size=40,
    )
)
def test_it_always_comes_back_and_never_too_soon(
    steps: list[tuple[str, float, float, bool]],
) -> None:
    """Between two rounds at least the hurried wait passes; no wait is longer than a day."""
    plan = begin(TWO, 0, 0)
    for kind, roll, retry_after_s, hurried in steps:
        now = plan.due_at
        plan = answered(plan, Answer(kind, "x", retry_after_s), now, roll)
        if hurried:
            plan = hurry(plan, now + 1, roll)
        within_the_round = plan.address != plan.started
        assert within_the_round or plan.due_at >= now + TWO.hurried_s
        longest_s = max(RETRY_AFTER_MAX_S, BACKOFF_MAX_S * (1 + SPREAD))
        assert plan.due_at <= now + longest_s
        assert 0 <= plan.address < len(TWO.urls)
