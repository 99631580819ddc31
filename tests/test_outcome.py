"""What failures mean: one row each, with the body as the vendor sends it."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Format, Outcome, Scope
from outlast.outcome import (
    Fault,
    FaultKind,
    Verdict,
    classify_fault,
    classify_status,
    retry_after_s,
)
from outlast.wire import CODECS
from outlast.wire.sse import parse_event
from outlast.wire.stream import Failed

A, C, R = Format.ANTHROPIC, Format.OPENAI_CHAT, Format.OPENAI_RESPONSES


def verdict_of(form: Format, status: int, body: object) -> Verdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = CODECS[form].parse_error(status, raw)
    return classify_status(status, type=error.type, code=error.code, message=error.message)


def anthropic(kind: str, message: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def openai(message: str, kind: str = "invalid_request_error", code: str | None = None) -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


CALLER = ("caller_error", "request")
KEY = ("auth", "credential")
ACCOUNT = ("rate_limited", "account")
BUSY = ("overloaded", "provider")
ERROR = ("server_error", "provider")
NOT_HERE = ("server_error", "model")
SLOW = ("timeout", "provider")

STATUSES: list[tuple[str, Format, int, object, tuple[str, str]]] = [
    # The request: the same everywhere.
    (
        "a malformed request",
        A,
        400,
        anthropic("invalid_request_error", "messages: at least one message is required"),
        CALLER,
    ),
    (
        "a request too large",
        A,
        413,
        anthropic("request_too_large", "Request exceeds the maximum size"),
        CALLER,
    ),
    ("a wrong field", C, 422, {"detail": [{"loc": ["body", "n"], "msg": "bad"}]}, CALLER),
    (
        "a tool of the caller's about spending is no empty balance",
        A,
        400,
        anthropic("invalid_request_error", "tools.0.input_schema.properties.spending: invalid"),
        CALLER,
    ),
    (
        "a file of the caller's that does not exist",
        A,
        404,
        anthropic("not_found_error", "File not found: file_011CNha8iCJcU1wXNR6q4V8w"),
        CALLER,
    ),
    (
        "an item that was never stored",
        R,
        404,
        openai("Item with id 'msg_1' not found. Items are not persisted when `store` is false."),
        CALLER,
    ),
    (
        "a conversation that is gone",
        R,
        404,
        openai("Conversation with id 'c' not found."),
        CALLER,
    ),
    # The credential.
    ("an unknown key", A, 401, anthropic("authentication_error", "invalid x-api-key"), KEY),
    (
        "an unknown key at OpenAI",
        C,
        401,
        openai("Incorrect API key provided: sk-x.", code="invalid_api_key"),
        KEY,
    ),
    ("a key without the right", A, 403, anthropic("permission_error", "not permitted"), KEY),
    (
        "Gemini refuses a key with a 400",
        C,
        400,
        [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
        KEY,
    ),
    (
        "a page of the network's guard in front of the vendor",
        C,
        403,
        b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>",
        KEY,
    ),
    # The account: quota before rate limit.
    (
        "Anthropic's empty balance is a 400",
        A,
        400,
        anthropic(
            "invalid_request_error", "Your credit balance is too low to access the Anthropic API."
        ),
        ACCOUNT,
    ),
    (
        "Anthropic's spend limit is a 400",
        A,
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on "
            "2026-04-01 at 00:00 UTC.",
        ),
        ACCOUNT,
    ),
    ("Anthropic's billing error", A, 400, anthropic("billing_error", "Payment needed"), ACCOUNT),
    (
        "OpenAI's empty balance is a 429",
        C,
        429,
        openai("You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
        ACCOUNT,
    ),
    (
        "OpenRouter's key limit is a 403",
        C,
        403,
        {"error": {"code": 403, "message": "Key limit exceeded (monthly limit)."}},
        ACCOUNT,
    ),
    ("DeepSeek's empty balance", C, 402, openai("Insufficient Balance", "unknown_error"), ACCOUNT),
    ("a rate limit", A, 429, anthropic("rate_limit_error", "This request would exceed"), ACCOUNT),
    ("a rate limit without a body", C, 429, b"", ACCOUNT),
    (
        "Groq's rate limit is a 413",
        C,
        413,
        openai("Request too large on tokens per minute", "tokens", "rate_limit_exceeded"),
        ACCOUNT,
    ),
    # The model, or a place without it.
    ("no such model here", A, 404, anthropic("not_found_error", "model: claude-9"), NOT_HERE),
    (
        "no such model at OpenAI",
        C,
        404,
        openai("The model `gpt-9` does not exist", code="model_not_found"),
        NOT_HERE,
    ),
    (
        "a project without this model: the key is fine",
        C,
        403,
        openai("Project `p` does not have access to model `m`", code="model_not_found"),
        NOT_HERE,
    ),
    (
        "a model file is a model",
        C,
        404,
        openai("model file qwen.gguf not found, try pulling it first"),
        NOT_HERE,
    ),
    (
        "llama.cpp's words for an endpoint that it lacks",
        C,
        404,
        {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}},
        NOT_HERE,
    ),
    ("OpenAI's words for it", R, 404, openai("Invalid URL (POST /v1/responses)"), NOT_HERE),
    (
        "OpenAI's other words",
        R,
        404,
        openai("Unknown request URL: POST /responses.", code="unknown_url"),
        NOT_HERE,
    ),
    (
        "Express's words",
        R,
        404,
        b"Cannot POST /v1/responses",
        NOT_HERE,
    ),
    ("FastAPI's words", R, 404, {"detail": "Not Found"}, NOT_HERE),
    ("Ollama's words", R, 404, b"404 page not found", NOT_HERE),
    ("a method it does not take", C, 405, {"detail": "Method Not Allowed"}, NOT_HERE),
    ("a model that was retired", C, 410, openai("gone"), NOT_HERE),
    ("Bedrock's model failed", A, 424, {"message": "The model returned an error"}, NOT_HERE),
    ("a conflict", A, 409, anthropic("conflict_error", "try again"), NOT_HERE),
    # The provider.
    ("overloaded", A, 529, anthropic("overloaded_error", "Overloaded"), BUSY),
    ("overloaded with a 500", A, 500, anthropic("overloaded_error", "Overloaded"), BUSY),
    ("unavailable", C, 503, openai("The engine is overloaded", "server_error"), BUSY),
    (
        "a page of a load balancer",
        C,
        503,
        b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>",
        BUSY,
    ),
    ("an internal error", A, 500, anthropic("api_error", "Internal server error"), ERROR),
    ("a bad gateway's page", C, 502, b"<html><title>502 Bad Gateway</title></html>", ERROR),
    ("Cloudflare cannot reach the vendor", C, 520, b"error code: 520", ERROR),
    ("an upstream that took too long", A, 504, anthropic("timeout_error", "Timed out"), SLOW),
    ("Cloudflare's time-out", C, 524, b"error code: 524", SLOW),
    ("Cloudflare's connection time-out", C, 522, b"error code: 522", SLOW),
    ("a request time-out", C, 408, b"", SLOW),
    ("bytes that are no text at all", C, 500, b"\xff\xfe\x00\x01", ERROR),
    ("a bottomless body", R, 500, b"[" * 5000, ERROR),
]


@pytest.mark.parametrize(
    ("sentence", "form", "status", "body", "expected"), STATUSES, ids=[row[0] for row in STATUSES]
)
def test_a_status_and_its_body_say_whose_fault_it_is(
    sentence: str, form: Format, status: int, body: object, expected: tuple[str, str]
) -> None:
    verdict = verdict_of(form, status, body)
    assert (verdict.outcome, verdict.scope) == expected, sentence
    assert verdict.movable == (expected is not CALLER)
    assert verdict.evidence.startswith(f"HTTP {status}")
    assert verdict.network == "carried"


CONTEXT = [
    (A, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")),
    (
        A,
        anthropic(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000",
        ),
    ),
    (C, openai("This model's maximum context length is 8192 tokens.")),
    (C, openai("too long", code="context_length_exceeded")),
    (R, openai("Your input exceeds the context window of this model.")),
    (
        C,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size",
                "type": "exceed_context_size_error",
            }
        },
    ),
    (
        C,
        openai("The input token count (2000000) exceeds the maximum number of tokens allowed (1)."),
    ),
]


@pytest.mark.parametrize(("form", "body"), CONTEXT)
def test_a_prompt_too_long_is_recognised_in_every_dialect(form: Format, body: object) -> None:
    verdict = verdict_of(form, 400, body)
    assert (verdict.scope, verdict.context_exceeded) == (Scope.REQUEST, True)


def test_other_faults_of_the_caller_are_not_about_the_context() -> None:
    assert not verdict_of(A, 400, anthropic("invalid_request_error", "bad")).context_exceeded


IN_STREAM = [
    (A, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, BUSY),
    (A, {"type": "error", "error": {"type": "api_error", "message": "x"}}, ERROR),
    (A, {"type": "error", "error": {"type": "timeout_error", "message": "x"}}, SLOW),
    (A, {"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}, ACCOUNT),
    (A, {"type": "error", "error": {"type": "brand_new_error", "message": "x"}}, ERROR),
    (A, {"type": "error", "error": {"type": "invalid_request_error", "message": "x"}}, CALLER),
    (C, openai("x", "server_error"), ERROR),
    (C, openai("x", "overloaded_error"), BUSY),
    (C, openai("x", "server_error", "server_overloaded"), BUSY),
    (C, openai("x", "tokens", "rate_limit_exceeded"), ACCOUNT),
    (C, openai("x", "insufficient_quota", "insufficient_quota"), ACCOUNT),
    (C, {"error": {"code": 502, "message": "Provider returned error"}}, ERROR),
    (C, {"error": {"code": 429, "message": "Rate limited"}}, ACCOUNT),
    (C, openai("x", "never_seen"), ERROR),
    (R, {"type": "error", "code": "server_is_overloaded", "message": "x"}, BUSY),
    (R, {"type": "error", "code": "slow_down", "message": "x"}, BUSY),
    (R, {"type": "error", "code": "rate_limit_exceeded", "message": "x"}, ACCOUNT),
    (R, {"type": "error", "code": "server_error", "message": "x"}, ERROR),
    (R, {"type": "error", "code": "never_seen", "message": "x"}, ERROR),
]


@pytest.mark.parametrize(("form", "body", "expected"), IN_STREAM)
def test_an_error_inside_a_200_means_the_same_as_its_status(
    form: Format, body: Any, expected: tuple[str, str]
) -> None:
    name = b"event: error\n" if form is A else b""
    frame = parse_event(name + b"data: " + json.dumps(body).encode() + b"\n\n")
    (failed,) = CODECS[form].reader().feed(frame)
    assert isinstance(failed, Failed)
    verdict = classify_status(
        failed.status, type=failed.type, message=failed.message, in_answer=True
    )
    assert (verdict.outcome, verdict.scope) == expected
    assert verdict.evidence.endswith("inside the answer")
    assert "HTTP" not in verdict.evidence  # the status line said 200


FAULTS: list[tuple[FaultKind, Outcome, Scope, str]] = [
    ("refused", Outcome.CONNECT_FAILED, Scope.PROVIDER, "carried"),
    ("dns", Outcome.CONNECT_FAILED, Scope.PROVIDER, "silent"),
    ("dns_unavailable", Outcome.CONNECT_FAILED, Scope.PROVIDER, "silent"),
    ("connect_timeout", Outcome.CONNECT_FAILED, Scope.PROVIDER, "silent"),
    ("unreachable", Outcome.OURS, Scope.OURS, "ours"),
    ("tls", Outcome.CONNECT_FAILED, Scope.PROVIDER, "carried"),
    ("reset", Outcome.BROKEN_STREAM, Scope.PROVIDER, "carried"),
    ("eof", Outcome.BROKEN_STREAM, Scope.PROVIDER, "carried"),
    ("first_byte_timeout", Outcome.TIMEOUT, Scope.PROVIDER, "unknown"),
    ("stall", Outcome.STALLED, Scope.PROVIDER, "unknown"),
    ("malformed", Outcome.BROKEN_STREAM, Scope.PROVIDER, "carried"),
    ("oversize", Outcome.BROKEN_STREAM, Scope.MODEL, "carried"),
    ("wrong_type", Outcome.SERVER_ERROR, Scope.PROVIDER, "carried"),
    ("busy", Outcome.OVERLOADED, Scope.MODEL, "unknown"),
    ("not_ready", Outcome.OVERLOADED, Scope.MODEL, "unknown"),
    ("too_many", Outcome.OURS, Scope.MODEL, "unknown"),
    ("internal", Outcome.OURS, Scope.OURS, "unknown"),
]


@pytest.mark.parametrize(("kind", "outcome", "scope", "network"), FAULTS)
def test_a_broken_attempt_says_whose_fault_it_is_and_whether_the_network_carries(
    kind: FaultKind, outcome: Outcome, scope: Scope, network: str
) -> None:
    verdict = classify_fault(Fault(kind, "detail", retry_after_s=2))
    assert (verdict.outcome, verdict.scope, verdict.network) == (outcome, scope, network)
    assert verdict.movable
    assert verdict.evidence.endswith("(detail)")
    assert verdict.retry_after_s == 2


def test_every_kind_of_fault_has_a_row() -> None:
    assert {row[0] for row in FAULTS} == set(get_args(FaultKind))


NOW = 1_772_445_600.0  # Mon, 02 Mar 2026 10:00:00 GMT

WAITS: list[tuple[str, dict[str, str], float | None]] = [
    ("seconds", {"retry-after": "20"}, 20),
    ("parts of seconds, which vendors send", {"retry-after": "0.5"}, 0.5),
    ("at once", {"retry-after": "0"}, 0),
    ("milliseconds come first", {"retry-after-ms": "1500", "retry-after": "20"}, 1.5),
    ("nonsense milliseconds leave the seconds", {"retry-after-ms": "x", "retry-after": "20"}, 20),
    ("nothing said", {}, None),
    ("a date", {"retry-after": "Mon, 02 Mar 2026 10:01:30 GMT"}, 90),
    ("a date in the past", {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
    ("a date in another zone", {"retry-after": "Mon, 02 Mar 2026 10:01:30 CET"}, None),
    ("a month that is none", {"retry-after": "Mon, 02 Foo 2026 10:01:30 GMT"}, None),
    ("a year of a thousand digits", {"retry-after": f"Mon, 02 Mar {'9' * 999} 10:00:00 GMT"}, None),
    ("nonsense", {"retry-after": "soon"}, None),
    ("empty", {"retry-after": ""}, None),
    ("not a number", {"retry-after": "nan"}, None),
    ("for ever", {"retry-after": "inf"}, None),
    ("for ever, in digits", {"retry-after": "1e999"}, None),
    ("a number of thousands of digits", {"retry-after": "9" * 5000}, None),
    ("negative", {"retry-after": "-5"}, None),
    ("not a number of milliseconds", {"retry-after-ms": "nan"}, None),
    ("Python's spelling of a number", {"retry-after": "1_000"}, None),
    ("a day: who waits has limits of his own", {"retry-after": "86400"}, 86400),
]


@pytest.mark.parametrize(("sentence", "headers", "expected"), WAITS, ids=[row[0] for row in WAITS])
def test_retry_after_is_read_as_vendors_write_it(
    sentence: str, headers: dict[str, str], expected: float | None
) -> None:
    assert retry_after_s(headers, NOW) == expected, sentence


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_any_http_date_is_read_right(at: int) -> None:
    wait_s = retry_after_s({"retry-after": formatdate(at, usegmt=True)}, 0.0)
    assert wait_s == at


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_wait_is_a_finite_number_or_nothing(seconds: str, milliseconds: str) -> None:
    wait_s = retry_after_s({"retry-after": seconds, "retry-after-ms": milliseconds}, NOW)
    assert wait_s is None or 0 <= wait_s < 1e15


@given(st.integers(0, 999), st.text(max_size=60), st.text(max_size=60), st.text(max_size=200))
def test_every_status_means_something(status: int, kind: str, code: str, message: str) -> None:
    verdict = classify_status(status, type=kind, code=code, message=message)
    assert verdict.outcome is not Outcome.OK
    assert verdict.scope is not Scope.NONE
