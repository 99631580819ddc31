from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from outlast.store import migrations
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.dialects import BadDatabaseUrl
from outlast.store.migrations import STEPS, SchemaTooNew
from tests.store.children import child, line, tell
from tests.store.databases import Gate, postgresql_url, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


def add(connection: Connection) -> None:
    connection.execute(text("UPDATE keys_version SET version = version + 1"))


def value(connection: Connection) -> int:
    return int(connection.execute(text("SELECT version FROM keys_version")).scalar_one())


async def test_what_was_written_is_read_and_the_schema_made_itself(url: str) -> None:
    database = Database(url)
    await database.write(add)
    assert await database.read(value) == 1
    assert await database.read(migrations.version) == len(STEPS)
    await database.close()


async def test_a_write_that_raises_leaves_nothing_behind(url: str) -> None:
    database = Database(url)

    def half(connection: Connection) -> None:
        add(connection)
        raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await database.write(half)
    assert await database.read(value) == 0
    await database.close()


async def test_reading_cannot_write(url: str) -> None:
    database = Database(url)
    with pytest.raises(DatabaseUnavailable, match=r"(?i)read-?only"):
        await database.read(add)
    assert await database.read(value) == 0
    await database.close()


async def test_many_writers_at_once_lose_no_update(url: str) -> None:
    one, other = Database(url), Database(url)
    await asyncio.gather(*(database.write(add) for database in (one, other) for _ in range(20)))
    assert await one.read(value) == 40
    await one.close()
    await other.close()


async def test_on_sqlite_what_a_write_reads_first_is_still_true_when_it_writes(
    tmp_path: Path,
) -> None:
    one, other = Database(sqlite_url(tmp_path)), Database(sqlite_url(tmp_path))

    def read_then_add(connection: Connection) -> None:
        connection.execute(
            text("UPDATE keys_version SET version = :next"), {"next": value(connection) + 1}
        )

    await asyncio.gather(
        *(database.write(read_then_add) for database in (one, other) for _ in range(50))
    )
    assert await one.read(value) == 100
    await one.close()
    await other.close()


async def test_an_error_about_the_data_is_not_an_unavailable_database(url: str) -> None:
    database = Database(url)
    with pytest.raises(IntegrityError):
        await database.write(
            lambda connection: connection.execute(
                text("INSERT INTO schema_version (version) VALUES (1)")
            )
        )
    await database.close()


async def test_an_error_shows_no_value_of_a_row(url: str) -> None:
    database = Database(url)
    said = {"said": "what nobody may read"}
    with pytest.raises(IntegrityError) as refused:
        await database.write(
            lambda connection: connection.execute(
                text("INSERT INTO schema_version (version) SELECT 1 WHERE :said <> ''"), said
            )
        )
    with pytest.raises(DatabaseUnavailable) as unavailable:
        await database.write(
            lambda connection: connection.execute(text("SELECT :said FROM no_such_table"), said)
        )
    for error in (refused.value, unavailable.value, unavailable.value.__cause__):
        assert error is not None
        assert said["said"] not in repr(error)
        assert said["said"] not in str(error)
    await database.close()


async def test_the_event_loop_runs_while_the_database_works(url: str) -> None:
    database = Database(url)
    inside, go = threading.Event(), threading.Event()

    def slow(connection: Connection) -> int:
        inside.set()
        assert go.wait(30)
        return value(connection)

    writing = asyncio.create_task(database.write(slow))
    assert await asyncio.to_thread(inside.wait, 30)
    # The writer is held inside its transaction; the loop and the readers are not.
    assert await database.read(value) == 0
    go.set()
    assert await writing == 0
    await database.close()


async def test_a_closed_database_says_so_and_closes_twice(url: str) -> None:
    database = Database(url)
    await database.write(add)
    await database.close()
    await database.close()
    with pytest.raises(DatabaseUnavailable, match="is closed"):
        await database.read(value)


async def test_a_newer_schema_is_refused_in_words(url: str) -> None:
    database = Database(url)
    await database.write(
        lambda connection: connection.execute(
            text("INSERT INTO schema_version (version) VALUES (9999)")
        )
    )
    await database.close()
    later = Database(url)
    with pytest.raises(SchemaTooNew, match="newer Outlast"):
        await later.read(value)
    await later.close()


