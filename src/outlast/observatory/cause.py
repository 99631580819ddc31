"""Why something fails: a cause class with its evidence, or "unknown". Pure.

Two kinds of evidence: what a vendor's words state (cause_words.py), and the shape of the failures:
which status on which surface, who fails at the same time, what came before and how it ended.
Vendors name a cause in few incidents (3.5 % of 916 read by hand: design notes, 0.2), and most
shapes fit several causes, so "unknown" is the usual answer and precision goes before recall.
A cause is never stated without its evidence, nor below STATE.

Classes follow the labels of the benchmark's cloud incidents (bench/observatory/causes.py) with
network and authentication told apart from "others".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from outlast.nouns import Notice, Outcome, Surface
from outlast.observatory.cause_words import find
from outlast.observatory.words import listed, number, percent, provider_name

STATE = 0.65
"""Below this a cause is not stated. What was only undone (0.6) supports, and does not state."""
MOST = 0.95
CONFLICT = 0.75
"""What is left of a confidence when a second class is stated with the same strength."""
SECOND = 0.03
"""What each further sentence of the same class adds."""
SAID_LIMIT = 200

FAILURES_MIN = 20
"""A shape of fewer failures is none."""
SHARE = 0.8
"""Of the failures that must be of one kind."""
SLOWER = 2.0
"""How much slower answers were before the first errors, to speak of a load that grew."""
CREDENTIALS_MIN = 3
"""Of how many of our keys, so that one refused key is not taken for an outage."""
NETWORKS_MIN = 2
PROVIDERS_MIN = 2


class Cause(StrEnum):
    OVERLOAD = "overload"
    DEPLOY = "deploy"
    CONFIGURATION = "configuration"
    UPSTREAM_CLOUD = "upstream_cloud"
    NETWORK = "network"
    AUTHENTICATION = "authentication"
    UNKNOWN = "unknown"


class Reason(msgspec.Struct, frozen=True):
    """One piece of evidence, to be shown beside the cause."""

    kind: str
    """words · status · surface · others · latency · recovery · contradiction"""
    text: dict[str, str]
    """By language; a quotation is the same in all."""
    source: str
    """Whose words, or `outlast` for what we measured."""


class Verdict(msgspec.Struct, frozen=True):
    """A cause and how sure it is; unknown with 0 and without evidence."""

    cause: Cause
    confidence: float
    evidence: tuple[Reason, ...] = ()


UNKNOWN = Verdict(Cause.UNKNOWN, 0.0)


class Said(msgspec.Struct, frozen=True):
    """A text and who said it."""

    text: str
    source: str
    """`anthropic-incidents/0ghc53zpsfmt`, or an operator's name."""


class Shape(msgspec.Struct, frozen=True):
    """How one provider's outage looks in what we measured. Only failures that are the provider's.

    What our own network lost and what a single credential was refused does not belong in here.
    """

    outcomes: dict[Outcome, int] = {}
    """Failures by outcome, over all surfaces."""
    surfaces: dict[str, tuple[int, int]] = {}
    """Failures and all attempts by surface."""
    credentials: int = 1
    """How many of our credentials saw the failures."""
    networks: int = 1
    """From how many independent networks they were seen."""
    regions_failing: int = 1
    regions_fine: int = 0
    latency_ratio: float = 1.0
    """Median latency in the ten minutes before the first errors, over the usual one."""
    gradual_end: bool | None = None
    """Whether errors faded over minutes; None: not over yet."""
    others: tuple[str, ...] = ()
    """Other providers that began to fail within ten minutes, and that share no owner with it."""
    clouds: tuple[str, ...] = ()
    """Clouds beneath that fail in our probes or say so themselves."""


def said_by(notices: Iterable[Notice]) -> tuple[Said, ...]:
    """Return what notices say, oldest first, with the notice as its source."""
    found: list[Said] = []
    for notice in notices:
        source = f"{notice.feed}/{notice.id}"
        found.append(Said(notice.title, source))
        found += [Said(update.body, source) for update in notice.updates if update.body]
    return tuple(found[-SAID_LIMIT:])


