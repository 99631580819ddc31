"""What of a provider a vendor's component is: its name, to our surface and model. Pure.

A table per provider, then a general one; the first pattern that occurs in the lower-cased name
wins. An operator's table goes before both. A name that is not known belongs to no surface: it is
shown as the provider's, and says nothing about any surface of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from outlast.nouns import Notice, Status, Surface

Table = Sequence[tuple[str, str]]
"""Pairs of a regular expression, searched in the lower-cased name, and a surface or `""`."""

ANTHROPIC: Table = (
    # Names of the vendor's page, 2026: claude.ai, platform.claude.com (console), Claude API
    # (api.anthropic.com), Claude Code, Claude for Government.
    (r"\bclaude code\b", Surface.CODE),
    (r"\bapi\.anthropic\.com\b|\bclaude api\b", Surface.API),
    (r"\bplatform\.claude\.com\b|\bconsole\b", Surface.WEB),
    (r"\bclaude\.ai\b|\bcowork\b", Surface.WEB),
    (r"\bgovernment\b", ""),
)
OPENAI: Table = (
    (r"\bcodex\b", Surface.CODE),
    (r"\blog ?in\b|\bauthentication\b|\bsso\b", Surface.LOGIN),
    (r"\b(?:ios|android|mobile)\b", Surface.MOBILE),
    (r"\b(?:chat ?completions|responses|embeddings|moderations?|fine[- ]?tuning|batch|"
     r"realtime|assistants|audio|images|files|completions|apis?)\b", Surface.API),
    (r"\bchatgpt\b|\bconversations\b|\bcustom gpts?\b|\bgpts\b", Surface.WEB),
    (r"\bsora\b|\bdall", ""),
)  # fmt: skip
GOOGLE: Table = (
    (r"\bgemini code assist\b|\bgemini cli\b", Surface.CODE),
    (r"\bvertex\b|\bgemini api\b|\bagent platform\b", Surface.API),
    (r"\bai studio\b|\bgemini app\b", Surface.WEB),
)
XAI: Table = (
    (r"\b(?:ios|android|mobile)\b", Surface.MOBILE),
    (r"\bapi\b", Surface.API),
    (r"\bgrok\.com\b|\bgrok in x\b|\bgrok\b", Surface.WEB),
)
GENERAL: Table = (
    (r"\blog ?in\b|\bsign[- ]?in\b|\bauthenticat|\bsso\b|\boauth\b|\bidentity\b", Surface.LOGIN),
    (r"\b(?:ios|android|mobile)\b", Surface.MOBILE),
    (r"\bcode assist|\bcoding\b|\bcli\b|\bide\b", Surface.CODE),
    (r"\bapis?\b|\binference\b|\bcompletions?\b|\bembeddings?\b|\bendpoints?\b", Surface.API),
    (r"\bweb ?site\b|\bdocs?\b|\bdocumentation\b|\bbilling\b|\bsupport\b", ""),
    (r"\bweb\b|\bchat\b|\bconsole\b|\bplayground\b|\bdashboard\b", Surface.WEB),
)
TABLES: Mapping[str, Table] = {
    "anthropic": ANTHROPIC,
    "openai": OPENAI,
    "google": GOOGLE,
    "xai": XAI,
}

_MODEL = re.compile(
    r"\b(claude[ -](?:opus|sonnet|haiku)(?:[ -]\d+(?:\.\d+)?)?|claude[ -]\d+(?:\.\d+)?"
    r"(?:[ -](?:opus|sonnet|haiku))?|(?:opus|sonnet|haiku) \d+(?:\.\d+)?"
    r"|gpt-\d+(?:\.\d+)?(?:[a-z]\b)?(?:[ -](?:mini|nano|turbo|pro|codex))?|o[134](?:-(?:mini|pro))?"
    r"|gemini[ -]\d+(?:\.\d+)?(?:[ -](?:pro|flash(?:-lite)?|ultra))?"
    r"|grok-?\d+(?:\.\d+)?|deepseek[ -](?:v\d+(?:\.\d+)?|r\d+|chat|reasoner)"
    r"|(?:mistral|magistral|devstral)[ -](?:large|medium|small)(?:[ -]\d+(?:\.\d+)?)?|codestral)\b"
)
_FAMILY = re.compile(r"^(opus|sonnet|haiku)-")


class Place(msgspec.Struct, frozen=True):
    """Where a vendor's component is in our terms. Both empty: it is the provider's, no more."""

    surface: str = ""
    model: str = ""
    """In small letters with hyphens, `claude-opus-4-6`; empty for all models."""


def place(provider: str, name: str, overrides: Table = ()) -> Place:
    """Return the surface and model of a component's name.

    A name that is a model's and nothing else is the API's, which is where models are addressed.
    """
    low = name.lower()
    model = model_of(low)
    surface = _surface(provider, low, overrides)
    if surface is None:
        surface = str(Surface.API) if model else ""
    return Place(surface, model)


def model_of(text: str) -> str:
    """Return the first model that a text names, as `claude-opus-4-6`; empty where it names none."""
    found = _MODEL.search(text.lower())
    if found is None:
        return ""
    model = re.sub(r"[ .]", "-", found[1])
    return f"claude-{model}" if _FAMILY.match(model) else model


def surfaces(notice: Notice, overrides: Table = ()) -> dict[str, Status]:
    """Return the surfaces that a notice says are not well, each with the worst state it names.

    Where it names no components (incident.io's dialect), its title is read by the same tables, and
    the impact gives the state. Empty: nothing is known, and the notice is the provider's alone.
    """
    found: dict[str, Status] = {}
    for name, word in notice.components:
        surface = place(notice.provider, name, overrides).surface
        status = Status(word)
        if surface and status.rank >= found.get(surface, Status.OPERATIONAL).rank:
            found[surface] = status
    if notice.components:
        return found
    status = {
        "critical": Status.MAJOR,
        "major": Status.PARTIAL,
        "minor": Status.DEGRADED,
    }.get(notice.impact, Status.DEGRADED)
    return dict.fromkeys(mentioned(notice.provider, notice.title, overrides), status)


def mentioned(provider: str, text: str, overrides: Table = ()) -> tuple[str, ...]:
    """Return every surface that a text names by the tables, each once, in the tables' order.

    "All models" or "everything" is not a name: only what is written counts.
    """
    low = text.lower()
    table = [*overrides, *(TABLES.get(provider, ()) or GENERAL)]
    return tuple(dict.fromkeys(str(to) for pattern, to in table if to and re.search(pattern, low)))


def _surface(provider: str, low: str, overrides: Table) -> str | None:
    """Return what the tables say; None where no table knows the name."""
    for pattern, surface in (*overrides, *TABLES.get(provider, ()), *GENERAL):
        if re.search(pattern, low):
            return str(surface)
    return None
