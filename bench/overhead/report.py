"""What is written down: JSON for machines, and tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.overhead.figures import Figure, Memory, Sample, figure, of, ratio
from bench.overhead.scenarios import BY_NAME, Scenario
from bench.overhead.verdicts import Found, Verdict, missed, unjudged, verdicts


class Report(msgspec.Struct, kw_only=True):
    """A run, as bench/results/overhead.json holds it. Times in µs, sizes in bytes."""

    options: dict[str, Any]
    machine: dict[str, Any]
    servers: list[str]
    figures: dict[str, dict[str, Figure]]
    """By scenario, then by server: medians over the rounds."""
    ratios: dict[str, dict[str, dict[str, float | None]]]
    """By scenario, then by server: Outlast's value over the server's, median within rounds."""
    verdicts: list[Verdict]
    idle_bytes: dict[str, int]
    memory: Memory | None
    settings: dict[str, list[str]]
    skipped: dict[str, str]
    disturbed: int
    runs: int
    foreign_max: float
    took_s: float

    def short(self, strict: bool) -> list[Verdict]:
        return missed(self.verdicts, strict)

    def unjudged(self, strict: bool) -> list[Verdict]:
        return unjudged(self.verdicts, strict)


LOAD_FULL = 0.95
"""Share of the load's core beyond which it may be the limit itself."""
RATIOS: dict[str, Callable[[Sample], float | None]] = {
    "per_s": lambda one: one.per_s,
    "tokens_per_s": lambda one: one.tokens_per_s,
    "cpu_us": lambda one: one.cpu_us,
    "p50_us": lambda one: one.p50_us,
    "share": lambda one: one.share,
}


def collect(
    samples: Sequence[Sample],
    servers: Sequence[str],
    idle_bytes: Mapping[str, int],
    memory: Memory | None,
    rest: Mapping[str, Any],
) -> Report:
    """Return the report of a run."""
    names = [name for name in BY_NAME if any(one.scenario == name for one in samples)]
    figures = {
        name: {
            server: figure(list(mine.values()))
            for server in servers
            if (mine := of(samples, name, server))
        }
        for name in names
    }
    found = Found(
        samples=samples,
        figures=figures,
        idle_bytes=idle_bytes.get("outlast", 0),
        memory=memory,
    )
    return Report(
        servers=list(servers),
        figures=figures,
        ratios={
            name: {
                server: {
                    what: ratio(samples, name, value, server) for what, value in RATIOS.items()
                }
                for server in figures[name]
                if server not in {"outlast", "direct"}
            }
            for name in names
        },
        verdicts=verdicts(found),
        idle_bytes=dict(idle_bytes),
        memory=memory,
        disturbed=sum(one.disturbed for one in samples),
        runs=len(samples),
        foreign_max=max((max(one.foreign_servers, one.foreign_load) for one in samples), default=0),
        **rest,
    )


def show(report: Report, console: Console, strict: bool = False) -> None:
    """Print a table for each scenario, the promises, and how quiet it was."""
    for name, figures in report.figures.items():
        console.print(_table(BY_NAME[name], figures, report.ratios[name]))
    if report.memory is not None:
        console.print(memory_line(report.memory), highlight=False)
    for name, lines in report.settings.items():
        said = "; ".join(line for line in lines if not line.startswith(("[[", "model", "cand")))
        console.print(f"{name}: {said}", highlight=False, soft_wrap=True, markup=False)
    for name, why in report.skipped.items():
        console.print(f"skipped: {name}: {why}", style="yellow", markup=False)
    console.print(_promises(report.verdicts))
    console.print(quiet_line(report), highlight=False)
    if full := load_bound(report.figures):
        console.print(
            f"the load's own core was full, so these could be faster than shown: {', '.join(full)}",
            style="yellow",
        )
    if missing := sum(one.value is None for one in report.verdicts):
        console.print(f"Promises that were not measured: {missing}.", style="yellow")
    short, unsure = report.short(strict), report.unjudged(strict)
    if unsure:
        console.print(
            f"{len(unsure)} promises cannot be judged: others computed in each of their rounds. "
            "Run it again when the machine is quiet, or as root with --urgent.",
            style="yellow",
        )
    if short:
        console.print(f"Outlast misses {len(short)} of its musts.", style="bold red")
    elif not unsure:
        console.print("Outlast keeps what it promises.", style="bold green")


