"""The sixteen scripts: how a vendor fails, and at which places of an answer. Pure.

Times are those of a real outage; `compress` divides each of them, for every gateway alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from outlast.simulator import Fault, FaultKind, Match

STALL_S = 60.0
SLOW_TOKENS_PER_S = 20.0
SLOWDOWN = 1.5


class Script(msgspec.Struct, frozen=True):
    """`breaks`: in sight of the client, so that it matters who goes on and how."""

    number: int
    title: str
    breaks: bool = False
    thinks: bool = False
    calls: bool = False
    chars: int = 450
    traffic: bool = False
    """Not single exchanges but a stream of them, against vendors of its own."""
    whole: bool = False
    """Asked without a stream too."""


SCRIPTS = (
    Script(1, "refused", whole=True),
    Script(2, "529 for ever", whole=True),
    Script(3, "200, then an error before content"),
    Script(4, "cut in the first sentence", breaks=True),
    Script(5, "cut late in a long answer", breaks=True, chars=2400),
    Script(6, "clean end of file in the text", breaks=True),
    Script(7, "cut inside a tool call after text", breaks=True, calls=True),
    Script(8, "cut inside thinking", thinks=True),
    Script(9, "stall of 60 s before the answer", whole=True),
    Script(10, "stall of 60 s inside the answer", breaks=True),
    Script(11, "slow death: ever slower", breaks=True),
    Script(12, "one malformed frame", breaks=True),
    Script(13, "all vendors down", chars=300),
    Script(14, "flapping every 3 s", traffic=True),
    Script(15, "brown-out: 30 % fail, 50 streams", traffic=True),
    Script(16, "2 March 2026, compressed", traffic=True),
)
BY_NUMBER = {script.number: script for script in SCRIPTS}
HEALTHY = Script(0, "healthy")


def tag(number: int, position: int) -> str:
    """The word in a model's name that makes the first vendor fail as the script says."""
    return f"s{number:02}p{position}"


def faults(places: int, compress: float, seed: int) -> tuple[Fault, ...]:
    """Return the rows of the first vendor: one for each script and place."""
    rows: list[Fault] = []
    for number, make in _FAULTS.items():
        for position in range(places):
            chance = random.Random(f"{seed}/{number}/{position}")
            fault = make(chance, compress, position)
            match = Match(model=f"*-{tag(number, position)}-*")
            rows.append(msgspec.structs.replace(fault, match=match))
    return tuple(rows)


def torn(seed: int) -> tuple[Fault, ...]:
    """A vendor that breaks off in whatever it says: the second tear of one answer."""
    chance = random.Random(f"{seed}/torn")
    return (Fault(FaultKind.CUT, where="text", after_share=round(chance.uniform(0.3, 0.8), 4)),)


def dead() -> tuple[Fault, ...]:
    return (Fault(FaultKind.REFUSE),)


def down() -> tuple[Fault, ...]:
    return (Fault(FaultKind.STATUS, status=529),)


def flapping(period_s: float) -> tuple[Fault, ...]:
    """Gone for `period_s`, back for `period_s`, for ever."""
    return (Fault(FaultKind.REFUSE, period_s=2 * period_s, duty=0.5),)


BROWNOUT_SHARE = 0.3


def brownout(turned: int = 0) -> tuple[Fault, ...]:
    """Of all requests 30 % fail, in six ways. A row sees only what the rows before left.

    `turned`: the ways begin elsewhere, so that two vendors do not fail alike.
    """
    ways: tuple[Fault, ...] = (
        Fault(FaultKind.STATUS, status=529),
        Fault(FaultKind.STATUS, status=500),
        Fault(FaultKind.RESET, where="before_head"),
        Fault(FaultKind.STREAM_ERROR, where="before_content"),
        Fault(FaultKind.CUT, where="text", after_share=0.6),
        Fault(FaultKind.EOF, where="text", after_share=0.4),
    )
    each = BROWNOUT_SHARE / len(ways)
    return tuple(
        msgspec.structs.replace(fault, share=each / (1 - number * each))
        for number, fault in enumerate(ways[turned:] + ways[:turned])
    )


def _share(chance: random.Random) -> float:
    return round(chance.uniform(0.05, 0.95), 4)


def _first_sentence(chance: random.Random, _: float, __: int) -> Fault:
    return Fault(FaultKind.CUT, where="text", after_chars=chance.randrange(1, 28))


def _late(chance: random.Random, _: float, __: int) -> Fault:
    return Fault(FaultKind.CUT, where="text", after_share=round(chance.uniform(0.75, 0.98), 4))


def _end_of_file(chance: random.Random, _: float, __: int) -> Fault:
    return Fault(FaultKind.EOF, where="text", after_share=_share(chance))


def _in_call(chance: random.Random, _: float, __: int) -> Fault:
    return Fault(FaultKind.CUT, where="tool", after_share=_share(chance))


def _in_thinking(chance: random.Random, _: float, __: int) -> Fault:
    return Fault(FaultKind.CUT, where="thinking", after_share=_share(chance))


def _stall(chance: random.Random, compress: float, _: int) -> Fault:
    return Fault(
        FaultKind.STALL, where="text", after_share=_share(chance), stall_s=STALL_S / compress
    )


def _slow(chance: random.Random, _: float, __: int) -> Fault:
    return Fault(
        FaultKind.SLOW,
        where="text",
        after_share=round(chance.uniform(0.1, 0.6), 4),
        tokens_per_s=SLOW_TOKENS_PER_S,
        slowdown=SLOWDOWN,
    )


def _before_or_inside(chance: random.Random, _: float, position: int) -> Fault:
    """All vendors are down: from the start, or this one breaks off and nobody else is there."""
    if position % 2 == 0:
        return Fault(FaultKind.STATUS, status=529)
    return Fault(FaultKind.CUT, where="text", after_share=_share(chance))


_FAULTS: dict[int, Callable[[random.Random, float, int], Fault]] = {
    2: lambda *_: Fault(FaultKind.STATUS, status=529),
    3: lambda *_: Fault(FaultKind.STREAM_ERROR, where="before_content"),
    4: _first_sentence,
    5: _late,
    6: _end_of_file,
    7: _in_call,
    8: _in_thinking,
    9: lambda _, compress, __: Fault(
        FaultKind.STALL, where="before_head", stall_s=STALL_S / compress
    ),
    10: _stall,
    11: _slow,
    12: lambda chance, *_: Fault(FaultKind.MALFORMED, where="text", after_share=_share(chance)),
    13: _before_or_inside,
}
