"""What can happen to probes, and what is to be done about it: events, commands, and a result
as an Observation. Values only. Pure."""

from __future__ import annotations

import msgspec

from outlast.nouns import Observation, Outcome, Scope
from outlast.observatory.probe_targets import ProbeKind, Target
from outlast.outcome import Network

HERE = "here"
"""The vantage point of a service that has no name for it."""

WEIGHTS = {
    ProbeKind.TCP: 0.1,
    ProbeKind.TLS: 0.1,
    ProbeKind.PAGE: 0.5,
    ProbeKind.MODELS: 0.5,
    ProbeKind.CANARY: 1.0,
}
"""What a *success* weighs: an open door says little about the service behind it, an answer says
all. A failure weighs 1 wherever it is met: without a door nobody gets an answer."""


class Seen(msgspec.Struct, frozen=True):
    """What one probe saw. `at`: wall clock, seconds since the epoch, when it began."""

    at: float
    outcome: Outcome
    scope: Scope = Scope.NONE
    network: Network = "carried"
    latency_s: float = 0.0
    """A canary's time to its first token."""
    evidence: str = ""
    tokens: int = 0
    """What it cost."""
    right: bool | None = None
    """Canaries: whether the answer was right; None: it cannot be told."""
    id: str = ""


# -- events ------------------------------------------------------------------------------------


class Due(msgspec.Struct, frozen=True):
    """Time has passed."""

    now: float


class Result(msgspec.Struct, frozen=True):
    """A probe ended, however. Every Run is answered by exactly one."""

    target: str
    seen: Seen
    now: float


class Hurry(msgspec.Struct, frozen=True):
    """Something is suspected of a component, or of all of a provider (a name without `/`)."""

    component: str
    now: float


class Closer(msgspec.Struct, frozen=True):
    """A component may begin to fail: look at it closely, for as long as `Enough` does not come."""

    component: str
    now: float


class Enough(msgspec.Struct, frozen=True):
    """It does not look like that any more."""

    component: str
    now: float


class Calm(msgspec.Struct, frozen=True):
    """Nothing is suspected of it any more."""

    component: str
    now: float


class Offline(msgspec.Struct, frozen=True):
    """Whether our own network is gone, as the gateway knows it."""

    offline: bool
    now: float


Event = Due | Result | Hurry | Closer | Enough | Calm | Offline

# -- commands ----------------------------------------------------------------------------------


class Run(msgspec.Struct, frozen=True):
    target: Target


class Tell(msgspec.Struct, frozen=True):
    observation: Observation


Command = Run | Tell


def observation_of(target: Target, seen: Seen, vantage: str) -> Observation:
    """What one probe showed. All of one vantage point's probes share one network, thus one vote."""
    weight = WEIGHTS[target.kind] if seen.outcome is Outcome.OK else 1.0
    network = vantage or HERE
    return Observation(
        at=seen.at,
        source="probe",
        component=target.component,
        outcome=seen.outcome,
        scope=seen.scope,
        latency_s=seen.latency_s,
        weight=weight,
        evidence=seen.evidence,
        id=seen.id or f"probe/{network}/{seen.at:.3f}/{target.name}",
        upstream=target.upstream,
        region=vantage,
        network=network,
        symptom=target.kind.value,
    )
