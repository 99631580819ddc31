"""Errors in OpenAI's dialect: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from outlast.wire.canon import JSON
from outlast.wire.codec import ApiError
from outlast.wire.stream import Failed

MESSAGE_LIMIT = 2_000
WORD_LIMIT = 120
BODY_LIMIT_BYTES = 256 << 10

_BY_STATUS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    408: ("timeout_error", "timeout"),
    409: ("invalid_request_error", "conflict"),
    413: ("invalid_request_error", "request_too_large"),
    415: ("invalid_request_error", "unsupported_media_type"),
    422: ("invalid_request_error", None),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", "overloaded"),
    504: ("server_error", "timeout"),
    529: ("server_error", "overloaded"),
}
"""Status → OpenAI's type and code."""

_OURS = frozenset({
    "invalid_request_error", "insufficient_quota", "rate_limit_error", "server_error", "requests",
    "tokens", "permission_error", "timeout_error",
})  # fmt: skip

_STATUS_BY_WORD = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "content_policy_violation": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "requests": 429,
    "tokens": 429,
    "server_error": 500,
    "api_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "internalservererror": 500,
    "server_overloaded": 503,
    "server_is_overloaded": 503,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
    "insufficient_system_resource": 503,
    "timeout": 504,
    "timeout_error": 504,
    "overloaded": 529,
    "overloaded_error": 529,
}

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def parse_error(status: int, body: bytes) -> ApiError:
    """Return an upstream's error as people read it; never raises, whatever the body holds."""
    text = body[:BODY_LIMIT_BYTES].decode("utf-8", "replace").strip()
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ApiError(status, _clean(_page(text)) or _nothing(status))
    if isinstance(value, list) and value:
        value = value[0]
    message, kind, param, code = read_error(value)
    return ApiError(status, message or _nothing(status), type=kind, param=param, code=code)


def read_error(value: object) -> tuple[str, str, str, str]:
    """Return message, type, param and code of whatever a server calls an error."""
    outer = value if isinstance(value, dict) else {"message": value}
    inner = outer.get("error")
    if isinstance(inner, str):
        inner = {"message": inner}
    fields: JSON = inner if isinstance(inner, dict) else outer
    message = fields.get("message") or fields.get("detail") or fields.get("msg") or ""
    if isinstance(message, (dict, list)):
        message = _as_text(message)
    return (
        _clean(str(message)),
        _word(fields.get("type") or fields.get("status")),
        _word(fields.get("param")),
        _word(fields.get("code")),
    )


def failed_of(value: object) -> Failed:
    """Return the event for an error object inside a stream."""
    message, kind, _, code = read_error(value)
    status = 0
    for word in (code, kind):
        if word.isascii() and word.isdigit() and 400 <= int(word[:4]) <= 599:
            status = status or int(word[:4])
        status = status or _STATUS_BY_WORD.get(word.lower(), 0)
    name = kind if kind and not kind.isdigit() else code
    return Failed(
        type=name or "server_error",
        message=message or "the upstream reported an error without saying which",
        status=status,
    )


def render_error(error: ApiError, request_id: str) -> JSON:
    """Return the error body; a type of another dialect is replaced by the status's own."""
    kind, code = _BY_STATUS.get(error.status) or _BY_STATUS[500 if error.status >= 500 else 400]
    if error.type in _OURS:
        kind = error.type
    if kind == "insufficient_quota":
        code = "insufficient_quota"
    inner = {
        "message": error.message,
        "type": kind,
        "param": error.param or None,
        "code": error.code or code,
    }
    body: JSON = {"error": inner}
    if request_id:
        body["request_id"] = request_id
    return body


def _nothing(status: int) -> str:
    return f"the upstream answered HTTP {status} without an explanation"


def _page(text: str) -> str:
    """Return the title of an HTML page, else the text itself."""
    if text[:1] == "<":
        title = _TITLE.search(text[:20_000])
        return title[1] if title else "an HTML page instead of an answer"
    return text


def _clean(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text[: 2 * MESSAGE_LIMIT]).split())[:MESSAGE_LIMIT]


def _word(value: Any) -> str:
    if value is None or isinstance(value, (bool, dict, list)):
        return ""
    return _clean(str(value)[: 2 * WORD_LIMIT])[:WORD_LIMIT]


def _as_text(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeError, RecursionError, msgspec.MsgspecError):
        return ""
