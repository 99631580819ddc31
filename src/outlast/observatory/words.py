"""Names, numbers, times and lists as people read them, in English and French. Pure.

Nothing here trusts what it is given: a vendor's text is cut and stripped of what could steer a
terminal or a page's direction; escaping for a page is the page's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from outlast.nouns import Component, Status, Surface

Lang = Literal["en", "fr"]
LANGS: tuple[Lang, ...] = ("en", "fr")

_PROVIDERS = {
    "anthropic": "Anthropic",
    "openai": "OpenAI",
    "google": "Google",
    "mistral": "Mistral",
    "deepseek": "DeepSeek",
    "xai": "xAI",
    "openrouter": "OpenRouter",
    "groq": "Groq",
    "cohere": "Cohere",
    "together": "Together",
    "perplexity": "Perplexity",
    "aws": "AWS",
    "azure": "Azure",
    "gcp": "Google Cloud",
    "cloudflare": "Cloudflare",
    "outlast": "Outlast",
}

_SURFACES: dict[str, dict[Lang, str]] = {
    Surface.WEB: {"en": "web", "fr": "site web"},
    Surface.MOBILE: {"en": "mobile app", "fr": "application mobile"},
    Surface.API: {"en": "API", "fr": "API"},
    Surface.CODE: {"en": "coding tool", "fr": "outil de code"},
    Surface.LOGIN: {"en": "login", "fr": "connexion"},
    "upstream": {"en": "upstream", "fr": "fournisseur amont"},
}

_STATUSES: dict[Status, dict[Lang, str]] = {
    Status.OPERATIONAL: {"en": "operational", "fr": "opérationnel"},
    Status.DEGRADED: {"en": "degraded", "fr": "dégradé"},
    Status.PARTIAL: {"en": "partial outage", "fr": "panne partielle"},
    Status.MAJOR: {"en": "major outage", "fr": "panne majeure"},
    Status.MAINTENANCE: {"en": "under maintenance", "fr": "en maintenance"},
}

TEXT_LIMIT = 500
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"\s+")
_WEIGHT = re.compile(r"\s*q=([01](?:\.\d{0,3})?)\s*")


@lru_cache(maxsize=256)
def language(accepted: bytes) -> Lang:
    """The first of our languages in accept-language by its weight (RFC 9110, 12.5.4)."""
    best: tuple[float, Lang] = (0.0, "en")
    for part in accepted.decode("latin-1").lower().split(","):
        tag, parted, weight = part.partition(";")
        found = _WEIGHT.fullmatch(weight)
        value = float(found.group(1)) if found else 0.0 if parted else 1.0
        lang = tag.strip().partition("-")[0]
        if value > best[0] and lang in {"en", "fr"}:
            best = value, "fr" if lang == "fr" else "en"
    return best[1]


def provider_name(provider: str) -> str:
    return _PROVIDERS.get(provider, provider[:60])


def surface_name(surface: str, lang: Lang) -> str:
    return _SURFACES.get(surface, {}).get(lang, surface[:60])


def status_name(status: Status, lang: Lang) -> str:
    return _STATUSES[status][lang]


def component_name(name: str, lang: Lang) -> str:
    """`anthropic/api/claude-opus-4-8@eu` → `Anthropic API (claude-opus-4-8, eu)`."""
    try:
        component = Component.parse(name)
    except ValueError:
        return name[:120]
    if component.surface == "upstream":
        own = {"en": "our upstream", "fr": "notre accès"}[lang]
        return f"{own} {component.model[:60]}"
    more = ", ".join(part[:60] for part in (component.model, component.region) if part)
    base = f"{provider_name(component.provider)} {surface_name(component.surface, lang)}"
    return f"{base} ({more})" if more else base


def listed(items: Sequence[str], lang: Lang, most: int = 6) -> str:
    """`a, b and c`; beyond `most` it says how many more there are."""
    items = list(items)
    if len(items) > most:
        more = len(items) - most + 1
        items = [*items[: most - 1], {"en": f"{more} more", "fr": f"{more} autres"}[lang]]
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {'and' if lang == 'en' else 'et'} {items[-1]}"


def number(value: float, lang: Lang) -> str:
    """A whole number with its thousands apart: `1,240`, `1 240`."""
    text = f"{round(value):,}"
    return text if lang == "en" else text.replace(",", "\u202f")


def percent(share: float, lang: Lang) -> str:
    """A share as people say it; never 0 % or 100 % for what is only near it."""
    value = 100 * share
    if 0 < value < 1:
        text = "<1"
    elif 99 < value < 100:
        text = ">99"
    else:
        text = str(round(value))
    return f"{text}%" if lang == "en" else f"{text}\u00a0%"


def duration(seconds: float, lang: Lang) -> str:
    """`45 s`, `12 min`, `3 h 20 min`, `2 days 4 h`."""
    seconds = max(0, round(seconds))
    if seconds < 90:
        return f"{seconds}\u00a0s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}\u00a0min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}\u00a0h {minutes}\u00a0min" if minutes else f"{hours}\u00a0h"
    days, hours = divmod(round(seconds / 3600), 24)
    day = {"en": "day" if days == 1 else "days", "fr": "jour" if days == 1 else "jours"}[lang]
    return f"{days}\u00a0{day} {hours}\u00a0h" if hours else f"{days}\u00a0{day}"


def clock_time(at: float) -> str:
    """`11:44 UTC`."""
    minutes = int(at // 60) % 1440
    return f"{minutes // 60:02}:{minutes % 60:02}\u00a0UTC"


def plain(text: str, limit: int = TEXT_LIMIT) -> str:
    """Somebody else's text on one line: no control signs, no change of direction, not too long."""
    text = _SPACE.sub(" ", _CONTROL.sub("", text[: 4 * limit])).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def quoted(text: str, lang: Lang, limit: int = TEXT_LIMIT) -> str:
    inner = plain(text, limit)
    return f"“{inner}”" if lang == "en" else f"«\u00a0{inner}\u00a0»"
