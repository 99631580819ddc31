"""What the person at the terminal chose."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.overhead.scenarios import BY_NAME, SCENARIOS

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = (
    "haproxy",
    "litellm",
    "vllm-router",
    "tensorzero",
    "smg",
    "ccr",
    "portkey",
)
_WORD = re.compile(r"[a-z0-9_-]*")
QUICK_SCENARIOS = ("c1", "c32", "fast", "big", "p1000")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`open_s`, `paced_open_s`: length of a measured window."""

    only: tuple[str, ...] = tuple(BY_NAME)
    peers: tuple[str, ...] = PEERS
    transport: str = ""
    """Of Outlast, towards upstreams; empty: what it takes by itself."""
    rounds: int = 3
    open_s: float = 1.5
    paced_open_s: float = 4.0
    """A paced stream lasts two seconds; it needs a longer window."""
    repeats: int = 3
    """How often a disturbed run is repeated."""
    quiet_s: float = 5.0
    """How long is waited, before a run, for a moment in which nothing else computes."""
    drain_s: float = 10.0
    """How long answers that have begun may take after the window."""
    patience_s: float = 3000.0
    """After so long no run is repeated and no quiet moment waited for."""
    thin: bool = False
    """Whether the dearest scenarios, and the direct way, are measured in the first round alone."""
    memory_requests: int = 1_000_000
    memory_limit_s: float = 900.0
    urgent: bool = False
    """Whether what is measured goes before everybody else on the machine (root alone)."""
    strict: bool = False
    """Whether a missed must that is no ratio counts for the exit code too."""
    verbose: bool = False
    out: Path = ROOT / "bench" / "results"
    name: str = "full"

    def of_round(self, number: int) -> tuple[str, ...]:
        """Return the scenarios of a round, counted from 0."""
        if not self.thin or number == 0:
            return self.only
        return tuple(name for name in self.only if not BY_NAME[name].paced)

    @property
    def whole(self) -> bool:
        """Whether this is the run that bench/results/overhead.json stands for."""
        return self.name == "full" and self.only == Options().only and self.rounds >= 3


QUICK = Options(
    only=QUICK_SCENARIOS,
    peers=(),
    rounds=2,
    open_s=0.7,
    paced_open_s=1.5,
    repeats=1,
    quiet_s=0.3,
    patience_s=15.0,
    drain_s=4.0,
    thin=True,
    memory_requests=0,
    name="quick",
)


def parse(arguments: Sequence[str]) -> Options:
    """Return the options. Exits with a sentence for what cannot be meant."""
    parser = argparse.ArgumentParser(
        prog="make overhead ARGS=…",
        description="What Outlast costs in the path, beside nginx and its peers.",
        epilog="\n".join(f"{one.name:12} {one.title}" for one in SCENARIOS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="Outlast and nginx, under a minute")
    parser.add_argument("--only", default="", metavar="c32,fast", help="scenarios, see below")
    parser.add_argument("--peers", default=None, metavar="litellm,…", help="or none, or all")
    parser.add_argument("--transport", default="", metavar="NAME", help="of Outlast's upstreams")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (3)")
    parser.add_argument("--seconds", type=float, help="length of a measured window (1.5)")
    parser.add_argument("--repeats", type=int, help="of a run that was disturbed (3)")
    parser.add_argument("--quiet", type=float, help="seconds to wait for a quiet moment (5)")
    parser.add_argument(
        "--memory", type=int, metavar="N", help="requests of the memory run (1000000); 0: none"
    )
    parser.add_argument("--urgent", action="store_true", help="before all else on a busy machine")
    parser.add_argument("--strict", action="store_true", help="count what is no ratio as well")
    parser.add_argument("--verbose", action="store_true", help="say each run")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    given = parser.parse_args(list(arguments))
    try:
        return _options(given)
    except ValueError as error:
        parser.error(str(error))


def _options(given: argparse.Namespace) -> Options:
    base = QUICK if given.quick else Options()
    if not _WORD.fullmatch(given.transport):
        raise ValueError(f"--transport: {given.transport!r} is no name of a transport")
    changes: dict[str, Any] = {
        "only": _names(given.only, tuple(BY_NAME), "--only") or base.only,
        "transport": given.transport,
        "urgent": given.urgent,
        "strict": given.strict,
        "verbose": given.verbose,
        "out": given.out,
    }
    if given.peers is not None:
        changes["peers"] = PEERS if given.peers == "all" else _names(given.peers, PEERS, "--peers")
    limits: tuple[tuple[str, str, float, float], ...] = (
        ("rounds", "rounds", 1, 50),
        ("seconds", "open_s", 0.2, 60),
        ("repeats", "repeats", 0, 20),
        ("quiet", "quiet_s", 0, 600),
        ("memory", "memory_requests", 0, 20_000_000),
    )
    for option, name, low, high in limits:
        value = getattr(given, option)
        if value is not None:
            if not low <= value <= high:
                raise ValueError(f"--{option} goes from {low:g} to {high:g}")
            changes[name] = value
    if given.seconds is not None:
        changes["paced_open_s"] = 1.0 + 2.0 * given.seconds
    return msgspec.structs.replace(base, **changes)


def _names(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    wanted = [word.strip() for word in text.split(",") if word.strip() and word.strip() != "none"]
    if unknown := [word for word in wanted if word not in known]:
        raise ValueError(f"{option}: {', '.join(unknown)} is none of {', '.join(known)}")
    return tuple(word for word in known if word in wanted)
