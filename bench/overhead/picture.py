"""The picture: CPU per answer by server, for three shapes of load, on a scale of powers. Pure.

An SVG without scripts or fonts of its own, readable on light and on dark pages.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from bench.overhead.figures import Figure
from bench.overhead.report import Report
from bench.overhead.scenarios import BY_NAME

SHOWN = ("c32", "big", "fast", "o2a-stream")
LEFT = 130
WIDTH = 760
BAR_END = 560
ROW = 20
GAP = 46
TOP = 66
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 } .quiet { fill: #59636e } .bar { fill: #8c959f }
.ours { fill: #1a7f37 } .page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
 text { fill: #e6edf3 } .quiet { fill: #9198a1 } .bar { fill: #656c76 }
 .ours { fill: #3fb950 } .page { fill: #0d1117 }
}
""".replace("\n", " ")


def draw(report: Report) -> str:
    """Return the SVG of a report."""
    groups = [
        (BY_NAME[name].title, _bars(report.figures[name]))
        for name in SHOWN
        if name in report.figures and _bars(report.figures[name])
    ]
    height = TOP + sum(GAP + ROW * len(bars) for _, bars in groups) + 24
    every = [cpu for _, bars in groups for _, cpu, _ in bars]
    low, high = min(every, default=1.0) / 2, max(every, default=10.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title desc">',
        '<title id="title">What a gateway costs: CPU per answer</title>',
        f'<desc id="desc">{escape(in_words(report))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>',
        _text(16, 28, "CPU per answer, microseconds (logarithmic; shorter is better)", "head"),
        _text(16, 48, "one worker on one core; in brackets: answers per second", "quiet"),
    ]
    y = TOP
    for title, bars in groups:
        parts.append(_text(16, y + 18, title, "head"))
        for line, (server, cpu, rate) in enumerate(bars):
            top = y + 28 + ROW * line
            share = math.log(cpu / low) / math.log(high / low) if high > low else 1.0
            kind = "ours" if server == "outlast" else "bar"
            width = max(2.0, (BAR_END - LEFT) * share)
            parts.append(_text(16, top + 12, server))
            parts.append(
                f'<rect class="{kind}" x="{LEFT}" y="{top}" '
                f'width="{width:.1f}" height="14" rx="2"/>'
            )
            parts.append(
                _text(LEFT + width + 6, top + 12, f"{cpu:,.0f} µs ({rate:,.0f}/s)", "quiet")
            )
        y += GAP + ROW * len(bars)
    return "\n".join([*parts, "</svg>", ""])


def _bars(figures: dict[str, Figure]) -> list[tuple[str, float, float]]:
    """Return server, CPU and rate, the thriftiest first; who answered nothing is left out."""
    found = [
        (server, figure.cpu_us, figure.per_s)
        for server, figure in figures.items()
        if server != "direct" and figure.cpu_us
    ]
    return sorted(found, key=lambda row: row[1])


def in_words(report: Report) -> str:
    """Return what the picture shows, for those who cannot see it."""
    said = []
    for name in SHOWN:
        bars = _bars(report.figures.get(name, {}))
        if bars:
            row = ", ".join(f"{server} {cpu:,.0f} µs" for server, cpu, _ in bars)
            said.append(f"{BY_NAME[name].title}: {row}.")
    return " ".join(said)


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y}"{named}>{escape(words)}</text>'
