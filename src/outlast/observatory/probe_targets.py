"""What is probed for given settings: our upstreams, and their vendors' public places. Pure.

An upstream: its door (a connection, with its certificate), its list of models, and a canary for
each model that a route names. Its vendor, where the upstream is at the vendor's own address, and
every provider of `observatory.providers`: what probe_places.py knows of it, free of charge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from outlast.accounts.keys import matches
from outlast.config import CandidateSettings, RouteSettings, Settings, UpstreamSettings
from outlast.naming import api_component
from outlast.nouns import Component, Kind
from outlast.observatory.probe_places import known, places_at

QUESTION = "Count from 1 to 20, separated by spaces."
"""The canary: small, the same each time (so that it may be cached), with one right answer."""
MAX_TOKENS = 64
CANARY_TOKENS = 90
"""What a canary costs, at most about: 20 in, 64 out and what the format adds."""
BRIEF_MAX_TOKENS = 16
"""Of a short canary: the least that OpenAI's Responses takes (its API reference, read 2026)."""
BRIEF_TOKENS = 40
"""What one costs, at most about."""
_RIGHT = [str(number) for number in range(1, 21)]

FREE_S = 15.0
CANARY_S = 60.0
TLS_EVERY = 4.0
"""Certificates and bare connections are looked at in every fourth round."""
TARGETS_MAX = 300
CANARIES_MAX = 60
GLOB = frozenset("*?[")


class ProbeKind(StrEnum):
    """How a thing is probed, from the shallowest to the deepest."""

    TCP = "reach"
    TLS = "tls"
    PAGE = "page"
    MODELS = "models"
    CANARY = "canary"


class Target(msgspec.Struct, frozen=True):
    """One thing to probe again and again."""

    name: str
    """Unique: `canary anthropic/claude-opus-4-8`, `page https://claude.ai/login`."""
    kind: ProbeKind
    component: str
    provider: str
    url: str = ""
    upstream: str = ""
    model: str = ""
    answers: tuple[int, ...] = ()
    """Pages: statuses that mean it is alive; 3xx always does."""
    tokens: int = 0
    """What one probe costs, estimated; 0: nothing."""
    every: float = 1.0
    """Rounds between two probes."""
    limit_s: float = FREE_S
    remote: bool = True
    """Whether it says something about our network."""
    brief: bool = False
    """Canaries: the first words of an answer are enough."""


CHEAPEST = {
    "anthropic": "claude-haiku-4-5",
    "openai": "gpt-4.1-nano",
    "googleapis": "gemini-2.5-flash-lite",
    "mistral": "ministral-3b-latest",
    "deepseek": "deepseek-chat",
}
"""Whom to ask where a route names no model (`claude-*`): the cheapest that does not think first,
by the vendors' price lists."""


def targets_of(settings: Settings) -> tuple[Target, ...]:
    """Return what to probe for these settings, each once, what is ours before what is public."""
    found: dict[str, Target] = {}
    for upstream in settings.upstreams.values():
        if upstream.kind is not Kind.LOCAL:
            for target in _of_upstream(upstream):
                found.setdefault(target.name, target)
    canaries = 0
    for upstream, model in _asked(settings):
        target = _canary(upstream, model)
        if target.name not in found and canaries < CANARIES_MAX:
            found[target.name] = target
            canaries += 1
    for provider in watched(settings):
        for target in places_of(provider):
            found.setdefault(target.name, target)
    return tuple(found.values())[:TARGETS_MAX]


def places_of(provider: str) -> Iterator[Target]:
    """What of a vendor anybody may knock at; nothing for one that is not in the catalogue."""
    for place in places_at(provider):
        surface, _, part = place.part.partition("/")
        component = Component(provider, surface, part).name
        if place.answers:
            yield Target(
                f"page {place.url}",
                ProbeKind.PAGE,
                component,
                provider,
                url=place.url,
                answers=place.answers,
            )
        else:
            yield _door(place.url, component, provider)


