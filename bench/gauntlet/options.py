"""What the person at the terminal chose."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.gauntlet.scripts import SCRIPTS

SURFACES = ("messages", "chat", "responses")
PEERS = ("litellm", "portkey", "ccr")
ROOT = Path(__file__).resolve().parent.parent.parent


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Times are those of a real outage; `compress` shortens each of them, for all alike."""

    only: tuple[int, ...] = tuple(script.number for script in SCRIPTS)
    surfaces: tuple[str, ...] = SURFACES
    peers: tuple[str, ...] = PEERS
    compress: float = 20.0
    positions: int = 2
    """Places at which each script breaks an answer, for each kind of continuation."""
    places: int = 6
    """Places that are drawn for each script; kinds of continuation take them in turn."""
    repetitions: int = 3
    """Exchanges of a script at one surface where there is no continuation to vary."""
    brownout_s: float = 40.0
    flapping_s: float = 15.0
    timeline_s: float = 30.0
    timeline_requests: int = 180
    concurrency: int = 12
    streams: int = 50
    """Concurrent streams of the brown-out."""
    sdk_retries: int = 0
    """Retries that a second run leaves to the SDKs; 0: there is no second run."""
    variants: bool = True
    """Whether each kind of continuation is tried, or one per script and surface."""
    thinned: bool = False
    """Whether only a sixth of them is tried with each script."""
    embedded: bool = True
    """Whether the embedded model answers where its weights are present."""
    observed: bool = True
    """Whether Outlast's observatory runs: it moves requests away from who fails often."""
    transport: str = "relay"
    """Which of Outlast's own carries the requests (`server.transport`)."""
    seed: int = 20260302
    out: Path = ROOT / "bench" / "results"
    traces: Path = ROOT.parent / "shared" / "data" / "traces"
    verbose: bool = False
    name: str = "full"


def parse(arguments: Sequence[str]) -> Options:
    """Return the options. Exits with a sentence for what cannot be meant."""
    parser = argparse.ArgumentParser(
        prog="make gauntlet ARGS=…",
        description="The same broken conversations through Outlast and its peers.",
        epilog="\n".join(f"{s.number:3} {s.title}" for s in SCRIPTS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="Outlast alone, under 90 seconds")
    parser.add_argument("--only", default="", metavar="5,6", help="numbers of scripts")
    parser.add_argument("--surface", default="", metavar="messages,chat", help=", ".join(SURFACES))
    parser.add_argument("--peers", default=None, metavar="litellm,…", help="or none")
    parser.add_argument("--compress", type=float, default=20.0, help="60 s become 60/COMPRESS s")
    parser.add_argument("--positions", type=int, help="breaks per kind of continuation (2)")
    parser.add_argument("--brownout", type=float, metavar="S", help="seconds of brown-out (40)")
    parser.add_argument("--sdk-retries", type=int, default=0, help="a second run with SDK retries")
    parser.add_argument("--no-embedded", action="store_true", help="a stand-in for the model")
    parser.add_argument("--transport", choices=("relay", "aiohttp"), default="relay")
    parser.add_argument("--seed", type=int, default=20260302)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    parser.add_argument("--verbose", action="store_true", help="say each exchange that fell short")
    given = parser.parse_args(list(arguments))
    try:
        return _options(given)
    except ValueError as error:
        parser.error(str(error))


def _options(given: argparse.Namespace) -> Options:
    quick = bool(given.quick)
    base = QUICK if quick else Options()
    peers = base.peers if given.peers is None else _names(given.peers, PEERS, "--peers")
    changes: dict[str, Any] = {
        "peers": peers,
        "surfaces": _names(given.surface, SURFACES, "--surface") or SURFACES,
        "only": _numbers(given.only) or base.only,
        "compress": _within(given.compress, 1, 60, "--compress"),
        "sdk_retries": int(_within(given.sdk_retries, 0, 10, "--sdk-retries")),
        "embedded": not given.no_embedded,
        "transport": given.transport,
        "seed": given.seed,
        "out": given.out,
        "verbose": given.verbose,
    }
    if given.positions is not None:
        changes["positions"] = int(_within(given.positions, 1, 50, "--positions"))
        changes["places"] = max(base.places, changes["positions"])
    if given.brownout is not None:
        changes["brownout_s"] = _within(given.brownout, 1, 600, "--brownout")
    return msgspec.structs.replace(base, **changes)


def _names(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    wanted = [word.strip() for word in text.split(",") if word.strip() and word.strip() != "none"]
    if unknown := [word for word in wanted if word not in known]:
        raise ValueError(f"{option}: {', '.join(unknown)} is none of {', '.join(known)}")
    return tuple(word for word in known if word in wanted)


def _numbers(text: str) -> tuple[int, ...]:
    known = {script.number for script in SCRIPTS}
    found: set[int] = set()
    for word in filter(None, (part.strip() for part in text.split(","))):
        low, _, high = word.partition("-")
        if not low.isdecimal() or not (high or low).isdecimal():
            raise ValueError(f"--only: {word!r} is not like 5 or 4-7")
        found |= set(range(int(low), int(high or low) + 1))
    if unknown := found - known:
        raise ValueError(f"--only: there is no script {min(unknown)}")
    return tuple(sorted(found))


def _within(value: float, low: float, high: float, option: str) -> float:
    if not low <= value <= high:
        raise ValueError(f"{option} goes from {low} to {high}")
    return value


QUICK = Options(
    name="quick",
    peers=(),
    thinned=True,
    positions=1,
    repetitions=1,
    brownout_s=7.0,
    flapping_s=6.0,
    timeline_s=10.0,
    timeline_requests=45,
)
