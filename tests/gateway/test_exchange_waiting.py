"""Silences, pings, retries and the deadline of an exchange, as playbooks of what the timers say."""

from __future__ import annotations

from outlast.config import RetrySettings, TimeoutSettings
from outlast.gateway.events import (
    BodyEnded,
    ClientGone,
    ClientSlow,
    Observe,
    OpenAttempt,
    TimerFired,
)
from tests.gateway.exchanges import (
    HELLO,
    PING,
    START,
    TEXT_START,
    Driver,
    data,
    exchange,
    head,
    play,
)


def test_silence_before_content_moves_on_after_the_first_byte_time_out() -> None:
    timeouts = TimeoutSettings(first_byte_s=20)
    assert (
        play(exchange("anthropic", "bedrock", timeouts=timeouts))
        << ("open", 0, "anthropic")
        >> head(0, at=1)
        >> TimerFired("watch", 20.5)  # life was seen at 1: not due before 21
        >> TimerFired("watch", 21)
        << ("observe", "anthropic", "timeout")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_a_stall_after_content_is_told() -> None:
    timeouts = TimeoutSettings(stall_s=30)
    driver = Driver(exchange("anthropic", "bedrock", timeouts=timeouts, continuation="none"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + HELLO, 2))
    driver.feed(lambda _: TimerFired("watch", 31))
    assert not driver.receipts
    driver.feed(lambda _: TimerFired("watch", 32))
    observed = [c.observation.outcome for c in driver.commands if isinstance(c, Observe)]
    assert observed == ["stalled"]
    assert driver.receipts[0].outcome == "broken_after_commit"


def test_a_slow_client_is_not_a_stalled_upstream() -> None:
    timeouts = TimeoutSettings(stall_s=30)
    driver = Driver(exchange("anthropic", timeouts=timeouts))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + HELLO, 2))
    driver.feed(lambda _: ClientSlow(60))
    driver.feed(lambda _: TimerFired("watch", 61))
    assert not driver.receipts


def test_pings_keep_a_thinking_model_alive() -> None:
    timeouts = TimeoutSettings(first_byte_s=20, whole_s=300)
    driver = Driver(exchange("anthropic", "bedrock", timeouts=timeouts))
    driver.feed(head)
    for at in range(10, 200, 10):
        driver.sends(PING, at)
        driver.tick("watch", at + 5)
    assert len([c for c in driver.commands if isinstance(c, OpenAttempt)]) == 1


def test_a_waiting_client_hears_pings_after_ten_seconds() -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> TimerFired("keepalive", 9)
        >> TimerFired("keepalive", 10)
        << ("head", 200)
        << b'event: ping\ndata: {"type":"ping"}\n\n'
        >> head(0, 529, at=11)
        >> BodyEnded(0, 12)
        << ("observe", "anthropic", "overloaded")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
        >> head(1, at=13)
        >> data(1, START + TEXT_START + HELLO, 14)
        << START + TEXT_START + HELLO
    )


def test_retry_after_is_respected_when_nobody_else_is_left() -> None:
    retry = RetrySettings(same_upstream_max=1, retry_after_max_s=10)
    assert (
        play(exchange("anthropic", retry=retry), timers=False)
        << ("open", 0, "anthropic")
        >> head(0, 429, retry_after="3")
        >> BodyEnded(0, 2)
        << ("observe", "anthropic", "rate_limited")
        << ("abandon", 0)
        >> TimerFired("retry", 5)
        << ("open", 1, "anthropic")
        >> head(1, 429, retry_after="3")
        >> BodyEnded(1, 6)
        << ("observe", "anthropic", "rate_limited")
        << ("abandon", 1)
        << ("settle", "exhausted")
        << ("reply", 429)
    )


def test_retry_after_is_never_slept_through_beside_a_healthy_upstream() -> None:
    retry = RetrySettings(same_upstream_max=1)
    assert (
        play(exchange("anthropic", "bedrock", retry=retry))
        << ("open", 0, "anthropic")
        >> head(0, 429, retry_after="3")
        >> BodyEnded(0, 2)
        << ("observe", "anthropic", "rate_limited")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_a_client_that_leaves_stops_everything() -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> ClientGone(2)
        << ("observe", "anthropic", "client_gone")
        << ("abandon", 0)
        << ("settle", "client_gone")
        << ("close", "broken")
        >> data(0, START + TEXT_START + HELLO)
    )


def test_the_deadline_ends_waiting_and_starts_nothing_new() -> None:
    timeouts = TimeoutSettings(deadline_s=100, whole_s=1000, first_byte_s=1000)
    assert (
        play(exchange("anthropic", "bedrock", timeouts=timeouts, stream=False))
        << ("open", 0, "anthropic")
        >> TimerFired("deadline", 100)
        << ("observe", "anthropic", "timeout")
        << ("abandon", 0)
        << ("settle", "exhausted")
        << ("reply", 529)
    )
