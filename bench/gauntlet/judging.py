"""From what was said, and what should have been, to a judgement. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.gauntlet.clients import Call, Heard

SENTENCE_CHARS = 12
"""Shorter sentences repeat by themselves."""
ADDED_CHARS = 60
_SENTENCE = re.compile(r"[^.!?…。\n]+[.!?…。]*")


class Texts(msgspec.Struct, frozen=True):
    """How an answer's text compares with the truth."""

    equal: bool
    same_words: bool
    """Equal but for white space."""
    duplicated: int = 0
    """Sentences that came more often than they should."""
    lost: int = 0
    """Sentences of the truth that never came, or not whole."""
    differs: str = ""
    """Where they part, for a person."""


class Judgement(msgspec.Struct, frozen=True):
    """One exchange. `whole` is what everybody wants; all the rest says what happened instead."""

    completed: bool
    """The SDK gave an answer and was told why it ended."""
    whole: bool
    torn_calls: int = 0
    silent: bool = False
    """The SDK took a part for the whole: nothing was raised."""
    garbled: bool = False
    """Completed, nothing missing, and yet not the truth."""
    duplicated: int = 0
    lost: int = 0
    forged: int = 0
    """Thinking with a signature that its vendor never gave."""
    finished_early: bool = False
    """Ended after whole calls, with further ones missing: a valid turn, which the receipt tells."""
    wrong_success: bool = False
    """Booked as a success what the client never got whole, or an attempt that its vendor failed."""
    note: str = ""


def compare(got: str, truth: str) -> Texts:
    """Return how `got` compares with `truth`, sentence by sentence where they differ."""
    if got == truth:
        return Texts(True, True)
    have, want = _unspaced(got), _unspaced(truth)
    known = set(sentences(truth))
    return Texts(
        equal=False,
        same_words=have == want,
        duplicated=sum(max(0, have.count(s) - want.count(s)) for s in known),
        lost=0
        if _only_added(have, want)
        else sum(max(0, want.count(s) - have.count(s)) for s in known),
        differs=_differs(got, truth),
    )


def _only_added(have: str, want: str) -> bool:
    """Whether every character of the truth came, in order, and a few others between them."""
    if not 0 <= len(have) - len(want) <= ADDED_CHARS:
        return False
    rest = iter(have)
    return all(char in rest for char in want)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text without their white space, short ones left out."""
    found = (_unspaced(one) for one in _SENTENCE.findall(text))
    return [one for one in found if len(one) >= SENTENCE_CHARS]


def _unspaced(text: str) -> str:
    return "".join(text.split())


def _differs(got: str, truth: str) -> str:
    at = next(
        (n for n, (a, b) in enumerate(zip(got, truth, strict=False)) if a != b),
        min(len(got), len(truth)),
    )
    return (
        f"at {at} of {len(truth)} (got {len(got)}): "
        f"{got[max(0, at - 20) : at]!r} then {got[at : at + 40]!r}, not {truth[at : at + 40]!r}"
    )


def judge(
    heard: Heard,
    truth_text: str,
    truth_calls: Sequence[Call],
    *,
    loosely: bool,
    truth_known: bool = True,
    begins: str = "",
    forged: int = 0,
    receipt: dict[str, Any] | None = None,
    booked_ok: int = 0,
) -> Judgement:
    """Judge one exchange.

    `loosely`: who went on was instructed, so white space at the seam may differ.
    `truth_known`: False for a real model, whose words nobody knows beforehand; but they follow
    what another had said before it broke off: `begins`.
    `booked_ok`: attempts in the ledger that are called a success and were none.
    """
    texts = compare(heard.text, truth_text)
    told = bool(heard.stop)
    completed = not heard.error and told
    text_ok = texts.equal or (loosely and texts.same_words)
    if not truth_known:
        text_ok = bool(heard.text.strip()) and heard.text.startswith(begins)
    given = list(heard.calls)
    torn = sum(1 for call in given if call not in truth_calls) if not heard.error else 0
    early = completed and _finished_early(given, truth_calls, receipt)
    calls_ok = given == list(truth_calls) or early
    ends = {"tool_use"} if truth_calls else {"end_turn", *(() if truth_known else ("max_tokens",))}
    whole = completed and text_ok and calls_ok and heard.stop in ends
    missing = truth_known and (_is_part(heard.text, truth_text) or texts.lost > 0)
    silent = not heard.error and not whole and (missing or len(given) < len(truth_calls))
    if not heard.error and not told and not truth_known:
        silent = True
    return Judgement(
        completed=completed,
        whole=whole,
        torn_calls=torn,
        silent=silent,
        garbled=completed and not whole and not silent,
        duplicated=texts.duplicated if truth_known and not heard.error else 0,
        lost=texts.lost if truth_known and not heard.error else 0,
        forged=forged,
        finished_early=early,
        wrong_success=booked_ok > 0 or (_is_ok(receipt) and (bool(heard.error) or silent)),
        note="" if whole else heard.error or texts.differs or _odd(heard),
    )


def _odd(heard: Heard) -> str:
    return f"calls {heard.calls!r}, stop {heard.stop!r}"[:300]


def _is_part(text: str, truth: str) -> bool:
    got, wanted = _unspaced(text), _unspaced(truth)
    return len(got) < len(wanted) and wanted.startswith(got)


def _finished_early(
    given: list[Call], truth: Sequence[Call], receipt: dict[str, Any] | None
) -> bool:
    fewer = 0 < len(given) < len(truth) and given == list(truth[: len(given)])
    told = receipt is not None and any(
        one.get("how") == "finished" for one in receipt.get("resumptions", [])
    )
    return fewer and told


def _is_ok(receipt: dict[str, Any] | None) -> bool:
    return receipt is not None and receipt.get("outcome") == "ok"


def booked_ok(receipt: dict[str, Any] | None, failed: Counter[str], asked: Counter[str]) -> int:
    """Return how many attempts the ledger calls ok that their vendors know as failures.

    `failed` and `asked` count a vendor's requests for this exchange.
    """
    if receipt is None:
        return 0
    ok = Counter(
        attempt["upstream"].partition("--")[0]
        for attempt in receipt.get("attempts", [])
        if attempt["outcome"] == "ok"
    )
    return sum(max(0, ok[v] - (asked[v] - failed[v])) for v in ok if failed[v])
