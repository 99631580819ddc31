"""A database that an older Outlast left behind."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect, text

from outlast.accounts import roster_tables
from outlast.gateway import ledger_tables
from outlast.nouns import Receipt
from outlast.observatory import (
    delivery_tables,
    history_tables,
    incident_tables,
    subscription_tables,
)
from outlast.store import dialects, migrations
from outlast.store.database import Database
from outlast.store.migrations import STEPS
from tests.store.databases import postgresql_url, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

ROOMS = (
    roster_tables,
    ledger_tables,
    history_tables,
    incident_tables,
    subscription_tables,
    delivery_tables,
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


def leave_behind(url: str, version: int) -> None:
    """What an Outlast of that version has written: its tables, and one receipt."""
    engine = dialects.make_engine(
        dialects.parse_url(url), connections=1, busy_timeout_s=5.0, writes=True
    )
    with engine.begin() as connection:
        migrations.migrate(connection, STEPS[:version])
        connection.execute(
            text(
                "INSERT INTO exchanges (id, key_id, surface, format, model, stream, started_at, "
                "ended_at, outcome, status, served_by, degraded, dropped, error) VALUES "
                "('req_1', 'key_a', '/v1/messages', 'anthropic', 'm', FALSE, 1.0, 2.0, 'ok', 200, "
                "'u/m', 'none', '[]', '')"
            )
        )
    engine.dispose()


@pytest.mark.parametrize("version", range(1, len(STEPS)))
async def test_a_database_of_any_version_before_is_brought_up_to_date_with_what_it_holds(
    url: str, version: int
) -> None:
    leave_behind(url, version)
    database = Database(url)
    looking = partial(ledger_tables.select_one, receipt_id="req_1", key_id="key_a")
    found = await database.read(looking)
    assert isinstance(found, Receipt)
    assert (found.outcome, found.resumptions, found.attempts) == ("ok", (), ())
    assert await database.read(migrations.version) == len(STEPS)
    await database.close()


async def test_the_tables_are_those_that_the_steps_made(url: str) -> None:
    database = Database(url)

    def columns(connection: Connection, name: str) -> list[str]:
        return [one["name"] for one in inspect(connection).get_columns(name)]

    for room in ROOMS:
        for name, table in room.metadata.tables.items():
            made = await database.read(partial(columns, name=name))
            # In their order: some rows are read and written by their place.
            assert made == [column.name for column in table.columns], name
    await database.close()
