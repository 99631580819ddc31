"""The picture: which share of the answers came home whole, by script and gateway. Pure.

An SVG without scripts or fonts of its own, readable on light and on dark pages.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from bench.gauntlet.report import Report
from bench.gauntlet.results import Sum

LEFT = 272
"""Room for the longest title, in fonts wider than ours too."""
CELL_WIDTH = 132
ROW = 24
TOP = 92
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 } .quiet { fill: #59636e } .track { fill: #d8dee4 }
.whole { fill: #1a7f37 } .part { fill: #9a6700 } .silent { fill: #cf222e }
.page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
 text { fill: #e6edf3 } .quiet { fill: #9198a1 } .track { fill: #30363d }
 .whole { fill: #3fb950 } .part { fill: #d29922 } .silent { fill: #f85149 }
 .page { fill: #0d1117 }
}
""".replace("\n", " ")


def draw(report: Report) -> str:
    """Return the SVG of a report."""
    rows = [row for row in report.scripts if row["script"]]
    width = LEFT + CELL_WIDTH * len(report.gateways) + 16
    height = TOP + ROW * len(rows) + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-labelledby="title desc">',
        '<title id="title">The gauntlet: answers that came home whole</title>',
        f'<desc id="desc">{escape(_in_words(report))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>',
        _text(16, 28, "Answers that came home whole, of those asked", "head"),
        _text(16, 48, "red: the SDK took a part for the whole, and raised nothing", "quiet"),
    ]
    for number, name in enumerate(report.gateways):
        parts.append(_text(LEFT + CELL_WIDTH * number, TOP - 14, name, "head"))
    for line, row in enumerate(rows):
        y = TOP + ROW * line
        parts.append(_text(16, y + 13, f"{row['script']}  {row['title']}"))
        for number, name in enumerate(report.gateways):
            parts += _cell(LEFT + CELL_WIDTH * number, y, row["gateways"].get(name))
    parts.append(_text(16, height - 16, _footer(report), "quiet"))
    return "\n".join([*parts, "</svg>", ""])


def _cell(x: int, y: int, found: Sum | None) -> list[str]:
    if found is None:
        return [_text(x, y + 13, "not served", "quiet")]
    size = CELL_WIDTH - 62
    whole = size * found.whole / found.exchanges
    silent = size * min(found.silent, found.exchanges - found.whole) / found.exchanges
    kind = "whole" if found.whole == found.exchanges else "part"
    share = 100 * found.whole / found.exchanges
    shown = "100" if found.whole == found.exchanges else f"{min(share, 99.9):.3g}"
    return [
        f'<rect class="track" x="{x}" y="{y + 3}" width="{size}" height="12" rx="2"/>',
        f'<rect class="{kind}" x="{x}" y="{y + 3}" width="{whole:.1f}" height="12" rx="2"/>',
        f'<rect class="silent" x="{x + whole:.1f}" y="{y + 3}" width="{silent:.1f}" height="12"/>',
        _text(x + size + 6, y + 13, f"{shown} %"),
    ]


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{named}>{escape(words)}</text>'


def _in_words(report: Report) -> str:
    totals = [
        f"{name}: {report.totals[name].whole} of {report.totals[name].exchanges} whole, "
        f"{report.totals[name].silent} silently truncated"
        for name in report.gateways
    ]
    return "Scripts 1 to 16 together. " + "; ".join(totals) + "."


def _footer(report: Report) -> str:
    return f"simulated vendors, official SDKs as judges, waits ÷ {report.options['compress']:g}"
