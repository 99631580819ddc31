"""The picture in the terminal: drawn anew ten times a second, from the board alone.

Made for 80 × 24 and better with more. A colour never stands alone: a sign and a word say the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from outlast.demo import timeline
from outlast.demo.board import Board, Stream, VendorState
from outlast.demo.seen import Seen
from outlast.demo.sentences import COLOURS, SIGNS, sentence
from outlast.demo.summary import rows
from outlast.demo.texts import NAMES, Texts
from outlast.gateway.breaker import State

WIDTH_MIN, HEIGHT_MIN = 78, 24
TALL = 26
"""From this height on the counts have a heading of their own."""
SURFACES = {"messages": "Messages", "chat": "Chat"}
_BREAKERS = {
    State.CLOSED: ("✔", "green"),
    State.OPEN: ("✖", "red"),
    State.HALF_OPEN: ("?", "yellow"),
}
_PAGES = {
    timeline.Page.OPERATIONAL: ("✔", "green"),
    timeline.Page.DEGRADED: ("!", "yellow"),
    timeline.Page.PARTIAL: ("✖", "red"),
}


def fits(console: Console) -> bool:
    return console.width >= WIDTH_MIN and console.height >= HEIGHT_MIN


class LiveView:
    """Also a play.View. Owns the screen from `begin` to `end`."""

    def __init__(self, console: Console, texts: Texts, speed: float) -> None:
        self._texts = texts
        self._speed = speed
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False, transient=True)

    def begin(self, board: Board) -> None:
        self._live.start()

    def draw(self, board: Board) -> None:
        self._live.update(picture(board, self._texts, self._speed, self._console), refresh=True)

    def end(self, board: Board) -> None:
        self._live.stop()


def picture(board: Board, texts: Texts, speed: float, console: Console) -> Layout:
    """Return the whole screen."""
    whole, states, below = Layout(), Layout(size=6), Layout(name="below")
    clients = Layout(_clients(board, texts), size=len(board.streams) + 3)
    states.split_row(
        Layout(_vendors(board, texts)),
        Layout(_gateway(board, texts)),
    )
    table = rows(board, texts)
    below.split_row(
        Layout(_count(table, texts, console.height), size=min(42, console.width // 2)),
        Layout(_events(board, texts, console.height)),
    )
    whole.split_column(Layout(_head(board, texts, speed), size=2), states, clients, below)
    return whole


def _head(board: Board, texts: Texts, speed: float) -> RenderableType:
    length_s = timeline.length_s(speed)
    at_s = min(length_s, board.at_s / (timeline.PLAYED * speed))
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True, justify="right")
    title = Text.assemble(
        (texts("title"), "bold"),
        "  ",
        (texts("date", clock=timeline.clock(min(board.at_s, timeline.END_S))), "bold cyan"),
    )
    line.add_row(
        title,
        ProgressBar(total=length_s, completed=at_s, width=None),
        Text(f"{_minutes(at_s)} / {_minutes(length_s)}  {texts('ctrl_c')}", "dim"),
    )
    phase = timeline.phase_at(board.at_s)
    colour = "red" if phase.faults else "green"
    sign = SIGNS["bad" if phase.faults else "good"]
    return Group(line, Text(f"{sign} {texts(phase.key)}", f"bold {colour}", no_wrap=True))


def _vendors(board: Board, texts: Texts) -> Panel:
    grid = _grid()
    for vendor in board.vendors:
        sign, colour, words = _vendor(vendor, texts)
        grid.add_row(Text(NAMES[vendor.name], "bold"), Text(f"{sign} {words}", colour))
        sign, colour = _PAGES[vendor.page]
        page = texts(f"page_{vendor.page}")
        grid.add_row(Text(f"  {texts('page')}", "dim"), Text(f"{sign} {page}", colour))
    return Panel(grid, title=texts("vendors"), title_align="left")


def _vendor(vendor: VendorState, texts: Texts) -> tuple[str, str, str]:
    if vendor.refuses:
        return "✖", "red", texts("vendor_refuses")
    if not vendor.recent:
        return "·", "dim", texts("vendor_waiting")
    if not vendor.failed:
        return "✔", "green", texts("vendor_answers", n=vendor.recent)
    colour = "red" if vendor.failed * 2 >= vendor.recent else "yellow"
    return "✖", colour, texts("vendor_fails", failed=vendor.failed, n=vendor.recent)


def _gateway(board: Board, texts: Texts) -> Panel:
    grid = _grid()
    for name, breaker in list(board.breakers.items())[:2]:
        sign, colour = _BREAKERS[breaker.state]
        words = (
            texts("breaker_left", left=breaker.left_s)
            if breaker.state is State.OPEN
            else texts(f"breaker_{breaker.state}")
        )
        label = f"{texts('breaker')} {NAMES.get(name, name)}"
        grid.add_row(Text(label), Text(f"{sign} {words}", colour))
    serving = Counter(s.seen.served_by for s in board.streams if s.asking and s.seen.served_by)
    told = " · ".join(f"{NAMES.get(name, name)} {n}" for name, n in sorted(serving.items()))
    counts = texts(
        "attempts_so_far",
        attempts=board.attempts.total(),
        failed=board.failed_attempts,
        moved=board.hows["moved"] + board.hows["resumed"],
    )
    lines = (
        Text.assemble(f"{texts('serving')} ", (told or "–", "cyan"), no_wrap=True),
        Text(counts, no_wrap=True, overflow="ellipsis"),
    )
    return Panel(Group(grid, *lines), title=texts("gateway"), title_align="left")


def _clients(board: Board, texts: Texts) -> Panel:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("#", width=1)
    table.add_column("API", width=8, no_wrap=True)
    table.add_column(texts("served_by"), width=10, no_wrap=True)
    table.add_column(texts("answer"), ratio=1, no_wrap=True, overflow="crop")
    table.add_column(texts("directly"), width=22, no_wrap=True)
    for stream in board.streams:
        table.add_row(
            str(stream.client),
            SURFACES[stream.surface],
            _server(stream.seen.served_by),
            _answer(stream, texts),
            _state(stream.direct, asking=stream.direct_asking, texts=texts),
        )
    return Panel(table, title=texts("clients"), title_align="left")


def _server(upstream: str) -> Text:
    name = NAMES.get(upstream, upstream) or "…"
    # The arrow: somebody else than who was asked for.
    return Text(name) if upstream in {"", "anthropic"} else Text(f"⇄ {name}", "yellow")


def _answer(stream: Stream, texts: Texts) -> RenderableType:
    """The state, then the newest words: they push the older ones out to the left."""
    line = Table.grid(expand=True, padding=(0, 1, 0, 0))
    line.add_column(width=9, no_wrap=True)
    line.add_column(ratio=1, no_wrap=True)
    state = _state(stream.seen, asking=stream.asking, texts=texts)
    line.add_row(state, _Tail(stream.seen.text))
    return line


def _state(seen: Seen, *, asking: bool, texts: Texts) -> Text:
    if not asking:
        if seen.failure:
            return Text(f"✖ {texts.failure(seen.failure)}", "red")
        if seen.done:
            return Text(f"✔ {texts('state_whole')}", "green")
        return Text("")
    if not seen.text:
        return Text(f"… {texts('state_waiting')}", "dim")
    return Text(f"▸ {texts('state_streaming', share=seen.share)}", "cyan")


class _Tail:
    """As much of the end of a text as fits on one line."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        # Four times the width is enough to find as many characters that can be shown.
        tail = self._text[-4 * width :]
        shown = "".join(char if _narrow(char) else " " for char in tail)
        yield Text(" ".join(shown.split())[-width:].lstrip(), no_wrap=True, end="")


