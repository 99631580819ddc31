"""What is known of models: how they go on, and how long a prompt they take."""

from __future__ import annotations

import pytest

from outlast.config import CandidateSettings, RouteSettings, Settings, UpstreamSettings
from outlast.gateway.capability import ability_of, window_of
from outlast.gateway.routing import candidates_of, wider
from outlast.nouns import Kind
from tests.gateway.exchanges import candidate

WINDOWS = [
    ("claude-opus-4-8", 1_000_000),
    ("claude-sonnet-4-5-20250929", 200_000),
    ("anthropic/claude-haiku-4.5", 200_000),
    ("claude-haiku-5-5", 1_000_000),
    ("gpt-5", 400_000),
    ("gpt-5-mini", 400_000),
    ("gpt-5-chat-latest", 128_000),
    ("openai/gpt-5.4", 1_050_000),
    ("gpt-5.4-mini", 400_000),
    ("gpt-4.1-nano", 1_047_576),
    ("gpt-4o-2024-08-06", 128_000),
    ("o4-mini", 200_000),
    ("gemini-2.5-pro", 1_048_576),
    ("qwen3-8b", 0),
]


@pytest.mark.parametrize(("model", "tokens"), WINDOWS)
def test_the_window_of_a_model_is_known_by_its_name(model: str, tokens: int) -> None:
    window = window_of(model)
    assert window.tokens == tokens
    assert bool(window.source) == bool(tokens)


def test_every_way_to_go_on_has_a_source() -> None:
    for kind in Kind:
        for model in ("claude-haiku-4-5", "mistral-large", "gpt-5", "anything"):
            assert "2026" in (source := ability_of(candidate("x", kind, model=model)).source) or (
                "any chat model" in source
            )


def test_a_prompt_too_long_has_a_larger_window_to_go_to_without_any_setting() -> None:
    upstreams = {
        "one": UpstreamSettings(name="one", kind=Kind.ANTHROPIC),
        "two": UpstreamSettings(name="two", kind=Kind.OPENAI_CHAT),
    }
    route = RouteSettings(
        model="*",
        candidates=(
            CandidateSettings(upstream="one", model="claude-haiku-4-5"),
            CandidateSettings(upstream="two", model="gpt-4o"),
            CandidateSettings(upstream="two", model="gpt-4.1"),
            CandidateSettings(upstream="two", model="own", context_tokens=300_000),
            CandidateSettings(upstream="two", model="unknown"),
        ),
    )
    first, *others = candidates_of(route, "x", Settings(upstreams=upstreams))
    assert [c.model for c in wider(others, first)] == ["gpt-4.1", "own"]
