"""Snapshots for tests: the day of 2 March 2026, played once, and made-up ones."""

from __future__ import annotations

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
from outlast.observatory.watch import Watch
from outlast.status.view import Around, Fallback, Frame, Snapshot, date_of, snapshot

NOON = 1_772_452_800.0
"""2 March 2026, 12:00 UTC."""


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
            feeds={"page": FeedState("anthropic", "page", at)},
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
    """What may be shown at 11:30, 12:30 and 17:00 UTC."""
    rehearsal = open_rehearsal(Path("2026-03-02"))
    watch, board = Watch(), Board()
    rehearsal.prepare(watch)
    found: dict[str, Snapshot] = {}
    wanted = {NOON - 1800: "11:30", NOON + 1800: "12:30", NOON + 5 * 3600: "17:00"}
    for at, said in play(rehearsal.steps, watch, until_at=NOON + 5 * 3600):
        board.looked(at)
        board.set_states(said.states)
        board.set_incidents(said.incidents)
        board.set_claims(said.claims)
        board.forecasts.update(said.forecasts)
        board.extents.update(said.extents)
        board.crowds = said.crowds or board.crowds
        for due, name in list(wanted.items()):
            if at >= due:
                found[name] = show(board, at)
                del wanted[due]
    return found


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
