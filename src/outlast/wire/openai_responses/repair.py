"""A list of input items made safe to pass on to a host that did not write all of them. Pure.

Encrypted reasoning can be read by the organisation alone that it was made for; OpenAI refuses the
whole request otherwise, with the code `invalid_encrypted_content` (read in November 2026).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from outlast.wire.canon import JSON
from outlast.wire.notices import without_notices
from outlast.wire.openai_responses.names import OUR_REASONING_PREFIX
from outlast.wire.refusals import Refused

NO_RESULT = "No result was recorded for this call."
STRAY_RESULT = "The result of a tool call: "
_CALLS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
}
_RESULTS = frozenset(_CALLS.values())


def is_our_reasoning(item: Any) -> bool:
    """Return whether this is reasoning that OpenAI never wrote.

    The Writer shows other vendors' thinking as reasoning items without encrypted content. Clients
    send them back, Codex without their ids; OpenAI would look for them in its store and refuse.
    """
    if _kind(item) != "reasoning" or item.get("encrypted_content"):
        return False
    ident = item.get("id")
    return not ident or (isinstance(ident, str) and ident.startswith(OUR_REASONING_PREFIX))


def without_our_reasoning(body: JSON) -> JSON:
    """Return the body to pass on; the very same object where there is nothing to take out."""
    return repaired(body, None, None)[0]


def repaired(
    body: JSON, foreign: Callable[[str], bool] | None, refused: Refused | None
) -> tuple[JSON, tuple[str, ...]]:
    """Return (the body to pass on, names of what was taken out); the same object where nothing is.

    `foreign`: encrypted content → whether it was made for another organisation.
    """
    items = body.get("input")
    if not isinstance(items, list):
        return body, ()
    dropped: dict[str, None] = {}
    if refused == "turns":
        items = _paired(items, dropped)
    kept: list[Any] = []
    orphaned = False
    for item in items:
        if is_our_reasoning(item) or _unreadable(item, foreign, refused):
            dropped["input.reasoning"] = None
            orphaned = orphaned or not is_our_reasoning(item)
            continue
        orphaned = orphaned and not _asks(item)
        # An item that names itself is looked for together with its reasoning, and missed.
        named = orphaned and isinstance(item, dict) and "id" in item
        kept.append(_told({k: v for k, v in item.items() if k != "id"} if named else item, dropped))
    return ({**body, "input": kept}, tuple(dropped)) if dropped else (body, ())


def _unreadable(item: Any, foreign: Callable[[str], bool] | None, refused: Refused | None) -> bool:
    if _kind(item) != "reasoning":
        return False
    seal = item.get("encrypted_content")
    if refused == "thinking":
        return True
    return foreign is not None and isinstance(seal, str) and foreign(seal)


def _told(item: Any, dropped: dict[str, None]) -> Any:
    """Return an assistant's message without our own words to people."""
    if not isinstance(item, dict) or item.get("role") != "assistant":
        return item
    content = item.get("content")
    if isinstance(content, str):
        text = without_notices(content)
        if text is content:
            return item
        dropped["input.notice"] = None
        return {**item, "content": text}
    if not isinstance(content, list):
        return item
    parts = [_part(one) for one in content]
    if all(a is b for a, b in zip(parts, content, strict=True)):
        return item
    dropped["input.notice"] = None
    return {**item, "content": parts}


def _part(part: Any) -> Any:
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(text, str):
        return part
    told = without_notices(text)
    return part if told is text else {**part, "text": told}


def _paired(items: list[Any], dropped: dict[str, None]) -> list[Any]:
    """Give each call its output, and make a message of each output without a call."""
    calls = {_call_id(item) for item in items if _kind(item) in _CALLS}
    given = {_call_id(item) for item in items if _kind(item) in _RESULTS}
    paired: list[Any] = []
    for item in items:
        kind = _kind(item)
        if kind in _RESULTS and _call_id(item) not in calls:
            dropped["input.function_call_output"] = None
            output = item.get("output")
            said = output if isinstance(output, str) else NO_RESULT
            text = {"type": "input_text", "text": STRAY_RESULT + said}
            paired.append({"type": "message", "role": "user", "content": [text]})
            continue
        paired.append(item)
        if kind in _CALLS and _call_id(item) not in given:
            dropped["input.function_call"] = None
            made = {"type": _CALLS[kind], "call_id": _call_id(item), "output": NO_RESULT}
            paired.append(made)
    return paired


def _asks(item: Any) -> bool:
    return isinstance(item, dict) and item.get("role") in ("user", "developer", "system")


def _kind(item: Any) -> str:
    kind = item.get("type") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else ""


def _call_id(item: Any) -> str:
    found = item.get("call_id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""
