"""The end of the demo: what was counted, for people and for scripts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from outlast.demo.board import Board, Way
from outlast.demo.texts import NAMES, Texts

WIDTH = 26


def as_json(board: Board, *, speed: float, seed: int) -> dict[str, Any]:
    """Return the summary as one JSON object; its names are the same in every language."""
    return {
        "seed": seed,
        "speed": speed,
        "stopped": board.stopped,
        "lost": board.lost,
        "outlast": {
            **_way(board.outlast),
            "at_once": board.hows["at_once"],
            "moved_on_unseen": board.hows["moved"],
            "resumed_mid_answer": board.hows["resumed"],
            "embedded_model": board.hows["local"],
            "without_receipt": board.unrecorded,
            "served_by": dict(sorted(board.served.items())),
            "attempts": board.attempts.total(),
            "attempts_failed": board.failed_attempts,
        },
        "direct": _way(board.direct),
    }


def _way(way: Way) -> dict[str, Any]:
    return {
        "asked": way.asked,
        "whole": way.whole,
        "failed": way.failed,
        "under_way": way.under_way,
        "failures": dict(way.reasons.most_common()),
    }


def lines(board: Board, texts: Texts) -> list[str]:
    """Return the summary as lines for a person."""
    told = ["", texts("summary"), ""]
    told += [f"{label:{WIDTH}}{one:>9}{other:>9}" for label, one, other in rows(board, texts)]
    served = _listed(board.served, lambda name: NAMES.get(name, name))
    attempts = texts("attempts_of", attempts=board.attempts.total(), failed=board.failed_attempts)
    told += ["", texts("summary_served", told=served), texts("summary_attempts", told=attempts)]
    for key, way in (("summary_reasons", board.direct), ("summary_lost", board.outlast)):
        if way.failed:
            told.append(texts(key, told=_listed(way.reasons, texts.failure)))
    told += ["", *_verdict(board, texts), texts("intro_guess")]
    return told


def rows(board: Board, texts: Texts) -> list[tuple[str, str, str]]:
    """Return (what, with Outlast, without it); the first row is the heading."""
    ours, theirs = board.outlast, board.direct
    table = [
        ("", texts("with"), texts("without")),
        (texts("asked"), str(ours.asked), str(theirs.asked)),
        (texts("whole"), str(ours.whole), str(theirs.whole)),
        (texts("moved"), str(board.hows["moved"]), "–"),
        (texts("resumed"), str(board.hows["resumed"]), "–"),
    ]
    if board.hows["local"]:
        table.append((texts("local"), str(board.hows["local"]), "–"))
    table.append((texts("failed"), str(ours.failed), str(theirs.failed)))
    if ours.under_way or theirs.under_way:
        table.append((texts("under_way"), str(ours.under_way), str(theirs.under_way)))
    if board.unrecorded:
        table.append((texts("unrecorded"), str(board.unrecorded), "–"))
    return table


def _verdict(board: Board, texts: Texts) -> list[str]:
    asked, failed = board.outlast.asked, board.outlast.failed
    said = []
    if board.stopped:
        said.append(texts("stopped"))
    elif failed:
        said.append(texts("summary_bad", failed=failed, asked=asked))
    else:
        said.append(texts("summary_good", asked=asked))
    if board.hows["local"]:
        said.append(texts("summary_local", count=board.hows["local"]))
    said.append(texts("summary_direct", direct=board.direct.failed, asked=board.direct.asked))
    if board.unrecorded:
        said.append(texts("summary_unrecorded", count=board.unrecorded))
    return said


def _listed(counted: Counter[str], name: Callable[[str], str]) -> str:
    return ", ".join(f"{name(key)} {count}" for key, count in counted.most_common()) or "–"
