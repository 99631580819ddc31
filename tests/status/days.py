"""Snapshots for tests: the day of 2 March 2026, played once, and made-up ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from outlast.nouns import (
    ComponentState,
    Evidence,
    Impact,
    Incident,
    Stage,
    Status,
    Suspicion,
    Update,
)
from outlast.observatory.board import Board, FeedState
from outlast.observatory.claims import Claim, Kind
from outlast.observatory.rehearsal import open_rehearsal
from outlast.observatory.replaying import play
from outlast.observatory.watch import Said, Watch
from outlast.status.stage import Stage as Played
from outlast.status.view import Around, Fallback, Frame, Snapshot, date_of, snapshot

NOON = 1_772_452_800.0
"""2 March 2026, 12:00 UTC."""
MOMENTS = ("11:30", "11:45", "12:30", "13:40", "15:30", "15:55", "17:00")
"""At which somebody looks: a quiet hour, and the day as it went on."""


def show(board: Board, at: float) -> Snapshot:
    days = frozenset(date_of(at - 86_400 * back) for back in range(30))
    return snapshot(
        board.states.values(),
        [*board.open(), *board.recent()],
        Around(
            extents=board.extents,
            forecasts=board.forecasts,
            claims=board.claims,
            crowds=board.crowds,
            feeds=board.feeds or {"page": FeedState("anthropic", "page", at)},
            looked_days=dict.fromkeys(board.states, days),
            fallbacks=(
                Fallback("openai", "openai", False, True, at - 30),
                Fallback("local", "local", True, True, None),
            ),
        ),
        Frame(at=at, now=at),
    )


@lru_cache(maxsize=1)
def second_of_march() -> dict[str, Snapshot]:
    """What may be shown at each of MOMENTS."""
    rehearsal, watch = open_rehearsal(Path("2026-03-02")), Watch()
    rehearsal.prepare(watch)
    found: dict[str, Snapshot] = {}
    waiting = [(clock(name), name) for name in MOMENTS]

    async def nothing(_: float) -> None:
        return None

    def stopping() -> Iterator[tuple[float, Said]]:
        for at, said in play(rehearsal.steps, watch, until_at=waiting[-1][0] + 60):
            while waiting and at > waiting[0][0]:
                due, name = waiting.pop(0)
                found[name] = show(stage.board, due)
            if not waiting:
                return
            yield at, said

    stage = Played(watch, stopping(), 60.0, rehearsal.title, pause=nothing, monotonic=lambda: 0.0)
    with asyncio.Runner() as runner:
        runner.run(stage.run())
    return found


def clock(name: str) -> float:
    """`12:30` of that day."""
    hours, minutes = name.split(":")
    return NOON + (int(hours) - 12) * 3600 + int(minutes) * 60


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u202e&lt;"


def hostile() -> Snapshot:
    """Everything that comes from outside tries to run, to break out, to turn the page round."""
    name = "anthropic/api"
    bad = (Evidence("notice", NOON, 3.0, 1, 1, 1, 1, NOON, HOSTILE, fired=True),)
    state = ComponentState(name, Status.MAJOR, Suspicion.O_DOWN, 0.99, NOON, NOON, bad)
    text = {"en": HOSTILE, "fr": HOSTILE}
    update = Update(NOON, "annotated", Stage.INVESTIGATING, text, HOSTILE)
    incident = Incident(
        "inc_1",
        "anthropic",
        NOON,
        NOON,
        Stage.INVESTIGATING,
        Impact.CRITICAL,
        Suspicion.O_DOWN,
        {name: Status.MAJOR},
        text,
        (update,),
        cause="deploy",
        cause_evidence=(HOSTILE,),
        notices=("page/n1",),
    )
    claim = Claim("clm_1", "inc_1", Kind.CAUSE, text, (HOSTILE,), HOSTILE, NOON)
    board = Board()
    board.looked(NOON)
    board.set_states([state])
    board.set_incidents([incident])
    board.set_claims([claim])
    board.trouble = HOSTILE
    return show(board, NOON)
