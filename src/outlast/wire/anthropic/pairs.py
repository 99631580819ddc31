"""A history whose calls and results do not match, or whose turns are empty, made acceptable. Pure.

Other tools leave such histories behind when an answer of theirs broke off (codex#22602). The rules
are those of the Messages API: every `tool_use` has its `tool_result` in the very next user turn,
every result its call in the turn before, and no text is blank.
"""

from __future__ import annotations

from typing import Any

from outlast.wire.canon import JSON

NO_RESULT = "No result was recorded for this call."
STRAY_RESULT = "The result of a tool call:"


def paired(messages: list[JSON]) -> tuple[list[JSON], int]:
    """Return (the turns, mended; the number of the first that is not as it was, or their count).

    From that one on, signed thinking no longer stands in the conversation it was signed for.
    """
    turns: list[JSON] = []
    owed: list[str] = []
    for message in _joined([kept for one in messages if (kept := _filled(one)) is not None]):
        if message.get("role") == "assistant":
            owed += _ids(message, "tool_use", "id")
            turns.append(message)
        else:
            turns.append(_answered(message, owed))
            owed = []
    same = zip(turns, messages, strict=False)
    first = next((n for n, (new, old) in enumerate(same) if new is not old), len(messages))
    if owed:
        turns.append({"role": "user", "content": [_missing(call) for call in owed]})
    return turns, first


def _joined(messages: list[JSON]) -> list[JSON]:
    """Return the turns with user turns in a row made one, as the API reads them."""
    joined: list[JSON] = []
    for message in messages:
        if joined and joined[-1].get("role") == message.get("role") == "user":
            both = [*_blocks(joined[-1]), *_blocks(message)]
            joined[-1] = {**joined[-1], "content": both}
        else:
            joined.append(message)
    return joined


def _blocks(message: JSON) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _answered(message: JSON, due: list[str]) -> JSON:
    """Return a user turn that answers these calls, all of them, and no others."""
    blocks = _blocks(message)
    results: list[Any] = []
    rest: list[Any] = []
    waiting = list(due)
    for block in blocks:
        if _kind(block) != "tool_result":
            rest.append(block)
        elif (call := str(block.get("tool_use_id"))) in waiting:
            waiting.remove(call)
            results.append(block)
        else:
            rest += [{"type": "text", "text": STRAY_RESULT}, *_inside(block)]
    mended = [*results, *(_missing(call) for call in waiting), *rest]
    return message if not waiting and mended == blocks else {**message, "content": mended}


def _filled(message: JSON) -> JSON | None:
    """Return a turn without blank text; None where nothing is left of it."""
    content = message.get("content")
    if isinstance(content, str):
        kept: Any = content if content.strip() else None
    elif isinstance(content, list):
        blocks = [block for block in content if not _blank(block)]
        kept = content if len(blocks) == len(content) else blocks
    else:
        return message
    if kept is content and kept:
        return message
    return {**message, "content": kept} if kept else None


def _blank(block: Any) -> bool:
    return _kind(block) == "text" and not str(block.get("text") or "").strip()


def _inside(result: JSON) -> list[Any]:
    content = result.get("content")
    if isinstance(content, list):
        return [block for block in content if not _blank(block)]
    return [{"type": "text", "text": content}] if isinstance(content, str) and content else []


def _missing(call: str) -> JSON:
    content = [{"type": "text", "text": NO_RESULT}]
    return {"type": "tool_result", "tool_use_id": call, "content": content, "is_error": True}


def _ids(message: JSON, kind: str, field: str) -> list[str]:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    found = [block.get(field) for block in blocks if _kind(block) == kind]
    return [one for one in found if isinstance(one, str)]


def _kind(block: Any) -> object:
    return block.get("type") if isinstance(block, dict) else None
