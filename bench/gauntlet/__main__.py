"""`python -m bench.gauntlet`, called by `make gauntlet`."""

from __future__ import annotations

import asyncio
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bench.gauntlet import cases, holding, lanes, peers, traffic
from bench.gauntlet.cases import Case
from bench.gauntlet.gateways import CannotRun, Gateway
from bench.gauntlet.options import Options, parse
from bench.gauntlet.ours import Outlast
from bench.gauntlet.picture import draw
from bench.gauntlet.report import Report, collect, show
from bench.gauntlet.results import Result, baseline, shortfalls
from bench.gauntlet.running import Runner
from bench.gauntlet.stage import Stage, open_stage

EXIT_SHORT = 1
EXIT_NOT_RUN = 2
SAY_EVERY_S = 20.0
"""Where there is no terminal to move a line on."""


class Progress:
    """A line that moves on a terminal; elsewhere a line for each phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._label = ""
        self._done = 0
        self._of = 0
        self._began = 0.0
        self._said = time.monotonic()

    def phase(self, label: str, of: int = 0) -> None:
        self.end()
        self._label, self._done, self._of, self._began = label, 0, of, time.monotonic()
        self._line()

    def tick(self, case: Case) -> None:
        self._done += 1
        if self._console.is_terminal:
            self._line(f"script {case.script} /{case.surface}")
        elif time.monotonic() - self._said > SAY_EVERY_S:
            self._said = time.monotonic()
            self._console.print(f"  {self._label}: {self._done} of {self._of or '…'}")

    def end(self) -> None:
        if self._label:
            took = time.monotonic() - self._began
            self._console.file.write("\r\x1b[K" if self._console.is_terminal else "")
            self._console.print(f"  {self._label}: {self._done} exchanges in {took:.0f} s")
        self._label = ""

    def _line(self, more: str = "") -> None:
        if self._console.is_terminal:
            of = f"/{self._of}" if self._of else ""
            self._console.file.write(f"\r\x1b[K  {self._label}: {self._done}{of} {more}")
            self._console.file.flush()


class Gauntlet:
    """A run: Outlast, then the peers, one after the other, against the same vendors."""

    def __init__(self, options: Options, console: Console, folder: Path) -> None:
        self._options = options
        self._console = console
        self._folder = folder
        self._progress = Progress(console)
        self._results: list[Result] = []
        self._costs: list[holding.Cost] = []
        self._settings: dict[str, list[str]] = {}
        self._skipped: dict[str, str] = {}
        self._embedded = ""

    async def run(self) -> Report:
        began = time.monotonic()
        options = self._options
        async with open_stage(options) as stage:
            self._console.print(
                f"waits ÷ {options.compress:g}: a stall of 60 s lasts {60 / options.compress:g} s"
            )
            await self._ours(stage)
            for name in options.peers:
                await self._peer(name, stage)
        rest: dict[str, Any] = {
            "options": _shown(options),
            "settings": self._settings,
            "skipped": self._skipped,
            "embedded": self._embedded,
            "took_s": round(time.monotonic() - began, 1),
        }
        found = self._results
        return collect(found, baseline(found), self._costs, shortfalls(found), rest)

    async def _ours(self, stage: Stage) -> None:
        folder = self._folder / "outlast"
        folder.mkdir()
        async with Outlast(lanes.everything(), stage, self._options, folder) as gateway:
            self._settings["outlast"] = gateway.settings
            self._embedded = gateway.embedded
            await self._through(gateway, stage, cases.plan(self._options))
            if self._options.sdk_retries:
                chosen = cases.simple(self._options)
                await self._through(gateway, stage, chosen, self._options.sdk_retries)

    async def _peer(self, name: str, stage: Stage) -> None:
        folder = self._folder / name
        folder.mkdir()
        try:
            async with peers.ALL[name](stage, self._options, folder) as gateway:
                self._settings[name] = gateway.settings
                chosen = [c for c in cases.simple(self._options) if c.surface in gateway.surfaces]
                await self._through(gateway, stage, chosen)
                if self._options.sdk_retries:
                    await self._through(gateway, stage, chosen, self._options.sdk_retries)
        except CannotRun as why:
            self._skipped[name] = str(why)
            self._console.print(f"  {name} is skipped: {why}", markup=False)

    async def _through(
        self, gateway: Gateway, stage: Stage, chosen: Sequence[Case], retries: int = 0
    ) -> None:
        """All scripts through one gateway."""
        options = self._options
        surfaces = tuple(s for s in options.surfaces if s in gateway.surfaces)
        if not surfaces:
            return
        name = gateway.name + (f" + {retries} SDK retries" if retries else "")
        stage.take()
        if not retries:
            self._progress.phase(f"{name}, cost of holding")
            self._costs += await holding.measure(gateway, stage, surfaces, options)
        async with Runner(gateway, stage, options, self._progress.tick, retries) as runner:
            self._progress.phase(f"{name}, scripts 1 to 13", len(chosen))
            await runner.singles(chosen)
            for number in (14, 15, 16):
                if number in options.only:
                    self._progress.phase(f"{name}, script {number}")
                    stage.restart()
                    await traffic.run(number, runner, surfaces, options)
            self._progress.end()
            self._results += runner.results
        if options.verbose:
            for one in runner.results:
                if not one.judgement.whole or one.judgement.wrong_success:
                    line = f"    {one.script} /{one.surface} {one.lane} {one.mark}: "
                    line += f"{one.judgement.note} | {one.ledger} | asked {', '.join(one.asked)}"
                    self._console.print(line, markup=False, soft_wrap=True)


def _shown(options: Options) -> dict[str, Any]:
    shown = msgspec.to_builtins(options, enc_hook=lambda value: value.name)
    assert isinstance(shown, dict)
    return {
        **{name: value for name, value in shown.items() if name not in {"out", "traces"}},
        "traces": "Azure 2023" if traffic.lengths(options.traces) else "absent, lengths made up",
        "python": platform.python_version(),
        "processor": platform.machine(),
    }


def write(report: Report, options: Options) -> list[Path]:
    """Write JSON and picture; a quick or partial run never overwrites a full one's."""
    partial = options.only != Options().only or options.surfaces != Options().surfaces
    stem = "gauntlet" if options.name == "full" and not partial else f"gauntlet-{options.name}.tmp"
    options.out.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(report), indent=1)
    made = [options.out / f"{stem}.json", options.out / f"{stem}.svg"]
    made[0].write_bytes(data + b"\n")
    made[1].write_text(draw(report), encoding="utf-8")
    return made


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="outlast-gauntlet-") as folder:
        try:
            report = asyncio.run(Gauntlet(options, console, Path(folder)).run())
        except CannotRun as why:
            console.print(f"Outlast did not start: {why}", style="red", markup=False)
            return EXIT_NOT_RUN
        except KeyboardInterrupt:
            console.print("\nstopped")
            return EXIT_NOT_RUN
    show(report, console)
    for path in write(report, options):
        console.print(f"written: {path}", markup=False)
    console.print(f"took {report.took_s:.0f} s")
    return EXIT_SHORT if report.shortfalls else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
