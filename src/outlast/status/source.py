"""The Snapshot as it is now: from the board, and from what the database told lately.

The board answers at once and always. What comes from the database (past incidents, the days on
which anything was observed) is read in the background and kept: while the database is dead, the
last answer stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from outlast.clock import Clock
from outlast.nouns import Incident
from outlast.observatory.board import Board
from outlast.observatory.rollups import Rollup
from outlast.status.post_mortems import PostMortem
from outlast.status.view import (
    DAY_S,
    DAYS,
    Around,
    Fallback,
    Frame,
    Snapshot,
    Window,
    date_of,
    snapshot,
)
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

REFRESH_S = 60.0
INCIDENTS_MAX = 1000
_NONE: Mapping[str, tuple[PostMortem, ...]] = {}


class Cases(Protocol):
    async def incidents(self, before_at: float = 1e11, limit: int = 50) -> list[Incident]: ...


class Source:
    """Owned by one event loop."""

    def __init__(
        self,
        board: Board,
        days: Callable[[float, float], Awaitable[list[Rollup]]],
        cases: Cases,
        clock: Clock,
        *,
        fallbacks: Callable[[], tuple[Fallback, ...]] = tuple,
        windows: Callable[[float], tuple[Window, ...]] = lambda _: (),
        post_mortems: Callable[[], Mapping[str, tuple[PostMortem, ...]]] = lambda: _NONE,
        frame: Callable[[], Frame] = lambda: Frame(0.0, 0.0),
    ) -> None:
        """`days(start_at, end_at)`: sums by day; `post_mortems`: another mapping whenever one is
        new; `frame`: address, reports and channels now."""
        self._board = board
        self._days = days
        self._cases = cases
        self._clock = clock
        self._fallbacks = fallbacks
        self._windows = windows
        self._post_mortems = post_mortems
        self._frame = frame
        self._past: dict[str, Incident] = {}
        self._looked: dict[str, frozenset[str]] = {}
        self._told = post_mortems()
        self._news = 0

    @property
    def version(self) -> int:
        """Grows when something is new that the board does not tell."""
        told = self._post_mortems()
        if told is not self._told:
            self._told = told
            self._news += 1
        return self._news

    def told(self, incident_id: str) -> tuple[PostMortem, ...]:
        """The post-mortem of an incident that the Snapshot no longer has."""
        return self._post_mortems().get(incident_id, ())

    def now(self) -> Snapshot:
        """Return what may be shown now. Touches no database."""
        board, now = self._board, self._clock.wall()
        recent = {one.id: one for one in [*self._past.values(), *board.recent(), *board.open()]}
        last = date_of(board.at)  # which is not today where nobody has looked since
        looked = {
            name: self._looked.get(name, frozenset()) | ({last} if state.evidence else set())
            for name, state in board.states.items()
        }
        frame = self._frame()
        return snapshot(
            board.states.values(),
            list(recent.values()),
            Around(
                extents=board.extents,
                forecasts=board.forecasts,
                claims=board.claims,
                crowds=board.crowds,
                feeds=board.feeds,
                looked_days=looked,
                windows=self._windows(now),
                fallbacks=self._fallbacks(),
                post_mortems=self._post_mortems(),
            ),
            Frame(
                at=board.at,
                now=now,
                stale=board.stale(now),
                trouble=board.trouble,
                base_url=frame.base_url,
                reports=frame.reports,
                subscriptions=frame.subscriptions,
                rehearsal=frame.rehearsal,
            ),
        )

    async def run(self) -> None:
        """Keep what comes from the database fresh, until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S)

    async def refresh(self) -> None:
        now = self._clock.wall()
        since = (int(now // DAY_S) - DAYS) * DAY_S
        try:
            incidents = await self._cases.incidents(limit=INCIDENTS_MAX)
            rows = await self._days(since, now + DAY_S)
        except (DatabaseUnavailable, SchemaTooNew) as error:
            log.info("status_page_keeps_its_last_past", reason=str(error))
            return
        except Exception:  # one row that we stumble over must not end all keeping up
            log.exception("status_page_keeps_its_last_past")
            return
        self._past = {one.id: one for one in incidents if (one.resolved_at or now) >= since}
        found: dict[str, set[str]] = {}
        for row in rows:
            found.setdefault(row.component, set()).add(date_of(float(row.start_at)))
        self._looked = {name: frozenset(dates) for name, dates in found.items()}
        self._news += 1
