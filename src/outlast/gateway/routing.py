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
from outlast.gateway.capability import window_of
from outlast.nouns import Allow, Candidate, Degraded, Kind, Scope
from outlast.outcome import Verdict

_DATED = re.compile(r"[-@](20\d{6}|20\d\d-\d\d-\d\d|latest|default)$")
_BEDROCK = re.compile(r"(?:[a-z-]+\.)?anthropic\.(.+?)(?:-v\d+(?::\w+)*)?$")
_SHARED_SUFFIXES = frozenset({"co", "com", "net", "org", "ac", "gov", "edu", "ne", "or", "go"})
"""Second labels below which a country registers names: `example.co.uk`."""


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
        context_tokens=found.context_tokens or window_of(found.model or model).tokens,
    )


@lru_cache(maxsize=256)
def provider_of(base_url: str) -> str:
    """Return whose servers an address is: its registered name, roughly, or host and port."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    if host.replace(".", "").isdigit() or ":" in host or "." not in host:
        return parts.netloc.rpartition("@")[2].lower()  # never a password
    labels = host.split(".")
    shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SHARED_SUFFIXES
    return labels[-3] if shared else labels[-2]


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
    same_model = degraded(candidate, primary) in {Degraded.NONE, Degraded.OTHER_HOST}
    match allow:
        case Allow.SAME_MODEL:
            return same_model
        case Allow.SAME_VENDOR:
            # The same model at a cloud whose `vendor` nobody set is still that vendor's model.
            return same_model or candidate.vendor == primary.vendor
        case Allow.ANY:
            return candidate.kind is not Kind.LOCAL or primary.kind is Kind.LOCAL
        case Allow.LOCAL:
            return True


def narrower(*allowed: Allow) -> Allow:
    """Return the least permissive: a key or a request may narrow a route, never widen it."""
    return min(allowed, key=lambda allow: allow.rank)


def degraded(candidate: Candidate, primary: Candidate) -> Degraded:
    """Return how an answer of `candidate` differs from the one that was asked for."""
    if candidate is primary or candidate.name == primary.name:
        return Degraded.NONE
    if candidate.kind is Kind.LOCAL:
        return Degraded.LOCAL
    if not _same_model(candidate.model, primary.model):
        return Degraded.OTHER_MODEL
    # Another key or another API of the same provider is not another host.
    return Degraded.NONE if candidate.provider == primary.provider else Degraded.OTHER_HOST


def _same_model(one: str, other: str) -> bool:
    """Whether two names mean one model: two dates that are given must agree."""
    (name, date), (other_name, other_date) = _family(one), _family(other)
    return name == other_name and (not date or not other_date or date == other_date)


@lru_cache(maxsize=1024)
def _family(model: str) -> tuple[str, str]:
    """A model's name without a host's prefix and suffix, and its date: `claude-opus-4-8`, ``."""
    name = model.rpartition("/")[2].lower()
    if bedrock := _BEDROCK.fullmatch(name):
        name = bedrock[1]
    date = ""
    if dated := _DATED.search(name):
        name = name[: dated.start()]
        date = "".join(char for char in dated[1] if char.isdigit())
    return name.replace(".", "-"), date  # OpenRouter: `claude-opus-4.8`


def order(
    candidates: Sequence[Candidate],
    admits: Callable[[Candidate], bool],
    *,
    offline: bool = False,
    here: Callable[[Candidate], bool] = lambda candidate: candidate.kind is Kind.LOCAL,
    demoted: Mapping[str, object] | None = None,
) -> tuple[Candidate, ...]:
    """Return the candidates to try, best first.

    Those whose breaker refuses come last and are tried all the same when nothing else is left
    (panic: an attempt that may fail beats a refusal that is certain). Offline, what is on this
    machine (`here`) comes first. `demoted` holds the names that Status speaks against: they come
    after the others, and before an embedded model that is only the last resort.
    """

    def late(candidate: Candidate) -> bool:
        # What fails now and then is still worth more than the embedded model behind it.
        spare = candidate.kind is Kind.LOCAL and candidate is not candidates[0]
        return bool(demoted) and (spare or candidate.name in (demoted or {}))

    def rank(candidate: Candidate) -> tuple[bool, bool, bool]:
        away = offline and not here(candidate)
        return (away, not admits(candidate), late(candidate))

    return tuple(sorted(candidates, key=rank))


def wider(left: Sequence[Candidate], than: Candidate) -> list[Candidate]:
    """Return those known to take a longer prompt; a window that nobody stated is not known."""
    return [c for c in left if c.context_tokens > than.context_tokens > 0]


def next_candidate(
    left: Sequence[Candidate], tried: Sequence[tuple[Candidate, Verdict]]
) -> Candidate | None:
    """Return whom to ask next: the first that shares nothing with what failed.

    An overloaded provider is overloaded for all its keys, so the next *provider* comes before
    the next key; a refused credential is never tried again in the same exchange.
    """
    if not tried:
        return left[0] if left else None
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
    offline = any(verdict.network == "ours" for _, verdict in tried)

    def shares(candidate: Candidate) -> bool:
        if candidate.kind is Kind.LOCAL:
            return False
        return offline or candidate.provider in down or candidate.credential in spent

    return min(usable, key=shares)
