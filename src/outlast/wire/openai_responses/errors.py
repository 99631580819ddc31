"""Errors in OpenAI's dialect: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from outlast.wire.canon import JSON
from outlast.wire.codec import ApiError

_MESSAGE_LIMIT = 2000
_TYPES = {
    401: ("authentication_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_error", None),
    404: ("invalid_request_error", None),
    408: ("server_error", "timeout"),
    409: ("conflict_error", None),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}
_FATAL = ("server_is_overloaded", "slow_down")
"""Codes that make Codex give up at once, where it would retry any other server error."""
_TOO_LONG = re.compile(
    r"(prompt|input|context).{0,40}(too long|too large|exceed)|context.?(length|window)",
    re.IGNORECASE,
)
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)


def stream_error_code(status: int, message: str) -> str:
    """Return the code for `response.failed`.

    Clients retry `server_error`, so it stands for all that may pass; what a repetition cannot
    mend gets a code that ends the turn.
    """
    if status in (400, 413, 422):
        return "context_length_exceeded" if _TOO_LONG.search(message) else "invalid_prompt"
    return "server_error"


def parse_error(status: int, body: bytes) -> ApiError:
    """Return what an upstream's error body says, whatever it is. Never raises."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ApiError(status, _not_json(status, body))
    raw = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(raw, str) and raw:
        return ApiError(status, raw[:_MESSAGE_LIMIT])
    if not isinstance(raw, dict):
        return ApiError(status, f"the upstream answered HTTP {status} without a reason")
    message = next((m for key in ("message", "detail", "error") if (m := _text(raw, key))), "")
    return ApiError(
        status,
        (message or f"the upstream answered HTTP {status} without a reason")[:_MESSAGE_LIMIT],
        type=_text(raw, "type"),
        param=_text(raw, "param"),
        code=_text(raw, "code"),
    )


def _text(raw: JSON, key: str) -> str:
    value = raw.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _not_json(status: int, body: bytes) -> str:
    head = body[:16384]
    if not head.strip():
        return f"the upstream answered HTTP {status} with an empty body"
    if match := _TITLE.search(head):
        title = " ".join(match[1].decode("utf-8", "replace").split())
        return f"the upstream answered HTTP {status} with a web page: {title}"
    text = " ".join(head.decode("utf-8", "replace").split())
    return f"the upstream answered HTTP {status}: {text[:300]}"


def render_error(error: ApiError, request_id: str) -> JSON:
    """Return the body. The request id goes into the text, as OpenAI does, and into a field."""
    kind, code = _TYPES.get(
        error.status,
        ("server_error", None) if error.status >= 500 else ("invalid_request_error", None),
    )
    said = error.code if error.code not in _FATAL else "server_error"
    if error.status < 500 and error.status != 429 and _TOO_LONG.search(error.message):
        said = said or "context_length_exceeded"
    message = error.message
    if request_id and error.status >= 500 and request_id not in message:
        message = f"{message} (request id {request_id})"
    body: JSON = {
        "message": message,
        "type": error.type or kind,
        "param": error.param or None,
        "code": said or code,
    }
    return {"error": body, "request_id": request_id} if request_id else {"error": body}
