"""Other vantage points: what another Outlast may tell us. Pure.

A batch is JSON, `{"from": NAME, "at": SECONDS, "observations": […]}`, signed as a whole:

    outlast-timestamp: 1772452800
    outlast-signature: v1=<hex of HMAC-SHA256(secret, timestamp "." body)>

The scheme is that of signed webhooks (Stripe's and others': a time inside what is signed, a window,
a memory of what was seen). The signature is checked before a byte of the body is read as JSON. A
peer speaks for itself alone: region and network of what it says are its name as *we* have it, its
voice weighs no more than our own, and it can only speak of probes of components that we know.

The secret file holds one secret for all, or lines of `NAME SECRET`. With one for all, peers trust
each other not to use each other's names; with one for each, they need not.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping

import msgspec

from outlast.nouns import Component, Observation, Outcome, Scope
from outlast.observatory.probe_events import WEIGHTS
from outlast.observatory.probe_targets import ProbeKind, Target

TIMESTAMP = "outlast-timestamp"
SIGNATURE = "outlast-signature"
PATH = "/api/peers/observations"
WINDOW_S = 300.0
"""How far a batch's time may be from ours, to either side."""
OBSERVATIONS_MAX = 200
BODY_LIMIT_BYTES = 64 << 10
SECRET_MIN_CHARS = 32
SECRETS_MAX = 50
OLDEST_S = 3600.0
"""Older ones are not taken: they say nothing about now, and rollups of that time are closed."""
AHEAD_S = 60.0
SIGNATURES_MAX = 10_000
IDS_MAX = 20_000
PER_WINDOW_MAX = 6000
"""Observations of one peer in five minutes: 600 things every 30 s."""
EVIDENCE_MAX = 200
ID_MAX = 200
_KINDS = {kind.value for kind in ProbeKind}


class PeerProblem(ValueError):
    """Peers cannot be used as the settings have them; the message says what to do."""


class PeerRefused(Exception):
    """A batch that is not taken: an HTTP status, and a sentence for the other operator."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class Said(msgspec.Struct, frozen=True):
    """An observation as peers send it: what matters elsewhere, and none of our own names."""

    id: str
    at: float
    component: str
    outcome: str
    scope: str = "none"
    latency_s: float = 0.0
    evidence: str = ""
    symptom: str = ""


class Batch(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    from_: str
    at: float
    observations: tuple[Said, ...]


class Admitted(msgspec.Struct, frozen=True):
    """What became of a batch, as it is answered; `observations` are for us."""

    peer: str
    observations: tuple[Observation, ...]
    repeated: int = 0
    unknown: int = 0
    """Of components that we do not know, or in words of a newer version."""
    stale: int = 0

    def answer(self) -> dict[str, int]:
        return {
            "accepted": len(self.observations),
            "repeated": self.repeated,
            "unknown": self.unknown,
            "stale": self.stale,
        }


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of `outlast-signature`."""
    mac = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={mac.hexdigest()}"


def read_secrets(text: str, peers: Iterable[str]) -> dict[str, bytes]:
    """Return each peer's secret, from the secret file's text. Raises PeerProblem."""
    names = list(peers)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) > SECRETS_MAX or len(names) > SECRETS_MAX:
        raise PeerProblem(f"There are more than {SECRETS_MAX} peers, or lines in the secret file.")
    if len(lines) == 1 and len(lines[0]) == 1:
        found = dict.fromkeys(names, lines[0][0])
    elif lines and all(len(words) == 2 for words in lines):
        given = {words[0]: words[1] for words in lines}
        if missing := [name for name in names if name not in given]:
            raise PeerProblem(f"The secret file has no line for the peer {missing[0]!r}.")
        found = {name: given[name] for name in names}
    else:
        raise PeerProblem(
            "The secret file holds one secret, or lines of a peer's name and its secret."
        )
    if any(len(secret) < SECRET_MIN_CHARS for secret in found.values()):
        raise PeerProblem(
            f"A peers' secret is shorter than {SECRET_MIN_CHARS} signs; make one with "
            "`openssl rand -hex 32`."
        )
    return {name: secret.encode() for name, secret in found.items()}


def knowing(targets: Iterable[Target]) -> Callable[[str], bool]:
    """Return what tells whether a component is known: one of ours, or what it is a part of."""
    names = {target.component for target in targets}
    names |= {Component.parse(name).whole.name for name in names}
    return lambda name: name in names


