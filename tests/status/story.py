"""One made-up incident from a quiet morning to the history, played through the real deciders.

Long names, several providers, a contradiction, a rumour, people from many regions, maintenance and
enough past outages for a forecast: what a page has to hold at its fullest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from outlast.nouns import Impact, Incident, Stage, Status, Suspicion
from outlast.observatory.board import Board, FeedState
from outlast.observatory.recovery import Case, Recovery
from outlast.observatory.rehearsal import open_rehearsal
from outlast.observatory.replaying import play
from outlast.observatory.watch import Said, Watch
from outlast.status.view import Around, Fallback, Frame, Snapshot, Window, date_of, snapshot

SCRIPT = Path(__file__).with_name("story.toml")

MOMENTS: dict[str, Callable[[Incident], bool]] = {
    "suspected": lambda one: one.suspicion is Suspicion.S_DOWN,
    "confirmed": lambda one: one.suspicion is Suspicion.O_DOWN,
    "contradiction": lambda one: any(update.kind == "contradiction" for update in one.updates),
    "recovering": lambda one: one.stage is Stage.MONITORING,
    "relapse": lambda one: one.relapses > 0 and one.stage is not Stage.MONITORING,
    "over": lambda one: one.stage is Stage.RESOLVED,
}
"""In the order in which they come; `quiet` is before them all."""


def history() -> Iterator[Case]:
    """Past outages enough for a forecast."""
    roll = random.Random(3)
    for number in range(60):
        began = 1_766_000_000.0 + number * 100_000.0
        lasted = 60.0 * roll.lognormvariate(4.6, 1.0)
        yield Case(f"case-{number}", "anthropic", began, began + lasted)


@lru_cache(maxsize=1)
def story() -> dict[str, Snapshot]:
    """What may be shown, by moment: `quiet`, then those of MOMENTS."""
    rehearsal = open_rehearsal(SCRIPT)
    watch, board = Watch(recovery=Recovery(history())), Board()
    rehearsal.prepare(watch)
    found: dict[str, Snapshot] = {}
    waiting = list(MOMENTS.items())
    for at, said in play(rehearsal.steps, watch, until_at=rehearsal.until_at):
        take(board, watch, said, at)
        if not found and at >= (rehearsal.start_at or 0.0) + 600:
            found["quiet"] = shown(board, at)
        everything = [*board.open(), *board.recent()]
        if found and waiting and any(map(waiting[0][1], everything)):
            found[waiting.pop(0)[0]] = shown(board, at)
    assert not waiting, f"the story never came to {waiting[0][0]}"
    return found


def take(board: Board, watch: Watch, said: Said, at: float) -> None:
    board.looked(at)
    board.set_states(said.states)
    board.set_incidents(said.incidents)
    board.set_claims(said.claims)
    board.forecasts.update(said.forecasts)
    board.extents.update(said.extents)
    board.crowds = said.crowds or board.crowds
    for provider, page in watch.vendor_pages().items():
        if page.read_at:
            board.feeds[provider] = FeedState(provider, provider, page.read_at)


def shown(board: Board, at: float) -> Snapshot:
    days = frozenset(date_of(at - 86_400 * back) for back in range(80))
    view = snapshot(
        board.states.values(),
        [*board.open(), *board.recent(), *earlier(at)],
        Around(
            extents=board.extents,
            forecasts=board.forecasts,
            claims=board.claims,
            crowds=board.crowds,
            feeds=board.feeds,
            looked_days=dict.fromkeys(board.states, days),
            fallbacks=(
                Fallback("openai-through-our-own-account", "openai", False, True, at - 30),
                Fallback("local", "local", True, True, None),
            ),
            windows=(
                Window(
                    "win_1",
                    {"en": "New disks for the journal", "fr": "Nouveaux disques pour le journal"},
                    {"en": "Answers go on.", "fr": "Les réponses continuent."},
                    ("mistral/api",), at + 3600, at + 7200, "scheduled", "outlast", at - 3600,
                ),
            ),
        ),
        Frame(at=at, now=at, base_url="https://status.example"),
    )  # fmt: skip
    return msgspec.structs.replace(view, base_url="")


def earlier(at: float) -> list[Incident]:
    """Incidents of the weeks before, so that the bars have something to show."""
    found = []
    for number, (back, hours, status) in enumerate(
        [(3, 2.0, Status.DEGRADED), (17, 5.0, Status.MAJOR), (41, 1.0, Status.PARTIAL)]
    ):
        began = at - back * 86_400.0
        what = {"en": "Anthropic: problems (API)", "fr": "Anthropic\u00a0: difficultés (API)"}
        found.append(
            Incident(
                f"inc_before_{number}", "anthropic", began, began, Stage.RESOLVED, Impact.MAJOR,
                Suspicion.O_DOWN, {"anthropic/api": status}, what, (),
                resolved_at=began + hours * 3600,
            )
        )  # fmt: skip
    return found
