"""Where a request may go, in which order: tables, and statistics over a seeded roll."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.config import CandidateSettings, RouteSettings, Settings, UpstreamSettings
from outlast.gateway.routing import (
    candidates_of,
    degraded,
    find_route,
    narrower,
    nearest,
    next_candidate,
    order,
    permitted,
    provider_of,
    spread,
)
from outlast.nouns import Allow, Candidate, Degraded, Kind, Outcome, Scope
from outlast.outcome import Fault, FaultKind, Verdict, classify_fault, classify_status

ROUTES = [
    RouteSettings(model="claude-*"),
    RouteSettings(model="claude-opus-*"),
    RouteSettings(model="claude-opus-4-8"),
    RouteSettings(model="claude-opus-4-8[1m]"),
    RouteSettings(model="gpt-?"),
    RouteSettings(model="text-*-3"),
]


@pytest.mark.parametrize(
    ("model", "route", "sentence"),
    [
        ("claude-opus-4-8", "claude-opus-4-8", "an exact name wins over the globs before it"),
        ("claude-opus-4-7", "claude-*", "among globs the first counts"),
        ("claude-", "claude-*", "a star may stand for nothing"),
        ("gpt-5", "gpt-?", "a question mark is one character"),
        ("gpt-55", None, "and not two"),
        ("text-embedding-3", "text-*-3", "a star may stand in the middle"),
        ("CLAUDE-OPUS-4-8", None, "case counts"),
        ("claude-opus-4-8[1m]", "claude-opus-4-8[1m]", "brackets are part of a name"),
        ("xclaude-opus", None, "the whole name must match"),
        ("", None, "no name"),
    ],
)
def test_a_route_is_found(model: str, route: str | None, sentence: str) -> None:
    found = find_route(ROUTES, model)
    assert (found.model if found else None) == route, sentence


def test_brackets_in_a_route_are_not_a_class_of_characters() -> None:
    assert find_route([RouteSettings(model="claude-opus-4-8[1m]")], "claude-opus-4-81") is None


@pytest.mark.parametrize(
    ("model", "names", "sentence"),
    [
        ("claude-opus-5-8", ["claude-opus-4-8"], "nearly right"),
        ("zzzz", ["claude-opus-4-8", "claude-opus-4-8[1m]"], "nothing like it: real names"),
    ],
)
def test_the_nearest_names_help_who_mistyped(model: str, names: list[str], sentence: str) -> None:
    assert nearest(ROUTES, model)[: len(names)] == names, sentence
    assert len(nearest(ROUTES, model)) <= 3


def test_where_there_are_only_globs_these_are_named() -> None:
    assert nearest([RouteSettings(model="claude-*")], "zzzz") == ["claude-*"]
    assert nearest([], "x") == []


def upstream(name: str, kind: Kind = Kind.ANTHROPIC, **more: str) -> UpstreamSettings:
    return msgspec.convert(
        {"name": name, "kind": kind, "base_url": f"https://api.{name}.com", **more},
        UpstreamSettings,
    )


def settings(*upstreams: UpstreamSettings) -> Settings:
    return Settings(upstreams={one.name: one for one in upstreams})


def route(*candidates: CandidateSettings) -> RouteSettings:
    return RouteSettings(model="claude-*", candidates=candidates)


def test_a_candidate_knows_provider_vendor_credential_and_model() -> None:
    known = settings(
        upstream("anthropic", key_env="ANTHROPIC_API_KEY"),
        upstream("cloud", vendor="anthropic", provider="amazon", key_file="/run/key"),
        upstream("bare"),
    )
    first, second, third = candidates_of(
        route(
            CandidateSettings(upstream="anthropic"),
            CandidateSettings(upstream="cloud", model="other", weight=3),
            CandidateSettings(upstream="bare"),
        ),
        "claude-opus-4-8",
        known,
    )
    assert first == Candidate(
        "anthropic",
        "claude-opus-4-8",
        Kind.ANTHROPIC,
        "anthropic",
        "anthropic",
        "ANTHROPIC_API_KEY",
        context_tokens=1_000_000,
    )
    assert (second.provider, second.vendor, second.model) == ("amazon", "anthropic", "other")
    assert (second.credential, second.weight) == ("/run/key", 3)
    assert third.credential == "bare"


def test_order_then_position_decides() -> None:
    known = settings(*(upstream(name) for name in "abcd"))
    found = candidates_of(
        route(
            CandidateSettings(upstream="a", order=2),
            CandidateSettings(upstream="b"),  # its position: 1
            CandidateSettings(upstream="c", order=0),
            CandidateSettings(upstream="d", order=2),
        ),
        "m",
        known,
    )
    assert [candidate.upstream for candidate in found] == ["c", "b", "a", "d"]


def test_equal_orders_share_the_traffic_by_weight_and_others_stay() -> None:
    known = settings(*(upstream(name) for name in "abc"))
    asked = route(
        CandidateSettings(upstream="a", order=0, weight=3),
        CandidateSettings(upstream="b", order=0, weight=1),
        CandidateSettings(upstream="c", order=1, weight=1000),
    )
    roll = random.Random(2).random
    candidates = candidates_of(asked, "m", known)
    runs = [spread(asked, candidates, roll) for _ in range(10_000)]
    firsts = Counter(run[0].upstream for run in runs)
    assert firsts["a"] + firsts["b"] == 10_000  # weight never beats order
    assert 0.73 < firsts["a"] / 10_000 < 0.77
    assert all(run[2].upstream == "c" and len(set(run)) == 3 for run in runs)


def test_the_order_of_the_settings_holds_without_equal_orders() -> None:
    known = settings(*(upstream(name) for name in "abc"))
    asked = route(*(CandidateSettings(upstream=name, weight=9) for name in "abc"))
    candidates = candidates_of(asked, "m", known)
    for seed in range(20):
        assert spread(asked, candidates, random.Random(seed).random) == candidates


def test_a_roll_of_zero_is_no_division() -> None:
    known = settings(upstream("a"), upstream("b"))
    asked = route(*(CandidateSettings(upstream=name, order=0) for name in "ab"))
    assert len(spread(asked, candidates_of(asked, "m", known), lambda: 0.0)) == 2


# -- degradation ---------------------------------------------------------------------------------

PRIMARY = Candidate("anthropic", "claude-opus-4-8", Kind.ANTHROPIC, "anthropic", "anthropic", "A")
KEY_2 = Candidate("anthropic-2", "claude-opus-4-8", Kind.ANTHROPIC, "anthropic", "anthropic", "B")
CLOUD = Candidate(
    "bedrock", "eu.anthropic.claude-opus-4-8-v1:0", Kind.ANTHROPIC, "amazonaws", "amazonaws", "C"
)
SONNET = Candidate("anthropic", "claude-sonnet-5", Kind.ANTHROPIC, "anthropic", "anthropic", "A")
GPT = Candidate("openai", "gpt-5", Kind.OPENAI_CHAT, "openai", "openai", "D")
LOCAL = Candidate("local", "qwen2.5-coder-0.5b", Kind.LOCAL, "local", "local", "local")

LADDER = [
    (PRIMARY, "same-model", Degraded.NONE),
    (KEY_2, "same-model", Degraded.NONE),
    (CLOUD, "same-model", Degraded.OTHER_HOST),
    (SONNET, "same-vendor", Degraded.OTHER_MODEL),
    (GPT, "any", Degraded.OTHER_MODEL),
    (LOCAL, "local", Degraded.LOCAL),
]


@pytest.mark.parametrize(("candidate", "least", "word"), LADDER)
def test_each_step_of_the_ladder_allows_all_before_it(
    candidate: Candidate, least: str, word: Degraded
) -> None:
    allowed = [allow for allow in Allow if permitted(candidate, PRIMARY, allow)]
    assert allowed == list(Allow)[Allow(least).rank :]
    assert degraded(candidate, PRIMARY) is word


@given(st.sampled_from(list(Allow)), st.sampled_from([row[0] for row in LADDER]))
def test_what_was_asked_for_is_always_permitted(allow: Allow, primary: Candidate) -> None:
    """So there is always somebody to ask."""
    assert permitted(primary, primary, allow)


def test_the_embedded_model_asked_for_by_name_is_no_degradation() -> None:
    assert degraded(LOCAL, LOCAL) is Degraded.NONE
    assert all(permitted(LOCAL, LOCAL, allow) for allow in Allow)


SAME_MODEL = [
    ("claude-opus-4-8", "claude-opus-4-8-20260101", True),
    ("claude-opus-4-8-latest", "claude-opus-4-8-20260101", True),
    ("claude-opus-4-8", "claude-opus-4-8@20260101", True),
    ("claude-opus-4-8@default", "claude-opus-4-8", True),
    ("claude-opus-4-8", "anthropic/claude-opus-4.8", True),
    ("claude-opus-4-8-20260101", "us.anthropic.claude-opus-4-8-20260101-v1:0", True),
    ("claude-opus-4-8", "global.anthropic.claude-opus-4-8-v1:0", True),
    ("claude-opus-4-8", "us-gov.anthropic.claude-opus-4-8-v2:0:200k", True),
    ("claude-opus-4-8", "anthropic.claude-opus-4-8", True),
    (
        "claude-opus-4-8",
        "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-opus-4-8-v1:0",
        True,
    ),
    ("gpt-5", "openai/gpt-5", True),
    ("gpt-5-2025-08-07", "gpt-5", True),
    ("Llama-3.3-70B-Instruct", "meta-llama/llama-3.3-70b-instruct", True),
    ("claude-opus-4-8-20260101", "claude-opus-4-8-20260202", False),
    ("gpt-4o-2024-05-13", "gpt-4o-2024-11-20", False),
    ("claude-opus-4-8", "claude-opus-4-7", False),
    ("gpt-5", "gpt-5-mini", False),
    ("claude-opus-4-8", "claude-sonnet-4-8", False),
    ("gpt-5", "gpt-5.1", False),
]


@pytest.mark.parametrize(("one", "other", "same"), SAME_MODEL)
def test_names_of_one_model_at_different_hosts_are_recognised(
    one: str, other: str, same: bool
) -> None:
    primary = Candidate("p", one, Kind.ANTHROPIC, "p", "p")
    elsewhere = Candidate("q", other, Kind.ANTHROPIC, "q", "q")
    word = Degraded.OTHER_HOST if same else Degraded.OTHER_MODEL
    assert degraded(elsewhere, primary) is word
    assert degraded(primary, elsewhere) is word


@pytest.mark.parametrize(
    ("wishes", "result"),
    [
        ((Allow.LOCAL, Allow.ANY), Allow.ANY),
        ((Allow.SAME_MODEL, Allow.LOCAL), Allow.SAME_MODEL),
        ((Allow.ANY, Allow.SAME_VENDOR, Allow.LOCAL), Allow.SAME_VENDOR),
    ],
)
def test_nobody_can_widen_what_another_narrowed(wishes: tuple[Allow, ...], result: Allow) -> None:
    assert narrower(*wishes) is result


PROVIDERS = [
    ("https://api.anthropic.com", "anthropic"),
    ("https://api.openai.com/v1", "openai"),
    ("https://API.OpenAI.com./v1", "openai"),
    ("https://bedrock-runtime.eu-west-1.amazonaws.com", "amazonaws"),
    ("https://eu-west1-aiplatform.googleapis.com/v1", "googleapis"),
    ("https://mine.openai.azure.com/openai/v1", "azure"),
    ("https://openrouter.ai/api/v1", "openrouter"),
    ("https://llm.example.co.uk", "example"),
    ("https://llm.another.co.uk", "another"),
    ("https://llm.example.com.au/v1", "example"),
    ("https://co.uk", "co"),
    ("http://127.0.0.1:9001", "127.0.0.1:9001"),
    ("http://[::1]:80", "[::1]:80"),
    ("http://localhost:11434/v1", "localhost:11434"),
    ("http://gpu-box:8000", "gpu-box:8000"),
    ("http://192.168.1.20:8000/v1", "192.168.1.20:8000"),
    ("http://user:secret@10.0.0.1:8000", "10.0.0.1:8000"),
    ("", ""),
]


@pytest.mark.parametrize(("base_url", "provider"), PROVIDERS)
def test_an_address_says_whose_servers_it_leads_to(base_url: str, provider: str) -> None:
    assert provider_of(base_url) == provider


# -- the order of trying -------------------------------------------------------------------------


def names(candidates: tuple[Candidate, ...]) -> list[str]:
    return [candidate.upstream for candidate in candidates]


def test_those_that_breakers_refuse_come_last_and_are_not_dropped() -> None:
    ordered = order([PRIMARY, CLOUD, GPT, LOCAL], lambda c: c.upstream in {"openai", "local"})
    assert names(ordered) == ["openai", "local", "anthropic", "bedrock"]


def test_when_breakers_refuse_all_the_order_of_the_route_holds() -> None:
    """Panic: an attempt that may fail beats a refusal that is certain."""
    assert names(order([PRIMARY, GPT, LOCAL], lambda _: False)) == ["anthropic", "openai", "local"]


def test_what_status_speaks_against_comes_after_the_others_and_before_the_refused() -> None:
    ordered = order(
        [PRIMARY, CLOUD, GPT], lambda c: c is not CLOUD, demoted={PRIMARY.name: object()}
    )
    assert names(ordered) == ["openai", "anthropic", "bedrock"]


def test_offline_this_machine_comes_first_even_where_its_breaker_refuses() -> None:
    ordered = order([PRIMARY, GPT, LOCAL], lambda c: c is not LOCAL, offline=True)
    assert names(ordered) == ["local", "anthropic", "openai"]


def test_offline_a_server_on_this_machine_is_as_near_as_the_embedded_model() -> None:
    ollama = Candidate("ollama", "qwen3", Kind.OPENAI_CHAT, "localhost:11434", "ollama")
    here = {"ollama", "local"}
    ordered = order(
        [PRIMARY, ollama, LOCAL], lambda _: True, offline=True, here=lambda c: c.upstream in here
    )
    assert names(ordered) == ["ollama", "local", "anthropic"]


def fault(kind: FaultKind) -> Verdict:
    return classify_fault(Fault(kind))


NEXT: list[tuple[str, list[Candidate], list[tuple[Candidate, Verdict]], str | None]] = [
    ("nothing was tried", [PRIMARY, GPT], [], "anthropic"),
    ("nobody is left", [], [(PRIMARY, classify_status(529))], None),
    (
        "an overloaded provider is overloaded for all its keys",
        [KEY_2, GPT],
        [(PRIMARY, classify_status(529))],
        "openai",
    ),
    (
        "where nobody else is left its other key is better than nothing",
        [KEY_2],
        [(PRIMARY, classify_status(529))],
        "anthropic-2",
    ),
    (
        "a rate limit is the account's: another key of the same provider may do",
        [KEY_2, GPT],
        [(PRIMARY, classify_status(429))],
        "anthropic-2",
    ),
    (
        "a rate limit holds for the account's other models too",
        [SONNET, GPT],
        [(PRIMARY, classify_status(429))],
        "openai",
    ),
    (
        "a refused credential is not tried again with another model",
        [SONNET, GPT],
        [(PRIMARY, classify_status(401))],
        "openai",
    ),
    ("not even as the last", [SONNET], [(PRIMARY, classify_status(401))], None),
    (
        "a missing model says nothing about the provider",
        [SONNET, GPT],
        [(PRIMARY, classify_status(404))],
        "anthropic",
    ),
    (
        "without a network the embedded model comes first",
        [GPT, LOCAL],
        [(PRIMARY, fault("unreachable"))],
        "local",
    ),
    (
        "our own limit of requests at once is no missing network",
        [GPT, LOCAL],
        [(PRIMARY, fault("too_many"))],
        "openai",
    ),
    (
        "an error of our own is no missing network",
        [GPT, LOCAL],
        [(PRIMARY, fault("internal"))],
        "openai",
    ),
    (
        "name servers that fail for one vendor may know another",
        [GPT, LOCAL],
        [(PRIMARY, fault("dns_unavailable"))],
        "openai",
    ),
    (
        "two providers down: the third, not the first's other key",
        [KEY_2, LOCAL],
        [(PRIMARY, classify_status(503)), (GPT, fault("refused"))],
        "local",
    ),
]


@pytest.mark.parametrize(
    ("sentence", "left", "tried", "expected"), NEXT, ids=[row[0] for row in NEXT]
)
def test_the_next_one_shares_nothing_with_what_failed(
    sentence: str,
    left: list[Candidate],
    tried: list[tuple[Candidate, Verdict]],
    expected: str | None,
) -> None:
    found = next_candidate(left, tried)
    assert (found.upstream if found else None) == expected, sentence


@given(
    st.permutations([PRIMARY, KEY_2, CLOUD, SONNET, GPT, LOCAL]),
    st.sampled_from([400, 401, 402, 404, 429, 500, 503, 529]),
)
def test_every_candidate_gets_its_turn_but_those_with_a_refused_key(
    candidates: list[Candidate], status: int
) -> None:
    verdict = classify_status(status)
    left, tried = list(candidates), list[tuple[Candidate, Verdict]]()
    while (found := next_candidate(left, tried)) is not None:
        left.remove(found)
        tried.append((found, verdict))
    if verdict.scope is Scope.CREDENTIAL:
        assert verdict.outcome is Outcome.AUTH
        keys = [candidate.credential for candidate, _ in tried]
        assert sorted(keys) == sorted(set(keys))
    else:
        assert not left
