"""What operators have: windows of maintenance, post-mortems, and the pages to work on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.routing import BaseRoute

from outlast.clock import Clock
from outlast.config import Settings
from outlast.observatory.board import Board
from outlast.observatory.casebook import Casebook
from outlast.observatory.operator_gate import Gate
from outlast.observatory.watcher import Watcher
from outlast.status.maintenance_http import MaintenanceApi
from outlast.status.operator_desk import Desk
from outlast.status.operator_door import Door
from outlast.status.operator_http import OperatorPages
from outlast.status.post_mortem_book import PostMortems
from outlast.status.post_mortem_http import PostMortemApi


class Operating:
    """Owned by one event loop."""

    def __init__(
        self,
        settings: Settings,
        board: Board,
        casebook: Casebook,
        watcher: Watcher,
        gate: Gate,
        clock: Clock,
    ) -> None:
        self.maintenance = MaintenanceApi(casebook, clock, gate, board.states.keys)
        self.book = PostMortems(casebook, clock, board.incident)
        self._api = PostMortemApi(self.book, gate)
        door = Door(gate, clock, base_url=settings.base_url)
        desk = Desk(board, casebook, watcher, self.maintenance, self.book, clock)
        self._pages = OperatorPages(door, desk)

    def routes(self) -> list[BaseRoute]:
        return [*self.maintenance.routes(), *self._api.routes(), *self._pages.routes()]

    def jobs(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Work in the background, by its name."""
        return {"maintenance": self.maintenance.run, "post-mortems": self.book.run}
