"""What Status says of candidates, as the router hears it on the bus. Pure.

A component that is known to fail is asked last, before its requests fail; when it is said to be
well again, its traffic grows back slowly. This is advice: breakers have the last word, nothing is
left out for it, and advice that is not renewed is forgotten (`EXPIRES_S`), so that a lost bus
changes nothing but that there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from outlast.naming import api_component, provider_name
from outlast.nouns import (
    Candidate,
    ComponentState,
    Kind,
    Status,
    Suspicion,
)

EXPIRES_S = 300.0
"""The observatory repeats what it says at least every minute."""
HEARD_MAX = 10_000

_SEEN_BY_MACHINES = frozenset({"traffic", "probe", "elsewhere"})


class _Heard(msgspec.Struct, frozen=True):
    at: float
    why: str
    """Empty where nothing speaks against it."""


class Hearing:
    """All times are monotonic seconds, told by the caller."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}
        self.quiet = True
        """Whether nothing speaks against anybody."""

    def heed(self, state: ComponentState, now: float) -> bool:
        """Take in what is said of a component. Returns whether it has just come back."""
        before = self._heard.pop(state.component, None)
        if len(self._heard) >= HEARD_MAX:
            self._heard.pop(next(iter(self._heard)))
        why = against(state)
        self._heard[state.component] = _Heard(now, why)
        self.quiet = not any(heard.why for heard in self._heard.values())
        was_down = before is not None and bool(before.why) and now - before.at <= EXPIRES_S
        return was_down and not why

    def against(self, candidate: Candidate, now: float) -> str:
        """Return what speaks against a candidate now; empty: nothing."""
        for name in components_of(candidate):
            heard = self._heard.get(name)
            if heard is not None and heard.why and now - heard.at <= EXPIRES_S:
                return heard.why
        return ""

    def demoted(self, candidates: Sequence[Candidate], now: float) -> dict[str, str]:
        """Return the candidates that are to be asked last, and why, by their names."""
        found = {candidate.name: self.against(candidate, now) for candidate in candidates}
        return {name: why for name, why in found.items() if why}


def components_of(candidate: Candidate) -> tuple[str, ...]:
    """The components whose failing is this candidate's. The embedded model has none."""
    if candidate.kind is Kind.LOCAL:
        return ()
    provider, model = candidate.provider, candidate.model
    upstream = f"outlast/upstream/{provider_name(candidate.upstream)}"
    return (api_component(provider, model), api_component(provider), upstream)


def against(state: ComponentState) -> str:
    """Return why requests should go elsewhere; empty: they need not.

    Only for half an outage or more, and only where a machine has seen it or two kinds of evidence
    agree: people's reports alone, which anybody can write, move no request.
    """
    if state.suspicion is Suspicion.NONE or state.status.rank < Status.PARTIAL.rank:
        return ""
    seen = any(one.fired and one.kind in _SEEN_BY_MACHINES for one in state.evidence)
    if not seen and state.suspicion is not Suspicion.O_DOWN:
        return ""
    return f"{state.component}: {state.status}"
