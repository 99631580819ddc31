"""What the client is told when nobody could answer: true, actionable, in the tool's own terms."""

from __future__ import annotations

import json

import pytest

from outlast.gateway.verdicts import broken_message, exhausted, passed_headers, reply, status_of
from outlast.nouns import Candidate, Format, Kind, Outcome, Scope
from outlast.outcome import Fault, FaultKind, Verdict, classify_fault, classify_status
from outlast.wire import CODECS
from outlast.wire.codec import ApiError

A, C, R = Format.ANTHROPIC, Format.OPENAI_CHAT, Format.OPENAI_RESPONSES
ONE = Candidate("one", "m", Kind.ANTHROPIC, "one", "one", "one")
TWO = Candidate("two", "m", Kind.OPENAI_CHAT, "two", "two", "two")
LOCAL = Candidate("local", "m", Kind.LOCAL, "local", "local", "local")


def fault(kind: FaultKind, retry_after_s: float | None = None) -> Verdict:
    return classify_fault(Fault(kind, retry_after_s=retry_after_s))


def limited(retry_after_s: float | None) -> Verdict:
    return classify_status(429, retry_after_s=retry_after_s)


ROWS: list[tuple[str, Format, list[tuple[Candidate, Verdict]], int, dict[str, str], str]] = [
    (
        "overloaded, to Anthropic's clients",
        A,
        [(ONE, classify_status(529)), (TWO, classify_status(503))],
        529,
        {"retry-after": "5"},
        "one: HTTP 529; two: HTTP 503",
    ),
    (
        "overloaded, to OpenAI's clients: Codex retries 503",
        R,
        [(ONE, classify_status(529))],
        503,
        {"retry-after": "5"},
        "No upstream could answer",
    ),
    (
        "rate limited everywhere: the shortest wait",
        C,
        [(ONE, limited(30)), (TWO, limited(7.4))],
        429,
        {"retry-after": "7"},
        "Try again in 7 s",
    ),
    ("a wait of none is one second", A, [(ONE, limited(0))], 429, {"retry-after": "1"}, "1 s"),
    ("a day's wait is capped", A, [(ONE, limited(86_400))], 429, {"retry-after": "60"}, "60 s"),
    ("an unsaid wait", A, [(ONE, limited(None))], 429, {"retry-after": "5"}, "rate limit"),
    (
        "one limited, one down: not the caller's pace",
        A,
        [(ONE, limited(9)), (TWO, classify_status(500))],
        529,
        {"retry-after": "9"},
        "No upstream could answer",
    ),
    (
        "our own credentials: never a 401",
        A,
        [(ONE, classify_status(401)), (TWO, classify_status(403))],
        502,
        {"x-should-retry": "false"},
        "Your key is fine",
    ),
    (
        "two providers silent: no network",
        A,
        [(ONE, fault("connect_timeout")), (TWO, fault("dns_unavailable"))],
        529,
        {"retry-after": "5"},
        "Outlast has no network",
    ),
    (
        "no route: no network, the local one not ready",
        C,
        [(ONE, fault("unreachable")), (LOCAL, fault("not_ready", 3))],
        503,
        {"retry-after": "3"},
        "Outlast has no network",
    ),
    (
        "one provider silent: that provider",
        A,
        [(ONE, fault("connect_timeout"))],
        529,
        {"retry-after": "5"},
        "No upstream could answer",
    ),
    (
        "an error of our own is not called a missing network",
        A,
        [(ONE, fault("internal"))],
        529,
        {"retry-after": "5"},
        "an error of our own",
    ),
    (
        "our own limit is not called a missing network",
        A,
        [(ONE, fault("too_many", 1))],
        529,
        {"retry-after": "1"},
        "our limit of requests at once",
    ),
    ("nobody may answer", A, [], 503, {"x-should-retry": "false"}, "outlast-allow"),
]


@pytest.mark.parametrize(
    ("sentence", "form", "tried", "status", "headers", "words"), ROWS, ids=[r[0] for r in ROWS]
)
def test_when_nobody_could_answer_the_status_and_the_words_are_true(
    sentence: str,
    form: Format,
    tried: list[tuple[Candidate, Verdict]],
    status: int,
    headers: dict[str, str],
    words: str,
) -> None:
    error, extra = exhausted(form, tried, 12.3)
    assert (error.status, extra) == (status, headers), sentence
    assert words in error.message


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (classify_status(529), 529),
        (fault("unreachable"), 529),
        (limited(1), 429),
        (fault("first_byte_timeout"), 504),
        (fault("stall"), 504),
        (fault("reset"), 502),
        (classify_status(401), 502),
        (classify_status(500), 502),
    ],
)
def test_a_verdict_has_a_status_that_says_the_same(verdict: Verdict, status: int) -> None:
    assert status_of(verdict) == status


def test_every_failure_has_such_a_status() -> None:
    for outcome in Outcome:
        assert 400 <= status_of(Verdict(outcome, Scope.PROVIDER, "")) < 600


def test_a_broken_answer_names_who_and_what_and_what_to_do() -> None:
    message = broken_message(ONE, fault("stall"))
    assert "one failed in the middle (the answer stood still)" in message
    assert "incomplete" in message
    assert "Send the request again" in message
    assert "the upstream failed" in broken_message(None, fault("stall"))


def test_only_headers_that_clients_read_are_passed_back() -> None:
    upstream = {
        "request-id": "req_1",
        "x-request-id": "r",
        "anthropic-ratelimit-requests-remaining": "4",
        "x-ratelimit-reset-tokens": "6m0s",
        "openai-processing-ms": "1",
        "retry-after": "3",
        "retry-after-ms": "3000",
        "x-should-retry": "true",
        "server-timing": "a",
        "content-type": "text/event-stream",
        "content-length": "10",
        "content-encoding": "gzip",
        "transfer-encoding": "chunked",
        "set-cookie": "__cf_bm=secret",
        "connection": "keep-alive",
        "server": "cloudflare",
        "outlast-served-by": "a forgery",
    }
    assert sorted(passed_headers(upstream)) == sorted(list(upstream)[:9])


@pytest.mark.parametrize(
    ("form", "name"), [(A, "request-id"), (C, "x-request-id"), (R, "x-request-id")]
)
def test_an_error_is_in_the_clients_dialect_with_its_request_id(form: Format, name: str) -> None:
    made = reply(CODECS[form], ApiError(404, "no such model"), "req_9", {"retry-after": "1"})
    assert (made.status, made.headers[name], made.headers["retry-after"]) == (404, "req_9", "1")
    assert made.headers["content-type"] == "application/json"
    assert "no such model" in json.loads(made.body)["error"]["message"]
