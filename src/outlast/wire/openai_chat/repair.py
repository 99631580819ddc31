"""A history of chat messages made safe to pass on. Pure.

OpenAI wants a tool message for every call, right after it, and a call for every tool message.
"""

from __future__ import annotations

from typing import Any

from outlast.wire.canon import JSON
from outlast.wire.notices import without_notices
from outlast.wire.refusals import Refused

NO_RESULT = "No result was recorded for this call."
STRAY_RESULT = "The result of a tool call: "


def repaired(body: JSON, refused: Refused | None) -> tuple[JSON, tuple[str, ...]]:
    """Return (the body to pass on, names of what was taken out).

    It is the very same object where nothing had to be.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body, ()
    dropped: dict[str, None] = {}
    told = [_told(message, dropped) for message in messages]
    if refused == "turns":
        told = _paired(told, dropped)
    return ({**body, "messages": told}, tuple(dropped)) if dropped else (body, ())


def _told(message: Any, dropped: dict[str, None]) -> Any:
    """Return an assistant's message without our own words to people."""
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return message
    content = message.get("content")
    if isinstance(content, str):
        kept: Any = without_notices(content)
        same = kept is content
    elif isinstance(content, list):
        kept = [_part(one) for one in content]
        same = all(a is b for a, b in zip(kept, content, strict=True))
    else:
        return message
    if same:
        return message
    dropped["messages.notice"] = None
    return {**message, "content": kept}


def _part(part: Any) -> Any:
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(text, str):
        return part
    told = without_notices(text)
    return part if told is text else {**part, "text": told}


def _paired(messages: list[Any], dropped: dict[str, None]) -> list[Any]:
    paired: list[Any] = []
    owed: list[str] = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        said = ""
        if role == "tool":
            ident = message.get("tool_call_id")
            if ident in owed:
                owed.remove(ident)
                paired.append(message)
                continue
            dropped["messages.tool"] = None
            content = message.get("content")
            said = content if isinstance(content, str) and content else NO_RESULT
        paired += [_missing(call, dropped) for call in owed]
        owed = _calls(message)
        paired.append({"role": "user", "content": STRAY_RESULT + said} if said else message)
    return [*paired, *(_missing(call, dropped) for call in owed)]


def _calls(message: Any) -> list[str]:
    made = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(made, list):
        return []
    found = [call.get("id") for call in made if isinstance(call, dict)]
    return [one for one in found if isinstance(one, str)]


def _missing(call: str, dropped: dict[str, None]) -> JSON:
    dropped["messages.tool_calls"] = None
    return {"role": "tool", "tool_call_id": call, "content": NO_RESULT}
