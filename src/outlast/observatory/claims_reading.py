"""Claims read from vendors' notices, and what later evidence means for a claim. Pure.

A vendor's statement of a cause, an end or an extent becomes a claim with the notice as its source,
supported by having been stated. "The Claude API is working as intended" (2 March 2026, 12:21 UTC)
is such a claim: an extent, contradicted by requests that fail, and refuted when the vendor itself
says otherwise (13:37).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from outlast.nouns import Notice, NoticeUpdate, Status
from outlast.observatory.cause import Cause, Verdict
from outlast.observatory.cause_words import IMPLIED, find
from outlast.observatory.claims import Claim, Kind, Text, against, enter, refute, support
from outlast.observatory.feeds.mapping import Table, mentioned, surfaces
from outlast.observatory.feeds.reading import ENDED
from outlast.observatory.words import (
    Lang,
    clock_time,
    listed,
    provider_name,
    quoted,
    surface_name,
)

CLAIMS_LIMIT = 50
QUOTE_LIMIT_CHARS = 400
END_GRACE_S = 600.0
"""A promised end is missed when it is over for this long and the outage is not."""
_END_MAX_S = 14 * 86_400.0

_EXPECTED = re.compile(
    r"\b(?:expect(?:ed|s)?|estimate[ds]?|estimated|anticipate[ds]?|eta|should be (?:resolved|"
    r"restored|fixed|back|complete)|will be (?:resolved|restored|fixed|back|complete))\b",
    re.IGNORECASE,
)
_RECOVERY = re.compile(
    r"\b(?:resol\w+|restor\w+|recover\w*|fix\w*|complet\w+|normal|back|eta|service|end)\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:no|not|cannot|unable|unknown|next update|will update|may)\b", re.IGNORECASE
)
_WITHIN = re.compile(
    r"\b(?:within|in)(?: the next| about| approximately| around)? ~?(\d{1,3}|an?|one|two|a few)"
    r"(?: more)? ?(minutes?|mins?|hours?|hrs?)\b"
    r"|\beta:? ~?(\d{1,3}) ?(minutes?|mins?|hours?|hrs?)\b",
    re.IGNORECASE,
)
_BY = re.compile(
    r"\b(?:by|at|around|before|eta:?) (?:about |around |approximately )?(\d{1,2}):(\d{2}) ?"
    r"(?:utc|gmt|z)\b",
    re.IGNORECASE,
)
_WORKS = re.compile(
    r"\b(?:working as intended|working (?:normally|fine|as expected)|operating normally|"
    r"(?:is|are|remains?|was|were) (?:not affected|not impacted|unaffected|operational|healthy)|"
    r"no impact (?:to|on))\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORDS = {"a": 1, "an": 1, "one": 1, "two": 2}


def from_notice(notice: Notice, incident: str, overrides: Table = ()) -> list[Claim]:
    """Return what a notice claims, oldest first. The same notice gives the same claims again.

    `incident`: which of ours it belongs to; empty: none yet.
    """
    found: dict[str, Claim] = {}
    for update in notice.updates:
        claims = [*_causes(notice, update), *_ends(notice, update)]
        claims += _extents(notice, update, overrides)
        for claim in claims:
            made = enter(_with_incident(claim, incident))
            reason = _says(notice.provider, "")
            found.setdefault(claim.id, support(made, claim.at, reason, measured=False))
        if len(found) >= CLAIMS_LIMIT:
            break
    return list(found.values())[:CLAIMS_LIMIT]


def with_verdict(claim: Claim, verdict: Verdict, at: float) -> Claim:
    """What a judged cause means for a claim of a cause. "Unknown" means nothing."""
    if claim.kind is not Kind.CAUSE or not claim.cause or verdict.cause is Cause.UNKNOWN:
        return claim
    for reason in (one for one in verdict.evidence if one.kind != "contradiction"):
        measured = reason.kind != "words"
        if verdict.cause != claim.cause:
            claim = against(claim, at, reason.text)
        elif measured or not claim.stated:
            claim = support(claim, at, reason.text, measured=measured)
    return claim


def with_notice(claim: Claim, notice: Notice, at: float, overrides: Table = ()) -> Claim:
    """What a later version of a notice means: the vendor says the same, or another thing.

    A vendor takes its statement of an extent back when it lists that surface as not well later.
    That it does not list a surface says nothing: pages are late.
    """
    if claim.kind is Kind.EXTENT and claim.fine is not None:
        return _extent_with(claim, notice, at, overrides)
    if claim.kind is not Kind.CAUSE or not claim.cause:
        return claim
    for found in (one for update in notice.updates for one in find(update.body)):
        text: Text = {"en": found.phrase, "fr": found.phrase}
        if found.strength <= IMPLIED or not found.cause:
            continue
        if found.cause != claim.cause:
            claim = against(claim, at, text)
        elif not claim.stated:
            claim = support(claim, at, text, measured=False)
    return claim


def _extent_with(claim: Claim, notice: Notice, at: float, overrides: Table) -> Claim:
    if not notice.updates or notice.updates[-1].at < claim.at:
        return claim
    ill = [
        one
        for one, status in surfaces(notice, overrides).items()
        if status.rank and one in claim.surfaces
    ]
    if not ill:
        return claim
    reason = _lists(notice.provider, ill)
    if not claim.fine:
        return support(claim, at, reason, measured=False)
    taken_back = claim.provider == notice.provider and notice.updates[-1].at > claim.at
    return refute(claim, at, reason) if taken_back else against(claim, at, reason)


def with_surfaces(claim: Claim, seen: Mapping[str, Status], at: float) -> Claim:
    """What we measured means for a claim of an extent.

    `seen`: by surface, what our own evidence says, without the vendor's; only what is confirmed.
    """
    if claim.kind is not Kind.EXTENT or claim.fine is None:
        return claim
    known = [one for one in claim.surfaces if one in seen]
    wrong = [one for one in known if (seen[one].rank > 0) is claim.fine]
    if wrong:
        return against(claim, at, _measured(wrong, failing=claim.fine))
    if known and len(known) == len(claim.surfaces):
        return support(claim, at, _measured(known, failing=not claim.fine), measured=True)
    return claim


def with_end(claim: Claim, ended_at: float | None, now: float) -> Claim:
    """What has become of a claim of an end. `ended_at`: when it was over by our evidence.

    It held when it was over by then; it did not when the time has passed and it goes on.
    """
    if claim.kind is not Kind.END or claim.ends_at is None:
        return claim
    by = clock_time(claim.ends_at)
    if ended_at is not None and ended_at <= claim.ends_at + END_GRACE_S:
        over = clock_time(ended_at)
        reason = {"en": f"It was over at {over}.", "fr": f"C'était fini à {over}."}
        return support(claim, now, reason, measured=True)
    if now > claim.ends_at + END_GRACE_S:
        reason = {"en": f"It was not over by {by}.", "fr": f"Ce n'était pas fini à {by}."}
        return refute(claim, now, reason)
    return claim


def _causes(notice: Notice, update: NoticeUpdate) -> list[Claim]:
    return [
        _claim(notice, update, Kind.CAUSE, found.phrase, cause=found.cause)
        for found in find(update.body)
        if found.strength > IMPLIED
    ]


def _ends(notice: Notice, update: NoticeUpdate) -> list[Claim]:
    """A time that the vendor gives for the end, and the end as it declares it."""
    found: list[Claim] = []
    for sentence in _SENTENCE.split(update.body)[:200]:
        looks = _EXPECTED.search(sentence) and _RECOVERY.search(sentence)
        if not looks or _DOUBT.search(sentence):
            continue
        ends_at = _promised(sentence, update.at)
        if ends_at is not None:
            found.append(_claim(notice, update, Kind.END, sentence, ends_at=ends_at))
    if update.stage == "resolved" and notice.kind == "incident":
        found.append(
            _claim(notice, update, Kind.END, update.body or "Resolved.", ends_at=update.at)
        )
    return found


def _promised(sentence: str, at: float) -> float | None:
    """Return the time that a sentence names for the end; None where it names none."""
    within = _WITHIN.search(sentence)
    if within is not None:
        count, unit = (within[1], within[2]) if within[1] else (within[3], within[4])
        number = int(count) if count.isdigit() else _WORDS.get(count.lower())
        if number is None:
            return None  # "a few hours" can neither come true nor fail
        seconds = number * (3600.0 if unit.lower().startswith("h") else 60.0)
        return at + seconds if 0 < seconds <= _END_MAX_S else None
    by = _BY.search(sentence)
    if by is None or int(by[1]) > 23 or int(by[2]) > 59:
        return None
    today = at - at % 86_400.0
    ends_at = today + int(by[1]) * 3600.0 + int(by[2]) * 60.0
    return ends_at if ends_at > at else ends_at + 86_400.0


def _extents(notice: Notice, update: NoticeUpdate, overrides: Table) -> list[Claim]:
    """Surfaces that the vendor says are well while something is not."""
    found: list[Claim] = []
    if update.stage in ENDED or update.stage == "monitoring":
        return found  # then "operating normally" tells of the end
    for sentence in _SENTENCE.split(update.body)[:200]:
        works = _WORKS.search(sentence)
        if works is None:
            continue
        speaks_of = sentence if "no impact" in works[0].lower() else sentence[: works.start()]
        named = mentioned(notice.provider, speaks_of, overrides)
        if named:
            found.append(_claim(notice, update, Kind.EXTENT, sentence, surfaces=named, fine=True))
    return found


def _claim(
    notice: Notice,
    update: NoticeUpdate,
    kind: Kind,
    quote: str,
    *,
    cause: str = "",
    surfaces: tuple[str, ...] = (),
    fine: bool | None = None,
    ends_at: float | None = None,
) -> Claim:
    source = f"{notice.feed}/{notice.id}"
    digest = hashlib.sha256(f"{source}\n{kind}\n{quote}".encode()).hexdigest()
    return Claim(
        id=f"n-{digest[:20]}",
        incident="",
        kind=kind,
        text=_says(notice.provider, quote),
        sources=(source,),
        entered_by="outlast",
        at=update.at,
        provider=notice.provider,
        cause=cause,
        surfaces=surfaces,
        fine=fine,
        ends_at=ends_at,
    )


def _with_incident(claim: Claim, incident: str) -> Claim:
    return msgspec.structs.replace(claim, incident=incident)


def _says(provider: str, quote: str) -> Text:
    """`Anthropic says: “…”`, or that it says so."""
    name = provider_name(provider)
    if not quote:
        return {"en": f"{name} says so.", "fr": f"{name} le dit."}
    return {
        "en": f"{name} says: {quoted(quote, 'en', QUOTE_LIMIT_CHARS)}",
        "fr": f"{name} dit : {quoted(quote, 'fr', QUOTE_LIMIT_CHARS)}",
    }


def _lists(provider: str, named: list[str]) -> Text:
    name = provider_name(provider)
    return {
        "en": f"{name} lists {_named(named, 'en')} as not well.",
        "fr": f"{name} signale un problème : {_named(named, 'fr')}.",
    }


def _measured(named: list[str], *, failing: bool) -> Text:
    if failing:
        return {
            "en": f"By what we measured, it fails: {_named(named, 'en')}.",
            "fr": f"D'après nos mesures, en panne : {_named(named, 'fr')}.",
        }
    return {
        "en": f"By what we measured, it works: {_named(named, 'en')}.",
        "fr": f"D'après nos mesures, en marche : {_named(named, 'fr')}.",
    }


def _named(named: list[str], lang: Lang) -> str:
    return listed([surface_name(one, lang) for one in named], lang)
