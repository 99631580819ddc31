"""What a model of the Messages API can do, known by its name."""

from __future__ import annotations

import pytest

from outlast.wire.anthropic.models import traits_of

MODELS = [
    ("claude-3-5-sonnet-20241022", "none", True, True, True),
    ("claude-3-7-sonnet-latest", "budget", True, True, True),
    ("claude-sonnet-4-20250514", "budget", True, True, True),
    ("anthropic.claude-opus-4-5-20251101-v1:0", "budget", True, True, True),
    ("claude-opus-4-6", "adaptive", True, True, False),
    ("claude-opus-4-7", "adaptive", False, True, False),
    ("claude-sonnet-5", "adaptive", False, True, False),
    ("claude-fable-5-1", "adaptive", False, False, False),
    ("claude-haiku-5-5", "adaptive", False, False, False),
    ("claude-mythos-preview", "adaptive", False, False, False),
    ("claude-opus-7", "adaptive", False, False, False),
    ("deepseek-v4", "budget", True, True, True),
]


@pytest.mark.parametrize(("model", "thinking", "sampling", "forced", "prefill"), MODELS)
def test_a_model_is_known_by_its_name(
    model: str, thinking: str, sampling: bool, forced: bool, prefill: bool
) -> None:
    traits = traits_of(model)
    assert (traits.thinking, traits.sampling, traits.forced_tools, traits.prefill) == (
        thinking,
        sampling,
        forced,
        prefill,
    )


def test_system_turns_are_for_anthropics_own_hosts() -> None:
    assert traits_of("claude-opus-4-8").system_turns
    assert not traits_of("anthropic.claude-opus-4-8-v1:0").system_turns
    assert not traits_of("claude-opus-4-7").system_turns
