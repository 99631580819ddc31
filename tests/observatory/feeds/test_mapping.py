"""Vendors' component names, in our terms."""

from __future__ import annotations

import pytest

from outlast.nouns import Notice, Status
from outlast.observatory.feeds.mapping import Place, mentioned, place, surfaces


@pytest.mark.parametrize(
    ("provider", "name", "surface", "model"),
    [
        ("anthropic", "claude.ai", "web", ""),
        ("anthropic", "platform.claude.com (formerly console.anthropic.com)", "web", ""),
        ("anthropic", "Claude API (api.anthropic.com)", "api", ""),
        ("anthropic", "Claude Code", "code", ""),
        ("anthropic", "Claude for Government", "", ""),
        ("anthropic", "Claude Opus 4.6", "api", "claude-opus-4-6"),
        ("openai", "ChatGPT", "web", ""),
        ("openai", "Conversations", "web", ""),
        ("openai", "Login", "login", ""),
        ("openai", "Codex API", "code", ""),
        ("openai", "Chat Completions", "api", ""),
        ("openai", "ChatGPT iOS app", "mobile", ""),
        ("openai", "Sora", "", ""),
        ("openai", "GPT-5.2 mini", "api", "gpt-5-2-mini"),
        ("google", "Vertex Gemini API", "api", ""),
        ("google", "Gemini Code Assist", "code", ""),
        ("xai", "API (us-east-1)", "api", ""),
        ("xai", "Grok in X", "web", ""),
        ("cohere", "Embed endpoint", "api", ""),
        ("cohere", "Playground", "web", ""),
        ("mistral", "Documentation", "", ""),
        ("groq", "Authentication", "login", ""),
        ("groq", "Frobnication", "", ""),
        ("groq", "", "", ""),
    ],
)
def test_a_component_is(provider: str, name: str, surface: str, model: str) -> None:
    assert place(provider, name) == Place(surface, model)


def test_an_operators_table_goes_first() -> None:
    table = ((r"^frobnication$", "api"), (r"chatgpt", ""))
    assert place("groq", "Frobnication", table).surface == "api"
    assert place("openai", "ChatGPT", table).surface == ""


def notice(title: str, components: tuple[tuple[str, str], ...] = (), impact: str = "") -> Notice:
    return Notice("openai", "f", "1", "incident", title, impact=impact, components=components)


def test_a_notice_without_components_is_placed_by_its_title() -> None:
    said = surfaces(notice("Elevated errors in ChatGPT and Codex", impact="major"))
    assert said == {"code": Status.PARTIAL, "web": Status.PARTIAL}


def test_a_notice_with_components_is_not_placed_by_its_title() -> None:
    components = (
        ("Login", "degraded_performance"),
        ("SSO", "major_outage"),
        ("Odd", "major_outage"),
    )
    assert surfaces(notice("ChatGPT", components)) == {"login": Status.MAJOR}


def test_a_notice_that_names_nothing_is_the_providers_alone() -> None:
    assert surfaces(notice("Elevated errors", impact="critical")) == {}


def test_a_text_names_several_surfaces() -> None:
    text = "The issues are related to Claude.ai and Claude Code, not the Claude API."
    assert mentioned("anthropic", text) == ("code", "api", "web")
