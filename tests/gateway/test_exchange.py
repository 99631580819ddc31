"""The exchange, as playbooks: what the client gets, how it ends, what holds in any case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway.events import (
    AttemptBroke,
    BodyEnded,
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
    HELLO,
    JSON_TYPE,
    OVERLOADED,
    PING,
    START,
    STOP,
    TEXT_START,
    Driver,
    candidate,
    chunk,
    data,
    decoded,
    exchange,
    head,
    play,
    words,
)


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
