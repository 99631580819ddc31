"""What is written down: JSON for machines, lines for the terminal."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table as Grid

from bench.observatory.result import Figure, Result, Table

FIGURE_BEGINS = frozenset("0123456789+-<> ")


class Part(msgspec.Struct):
    """A part of the benchmark that was run, or why it was not."""

    name: str
    asks: str
    result: Result | None = None
    skipped: str = ""
    took_s: float = 0.0


def show(part: Part, console: Console) -> None:
    """Print a part: its figures with their bars, its tables, its notes."""
    console.print(f"\n{part.name}: {part.asks}", style="bold", markup=False, highlight=False)
    if part.result is None:
        console.print(f"  skipped: {part.skipped}", style="yellow", markup=False)
        return
    console.print(_figures(part.result))
    for table in part.result.tables:
        console.print(_grid(table))
    for note in part.result.notes:
        console.print(f"  {note}", style="dim", markup=False, highlight=False, soft_wrap=True)
    console.print(f"  took {part.took_s:.0f} s", style="dim", highlight=False)


def verdict(parts: list[Part], console: Console) -> None:
    """Print what falls short, and what was not measured."""
    console.print()
    short, missing = shortfalls(parts), unmeasured(parts)
    for line in missing:
        console.print(f"not measured: {line}", style="yellow", markup=False)
    if short:
        console.print("The observatory falls short:", style="bold red")
        for line in short:
            console.print(f"  {line}", markup=False, highlight=False)
    elif missing:
        console.print("What was measured holds; not all was measured.", style="bold yellow")
    else:
        console.print("Every figure holds.", style="bold green")


def shortfalls(parts: list[Part]) -> list[str]:
    """Return what does not hold, in words."""
    found = []
    for part in parts:
        for figure in part.result.figures if part.result is not None else ():
            if figure.measured and not figure.holds:
                found.append(f"{part.name}: {figure.name}: {_value(figure)}, bar {figure.bar}")
        if part.result is not None and not part.result.figures:
            found.append(f"{part.name}: no figure was made")
    return found


def unmeasured(parts: list[Part]) -> list[str]:
    """Return what nothing can be said about: parts and figures whose records are not there."""
    found = []
    for part in parts:
        if part.result is None:
            found.append(f"{part.name}: {part.skipped}")
            continue
        found += [f"{part.name}: {one.name}" for one in part.result.figures if not one.measured]
    return found


def written(parts: list[Part], options: dict[str, Any]) -> bytes:
    """Return the report as JSON: figures, bars, tables and notes of each part.

    `holds` says that all was measured and holds: what was not measured is no success.
    """
    report = {
        "options": options,
        "holds": not shortfalls(parts) and not unmeasured(parts),
        "shortfalls": shortfalls(parts),
        "not_measured": unmeasured(parts),
        "parts": {
            part.name: {
                "asks": part.asks,
                "skipped": part.skipped,
                "took_s": round(part.took_s, 1),
                "figures": [
                    {
                        "name": one.name,
                        "value": _number(one.value),
                        "low": _number(one.low),
                        "high": _number(one.high),
                        "n": one.n,
                        "holds": one.holds,
                    }
                    for one in (part.result.figures if part.result is not None else ())
                ],
                "tables": part.result.tables if part.result is not None else (),
                "notes": part.result.notes if part.result is not None else (),
            }
            for part in parts
        },
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return round(value, 6) if math.isfinite(value) else None


def _figures(result: Result) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    grid.add_column("figure")
    for name in ("value", "bar", "n"):
        grid.add_column(name, justify="right", no_wrap=True)
    for one in result.figures:
        style = "green" if one.holds else "bold red"
        mark = "" if one.holds else "  falls short" if one.measured else "  not measured"
        grid.add_row(one.name, f"[{style}]{_value(one)}[/]", one.bar + mark, str(one.n))
    return grid


def _value(one: Figure) -> str:
    return f"{one.value:.4g}"


def _grid(table: Table) -> Grid:
    grid = Grid(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, name in enumerate(table.head):
        cells = [row[number] for row in table.rows]
        figures = number > 0 and all(not cell or cell[0] in FIGURE_BEGINS for cell in cells)
        grid.add_column(name, justify="right" if figures else "left")
    for row in table.rows:
        grid.add_row(*row)
    return grid
