"""Which cause a vendor's text states, and in which words. English. Pure.

A cause counts only where a sentence says that something *was* the cause: a frame ("the root cause
was …", "caused by …", "… triggered the outage", "we rolled back …") around a phrase of a class
(cause_lexicon.py). Denied, asked and possible causes do not count; what is only believed counts
less. Frames and phrases are general English of incident reports, written after reading a part of
the benchmark's labelled texts, and measured on the rest too (bench/observatory/causes.py).
"""

from __future__ import annotations

import re

import msgspec

from outlast.observatory.cause_lexicon import ELSEWHERE, PHRASES, TROUBLE

TEXT_LIMIT_CHARS = 64 << 10
SENTENCE_LIMIT_CHARS = 1200
QUOTE_LIMIT_CHARS = 240

STATED = 0.9
BELIEVED = 0.8
IMPLIED = 0.6
"""How sure a reader may be of the class, by how it is said: as a fact, as a belief, or only by
what was done about it. bench/observatory/causes.py measures how often each is right."""

_BEFORE = re.compile(
    # What follows these words is the cause.
    r"\b(?:root[- ])?cause\b(?: of| for| behind)?[^.;:,]{0,90}?"
    r"\b(?:was|is|were|has been|have been|appears? to be|seems? to be)\b"
    r"(?: (?:identified|determined|found|traced|attributed|related|due|caused|likely|as|to|be|by)\b"
    r"(?! and\b))*,?\s"
    r"|\b(?:was|were|is|are|been|being|be|issues?|outages?|incidents?|errors?|this|problems?)"
    r"(?: \w+ly)? (?:caused|triggered|introduced)(?: \w+ly)?(?: in part)? by\b"
    r"|\b(?:was|were|is|are|been) (?:\w+ly )?(?:attributed|traced(?: back)?)(?: \w+ly)? to\b"
    r"|\b(?:resulted|stemmed|arose|originated|originating) from\b|\bcaused by\b|\btriggered by\b",
    re.IGNORECASE,
)
_DUE = re.compile(
    # So is what follows these, where the sentence speaks of trouble before or begins so.
    r"\b(?:due to|because of|owing to|as a result of|resulting from|stemming from)\b",
    re.IGNORECASE,
)
_IN_TROUBLE = re.compile(rf"\b{TROUBLE}\b|^(?:this|it|that) (?:was|is|were) $", re.IGNORECASE)
_REMEDY = re.compile(
    # "resolved due to the fix we deployed", "a fix has been rolled out": about the end.
    r"\b(?:fix|fixes|mitigations?|remediation|workaround|patch|hotfix|recover(?:ed|y|ing)|"
    r"resolv(?:ed|ing)|restor(?:ed|ing))\b",
    re.IGNORECASE,
)
_AFTER = re.compile(
    # What stands before these words, from the sentence's beginning, is the cause.
    r"\b(?:which |that |and |has |have |had |inadvertently |unexpectedly |unintentionally )*"
    r"(?:caused|causing|triggered|triggering|led to|leading to|resulted in|resulting in|"
    r"introduced)\b"
    rf"(?= (?:[\w-]+ ){{0,6}}?{TROUBLE})",
    re.IGNORECASE,
)
_UNDONE = re.compile(
    # What was undone is taken for what had done it, and counts less.
    r"\b(?:rolled|rolling) back\b[^.;]{0,80}|\brevert(?:ed|ing) (?:an?|the|our|this|that|recent)\b"
    r"[^.;]{0,80}|\brollback of (?:an?|the|our|this|that|recent)\b[^.;]{0,80}",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not|never|no evidence|isn't|wasn't|weren't|ruled out|rule out|unrelated|rather than|"
    r"neither|without|no longer|independent of|contrary to|instead of|did(?: not|n't))\b",
    re.IGNORECASE,
)
_POSSIBLE = re.compile(
    r"\b(?:may|might|could|whether|if|possibl[ey]|potential(?:ly)?|suspect(?:ed|ing)?|"
    r"investigat(?:e|ing) (?:whether|if|a possible)|looking into|would|should|to prevent|"
    r"in order to|will|unclear|unknown|rumou?rs?|reports? (?:of|that)|speculat\w+)\b",
    re.IGNORECASE,
)
_BELIEVED = re.compile(
    r"\b(?:believe|believed|likely|appears?|seems?|probably|preliminary|initial(?:ly)?|"
    r"early indications?|suggests?|think)\b",
    re.IGNORECASE,
)
_DEEPER = re.compile(
    r"\b(?:caused by|triggered by|due to|following|because of|resulting from|as a result of|"
    r"after|stemming from|introduced (?:by|in|during))\b",
    re.IGNORECASE,
)
_EFFECT = re.compile(
    r"\b(?:triggering|causing|resulting in|leading to|"
    r"which (?:caused|led|resulted|triggered|in turn)|that (?:caused|led|resulted|triggered)|"
    r"and (?:caused|led|resulted|a|an|the|we|our|has|have|is|was|engineers)|"
    r"inadvertently|while|when|although|but|so that)\b|(?<=.{15}), ",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?<=[.!?])\s+(?=[A-Z\"'(*])|\n\n+|\n(?=[A-Z#*•\d-])|(?<=[a-z])\.(?=[A-Z][a-z])"
)
_CONFIGURED = re.compile(
    r"\bconfig\w* (?:\w+ )?(?:roll|deploy|release|change|update|push)"
    r"|\b(?:rollout|deployment|release|change|update|push) (?:of|to) (?:\w+ ){0,3}?config",
    re.IGNORECASE,
)
_ROOT = re.compile(r"\broot[- ]cause", re.IGNORECASE)
_ANY_HEADING = re.compile(r"^#+ *\w|^\*\*[A-Z][^.\n]{2,60}\*\*", re.MULTILINE)
_HEADING = re.compile(
    r"^[#*_ ]{0,8}(?:root[- ]cause)\b[^.a-z]{0,60}[:*_]*$|^#+ *root[- ]cause",
    re.IGNORECASE | re.MULTILINE,
)
_FAILED = re.compile(rf"\b{TROUBLE}|\bexpir", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


class Found(msgspec.Struct, frozen=True):
    """A cause that a sentence states."""

    cause: str
    """A class of `cause.Cause`; empty: a cause of none of the classes."""
    phrase: str
    """The sentence, or so much of it as a quotation may hold."""
    strength: float
    """STATED, BELIEVED or IMPLIED."""
    root: bool = False
    """Whether it is called the root cause, or stands under that heading."""


def find(text: str) -> list[Found]:
    """Return what causes a text states, in its order. Plain text without markup."""
    text = text[:TEXT_LIMIT_CHARS]
    heading = _HEADING.search(text)
    if heading is None:
        return _all_in(text, False)
    # The other sections tell who saw what, and what is done against it.
    section = text[heading.end() :]
    following = _ANY_HEADING.search(section)
    return _all_in(section[: following.start()] if following else section, True)


def _all_in(text: str, root: bool) -> list[Found]:
    found: list[Found] = []
    for sentence in _SENTENCE.split(text):
        clean = _SPACE.sub(" ", sentence).strip()[:SENTENCE_LIMIT_CHARS]
        one = _in_sentence(clean) if len(clean) > 12 else None
        if one is not None:
            named = root or _ROOT.search(clean) is not None
            found.append(msgspec.structs.replace(one, root=named))
    return found


def _in_sentence(sentence: str) -> Found | None:
    """Return the one cause that a sentence states; the first frame that names one decides."""
    for start, end in _frames(sentence):
        phrase = _effect_cut(sentence[end : end + 300])
        if _doubted(sentence, start, end):
            return None
        cause = None if _REMEDY.search(phrase[:60]) else _class_of(_deepest(phrase))
        if cause is not None:
            return Found(cause, quote(sentence, start), _strength(sentence))
    for frame in _AFTER.finditer(sentence):
        subject = sentence[max(0, frame.start() - 200) : frame.start()]
        if _doubted(sentence, 0, frame.end()):
            return None
        cause = None if _REMEDY.search(subject) else _class_of(subject)
        if cause is not None:
            return Found(cause, quote(sentence, 0), _strength(sentence))
    undone = _UNDONE.search(sentence)
    if undone is not None and not _doubted(sentence, 0, undone.end()):
        cause = None if _REMEDY.search(undone[0]) else _class_of(undone[0])
        if cause in {"deploy", "configuration"}:
            return Found(cause, quote(sentence, undone.start()), IMPLIED)
    return None


def _frames(sentence: str) -> list[tuple[int, int]]:
    """Return where a frame stands after which the cause follows, in the sentence's order."""
    found = [one.span() for one in _BEFORE.finditer(sentence)]
    for one in _DUE.finditer(sentence):
        # "Due to …, users saw errors", or "users saw errors due to …".
        speaks = sentence[: one.start()] if one.start() else sentence[one.end() :]
        if _IN_TROUBLE.search(speaks):
            found.append(one.span())
    return sorted(found)


def _class_of(phrase: str) -> str | None:
    """Return the class of the phrase that comes first; None where there is none."""
    phrase = phrase.strip()
    first: tuple[int, int, str] | None = None
    for rank, (cause, pattern) in enumerate(PHRASES):
        match = pattern.search(phrase)
        if match is not None and (first is None or (match.start(), rank) < first[:2]):
            first = (match.start(), rank, cause)
    if first is None:
        return None
    at, _, cause = first
    # "an errant configuration rollout", "a rollout of a configuration": what was changed is a
    # configuration. "A rollout that included a misconfiguration" is a rollout.
    if cause == "deploy" and _CONFIGURED.search(phrase[max(0, at - 40) : at + 60]):
        return "configuration"
    if cause in {"network", "authentication"} and ELSEWHERE.search(phrase):
        return "upstream_cloud"
    # How logins work is no cause; that they failed is one.
    if cause == "authentication" and not _FAILED.search(phrase):
        return None
    return cause


def _deepest(phrase: str) -> str:
    """Of "a shortage of capacity following fibre cuts" return what comes last: the first cause."""
    parts = _DEEPER.split(phrase)
    for part in reversed(parts[1:]):
        if _class_of(part) is not None:
            return part
    return phrase


def _effect_cut(phrase: str) -> str:
    """Leave out what the cause led to."""
    end = _EFFECT.search(phrase)
    return phrase[: end.start()] if end is not None and end.start() > 3 else phrase


def _doubted(sentence: str, start: int, end: int) -> bool:
    """Whether the sentence denies the cause, asks for it or calls it possible."""
    around = sentence[max(0, start - 60) : end + 30]
    return _DENIED.search(around) is not None or _POSSIBLE.search(sentence[: end + 40]) is not None


def _strength(sentence: str) -> float:
    return BELIEVED if _BELIEVED.search(sentence) else STATED


def quote(sentence: str, at: int) -> str:
    """Return the sentence, or the part of it around `at` that a quotation may hold."""
    if len(sentence) <= QUOTE_LIMIT_CHARS:
        return sentence
    start = max(0, min(at - 40, len(sentence) - QUOTE_LIMIT_CHARS))
    end = start + QUOTE_LIMIT_CHARS
    return (
        ("…" if start else "") + sentence[start:end].strip() + ("…" if end < len(sentence) else "")
    )
