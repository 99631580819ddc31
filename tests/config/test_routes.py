"""What the file leaves out: the embedded model, and routes for the well-known names."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.config import RouteSettings, Settings, load
from outlast.config.tables import provider_of
from outlast.nouns import Allow, Kind
from tests.config.test_load import ANTHROPIC, read

OPENAI = "[upstreams.openai]\nkind='openai-chat'\nbase_url='https://api.openai.com/v1'\n"


def route(settings: Settings, model: str) -> RouteSettings:
    (found,) = (route for route in settings.routes if route.model == model)
    return found


def places(settings: Settings, model: str) -> list[tuple[str, str, int | None]]:
    return [(c.upstream, c.model, c.order) for c in route(settings, model).candidates]


def test_without_any_configuration_the_embedded_model_answers_for_every_known_name() -> None:
    settings = load(None, {})
    assert list(settings.upstreams) == ["local"]
    assert settings.upstreams["local"].kind is Kind.LOCAL
    for model in ("claude-*", "anthropic-*", "gpt-*", "o1*", "o3*", "o4*", "chatgpt-*", "codex-*"):
        assert places(settings, model) == [("local", "qwen2.5-coder-0.5b", 0)]
    for model in ("gemini-*", "outlast-local", "claude-local"):
        assert places(settings, model) == [("local", "qwen2.5-coder-0.5b", 0)]
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8400)
    assert all(route.allow is Allow.LOCAL for route in settings.routes)


def test_without_routes_each_upstream_takes_the_names_of_its_kind(tmp_path: Path) -> None:
    settings = read(tmp_path, ANTHROPIC + OPENAI)
    local = ("local", "qwen2.5-coder-0.5b", 1)
    assert places(settings, "claude-*") == [("anthropic", "", 0), local]
    assert places(settings, "gpt-*") == [("openai", "", 0), local]
    assert places(settings, "text-embedding-*") == [("openai", "", 0)]


def test_the_embedded_model_comes_last_unless_the_route_says_otherwise(tmp_path: Path) -> None:
    text = (
        ANTHROPIC
        + OPENAI
        + """
[[routes]]
model = "with"
candidates = ["anthropic", "openai/gpt-5/x"]
[[routes]]
model = "without"
candidates = ["anthropic"]
local = false
[[routes]]
model = "first"
candidates = ["local", "anthropic"]
[[routes]]
model = "embeddings"
candidates = ["openai"]
serves = "embeddings"
"""
    )
    settings = read(tmp_path, text)
    own = "qwen2.5-coder-0.5b"
    assert places(settings, "with") == [
        ("anthropic", "", 0),
        ("openai", "gpt-5/x", 1),
        ("local", own, 2),
    ]
    assert places(settings, "without") == [("anthropic", "", 0)]
    assert places(settings, "first") == [("local", own, 0), ("anthropic", "", 1)]
    assert places(settings, "embeddings") == [("openai", "", 0)]


def test_candidates_of_one_order_share_and_the_embedded_model_comes_after_them(
    tmp_path: Path,
) -> None:
    text = (
        ANTHROPIC
        + OPENAI
        + """
[[routes]]
model = "m"
candidates = [
    { upstream = "anthropic", order = 3, weight = 9 },
    { upstream = "openai", model = "gpt-5", order = 3 },
]
"""
    )
    settings = read(tmp_path, text)
    assert [order for _, _, order in places(settings, "m")] == [3, 3, 4]
    assert [c.weight for c in route(settings, "m").candidates] == [9, 1, 1]


def test_the_embedded_models_own_name_is_matched_before_a_glob_that_covers_it() -> None:
    models = [route.model for route in load(None, {}).routes]
    assert models.index("claude-local") < models.index("claude-*")


def test_without_the_embedded_model_no_route_leads_to_it(tmp_path: Path) -> None:
    settings = read(tmp_path, ANTHROPIC + "[local]\nenabled = false\n")
    assert list(settings.upstreams) == ["anthropic"]
    assert {r.model for r in settings.routes} == {"claude-*", "anthropic-*"}


def test_a_users_own_route_for_the_embedded_model_stays(tmp_path: Path) -> None:
    text = ANTHROPIC + "[[routes]]\nmodel = 'claude-local'\ncandidates = ['anthropic/x']\n"
    settings = read(tmp_path, text)
    assert places(settings, "claude-local")[0] == ("anthropic", "x", 0)


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.anthropic.com", "anthropic"),
        ("https://api.openai.com/v1", "openai"),
        ("https://acme.openai.azure.com/openai", "azure"),
        ("http://127.0.0.1:9001", "mine"),
        ("http://[::1]:9001", "mine"),
        ("http://localhost:11434/v1", "mine"),
        ("http://vllm.models.svc.cluster.local:8000", "mine"),
    ],
)
def test_the_provider_is_told_from_the_address(url: str, provider: str) -> None:
    assert provider_of(url, "mine") == provider


def test_provider_and_vendor_can_be_said(tmp_path: Path) -> None:
    text = OPENAI + "provider = 'azure'\nvendor = 'openai'\n"
    upstream = read(tmp_path, text).upstreams["openai"]
    assert (upstream.provider, upstream.vendor) == ("azure", "openai")
