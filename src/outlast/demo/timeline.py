"""2 March 2026 in about a minute: what fails when, and what the vendor's page said. Pure.

The times and the states of the page are those of the public record (status.claude.com, incidents
0ghc53zpsfmt, 5zg05jnrqmzg and 0j8dkb38jymf; first reports at 11:37 after StatusGator). How many
requests failed, and how, was never published: the shares below are ours, a guess in one place.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from outlast.simulator.script import Fault, FaultKind, Language, Script

Surface = Literal["messages", "chat"]
PLAYED = 400.0
"""Seconds of the day in a second of the demo."""
MODEL = "claude-sonnet-5"
OTHER_MODEL = "gpt-5.5"
TOKENS_PER_S = 60.0
FIRST_TOKEN_S = 0.25
STALL_S = 4.0

_MINUTE = 60.0


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def moment(clock: str) -> float:
    """Return the seconds of script time of a time of the day: `moment("11:15")` is 0."""
    return (_minutes(clock) - _minutes("11:15")) * _MINUTE


END_S = moment("18:15")


def clock(at_s: float) -> str:
    """Return the time of the day (UTC) at a second of script time: `"12:21"`."""
    minutes = _minutes("11:15") + int(max(0.0, at_s) // _MINUTE)
    return f"{minutes // 60:02}:{minutes % 60:02}"


class Page(StrEnum):
    """What a vendor's status page says of its API."""

    OPERATIONAL = "operational"
    DEGRADED = "degraded_performance"
    PARTIAL = "partial_outage"


class Notice(msgspec.Struct, frozen=True):
    at_s: float
    page: Page
    key: str
    """Of the sentence in texts.py."""


NOTICES: tuple[Notice, ...] = tuple(
    Notice(moment(at), page, key)
    for at, page, key in (
        ("11:15", Page.OPERATIONAL, "notice_none"),
        ("11:49", Page.OPERATIONAL, "notice_web"),
        ("12:06", Page.PARTIAL, "notice_api"),
        ("12:21", Page.OPERATIONAL, "notice_api_works"),
        ("13:22", Page.OPERATIONAL, "notice_identified"),
        ("13:37", Page.PARTIAL, "notice_api_after_all"),
        ("14:35", Page.DEGRADED, "notice_model"),
        ("15:25", Page.OPERATIONAL, "notice_fixed"),
        ("15:47", Page.OPERATIONAL, "notice_resolved"),
        ("16:50", Page.DEGRADED, "notice_relapse"),
        ("17:09", Page.OPERATIONAL, "notice_fixed"),
        ("17:15", Page.DEGRADED, "notice_identified"),
        ("17:24", Page.OPERATIONAL, "notice_fixed"),
        ("17:55", Page.OPERATIONAL, "notice_resolved"),
    )
)


class Phase(msgspec.Struct, frozen=True):
    """How the scripted vendor behaves from `at_s` to `until_s`, and what we call that."""

    at_s: float
    until_s: float
    key: str
    faults: tuple[Fault, ...] = ()


_OVERLOADED = Fault(FaultKind.STATUS, status=529)
_BEFORE = Fault(FaultKind.STREAM_ERROR, where="before_content", status=529)
_INSIDE = Fault(FaultKind.STREAM_ERROR, where="text", status=529)
_CUT = Fault(FaultKind.CUT, where="text")
_STALL = Fault(FaultKind.STALL, where="text", after_share=0.7, stall_s=STALL_S, then="cut")


def _often(fault: Fault, share: float) -> Fault:
    return msgspec.structs.replace(fault, share=share)


def _phases() -> tuple[Phase, ...]:
    """Rows are tried in order: a share is of the requests that the rows before it left."""
    broken = Fault(FaultKind.STATUS, status=500)
    proxy = Fault(FaultKind.STATUS, status=503, html=True)
    rows: tuple[tuple[str, str, tuple[Fault, ...]], ...] = (
        ("11:15", "calm", ()),
        ("11:37", "errors", (_often(_OVERLOADED, 0.25), _often(_BEFORE, 0.2), _often(_CUT, 0.15))),
        ("12:06", "worse", (_often(_OVERLOADED, 0.4), _often(_INSIDE, 0.25), _often(_STALL, 0.2))),
        (
            "12:21",
            "denied",
            (
                _often(_OVERLOADED, 0.3),
                _often(_BEFORE, 0.25),
                _often(_INSIDE, 0.3),
                _often(_STALL, 0.15),
            ),
        ),
        ("13:37", "down", (_often(proxy, 0.4), _often(Fault(FaultKind.RESET), 0.3), broken)),
        ("14:35", "closed", (Fault(FaultKind.REFUSE),)),
        ("15:05", "down", (_often(broken, 0.3), _OVERLOADED)),
        ("15:25", "recovered", ()),
        ("16:50", "relapse", (_often(_CUT, 0.35), _often(_OVERLOADED, 0.35), _often(_STALL, 0.15))),
        ("17:55", "over", ()),
    )
    starts = [moment(at) for at, _, _ in rows]
    ends = [*starts[1:], END_S]
    return tuple(
        Phase(start, end, f"phase_{key}", faults)
        for start, end, (_, key, faults) in zip(starts, ends, rows, strict=True)
    )


PHASES = _phases()

DARK = (moment("14:40"), moment("14:58"))
"""With the embedded model: when the other vendor's port is closed as well. This is invented."""


def phase_at(at_s: float) -> Phase:
    return next((p for p in reversed(PHASES) if p.at_s <= at_s), PHASES[0])


def notice_at(at_s: float) -> Notice:
    return next((n for n in reversed(NOTICES) if n.at_s <= at_s), NOTICES[0])


def length_s(speed: float) -> float:
    """Return how long the day takes, in seconds, before the last answers have ended."""
    return END_S / (PLAYED * speed)


def brief(at_s: float) -> bool:
    """Whether questions are short: around the moment when the small model answers."""
    return DARK[0] - 4 * PLAYED <= at_s < DARK[1]


def scripts(
    *, seed: int, speed: float, language: Language, dark: bool = False
) -> tuple[Script, Script]:
    """Return what the two vendors are told. `speed`: how many times faster than about a minute.

    Both tell the same truth, because they share the seed: an answer that one of them began and
    the other ended can be compared with it to the character.
    """

    def vendor(name: str, model: str, faults: tuple[Fault, ...]) -> Script:
        return Script(
            seed=seed,
            name=name,
            models=(model,),
            keys=(key_of(name),),
            speed=PLAYED * speed,
            language=language,
            prefill=False,
            chunking="event",
            tokens_per_s=TOKENS_PER_S * speed,
            first_token_s=FIRST_TOKEN_S / speed,
            faults=faults,
        )

    closed = Fault(FaultKind.REFUSE, at_s=DARK[0], for_s=DARK[1] - DARK[0])
    down = tuple(
        msgspec.structs.replace(
            fault,
            at_s=phase.at_s,
            for_s=phase.until_s - phase.at_s,
            stall_s=None if fault.stall_s is None else fault.stall_s / speed,
        )
        for phase in PHASES
        for fault in phase.faults
    )
    return vendor("anthropic", MODEL, down), vendor("openai", OTHER_MODEL, (closed,) * dark)


def key_of(vendor: str) -> str:
    """Return the key that a scripted vendor takes; it opens nothing else."""
    return f"key-of-the-scripted-{vendor}"
