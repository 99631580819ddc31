"""How hard to think, in the words that a given Claude model understands. Pure."""

from __future__ import annotations

import msgspec

from outlast.nouns import Format
from outlast.wire.anthropic.models import Traits
from outlast.wire.canon import JSON, Reasoning, Request, Thinking, ToolResult

_LEAST_BUDGET = 1024
_BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_000,
}
"""Tokens of thinking for an effort, where a model knows budgets only. Our choice: Anthropic's
guide starts at the least and advises 16k and more for hard tasks."""


class Thought(msgspec.Struct, frozen=True):
    """What goes into the body. `on`: the answer may begin with thinking."""

    thinking: JSON | None = None
    effort: str = ""
    on: bool = False
    dropped: bool = False
    """The caller asked for something else."""


def thought_of(request: Request, traits: Traits, max_tokens: int, *, forced: bool) -> Thought:
    """Return how to ask for the request's reasoning. `forced`: a tool must be used."""
    asked = request.reasoning
    off = asked is not None and (asked.mode == "off" or asked.effort == "none")
    if asked is None or off:
        stoppable = traits.thinks_unasked and traits.thinking_off != "never"
        if off or (forced and stoppable):
            return _off(asked, traits)
        return Thought(on=traits.thinks_unasked)
    effort = _effort(asked.effort, traits)
    if forced:
        # Anthropic refuses both together; the tool is what the caller's program waits for.
        return msgspec.structs.replace(_off(asked, traits), dropped=True)
    if traits.thinking == "adaptive":
        shown: JSON = {"type": "adaptive"}
        if asked.summary and asked.summary != "none":
            shown["display"] = "summarized"
        lost = asked.effort not in {"", "minimal"} and effort != asked.effort
        return Thought(shown, effort, on=True, dropped=lost)
    if traits.thinking == "none":
        return Thought(dropped=True)
    return _budget(request, asked, effort, max_tokens)


def _off(asked: Reasoning | None, traits: Traits) -> Thought:
    effort = _effort(asked.effort, traits) if asked and asked.effort != "none" else ""
    match traits.thinking_off:
        case "omit":
            return Thought(effort=effort)
        case "never":
            return Thought(effort=effort or "low", on=True, dropped=True)
        case word:
            if effort in {"xhigh", "max"}:
                effort = "high"  # the most with which thinking may be off
            return Thought({"type": word}, effort)


def _effort(asked: str, traits: Traits) -> str:
    """Return the nearest effort that the model knows and that is not above the one asked."""
    order = ("low", "medium", "high", "xhigh", "max")
    if asked == "minimal":
        asked = "low"
    if asked not in order:
        return ""
    allowed = order[: order.index(asked) + 1]
    return next((one for one in reversed(allowed) if one in traits.efforts), "")


def _budget(request: Request, asked: Reasoning, effort: str, max_tokens: int) -> Thought:
    budget = asked.budget_tokens or _BUDGETS.get(asked.effort, _BUDGETS["medium"])
    budget = min(budget, max_tokens // 2)
    if budget < _LEAST_BUDGET or _inside_a_tool_loop(request):
        return Thought(effort=effort, dropped=True)
    return Thought({"type": "enabled", "budget_tokens": budget}, effort, on=True)


def _inside_a_tool_loop(request: Request) -> bool:
    """Whether the last turn answers calls that were made without signed thinking.

    Models with budgets want the turn that called to begin with their thinking; another vendor's
    cannot stand in for it, so this one answer is given without.
    """
    messages = [message for message in request.messages if message.role in {"user", "assistant"}]
    if not messages or messages[-1].role != "user":
        return False
    place = len(messages) - 1
    while place >= 0 and messages[place].role == "user":
        place -= 1
    asked = messages[place + 1 :]
    if not any(isinstance(block, ToolResult) for turn in asked for block in turn.content):
        return False
    while place > 0 and messages[place - 1].role == "assistant":
        place -= 1
    first = next(iter(messages[place].content), None) if place >= 0 else None
    signed = isinstance(first, Thinking) and first.origin is Format.ANTHROPIC and first.signature
    return not signed
