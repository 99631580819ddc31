"""Charts as SVG: no scripts, no fonts of their own, readable on light and on dark pages. Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape

from bench.observatory.result import Chart, Line

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 28, 72, 76
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600; font-size: 15px } .quiet { fill: #59636e } .end { text-anchor: end }
.mid { text-anchor: middle } .page { fill: #ffffff } .axis { stroke: #d1d9e0; fill: none }
.level { stroke: #59636e; stroke-dasharray: 5 4 } .line { fill: none; stroke-width: 2 }
.c0 { stroke: #0969da } .c1 { stroke: #bc4c00 } .c2 { stroke: #1a7f37 } .c3 { stroke: #8250df }
.f0 { fill: #0969da } .f1 { fill: #bc4c00 } .f2 { fill: #1a7f37 } .f3 { fill: #8250df }
@media (prefers-color-scheme: dark) {
 text { fill: #e6edf3 } .quiet { fill: #9198a1 } .page { fill: #0d1117 } .axis { stroke: #3d444d }
 .level { stroke: #9198a1 }
 .c0 { stroke: #4493f8 } .c1 { stroke: #f0883e } .c2 { stroke: #3fb950 } .c3 { stroke: #ab7df8 }
 .f0 { fill: #4493f8 } .f1 { fill: #f0883e } .f2 { fill: #3fb950 } .f3 { fill: #ab7df8 }
}
""".replace("\n", " ")
DASHES = ("", "8 4", "3 3", "10 3 2 3")
"""Colours are told apart by their dashes too."""


def draw(chart: Chart) -> str:
    """Return a chart's SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(chart.title)}</title>',
        f'<desc id="desc">{escape(chart.words)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        _text(16, 28, chart.title, "head"),
        f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
        *_axes(chart),
        *_guides(chart),
    ]
    for number, line in enumerate(chart.lines):
        parts += _line(chart, line, number % 4)
    return "\n".join([*parts, *_legend(chart), "</svg>", ""])


def _x(chart: Chart, value: float) -> float:
    low, high = chart.low[0], chart.high[0]
    share = (min(max(value, low), high) - low) / (high - low)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(chart: Chart, value: float) -> float:
    low, high = chart.low[1], chart.high[1]
    share = (min(max(value, low), high) - low) / (high - low)
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _axes(chart: Chart) -> list[str]:
    low, high = chart.low, chart.high
    ticks = chart.ticks or ((low[0], f"{low[0]:.4g}"), (high[0], f"{high[0]:.4g}"))
    parts = [_text(_x(chart, x), HEIGHT - BOTTOM + 18, words, "quiet mid") for x, words in ticks]
    middle = (low[1] + high[1]) / 2
    for y in (low[1], middle, high[1]):
        parts.append(_text(LEFT - 8, _y(chart, y) + 4, f"{y:.4g}", "quiet end"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - BOTTOM + 36, chart.x, "quiet end"))
    parts.append(_text(16, TOP - 14, chart.y, "quiet"))
    return parts


def _guides(chart: Chart) -> list[str]:
    parts = []
    if chart.diagonal:
        parts.append(_stroke("level", _x(chart, 0), _y(chart, 0), _x(chart, 1), _y(chart, 1)))
    for y, words in chart.levels:
        parts.append(_stroke("level", LEFT, _y(chart, y), WIDTH - RIGHT, _y(chart, y)))
        parts.append(_text(WIDTH - RIGHT - 4, _y(chart, y) + 15, words, "quiet end"))
    for number, (x, words) in enumerate(chart.moments):
        # Names that would lie on each other take turns.
        parts.append(_stroke("level", _x(chart, x), TOP, _x(chart, x), HEIGHT - BOTTOM))
        parts.append(_text(_x(chart, x) + 4, TOP - 4 - 14 * (number % 2), words, "quiet"))
    return parts


def _line(chart: Chart, line: Line, number: int) -> list[str]:
    points = [(_x(chart, x), _y(chart, y)) for x, y in line.points]
    if line.dots:
        return [_dot(x, y, number) for x, y in points]
    if not points:
        return []
    path = "M" + "L".join(f"{x} {y}" for x, y in points)
    return [f'<path class="line c{number}" stroke-dasharray="{DASHES[number]}" d="{path}"/>']


def _dot(x: float, y: float, number: int) -> str:
    """A disc or a diamond: told apart without colours."""
    if number % 2:
        return f'<path class="f{number}" d="M{x} {y - 5}l5 5l-5 5l-5 -5Z"/>'
    return f'<circle class="f{number}" cx="{x}" cy="{y}" r="3.5"/>'


def _legend(chart: Chart) -> list[str]:
    parts, x = [], float(LEFT)
    y = HEIGHT - 18
    for number, line in enumerate(chart.lines):
        kind = number % 4
        if line.dots:
            parts.append(_dot(x + 12, y - 4, kind))
        else:
            dashes = f' stroke-dasharray="{DASHES[kind]}"'
            parts.append(f'<path class="line c{kind}"{dashes} d="M{x} {y - 4}h24"/>')
        parts.append(_text(x + 30, y, line.name))
        x += 46 + 7.2 * len(line.name)
    return parts


def _stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path class="{kind}" d="M{x1} {y1}L{x2} {y2}"/>'


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{named}>{escape(words)}</text>'
