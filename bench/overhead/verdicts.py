"""What is promised, and whether it was kept in this run. Pure.

The figures are those of the table in docs/overhead.md. A must that is a ratio within one run, or a
count, is true on any machine, and decides the exit code. A must in microseconds, megabytes or
shares of a core depends on the machine: it is said, and counts with --strict alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from bench.overhead.figures import Figure, Memory, Sample, ratio
from bench.overhead.scenarios import BY_NAME, SCENARIOS


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is None where it was not measured. `low`: the lower, the better."""

    what: str
    value: float | None
    must: float
    aim: float
    unit: str = "×"
    low: bool = False
    gates: bool = True
    """Whether a miss counts for the exit code."""
    disturbed: bool = False
    """It rests on rates of which each round was disturbed: neither met nor missed. What rests on
    CPU or on counts is sturdy, and never disturbed."""

    @property
    def met(self) -> bool | None:
        """None where it was not measured, or cannot be told."""
        return self._within(self.must)

    @property
    def aimed(self) -> bool | None:
        return self._within(self.aim)

    def _within(self, limit: float) -> bool | None:
        if self.value is None or self.disturbed:
            return None
        return self.value <= limit if self.low else self.value >= limit


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A run, as the verdicts need it. `figures`: by scenario, then by server."""

    samples: Sequence[Sample]
    figures: Mapping[str, Mapping[str, Figure]]
    idle_bytes: int = 0
    memory: Memory | None = None


PEERS = (
    ("vllm-router", 1.5, 2.0),
    ("tensorzero", 4.0, 6.0),
    ("smg", 4.0, 6.0),
    ("litellm", 200.0, 400.0),
)
"""Requests per second at 32 connections against each: must, aim."""
TRANSLATED_LIMITS = (4.0, 4.0)
"""Must, aim."""
TRANSLATED = (
    ("o2a-whole", "translated requests"),
    ("o2a-stream", "translated streams"),
)
"""OpenAI client, Anthropic upstream: the way that the peer goes too."""


def verdicts(found: Found) -> list[Verdict]:
    """Return all of them, also those that this run has not measured."""
    return [
        *_against_nginx(found),
        *(_rate(found, "c32", "requests per second at 32 connections", *peer) for peer in PEERS),
        *(
            _rate(found, scenario, f"{words} per second", "tensorzero", *TRANSLATED_LIMITS)
            for scenario, words in TRANSLATED
        ),
        *_of_the_machine(found),
        _growth(found.memory),
        Verdict(
            what="answers that did not come home whole, over all scenarios",
            value=_lost(found, "broken", lambda memory: memory.failed),
            must=0.0,
            aim=0.0,
            unit="",
            low=True,
        ),
        Verdict(
            what="answers unfinished when the generator stopped waiting, over all scenarios",
            value=_lost(found, "unfinished", lambda memory: memory.unfinished),
            must=0.0,
            aim=0.0,
            unit="",
            low=True,
        ),
    ]


def _against_nginx(found: Found) -> list[Verdict]:
    return [
        Verdict(
            what="CPU per 1 kB request against nginx (32 connections)",
            value=ratio(found.samples, "c32", lambda one: one.cpu_us, "nginx"),
            must=2.4,
            aim=1.7,
            low=True,
        ),
        _rate(found, "c32", "requests per second at 32 connections", "nginx", 0.40, 0.60),
        _rate(found, "fast", "fast streams, events per second", "nginx", 0.7, 0.9),
        _rate(found, "big", "200 kB bodies per second", "nginx", 0.35, 0.5),
    ]


def _rate(found: Found, scenario: str, words: str, over: str, must: float, aim: float) -> Verdict:
    """A promise about rates: judged by the rounds alone in which neither was disturbed."""

    def value(one: Sample) -> float:
        return one.tokens_per_s if BY_NAME[scenario].stream else one.per_s

    judged = ratio(found.samples, scenario, value, over, quiet=True)
    shown = judged if judged is not None else ratio(found.samples, scenario, value, over)
    return Verdict(
        what=f"{words} against {over}",
        value=shown,
        must=must,
        aim=aim,
        disturbed=judged is None and shown is not None,
    )


def _of_the_machine(found: Found) -> list[Verdict]:
    """Return what is no ratio."""
    return [
        Verdict(
            what="p50 at one connection, beyond nginx's",
            value=added_p50_us(found),
            must=100.0,
            aim=60.0,
            unit="µs",
            low=True,
            gates=False,
            disturbed=_disturbed(found, "c1"),
        ),
        Verdict(
            what="share of a core that 1,000 streams at 20 ms need",
            value=needed_share(found),
            must=75.0,
            aim=65.0,
            unit="%",
            low=True,
            gates=False,
        ),
        Verdict(
            what="resident memory, idle, without the local model",
            value=found.idle_bytes / 1e6 if found.idle_bytes else None,
            must=80.0,
            aim=60.0,
            unit="MB",
            low=True,
            gates=False,
        ),
    ]


def _growth(memory: Memory | None) -> Verdict:
    return Verdict(
        what="growth of memory after warm-up, of what would be noise",
        value=None if memory is None else max(0.0, memory.grown_bytes / memory.allowed_bytes),
        must=1.0,
        aim=1.0,
        low=True,
    )


def missed(made: Sequence[Verdict], strict: bool = False) -> list[Verdict]:
    """Return those that decide the exit code, and were not met."""
    return [one for one in made if one.met is False and (one.gates or strict)]


def unjudged(made: Sequence[Verdict], strict: bool = False) -> list[Verdict]:
    """Return those that would decide the exit code, had the machine been quiet."""
    return [
        one for one in made if one.disturbed and one.value is not None and (one.gates or strict)
    ]


def added_p50_us(found: Found) -> float | None:
    figures = found.figures.get("c1", {})
    if "outlast" not in figures or "nginx" not in figures:
        return None
    return figures["outlast"].p50_us - figures["nginx"].p50_us


def needed_share(found: Found) -> float | None:
    """Return what 1,000 streams need of a core, in percent: their CPU, at the pace of the vendor.

    Not what was used: who falls behind uses less, and is no better for it.
    """
    figure = found.figures.get("p1000", {}).get("outlast")
    if figure is None or figure.cpu_us is None:
        return None
    asked = BY_NAME["p1000"]
    streams_per_s = asked.connections / (asked.tokens * asked.pace_ms / 1000)
    return 100 * figure.cpu_us * streams_per_s / 1e6


def _disturbed(found: Found, scenario: str, over: str = "nginx") -> bool:
    """Whether no round of Outlast's, or none of the other's, was left alone."""
    figures = found.figures.get(scenario, {})
    both = (figures.get("outlast"), figures.get(over))
    return any(one is not None and one.disturbed == one.rounds for one in both)


def _lost(found: Found, which: str, of_memory: Callable[[Memory], int]) -> float | None:
    """Return how many answers of Outlast's are `broken` or `unfinished`, the memory run's too."""
    ours = [
        found.figures[one.name]["outlast"]
        for one in SCENARIOS
        if "outlast" in found.figures.get(one.name, {})
    ]
    if not ours:
        return None
    lost = sum(int(getattr(figure, which)) for figure in ours)
    return float(lost + (of_memory(found.memory) if found.memory is not None else 0))
