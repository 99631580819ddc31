"""Making a history safe to pass on to Anthropic after another vendor answered a turn of it."""

from __future__ import annotations

from typing import Any

from outlast.wire.canon import JSON


def is_unsigned_thinking(block: Any) -> bool:
    """Return whether this is thinking that Anthropic never signed.

    The Writer shows other vendors' thinking with an empty signature, never a forged one. Clients
    send it back with the history, and Anthropic refuses the whole request for it.
    """
    return (
        isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")
    )


def without_unsigned_thinking(body: JSON) -> JSON:
    """Return the body to pass on; the very same object where there is nothing to take out.

    A turn that held nothing else is left out: Anthropic joins the user turns around it.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not any(map(_touched, messages)):
        return body
    cleaned = [_cleaned(message) if _touched(message) else message for message in messages]
    return {**body, "messages": [message for message in cleaned if message is not None]}


def _cleaned(message: JSON) -> JSON | None:
    content = [block for block in message["content"] if not is_unsigned_thinking(block)]
    return {**message, "content": content} if content else None


def _touched(message: Any) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and any(map(is_unsigned_thinking, content))
