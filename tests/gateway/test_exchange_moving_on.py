"""Failures before the first word, as playbooks: who is asked next, with nothing of it seen."""

from __future__ import annotations

import pytest

from outlast.gateway.events import AttemptBroke, BodyEnded, HeadReceived
from outlast.nouns import Kind
from outlast.outcome import Fault
from tests.gateway.exchanges import (
    DELTA,
    ENDING,
    HELLO,
    OVERLOADED,
    PING,
    START,
    TEXT_START,
    arguments,
    candidate,
    data,
    exchange,
    head,
    play,
    stop_of,
    thinking_start,
    thinks,
    tool_start,
)


def test_overload_inside_a_200_moves_on_unseen() -> None:
    """Status 200, message_start, then `event: error`: the client sees only the second upstream."""
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, START + PING + TEXT_START)
        >> data(0, OVERLOADED)
        << ("observe", "anthropic", "overloaded")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
        >> head(1)
        >> data(1, START + TEXT_START + HELLO)
        << ("head", 200)
        << START + TEXT_START + HELLO
        >> data(1, ENDING)
        << ("observe", "bedrock", "ok")
        << ("settle", "ok")
        << ENDING
        << ("close", "clean")
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (529, "overloaded"),
        (503, "overloaded"),
        (500, "server_error"),
        (502, "server_error"),
        (504, "timeout"),
        (408, "timeout"),
        (429, "rate_limited"),
        (401, "auth"),
        (403, "auth"),
        (402, "rate_limited"),
        (404, "server_error"),
    ],
)
def test_an_error_status_moves_on_unseen(status: int, outcome: str) -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0, status)
        >> data(0, b"{}")
        >> BodyEnded(0, 3)
        << ("observe", "anthropic", outcome)
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("refused", "connect_failed"),
        ("dns", "connect_failed"),
        ("tls", "connect_failed"),
        ("connect_timeout", "connect_failed"),
        ("reset", "broken_stream"),
        ("unreachable", "ours"),
        ("dns_unavailable", "connect_failed"),
        ("busy", "overloaded"),
        ("not_ready", "overloaded"),
        ("too_many", "ours"),
    ],
)
def test_a_broken_connection_moves_on_unseen(kind: str, outcome: str) -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> AttemptBroke(0, Fault(kind), 1)  # type: ignore[arg-type]
        << ("observe", "anthropic", outcome)
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


@pytest.mark.parametrize(
    ("chunk", "why"),
    [
        (START + b"event: content_block_delta\ndata: {not json}\n\n", "a frame that is not JSON"),
        (HELLO, "a delta before its message_start"),
    ],
)
def test_a_malformed_frame_is_a_failure_never_skipped(chunk: bytes, why: str) -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, chunk)
        << ("observe", "anthropic", "broken_stream")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    ), why


def test_a_clean_end_before_any_content_moves_on_unseen() -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, START)
        >> BodyEnded(0, 3)
        << ("observe", "anthropic", "broken_stream")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_a_page_instead_of_a_stream_moves_on_unseen() -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> HeadReceived(0, 200, {"content-type": "text/html"}, 1)
        << ("observe", "anthropic", "server_error")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_a_redirect_is_not_followed() -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> HeadReceived(0, 302, {"location": "http://evil.example"}, 1)
        << ("observe", "anthropic", "server_error")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_a_tool_call_is_shown_whole_or_not_at_all() -> None:
    """The cut falls inside the arguments: nobody ever acts on half a command."""
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, START + tool_start(0) + arguments('{"path":"/","only_if":"emp', 0))
        >> AttemptBroke(0, Fault("reset"), 3)
        << ("observe", "anthropic", "broken_stream")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_a_whole_tool_call_is_released_at_once() -> None:
    call = tool_start(0) + arguments('{"path":', 0) + arguments('"/tmp/x"}', 0) + stop_of(0)
    assert (
        play(exchange("anthropic"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, START + tool_start(0) + arguments('{"path":', 0))
        >> data(0, arguments('"/tmp/x"}', 0) + stop_of(0))
        << ("head", 200)
        << START + call
    )


def test_a_tool_call_whose_arguments_are_not_json_is_torn() -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, START + tool_start(0) + arguments('{"path":', 0) + stop_of(0) + DELTA)
        << ("observe", "anthropic", "broken_stream")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_thinking_is_held_whole_where_somebody_else_could_answer() -> None:
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, START + thinking_start(0) + thinks("hm", 0))
        >> AttemptBroke(0, Fault("reset"), 3)
        << ("observe", "anthropic", "broken_stream")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_thinking_is_live_where_nobody_else_could_answer() -> None:
    thought = START + thinking_start(0) + thinks("hm", 0)
    assert (
        play(exchange("anthropic"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, thought)
        << ("head", 200)
        << thought
    )


def test_an_empty_balance_is_not_the_callers_fault() -> None:
    """Anthropic says it with a 400; another account can answer."""
    body = (
        b'{"type":"error","error":{"type":"invalid_request_error",'
        b'"message":"Your credit balance is too low to access the Anthropic API."}}'
    )
    assert (
        play(exchange("anthropic", "bedrock"))
        << ("open", 0, "anthropic")
        >> head(0, 400)
        >> data(0, body)
        >> BodyEnded(0, 3)
        << ("observe", "anthropic", "rate_limited")
        << ("abandon", 0)
        << ("open", 1, "bedrock")
    )


def test_an_overloaded_provider_is_not_asked_again_with_another_key() -> None:
    """2 March: keys of the same provider were rotated for two hours beside healthy others."""
    first = candidate("a1", provider="anthropic")
    second = candidate("a2", provider="anthropic")
    other = candidate("openai", Kind.OPENAI_CHAT, provider="openai")
    assert (
        play(exchange(first, second, other))
        << ("open", 0, "a1")
        >> head(0, 529)
        >> BodyEnded(0, 3)
        << ("observe", "a1", "overloaded")
        << ("abandon", 0)
        << ("open", 1, "openai")
    )


def test_a_refused_credential_is_not_tried_twice_in_one_exchange() -> None:
    first = candidate("a", credential="KEY", model="opus")
    second = candidate("b", credential="KEY", model="sonnet")
    third = candidate("c", credential="OTHER")
    assert (
        play(exchange(first, second, third))
        << ("open", 0, "a")
        >> head(0, 401)
        >> BodyEnded(0, 3)
        << ("observe", "a", "auth")
        << ("abandon", 0)
        << ("open", 1, "c")
    )


def test_a_candidate_that_cannot_carry_the_request_is_passed_over() -> None:
    assert play(exchange("openai", "anthropic", refuses=("openai",))) << ("open", 0, "anthropic")