class Door:
    """Takes batches in. Remembers what it took: signatures for the window, ids for longer."""

    def __init__(self, secrets: Mapping[str, bytes], known: Callable[[str], bool]) -> None:
        self._secrets = dict(secrets)
        self._known = known
        self._signatures: deque[tuple[float, str]] = deque()
        self._seen: set[str] = set()
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._taken: dict[str, tuple[int, int]] = {}
        """By peer: the running window, and how many it told in it."""

    def admit(self, headers: Mapping[str, str], body: bytes, now: float) -> Admitted:
        """Return what may be believed of a batch. Raises PeerRefused.

        `headers` in lower case; `now` in seconds since the epoch.
        """
        if len(body) > BODY_LIMIT_BYTES:
            raise PeerRefused(413, f"A batch has at most {BODY_LIMIT_BYTES >> 10} KiB.")
        timestamp, signature = headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "")
        _in_time(timestamp, now)
        signers = self._signers(timestamp, signature, body)
        self._once(signature, now)
        batch = _decoded(body)
        if batch.from_ not in signers:
            raise PeerRefused(
                403,
                f"The batch says that it is from {batch.from_[:40]!r}, and that is not one of our "
                "peers, or not whose secret signed it. Its `observatory.vantage` has to be the "
                "name that it has in our `observatory.peers`.",
            )
        self._charge(batch, now)
        return self._sorted_out(batch, now)

    def _signers(self, timestamp: str, signature: str, body: bytes) -> set[str]:
        given = signature.encode()
        found = {
            name
            for name, secret in self._secrets.items()
            if hmac.compare_digest(sign(secret, timestamp, body).encode(), given)
        }
        if not found:
            raise PeerRefused(
                401,
                "The signature does not fit. Both sides need the same secret in "
                "`observatory.peer_secret_file`, and nothing between may change the body.",
            )
        return found

    def _once(self, signature: str, now: float) -> None:
        while self._signatures and self._signatures[0][0] < now - 2 * WINDOW_S:
            self._seen.discard(self._signatures.popleft()[1])
        if signature in self._seen:
            raise PeerRefused(409, "This very batch was taken already.")
        if len(self._seen) >= SIGNATURES_MAX:
            raise PeerRefused(429, "Too many batches. Send fewer and larger ones.", WINDOW_S)
        self._seen.add(signature)
        self._signatures.append((now, signature))

    def _charge(self, batch: Batch, now: float) -> None:
        window = int(now // WINDOW_S)
        running, count = self._taken.get(batch.from_, (window, 0))
        count = len(batch.observations) + (count if running == window else 0)
        if count > PER_WINDOW_MAX:
            wait_s = (window + 1) * WINDOW_S - now
            raise PeerRefused(429, "More observations than we take from one peer.", wait_s)
        self._taken[batch.from_] = (window, count)

    def _sorted_out(self, batch: Batch, now: float) -> Admitted:
        taken: list[Observation] = []
        repeated = unknown = stale = 0
        for said in batch.observations:
            observation = _believed(batch.from_, said) if self._known(said.component) else None
            if observation is None:
                unknown += 1
            elif not now - OLDEST_S <= said.at <= now + AHEAD_S:
                stale += 1
            elif observation.id in self._ids:
                repeated += 1
            else:
                self._remember(observation.id)
                taken.append(observation)
        return Admitted(batch.from_, tuple(taken), repeated, unknown, stale)

    def forget(self, ids: Iterable[str]) -> None:
        """These could not be kept: when the peer tells them again, they are new."""
        for name in ids:
            self._ids.pop(name, None)

    def _remember(self, name: str) -> None:
        if len(self._ids) >= IDS_MAX:
            self._ids.popitem(last=False)
        self._ids[name] = None


def _in_time(timestamp: str, now: float) -> None:
    if not re.fullmatch(r"\d{1,12}", timestamp, re.ASCII):
        raise PeerRefused(401, f"A batch needs {TIMESTAMP} (seconds) and {SIGNATURE}.")
    away_s = now - int(timestamp)
    if abs(away_s) > WINDOW_S:
        raise PeerRefused(
            401,
            f"The batch was signed {abs(away_s):.0f} s {'ago' if away_s > 0 else 'in the future'}; "
            f"{WINDOW_S:.0f} s are allowed. Set both clocks by NTP.",
        )


def _decoded(body: bytes) -> Batch:
    try:
        batch = msgspec.json.decode(body, type=Batch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PeerRefused(400, f"The batch cannot be read: {error}"[:300]) from error
    if len(batch.observations) > OBSERVATIONS_MAX:
        raise PeerRefused(413, f"A batch has at most {OBSERVATIONS_MAX} observations.")
    return batch


def _believed(peer: str, said: Said) -> Observation | None:
    """What a peer said, as ours: its words cleaned, its place put in by us. None: not understood.

    A success weighs what our own of its kind would, a failure no more than 1.
    """
    try:
        outcome, scope = Outcome(said.outcome), Scope(said.scope)
    except ValueError:
        return None
    if said.symptom not in _KINDS or not math.isfinite(said.at) or not said.id:
        return None
    weight = WEIGHTS[ProbeKind(said.symptom)] if outcome is Outcome.OK else 1.0
    return Observation(
        at=said.at,
        source="probe",
        component=said.component,
        outcome=outcome,
        scope=scope,
        latency_s=min(3600.0, max(0.0, said.latency_s)) if math.isfinite(said.latency_s) else 0.0,
        weight=weight,
        evidence=_clean(said.evidence)[:EVIDENCE_MAX],
        id=f"probe/peer/{peer}/{_clean(said.id)[:ID_MAX]}",
        region=peer,
        network=peer,
        symptom=said.symptom,
    )


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:1000])