def _table(
    scenario: Scenario, figures: Mapping[str, Figure], ratios: Mapping[str, Mapping[str, Any]]
) -> Table:
    table = Table(
        title=f"{scenario.name}: {scenario.title}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in columns(scenario):
        table.add_column(column, justify="left" if column == "server" else "right", no_wrap=True)
    for server, found in figures.items():
        table.add_row(*row(scenario, server, found, ratios.get(server)))
    return table


def columns(scenario: Scenario) -> list[str]:
    rate = "events/s" if scenario.stream else "req/s"
    unit = "CPU µs/stream" if scenario.stream else "CPU µs/req"
    head = ["server", rate, "Outlast ×", unit, "Outlast ×", "core %", "load %"]
    if scenario.stream:
        head += ["first p50/p99 ms", "event delay p50/p99 ms"]
    else:
        head += ["p50/p99 ms"]
    return [*head, "RSS MB", "whole", "disturbed"]


def row(
    scenario: Scenario, server: str, found: Figure, ratios: Mapping[str, Any] | None
) -> list[str]:
    """Return the cells of one server."""
    rate = found.tokens_per_s if scenario.stream else found.per_s
    rate_ratio = (ratios or {}).get("tokens_per_s" if scenario.stream else "per_s")
    through = server != "direct"
    cells = [
        server,
        f"{rate:,.0f}",
        times(rate_ratio),
        f"{found.cpu_us:,.1f}" if through and found.cpu_us is not None else "–",
        times((ratios or {}).get("cpu_us")),
        f"{100 * found.share:.0f}" if through else "–",
        f"{100 * found.load_share:.0f}",
    ]
    if scenario.stream:
        cells += [_pair(found.first_p50_us, found.first_p99_us)]
        cells += [_pair(found.event_p50_us, found.event_p99_us)]
    else:
        cells += [_pair(found.p50_us, found.p99_us)]
    return [
        *cells,
        f"{found.resident_bytes / 1e6:.0f}" if through else "–",
        whole(found),
        f"{found.disturbed}/{found.rounds}",
    ]


def whole(found: Figure) -> str:
    """Return how many answers were whole: what we cut off ourselves is named apart."""
    if not found.broken and not found.unfinished:
        return "all"
    words = f"{found.whole}/{found.started}"
    if found.unfinished:
        words += f", {found.unfinished} unfinished"
    return words


def times(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _pair(p50_us: float, p99_us: float) -> str:
    return f"{_ms(p50_us)}/{_ms(p99_us)}"


def _ms(us: float) -> str:
    return f"{us / 1000:.3f}" if us < 1000 else f"{us / 1000:.1f}"


def memory_line(memory: Memory) -> str:
    asked = memory.requests[-1] if memory.requests else 0
    return (
        f"memory over {asked:,} requests ({memory.took_s:.0f} s): "
        f"{memory.slope_bytes:+.2f} bytes per request after warm-up, "
        f"{memory.grown_bytes / 1e6:+.2f} MB in all; up to {memory.allowed_bytes / 1e6:.2f} MB is "
        "not told from noise"
    )


def quiet_line(report: Report) -> str:
    how = "before everybody else (--urgent)" if report.options.get("urgent") else "as all others"
    return (
        f"{report.disturbed} of {report.runs} runs stayed disturbed; run {how}; others used up to "
        f"{100 * report.foreign_max:.0f} % of a core in a run that was kept; "
        f"took {report.took_s:.0f} s"
    )


def load_bound(figures: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """Return where generator and vendor were the limit, or near it, and not the server."""
    return [
        f"{server} at {scenario}"
        for scenario, found in figures.items()
        for server, one in found.items()
        if server != "direct" and one.load_share > LOAD_FULL
    ]


def _promises(found: Sequence[Verdict]) -> Table:
    table = Table(title="what is promised", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("", "measured", "must", "aim", ""):
        table.add_column(column, justify="left" if not column else "right")
    for one in found:
        sign = "≤" if one.low else "≥"
        table.add_row(
            one.what,
            "not measured" if one.value is None else _value(one.value, one.unit),
            f"{sign} {_value(one.must, one.unit)}",
            f"{sign} {_value(one.aim, one.unit)}",
            standing(one),
        )
    return table


def _value(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}".strip()


def standing(one: Verdict) -> str:
    """Return in one word how a promise stands, with its colour."""
    if one.disturbed and one.value is not None:
        return "[yellow]disturbed[/yellow]"
    if one.met is None:
        return "[dim]–[/dim]"
    if not one.met:
        return "[red]missed[/red]" if one.gates else "[yellow]missed, not a ratio[/yellow]"
    return "[bold green]aim met[/bold green]" if one.aimed else "[green]met[/green]"