def briefly(target: Target) -> Target:
    """The same target, asked as cheaply as shows whether it answers."""
    if target.kind is not ProbeKind.CANARY:
        return target
    return msgspec.structs.replace(target, brief=True, tokens=BRIEF_TOKENS)


def right(text: str, stop: str) -> bool | None:
    """Whether the canary's answer is right; None where it cannot be told.

    An answer that was cut off at its limit is judged by what is there: a model that thinks first
    may have used the limit up without a word.
    """
    numbers = re.findall(r"\d+", text[:10_000])
    for start in (place for place, number in enumerate(numbers) if number == "1"):
        if numbers[start : start + 20] == _RIGHT:
            return True
    if stop == "refusal":
        return None
    if stop in {"max_tokens", "context_window"}:
        whole = numbers[:-1]  # the last one may be cut
        return None if whole == _RIGHT[: len(whole)] else False
    return False


def _of_upstream(upstream: UpstreamSettings) -> Iterator[Target]:
    provider = upstream.provider or upstream.name
    component = api_component(provider)
    remote = not here(upstream.base_url)
    yield _door(upstream.base_url, component, provider, upstream=upstream.name, remote=remote)
    if _may_ask(upstream):
        yield Target(
            f"models {upstream.name}",
            ProbeKind.MODELS,
            component,
            provider,
            upstream=upstream.name,
            remote=remote,
        )


def _door(
    url: str, component: str, provider: str, *, upstream: str = "", remote: bool = True
) -> Target:
    """Whether a connection can be made: where it is encrypted, its certificate comes with it."""
    parts = urlsplit(url)
    kind = ProbeKind.TLS if parts.scheme == "https" else ProbeKind.TCP
    return Target(
        f"{kind} {upstream or url}",
        kind,
        component,
        provider,
        url=f"{parts.scheme}://{parts.netloc}",
        upstream=upstream,
        every=TLS_EVERY,
        remote=remote,
    )


def _canary(upstream: UpstreamSettings, model: str) -> Target:
    provider = upstream.provider or upstream.name
    return Target(
        f"canary {upstream.name}/{model}",
        ProbeKind.CANARY,
        api_component(provider, model),
        provider,
        upstream=upstream.name,
        model=model,
        tokens=CANARY_TOKENS,
        limit_s=CANARY_S,
        remote=not here(upstream.base_url),
    )


def _asked(settings: Settings) -> Iterator[tuple[UpstreamSettings, str]]:
    """Every upstream and model that a route names, or the cheapest for a glob."""
    for route in settings.routes:
        if route.serves != "chat":
            continue
        for candidate in route.candidates:
            upstream = settings.upstreams.get(candidate.upstream)
            if upstream is None or upstream.kind is Kind.LOCAL or not _may_ask(upstream):
                continue
            if model := _model(route, candidate, upstream):
                yield upstream, model


def _model(route: RouteSettings, candidate: CandidateSettings, upstream: UpstreamSettings) -> str:
    named = candidate.model or route.model
    if not GLOB & set(named):
        return named
    cheap = CHEAPEST.get(upstream.provider or upstream.name, "")
    return cheap if cheap and matches(named, cheap) else ""


def _may_ask(upstream: UpstreamSettings) -> bool:
    """A vendor that wants a key and gets none would only refuse; a server of one's own may not."""
    return upstream.key is not None or not known(upstream.provider)


def watched(settings: Settings) -> Iterator[str]:
    """Providers that are named to be watched, and those of upstreams at the vendor's own address.

    A proxy or a simulated vendor on this machine is not the vendor.
    """
    yield from settings.observatory.providers
    for upstream in settings.upstreams.values():
        if upstream.kind is not Kind.LOCAL and not here(upstream.base_url):
            yield upstream.provider


def here(url: str) -> bool:
    """Whether an address is this machine's own: what happens there says nothing of a network."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
