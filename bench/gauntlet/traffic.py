"""Scripts that are traffic rather than single exchanges: flapping, brown-out, 2 March 2026."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.gauntlet import lanes, scripts
from bench.gauntlet.cases import LANGUAGES, Case, words
from bench.gauntlet.options import Options
from bench.gauntlet.running import Runner
from outlast.nouns import Kind
from outlast.simulator.prose import prose

CHARS_PER_TOKEN = 5
ANSWER_CHARS_MAX = 5000
PROMPT_TOKENS_MAX = 4000
FALLBACK_LENGTHS = ((300, 60), (900, 150), (1800, 240), (3500, 20), (600, 400))
"""(prompt, answer) tokens where there are no traces; shaped like them, and said so."""
FLAPPING_STREAMS = 6
FIRST_MARK = {14: 14_000, 15: 20_000, 16: 60_000}
"""Where the marks of each script begin, so that no two exchanges share one."""


async def run(number: int, runner: Runner, surfaces: tuple[str, ...], options: Options) -> None:
    """Run one traffic script at a gateway over the surfaces that it serves."""
    match number:
        case 14:
            make = _maker(14, lambda first: lanes.own(first, "flapping", "flap"), surfaces, 400)
            await runner.lasting(make, FLAPPING_STREAMS, options.flapping_s, pause_s=0.1)
        case 15:
            make = _maker(15, lanes.brown, surfaces, 300)
            await runner.lasting(make, options.streams, options.brownout_s)
        case _:
            await runner.timed(march(options, surfaces))


def _maker(
    number: int,
    lane: Callable[[Kind], lanes.Lane],
    surfaces: tuple[str, ...],
    chars: int,
) -> Callable[[int], Case]:
    """Return a function that makes the n-th exchange, at each surface in turn."""
    script = msgspec.structs.replace(scripts.BY_NUMBER[number], chars=chars)

    def make(turn: int) -> Case:
        mark = f"q{FIRST_MARK[number] + turn:05}"
        surface = surfaces[turn % len(surfaces)]
        return Case(
            mark=mark,
            script=number,
            surface=surface,
            lane=lane(lanes.OWN[surface]),
            position=0,
            words=words(mark, script, LANGUAGES[turn % len(LANGUAGES)]),
            chars=chars,
            # One name for all: the breakers learn from each of them.
            model=f"{lane(lanes.OWN[surface]).base}-traffic",
        )

    return make


def march(options: Options, surfaces: tuple[str, ...]) -> list[Case]:
    """The requests of the compressed 2 March, with the lengths of real traffic."""
    chance = random.Random(f"{options.seed}/march")
    known = lengths(options.traces) or FALLBACK_LENGTHS
    found: list[Case] = []
    for turn in range(options.timeline_requests):
        mark = f"q{FIRST_MARK[16] + turn:05}"
        prompt, answer = chance.choice(known)
        size = min(ANSWER_CHARS_MAX, max(20, answer * CHARS_PER_TOKEN))
        script = msgspec.structs.replace(scripts.BY_NUMBER[16], chars=size)
        filler = prose(min(prompt, PROMPT_TOKENS_MAX) * CHARS_PER_TOKEN, "en", options.seed, turn)
        found.append(
            Case(
                mark=mark,
                script=16,
                surface=surfaces[turn % len(surfaces)],
                lane=lanes.timeline(),
                position=0,
                words=words(mark, script, LANGUAGES[turn % len(LANGUAGES)], f"\n{filler}\n"),
                chars=size,
                model=lanes.TIMELINE_MODELS[turn % 3 == 0],
                at_s=chance.uniform(0, options.timeline_s),
            )
        )
    return sorted(found, key=lambda case: case.at_s)


def lengths(folder: Path) -> list[tuple[int, int]]:
    """Return (prompt, answer) tokens of the Azure traces; [] where they are not present."""
    return [pair for path in sorted(folder.glob("AzureLLM*.csv")) for pair in _rows(path)]


def _rows(path: Path) -> Iterator[tuple[int, int]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                yield int(row["ContextTokens"]), int(row["GeneratedTokens"])
            except (KeyError, TypeError, ValueError):
                continue  # a torn line at the end of a file that was cut
