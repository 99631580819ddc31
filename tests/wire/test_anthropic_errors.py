"""Errors of the Messages API, in both directions, and bodies that are no errors at all."""

from __future__ import annotations

import msgspec
import pytest

from outlast.wire.anthropic import CODEC
from outlast.wire.codec import ApiError

BY_STATUS = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (408, "timeout_error"),
    (409, "conflict_error"),
    (413, "request_too_large"),
    (418, "invalid_request_error"),
    (422, "invalid_request_error"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (502, "api_error"),
    (503, "overloaded_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
    (0, "api_error"),
]


@pytest.mark.parametrize(("status", "kind"), BY_STATUS)
def test_a_status_has_its_type(status: int, kind: str) -> None:
    assert CODEC.render_error(ApiError(status, "Why", "server_error"), "req_1") == {
        "type": "error",
        "error": {"type": kind, "message": "Why"},
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    ("why", "error", "kind", "message"),
    [
        (
            "a vague status is refined",
            ApiError(400, "Pay", "billing_error"),
            "billing_error",
            "Pay",
        ),
        (
            "OpenAI's type for a wrong key is its own",
            ApiError(401, "Key", "invalid_request_error"),
            "authentication_error",
            "Key",
        ),
        (
            "the field at fault is named",
            ApiError(400, "is missing", param="messages"),
            "invalid_request_error",
            "messages: is missing",
        ),
        (
            "but not twice",
            ApiError(400, "messages: is missing", param="messages"),
            "invalid_request_error",
            "messages: is missing",
        ),
        ("there is always a message", ApiError(500, ""), "api_error", "No message was given."),
    ],
)
def test_an_error_of_any_dialect_is_said_in_this_one(
    why: str, error: ApiError, kind: str, message: str
) -> None:
    assert CODEC.render_error(error, "r")["error"] == {"type": kind, "message": message}


BODIES: list[tuple[str, int, bytes, ApiError]] = [
    (
        "Anthropic's own",
        529,
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},'
        b'"request_id":"req_1"}',
        ApiError(529, "Overloaded", "overloaded_error"),
    ),
    (
        "with a code in its details",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"m",'
        b'"details":{"error_code":"image_dimensions_too_large"}}}',
        ApiError(400, "m", "invalid_request_error", code="image_dimensions_too_large"),
    ),
    (
        "OpenAI's",
        404,
        b'{"error":{"message":"No model","type":"invalid_request_error","param":"model",'
        b'"code":"model_not_found"}}',
        ApiError(404, "No model", "invalid_request_error", "model", "model_not_found"),
    ),
    ("a plain message", 500, b'{"message":"Oops"}', ApiError(500, "Oops")),
    ("FastAPI's", 422, b'{"detail":"Wrong"}', ApiError(422, "Wrong")),
    ("an error that is a string", 500, b'{"error":"Oops"}', ApiError(500, "Oops")),
    (
        "an error after 200 has the status of its type",
        200,
        b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow"}}',
        ApiError(429, "Slow", "rate_limit_error"),
    ),
    ("text", 502, b"  upstream\n connect error ", ApiError(502, "upstream connect error")),
    (
        "a page",
        502,
        b"<html><head><title>502 Bad\nGateway</title></head></html>",
        ApiError(502, "The upstream answered HTTP 502 with an HTML page titled '502 Bad Gateway'."),
    ),
    (
        "a page without a title",
        503,
        b"<!DOCTYPE html><p>busy",
        ApiError(503, "The upstream answered HTTP 503 with an HTML page."),
    ),
    ("nothing", 504, b"", ApiError(504, "The upstream answered HTTP 504 without a body.")),
    ("JSON of another kind", 500, b"[1]", ApiError(500, "[1]")),
    ("bytes", 500, b"\xff\xfe", ApiError(500, "\ufffd\ufffd")),
]


@pytest.mark.parametrize(("why", "status", "body", "error"), BODIES, ids=[row[0] for row in BODIES])
def test_a_body_of_any_kind_is_read_for_people(
    why: str, status: int, body: bytes, error: ApiError
) -> None:
    assert CODEC.parse_error(status, body) == error


def test_a_long_body_is_cut() -> None:
    assert len(CODEC.parse_error(500, b"x" * 10_000_000).message) == 2000
    assert len(CODEC.parse_error(500, b'{"message":"' + b"x" * 99_999 + b'"}').message) == 2000


@pytest.mark.parametrize(("status", "kind"), [row for row in BY_STATUS if row[0] >= 500])
def test_what_is_rendered_is_read_back(status: int, kind: str) -> None:
    body = msgspec.json.encode(CODEC.render_error(ApiError(status, "Why"), "req_1"))
    assert CODEC.parse_error(status, body) == ApiError(status, "Why", kind)
