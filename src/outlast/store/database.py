"""The database: one thread that writes, a few that read, and never a blocked event loop.

Nothing is opened when a Database is made, and the schema is brought up to date by the first use
that finds the database alive: a dead database at start is a state to report, not a crash.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from outlast.store import dialects, migrations

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection, Engine

T = TypeVar("T")

WAITING_LIMIT = 1000
"""Calls that may wait for a thread, reads and writes each; more are turned away at once."""


class DatabaseUnavailable(Exception):
    """The database cannot be used now: dead, locked, full or damaged. Trying later may help."""


class Database:
    """SQLite or PostgreSQL behind two awaitable calls.

    `write(fn)` and `read(fn)` run `fn(connection)` in a thread, in one transaction that is
    committed when `fn` returns and rolled back when it raises. `fn` must not touch the event loop.
    A cancelled call may still take effect: write so that doing it twice is harmless.
    """

    def __init__(self, url: str, *, readers: int = 3, busy_timeout_s: float = 5.0) -> None:
        """Raises BadDatabaseUrl; touches no file and no network."""
        self._url = dialects.parse_url(url)
        self._writer = dialects.make_engine(
            self._url, connections=1, busy_timeout_s=busy_timeout_s, writes=True
        )
        self._reader = dialects.make_engine(
            self._url, connections=readers, busy_timeout_s=busy_timeout_s, writes=False
        )
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="outlast-db-write")
        self._read_threads = ThreadPoolExecutor(readers, thread_name_prefix="outlast-db-read")
        self._preparing = threading.Lock()
        self._prepared = threading.Event()
        self._waiting = {self._write_thread: 0, self._read_threads: 0}
        self._closed = False

    @property
    def name(self) -> str:
        """The URL without its password, to show to a person."""
        plain = self._url.set(drivername=self.kind)
        return plain.render_as_string(hide_password=True)

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._url.get_backend_name()

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a write transaction, after the writes before it.

        Raises DatabaseUnavailable, SchemaTooNew, whatever `fn` raises, and SQLAlchemy's
        IntegrityError and DataError, which are about the data and not about the database.
        """
        return await self._submit(self._write_thread, self._writer, fn)

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a read-only transaction. Raises as `write` does."""
        return await self._submit(self._read_threads, self._reader, fn)

    async def close(self) -> None:
        """Let the running calls end, turn away those that wait, close every connection.

        Calling it again is harmless.
        """
        if self._closed:
            return
        self._closed = True
        for executor in (self._read_threads, self._write_thread):
            await asyncio.to_thread(executor.shutdown, wait=True)
        await asyncio.to_thread(self._reader.dispose)
        await asyncio.to_thread(self._writer.dispose)

    async def _submit(
        self, executor: ThreadPoolExecutor, engine: Engine, fn: Callable[[Connection], T]
    ) -> T:
        if self._closed:
            raise DatabaseUnavailable(f"The database {self.name} is closed.")
        if self._waiting[executor] >= WAITING_LIMIT:
            raise DatabaseUnavailable(
                f"{WAITING_LIMIT} calls already wait for the database {self.name}: it is slower "
                "than what is asked of it."
            )
        self._waiting[executor] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                executor, self._transact, engine, fn
            )
        finally:
            self._waiting[executor] -= 1

    def _transact(self, engine: Engine, fn: Callable[[Connection], T]) -> T:
        """In a thread: one transaction. The database's own errors leave as DatabaseUnavailable."""
        if self._closed:
            raise DatabaseUnavailable(f"The database {self.name} is closed.")
        try:
            self._prepare()
            with engine.begin() as connection:
                return fn(connection)
        except (IntegrityError, DataError):
            raise
        except DBAPIError as error:
            raise DatabaseUnavailable(self._explain(str(error.orig))) from error
        except SQLAlchemyError as error:
            raise DatabaseUnavailable(self._explain(str(error))) from error
        except OSError as error:
            raise DatabaseUnavailable(self._explain(str(error))) from error

    def _prepare(self) -> None:
        """Bring the schema up to date, once. A current schema is seen without the write lock, so
        that reads go on at start while somebody else holds it.
        """
        if self._prepared.is_set():
            return
        with self._preparing:
            if self._prepared.is_set():
                return
            dialects.create_parent(self._url)
            with self._reader.connect() as connection:
                current = migrations.is_current(connection)
            if not current:
                with self._writer.begin() as connection:
                    migrations.migrate(connection)
            dialects.protect_file(self._url)
            self._prepared.set()

    def _explain(self, what: str) -> str:
        first_line = what.strip().splitlines()[0] if what.strip() else "no reason was given"
        return f"The database {self.name} cannot be used now: {first_line}."
