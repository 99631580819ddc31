"""Errors of the Messages API: type ↔ status, and bodies of any kind read for people. Pure.

Source of the table: docs "API errors" (and the types of the official SDK 2.12).
"""

from __future__ import annotations

import re

import msgspec

from outlast.wire.canon import JSON
from outlast.wire.codec import ApiError

STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPE_OF_STATUS = {status: name for name, status in STATUS_OF_TYPE.items()} | {
    408: "timeout_error",
    422: "invalid_request_error",
    503: "overloaded_error",
}
_VAGUE = {400, 500, 502, 503}
"""Statuses that a more exact type may refine: an empty balance is a 400 `billing_error`."""

_READ_LIMIT_BYTES = 64 << 10
_MESSAGE_LIMIT_CHARS = 2000
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)


def status_of(error_type: str) -> int:
    """Return the HTTP status of an error type; 0 where it is not in the table."""
    return STATUS_OF_TYPE.get(error_type, 0)


def type_of(error: ApiError) -> str:
    """Return the type that Anthropic uses for this error."""
    if error.type in STATUS_OF_TYPE and error.status in _VAGUE:
        return error.type
    if named := _TYPE_OF_STATUS.get(error.status):
        return named
    return "invalid_request_error" if 400 <= error.status < 500 else "api_error"


def render_error(error: ApiError, request_id: str) -> JSON:
    """Return an error body. A field that is at fault is named at the head of the message."""
    message = error.message or "No message was given."
    if error.param and error.param not in message:
        message = f"{error.param}: {message}"
    return {
        "type": "error",
        "error": {"type": type_of(error), "message": message},
        "request_id": request_id,
    }


def parse_error(status: int, body: bytes) -> ApiError:
    """Return what an error body says, whatever it is made of. Never raises.

    A body that arrived with a status below 400 takes the status of its type.
    """
    found = _from_json(body[: _READ_LIMIT_BYTES * 16])
    if found is None:
        return ApiError(status, _from_text(status, body[:_READ_LIMIT_BYTES]))
    kind, message, param, code = found
    if status < 400:
        status = status_of(kind) or status
    return ApiError(status, message[:_MESSAGE_LIMIT_CHARS], kind, param, code)


def _from_json(body: bytes) -> tuple[str, str, str, str] | None:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(decoded, dict):
        return None
    error = decoded.get("error", decoded)
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return None
    message = _first_text(error, "message", "detail") or _first_text(decoded, "message", "detail")
    kind = _first_text(error, "type")
    if not message and not kind:
        return None
    details = error.get("details")
    code = _first_text(error, "code")
    if not code and isinstance(details, dict):
        code = _first_text(details, "error_code")
    return kind, message or kind, _first_text(error, "param"), code


def _first_text(source: JSON, *keys: str) -> str:
    for key in keys:
        value = source.get(key)
        if isinstance(value, str) and value:
            return value
        if type(value) is int and abs(value) < 10**12:
            return str(value)
    return ""


def _from_text(status: int, body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return f"The upstream answered HTTP {status} without a body."
    if text.startswith("<"):
        title = _TITLE.search(text)
        named = f" titled {' '.join(title[1].split())!r}" if title else ""
        return f"The upstream answered HTTP {status} with an HTML page{named}."
    return " ".join(text.split())[:_MESSAGE_LIMIT_CHARS]
