"""Incidents that only the database still has, for readers without an account.

Whoever asks needs no key, so that not everything the database can do is theirs: receipts, keys and
the watch need it too.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from outlast.nouns import Incident
from outlast.observatory.case_changes import StoredClaim
from outlast.store.database import DatabaseUnavailable

T = TypeVar("T")

READS_MAX = 50
"""Under way at once; a thousand may wait for the database in all (store/database.py)."""


class Past(Protocol):
    """Incidents that are no longer on the board: the casebook. Raises DatabaseUnavailable."""

    def claims(self, incident: str | None = None) -> Coroutine[Any, Any, list[StoredClaim]]: ...
    def incident(self, incident_id: str) -> Coroutine[Any, Any, Incident | None]: ...
    def incidents(
        self, before_at: float = 1e11, limit: int = 50, provider: str | None = None
    ) -> Coroutine[Any, Any, list[Incident]]: ...


class PublicPast:
    """A Past that turns away whoever comes while READS_MAX others are answered."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._under_way = 0

    async def claims(self, incident: str | None = None) -> list[StoredClaim]:
        return await self._in_turn(self._past.claims(incident))

    async def incident(self, incident_id: str) -> Incident | None:
        return await self._in_turn(self._past.incident(incident_id))

    async def incidents(
        self, before_at: float = 1e11, limit: int = 50, provider: str | None = None
    ) -> list[Incident]:
        return await self._in_turn(self._past.incidents(before_at, limit, provider))

    async def _in_turn(self, read: Coroutine[Any, Any, T]) -> T:
        if self._under_way >= READS_MAX:
            read.close()
            raise DatabaseUnavailable(f"{READS_MAX} others ask for older incidents at this moment.")
        self._under_way += 1
        try:
            return await read
        finally:
            self._under_way -= 1
