"""Token counts, and the codes of errors inside an answer."""

from __future__ import annotations

from outlast.nouns import Tokens
from outlast.wire.canon import JSON

_STATUS = {
    "server_error": 500,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "vector_store_timeout": 504,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "bio_policy": 400,
    "misalignment_policy_violation": 400,
    "data_residency_mismatch": 400,
    "image_too_large": 400,
    "image_too_small": 400,
    "image_parse_error": 400,
    "image_content_policy_violation": 400,
    "image_file_too_large": 400,
    "image_file_not_found": 400,
    "unsupported_image_media_type": 400,
    "empty_image_file": 400,
    "failed_to_download_image": 400,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "rate_limit_error": 429,
}


def status_of(code: str) -> int:
    """Return the HTTP status that this error would have had before the stream; 0: unknown."""
    if code.startswith("invalid_"):
        return _STATUS.get(code, 400)
    return _STATUS.get(code, 0)


def count_of(raw: object, key: str) -> int:
    """Return a count, 0 where there is none that makes sense."""
    value = raw.get(key) if isinstance(raw, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(min(max(0, value), 1 << 53))


def read_usage(usage: object) -> Tokens | None:
    """Return the counts; None where there are none. OpenAI's input includes cached tokens."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("input_tokens_details")
    cached = count_of(details, "cached_tokens")
    written = count_of(details, "cache_write_tokens")
    return Tokens(
        input=max(0, count_of(usage, "input_tokens") - cached - written),
        output=count_of(usage, "output_tokens"),
        cache_read=cached,
        cache_write=written,
        reasoning=count_of(usage.get("output_tokens_details"), "reasoning_tokens"),
    )


def write_usage(tokens: Tokens | None) -> JSON | None:
    if tokens is None:
        return None
    total_input = tokens.input + tokens.cache_read + tokens.cache_write
    return {
        "input_tokens": total_input,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": total_input + tokens.output,
    }