def judge(said: Sequence[Said] = (), shape: Shape | None = None) -> Verdict:
    """Return the cause that words and shape together support.

    Where they agree, each makes the other surer (as independent errors: 1 - (1-a)(1-b)). Where they
    differ, the words win if they stand by themselves, with the contradiction beside them.
    """
    worded = weigh(said)
    shaped = of_shape(shape) if shape is not None else UNKNOWN
    if shaped.cause is Cause.UNKNOWN:
        return _stated(worded)
    if worded.cause is Cause.UNKNOWN:
        return _stated(shaped)
    if worded.cause is shaped.cause:
        both = 1 - (1 - worded.confidence) * (1 - shaped.confidence)
        evidence = worded.evidence + shaped.evidence
        return _stated(Verdict(worded.cause, min(MOST, both), evidence))
    doubted = Verdict(
        worded.cause,
        worded.confidence * CONFLICT,
        (*worded.evidence, *(_as_contradiction(one) for one in shaped.evidence)),
    )
    return _stated(doubted)


def from_words(said: Sequence[Said]) -> Verdict:
    """Return the cause that words alone state."""
    return _stated(weigh(said))


def weigh(said: Sequence[Said]) -> Verdict:
    """Return the class that is stated most strongly, however weakly: `judge` decides on stating.

    A cause of none of our classes ("a power event") competes like the others: where it is stated
    as strongly, the cause is not unknown to the vendor, but to our classes.
    """
    strongest: dict[str, float] = {}
    reasons: dict[str, list[Reason]] = {}
    stated = [(one, found) for one in said[-SAID_LIMIT:] for found in find(one.text)]
    # Where the root cause is named, other sentences tell of what followed from it.
    rooted = [pair for pair in stated if pair[1].root]
    for one, found in rooted or stated:
        before = strongest.get(found.cause, 0.0)
        if any(found.phrase == reason.text["en"] for reason in reasons.get(found.cause, [])):
            continue  # updates repeat what earlier ones said
        more = max(before, found.strength) + (SECOND if before else 0.0)
        strongest[found.cause] = min(MOST, more)
        text = {"en": found.phrase, "fr": found.phrase}
        reasons.setdefault(found.cause, []).append(Reason("words", text, one.source))
    ranked = sorted(strongest.items(), key=lambda item: item[1], reverse=True)
    if not ranked or not ranked[0][0]:
        return UNKNOWN
    cause, confidence = ranked[0]
    if len(ranked) > 1 and ranked[1][1] >= confidence - 2 * SECOND:
        confidence *= CONFLICT
    return Verdict(Cause(cause), confidence, tuple(reasons[cause][:5]))


def of_shape(shape: Shape) -> Verdict:
    """Return the class that the failures' shape supports best, with what was measured.

    Each rule wants everything that tells its class from the others; a share of 529 alone, which
    vendors send whatever the cause, is none.
    """
    total = sum(shape.outcomes.values())
    if total < FAILURES_MIN:
        return UNKNOWN
    rules = (_cloud(shape), _authentication(shape, total), _network(shape, total))
    found = [one for one in (*rules, _overload(shape, total)) if one is not None]
    return max(found, key=lambda one: one.confidence, default=UNKNOWN)


def _cloud(shape: Shape) -> Verdict | None:
    """Unrelated providers and a cloud beneath fail together."""
    if len(shape.others) < PROVIDERS_MIN or not shape.clouds:
        return None
    others = [provider_name(one) for one in shape.others]
    clouds = [provider_name(one) for one in shape.clouds]
    reason = _measured(
        "others",
        f"At the same time as {listed(others, 'en')}; trouble at {listed(clouds, 'en')}.",
        f"En même temps que {listed(others, 'fr')} ; difficultés chez {listed(clouds, 'fr')}.",
    )
    return Verdict(Cause.UPSTREAM_CLOUD, 0.75, (reason,))


