"""Claims: what is said about an outage, with who said it and what has become of it. Pure.

Rumours and statements, entered by operators or read from vendors' notices. A claim is never
changed silently: only evidence and operators move it, each move is kept with its reason, and none
ever touches a probability (nothing that computes one imports this module).

    unconfirmed ──the vendor says it, or measurements fit──▶ supported ──both──▶ confirmed
         │  ▲                                                    │
         │  └── evidence after it had expired                    └─ evidence against it is shown
         ├─ N days without news ──▶ expired (a flag; it stays in the history)
         └─ what it said did not come true, the vendor takes it back, an operator ──▶ refuted

Evidence against a claim does not refute it by itself: both are shown, side by side. An operator's
word stands; later evidence is noted beside it and moves nothing.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from outlast.observatory.cause import Cause
from outlast.observatory.words import LANGS, plain

TEXT_LIMIT_CHARS = 1000
SOURCES_LIMIT = 20
SOURCE_LIMIT_CHARS = 300
HISTORY_LIMIT = 200
EXPIRES_AFTER_DAYS = 7.0
DAY_S = 86_400.0

Text = dict[str, str]


class BadClaim(ValueError):
    """What is wrong with a claim or with what is said of it; `words` says it by language."""

    def __init__(self, english: str, french: str) -> None:
        super().__init__(english)
        self.words: Text = {"en": english, "fr": french}


class Kind(StrEnum):
    CAUSE = "cause"
    END = "end"
    EXTENT = "extent"


class State(StrEnum):
    CONFIRMED = "confirmed"
    SUPPORTED = "supported"
    UNCONFIRMED = "unconfirmed"
    REFUTED = "refuted"


class Moved(msgspec.Struct, frozen=True):
    """One entry of a claim's history."""

    at: float
    what: str
    """entered · state · support · against · expired"""
    state: State
    """The state after it."""
    by: str
    """`outlast`, or the operator's name."""
    reason: Text


class Claim(msgspec.Struct, frozen=True):
    """Something that somebody says."""

    id: str
    incident: str
    """Empty: of no incident yet."""
    kind: Kind
    text: Text
    """By language. Somebody's own words are the same in all."""
    sources: tuple[str, ...]
    """Who says it, and where: names or addresses."""
    entered_by: str
    """`outlast` where it was read from a notice."""
    at: float
    state: State = State.UNCONFIRMED
    provider: str = ""
    """Whose notice it was read from; empty for what operators enter."""
    cause: str = ""
    """A claim of a cause: its class, as in `cause.Cause`, where it has one."""
    surfaces: tuple[str, ...] = ()
    """A claim of an extent: the surfaces that it says something about …"""
    fine: bool | None = None
    """… and whether it says that they work; None: it says nothing that can be compared."""
    ends_at: float | None = None
    """A claim of an end: when it is said to be over."""
    stated: bool = False
    """Whether the vendor has said it."""
    measured: bool = False
    """Whether what we measured fits it."""
    contradicted_at: float | None = None
    """Since when evidence is against it; None: none is."""
    settled_by: str = ""
    """The operator whose word stands."""
    expired: bool = False
    history: tuple[Moved, ...] = ()

    @property
    def shown_as(self) -> str:
        """The state in one word for pages: contradicted and expired go before the state."""
        if self.state is State.REFUTED:
            return self.state.value
        if self.contradicted_at is not None and not self.settled_by:
            return "contradicted"
        return "expired" if self.expired else self.state.value


def enter(claim: Claim) -> Claim:
    """Take in a claim as it is entered: unconfirmed, its texts cleaned and bounded.

    Raises BadClaim for a claim without a text or a source.
    """
    text = {lang: plain(claim.text.get(lang, ""), TEXT_LIMIT_CHARS) for lang in LANGS}
    said = next((one for one in text.values() if one), "")
    sources = tuple(plain(one, SOURCE_LIMIT_CHARS) for one in claim.sources[:SOURCES_LIMIT])
    sources = tuple(dict.fromkeys(one for one in sources if one))
    if not said:
        raise BadClaim(
            "A claim needs its text, in English or French.",
            "Il faut le texte de ce qui se dit, en anglais ou en français.",
        )
    if not sources:
        raise BadClaim(
            "A claim needs its source: who says it, and where.",
            "Il faut la source\u00a0: qui le dit, et où.",
        )
    if claim.cause and claim.cause not in set(Cause):
        raise BadClaim(
            f"{claim.cause!r} is no class of causes.",
            f"{claim.cause!r} n'est pas un type de cause.",
        )
    entered = msgspec.structs.replace(
        claim,
        text={lang: one or said for lang, one in text.items()},
        sources=sources,
        state=State.UNCONFIRMED,
        stated=False,
        measured=False,
        contradicted_at=None,
        settled_by="",
        expired=False,
        history=(),
    )
    reason = {"en": "Entered; no evidence yet.", "fr": "Saisie ; pas encore de preuve."}
    return _moved(entered, claim.at, "entered", claim.entered_by, reason)


