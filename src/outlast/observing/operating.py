"""What operators have: windows of maintenance, and post-mortems."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.routing import BaseRoute

from outlast.clock import Clock
from outlast.observatory.board import Board
from outlast.observatory.casebook import Casebook
from outlast.observatory.operators import OperatorToken
from outlast.status.maintenance_http import MaintenanceApi
from outlast.status.post_mortem_book import PostMortems
from outlast.status.post_mortem_http import PostMortemApi


class Operating:
    """Owned by one event loop."""

    def __init__(
        self,
        board: Board,
        casebook: Casebook,
        operator: OperatorToken,
        clock: Clock,
    ) -> None:
        self.maintenance = MaintenanceApi(
            casebook, clock, operator, board.states.keys, board.incident
        )
        self.book = PostMortems(casebook, clock, board.incident)
        self._api = PostMortemApi(self.book, operator)

    def routes(self) -> list[BaseRoute]:
        return [*self.maintenance.routes(), *self._api.routes()]

    def jobs(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Work in the background, by its name."""
        return {"maintenance": self.maintenance.run, "post-mortems": self.book.run}
