"""Everything that can be wrong with an answer becomes a verdict, never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outlast.gateway.holding import HoldPolicy
from outlast.gateway.leg import ERROR_BODY_LIMIT_BYTES, Broken
from outlast.nouns import Format, Outcome, Scope
from tests.gateway.answers import (
    FORMATS,
    OPEN,
    A,
    C,
    R,
    argued,
    call,
    chunks,
    closed,
    named,
    stream,
    text,
    whole,
)
from tests.gateway.legs import JSON_TYPE, SSE, answer, broken, bytes_of, leg, run

# -- things that are no answers ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("text/html", "text/html for a stream"),
        ("application/json", "application/json for a stream"),
        ("", "no content type for a stream"),
    ],
)
def test_something_else_than_a_stream_is_a_failure(kind: str, words: str) -> None:
    with pytest.raises(Broken, match=words) as caught:
        leg(A).head(200, {"content-type": kind} if kind else {})
    assert caught.value.verdict.outcome is Outcome.SERVER_ERROR


@pytest.mark.parametrize("kind", ["text/event-stream", "Text/Event-Stream;charset=UTF-8"])
def test_the_type_of_a_stream_may_be_written_in_many_ways(kind: str) -> None:
    one = leg(A)
    one.head(200, {"content-type": kind})
    assert one.streaming


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308])
@pytest.mark.parametrize("streamed", [True, False])
def test_redirects_are_not_followed(status: int, streamed: bool) -> None:
    with pytest.raises(Broken, match="redirects are not followed"):
        leg(A, streamed=streamed).head(status, {"location": "http://evil.example"})


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "frame",
    [
        b"data: {not json}\n\n",
        b"data: [1]\n\n",
        b"data: \xff\xfe\n\n",
        b"data: " + b"[" * 200_000 + b"\n\n",
    ],
    ids=["no JSON", "no object", "no text", "bottomless"],
)
def test_a_malformed_frame_is_a_failure_with_what_was_good_before_it(
    form: Format, frame: bytes
) -> None:
    good = stream(form, [*OPEN, *text("hello ", "there")[:3]])
    failure = broken(leg(form), good + frame)
    assert failure.verdict.outcome is Outcome.BROKEN_STREAM
    assert bytes_of(failure.units) == good
    assert len(failure.verdict.evidence) < 300


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON, or cut"),
        (b"<html>", "not JSON, or cut"),
        (b'{"id": "x", "cont', "not JSON, or cut"),
        (b"\xff", "not JSON, or cut"),
        (b"[" * 200_000 + b"]" * 200_000, "not JSON, or cut"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b"{}", "malformed"),
    ],
)
def test_a_whole_body_that_is_no_answer_is_a_failure(form: Format, body: bytes, words: str) -> None:
    with pytest.raises(Broken, match=words) as caught:
        answer(leg(form, streamed=False), body)
    assert caught.value.verdict.movable


# Anthropic's whole answers carry arguments as objects: there is no text that could be torn.
@pytest.mark.parametrize("form", [form for form in FORMATS if form is not A])
def test_arguments_that_are_torn_in_a_whole_answer_are_a_failure(form: Format) -> None:
    body = whole(form, [*OPEN, *call('{"path":"/"}'), *closed("tool_use")])
    torn = body.replace(rb"{\"path\":\"/\"}", rb"{\"path\":")
    assert torn != body
    with pytest.raises(Broken, match="not JSON"):
        answer(leg(form, streamed=False), torn)


def test_an_event_without_end_is_a_failure_before_memory_is_full() -> None:
    one = leg(A)
    one.head(200, SSE)
    for _ in range(128):
        one.feed(b"x" * (64 << 10))
    with pytest.raises(Broken) as caught:
        one.feed(b"x")
    assert (caught.value.verdict.outcome, caught.value.verdict.scope) == (
        Outcome.BROKEN_STREAM,
        Scope.MODEL,
    )


def test_a_body_beyond_the_limit_is_a_failure() -> None:
    one = leg(A, streamed=False, limit_bytes=1000)
    one.head(200, JSON_TYPE)
    one.feed(b"x" * 1000)
    with pytest.raises(Broken, match="more than 1000 bytes"):
        one.feed(b"x")


def test_more_held_than_allowed_is_a_failure() -> None:
    data = stream(A, [*OPEN, *call('{"a":"' + "x" * 500 + '"}')])
    failure = broken(leg(A, policy=HoldPolicy(limit_bytes=300)), data)
    assert "300 bytes held" in failure.verdict.evidence


@pytest.mark.parametrize("form", FORMATS)
def test_a_torn_tool_call_is_a_failure_of_the_attempt(form: Format) -> None:
    data = {
        A: stream(A, [*OPEN, *call('{"path":"/"}'), *closed("tool_use")]).replace(
            rb"{\"path\":\"/\"}", rb"{\"path\":"
        ),
        C: chunks(named(0, "rm", '{"path":'), finish_reason="tool_calls") + b"data: [DONE]\n\n",
        R: stream(R, [*OPEN, *call('{"path":"/"}'), *closed("tool_use")]).replace(
            rb"{\"path\":\"/\"}", rb"{\"path\":"
        ),
    }[form]
    failure = broken(leg(form), data)
    assert "'rm' are not JSON" in failure.verdict.evidence
    assert failure.units == []


def test_a_call_that_max_tokens_cut_off_is_the_answer() -> None:
    """In the three dialects, as the vendors send it."""
    chat = (
        chunks(named(0, "rm"), argued(0, '{"path":'), finish_reason="length") + b"data: [DONE]\n\n"
    )
    assert bytes_of(run(leg(C), chat)) == chat
    anthropic = stream(A, [*OPEN, *call('{"path":'), *closed("max_tokens")])
    assert bytes_of(run(leg(A), anthropic)) == anthropic
    responses = stream(R, [*OPEN, *call('{"path":'), *closed("max_tokens")])
    assert bytes_of(run(leg(R), responses)) == responses


@pytest.mark.parametrize("arguments", ["null", "[]"])
def test_arguments_that_are_no_object_cannot_be_translated(arguments: str) -> None:
    data = chunks(named(0, "rm", arguments), finish_reason="tool_calls") + b"data: [DONE]\n\n"
    assert bytes_of(run(leg(C), data)) == data
    assert "not an object" in broken(leg(C, same_format=False), data).verdict.evidence


# -- errors --------------------------------------------------------------------------------------

ERRORS: dict[Format, Any] = {
    A: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    C: {"error": {"type": "server_error", "code": "server_overloaded", "message": "Overloaded"}},
    R: {"type": "error", "error": {"code": "server_is_overloaded", "message": "Overloaded"}},
}
OVERLOADED = {
    form: b"event: error\ndata: " + json.dumps(body).encode() + b"\n\n"
    for form, body in ERRORS.items()
}


@pytest.mark.parametrize("form", FORMATS)
def test_an_error_in_the_place_of_a_whole_answer_means_the_same(form: Format) -> None:
    with pytest.raises(Broken, match="inside the answer") as caught:
        answer(leg(form, streamed=False), json.dumps(ERRORS[form]).encode())
    failure = caught.value
    assert (failure.verdict.outcome, failure.verdict.scope) == (Outcome.OVERLOADED, Scope.PROVIDER)
    assert failure.error is not None
    assert failure.error.message == "Overloaded"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [1, None])
def test_an_error_inside_a_200_is_a_failure_with_its_words(form: Format, size: int | None) -> None:
    good = stream(form, [*OPEN, *text("hello")[:2]])
    with pytest.raises(Broken) as caught:
        run(leg(form), good + OVERLOADED[form], size)
    failure = caught.value
    assert (failure.verdict.outcome, failure.verdict.scope) == (Outcome.OVERLOADED, Scope.PROVIDER)
    assert failure.error is not None
    assert failure.error.message == "Overloaded"
    assert "inside the answer" in failure.verdict.evidence
    if size is None:
        assert bytes_of(failure.units) == good


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("streamed", [True, False])
def test_an_error_status_is_a_failure_with_its_body_as_it_came(
    form: Format, streamed: bool
) -> None:
    one = leg(form, streamed=streamed)
    body = b'{"error": {"message": "Slow down", "type": "rate_limit_error"}, "extra": 1}'
    one.head(429, {**JSON_TYPE, "retry-after": "7"})
    assert not one.streaming
    for at in range(len(body)):
        assert one.feed(body[at : at + 1]) == []
    with pytest.raises(Broken) as caught:
        one.end(0)
    failure = caught.value
    assert (failure.verdict.outcome, failure.verdict.retry_after_s) == (Outcome.RATE_LIMITED, 7)
    assert failure.body == body
    assert failure.error is not None
    assert failure.error.message == "Slow down"


def test_an_error_body_is_read_up_to_a_limit() -> None:
    one = leg(A)
    one.head(500, {})
    for _ in range(100):
        one.feed(b"x" * (16 << 10))
    with pytest.raises(Broken) as caught:
        one.end(0)
    assert len(caught.value.body) == ERROR_BODY_LIMIT_BYTES


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_a_page_is_never_the_callers_fault(status: int) -> None:
    """No API writes pages: something in front of it did, and never read the request."""
    page = b"\n<html><head><title>%d No</title></head></html>" % status
    with pytest.raises(Broken) as caught:
        answer(leg(A), page, status)
    assert caught.value.verdict.movable
    assert caught.value.verdict.outcome is Outcome.SERVER_ERROR
    assert str(status) in caught.value.verdict.evidence


def test_an_apis_own_400_is_the_callers_fault() -> None:
    with pytest.raises(Broken) as caught:
        answer(
            leg(A), b'{"type":"error","error":{"type":"invalid_request_error","message":"n"}}', 400
        )
    assert not caught.value.verdict.movable
