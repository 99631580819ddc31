"""What every part of the benchmark hands back: figures with their bars, tables, charts. Pure."""

from __future__ import annotations

import math

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A figure that has a bar: it holds between `low` and `high`.

    What could not be measured is not a number, and does not hold.
    """

    name: str
    value: float
    low: float
    high: float
    n: int

    @property
    def measured(self) -> bool:
        return not math.isnan(self.value)

    @property
    def holds(self) -> bool:
        return self.low <= self.value <= self.high

    @property
    def bar(self) -> str:
        """The bar in a few signs: `at most 0.05`."""
        if self.low == self.high:
            return f"{self.low:g}"
        if self.high == math.inf or self.high >= 1e9:
            return f"at least {self.low:.4g}"
        if self.low <= 0:
            return f"at most {self.high:.4g}"
        return f"{self.low:g} to {self.high:g}"


class Table(msgspec.Struct, frozen=True):
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Line(msgspec.Struct, frozen=True):
    """One series of a chart. `dots`: its points stand alone."""

    name: str
    points: tuple[tuple[float, float], ...]
    dots: bool = False


class Chart(msgspec.Struct, frozen=True):
    """A picture in numbers: lines over x, with marks where something is expected or happened."""

    name: str
    """Of its file: `observatory-NAME.svg`."""
    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    low: tuple[float, float]
    """The least x and y that are drawn."""
    high: tuple[float, float]
    levels: tuple[tuple[float, str], ...] = ()
    """Horizontal lines: y, and its name."""
    moments: tuple[tuple[float, str], ...] = ()
    """Vertical lines: x, and its name."""
    ticks: tuple[tuple[float, str], ...] = ()
    """Of the x axis; none: both ends are written."""
    diagonal: bool = False
    words: str = ""
    """What it shows, for who does not see it."""


class Result(msgspec.Struct, frozen=True):
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    charts: tuple[Chart, ...] = ()

    @property
    def holds(self) -> bool:
        return bool(self.figures) and all(figure.holds for figure in self.figures)