def decide(claim: Claim, state: State, by: str, reason: str, at: float) -> Claim:
    """An operator says what has become of it. Raises BadClaim without a reason or a name."""
    reason, by = plain(reason, TEXT_LIMIT_CHARS), plain(by, 100)
    if not reason or not by:
        raise BadClaim(
            "An operator's decision needs the operator's name and a reason.",
            "La décision d'un opérateur demande son nom et une raison.",
        )
    # "Unconfirmed" gives the claim back to the evidence.
    settled = "" if state is State.UNCONFIRMED else by
    decided = msgspec.structs.replace(claim, state=state, settled_by=settled, expired=False)
    return _moved(decided, at, "state", by, dict.fromkeys(LANGS, reason))


def support(claim: Claim, at: float, reason: Text, *, measured: bool) -> Claim:
    """Evidence for it: a statement or a measurement makes it supported, both make it confirmed.

    The same reason twice counts once. What is refuted stays so until an operator looks again.
    """
    if claim.state is State.REFUTED or _has(claim, "support", reason):
        return claim
    claim = msgspec.structs.replace(
        claim,
        stated=claim.stated or not measured,
        measured=claim.measured or measured,
        expired=False,
    )
    if not claim.settled_by:
        both = claim.stated and claim.measured
        claim = msgspec.structs.replace(claim, state=State.CONFIRMED if both else State.SUPPORTED)
    return _moved(claim, at, "support", "outlast", reason)


def against(claim: Claim, at: float, reason: Text) -> Claim:
    """Evidence against it: shown beside it, and its state stays what it was."""
    if claim.state is State.REFUTED or _has(claim, "against", reason):
        return claim
    since_at = at if claim.contradicted_at is None else claim.contradicted_at
    claim = msgspec.structs.replace(claim, contradicted_at=since_at)
    return _moved(claim, at, "against", "outlast", reason)


def refute(claim: Claim, at: float, reason: Text) -> Claim:
    """It did not come true, or who said it takes it back. An operator's word stands above."""
    if claim.state is State.REFUTED:
        return claim
    if claim.settled_by:
        return against(claim, at, reason)
    refuted = msgspec.structs.replace(claim, state=State.REFUTED, expired=False)
    return _moved(refuted, at, "state", "outlast", reason)


def expire(claim: Claim, now: float, after_days: float = EXPIRES_AFTER_DAYS) -> Claim:
    """Set the flag where nothing has happened to an unconfirmed claim for so long."""
    quiet_s = now - (claim.history[-1].at if claim.history else claim.at)
    waiting = claim.state is State.UNCONFIRMED and not claim.settled_by and not claim.expired
    if not waiting or quiet_s < after_days * DAY_S:
        return claim
    days = round(after_days)
    reason = {
        "en": f"No evidence for it within {days} days.",
        "fr": f"Aucune preuve en {days} jours.",
    }
    expired = msgspec.structs.replace(claim, expired=True)
    return _moved(expired, now, "expired", "outlast", reason)


def _has(claim: Claim, what: str, reason: Text) -> bool:
    return any(one.what == what and one.reason == reason for one in claim.history)


def _moved(claim: Claim, at: float, what: str, by: str, reason: Text) -> Claim:
    """Write it down. The entry stays; of very many, the oldest after the first fall away."""
    history = (*claim.history, Moved(at, what, claim.state, by, reason))
    if len(history) > HISTORY_LIMIT:
        history = (history[0], *history[len(history) - HISTORY_LIMIT + 1 :])
    return msgspec.structs.replace(claim, history=history)
