"""What servers of this format differ in. OpenAI's own models take more than compatible ones do.

The facts: OpenAI's reasoning models refuse `max_tokens`, while many compatible servers know
nothing else (`max_completion_tokens` is ignored or refused there); OpenAI's older models refuse
`reasoning_effort`; `verbosity`, `prompt_cache_key`, `service_tier` and custom tools are OpenAI's
alone. A model's name is all that is known here, so the name decides, and a caller who knows more
passes another Dialect.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

_OPENAI = re.compile(r"(gpt-(?!oss|j\b|neo)[\w.]|o[1-9](-|$)|chatgpt-|codex-)")
_NEVER_REASONS = re.compile(r"(gpt-[34]|chatgpt-)")


class Dialect(msgspec.Struct, frozen=True):
    """How to write a request for one kind of server. The defaults suit compatible servers."""

    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    efforts: tuple[str, ...] = ("none", "low", "medium", "high")
    """The values of `reasoning_effort` that are sent; others move to the nearest of these.

    Empty: the field is not sent.
    """
    openai_fields: bool = False
    """Whether verbosity, prompt_cache_key and service_tier are sent."""
    custom_tools: bool = False
    stop_limit: int = 4


COMPATIBLE = Dialect()
OPENAI = Dialect(
    limit_field="max_completion_tokens",
    efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    openai_fields=True,
    custom_tools=True,
)
OPENAI_WITHOUT_REASONING = msgspec.structs.replace(OPENAI, efforts=())


def dialect_of(model: str) -> Dialect:
    """Return the dialect that a model's name suggests (`openai/gpt-5` counts as `gpt-5`)."""
    name = model.rpartition("/")[2].lower()
    if not _OPENAI.match(name):
        return COMPATIBLE
    return OPENAI_WITHOUT_REASONING if _NEVER_REASONS.match(name) else OPENAI


_SCALE = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def nearest_effort(effort: str, efforts: tuple[str, ...]) -> str:
    """Return the value of `efforts` nearest to `effort`; of two as near, the smaller.

    `none` and the rest are never exchanged for each other: one thinks, the other does not.
    """
    if effort in efforts or effort not in _SCALE:
        return effort if effort in efforts else ""
    thinks = [each for each in efforts if each in _SCALE and each != "none"]
    if effort == "none" or not thinks:
        return ""
    return min(thinks, key=lambda each: abs(_SCALE.index(each) - _SCALE.index(effort)))
