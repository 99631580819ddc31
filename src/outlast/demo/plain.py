"""The demo where there is no terminal: one line for each event of note."""

from __future__ import annotations

from typing import TextIO

from outlast.demo.board import Board, Event
from outlast.demo.sentences import SIGNS, sentence
from outlast.demo.texts import Texts
from outlast.demo.timeline import clock


class PlainView:
    """Also a play.View."""

    def __init__(self, out: TextIO, texts: Texts) -> None:
        self._out = out
        self._texts = texts
        self._board: Board | None = None

    def begin(self, board: Board) -> None:
        self._board = board
        board.listener = self._event

    def draw(self, board: Board) -> None:
        """Everything is said by events."""

    def end(self, board: Board) -> None:
        board.listener = None

    def _event(self, event: Event) -> None:
        if event.key.startswith("phase_") and self._board is not None and self._board.outlast.whole:
            self._line(clock(event.at_s), "=", tally(self._board, self._texts))
        self._line(clock(event.at_s), SIGNS[event.sign], sentence(event, self._texts))

    def _line(self, at: str, sign: str, words: str) -> None:
        self._out.write(f"{at}  {sign} {words}\n")
        self._out.flush()


class NoView:
    """For `--json`: nothing is said before the summary."""

    def begin(self, board: Board) -> None: ...
    def draw(self, board: Board) -> None: ...
    def end(self, board: Board) -> None: ...


def tally(board: Board, texts: Texts) -> str:
    return texts(
        "tally",
        asked=board.outlast.asked,
        whole=board.outlast.whole,
        direct=board.direct.whole,
        moved=board.hows["moved"],
        resumed=board.hows["resumed"],
        failed=board.outlast.failed,
    )
