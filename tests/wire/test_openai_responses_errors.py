"""Errors in OpenAI's dialect, whatever an upstream sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.wire.codec import ApiError
from outlast.wire.openai_responses import CODEC


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            429,
            b'{"error":{"message":"m","type":"tokens","param":null,"code":"rate_limit_exceeded"}}',
            ApiError(429, "m", "tokens", "", "rate_limit_exceeded"),
        ),
        (400, b'{"error":{"message":"m","param":"input"}}', ApiError(400, "m", param="input")),
        (400, b'{"error":"plain"}', ApiError(400, "plain")),
        (404, b'{"detail":"Not Found"}', ApiError(404, "Not Found")),
        (500, b'{"error":{"message":"m","code":500}}', ApiError(500, "m", code="500")),
        (500, b"", ApiError(500, "the upstream answered HTTP 500 with an empty body")),
        (500, b"[]", ApiError(500, "the upstream answered HTTP 500 without a reason")),
        (
            502,
            b"<html><head><title>502 Bad\n Gateway</title>",
            ApiError(502, "the upstream answered HTTP 502 with a web page: 502 Bad Gateway"),
        ),
        (
            503,
            b"no healthy upstream",
            ApiError(503, "the upstream answered HTTP 503: no healthy upstream"),
        ),
    ],
)
def test_each_kind_of_error_body(status: int, body: bytes, expected: ApiError) -> None:
    assert CODEC.parse_error(status, body) == expected


@given(st.integers(100, 599), st.binary())
def test_no_body_is_too_strange(status: int, body: bytes) -> None:
    error = CODEC.parse_error(status, body)
    assert error.status == status
    assert error.message


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (ApiError(400, "m"), "invalid_request_error", None),
        (
            ApiError(400, "prompt is too long: 9 > 8"),
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (ApiError(401, "m"), "authentication_error", "invalid_api_key"),
        (ApiError(429, "m"), "rate_limit_error", "rate_limit_exceeded"),
        (ApiError(529, "m"), "server_error", None),
        (ApiError(503, "m", code="server_is_overloaded"), "server_error", "server_error"),
        (ApiError(400, "m", "own_type", "input", "own"), "own_type", "own"),
    ],
)
def test_each_status_has_its_type_and_code(error: ApiError, kind: str, code: str | None) -> None:
    body = CODEC.render_error(error, "")["error"]
    assert (body["type"], body["code"]) == (kind, code)
    assert body["param"] == (error.param or None)


def test_the_request_id_can_be_found() -> None:
    body = CODEC.render_error(ApiError(529, "All are overloaded."), "req_1")
    assert body["request_id"] == "req_1"
    assert "req_1" in body["error"]["message"]
