"""What the file leaves out: the embedded model as an upstream, and the routes that end in it."""

from __future__ import annotations

import msgspec

from outlast.config.settings import (
    CandidateSettings,
    LocalSettings,
    RouteSettings,
    Settings,
    UpstreamSettings,
)
from outlast.nouns import Kind

LOCAL = "local"

LOCAL_NAMES = ("outlast-local", "claude-local")
"""The embedded model by its own name. Claude Code lists only names that begin with `claude`."""

FAMILIES: tuple[tuple[frozenset[Kind], tuple[str, ...]], ...] = (
    (frozenset({Kind.ANTHROPIC}), ("claude-*", "anthropic-*")),
    (
        frozenset({Kind.OPENAI_CHAT, Kind.OPENAI_RESPONSES}),
        ("gpt-*", "o1*", "o3*", "o4*", "chatgpt-*", "codex-*"),
    ),
    (frozenset(), ("gemini-*",)),
)
"""Names that people's tools ask for, and the kinds of upstream that know them."""

EMBEDDINGS = "text-embedding-*"


def complete(settings: Settings) -> Settings:
    """Settings with the embedded model as an upstream and as the last candidate of each route.

    Without any `[[routes]]`, each family of well-known names goes to the upstreams of its kind,
    in the order of the file.
    """
    local = settings.local
    routes = settings.routes or default_routes(settings.upstreams)
    upstreams = dict(settings.upstreams)
    if local.enabled:
        upstreams[LOCAL] = UpstreamSettings(
            name=LOCAL, kind=Kind.LOCAL, provider=LOCAL, vendor=LOCAL
        )
        named = {route.model for route in routes}
        own = (_own(name, local) for name in LOCAL_NAMES if name not in named)
        # In front: "claude-*" would take "claude-local" otherwise.
        routes = (*own, *(with_local(route, local) for route in routes))
    routes = tuple(route for route in routes if route.candidates)
    return msgspec.structs.replace(settings, upstreams=upstreams, routes=routes)


def default_routes(upstreams: dict[str, UpstreamSettings]) -> tuple[RouteSettings, ...]:
    """A route per well-known name; those without an upstream have no candidate yet."""
    routes = [
        RouteSettings(model=model, candidates=_candidates(kinds, upstreams))
        for kinds, models in FAMILIES
        for model in models
    ]
    openai = frozenset({Kind.OPENAI_CHAT, Kind.OPENAI_RESPONSES})
    routes.append(
        RouteSettings(
            model=EMBEDDINGS, candidates=_candidates(openai, upstreams), serves="embeddings"
        )
    )
    return tuple(routes)


def with_local(route: RouteSettings, local: LocalSettings) -> RouteSettings:
    """The route with the embedded model last, unless it says otherwise or has it already."""
    candidates = tuple(
        msgspec.structs.replace(c, model=local.model) if c.upstream == LOCAL and not c.model else c
        for c in route.candidates
    )
    wanted = route.local and route.serves == "chat"
    if wanted and all(candidate.upstream != LOCAL for candidate in candidates):
        last = max((c.order or 0 for c in candidates), default=-1) + 1
        own = CandidateSettings(upstream=LOCAL, model=local.model, order=last)
        candidates = (*candidates, own)
    return msgspec.structs.replace(route, candidates=candidates)


def _candidates(
    kinds: frozenset[Kind], upstreams: dict[str, UpstreamSettings]
) -> tuple[CandidateSettings, ...]:
    names = [name for name, upstream in upstreams.items() if upstream.kind in kinds]
    return tuple(CandidateSettings(upstream=n, order=i) for i, n in enumerate(names))


def _own(name: str, local: LocalSettings) -> RouteSettings:
    return RouteSettings(
        model=name,
        candidates=(CandidateSettings(upstream=LOCAL, model=local.model, order=0),),
        display_name=f"Outlast, the model on this machine ({local.model})",
        context_tokens=local.context_tokens // local.slots,
    )
