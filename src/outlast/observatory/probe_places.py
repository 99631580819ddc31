"""Where anybody may knock at a vendor's, without a key or an account: a catalogue. Pure.

Addresses change, and a vendor's edge turns programs away; so each place says which answers mean
that somebody is in (`answers`). 5xx means that nobody is; any other 4xx says nothing. Login pages
and token endpoints are only asked whether they answer: nothing is logged in.

Hosts as the vendors' own clients and network recommendations name them, read in November 2026.
"""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True):
    """One address of a vendor, and where it is named."""

    part: str
    """A surface, and what of it: `web`, `web/console`."""
    url: str
    answers: tuple[int, ...]
    source: str


_PAGE = (200,)
_NO_KEY = (401,)
_POST_ONLY = (400, 401, 405)
_MODELS = "its API reference, list of models; without a key it refuses, which shows that it is in"
_FRONT = "its own front page"

CATALOGUE: dict[str, tuple[Place, ...]] = {
    "anthropic": (
        Place("api", "https://api.anthropic.com/v1/models", _NO_KEY, _MODELS),
        Place("web", "https://claude.ai/", _PAGE, _FRONT),
        Place("web/console", "https://platform.claude.com/", _PAGE, _FRONT),
        Place("login", "https://claude.ai/login", _PAGE, "where claude.ai sends a new visitor"),
        Place(
            "login",
            "https://platform.claude.com/v1/oauth/token",
            _POST_ONLY,
            "token endpoint of Claude Code's login, in the source of Crush and others",
        ),
        Place(
            "code",
            "https://api.anthropic.com/api/oauth/usage",
            _NO_KEY,
            "what Claude Code asks for its limits, in the source of open-source clients",
        ),
    ),
    "openai": (
        Place("api", "https://api.openai.com/v1/models", _NO_KEY, _MODELS),
        Place("web", "https://chatgpt.com/", _PAGE, _FRONT),
        Place("web/console", "https://platform.openai.com/", _PAGE, _FRONT),
        Place(
            "login",
            "https://auth.openai.com/.well-known/openid-configuration",
            _PAGE,
            "OpenID Connect Discovery 1.0, section 4, at the issuer that Codex names",
        ),
        Place(
            "login",
            "https://auth.openai.com/oauth/token",
            _POST_ONLY,
            "token endpoint of Codex's login, in its source",
        ),
        Place(
            "code",
            "https://chatgpt.com/backend-api/codex/responses",
            _POST_ONLY,
            "where Codex asks with a ChatGPT account, in its source",
        ),
        # The apps' own hosts refuse programs even when all is well: only the door is tried.
        Place(
            "mobile",
            "https://ios.chat.openai.com",
            (),
            "host of the iOS app, in OpenAI's network recommendations",
        ),
    ),
    "google": (
        Place(
            "api",
            "https://generativelanguage.googleapis.com/v1beta/models",
            (400, 401, 403),
            _MODELS,
        ),
        Place("web", "https://gemini.google.com/app", _PAGE, _FRONT),
        Place("web/console", "https://aistudio.google.com/", _PAGE, _FRONT),
        Place(
            "login",
            "https://accounts.google.com/.well-known/openid-configuration",
            _PAGE,
            "OpenID Connect Discovery 1.0, section 4",
        ),
    ),
    "mistral": (
        Place("api", "https://api.mistral.ai/v1/models", _NO_KEY, _MODELS),
        Place("web", "https://chat.mistral.ai/chat", _PAGE, _FRONT),
        Place("web/console", "https://console.mistral.ai/", _PAGE, _FRONT),
    ),
    "deepseek": (
        Place("api", "https://api.deepseek.com/models", _NO_KEY, _MODELS),
        Place("web", "https://chat.deepseek.com/", _PAGE, _FRONT),
        Place("web/console", "https://platform.deepseek.com/", _PAGE, _FRONT),
    ),
    "xai": (
        Place("api", "https://api.x.ai/v1/models", (400, 401), _MODELS),
        Place("web", "https://grok.com/", _PAGE, _FRONT),
        Place("web/console", "https://console.x.ai/", _PAGE, _FRONT),
    ),
    "openrouter": (
        Place("api", "https://openrouter.ai/api/v1/models", _PAGE, "its API reference: public"),
        Place("web", "https://openrouter.ai/", _PAGE, _FRONT),
    ),
}

ALIASES = {"googleapis": "google", "x": "xai"}
"""Providers as config names them after an address, where the vendor is called otherwise."""


def known(provider: str) -> bool:
    """Whether the catalogue knows this provider, by the name that config gives it."""
    return ALIASES.get(provider, provider) in CATALOGUE


def places_at(provider: str) -> tuple[Place, ...]:
    """Return the provider's places; none for one that the catalogue does not know."""
    return CATALOGUE.get(ALIASES.get(provider, provider), ())
