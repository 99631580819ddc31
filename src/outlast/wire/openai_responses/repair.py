"""Making a history safe to pass on to OpenAI after another vendor answered a turn of it."""

from __future__ import annotations

from typing import Any

from outlast.wire.canon import JSON
from outlast.wire.openai_responses.names import OUR_REASONING_PREFIX


def is_our_reasoning(item: Any) -> bool:
    """Return whether this is reasoning that OpenAI never wrote.

    The Writer shows other vendors' thinking as reasoning items without encrypted content. Clients
    send them back, Codex without their ids; OpenAI would look for them in its store and refuse.
    """
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return False
    if item.get("encrypted_content"):
        return False
    ident = item.get("id")
    return not ident or (isinstance(ident, str) and ident.startswith(OUR_REASONING_PREFIX))


def without_our_reasoning(body: JSON) -> JSON:
    """Return the body to pass on; the very same object where there is nothing to take out."""
    items = body.get("input")
    if not isinstance(items, list) or not any(map(is_our_reasoning, items)):
        return body
    return {**body, "input": [item for item in items if not is_our_reasoning(item)]}
