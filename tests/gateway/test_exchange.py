"""The exchange, as playbooks: what a vendor does on the left, what must follow on the right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.config import RetrySettings, TimeoutSettings
from outlast.gateway.events import (
    AttemptBroke,
    BodyEnded,
    BytesReceived,
    ClientGone,
    ClientSlow,
    Forward,
    HeadReceived,
    Observe,
    OpenAttempt,
    SendHead,
    SendReply,
    Settle,
    TimerFired,
)
from outlast.nouns import Format, Kind
from outlast.outcome import Fault
from tests.gateway.exchanges import (
    BLOCK_STOP,
    DELTA,
    DONE,
    ENDING,
    JSON_TYPE,
    OVERLOADED,
    PING,
    SSE,
    START,
    STOP,
    TEXT_START,
    Driver,
    arguments,
    candidate,
    chunk,
    decoded,
    exchange,
    play,
    stop_of,
    thinking_start,
    thinks,
    tool_start,
    words,
)

HELLO = words("hello ")


def head(number: int, status: int = 200, at: float = 1.0, **headers: str) -> HeadReceived:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HeadReceived(number, status, (SSE if status == 200 else JSON_TYPE) | named, at)


def data(number: int, chunk: bytes, at: float = 2.0) -> BytesReceived:
    return BytesReceived(number, chunk, at)


def test_a_healthy_stream_passes_through_byte_for_byte() -> None:
    """Nothing is shown before the first word, everything after it; the record comes first."""
    assert (
        play(exchange("anthropic"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, START + PING + TEXT_START)
        >> data(0, HELLO)
        << ("head", 200)
        << START + TEXT_START + HELLO
        >> data(0, ENDING)
        << ("observe", "anthropic", "ok")
        << ("settle", "ok")
        << ENDING
        << ("close", "clean")
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


def test_a_callers_fault_goes_back_as_it_came_and_nobody_else_is_asked() -> None:
    machine = exchange("anthropic", "bedrock")
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"},"x":1}'
    driver = Driver(machine)
    driver.feed(lambda n: head(n, 400, request_id="req_upstream"))
    driver.feed(lambda n: data(n, body))
    driver.feed(lambda n: BodyEnded(n, 3))
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    assert (reply.status, reply.body) == (400, body)
    assert reply.headers["request-id"] == "req_upstream"
    assert [c.candidate.upstream for c in driver.commands if isinstance(c, OpenAttempt)] == [
        "anthropic"
    ]
    assert driver.receipts[0].outcome == "caller_error"


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


def test_a_failure_after_the_first_word_is_told_and_never_ends_cleanly() -> None:
    machine = exchange("anthropic", continuation="none")
    driver = Driver(machine)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + HELLO))
    driver.feed(lambda n: AttemptBroke(n, Fault("reset"), 3))
    assert driver.said.startswith(START + TEXT_START + HELLO + b"event: error\n")
    assert b"message_stop" not in driver.said
    names = [type(command).__name__ for command in driver.commands]
    assert names[-3:] == ["Settle", "Forward", "Close"]
    assert driver.commands[-1].clean is False  # type: ignore[union-attr]
    assert driver.receipts[0].outcome == "broken_after_commit"


def test_the_last_word_may_be_missing_once_the_model_has_stopped() -> None:
    """message_delta came, message_stop did not: the answer is whole, the word is added."""
    assert (
        play(exchange("anthropic"))
        << ("open", 0, "anthropic")
        >> head(0)
        >> data(0, START + TEXT_START + HELLO)
        << ("head", 200)
        << START + TEXT_START + HELLO
        >> data(0, BLOCK_STOP + DELTA)
        << BLOCK_STOP
        >> AttemptBroke(0, Fault("reset"), 3)
        << ("observe", "anthropic", "ok")
        << ("settle", "ok")
        << DELTA + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
        << ("close", "clean")
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


def test_when_all_fail_the_status_is_real_and_the_words_are_true() -> None:
    driver = Driver(exchange("anthropic", "bedrock"))
    driver.feed(lambda n: head(n, 529))
    driver.feed(lambda n: BodyEnded(n, 2))
    driver.feed(lambda n: AttemptBroke(n, Fault("refused"), 3))
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    assert reply.status == 529
    assert reply.headers["retry-after"] == "5"
    error = decoded(reply.body)["error"]
    assert isinstance(error, dict)
    assert error["type"] == "overloaded_error"
    assert "anthropic: HTTP 529" in error["message"]
    assert "bedrock: connection refused" in error["message"]
    assert driver.receipts[0].outcome == "exhausted"


def test_when_all_fail_after_pings_the_error_is_in_band_and_the_close_unclean() -> None:
    driver = Driver(exchange("anthropic"))
    driver.feed(lambda _: TimerFired("keepalive", 10))
    driver.feed(lambda n: AttemptBroke(n, Fault("reset"), 12))
    assert b"event: error" in driver.said
    assert driver.commands[-1].clean is False  # type: ignore[union-attr]


def test_a_refused_credential_of_ours_is_never_told_as_the_callers_401() -> None:
    driver = Driver(exchange("anthropic"))
    driver.feed(lambda n: head(n, 401))
    driver.feed(lambda n: BodyEnded(n, 2))
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    assert reply.status == 502
    assert reply.headers["x-should-retry"] == "false"


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


def test_a_candidate_that_cannot_carry_the_request_is_passed_over() -> None:
    assert play(exchange("openai", "anthropic", refuses=("openai",))) << ("open", 0, "anthropic")


def test_a_request_that_nobody_can_carry_is_a_400_that_says_why() -> None:
    driver = Driver(exchange("openai", refuses=("openai",)))
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    assert reply.status == 400
    assert b"n: cannot be carried" in reply.body


WHOLE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-4-8",'
    b'"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":2},"unknown_field":[1, 2]}'
)


def test_a_whole_answer_passes_through_byte_for_byte() -> None:
    driver = Driver(exchange("anthropic", stream=False))
    driver.feed(lambda n: HeadReceived(n, 200, JSON_TYPE, 1))
    driver.feed(lambda n: data(n, WHOLE[:50]))
    driver.feed(lambda n: data(n, WHOLE[50:]))
    driver.feed(lambda n: BodyEnded(n, 3))
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    assert (reply.status, reply.body) == (200, WHOLE)
    assert driver.receipts[0].attempts[0].tokens.output == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (WHOLE[:-20], "cut JSON"),
        (b"<html>busy</html>", "a page"),
        (b"", "nothing"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', "an error in 200"),
        (b"[1]", "not an object"),
    ],
)
def test_a_whole_answer_that_is_none_moves_on_unseen(body: bytes, why: str) -> None:
    driver = Driver(exchange("anthropic", "bedrock", stream=False))
    driver.feed(lambda n: HeadReceived(n, 200, JSON_TYPE, 1))
    driver.feed(lambda n: data(n, body))
    driver.feed(lambda n: BodyEnded(n, 3))
    opened = [c.candidate.upstream for c in driver.commands if isinstance(c, OpenAttempt)]
    assert opened == ["anthropic", "bedrock"], why


def test_an_answer_of_another_format_is_spoken_in_the_clients() -> None:
    """An OpenAI chunk stream reaches an Anthropic client as Anthropic events."""
    openai = candidate("openai", Kind.OPENAI_CHAT)
    driver = Driver(exchange(openai))
    driver.feed(head)
    driver.feed(lambda n: data(n, chunk({"role": "assistant", "content": "hi"})))
    driver.feed(lambda n: data(n, chunk({}, "stop") + DONE))
    assert driver.said.count(b"event: message_start") == 1
    assert b'"text":"hi"' in driver.said
    assert driver.said.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert driver.receipts[0].outcome == "ok"


def test_done_without_a_finish_reason_is_not_a_finished_answer() -> None:
    openai = candidate("openai", Kind.OPENAI_CHAT)
    driver = Driver(exchange(openai, form=Format.OPENAI_CHAT, continuation="none"))
    driver.feed(head)
    driver.feed(lambda n: data(n, chunk({"role": "assistant", "content": "hi "})))
    driver.feed(lambda n: data(n, DONE))
    assert driver.receipts[0].outcome == "broken_after_commit"
    assert b"[DONE]" not in driver.said


_FRAMES = [START, PING, TEXT_START, HELLO, BLOCK_STOP, DELTA, STOP, OVERLOADED, b"data: {\n\n"]


@given(
    st.sampled_from(["none", "exact"]),
    st.lists(st.one_of(st.sampled_from(_FRAMES), st.just(None)), max_size=30),
)
def test_one_speaker_one_settle_and_as_many_observations_as_attempts(
    continuation: str, steps: list[bytes | None]
) -> None:
    """Whatever the upstreams say (None: the connection breaks), the promises hold."""
    driver = Driver(exchange("a", "b", "c", continuation=continuation))
    speakers: set[int] = set()
    for step in steps:
        opened = [c.attempt for c in driver.commands if isinstance(c, OpenAttempt)]
        before = len(driver.commands)
        if step is None:
            driver.feed(lambda n: AttemptBroke(n, Fault("reset"), 3))
        else:
            driver.feed(head)
            driver.sends(step)
        said = [c for c in driver.commands[before:] if isinstance(c, Forward)]
        speakers |= {opened[-1]} if said else set()
    settled = len(driver.receipts)
    attempts = len([c for c in driver.commands if isinstance(c, OpenAttempt)])
    observed = len([c for c in driver.commands if isinstance(c, Observe)])
    heads = len([c for c in driver.commands if isinstance(c, SendHead)])
    assert len(speakers) <= 1 or continuation == "exact"
    assert heads <= 1
    assert settled == int(driver.machine.done)
    assert observed == attempts - (not driver.machine.done)
    if settled and driver.receipts[0].outcome == "ok":
        assert driver.said.count(b"event: message_start\n") == 1
        assert driver.said.count(b"event: message_stop\n") == 1


@given(st.lists(st.integers(1, 60), max_size=60))
def test_chunk_boundaries_do_not_matter(sizes: list[int]) -> None:
    wire = START + PING + TEXT_START + HELLO + words("wörld 🦀") + ENDING
    driver = Driver(exchange("anthropic"))
    driver.feed(head)
    rest = wire
    for size in [*sizes, len(wire)]:
        chunk, rest = rest[:size], rest[size:]
        if chunk and not driver.machine.done:
            driver.sends(chunk)
    assert driver.said == wire.replace(PING, b"", 1)
    order = [type(c) for c in driver.commands]
    assert order.index(Settle) < len(order) - 1 - order[::-1].index(Forward)