def _narrow(char: str) -> bool:
    return char.isprintable() and cell_len(char) == 1


def _count(table: list[tuple[str, str, str]], texts: Texts, height: int) -> Panel:
    """What was counted. Where there is little room, the heading moves into the frame."""
    heading, *counted = table
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True)
    for words in heading[1:]:
        grid.add_column(justify="right", no_wrap=True, min_width=cell_len(words))
    title = texts("count")
    if height >= TALL:
        grid.add_row(*(Text(words, "dim") for words in heading))
    else:
        title = f"{title} ─── {heading[1]} ─ {heading[2]}"
    for label, one, other in counted:
        failed = label == texts("failed")
        grid.add_row(
            Text(label),
            Text(one, "bold red" if failed and one != "0" else "bold green"),
            Text(other, "red" if failed and other != "0" else ""),
        )
    align: Literal["left", "right"] = "left" if height >= TALL else "right"
    return Panel(grid, title=title, title_align=align, padding=0)


def _events(board: Board, texts: Texts, height: int) -> Panel:
    """The newest on top."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for event in list(reversed(board.events))[:height]:
        table.add_row(
            timeline.clock(event.at_s),
            Text(SIGNS[event.sign], COLOURS[event.sign]),
            sentence(event, texts),
        )
    return Panel(table, title=texts("events"), title_align="left", padding=0)


def _grid() -> Table:
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    return grid


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
