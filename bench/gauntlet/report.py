"""What is written down: JSON for machines, and lines for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.gauntlet.holding import TOLERANCE_WORDS, Cost
from bench.gauntlet.results import Healthy, Result, Sum, add
from bench.gauntlet.scripts import BY_NUMBER

ROWS_KEPT = 60
"""Exchanges that fell short and are kept in the JSON one by one, for each gateway."""


class Report(msgspec.Struct):
    """A run, as bench/results/gauntlet.json holds it."""

    options: dict[str, Any]
    gateways: list[str]
    """In the order of the table: `outlast`, `litellm`, `outlast + 2 SDK retries`."""
    scripts: list[dict[str, Any]]
    """Per script and gateway: a Sum."""
    totals: dict[str, Sum]
    surfaces: dict[str, dict[str, Sum]]
    ways: dict[str, Sum]
    """Outlast's continued answers, by the way of going on."""
    holding: list[Cost]
    settings: dict[str, list[str]]
    skipped: dict[str, str]
    embedded: str
    shortfalls: list[str]
    fell_short: list[Result]
    took_s: float = 0.0


def column(result: Result) -> str:
    extra = f" + {result.retries} SDK retries" if result.retries else ""
    return result.gateway + extra


def collect(
    results: Sequence[Result],
    healthy: dict[tuple[str, str], Healthy],
    holding: list[Cost],
    shortfalls: list[str],
    rest: Mapping[str, Any],
) -> Report:
    """Return the report of a run."""
    names = list(dict.fromkeys(column(one) for one in results))
    of = {name: [one for one in results if column(one) == name] for name in names}
    scripts = [
        {
            "script": number,
            "title": BY_NUMBER[number].title if number in BY_NUMBER else "healthy",
            "gateways": {
                name: add(chosen, healthy)
                for name in names
                if (chosen := [one for one in of[name] if one.script == number])
            },
        }
        for number in sorted({one.script for one in results})
    ]
    ours = [one for one in of.get("outlast", []) if one.script not in {0, 14, 15, 16}]
    lanes = sorted({one.lane for one in ours})
    bad = [one for one in results if not one.judgement.whole or one.judgement.wrong_success]
    return Report(
        gateways=names,
        scripts=scripts,
        totals={name: add([o for o in of[name] if o.script], healthy) for name in names},
        surfaces={
            name: {
                surface: add([o for o in of[name] if o.script and o.surface == surface], healthy)
                for surface in dict.fromkeys(o.surface for o in of[name])
            }
            for name in names
        },
        ways={lane: add([one for one in ours if one.lane == lane], healthy) for lane in lanes},
        holding=holding,
        shortfalls=shortfalls + late(holding),
        fell_short=[one for name in names for one in _some(bad, name)],
        **rest,
    )


def _some(bad: Iterable[Result], name: str) -> list[Result]:
    return [one for one in bad if column(one) == name][:ROWS_KEPT]


def late(holding: Iterable[Cost]) -> list[str]:
    """Return where text is seen later than one word after its vendor said it."""
    return [
        f"at /{cost.surface} first text is seen {cost.words_later:.2f} words later than from the"
        " vendor itself; one is promised"
        for cost in holding
        if cost.gateway == "outlast" and cost.words_later > 1 + TOLERANCE_WORDS
    ]


def show(report: Report, console: Console) -> None:
    """Print the tables, the settings of all, and what fell short."""
    console.print(_main_table(report))
    console.print(_times_table(report))
    console.print(_damage_table(report))
    for cost in report.holding:
        console.print(
            f"holding, {cost.gateway} /{cost.surface}: first text after {cost.through_s:.3f} s, "
            f"from the vendor itself {cost.direct_s:.3f} s: {cost.words_later:.2f} words later"
        )
    console.print(f"script 13 is answered by {report.embedded}")
    for name, lines in report.settings.items():
        console.print(f"\nsettings of {name}:", style="bold")
        for line in lines:
            console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)
    for name, why in report.skipped.items():
        console.print(f"skipped: {name}: {why}", style="yellow", markup=False)
    console.print()
    if report.shortfalls:
        console.print("Outlast falls short:", style="bold red")
        for line in report.shortfalls:
            console.print(f"  {line}", markup=False)
    else:
        console.print("Outlast keeps what it promises.", style="bold green")


def _main_table(report: Report) -> Table:
    return _by_script(report, "came home whole / exchanges", _cell)


def _times_table(report: Report) -> Table:
    title = "time to first text / largest gap, × that of a healthy run through the same gateway"
    return _by_script(report, title, _times_of)


def _by_script(report: Report, title: str, cell: Callable[[Sum | None], str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("script", no_wrap=True)
    for name in report.gateways:
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.scripts:
        words = f"{row['script']:>2} {row['title']}"
        table.add_row(words, *(cell(row["gateways"].get(name)) for name in report.gateways))
    return table


def _cell(found: Sum | None) -> str:
    if found is None:
        return "–"
    style = "green" if found.whole == found.exchanges else "red" if not found.whole else "yellow"
    return f"[{style}]{found.whole}/{found.exchanges}[/{style}]"


def _times_of(found: Sum | None) -> str:
    if found is None or found.first_text_ratio is None or found.gap_ratio is None:
        return "–"
    return f"{_times(found.first_text_ratio)}/{_times(found.gap_ratio)}"


def _times(ratio: float) -> str:
    return f"×{ratio:.1f}" if ratio < 10 else f"×{ratio:.0f}"


_DAMAGE = (
    ("completed, as the SDK sees it", "completed"),
    ("whole and true", "whole"),
    ("silent truncations", "silent"),
    ("completed, but garbled", "garbled"),
    ("torn tool calls handed over", "torn_calls"),
    ("sentences said twice", "duplicated"),
    ("thinking without its vendor's signature", "forged"),
    ("turns ended after whole calls", "finished_early"),
    ("failures booked as success", "wrong_success"),
)


def _damage_table(report: Report) -> Table:
    table = Table(
        title="scripts 1 to 16 together",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("")
    for name in report.gateways:
        table.add_column(name, justify="right")
    exchanges = [str(report.totals[name].exchanges) for name in report.gateways]
    table.add_row("exchanges", *exchanges)
    for words, name in _DAMAGE:
        cells = [str(getattr(report.totals[gateway], name)) for gateway in report.gateways]
        if name == "wrong_success":
            # Only Outlast has a ledger that the one who asked can read.
            pairs = zip(report.gateways, cells, strict=True)
            cells = [cell if gateway.startswith("outlast") else "–" for gateway, cell in pairs]
        table.add_row(words, *cells)
    wasted = [report.totals[name].wasted for name in report.gateways]
    cells = ["–" if share is None else f"{100 * share:.0f} %" for share in wasted]
    table.add_row("tokens sent in vain, of those needed", *cells)
    return table
