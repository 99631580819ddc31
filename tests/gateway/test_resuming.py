"""An answer that breaks off in sight of the client, and who goes on: playbooks and properties."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.config import RetrySettings, TimeoutSettings
from outlast.gateway.events import (
    AttemptBroke,
    BodyEnded,
    BytesReceived,
    HeadReceived,
    OpenAttempt,
    SendReply,
    SetTimer,
    TimerFired,
    Warm,
)
from outlast.nouns import Candidate, Format, Kind
from outlast.outcome import Fault
from outlast.wire.canon import Request, StructuredOutput, ToolChoice
from tests.gateway.answers import OPEN, closed, stream, text
from tests.gateway.exchanges import (
    DONE,
    ENDING,
    JSON_TYPE,
    MODEL,
    OVERLOADED,
    SSE,
    START,
    TEXT_START,
    Driver,
    arguments,
    candidate,
    chunk,
    exchange,
    play,
    stop_of,
    thinking_start,
    thinks,
    tool_start,
    words,
)


def head(number: int, status: int = 200) -> HeadReceived:
    return HeadReceived(number, status, SSE if status == 200 else JSON_TYPE, 1)


def data(number: int, raw: bytes) -> BytesReceived:
    return BytesReceived(number, raw, 2)


def cut(number: int) -> AttemptBroke:
    return AttemptBroke(number, Fault("reset"), 3)


def opened(driver: Driver) -> list[str]:
    return [c.candidate.upstream for c in driver.commands if isinstance(c, OpenAttempt)]


def anthropic_events(said: bytes) -> list[dict[str, object]]:
    frames = [frame for frame in said.split(b"\n\n") if frame]
    return [json.loads(frame.partition(b"data: ")[2]) for frame in frames]


def text_of(said: bytes) -> str:
    deltas = [e["delta"] for e in anthropic_events(said) if e["type"] == "content_block_delta"]
    return "".join(d["text"] for d in deltas if d["type"] == "text_delta")  # type: ignore[index]


def legal(said: bytes) -> bool:
    """One start, blocks in order and closed, one end, the last thing said."""
    kinds = [e["type"] for e in anthropic_events(said) if e["type"] != "ping"]
    starts = [e["index"] for e in anthropic_events(said) if e["type"] == "content_block_start"]
    return (
        kinds.count("message_start") == kinds.count("message_stop") == 1
        and kinds[0] == "message_start"
        and kinds[-1] == "message_stop"
        and starts == list(range(len(starts)))
        and kinds.count("content_block_start") == kinds.count("content_block_stop")
    )


def test_another_upstream_goes_on_in_the_same_block() -> None:
    driver = Driver(exchange("a", "b"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("hello ")))
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("world") + ENDING))
    assert opened(driver) == ["a", "b"]
    assert text_of(driver.said) == "hello world"
    assert legal(driver.said)
    receipt = driver.receipts[0]
    assert receipt.outcome == "ok"
    assert [a.outcome.value for a in receipt.attempts] == ["broken_stream", "ok"]
    (resumption,) = receipt.resumptions
    assert (resumption.at_char, resumption.how) == (6, "exact")


def test_the_truth_about_the_seam_is_told_in_a_ping_and_on_the_last_event() -> None:
    driver = Driver(exchange("a", "b"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("hello ")))
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("world") + ENDING))
    events = anthropic_events(driver.said)
    pings = [e["outlast"] for e in events if e["type"] == "ping"]
    (delta,) = [e for e in events if e["type"] == "message_delta"]
    assert pings == [delta["outlast"]]
    assert pings[0]["event"] == "resumed"  # type: ignore[index]


def test_a_continuing_attempt_that_fails_unheard_is_followed_by_the_next() -> None:
    driver = Driver(exchange("a", "b", "c"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("hello ")))
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + OVERLOADED))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("world") + ENDING))
    assert opened(driver) == ["a", "b", "c"]
    assert text_of(driver.said) == "hello world"
    assert legal(driver.said)


def test_an_answer_may_break_more_than_once() -> None:
    driver = Driver(exchange("a", "b"))
    for piece in ("one ", "two ", "three "):
        driver.feed(head)
        driver.sends(START + TEXT_START + words(piece))
        driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("four") + ENDING))
    assert opened(driver) == ["a", "b", "a", "b"]
    assert text_of(driver.said) == "one two three four"
    assert legal(driver.said)


def test_who_did_not_break_goes_on_before_who_did() -> None:
    """Two that break in turn must not keep a third from being asked."""
    driver = Driver(exchange("a", "b", "c"))
    for piece in ("one ", "two "):
        driver.feed(head)
        driver.sends(START + TEXT_START + words(piece))
        driver.feed(cut)
    assert opened(driver) == ["a", "b", "c"]


def test_the_embedded_model_goes_on_before_who_broke_twice() -> None:
    driver = Driver(exchange("a", candidate("local", Kind.LOCAL)))
    for piece in ("one ", "two "):
        driver.feed(head)
        driver.sends(START + TEXT_START + words(piece))
        driver.feed(cut)
    assert opened(driver) == ["a", "a", "local"]


def test_the_only_upstream_is_asked_again() -> None:
    driver = Driver(exchange("a"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("hello ")))
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("world") + ENDING))
    assert text_of(driver.said) == "hello world"


def test_a_whole_tool_call_is_the_end_of_a_valid_turn() -> None:
    """Nobody has to go on: the agent runs the tool and asks again."""
    driver = Driver(exchange("a", "b"))
    call = tool_start(1) + arguments('{"path":"/tmp"}', 1) + stop_of(1)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("I look.") + stop_of(0) + call))
    driver.feed(cut)
    assert opened(driver) == ["a"]
    assert legal(driver.said)
    (delta,) = [e for e in anthropic_events(driver.said) if e["type"] == "message_delta"]
    assert delta["delta"]["stop_reason"] == "tool_use"  # type: ignore[index]
    assert driver.receipts[0].resumptions[0].how == "finished"


def test_a_tool_call_cut_after_text_is_called_anew_by_who_goes_on() -> None:
    """Claude Code does not retry here: the next voice says the whole call."""
    driver = Driver(exchange("a", "b"))
    torn = tool_start(1, "write") + arguments('{"path":"/tm', 1)
    whole = tool_start(0, "write") + arguments('{"path":"/tmp/x"}', 0) + stop_of(0)
    ending = ENDING.replace(stop_of(0), b"", 1).replace(b"end_turn", b"tool_use")
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("I write.") + stop_of(0) + torn))
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + whole + ending))
    assert legal(driver.said)
    said = anthropic_events(driver.said)
    calls = [e for e in said if e["type"] == "content_block_start"]
    assert [c["content_block"]["type"] for c in calls] == ["text", "tool_use"]  # type: ignore[index]
    assert b"/tmp/x" in driver.said
    assert b'/tm"' not in driver.said


def test_after_thinking_alone_the_request_is_asked_again() -> None:
    driver = Driver(exchange(candidate("a")))
    signed = thinking_start(0) + thinks("hm", 0)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + signed))
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("yes") + ENDING))
    assert text_of(driver.said) == "yes"
    assert legal(driver.said)
    assert driver.receipts[0].resumptions[0].how == "restart"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request("m", (), Format.ANTHROPIC, output=StructuredOutput({})), "structured output"),
        (Request("m", (), Format.ANTHROPIC, tool_choice=ToolChoice("required")), "forced tool"),
        (Request("m", (), Format.ANTHROPIC, extra=("logprobs",)), "log probabilities"),
    ],
)
def test_what_cannot_be_continued_ends_in_an_error_never_cleanly(
    request_: Request, why: str
) -> None:
    driver = Driver(exchange("a", "b", request=request_))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("{")))
    driver.feed(cut)
    assert opened(driver) == ["a"], why
    assert driver.commands[-1].clean is False  # type: ignore[union-attr]
    assert b"message_stop" not in driver.said
    assert driver.receipts[0].outcome == "broken_after_commit"


def test_a_limit_of_tokens_that_was_reached_is_the_true_end() -> None:
    request = Request("m", (), Format.ANTHROPIC, max_tokens=1)
    driver = Driver(exchange("a", "b", request=request))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("a few words that were said ")))
    driver.feed(cut)
    assert legal(driver.said)
    assert b"max_tokens" in driver.said


def test_a_refused_prefill_is_asked_again_as_an_instruction() -> None:
    machine = exchange("a", "b", continuation="prefill")
    driver = Driver(machine)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("hello ")))
    driver.feed(cut)
    driver.feed(lambda n: head(n, 400))
    driver.feed(lambda n: data(n, b'{"error":{"message":"no prefill"}}'))
    driver.feed(lambda n: BodyEnded(n, 3))
    driver.feed(head)
    rest = words("world, and then some more words follow.")
    driver.feed(lambda n: data(n, START + TEXT_START + rest + ENDING))
    assert opened(driver) == ["a", "b", "b"]
    assert text_of(driver.said) == "hello world, and then some more words follow."
    assert [how for *_, how in machine._prepare.partials] == ["prefill", "instruct"]  # type: ignore[attr-defined]


def test_a_word_is_shown_whole_so_that_a_seam_never_cuts_it() -> None:
    driver = Driver(exchange("a", "b"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("The")))
    assert driver.said == b""
    driver.feed(lambda n: data(n, words(" sea")))
    assert text_of(driver.said) == "The"
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words(" sea is wide.") + ENDING))
    assert text_of(driver.said) == "The sea is wide."


def test_half_a_word_is_shown_when_its_other_half_takes_too_long() -> None:
    driver = Driver(exchange("a", "b"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("Hippo")))
    (timer,) = [c for c in driver.commands if isinstance(c, SetTimer) and c.timer == "flush"]
    driver.feed(lambda _: TimerFired("flush", timer.at))
    assert text_of(driver.said) == "Hippo"


def chat(name: str) -> Candidate:
    return candidate(name, Kind.OPENAI_CHAT)


def test_a_chat_answer_goes_on_with_one_id_one_role_one_finish() -> None:
    driver = Driver(exchange(chat("a"), chat("b"), form=Format.OPENAI_CHAT))
    driver.feed(head)
    driver.feed(lambda n: data(n, chunk({"role": "assistant", "content": "hello "})))
    driver.feed(cut)
    driver.feed(head)
    second = chunk({"role": "assistant", "content": "world"}).replace(b'"id": "c"', b'"id": "d"')
    driver.feed(lambda n: data(n, second + chunk({}, "stop") + DONE))
    frames = [f[6:] for f in driver.said.split(b"\n\n") if f.startswith(b"data: {")]
    chunks = [json.loads(frame) for frame in frames]
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    assert text == "hello world"
    assert [c["choices"][0]["finish_reason"] for c in chunks].count("stop") == 1
    assert sum("role" in c["choices"][0]["delta"] for c in chunks) == 1
    assert driver.said.endswith(DONE)
    assert any("outlast" in c for c in chunks)


@given(st.integers(0, 58), st.integers(1, 12))
def test_at_any_cut_the_text_is_whole(at: int, size: int) -> None:
    """Exact continuation: whatever the client saw, the rest follows, once."""
    truth = "The sea is wide, and salt — çà et là — 🦀 crabs walk sideways."
    driver = Driver(exchange("a", "b"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START))
    for start in range(0, at, size):
        piece = truth[:at][start : start + size]
        driver.sends(words(piece))
    seen = text_of(driver.said) if driver.said else ""
    driver.feed(cut)
    driver.feed(head)
    rest = truth[len(seen) :]
    driver.feed(lambda n: data(n, START + TEXT_START + words(rest) + ENDING))
    assert text_of(driver.said) == truth
    assert legal(driver.said)


def test_a_rival_that_shows_something_first_wins_and_the_other_is_left() -> None:
    retry = RetrySettings(same_upstream_max=0, hedge_after_s=2)
    assert (
        play(exchange("a", "b", retry=retry))
        << ("open", 0, "a")
        >> TimerFired("hedge", 2)
        << ("open", 1, "b")
        >> head(1)
        >> data(1, START + TEXT_START + words("hello "))
        << ("observe", "a", "left")
        << ("abandon", 0)
        << ("head", 200)
        << START + TEXT_START + words("hello ")
    )


def test_a_rival_that_nobody_can_be_leaves_the_running_attempt_alone() -> None:
    retry = RetrySettings(same_upstream_max=0, hedge_after_s=2)
    machine = exchange("a", "b", retry=retry, refuses=("b",))
    assert (
        play(machine)
        << ("open", 0, "a")
        >> TimerFired("hedge", 2)
        >> head(0)
        >> data(0, START + TEXT_START + words("hello "))
        << ("head", 200)
        << START + TEXT_START + words("hello ")
    )


def test_when_one_rival_fails_the_other_runs_on() -> None:
    retry = RetrySettings(same_upstream_max=0, hedge_after_s=2)
    assert (
        play(exchange("a", "b", "c", retry=retry))
        << ("open", 0, "a")
        >> TimerFired("hedge", 2)
        << ("open", 1, "b")
        >> cut(0)
        << ("observe", "a", "broken_stream")
        << ("abandon", 0)
        >> cut(1)
        << ("observe", "b", "broken_stream")
        << ("abandon", 1)
        << ("open", 2, "c")
    )


def steady(driver: Driver, until: float) -> float:
    """Words ten times a second, until the gaps are well known."""
    at = 1.0
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START))
    while at < until:
        at += 0.1
        driver.sends(words("word "), at)
    return at


def test_an_unusual_silence_warms_the_next_before_the_first_is_given_up() -> None:
    driver = Driver(exchange("a", "b"))
    at = steady(driver, 8.0)
    driver.feed(lambda _: TimerFired("watch", at + 0.5))
    assert not [c for c in driver.commands if isinstance(c, Warm)]
    driver.feed(lambda _: TimerFired("watch", at + 6))
    (warm,) = [c for c in driver.commands if isinstance(c, Warm)]
    assert warm.candidate.upstream == "b"
    assert opened(driver) == ["a"]


def test_a_regular_stream_is_given_up_sooner_than_the_stall_time_out() -> None:
    timeouts = TimeoutSettings(stall_s=60)
    driver = Driver(exchange("a", "b", timeouts=timeouts))
    at = steady(driver, 8.0)
    driver.feed(lambda _: TimerFired("watch", at + 19))
    assert opened(driver) == ["a"]
    driver.feed(lambda _: TimerFired("watch", at + 21))
    assert opened(driver) == ["a", "b"]


def test_a_prompt_too_long_for_one_goes_to_a_larger_window() -> None:
    small = msgspec.structs.replace(candidate("a"), context_tokens=8_000)
    large = msgspec.structs.replace(candidate("b"), context_tokens=200_000)
    message = b"prompt is too long: 9000 tokens > 8000 maximum"
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"%s"}}' % message
    driver = Driver(exchange(small, candidate("c"), large))
    driver.feed(lambda n: head(n, 400))
    driver.feed(lambda n: data(n, body))
    driver.feed(lambda n: BodyEnded(n, 3))
    assert opened(driver) == ["a", "b"]
    driver.feed(lambda n: head(n, 529))
    driver.feed(lambda n: BodyEnded(n, 4))
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    assert (reply.status, reply.body) == (400, body)


def test_a_stop_sequence_across_the_seam_ends_the_answer() -> None:
    request = Request("m", (), Format.ANTHROPIC, stop=("THE END",))
    driver = Driver(exchange("a", "b", request=request))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("so it goes. THE ")))
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("END, and more.") + ENDING))
    assert text_of(driver.said) == "so it goes. THE "
    assert b'"stop_reason":"stop_sequence"' in driver.said
    assert legal(driver.said)


def test_usage_counts_every_voice_in_the_dialects_way() -> None:
    driver = Driver(exchange("a", "b"))
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("hello ")))
    driver.feed(cut)
    driver.feed(head)
    driver.feed(lambda n: data(n, START + TEXT_START + words("world") + ENDING))
    (delta,) = [e for e in anthropic_events(driver.said) if e["type"] == "message_delta"]
    iterations = delta["usage"]["iterations"]  # type: ignore[index]
    assert [i["type"] for i in iterations] == ["message", "fallback_message"]
    assert iterations[1]["output_tokens"] == 7


def test_a_visible_notice_stands_where_another_model_goes_on_and_it_was_asked_for() -> None:
    other = candidate("b", model="gpt-5")
    driver = Driver(exchange("a", other, "c", notice="fr"))
    driver.feed(head)
    driver.sends(START + TEXT_START + words("bonjour "))
    driver.feed(cut)
    driver.feed(head)
    driver.sends(START + TEXT_START + words("le monde "))
    assert "[Outlast : claude-opus-4-8 a été interrompu ici ; gpt-5 prend la suite.]" in text_of(
        driver.said
    )
    driver.feed(cut)
    driver.feed(head)
    driver.sends(START + TEXT_START + words("entier") + ENDING)
    assert legal(driver.said)
    partials = driver.machine._prepare.partials  # type: ignore[attr-defined]
    assert [partial for _, partial, _ in partials] == ["bonjour ", "bonjour le monde "]


@pytest.mark.parametrize("surface", [Format.OPENAI_CHAT, Format.OPENAI_RESPONSES])
def test_after_a_seam_the_model_that_is_named_is_the_one_that_speaks(surface: Format) -> None:
    driver = Driver(
        exchange(candidate("a", Kind(surface.value)), candidate("b"), form=surface, notice="")
    )
    driver.feed(head)
    whole = stream(surface, [*OPEN, *text("It is ", "two."), *closed()])
    driver.sends(whole[: whole.index(b"\n\n", whole.index(b"It is ")) + 2])
    driver.feed(cut)
    driver.feed(head)
    driver.sends(START + TEXT_START + words("noon.") + ENDING)
    frames = [f.partition(b"data: ")[2] for f in driver.said.split(b"\n\n")]
    events = [json.loads(data) for data in frames if data.startswith(b"{")]
    named = [event.get("model") or event.get("response", {}).get("model") for event in events]
    told = [name for name in named if name]
    assert told[0] != MODEL
    assert told[-1] == MODEL
