"""What a Claude model accepts, read from its name. Pure.

The Messages API is one, but its models differ in what they refuse with a 400: sampling
parameters, thinking budgets, forced tools, a last turn by the assistant. Sources: Anthropic's
pages "Effort", "Structured outputs", "Mid-conversation system messages", "Context windows" and
"What's new" in Opus 4.7, 4.8, Sonnet 5, Opus 5.5 and Sonnet 5.5, read in November 2026. A Claude
newer than this table is taken to be like the newest in it; a name that is not Claude's (other
vendors serve this API too) as an early, patient one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec

_NAME = re.compile(
    r"claude-(?:(?P<family>[a-z]+)-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?"
    r"|(?P<old_major>\d)(?:[-.](?P<old_minor>\d))?-(?P<old_family>[a-z]+))(?![\d])"
)
_FIRST_PARTY = re.compile(r"claude-[a-z0-9.-]+\Z")

NEWEST = (99, 0)


class Traits(msgspec.Struct, frozen=True):
    """Defaults are those of a model that is not Claude's."""

    sampling: bool = True
    """Takes temperature, top_p and top_k."""
    temperature_with_top_p: bool = True
    thinking: Literal["none", "budget", "adaptive"] = "budget"
    """`budget`: `enabled` with budget_tokens; `adaptive`: the model decides, within an effort."""
    thinks_unasked: bool = False
    thinking_off: Literal["omit", "disabled", "between_tools", "never"] = "omit"
    """How thinking is turned off."""
    efforts: tuple[str, ...] = ()
    structured_output: bool = False
    forced_tools: bool = True
    prefill: bool = True
    """Continues a last turn by the assistant."""
    system_turns: bool = False
    """Takes role `system` after a user turn."""
    max_output: int | None = None
    context_tokens: int = 0
    """The longest prompt; 0: not known."""


@lru_cache(maxsize=256)
def traits_of(model: str) -> Traits:
    """Return what this model accepts."""
    match = _NAME.search(model.lower())
    if match is None:
        return Traits() if "claude" not in model.lower() else _claude("", NEWEST, model)
    family = match["family"] or match["old_family"]
    major = int(match["major"] or match["old_major"])
    minor = int(match["minor"] or match["old_minor"] or 0)
    return _claude(family, (major, minor), model)


def _claude(family: str, version: tuple[int, int], model: str) -> Traits:
    return Traits(
        sampling=version < (4, 7),
        temperature_with_top_p=version < (4, 1),
        thinking="none" if version < (3, 7) else "budget" if version < (4, 6) else "adaptive",
        thinks_unasked=version >= (5, 0),
        thinking_off=_thinking_off(family, version),
        efforts=_efforts(family, version),
        structured_output=version >= (4, 5),
        forced_tools=version < ((5, 1) if family in {"fable", "mythos"} else (5, 5)),
        prefill=version < (4, 6),
        # Only Anthropic's own hosts take them, and only those use the bare name.
        system_turns=version >= (4, 8) and _FIRST_PARTY.match(model) is not None,
        max_output=_max_output(family, version),
        context_tokens=1_000_000 if version >= (4, 6) else 200_000,
    )


def _thinking_off(
    family: str, version: tuple[int, int]
) -> Literal["omit", "disabled", "between_tools", "never"]:
    if version < (5, 0):
        return "omit"
    if family in {"fable", "mythos"} or (family == "opus" and version >= (5, 5)):
        return "never"
    if family == "sonnet" and version >= (5, 5):
        return "between_tools"
    return "disabled" if version < NEWEST else "never"


def _efforts(family: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if (family, version) == ("opus", (4, 5)) else ()


def _max_output(family: str, version: tuple[int, int]) -> int:
    if version >= (4, 6):
        return 64_000 if (family, version) == ("sonnet", (4, 6)) else 128_000
    if version >= (3, 7):
        return 32_000 if family == "opus" and version < (4, 5) else 64_000
    return 8_192 if version >= (3, 5) else 4_096
