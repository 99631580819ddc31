"""A rehearsal as a public page: the status page of a day that is played, faster than it was.

The same deciders, board and pages as in the service, on the rehearsal's own clock. Nothing is
stored, and nobody can report.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from outlast.nouns import Incident
from outlast.observatory.board import Board, FeedState
from outlast.observatory.case_changes import StoredClaim
from outlast.observatory.rollups import Rollup
from outlast.observatory.watch import Said, Watch
from outlast.status.http import StatusPages
from outlast.status.source import Source
from outlast.status.view import Frame

SPEED_MAX = 3600.0


class StageClock:
    """The rehearsal's time: it moves with what is played."""

    def __init__(self) -> None:
        self.at = 0.0

    def wall(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Nothing:
    """A past that nobody has stored."""

    async def incident(self, incident_id: str) -> Incident | None:
        del incident_id
        return None

    async def incidents(
        self, before_at: float = 1e11, limit: int = 50, provider: str | None = None
    ) -> list[Incident]:
        del before_at, limit, provider
        return []

    async def claims(self, incident: str | None = None) -> list[StoredClaim]:
        del incident
        return []


async def _no_days(start_at: float, end_at: float) -> list[Rollup]:
    del start_at, end_at
    return []


class Stage:
    """Owned by one event loop."""

    def __init__(
        self,
        watch: Watch,
        moments: Iterator[tuple[float, Said]],
        speed: float,
        title: str,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """`speed`: seconds of the rehearsal in one of ours."""
        self.board = Board()
        self.clock = StageClock()
        self._watch = watch
        self._moments = moments
        self._speed = min(max(speed, 0.1), SPEED_MAX)
        self._pause = pause
        self._monotonic = monotonic
        source = Source(
            self.board,
            _no_days,
            Nothing(),
            self.clock,
            frame=lambda: Frame(at=0.0, now=0.0, reports=False, rehearsal=title),
        )
        self.pages = StatusPages(source, self.board, Nothing(), self.clock)

    def app(self) -> Starlette:
        routes: list[BaseRoute] = [Route("/", _to_status), *self.pages.routes()]
        return Starlette(routes=routes, middleware=self.pages.middleware())

    async def run(self) -> None:
        """Play at the pace that was asked for, until the end."""
        began: float | None = None
        first = 0.0
        for at, said in self._moments:
            if began is None:
                began, first = self._monotonic(), at
            ahead_s = (at - first) / self._speed - (self._monotonic() - began)
            await self._pause(max(0.0, ahead_s))
            self.clock.at = at
            self._take(said, at)

    def _take(self, said: Said, at: float) -> None:
        board = self.board
        board.looked(at)
        if said.states:
            board.set_states(said.states)
        if said.incidents:
            board.set_incidents(said.incidents)
        if said.claims:
            board.set_claims(said.claims)
        board.forecasts.update(said.forecasts)
        board.extents.update(said.extents)
        if said.crowds:
            board.crowds = said.crowds
        for provider, page in self._watch.vendor_pages().items():
            if page.read_at:
                board.feeds[provider] = FeedState(
                    provider, provider, page.read_at, page.unreachable_since, page.reason
                )


async def _to_status(_: Request) -> Response:
    return RedirectResponse("/status", 307)
