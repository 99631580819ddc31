"""Typed reading of an upstream's JSON: each getter raises MalformedFrame."""

from __future__ import annotations

import msgspec

from outlast.wire.canon import JSON
from outlast.wire.stream import MalformedFrame

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Items that call a tool of the client, and where each keeps what the model wrote."""


def decode(data: bytes) -> JSON:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedFrame(f"the data of an event is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedFrame("the data of an event is not an object")
    return value


def response_of(data: JSON) -> JSON:
    response = data.get("response")
    if not isinstance(response, dict):
        raise MalformedFrame(f"{data.get('type')!r:.60} without a response")
    return response


def key_of(raw: JSON) -> str:
    """Return what identifies an item: calls by call_id, as official clients do."""
    return optional(raw, "call_id" if optional(raw, "type") in CALLS else "id")


def is_refusal(data: JSON) -> bool:
    return str(data.get("type", "")).startswith("response.refusal")


def thinking_part(data: JSON) -> str:
    if "summary" in string(data, "type"):
        return f"summary{index_of(data, 'summary_index')}"
    return f"content{index_of(data, 'content_index')}"


def string(raw: JSON, key: str) -> str:
    value = raw.get(key)
    if isinstance(value, str):
        return value
    raise MalformedFrame(f"{key} is missing or not a string")


def optional(raw: JSON, key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def index_of(raw: JSON, key: str) -> int:
    value = raw.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise MalformedFrame(f"{key} is missing or not a whole number")


def objects(raw: JSON, key: str) -> list[JSON]:
    value = raw.get(key)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
