"""What is kept of each exchange, and the sums of many. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

import msgspec

from bench.gauntlet.judging import Judgement
from bench.gauntlet.scripts import BY_NUMBER

BROWNOUT_SHARE = 0.999
"""Of script 15, at least this much has to come home; of all others, everything."""


class Result(msgspec.Struct, frozen=True):
    """One exchange at one gateway."""

    gateway: str
    retries: int
    script: int
    surface: str
    lane: str
    way: str
    mark: str
    position: int
    stream: bool
    judgement: Judgement
    first_text_s: float | None
    largest_gap_s: float
    took_s: float
    asked: tuple[str, ...]
    """Vendors, in the order they were asked."""
    tokens_sent: float
    """Output tokens of all vendors, estimated where they broke off."""
    tokens_needed: int
    ledger: str = ""
    """The receipt in a line, where the exchange fell short."""


class Sum(msgspec.Struct, frozen=True):
    """Many exchanges of one script at one gateway."""

    exchanges: int
    completed: int
    whole: int
    torn_calls: int
    silent: int
    garbled: int
    duplicated: int
    lost: int
    forged: int
    wrong_success: int
    finished_early: int
    first_text_ratio: float | None
    """Median time to first text, as a multiple of a healthy run's; None: nobody saw text."""
    gap_ratio: float | None
    wasted: float | None
    """Output tokens that vendors sent beyond those that came home, per token of these."""


class Healthy(msgspec.Struct, frozen=True):
    """The baseline of one gateway at one surface."""

    first_text_s: float
    largest_gap_s: float


def baseline(results: Iterable[Result]) -> dict[tuple[str, str], Healthy]:
    """Return each gateway's healthy run, by (gateway, surface)."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        if one.script == 0 and one.judgement.whole and one.first_text_s is not None:
            groups.setdefault((one.gateway, one.surface), []).append(one)
    return {
        key: Healthy(
            median(one.first_text_s or 0.0 for one in group),
            median(one.largest_gap_s for one in group),
        )
        for key, group in groups.items()
    }


def add(results: Sequence[Result], healthy: dict[tuple[str, str], Healthy]) -> Sum:
    def count(what: Callable[[Judgement], int]) -> int:
        return sum(what(one.judgement) for one in results)

    needed = sum(one.tokens_needed for one in results if one.judgement.whole)
    sent = sum(one.tokens_sent for one in results if one.tokens_needed)
    return Sum(
        exchanges=len(results),
        completed=count(lambda j: j.completed),
        whole=count(lambda j: j.whole),
        torn_calls=count(lambda j: j.torn_calls),
        silent=count(lambda j: j.silent),
        garbled=count(lambda j: j.garbled),
        duplicated=count(lambda j: j.duplicated),
        lost=count(lambda j: j.lost),
        forged=count(lambda j: j.forged),
        wrong_success=count(lambda j: j.wrong_success),
        finished_early=count(lambda j: j.finished_early),
        first_text_ratio=_ratio(results, healthy, lambda one: one.first_text_s, "first_text_s"),
        gap_ratio=_ratio(results, healthy, lambda one: one.largest_gap_s, "largest_gap_s"),
        wasted=max(0.0, sent / needed - 1) if needed else None,
    )


def _ratio(
    results: Sequence[Result],
    healthy: dict[tuple[str, str], Healthy],
    value: Callable[[Result], float | None],
    name: str,
) -> float | None:
    """The median over streams that came home whole of value / healthy value."""
    found: list[float] = []
    for one in results:
        base = healthy.get((one.gateway, one.surface))
        seen = value(one)
        if base is not None and one.stream and one.judgement.whole and seen is not None:
            found.append(seen / max(0.001, getattr(base, name)))
    return median(found) if found else None


def shortfalls(results: Sequence[Result]) -> list[str]:
    """Return in sentences where Outlast falls short of what is promised; empty: nowhere."""
    ours = [one for one in results if one.gateway == "outlast" and one.retries == 0]
    said: list[str] = []
    for number in sorted({one.script for one in ours}):
        of_script = [one for one in ours if one.script == number]
        whole = sum(one.judgement.whole for one in of_script)
        wanted = BROWNOUT_SHARE * len(of_script) if number == 15 else len(of_script)
        title = BY_NUMBER[number].title if number in BY_NUMBER else "healthy"
        if whole < wanted:
            said.append(f"script {number} ({title}): {whole} of {len(of_script)} came home whole")
    promises: tuple[tuple[str, Callable[[Judgement], int]], ...] = (
        ("torn tool calls handed over", lambda j: j.torn_calls),
        ("silent truncations", lambda j: j.silent),
        ("failures booked as successes", lambda j: j.wrong_success),
        ("sentences said twice", lambda j: j.duplicated),
        ("sentences lost in what the SDK took for a success", lambda j: j.lost),
        ("thinking blocks without the signature of their vendor", lambda j: j.forged),
    )
    for words, count in promises:
        if total := sum(count(one.judgement) for one in ours):
            said.append(f"{total} {words}")
    strict = [one for one in ours if one.way in {"exact", "prefill"} and one.judgement.garbled]
    if strict:
        said.append(f"{len(strict)} exact or prefilled continuations with other characters")
    return said
