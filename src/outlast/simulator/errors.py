"""Error answers with the words that each vendor uses.

Sources: both vendors' error pages, the error types in their SDKs (anthropic 2.12, openai 3.54),
and bodies as people quote them in issues.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import msgspec

from outlast.nouns import Format
from outlast.simulator.ask import Rejected
from outlast.simulator.frames import Stamp
from outlast.simulator.script import Fault
from outlast.wire.canon import JSON

_ANTHROPIC: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "messages: Input should be a valid list"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your organization has an unpaid invoice."),
    403: ("permission_error", "Your API key does not have permission to use this resource."),
    404: ("not_found_error", "Not found"),
    408: ("timeout_error", "Request timed out"),
    409: ("conflict_error", "The request conflicts with the current state of the resource."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: (
        "rate_limit_error",
        "This request would exceed the rate limit for your organization of 50 requests per minute.",
    ),
    500: ("api_error", "Internal server error"),
    502: ("api_error", "Bad gateway"),
    503: ("api_error", "Service unavailable"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}
_OPENAI: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-sim***. You can find your API key at"
        " https://platform.openai.com/account/api-keys.",
    ),
    402: ("billing_error", "billing_not_active", "Your account is not active."),
    403: (
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "unknown_url", "Invalid URL"),
    408: ("server_error", "request_timeout", "Request timed out."),
    409: ("invalid_request_error", "conflict", "The resource was updated by another request."),
    413: ("invalid_request_error", "request_too_large", "Maximum content size limit exceeded"),
    429: (
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached on requests per min (RPM): Limit 500, Used 500, Requested 1. Please"
        " try again in 120ms. Visit https://platform.openai.com/account/rate-limits to learn more.",
    ),
    500: (
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    ),
    502: ("server_error", None, "Bad gateway."),
    503: (
        "service_unavailable_error",
        "server_is_overloaded",
        "The engine is currently overloaded, please try again later",
    ),
    504: ("server_error", None, "Gateway timeout."),
    529: ("server_error", "server_is_overloaded", "Our servers are currently overloaded."),
}
_VARIANTS: dict[str, tuple[str, str, str]] = {
    "credit_balance": (
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing"
        " to upgrade or purchase credits.",
        "",
    ),
    "insufficient_quota": (
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
    ),
    "context_length": (
        "invalid_request_error",
        "prompt is too long: 201000 tokens > 200000 maximum",
        "context_length_exceeded",
    ),
    "model_not_found": (
        "not_found_error",
        "The requested model does not exist.",
        "model_not_found",
    ),
    "oauth": (
        "authentication_error",
        "OAuth authentication is currently not supported.",
        "invalid_api_key",
    ),
}
"""Other bodies for a status: (Anthropic's type, message, OpenAI's code)."""


class Reply(msgspec.Struct, frozen=True):
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def body_of(wire: Format, status: int, message: str, param: str, code: str, stamp: Stamp) -> JSON:
    """Return the error object of one vendor for a status."""
    if wire is Format.ANTHROPIC:
        kind, words = _ANTHROPIC.get(status, ("api_error", "Internal server error"))
        error: JSON = {"type": kind, "message": message or words}
        return {"type": "error", "error": error, "request_id": stamp.request_id}
    kind, known, words = _OPENAI.get(status, _OPENAI[500])
    error = {
        "message": message or words,
        "type": kind,
        "param": param or None,
        "code": code or (None if message else known),
    }
    return {"error": error}


def rejection(wire: Format, why: Rejected, stamp: Stamp) -> Reply:
    """Return the answer to a request that the vendor refuses."""
    body = body_of(wire, why.status, why.message, why.param, why.code, stamp)
    return Reply(why.status, (("content-type", "application/json"),), msgspec.json.encode(body))


def failure(wire: Format, fault: Fault, stamp: Stamp, wall: float) -> Reply:
    """Return the error answer that a `status` fault asks for."""
    headers: dict[str, str] = {"content-type": "application/json"}
    if fault.html:
        headers["content-type"] = "text/html"
        body = html_page(fault.status)
    else:
        body = msgspec.json.encode(_varied(wire, fault, stamp))
    if fault.status in {429, 529, 503} and fault.retry_after_s is not None:
        headers["retry-after"] = f"{fault.retry_after_s:g}"
    if fault.status == 429:
        headers |= rate_limits(wire, wall, exhausted=True, reset_s=fault.retry_after_s or 60)
    if wire is Format.ANTHROPIC:
        headers["x-should-retry"] = (
            "true" if fault.status in {408, 409, 429} or (fault.status >= 500) else "false"
        )
    headers |= {name.lower(): value for name, value in fault.headers.items()}
    return Reply(fault.status, tuple(headers.items()), body)


def _varied(wire: Format, fault: Fault, stamp: Stamp) -> JSON:
    if fault.variant not in _VARIANTS:
        return body_of(wire, fault.status, fault.message, "", "", stamp)
    kind, words, code = _VARIANTS[fault.variant]
    body = body_of(wire, fault.status, fault.message or words, "", code, stamp)
    if wire is Format.ANTHROPIC or fault.variant == "insufficient_quota":
        body["error"]["type"] = kind
    elif fault.variant == "context_length":
        body["error"]["message"] = (
            "This model's maximum context length is 128000 tokens. However, your messages"
            " resulted in 201000 tokens. Please reduce the length of the messages."
        )
        body["error"]["param"] = "messages"
    return body


def in_stream(wire: Format, fault: Fault) -> tuple[str, str]:
    """Return (type or code, message) of an error inside a stream."""
    if wire is Format.ANTHROPIC:
        return (
            _ANTHROPIC.get(fault.status, _ANTHROPIC[500])[0],
            fault.message or _ANTHROPIC.get(fault.status, _ANTHROPIC[500])[1],
        )
    _, code, words = _OPENAI.get(fault.status, _OPENAI[500])
    return code or "server_error", fault.message or words


def html_page(status: int) -> bytes:
    """Return the page that a proxy before the vendor sends."""
    known = {item.value: item.phrase for item in HTTPStatus}
    title = f"{status} {known.get(status, 'Service Unavailable')}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>"
        "</center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    ).encode()


def rate_limits(
    wire: Format, wall: float, *, exhausted: bool = False, reset_s: float = 60
) -> dict[str, str]:
    """Return the vendor's rate-limit headers."""
    if wire is Format.ANTHROPIC:
        moment = datetime.fromtimestamp(wall, UTC) + timedelta(seconds=reset_s)
        reset = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        headers: dict[str, str] = {}
        for what, limit in (("requests", 4000), ("input-tokens", 2000000), ("tokens", 2400000)):
            left = 0 if exhausted and what == "requests" else limit - limit // 10
            headers |= {
                f"anthropic-ratelimit-{what}-limit": str(limit),
                f"anthropic-ratelimit-{what}-remaining": str(left),
                f"anthropic-ratelimit-{what}-reset": reset,
            }
        return headers
    return {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "0" if exhausted else "499",
        "x-ratelimit-reset-requests": f"{reset_s:g}s" if exhausted else "120ms",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-tokens": "199000",
        "x-ratelimit-reset-tokens": "6m0s",
    }
