"""A history made safe to pass on to an upstream that did not write all of it. Pure.

Blocks are taken out whole; a signature is never made, moved or changed. For one account always the
same ones are taken out, so that what is sent to it only ever grows at its end: its own signatures,
which hold for the conversation before them, stay valid (Anthropic, "Preserved thinking").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from outlast.wire.anthropic.pairs import paired
from outlast.wire.canon import JSON
from outlast.wire.notices import without_notices
from outlast.wire.refusals import Refused

Foreign = Callable[[str], bool]
"""A signature (or the data of redacted thinking) → whether another account wrote it."""

_THINKING = ("thinking", "redacted_thinking")


class Wish(msgspec.Struct, frozen=True):
    """What is to be taken out of a history, besides thinking without a signature."""

    foreign: Foreign | None = None
    """None: nothing that is known is foreign."""
    refused: Refused | None = None
    """What the upstream would not take when it was asked before."""
    seams: bool = True
    """`fallback` blocks: Anthropic knows them only from those who declared that they do."""


def repaired(body: JSON, wish: Wish) -> tuple[JSON, tuple[str, ...]]:
    """Return (the body to pass on, names of what was taken out).

    It is the very same object where nothing had to be. A turn that held nothing else is left out:
    Anthropic joins the turns around it.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return body, ()
    dropped: dict[str, None] = {}
    first = len(messages)
    if wish.refused == "turns":
        messages, first = paired(messages)
        if first < len(messages) or len(messages) != len(body["messages"]):
            dropped["messages.tool_use"] = None
    cleaned: list[JSON] = []
    for number, message in enumerate(messages):
        kept = _cleaned(message, wish, dropped, later=number >= first)
        cleaned += [kept] if kept is not None else []
    if not dropped and wish.refused != "start":
        return body, ()
    mended = {**body, "messages": cleaned}
    if wish.refused == "start" or not begins_with_thinking(cleaned):
        mended = _unthinking(mended, dropped, always=wish.refused == "start")
    return (mended, tuple(dropped)) if dropped else (body, ())


def without_unsigned_thinking(body: JSON) -> JSON:
    """Return the body without thinking that Anthropic never signed; see `repaired`."""
    return repaired(body, Wish(seams=False))[0]


def begins_with_thinking(messages: list[JSON]) -> bool:
    """Return whether the turns of the running tool loop begin with thinking, or there is none.

    Models with budgets want it so ("Thinking with tool use"); adaptive ones do not care.
    """
    loop = _running_loop(messages)
    turns = [messages[number] for number in loop if messages[number].get("role") == "assistant"]
    return not turns or _led(turns[0])


def is_unsigned_thinking(block: Any) -> bool:
    """Return whether this is thinking that Anthropic never signed.

    The Writer shows other vendors' thinking with an empty signature, never a forged one, and a
    block that broke off has none. Clients send it back, and the whole request would be refused.
    """
    return _kind(block) == "thinking" and not block.get("signature")


def _cleaned(message: JSON, wish: Wish, dropped: dict[str, None], *, later: bool) -> JSON | None:
    content = message.get("content")
    if message.get("role") != "assistant":
        return message
    if isinstance(content, str):
        text = without_notices(content)
        if text is content:
            return message
        dropped["messages.notice"] = None
        return {**message, "content": text} if text.strip() else None
    if not isinstance(content, list):
        return message
    blocks = [kept for block in content if (kept := _kept(block, wish, dropped, later)) is not None]
    if len(blocks) == len(content) and all(a is b for a, b in zip(blocks, content, strict=True)):
        return message
    return {**message, "content": blocks} if blocks else None


def _kept(block: Any, wish: Wish, dropped: dict[str, None], later: bool) -> Any:
    """Return the block, or what remains of it; None: nothing."""
    kind = _kind(block)
    if kind in _THINKING:
        if _unreadable(block, wish, later=later):
            dropped["messages.thinking"] = None
            return None
    elif kind == "fallback" and wish.seams:
        dropped["messages.fallback"] = None
        return None
    elif kind == "text" and isinstance(block.get("text"), str):
        text = without_notices(block["text"])
        if text is not block["text"]:
            dropped["messages.notice"] = None
            return {**block, "text": text} if text.strip() else None
    return block


def _unreadable(block: JSON, wish: Wish, *, later: bool) -> bool:
    if wish.refused == "thinking" or later or is_unsigned_thinking(block):
        return True
    if wish.foreign is None:
        return False
    seal = block.get("signature") or block.get("data")
    return isinstance(seal, str) and wish.foreign(seal)


def _unthinking(body: JSON, dropped: dict[str, None], *, always: bool) -> JSON:
    """Return the body with thinking turned off for this one call, where it was turned on.

    With a budget, a turn of calls has to begin with its thinking, and that is gone: the rest of
    this turn is answered without. What only goes with thinking goes too.
    """
    thinking = body.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind != "enabled" and not (always and kind):
        return body
    dropped["thinking"] = None
    return without_clearing({**body, "thinking": {"type": "disabled"}})


def without_clearing(body: JSON) -> JSON:
    """Return the body without edits of thinking: they are refused where thinking is off."""
    management = body.get("context_management")
    edits = management.get("edits") if isinstance(management, dict) else None
    if not isinstance(management, dict) or not isinstance(edits, list):
        return body
    kept = [one for one in edits if not str(_kind(one)).startswith("clear_thinking")]
    rest = {name: value for name, value in body.items() if name != "context_management"}
    return {**rest, "context_management": {**management, "edits": kept}} if kept else rest


def _running_loop(messages: list[JSON]) -> range:
    """Return the places of the turns since a person last spoke; empty where they just did."""
    start = len(messages)
    while start > 0 and (
        messages[start - 1].get("role") == "assistant" or _results(messages[start - 1])
    ):
        start -= 1
    last = messages[-1] if messages else {}
    return range(start, len(messages)) if _results(last) else range(0)


def _results(message: JSON) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(_kind(one) == "tool_result" for one in content)


def _led(message: JSON) -> bool:
    content = message.get("content")
    return isinstance(content, list) and bool(content) and _kind(content[0]) in _THINKING


def _kind(block: Any) -> object:
    return block.get("type") if isinstance(block, dict) else None
