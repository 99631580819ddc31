"""What may stand in a subscription, what it lets through, and how often one may ask."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Impact
from outlast.observatory.accepting import Asked, BadSubscription, Keys, Problem, accept
from outlast.observatory.addresses import Rules
from outlast.observatory.subscribing import (
    DEFAULT_STATES,
    Allowance,
    Channel,
    Digest,
    Wanted,
    wants,
)

ALL = (Channel.EMAIL, Channel.WEBHOOK, Channel.SLACK)
API, WEB, OPUS = "anthropic/api", "anthropic/web", "anthropic/api/claude-opus-4-8"


def asked(target: str = "ann@example.org", kind: str = "email", **more: object) -> Asked:
    return Asked(kind=kind, target=target, **more)  # type: ignore[arg-type]


def problem(one: Asked, rules: Rules | None = None) -> str:
    return " ".join(f"{found.field}: {found.en}" for found in problems(one, rules))


def problems(one: Asked, rules: Rules | None = None) -> tuple[Problem, ...]:
    with pytest.raises(BadSubscription) as caught:
        accept(one, kinds=ALL, rules=rules or Rules())
    return caught.value.problems


def test_an_address_alone_is_enough_and_hears_all_that_matters_at_once() -> None:
    kind, target, wanted = accept(asked("Ann.Lee+ai@Example.ORG"), kinds=ALL)
    assert (kind, target) == (Channel.EMAIL, "ann.lee+ai@example.org")
    assert wanted == Wanted(lang="en", states=DEFAULT_STATES, digest=Digest.NOW)


@pytest.mark.parametrize(
    ("why", "target"),
    [
        ("it has no host", "ann"),
        ("its host has no dot", "ann@localhost"),
        ("a line break would begin a header", "ann@example.org\nbcc: all@example.org"),
        ("a carriage return would too", "ann\r@example.org"),
        ("two addresses are two subscribers", "ann@example.org,ben@example.org"),
        ("a name before it is not a part of it", "Ann <ann@example.org>"),
        ("quoted local parts can steer servers", '"ann b"@example.org'),
        ("an address of numbers is no domain", "ann@[127.0.0.1]"),
        ("other letters must be written xn--", "ann@exämple.org"),
        ("a dot cannot end it", "ann.@example.org"),
        ("a percent relay is of the last century's, but an at sign twice is none", "a@b@c.org"),
        ("it is too long", "a@" + "b" * 60 + "." + "c" * 300 + ".org"),
        ("its local part is too long", "a" * 65 + "@example.org"),
        ("empty is none", ""),
        ("a NUL is none", "ann\x00@example.org"),
        (
            "an encoded word would be shown as another address",
            "=?utf-8?q?ben=40b.org?=@example.org",
        ),
        ("an encoded line break would begin a header", "=?utf-8?q?a=0aBcc:b?=@example.org"),
    ],
)
def test_what_is_no_mail_address_is_refused(why: str, target: str) -> None:
    assert "e-mail address" in problem(asked(target)), why


@pytest.mark.parametrize(
    ("why", "target"),
    [
        ("plain http can be read and changed on its way", "http://example.org/hook"),
        ("a machine's own network", "https://127.0.0.1/hook"),
        ("a cloud's metadata", "https://169.254.169.254/latest"),
        ("an address in disguise", "https://0x7f000001/"),
        ("a private name", "https://printer.local/"),
        ("a password in an address", "https://ann:secret@example.org/"),
        ("another scheme", "file:///etc/passwd"),
        ("no host", "https:///hook"),
        ("a space", "https://example.org/a b"),
        ("a line break", "https://example.org/\nhost: other"),
        ("too long", "https://example.org/" + "a" * 2000),
    ],
)
@pytest.mark.parametrize("kind", ["webhook", "slack"])
def test_webhooks_that_may_not_be_are_refused(why: str, target: str, kind: str) -> None:
    assert problem(asked(target, kind)).startswith("target:"), why


def test_private_webhooks_may_be_where_the_operator_allows_them() -> None:
    rules = Rules(private=True, plain=True)
    _, target, _ = accept(asked("http://10.0.0.7:8080/x#y", "webhook"), kinds=ALL, rules=rules)
    assert target == "http://10.0.0.7:8080/x"
    assert "metadata" in problem(asked("http://169.254.169.254/", "webhook"), rules) or "link" in (
        problem(asked("http://169.254.169.254/", "webhook"), rules)
    )


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("kind", "pigeon", "kind"),
        ("kind", "apprise", "kind"),
        ("lang", "de", "lang"),
        ("impact", "huge", "impact"),
        ("digest", "weekly", "digest"),
        ("states", ("changed",), "states"),
        ("surfaces", ("phone",), "surfaces"),
        ("providers", ("An Thropic",), "providers"),
        ("components", ("anthropic",), "components"),
        ("components", ("a/api",) * 51, "at most 50"),
        ("hour", 24, "from 0 to 23"),
        ("hour", -1, "from 0 to 23"),
        ("zone", "Europe/Nowhere", "no time zone known here"),
    ],
)
def test_each_field_says_what_is_wrong_with_it(field: str, value: object, says: str) -> None:
    one = Asked(**{"kind": "email", "target": "ann@example.org", field: value})  # type: ignore[arg-type]
    assert says in problem(one)


@pytest.mark.parametrize(
    "one",
    [
        Asked(kind="pigeon", target=""),
        asked("nobody"),
        asked("a b", "slack"),
        asked("http://example.org/", "webhook"),
        asked("https://10.0.0.1/", "webhook"),
        asked("https://0x7f000001/", "webhook"),
        asked("https://a:b@example.org/", "webhook"),
        asked("https://printer.local/", "webhook"),
        asked("https://-/", "webhook"),
        asked("https:///", "webhook"),
        asked("https://[", "webhook"),
        asked(lang="de", impact="huge", digest="weekly", hour=77, states=("x",), surfaces=("x",)),
        asked(providers=("A b",), components=("x",)),
        asked(providers=("a",) * 51, states=("opened",) * 51),
        Asked(kind="push", target="https://p.example/", keys=Keys(p256dh="x")),
    ],
)
def test_each_problem_is_said_in_french_too(one: Asked) -> None:
    with pytest.raises(BadSubscription) as caught:
        accept(one, kinds=(*ALL, Channel.PUSH))
    for found in caught.value.problems:
        assert found.en.endswith(".")
        assert found.fr.endswith(".")
        assert found.fr != found.en
        assert not re.search(r"(?<!\u00a0)[:;?!](?=\s)", found.fr), found.fr


def test_all_problems_are_said_at_once() -> None:
    text = problem(asked("nobody", lang="de", impact="huge", digest="weekly"))
    assert all(word in text for word in ("target", "lang", "impact", "digest"))


def test_a_webhook_has_no_digest_because_a_program_does_not_read_in_the_morning() -> None:
    assert "digest" in problem(asked("https://example.org/", "webhook", digest="daily"))


OTHER = f"{API}/claude-haiku-4-5"


@pytest.mark.parametrize(
    ("why", "wanted", "components", "tells"),
    [
        ("no filter lets all through", Wanted(), [API], True),
        ("its provider", Wanted(providers=("anthropic",)), [API], True),
        ("another's", Wanted(providers=("openai",)), [API], False),
        ("one of two providers", Wanted(providers=("openai", "anthropic")), [API], True),
        ("its surface", Wanted(surfaces=("web",)), [API, WEB], True),
        ("another surface", Wanted(surfaces=("web",)), [API], False),
        (
            "provider and surface must be one component's",
            Wanted(providers=("openai",), surfaces=("api",)),
            [API, "openai/web"],
            False,
        ),
        ("a surface stands for its models", Wanted(components=(API,)), [OPUS], True),
        ("a model hears of its whole surface", Wanted(components=(OPUS,)), [API], True),
        ("but not of another model", Wanted(components=(OPUS,)), [OTHER], False),
        ("a region hears of the whole", Wanted(components=(API + "@eu",)), [API], True),
        ("but not of another region", Wanted(components=(API + "@eu",)), [API + "@us"], False),
        ("what is no component reaches nobody", Wanted(providers=("x",)), ["x"], False),
    ],
)
def test_who_hears_of_which_components(
    why: str, wanted: Wanted, components: list[str], tells: bool
) -> None:
    assert wants(wanted, "opened", Impact.MINOR, components) is tells, why


@pytest.mark.parametrize(
    ("why", "wanted", "kind", "impact", "tells"),
    [
        ("a state that is always told", Wanted(), "opened", Impact.NONE, True),
        ("a state not asked for", Wanted(), "vendor", Impact.MAJOR, False),
        ("a state asked for", Wanted(states=("vendor",)), "vendor", Impact.MAJOR, True),
        ("below the least impact", Wanted(impact=Impact.MAJOR), "opened", Impact.MINOR, False),
        ("at the least impact", Wanted(impact=Impact.MAJOR), "opened", Impact.MAJOR, True),
    ],
)
def test_who_hears_which_states(
    why: str, wanted: Wanted, kind: str, impact: Impact, tells: bool
) -> None:
    assert wants(wanted, kind, impact, [API]) is tells, why


def test_five_may_be_asked_for_at_once_and_then_one_each_six_minutes() -> None:
    allowance = Allowance(5, 10)
    assert [allowance.wait_s("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert allowance.wait_s("a", 0.0) == 360.0
    assert allowance.wait_s("b", 0.0) == 0.0
    assert allowance.wait_s("a", 360.0) == 0.0
    assert allowance.wait_s("a", 360.0) == 360.0


def test_a_flood_of_networks_shares_one_allowance_and_no_memory() -> None:
    allowance = Allowance(1, 1, keys_max=3)
    assert [allowance.wait_s(name, 0.0) for name in "abcd"] == [0.0] * 4
    assert allowance.wait_s("e", 0.0) == 3600.0
    assert allowance.left_s("e", 0.0) == 3600.0
    assert allowance.left_s("e", 3600.0) == 0.0  # the others are forgotten by now
    assert allowance.wait_s("e", 3600.0) == 0.0
    assert allowance.left_s("e", 3600.0) == 3600.0


@given(st.lists(st.floats(0, 86_400), min_size=1, max_size=60))
def test_nobody_gets_more_than_the_rate_and_the_burst(times: list[float]) -> None:
    allowance = Allowance(3, 6)
    given_at = [at for at in sorted(times) if allowance.wait_s("a", at) == 0]
    for index, start in enumerate(given_at):
        within = sum(at <= start + 3600 for at in given_at[index:])
        assert within <= 3 + 6
