"""The cost of holding: how much later text is seen than its vendor says it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median

import msgspec

from bench.gauntlet import lanes, scripts
from bench.gauntlet.cases import Case, words
from bench.gauntlet.clients import Judges, judges
from bench.gauntlet.gateways import Endpoint, Gateway
from bench.gauntlet.options import Options
from bench.gauntlet.stage import PACED_TOKENS_PER_S, Stage
from outlast.simulator.prose import pieces

RUNS = 3
CHARS = 40
TOLERANCE_WORDS = 0.25
"""What a busy machine may add to one word."""


class Cost(msgspec.Struct, frozen=True):
    """Medians of a healthy vendor's answer, straight from it and through a gateway."""

    gateway: str
    surface: str
    direct_s: float
    through_s: float
    words_later: float


def first_word_tokens(text: str) -> int:
    """Return how many tokens the first word of a text has: the next begins another."""
    tokens = pieces(text)
    for number, token in enumerate(tokens[1:], 1):
        if not token[:1].isalnum():
            return number
    return max(1, len(tokens))


async def measure(
    gateway: Gateway, stage: Stage, surfaces: Sequence[str], options: Options
) -> list[Cost]:
    """Ask each surface a few times, straight and through the gateway, one after the other."""
    costs = await asyncio.gather(
        *(_of_surface(gateway, stage, s, n, options) for n, s in enumerate(surfaces))
    )
    stage.take()
    return [cost for cost in costs if cost is not None]


async def _of_surface(
    gateway: Gateway, stage: Stage, surface: str, number: int, options: Options
) -> Cost | None:
    """Return a surface's cost; None where the vendor or the gateway gave no answer."""
    lane = lanes.paced(lanes.OWN[surface])
    made = [_case(surface, lane, 900 + 100 * number + turn) for turn in range(2 * RUNS + 2)]
    vendor, through = Endpoint(stage.url("paced"), "x"), gateway.endpoint(lane)
    async with (
        judges(vendor, options.compress) as straight,
        judges(through, options.compress) as routed,
    ):
        # The first exchange of a client opens its connection and builds its models.
        await asyncio.gather(
            _first_text(straight, vendor, made.pop()), _first_text(routed, through, made.pop())
        )
        direct: list[float] = []
        later: list[tuple[float, float]] = []
        for one, other in zip(made[:RUNS], made[RUNS:], strict=True):
            seen, first = await asyncio.gather(
                _first_text(straight, vendor, one), _first_text(routed, through, other)
            )
            word_s = first_word_tokens(other.truth(options.seed).text) / PACED_TOKENS_PER_S
            if seen is not None and first is not None:
                direct.append(seen)
                later.append((first, word_s))
    if not direct:
        return None
    base = median(direct)
    return Cost(
        gateway=gateway.name,
        surface=surface,
        direct_s=base,
        through_s=median(first for first, _ in later),
        words_later=median((first - base) / word for first, word in later),
    )


def _case(surface: str, lane: lanes.Lane, number: int) -> Case:
    mark = f"q{number:05}"
    script = msgspec.structs.replace(scripts.HEALTHY, chars=CHARS)
    return Case(mark, 0, surface, lane, 0, words(mark, script, "en"), CHARS)


async def _first_text(sdk: Judges, endpoint: Endpoint, case: Case) -> float | None:
    body = case.body()
    body["model"] = endpoint.named(case.asked_model, case.mark)
    heard = await sdk.hear(case.surface, body)
    return heard.first_text_s if not heard.error else None
