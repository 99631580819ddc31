"""What the doctor found, as values, and how an answer's events are judged. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

BURST_S = 0.02
"""Events closer than this arrived together."""
WHOLE_ANSWER_EVENTS = 6
"""With fewer events than this, arriving together proves nothing."""


class Mark(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def sign(self) -> str:
        return {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "–"}[self.value]


class Finding(msgspec.Struct, frozen=True):
    """One check. `subject` is an upstream's name or `this machine`."""

    subject: str
    check: str
    mark: Mark
    what: str
    todo: str = ""
    """What to do about it; empty when nothing is needed."""
    took_s: float | None = None


def worst(findings: Iterable[Finding]) -> Mark:
    """FAILED before WARNING before OK; what was skipped does not count."""
    marks = {finding.mark for finding in findings}
    for mark in (Mark.FAILED, Mark.WARNING):
        if mark in marks:
            return mark
    return Mark.OK


def streaming(subject: str, arrivals_s: Sequence[float]) -> Finding:
    """Whether events came as they were made. `arrivals_s`: seconds after the request was sent.

    A proxy that buffers hands all events over at once, at the end.
    """
    count = len(arrivals_s)
    if count == 0:
        return Finding(
            subject,
            "streaming",
            Mark.FAILED,
            "the answer had no events",
            "Its base_url may lead to a page or to another API; look at what answers there.",
        )
    spread_s = arrivals_s[-1] - arrivals_s[0]
    bursts = 1 + sum(later - earlier > BURST_S for earlier, later in itertools.pairwise(arrivals_s))
    what = f"{count} events in {bursts} groups over {spread_s:.2f} s"
    if bursts > 1 or count < WHOLE_ANSWER_EVENTS:
        return Finding(subject, "streaming", Mark.OK, what, took_s=spread_s)
    return Finding(
        subject,
        "streaming",
        Mark.WARNING,
        f"{count} events arrived all at once, after {arrivals_s[0]:.1f} s",
        "Something on the way seems to collect answers (a proxy with buffering?); people would "
        "see nothing until the end.",
        took_s=spread_s,
    )


def clock(skew_s: float) -> Finding:
    """Whether this machine's clock agrees with an upstream's `date` header."""
    what = f"{abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'} of the upstreams' clocks"
    if abs(skew_s) < 60:
        return Finding("this machine", "clock", Mark.OK, what)
    return Finding(
        "this machine",
        "clock",
        Mark.WARNING,
        what,
        "Set the clock (timedatectl set-ntp true): receipts, keys and certificates depend on it.",
    )


def certificate(subject: str, days_left: float, took_s: float) -> Finding:
    """Whether an upstream's certificate lasts."""
    what = f"certificate valid for {days_left:.0f} more days"
    if days_left >= 7:
        return Finding(subject, "TLS", Mark.OK, what, took_s=took_s)
    return Finding(
        subject,
        "TLS",
        Mark.WARNING,
        what,
        "Whoever runs this upstream has to renew it; have another candidate ready.",
        took_s=took_s,
    )
