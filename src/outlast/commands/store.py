"""What the commands that look into the service's database share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from outlast import logs
from outlast.commands.common import EXIT_UNREACHABLE, CommandFailed
from outlast.config import Settings
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.dialects import BadDatabaseUrl
from outlast.store.migrations import SchemaTooNew

T = TypeVar("T")


def with_database(settings: Settings, act: Callable[[Database], Awaitable[T]]) -> T:
    """Open the service's database, act, close it. Works while the service runs.

    Raises CommandFailed when the database cannot be reached.
    """
    logs.configure("error", "text")
    try:
        return asyncio.run(_act(settings.store_url, act))
    except BadDatabaseUrl as error:
        raise CommandFailed(f"store.url: {error}") from error
    except (DatabaseUnavailable, SchemaTooNew) as error:
        raise CommandFailed(str(error), EXIT_UNREACHABLE) from error


async def _act(url: str, act: Callable[[Database], Awaitable[T]]) -> T:
    database = Database(url, readers=1)
    try:
        return await act(database)
    finally:
        await database.close()


def place_of(settings: Settings) -> str:
    """Which database was looked into, in words and without a password."""
    return "the database of store.url" if settings.store.url else str(settings.data_path)
