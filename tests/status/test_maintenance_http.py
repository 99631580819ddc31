"""The operators' API for windows: default deny, and stored with its audit."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from outlast.clock import ManualClock
from outlast.observatory.casebook import Casebook
from outlast.observatory.operator_gate import Gate
from outlast.observatory.operators import OperatorToken
from outlast.status import openapi_table
from outlast.status.maintenance_http import BODY_LIMIT_BYTES, MaintenanceApi
from outlast.store.database import Database
from tests.status.asking import ask
from tests.status.machine_house import API, NOW

TOKEN = "op_0123456789abcdef0123456789abcdef"
NEW = {
    "title": {"en": "New database"},
    "components": [API],
    "starts_at": NOW + 3600,
    "ends_at": NOW + 7200,
}


class House:
    """The API over a real database, asked without a socket."""

    def __init__(self, folder: Path) -> None:
        (folder / "token").write_text(TOKEN)
        self.clock = ManualClock(NOW)
        self.database = Database(f"sqlite:///{folder / 'outlast.db'}")
        self.casebook = Casebook(self.database)
        token = OperatorToken(folder / "token", make=False)
        self.gate = Gate(token, self.casebook, self.clock)
        self.api = self.make()

    def make(self) -> MaintenanceApi:
        return MaintenanceApi(self.casebook, self.clock, self.gate, lambda: {API})

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = TOKEN
    ) -> tuple[int, Any]:
        app = Starlette(routes=self.api.routes())
        return await ask(app, method, path, body, token=token)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    await made.casebook.close()
    await made.database.close()


async def test_an_announced_window_is_stored_with_its_audit_and_seen_by_another_replica(
    house: House,
) -> None:
    status, answer = await house.ask("POST", "/api/maintenance", NEW)
    assert (status, answer["stored"]) == (201, True)
    other = house.make()
    await other.refresh()
    (window,) = other.windows(NOW + 3700)
    assert (window.id, window.state) == (answer["window"]["id"], "in_progress")
    (entry,) = await house.casebook.audit()
    assert (entry.who, entry.what) == ("Ada", "maintenance announced")


async def test_a_window_is_changed_and_everyone_may_read_it(house: House) -> None:
    _, made = await house.ask("POST", "/api/maintenance", NEW)
    path = f"/api/maintenance/{made['window']['id']}"
    status, answer = await house.ask("POST", path, {"kind": "cancel"})
    assert status == 200
    assert answer["window"]["cancelled_at"] == NOW
    status, listed = await house.ask("GET", "/api/maintenance", token="")
    assert (status, len(listed["windows"])) == (200, 1)
    said = {one.what for one in await house.casebook.audit()}
    assert said == {"maintenance announced", "maintenance cancel"}


REFUSED = (
    ("POST", "/api/maintenance", NEW, "wrong" * 8, 401, "Another's token opens nothing."),
    ("POST", "/api/maintenance/win_1", {"kind": "cancel"}, "", 401, "None opens nothing."),
    ("POST", "/api/maintenance", {"title": 5}, TOKEN, 400, "What is no window."),
    ("POST", "/api/maintenance", b"{", TOKEN, 400, "What is no JSON."),
    ("POST", "/api/maintenance", NEW | {"ends_at": 1}, TOKEN, 400, "What cannot be."),
    ("POST", "/api/maintenance", NEW | {"more": 1}, TOKEN, 400, "A field that is not known."),
    ("POST", "/api/maintenance", b" " * (BODY_LIMIT_BYTES + 1), TOKEN, 413, "Too long."),
    ("POST", "/api/maintenance/win_none", {"kind": "cancel"}, TOKEN, 404, "No such window."),
)


@pytest.mark.parametrize(("method", "path", "body", "token", "status", "why"), REFUSED)
async def test_what_is_refused_is_told_in_words_and_changes_nothing(
    house: House, method: str, path: str, body: Any, token: str, status: int, why: str
) -> None:
    found, answer = await house.ask(method, path, body, token)
    assert found == status, why
    assert answer["error"]["message"]
    assert house.api.windows(NOW) == ()


async def test_a_body_in_the_database_that_is_none_of_ours_takes_nothing_away(
    house: House,
) -> None:
    await house.ask("POST", "/api/maintenance", NEW)

    def spoil(connection: Any) -> None:
        connection.exec_driver_sql(
            "UPDATE snapshots SET body = '[1]', at = at + 1 WHERE name = 'maintenance'"
        )

    await house.database.write(spoil)
    await house.api.refresh()
    assert len(house.api.windows(NOW)) == 1


async def test_what_waits_for_the_database_is_not_undone_by_what_it_had_before(
    house: House, tmp_path: Path
) -> None:
    await house.ask("POST", "/api/maintenance", NEW)
    with lock(tmp_path / "outlast.db"):
        status, answer = await house.ask("POST", "/api/maintenance", NEW)
        assert (status, answer["stored"]) == (201, False)
        await house.api.refresh()
        assert len(house.api.windows(NOW)) == 2
    await house.ask("POST", "/api/maintenance", NEW)
    assert await house.casebook.flush()
    other = house.make()
    await other.refresh()
    assert len(other.windows(NOW)) == 3


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Another process holds the database: it can be read, and not be written."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


async def test_a_replica_whose_clock_is_behind_is_heard(house: House) -> None:
    await house.ask("POST", "/api/maintenance", NEW)
    first = house.api
    house.clock = ManualClock(NOW - 30)
    house.api = house.make()
    await house.ask("POST", "/api/maintenance", NEW)
    await first.refresh()
    assert len(first.windows(NOW)) == 2


def test_every_route_is_documented(tmp_path: Path) -> None:
    documented = {(one.method, one.path) for one in openapi_table.OPERATIONS}
    for route in MaintenanceApi.__new__(MaintenanceApi).routes():
        for method in (route.methods or set()) - {"HEAD"}:
            assert (method, route.path) in documented
