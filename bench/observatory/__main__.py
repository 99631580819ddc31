"""`python -m bench.observatory`, called by `make observatory-bench`.

Exit code 0: every figure was measured and holds. 1: one falls short. 2: none does, and some could
not be measured, or none: what nobody has seen hold is no success.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bench.observatory.picture import draw
from bench.observatory.report import Part, shortfalls, show, unmeasured, verdict, written
from bench.observatory.result import Result

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "bench" / "results"
EXIT_SHORT, EXIT_UNMEASURED = 1, 2
WIDTH = 140
"""Where there is no terminal that says how wide it is."""


class Job(msgspec.Struct, frozen=True):
    asks: str
    full: dict[str, Any] = {}
    quick: dict[str, Any] = {}


PARTS: dict[str, Job] = {
    "crowd": Job("do people's reports find official incidents, and how often are they wrong?"),
    "sequential": Job(
        "how soon do attempts and probes tell, and how often are they wrong?",
        quick={"quick": True},
    ),
    "recovery": Job("how often do forecasts of the end hold, and how sharp are they?"),
    "march": Job("what would we have said on 2 March 2026?"),
    "calibration": Job("do stated probabilities come true?", quick={"quick": True}),
    "causes": Job("is a stated cause right, and is none stated without evidence?"),
    "flood": Job("is a report ever lost, at 3,000 a second and a kill?", {"seconds": 60.0}),
    "sybil": Job("can one network pretend to be a crowd?"),
}
"""Each is a module with `run(data, since, **more) -> Result`."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    began = time.monotonic()
    parts = [_run(name, options, console) for name in options.only]
    shown: dict[str, Any] = {
        "since": options.since and f"{options.since:%Y-%m-%d}",
        "quick": options.quick,
        "only": options.only,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "took_s": round(time.monotonic() - began, 1),
    }
    verdict(parts, console)
    if options.out is not None:
        _write(parts, shown, options.out, console)
    return exit_code(parts)


def exit_code(parts: list[Part]) -> int:
    if shortfalls(parts):
        return EXIT_SHORT
    return EXIT_UNMEASURED if unmeasured(parts) else 0


def _run(name: str, options: argparse.Namespace, console: Console) -> Part:
    job = PARTS[name]
    console.print(f"  {name} …", style="dim", highlight=False)
    began = time.monotonic()
    since = None if options.since is None else options.since.timestamp()
    more = job.quick if options.quick else job.full
    result: Result = importlib.import_module(f"bench.observatory.{name}").run(
        options.data, since, **more
    )
    part = Part(name, job.asks, result, took_s=time.monotonic() - began)
    if not any(figure.measured for figure in result.figures):
        why = "; ".join(result.notes) or "nothing to score"
        part = Part(name, job.asks, None, skipped=why, took_s=part.took_s)
    show(part, console)
    return part


def _write(parts: Sequence[Part], shown: dict[str, Any], out: Path, console: Console) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "observatory.json").write_bytes(written(list(parts), shown))
    for part in parts:
        for chart in part.result.charts if part.result is not None else ():
            (out / f"observatory-{chart.name}.svg").write_text(draw(chart), encoding="utf-8")
    console.print(f"written to {out}", style="dim", highlight=False)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """DATA, SINCE, ONLY and QUICK of the environment are the defaults of the arguments."""
    given = os.environ.get
    parser = argparse.ArgumentParser(prog="make observatory-bench", description=__doc__)
    parser.add_argument("--data", type=_folder, default=given("DATA") or str(DATA))
    parser.add_argument("--since", type=_date, default=given("SINCE") or None, help="2025-01-01")
    parser.add_argument("--only", type=_names, default=given("ONLY") or ",".join(PARTS))
    parser.add_argument("--quick", action="store_true", default=bool(given("QUICK")))
    parser.add_argument("--out", type=Path, default=None, help="folder of JSON and pictures")
    options = parser.parse_args(arguments)
    if options.out is None and not options.quick and options.only == list(PARTS):
        options.out = RESULTS  # a part alone, or a quick run, is no result to keep
    return options


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        sys.stderr.write(
            f"There is no folder {path}: parts that read from it are skipped. DATA=DIR names "
            "another.\n"
        )
    return path


def _date(text: str) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no date: write 2025-01-01") from None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown) or 'nothing'} is no part; there are {', '.join(PARTS)}"
        )
    return names


if __name__ == "__main__":
    sys.exit(main())