def _authentication(shape: Shape, total: int) -> Verdict | None:
    """Logins fail while the rest works, or credentials of several owners are refused."""
    refused = shape.outcomes.get(Outcome.AUTH, 0)
    if refused >= SHARE * total and shape.credentials >= CREDENTIALS_MIN:
        reason = _measured(
            "status",
            f"{refused} of {total} failures refuse the credentials, of {shape.credentials} keys.",
            f"{refused} échecs sur {total} refusent les identifiants, de {shape.credentials} clés.",
        )
        return Verdict(Cause.AUTHENTICATION, 0.7, (reason,))
    login, rest = _rate(shape, (Surface.LOGIN,)), _rate(shape, (Surface.API, Surface.WEB))
    if login is None or rest is None or login < 0.5 or _worst_but_login(shape) > 0.05:
        return None
    reason = _measured(
        "surface",
        f"Logins fail ({percent(login, 'en')}), while of the rest {percent(rest, 'en')} fail.",
        f"Les connexions échouent ({percent(login, 'fr')}), le reste à {percent(rest, 'fr')}.",
    )
    return Verdict(Cause.AUTHENTICATION, 0.7, (reason,))


def _network(shape: Shape, total: int) -> Verdict | None:
    """No connection from some regions, seen from several networks, while others are served."""
    lost = sum(shape.outcomes.get(one, 0) for one in (Outcome.CONNECT_FAILED, Outcome.TIMEOUT))
    regional = shape.regions_failing >= 1 and shape.regions_fine >= 1
    if lost < SHARE * total or shape.networks < NETWORKS_MIN or not regional:
        return None
    reason = _measured(
        "status",
        f"{lost} of {total} attempts found no connection, from {shape.networks} networks, "
        f"while {shape.regions_fine} regions are served.",
        f"{lost} tentatives sur {total} sans connexion, depuis {shape.networks} réseaux, "
        f"alors que {shape.regions_fine} régions sont servies.",
    )
    return Verdict(Cause.NETWORK, 0.7, (reason,))


def _overload(shape: Shape, total: int) -> Verdict | None:
    """It says that it is overloaded, was slow before it failed, and recovers slowly."""
    load = sum(shape.outcomes.get(one, 0) for one in (Outcome.OVERLOADED, Outcome.RATE_LIMITED))
    if load < SHARE * total:
        return None
    signs = [
        _measured(
            "status",
            f"{load} of {total} failures say that the provider is overloaded.",
            f"{load} échecs sur {total} disent que le fournisseur est surchargé.",
        )
    ]
    slower = round(shape.latency_ratio)
    if shape.latency_ratio >= SLOWER:
        signs.append(
            _measured(
                "latency",
                f"Answers were {number(slower, 'en')} times slower before the first errors.",
                f"Les réponses étaient {number(slower, 'fr')} fois plus lentes avant les "
                "premières erreurs.",
            )
        )
    if shape.gradual_end:
        signs.append(
            _measured(
                "recovery",
                "Errors faded slowly.",
                "Les erreurs se sont estompées lentement.",
            )
        )
    return Verdict(Cause.OVERLOAD, (0.45, 0.55, 0.7)[len(signs) - 1], tuple(signs))


def _rate(shape: Shape, surfaces: tuple[str, ...]) -> float | None:
    """The share of failures on some surfaces; None where too little was tried there."""
    counts = [shape.surfaces.get(one, (0, 0)) for one in surfaces]
    tried = sum(count[1] for count in counts)
    return sum(count[0] for count in counts) / tried if tried >= FAILURES_MIN else None


def _worst_but_login(shape: Shape) -> float:
    """Many healthy requests to the API do not make a web that fails as well a healthy one."""
    shares = [
        failed / tried
        for surface, (failed, tried) in shape.surfaces.items()
        if surface != Surface.LOGIN and tried >= 5
    ]
    return max(shares, default=1.0)


def _stated(verdict: Verdict) -> Verdict:
    return verdict if verdict.confidence >= STATE and verdict.evidence else UNKNOWN


def _measured(kind: str, en: str, fr: str) -> Reason:
    return Reason(kind, {"en": en, "fr": fr}, "outlast")


def _as_contradiction(reason: Reason) -> Reason:
    return msgspec.structs.replace(reason, kind="contradiction")
