"""What the client hears, with the official SDKs' own models as judges."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import ErrorResponse, RawMessageStreamEvent
from openai import APIError
from openai._streaming import SSEDecoder
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseFailedEvent, ResponseStreamEvent
from pydantic import TypeAdapter

from outlast.gateway.holding import HoldPolicy, Unit
from outlast.gateway.speaker import Speaker
from outlast.nouns import Format
from outlast.wire import CODECS
from outlast.wire.stream import End, Stop
from tests.gateway.answers import (
    FORMATS,
    OPEN,
    A,
    C,
    R,
    call,
    closed,
    request,
    stream,
    text,
    thinking,
)
from tests.gateway.legs import MIXED, SSE, leg, run

ANTHROPIC: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
RESPONSES: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def speaker(form: Format) -> Speaker:
    return Speaker(CODECS[form], lambda: request(form))


def judged(form: Format, said: bytes) -> list[dict[str, Any]]:
    """Decode a stream with the SDK's own parser and check every event against its models.

    The last one may be an error, as the SDKs recognise it.
    """
    events = []
    for frame in SSEDecoder().iter_bytes(iter([said])):
        if frame.data == "[DONE]":
            events.append({"done": True})
            continue
        event = json.loads(frame.data)
        events.append(event)
        if form is A and event["type"] == "error":
            ErrorResponse.model_validate(event)
        elif form is A:
            if event["type"] != "ping":
                ANTHROPIC.validate_python(event)
        elif form is R:
            RESPONSES.validate_python(event)
        elif event.get("error"):
            # So the SDK's own Stream raises it.
            assert APIError(event["error"]["message"], None, body=event["error"]).type  # type: ignore[arg-type]
        else:
            ChatCompletionChunk.model_validate(event, strict=True)
    return events


def shown(form: Format, data: bytes, cut: int) -> list[Unit]:
    """What may be shown of a stream that broke after `cut` bytes."""
    one = leg(form, policy=HoldPolicy(hold_thinking=False))
    one.head(200, SSE)
    return one.feed(data[:cut])


def passed(form: Format, units: list[Unit]) -> tuple[Speaker, bytes]:
    one = speaker(form)
    one.begin(same_format=True)
    return one, one.say(units)


@pytest.mark.parametrize("form", FORMATS)
def test_in_the_same_format_the_upstreams_bytes_are_said(form: Format) -> None:
    data = stream(form, MIXED)
    one, said = passed(form, run(leg(form), data, 10))
    assert said == data
    assert one.transcript.text == "Hello wörld"


@pytest.mark.parametrize(
    ("form", "last"), [(A, b"event: message_stop"), (C, b"data: [DONE]")], ids=["anthropic", "chat"]
)
def test_a_missing_last_word_is_said_for_the_upstream(form: Format, last: bytes) -> None:
    data = stream(form, [*OPEN, *text("hi"), *closed()])
    _, said = passed(form, run(leg(form), data[: data.rindex(last)]))
    assert said.count(last) == 1
    assert judged(form, said) == judged(form, data)


@pytest.mark.parametrize("form", FORMATS)
def test_a_failure_after_passing_through_is_an_error_that_the_sdks_read(form: Format) -> None:
    """Wherever the upstream breaks off, whatever is open then."""
    data = stream(form, MIXED)
    for cut in range(0, len(data), 23):
        units = shown(form, data, cut)
        if not units or any(isinstance(e, End) for unit in units for e in unit.events):
            continue
        one, said = passed(form, units)
        frame = one.failure(502, "The answer broke off.", "req_9")
        *_, last = judged(form, said + frame)
        if form is R:
            failed = ResponseFailedEvent.model_validate(last, strict=True)
            assert failed.response.status == "failed"
            assert failed.response.error is not None
            assert "The answer broke off." in failed.response.error.message
        else:
            assert "The answer broke off." in last["error"]["message"]


@pytest.mark.parametrize("numbered_from", [0, 40])
@pytest.mark.parametrize("comment", [b"", b": still here\n\n"])
def test_a_responses_failure_carries_on_id_and_sequence_number(
    numbered_from: int, comment: bytes
) -> None:
    """The upstream's own numbering, which need not begin where ours would."""
    data = stream(R, [*OPEN, *thinking("hm"), *text("one ", "two ", index=1)[:3]])
    for number in range(30, -1, -1):
        data = data.replace(
            b'"sequence_number":%d,' % number, b'"sequence_number":%d,' % (number + numbered_from)
        )
    one, said = passed(R, shown(R, data + comment, len(data + comment)))
    assert said.endswith(comment or b"\n\n")
    events = judged(R, said + one.failure(502, "broke off", "req_9"))
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(numbered_from, numbered_from + len(numbers)))
    ids = {event["response"]["id"] for event in events if "response" in event}
    assert len(ids) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_failure_before_anything_was_said_is_readable_too(form: Format) -> None:
    """Only pings of our own were sent: the status 200 is out, the error must be in the stream."""
    one = speaker(form)
    said = one.keepalive() + one.failure(529, "Nobody could answer.", "req_9")
    assert "Nobody could answer." in json.dumps(judged(form, said)[-1])


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_that_looks_like_an_end_follows_a_failure(form: Format) -> None:
    one, said = passed(form, shown(form, stream(form, MIXED), 700))
    frame = said + one.failure(502, "broke off", "req_9")
    assert b"[DONE]" not in frame
    assert b"message_stop" not in frame
    assert b"response.completed" not in frame
    assert b'"finish_reason":"' not in frame


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_an_answer_of_another_format_is_a_legal_stream_of_the_clients(
    form: Format, source: Format
) -> None:
    if form is source:
        return
    one = speaker(form)
    one.begin(same_format=False)
    said = one.say(run(leg(source, same_format=False), stream(source, MIXED), 9))
    events = judged(form, said)
    assert "Hello " in json.dumps(events, ensure_ascii=False)
    assert b"rm" in said
    assert isinstance(one.transcript.stop, Stop)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_a_translated_answer_that_breaks_off_ends_in_an_error(form: Format, source: Format) -> None:
    if form is source:
        return
    data = stream(source, MIXED)
    for cut in range(0, len(data), 97):
        units = shown(source, data, cut)
        if any(isinstance(e, End) for unit in units for e in unit.events):
            continue
        one = speaker(form)
        one.begin(same_format=False)
        said = one.say(units) + one.failure(504, "stood still", "req_9")
        events = judged(form, said)
        assert "stood still" in json.dumps(events[-1])
        if form is R:
            assert [e["sequence_number"] for e in events] == list(range(len(events)))


@pytest.mark.parametrize("form", FORMATS)
def test_keepalives_mean_nothing_to_the_sdks_before_and_inside_an_answer(form: Format) -> None:
    data = stream(form, [*OPEN, *text("one ", "two")[:3]])
    one, said = passed(form, shown(form, data, len(data)))
    alone = speaker(form).keepalive()
    events = judged(form, alone + said + one.keepalive())
    assert [e for e in events if e.get("type") != "ping"] == judged(form, data)


@pytest.mark.parametrize("form", FORMATS)
def test_the_next_attempt_begins_with_a_voice_of_its_own(form: Format) -> None:
    """Nothing was heard of the first one, whatever its Writer had in mind."""
    one = speaker(form)
    one.begin(same_format=False)
    one.begin(same_format=True)
    data = stream(form, [*OPEN, *call("{}"), *closed("tool_use")])
    assert one.say(run(leg(form), data)) == data
