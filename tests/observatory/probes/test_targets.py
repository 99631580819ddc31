"""What settings make of probes, and what counts as the canary's right answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from outlast.config import (
    CandidateSettings,
    ObservatorySettings,
    RouteSettings,
    Secret,
    Settings,
    UpstreamSettings,
)
from outlast.config.routes import complete
from outlast.nouns import Component, Kind, Surface
from outlast.observatory.probe_places import CATALOGUE
from outlast.observatory.probe_targets import (
    TARGETS_MAX,
    ProbeKind,
    Target,
    places_of,
    right,
    targets_of,
)

COUNT = " ".join(str(number) for number in range(1, 21))


def upstream(name: str, url: str, kind: Kind = Kind.ANTHROPIC, **more: Any) -> UpstreamSettings:
    fields: dict[str, Any] = {"provider": name, "key": Secret("a-key"), **more}
    return UpstreamSettings(name=name, kind=kind, base_url=url, **fields)


def route(model: str, *candidates: str, **more: Any) -> RouteSettings:
    chosen = tuple(
        CandidateSettings(upstream=c.partition("/")[0], model=c.partition("/")[2])
        for c in candidates
    )
    return RouteSettings(model=model, candidates=chosen, **more)


def targets(
    *upstreams: UpstreamSettings, routes: tuple[RouteSettings, ...] = (), **watched: Any
) -> dict[str, Target]:
    settings = Settings(
        upstreams={one.name: one for one in upstreams},
        routes=routes,
        observatory=ObservatorySettings(**watched),
    )
    found = targets_of(complete(settings))
    assert len({target.name for target in found}) == len(found)
    return {target.name: target for target in found}


ANTHROPIC = upstream("anthropic", "https://api.anthropic.com")
OWN = upstream("box", "http://127.0.0.1:8000", Kind.OPENAI_CHAT, key=None)


def test_an_upstream_has_its_door_its_list_and_a_canary_for_each_model() -> None:
    found = targets(OWN, routes=(route("small", "box/qwen"), route("other", "box/llama")))
    assert {name: target.component for name, target in found.items()} == {
        "reach box": "box/api",
        "models box": "box/api",
        "canary box/qwen": "box/api/qwen",
        "canary box/llama": "box/api/llama",
    }
    assert not any(target.remote for target in found.values())


def test_an_encrypted_upstream_is_asked_for_its_certificate() -> None:
    found = targets(ANTHROPIC)
    assert found["tls anthropic"].kind is ProbeKind.TLS
    assert found["tls anthropic"].url == "https://api.anthropic.com"
    assert found["tls anthropic"].upstream == "anthropic"


def test_a_vendors_public_places_come_with_an_upstream_at_its_own_address() -> None:
    found = targets(ANTHROPIC)
    parts = {target.component for target in found.values()}
    assert {"anthropic/web", "anthropic/login", "anthropic/code", "anthropic/api"} <= parts
    proxied = targets(upstream("anthropic", "http://127.0.0.1:9"))
    assert not [name for name in proxied if name.startswith("page")]


def test_a_provider_without_an_upstream_gets_the_free_probes_alone() -> None:
    found = targets(OWN, providers=("openai",))
    public = [target for target in found.values() if target.provider == "openai"]
    assert {target.kind for target in public} == {ProbeKind.PAGE, ProbeKind.TLS}
    assert sum(target.tokens for target in public) == 0


def test_a_vendor_that_wants_a_key_is_not_asked_without_one() -> None:
    bare = upstream("anthropic", "https://api.anthropic.com", key=None)
    found = targets(bare, routes=(route("claude-opus-4-8", "anthropic"),))
    assert not [name for name in found if name.startswith(("models", "canary"))]


@pytest.mark.parametrize(
    ("model", "candidate", "canaries"),
    [
        pytest.param(
            "claude-opus-4-8", "anthropic", ["claude-opus-4-8"], id="a route's own name is asked"
        ),
        pytest.param(
            "fast", "anthropic/claude-x", ["claude-x"], id="a candidate's name wins over its route"
        ),
        pytest.param(
            "claude-*", "anthropic", ["claude-haiku-4-5"], id="a glob means the cheapest it allows"
        ),
        pytest.param("opus-*", "anthropic", [], id="a glob that no known cheap model fits: none"),
    ],
)
def test_which_model_a_route_makes_a_canary_of(
    model: str, candidate: str, canaries: list[str]
) -> None:
    found = targets(ANTHROPIC, routes=(route(model, candidate),))
    asked = [target.model for target in found.values() if target.kind is ProbeKind.CANARY]
    assert asked == canaries


def test_the_same_model_of_two_routes_is_one_canary() -> None:
    found = targets(OWN, routes=(route("a", "box/qwen"), route("b", "box/qwen")))
    assert [name for name in found if name.startswith("canary")] == ["canary box/qwen"]


def test_embeddings_and_the_embedded_model_have_no_canary() -> None:
    found = targets(OWN, routes=(route("text-embedding-3", "box", serves="embeddings"),))
    assert not [name for name in found if name.startswith("canary")]
    assert not [target for target in found.values() if target.upstream == "local"]


def test_however_many_routes_there_are_the_targets_stay_few() -> None:
    routes = tuple(route(f"model-{number}", "box") for number in range(1000))
    assert len(targets(OWN, routes=routes)) <= TARGETS_MAX


def test_every_place_of_the_catalogue_can_be_probed_and_named() -> None:
    for provider in CATALOGUE:
        found = list(places_of(provider))
        assert found
        for target in found:
            component = Component.parse(target.component)
            assert component.provider == provider
            assert component.surface in set(Surface)
            assert urlsplit(target.url).scheme == "https"
            assert bool(target.answers) == (target.kind is ProbeKind.PAGE)


def test_a_vendor_is_known_by_the_name_that_its_address_gives() -> None:
    assert {target.component for target in places_of("googleapis")} >= {"googleapis/web"}
    assert list(places_of("nobody")) == []


@pytest.mark.parametrize(
    ("text", "stop", "verdict"),
    [
        pytest.param(COUNT, "end_turn", True, id="what was asked for"),
        pytest.param(COUNT.replace(" ", ", ") + ".", "end_turn", True, id="with commas"),
        pytest.param(f"Sure! Here is 1 count:\n{COUNT}", "end_turn", True, id="with a preamble"),
        pytest.param(COUNT[:20], "end_turn", False, id="it stopped counting"),
        pytest.param(COUNT.replace("7", "8"), "end_turn", False, id="it cannot count"),
        pytest.param("I am a teapot.", "end_turn", False, id="something else"),
        pytest.param("", "end_turn", False, id="nothing at all"),
        pytest.param("", "max_tokens", None, id="it thought until its tokens were used up"),
        pytest.param("1 2 3 4 1", "max_tokens", None, id="cut inside a number, right so far"),
        pytest.param("4 8 15 16 23", "max_tokens", False, id="cut, and wrong before"),
        pytest.param("I will not.", "refusal", None, id="a refusal is an answer"),
    ],
)
def test_the_right_answer_is_told_from_a_wrong_one(
    text: str, stop: str, verdict: bool | None
) -> None:
    assert right(text, stop) is verdict
