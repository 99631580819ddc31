"""Where a request may go, in which order. Pure: settings, breakers' states and a roll in.

Degradation is measured against the route's first candidate, which is what was asked for:
`same-model` is the same model name elsewhere, `same-vendor` another model of the same maker,
`any` anyone's model, `local` the embedded one too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from outlast.accounts.keys import matches
from outlast.config import CandidateSettings, RouteSettings, Settings
from outlast.nouns import Allow, Candidate, Degraded, Kind, Scope
from outlast.outcome import Verdict

_DATED = re.compile(r"[-@](20\d{6}|20\d\d-\d\d-\d\d|latest)$")


def find_route(routes: Sequence[RouteSettings], model: str) -> RouteSettings | None:
    """Return the first route whose name or glob matches, an exact name before any glob."""
    for route in routes:
        if route.model == model:
            return route
    for route in routes:
        if matches(route.model, model):
            return route
    return None


def nearest(routes: Iterable[RouteSettings], model: str) -> list[str]:
    """Return up to three public names that look like `model`, for the error message."""
    names = [route.model for route in routes]
    close = difflib.get_close_matches(model, names, n=3, cutoff=0.4)
    return close or [name for name in names if "*" not in name][:3] or names[:3]


def candidates_of(route: RouteSettings, model: str, settings: Settings) -> list[Candidate]:
    """Return the route's candidates in the order of the settings, for this model name."""
    indexed = sorted(
        enumerate(route.candidates),
        key=lambda pair: (pair[0] if pair[1].order is None else pair[1].order, pair[0]),
    )
    return [_candidate(found, model, settings) for _, found in indexed]


def _candidate(found: CandidateSettings, model: str, settings: Settings) -> Candidate:
    upstream = settings.upstreams[found.upstream]
    provider = upstream.provider or provider_of(upstream.base_url) or upstream.name
    return Candidate(
        upstream=upstream.name,
        model=found.model or model,
        kind=upstream.kind,
        provider=provider,
        vendor=upstream.vendor or provider,
        credential=upstream.key_env or upstream.key_file or upstream.name,
        weight=found.weight,
    )


@lru_cache(maxsize=256)
def provider_of(base_url: str) -> str:
    """Return whose servers an address is: its registered domain, roughly, or host and port."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if not host or host.replace(".", "").isdigit() or ":" in host or "." not in host:
        return parts.netloc
    return host.split(".")[-2]


def spread(
    route: RouteSettings, candidates: Sequence[Candidate], roll: Callable[[], float]
) -> list[Candidate]:
    """Shuffle candidates of equal order by weight (Efraimidis and Spirakis: key = roll^(1/w))."""
    orders = sorted(
        position if found.order is None else found.order
        for position, found in enumerate(route.candidates)
    )
    keyed = [
        (order, -(max(roll(), 1e-12) ** (1 / candidate.weight)), index, candidate)
        for index, (order, candidate) in enumerate(zip(orders, candidates, strict=True))
    ]
    return [candidate for *_, candidate in sorted(keyed, key=lambda key: key[:3])]


def permitted(candidate: Candidate, primary: Candidate, allow: Allow) -> bool:
    """Return whether an answer from `candidate` is within what the client allows."""
    match allow:
        case Allow.SAME_MODEL:
            return degraded(candidate, primary) in {Degraded.NONE, Degraded.OTHER_HOST}
        case Allow.SAME_VENDOR:
            return candidate.vendor == primary.vendor
        case Allow.ANY:
            return candidate.kind is not Kind.LOCAL or primary.kind is Kind.LOCAL
        case Allow.LOCAL:
            return True


def narrower(*allowed: Allow) -> Allow:
    """Return the least permissive: a key or a request may narrow a route, never widen it."""
    return min(allowed, key=lambda allow: allow.rank)


def degraded(candidate: Candidate, primary: Candidate) -> Degraded:
    """Return how an answer of `candidate` differs from the one that was asked for."""
    if candidate == primary or candidate.name == primary.name:
        return Degraded.NONE
    if candidate.kind is Kind.LOCAL:
        return Degraded.LOCAL
    if _family(candidate.model) == _family(primary.model):
        return Degraded.OTHER_HOST
    return Degraded.OTHER_MODEL


def _family(model: str) -> str:
    """A model's name without a host's prefix, date or `latest`: `claude-opus-4-8`."""
    name = model.rpartition("/")[2].lower()
    name = re.sub(r"^(?:[a-z]+\.)?anthropic\.", "", name)  # Bedrock's prefixes
    return _DATED.sub("", name)


def order(
    candidates: Sequence[Candidate],
    admits: Callable[[Candidate], bool],
    *,
    offline: bool = False,
    demoted: Mapping[str, object] | None = None,
) -> tuple[Candidate, ...]:
    """Return the candidates to try, best first.

    Those whose breaker refuses come last and are tried all the same when nothing else is left
    (panic: an attempt that may fail beats a refusal that is certain). Offline, what is on this
    machine comes first. `demoted` holds the names that Status speaks against.
    """

    def rank(candidate: Candidate) -> tuple[bool, bool, bool]:
        away = offline and candidate.kind is not Kind.LOCAL
        return (away, not admits(candidate), bool(demoted) and candidate.name in (demoted or {}))

    return tuple(sorted(candidates, key=rank))


def next_candidate(
    left: Sequence[Candidate], tried: Sequence[tuple[Candidate, Verdict]]
) -> Candidate | None:
    """Return whom to ask next: the first that shares nothing with what failed.

    An overloaded provider is overloaded for all its keys, so the next *provider* comes before
    the next key; a refused credential is never tried again in the same exchange.
    """
    refused = {
        candidate.credential
        for candidate, verdict in tried
        if verdict.scope is Scope.CREDENTIAL and candidate.kind is not Kind.LOCAL
    }
    usable = [candidate for candidate in left if candidate.credential not in refused]
    if not usable:
        return None
    down = {c.provider for c, verdict in tried if verdict.scope is Scope.PROVIDER}
    spent = {c.credential for c, verdict in tried if verdict.scope is Scope.ACCOUNT}
    offline = any(verdict.scope is Scope.OURS for _, verdict in tried)

    def shares(candidate: Candidate) -> bool:
        if candidate.kind is Kind.LOCAL:
            return False
        return offline or candidate.provider in down or candidate.credential in spent

    return min(usable, key=shares)
