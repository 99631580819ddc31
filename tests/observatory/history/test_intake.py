from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.naming import MODEL_CHARS, api_component, model_name, provider_name
from outlast.nouns import Candidate, Component, Kind, Observation, Outcome, Scope
from outlast.observatory.intake import (
    MODELS_MAX,
    NOTHING,
    PROVIDERS_MAX,
    Intake,
    upstream_component,
)

CLAUDE = Candidate("claude", "claude-opus-4-8", Kind.ANTHROPIC, provider="anthropic")
LOCAL = Candidate("local", "small", Kind.LOCAL, provider="local")


def attempt(outcome: Outcome, scope: Scope = Scope.NONE) -> Observation:
    return Observation(
        at=1000.0,
        source="attempt",
        component="claude/claude-opus-4-8",
        outcome=outcome,
        scope=scope,
        latency_s=0.5,
        evidence="seen",
        id="req_1/0",
    )


@pytest.mark.parametrize(
    ("outcome", "scope", "component"),
    [
        (Outcome.OK, Scope.NONE, "anthropic/api/claude-opus-4-8"),
        (Outcome.OVERLOADED, Scope.PROVIDER, "anthropic/api/claude-opus-4-8"),
        (Outcome.SERVER_ERROR, Scope.PROVIDER, "anthropic/api/claude-opus-4-8"),
        (Outcome.SERVER_ERROR, Scope.MODEL, "anthropic/api/claude-opus-4-8"),
        (Outcome.TIMEOUT, Scope.PROVIDER, "anthropic/api/claude-opus-4-8"),
        (Outcome.STALLED, Scope.PROVIDER, "anthropic/api/claude-opus-4-8"),
        (Outcome.BROKEN_STREAM, Scope.PROVIDER, "anthropic/api/claude-opus-4-8"),
        (Outcome.CONNECT_FAILED, Scope.PROVIDER, "anthropic/api/claude-opus-4-8"),
        (Outcome.RATE_LIMITED, Scope.ACCOUNT, "outlast/upstream/claude"),
        (Outcome.AUTH, Scope.CREDENTIAL, "outlast/upstream/claude"),
        (Outcome.OURS, Scope.OURS, "outlast/upstream/claude"),
        (Outcome.OURS, Scope.MODEL, "outlast/upstream/claude"),
        (Outcome.CLIENT_GONE, Scope.NONE, None),
        (Outcome.LEFT, Scope.NONE, None),
        (Outcome.MISFIT, Scope.MODEL, None),
        (Outcome.CALLER_ERROR, Scope.REQUEST, None),
    ],
)
def test_each_outcome_is_about_whom_it_should_be(
    outcome: Outcome, scope: Scope, component: str | None
) -> None:
    intake = Intake([("anthropic", "claude-opus-4-8")])
    found = intake.from_attempt(attempt(outcome, scope), CLAUDE)
    assert (found.component if found else None) == component
    if found:
        assert found.upstream == "claude"
        assert (found.outcome, found.id, found.evidence) == (outcome, "req_1/0", "seen")


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - NOTHING))
def test_the_embedded_model_is_ours_however_it_ends(outcome: Outcome) -> None:
    found = Intake().from_attempt(attempt(outcome, Scope.MODEL), LOCAL)
    assert found is not None
    assert found.component == "outlast/upstream/local"


@pytest.mark.parametrize(
    ("outcome", "component", "kept"),
    [
        (Outcome.CONNECT_FAILED, "outlast/upstream/claude", Outcome.OURS),
        (Outcome.TIMEOUT, "outlast/upstream/claude", Outcome.OURS),
        (Outcome.STALLED, "outlast/upstream/claude", Outcome.OURS),
        (Outcome.BROKEN_STREAM, "outlast/upstream/claude", Outcome.OURS),
        # Somebody answered: the network carries, whatever was thought of it.
        (Outcome.OK, "anthropic/api/claude-opus-4-8", Outcome.OK),
        (Outcome.OVERLOADED, "anthropic/api", Outcome.OVERLOADED),
    ],
)
def test_what_our_network_loses_is_ours(outcome: Outcome, component: str, kept: Outcome) -> None:
    found = Intake().from_attempt(attempt(outcome, Scope.PROVIDER), CLAUDE, offline=True)
    assert found is not None
    assert (found.component, found.outcome) == (component, kept)


def test_a_model_has_its_own_component_once_it_has_answered() -> None:
    intake = Intake()

    def component(outcome: Outcome, scope: Scope) -> str | None:
        found = intake.from_attempt(attempt(outcome, scope), CLAUDE)
        return found.component if found else None

    assert component(Outcome.OVERLOADED, Scope.PROVIDER) == "anthropic/api"
    # There may be no such model: that says nothing of the vendor.
    assert component(Outcome.SERVER_ERROR, Scope.MODEL) is None
    assert component(Outcome.OK, Scope.NONE) == "anthropic/api/claude-opus-4-8"
    assert component(Outcome.SERVER_ERROR, Scope.MODEL) == "anthropic/api/claude-opus-4-8"


def test_after_a_restart_it_knows_the_models_of_before() -> None:
    intake = Intake()
    intake.learn(
        ["anthropic/api/claude-opus-4-8@eu", "anthropic/web", "outlast/upstream/x", "", "odd@/"]
    )
    found = intake.from_attempt(attempt(Outcome.OVERLOADED, Scope.PROVIDER), CLAUDE)
    assert found is not None
    assert found.component == "anthropic/api/claude-opus-4-8"


def test_callers_can_not_make_components_without_end() -> None:
    intake = Intake()
    seen: set[str] = set()
    for provider in range(PROVIDERS_MAX + 20):
        for model in range(MODELS_MAX + 20):
            candidate = Candidate("u", f"m{model}", Kind.OPENAI_CHAT, provider=f"p{provider}")
            found = intake.from_attempt(attempt(Outcome.OK), candidate)
            assert found is not None
            seen.add(found.component)
    with_models = PROVIDERS_MAX * (MODELS_MAX + 1)
    assert len(seen) == with_models + 20
    assert "p0/api" in seen


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("claude-opus-4-8", "claude-opus-4-8"),
        ("meta-llama/Llama-3.3-70B:free", "meta-llama/Llama-3.3-70B:free"),
        ("claude-opus-4@20250514", "claude-opus-4-20250514"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.x",
            "us.anthropic.x",
        ),
        ("projects/secret-project/locations/eu/publishers/google/models/gemini", "gemini"),
        ("two words\x00<script>", "two-words-script-"),
        ("//a///b/", "a/b"),
        ("@", "-"),
        ("/", ""),
        ("", ""),
    ],
)
def test_a_models_name_is_made_fit_for_a_component(raw: str, name: str) -> None:
    assert model_name(raw) == name


@given(st.text(max_size=400), st.text(max_size=400))
def test_every_name_goes_into_a_component_and_back(provider: str, model: str) -> None:
    for name in (api_component(provider, model), upstream_component(provider).name):
        assert Component.parse(name).name == name
        assert name.isascii()
        assert name.isprintable()
    assert len(model_name(model)) <= MODEL_CHARS
    # What is clean stays as it is: probes and attempts meet at one name.
    assert api_component(provider_name(provider), model_name(model)) == api_component(
        provider, model
    )
