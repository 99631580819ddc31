"""One attempt's answer: every format with its real codec, streamed and whole, cut anywhere."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway.holding import Unit
from outlast.gateway.leg import Broken
from outlast.gateway.surfaces import COUNT_TOKENS, SURFACES
from outlast.nouns import Format, Outcome, Tokens
from outlast.wire.estimate import estimate_tokens
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    SignatureDelta,
    Start,
    Stop,
    TextDelta,
)
from tests.gateway.answers import (
    FORMATS,
    OPEN,
    TOKENS,
    A,
    C,
    R,
    call,
    chunks,
    closed,
    stream,
    text,
    whole,
)
from tests.gateway.legs import MIXED, SSE, answer, broken, bytes_of, events_of, leg, run

# -- healthy answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [1, 2, 7, 64, None])
def test_a_stream_comes_out_byte_for_byte_however_it_is_cut(form: Format, size: int | None) -> None:
    data = stream(form, MIXED)
    one = leg(form)
    assert bytes_of(run(one, data, size)) == data
    assert one.ended
    assert one.committed
    assert one.stopped
    assert (one.model, one.request_id) == ("the-model", "req_up")
    assert one.tokens is not None
    assert (one.tokens.input, one.tokens.output) == (11, 7)


@pytest.mark.parametrize("size", [1, 7, 64, None])
@pytest.mark.parametrize("name", [b"", b"event: message\n", b"event: delta\n"])
def test_frames_get_the_names_without_which_an_sdk_hears_nothing(
    size: int | None, name: bytes
) -> None:
    data = stream(A, MIXED)
    unnamed = re.sub(rb"event: \w+\n", name, data)
    assert unnamed != data
    assert bytes_of(run(leg(A), unnamed, size)) == data


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_stream_means_does_not_depend_on_its_cuts(form: Format) -> None:
    data = stream(form, MIXED)
    assert events_of(run(leg(form), data, 1)) == events_of(run(leg(form), data))


@pytest.mark.parametrize("form", FORMATS)
def test_a_whole_answer_means_what_its_stream_means(form: Format) -> None:
    one = leg(form, streamed=False)
    body = whole(form, MIXED)
    (only,) = answer(one, body)
    assert only.raw == body
    texts = "".join(e.text for e in only.events if isinstance(e, TextDelta))
    arguments = "".join(e.json for e in only.events if isinstance(e, ArgsDelta))
    assert texts == "Hello wörld"
    assert json.loads(arguments) == {"path": "/tmp"}
    assert one.ended
    assert one.tokens == TOKENS
    assert one.model == "the-model"


@pytest.mark.parametrize("form", FORMATS)
def test_what_comes_after_the_end_is_not_looked_at(form: Format) -> None:
    data = stream(form, [*OPEN, *text("hi"), *closed()])
    assert bytes_of(run(leg(form), data + b"data: {broken\n\n")) == data


def test_a_frame_that_is_cut_after_the_end_of_the_model_costs_nothing() -> None:
    """`[DONE]` without its blank line: the model had finished."""
    data = chunks({"content": "hi"}, finish_reason="stop")
    assert bytes_of(run(leg(C), data + b"data: [DONE]\n")) == data


# -- the missing last word -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "last"), [(A, b"event: message_stop"), (C, b"data: [DONE]")], ids=["anthropic", "chat"]
)
def test_a_finished_answer_without_its_last_word_is_whole(form: Format, last: bytes) -> None:
    data = stream(form, [*OPEN, *text("hi"), *closed()])
    cut = data[: data.rindex(last)]
    one = leg(form)
    units = run(one, cut)
    assert bytes_of(units) == cut
    assert units[-1].raw == b""  # the Speaker adds the format's last word
    assert isinstance(units[-1].events[-1], End)
    assert one.ended


def test_chat_completions_may_lack_usage_and_last_word() -> None:
    one = leg(C)
    one.head(200, SSE)
    states = []
    for data in (chunks({"content": "hi"}), chunks({}, finish_reason="stop")):
        one.feed(data)
        states.append(one.stopped)
    assert states == [False, True]
    # A break from here on is no failure.
    assert (one.ended, one.content_seen) == (False, True)
    assert isinstance(one.end(0)[-1].events[-1], End)


@pytest.mark.parametrize("form", FORMATS)
def test_an_end_in_the_middle_is_a_failure_wherever_it_falls(form: Format) -> None:
    data = stream(form, MIXED)
    last_words = {A: b"event: message_delta", C: b'"finish_reason":"tool_calls"', R: b""}
    end = data.rindex(last_words[form]) if last_words[form] else len(data) - 1
    for cut in range(0, end, 37):
        failure = broken(leg(form), data[:cut])
        assert failure.verdict.outcome is Outcome.BROKEN_STREAM
        assert (
            "in the middle" in failure.verdict.evidence or "no content" in failure.verdict.evidence
        )


def test_no_answer_at_all_is_a_failure() -> None:
    with pytest.raises(Broken, match="no answer at all"):
        leg(A).end(0)


# -- stop sequences that the upstream does not know ------------------------------------------------


def test_a_stop_sequence_cuts_a_stream_and_lets_go_of_the_upstream() -> None:
    data = stream(R, [*OPEN, *text("one ", "two ST", "OP three"), *closed()])
    for size in (1, None):
        one = leg(R, same_format=False, stops=("STOP",))
        one.head(200, SSE)
        units: list[Unit] = []
        for at in range(0, len(data), size or len(data)):
            units += one.feed(data[at : at + (size or len(data))])
        events = events_of(units)
        assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "one two "
        spent = Tokens(output=2, estimated=True)
        assert events[-2:] == [Stop("stop_sequence", spent, "STOP"), End()]
        assert one.ended
        assert one.end(0) == []


def test_a_stop_sequence_cuts_a_whole_answer() -> None:
    one = leg(R, streamed=False, same_format=False, stops=("STOP",))
    body = whole(R, [*OPEN, *text("one STOP two"), *call("{}", index=1), *closed("tool_use")])
    events = events_of(answer(one, body))
    assert [e.kind for e in events if isinstance(e, BlockStart)] == ["text"]
    assert [e for e in events if isinstance(e, (TextDelta, Stop))] == [
        TextDelta(0, "one "),
        Stop("stop_sequence", TOKENS, "STOP"),
    ]
    assert one.ended


def test_without_stop_sequences_nothing_is_cut() -> None:
    data = stream(R, [*OPEN, *text("one STOP two"), *closed()])
    assert bytes_of(run(leg(R), data)) == data


# -- tokens --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_counted_tokens_are_taken_as_they_are(form: Format) -> None:
    one = leg(form)
    run(one, stream(form, MIXED))
    tokens = one.estimated(500)
    assert (tokens.input, tokens.output, tokens.estimated) == (11, 7, False)


@pytest.mark.parametrize("form", FORMATS)
def test_an_answer_that_broke_off_is_estimated_and_says_so(form: Format) -> None:
    one = leg(form)
    words = "some words that were said before it broke off " * 5
    one.head(200, SSE)
    one.feed(stream(form, [*OPEN, *text(words)[:2]]))
    tokens = one.estimated(500)
    assert tokens.estimated
    assert tokens.output == estimate_tokens(words)
    assert tokens.input == (11 if form is A else 500)  # Anthropic counts the prompt at the start


def test_what_was_held_and_never_shown_was_produced_all_the_same() -> None:
    one = leg(A)
    one.head(200, SSE)
    assert one.feed(stream(A, [*OPEN, *call('{"path":"/a/long/path"')[:2]])) == []
    assert one.estimated(0).output >= estimate_tokens('{"path":"/a/long/path"')


def test_an_upstream_that_never_counts_is_estimated() -> None:
    one = leg(C)
    run(one, chunks({"content": "hello there"}, finish_reason="stop") + b"data: [DONE]\n\n")
    assert one.tokens is None
    assert one.estimated(90) == Tokens(90, estimate_tokens("hello there"), estimated=True)


def test_an_attempt_of_which_nothing_came_estimates_nothing() -> None:
    assert leg(A).estimated(0) == Tokens()


def test_an_empty_answer_that_was_counted_is_not_estimated() -> None:
    one = leg(C)
    run(one, stream(C, [*OPEN, *closed(tokens=Tokens(input=11, output=0))]))
    assert one.estimated(0) == Tokens(input=11, output=0)


@pytest.mark.parametrize(
    ("path", "form", "body"),
    [
        ("/v1/embeddings", C, {"data": [], "model": "m", "usage": {"prompt_tokens": 9}}),
        (COUNT_TOKENS, A, {"input_tokens": 9}),
    ],
)
def test_endpoints_without_output_are_counted_exactly(path: str, form: Format, body: Any) -> None:
    one = leg(form, streamed=False, codec=SURFACES[path].codecs[form])
    raw = json.dumps(body).encode()
    assert bytes_of(answer(one, raw)) == raw
    assert one.estimated(500) == Tokens(input=9)


@pytest.mark.parametrize(
    ("path", "form", "body"),
    [
        ("/v1/embeddings", C, {"data": "x", "usage": {"prompt_tokens": 9}}),
        ("/v1/embeddings", C, {"error": {}}),
        (COUNT_TOKENS, A, {"input_tokens": None}),
        (COUNT_TOKENS, A, {}),
    ],
)
def test_endpoints_without_output_are_watched_too(path: str, form: Format, body: Any) -> None:
    one = leg(form, streamed=False, codec=SURFACES[path].codecs[form])
    with pytest.raises(Broken):
        answer(one, json.dumps(body).encode())


# -- anything at all -----------------------------------------------------------------------------


@given(st.sampled_from(FORMATS), st.booleans(), st.sampled_from([200, 400, 500]), st.binary())
def test_whatever_comes_it_is_an_answer_or_a_failure(
    form: Format, streamed: bool, status: int, data: bytes
) -> None:
    one = leg(form, streamed=streamed)
    one.head(status, SSE)

    def rest() -> list[Unit]:
        return [*one.feed(data), *one.end(0)]

    with pytest.raises(Broken):
        rest()


@given(st.sampled_from(FORMATS), st.data())
def test_a_stream_with_one_byte_changed_never_crashes(form: Format, draw: st.DataObject) -> None:
    data = bytearray(stream(form, MIXED))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] = draw.draw(st.integers(0, 255))
    one = leg(form)
    try:
        shown = run(one, bytes(data))
    except Broken as failure:
        shown = failure.units
    starts = [e for e in events_of(shown) if isinstance(e, BlockStart) and e.kind == "tool_use"]
    stops = {e.index for e in events_of(shown) if isinstance(e, BlockStop)}
    assert all(start.index in stops for start in starts)


def test_the_first_events_are_the_start_and_its_signature_stays() -> None:
    events: list[AnswerEvent] = [
        *OPEN,
        BlockStart(0, "thinking"),
        SignatureDelta(0, "c2ln", A),
        BlockStop(0),
        *text("x", index=1),
        *closed(),
    ]
    shown = events_of(run(leg(A), stream(A, events)))
    assert isinstance(shown[0], Start)
    assert SignatureDelta(0, "c2ln", A) in shown