async def test_a_migration_that_fails_keeps_nothing_and_runs_again_later(url: str) -> None:
    database = Database(url)
    await database.read(value)

    def broken(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        raise RuntimeError("no such luck")

    def good(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))

    with pytest.raises(RuntimeError, match="no such luck"):
        await database.write(lambda connection: migrations.migrate(connection, [*STEPS, broken]))
    assert await database.read(migrations.version) == len(STEPS)
    await database.write(lambda connection: migrations.migrate(connection, [*STEPS, good]))
    assert await database.read(migrations.version) == len(STEPS) + 1
    await database.close()


STARTER = """
import asyncio, sys
from sqlalchemy import text
from outlast.store.database import Database

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    database = Database(sys.argv[1])
    await database.write(lambda c: c.execute(text("UPDATE keys_version SET version = version + 1")))
    await database.close()
    print("done", flush=True)

asyncio.run(main())
"""


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    with ExitStack() as stack:
        starters = [stack.enter_context(child(STARTER, url)) for _ in range(3)]
        for one in starters:
            assert line(one) == "ready"
        for one in starters:
            tell(one, "go")
        for one in starters:
            assert line(one) == "done"
    asyncio.run(_migrated_once(url))


async def _migrated_once(url: str) -> None:
    database = Database(url)
    assert await database.read(value) == 3
    rows = await database.read(
        lambda connection: connection.execute(text("SELECT version FROM schema_version")).all()
    )
    assert sorted(row[0] for row in rows) == list(range(1, len(STEPS) + 1))
    await database.close()


async def test_a_locked_sqlite_file_is_unavailable_for_writing_and_can_be_read(
    tmp_path: Path,
) -> None:
    before = Database(sqlite_url(tmp_path))
    await before.write(add)
    await before.close()
    holder = sqlite3.connect(tmp_path / "outlast.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    database = Database(sqlite_url(tmp_path), busy_timeout_s=0.05)
    assert await database.read(value) == 1
    with pytest.raises(DatabaseUnavailable, match="locked"):
        await database.write(add)
    holder.execute("ROLLBACK")
    holder.close()
    await database.write(add)
    assert await database.read(value) == 2
    await database.close()


async def test_a_damaged_file_is_reported_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "outlast.db").write_bytes(b"this is a shopping list, not a database\n" * 100)
    database = Database(sqlite_url(tmp_path))
    with pytest.raises(DatabaseUnavailable, match=r"outlast\.db.*not a database"):
        await database.read(value)
    await database.close()


async def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    database = Database(f"sqlite:///{tmp_path}/file/deeper/outlast.db")
    with pytest.raises(DatabaseUnavailable, match="cannot be used now"):
        await database.read(value)
    await database.close()


async def test_the_sqlite_file_is_its_owners_alone_and_in_wal_mode(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/data/outlast.db")
    await database.write(add)
    assert (tmp_path / "data" / "outlast.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    await database.close()
    with closing(sqlite3.connect(tmp_path / "data" / "outlast.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.postgresql
async def test_postgresql_that_goes_away_comes_back_without_a_restart() -> None:
    gate = Gate()
    gate.open()
    with postgresql_url(gate.port) as url:
        database = Database(url)
        await database.write(add)
        gate.shut()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="cannot be used now"):
                await database.write(add)
            with pytest.raises(DatabaseUnavailable):
                await database.read(value)
        gate.open()
        await database.write(add)
        assert await database.read(value) == 2
        await database.close()
    gate.shut()


async def test_a_refused_connection_is_reported_without_the_password(
    unused_tcp_port: int,
) -> None:
    database = Database(f"postgresql://me:hunter2@127.0.0.1:{unused_tcp_port}/nowhere")
    with pytest.raises(DatabaseUnavailable) as caught:
        await database.read(value)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in database.name
    await database.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("not a url", "cannot be read"),
        ("sqlite://", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
        ("mysql://localhost/x", "not supported"),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_words(url: str, sentence: str) -> None:
    with pytest.raises(BadDatabaseUrl, match=sentence):
        Database(url)
