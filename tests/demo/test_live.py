"""The picture: everything has its place in 80 by 24, and no colour is the only sign of anything."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from outlast.demo.board import Board, BreakerState, Stream, VendorState
from outlast.demo.live import fits, picture
from outlast.demo.seen import Seen
from outlast.demo.texts import CATALOGUES, Language, Texts
from outlast.demo.timeline import Page, moment
from outlast.gateway.breaker import State


def busy() -> Board:
    board = Board(
        streams=[
            Stream(
                n,
                "chat" if n % 2 else "messages",
                Seen("Some 🙂 words\n\nthat grow ", served_by="openai", expected="x" * 60),
                asking=True,
                direct=Seen(failure="stream_error"),
            )
            for n in range(1, 7)
        ],
        vendors=[
            VendorState("anthropic", 9, 7, page=Page.PARTIAL),
            VendorState("openai", 5, 0),
        ],
        breakers={
            "anthropic": BreakerState("anthropic", State.OPEN, 3.21),
            "openai": BreakerState("openai"),
        },
        at_s=moment("13:40"),
    )
    for _ in range(50):
        board.note("event_page", vendor="anthropic", page=Page.PARTIAL, notice="notice_api")
    return board


def drawn(board: Board, width: int, height: int, language: Language) -> list[str]:
    out = io.StringIO()
    console = Console(width=width, height=height, file=out, color_system=None, legacy_windows=False)
    assert fits(console)
    console.print(picture(board, Texts(language), 1, console), end="")
    return out.getvalue().splitlines()


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_everything_has_its_place_on_the_screen(
    width: int, height: int, language: Language
) -> None:
    texts = Texts(language)
    lines = drawn(busy(), width, height, language)
    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}
    screen = "\n".join(lines)
    for words in (
        "13:40 UTC",
        texts("phase_down"),
        texts("vendor_fails", failed=7, n=9),
        texts("vendor_answers", n=5),
        texts("page_partial_outage"),
        texts("breaker_left", left=3.21),
        texts("breaker_closed"),
        "OpenAI 6",
        texts("attempts_so_far", attempts=0, failed=0, moved=0),
        texts("directly"),
        texts("failure_stream_error"),
        texts("with"),
        texts("without"),
        *(texts(row) for row in ("asked", "whole", "moved", "resumed", "failed")),
    ):
        assert words in screen, words


def test_without_colours_signs_and_words_tell_good_from_bad() -> None:
    screen = "\n".join(drawn(busy(), 80, 24, "en"))
    assert "✖ fails 7 of 9" in screen
    assert "✔ answers" in screen
    assert "✖ open" in screen
    assert "✔ closed" in screen
    assert "⇄ OpenAI" in screen
    assert "that grow" in screen


def test_a_terminal_that_is_too_small_gets_lines_instead() -> None:
    assert not fits(Console(width=60, height=24, file=io.StringIO()))
    assert not fits(Console(width=80, height=20, file=io.StringIO()))
