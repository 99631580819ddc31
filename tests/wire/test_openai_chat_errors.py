"""Errors in OpenAI's dialect, read from whatever upstreams send and written for clients."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.wire.codec import ApiError
from outlast.wire.openai_chat import CODEC

READ: list[tuple[str, int, bytes, ApiError]] = [
    (
        "OpenAI's own",
        404,
        b'{"error":{"message":"No such model","type":"invalid_request_error","param":null,'
        b'"code":"model_not_found"}}',
        ApiError(404, "No such model", "invalid_request_error", code="model_not_found"),
    ),
    ("a word", 500, b'{"error":"CUDA out of memory"}', ApiError(500, "CUDA out of memory")),
    (
        "FastAPI's list of details",
        422,
        b'{"detail":[{"loc":["body"],"msg":"field required"}]}',
        ApiError(422, '[{"loc":["body"],"msg":"field required"}]'),
    ),
    (
        "Google's list",
        429,
        b'[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]',
        ApiError(429, "Quota", "RESOURCE_EXHAUSTED", code="429"),
    ),
    (
        "vLLM's",
        400,
        b'{"object":"error","message":"too long","type":"BadRequestError","code":400}',
        ApiError(400, "too long", "BadRequestError", code="400"),
    ),
    (
        "a page",
        502,
        b"<html><head><title>502 Bad\nGateway</title></head></html>",
        ApiError(502, "502 Bad Gateway"),
    ),
    (
        "a page without a title",
        503,
        b"<!DOCTYPE html>",
        ApiError(503, "an HTML page instead of an answer"),
    ),
    ("plain text", 503, b"upstream connect error", ApiError(503, "upstream connect error")),
    ("nothing", 500, b"", ApiError(500, "the upstream answered HTTP 500 without an explanation")),
    ("not text", 500, b"\xff\x00\xfe", ApiError(500, "\ufffd \ufffd")),
]


@pytest.mark.parametrize(("sentence", "status", "body", "error"), READ, ids=[r[0] for r in READ])
def test_an_upstreams_error_is_read(
    sentence: str, status: int, body: bytes, error: ApiError
) -> None:
    assert CODEC.parse_error(status, body) == error, sentence


@given(st.integers(400, 599), st.binary(max_size=300))
def test_no_error_body_is_too_odd(status: int, body: bytes) -> None:
    error = CODEC.parse_error(status, body)
    assert error.status == status
    assert error.message
    assert error.message.isprintable() or not error.message.isascii()


def test_a_message_has_a_limit() -> None:
    body = b'{"error":{"message":"' + b"a" * 100_000 + b'"}}'
    assert len(CODEC.parse_error(500, body).message) == 2_000


WRITTEN: list[tuple[ApiError, str, str | None]] = [
    (ApiError(400, "x"), "invalid_request_error", None),
    (
        ApiError(400, "x", code="context_length_exceeded"),
        "invalid_request_error",
        "context_length_exceeded",
    ),
    (ApiError(401, "x", "authentication_error"), "invalid_request_error", "invalid_api_key"),
    (ApiError(404, "x", "not_found_error"), "invalid_request_error", "model_not_found"),
    (ApiError(429, "x"), "rate_limit_error", "rate_limit_exceeded"),
    (ApiError(429, "x", "insufficient_quota"), "insufficient_quota", "insufficient_quota"),
    (ApiError(500, "x", "api_error"), "server_error", None),
    (ApiError(502, "x"), "server_error", None),
    (ApiError(503, "x"), "server_error", "overloaded"),
    (ApiError(529, "x", "overloaded_error"), "server_error", "overloaded"),
    (ApiError(418, "x"), "invalid_request_error", None),
]


@pytest.mark.parametrize(("error", "kind", "code"), WRITTEN)
def test_an_error_is_said_in_openais_words(error: ApiError, kind: str, code: str | None) -> None:
    body = CODEC.render_error(error, "req_1")
    assert body == {
        "error": {"message": "x", "type": kind, "param": None, "code": code},
        "request_id": "req_1",
    }
