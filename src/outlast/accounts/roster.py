"""The roster: which keys there are, answered from memory, whatever the database does.

All keys are held in memory and read again when a counter in the database says that something
changed, so that what another process created or revoked is known within about two seconds. A
snapshot on the local disk (hashes only) keeps people from being locked out when the database is
dead at start.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog

from outlast.accounts import roster_tables as tables
from outlast.accounts.keys import (
    RANDOM_BYTES,
    SENT_LIMIT,
    BadKey,
    Key,
    KeyRecord,
    Notice,
    hash_of,
    mint,
)
from outlast.accounts.keys import parse as parse_key
from outlast.clock import SystemClock
from outlast.nouns import Allow
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from outlast.clock import Clock
    from outlast.store.database import Database

log = structlog.get_logger(__name__)

REFRESH_S = 2.0
FRESH_PAUSE_S = 0.5
"""Unknown keys cause at most one look at the database in this time."""
SNAPSHOT_LIMIT_BYTES = 256 * 1024 * 1024
SNAPSHOT_NAME = "keys.json"


class RosterState(msgspec.Struct, frozen=True):
    keys: int
    """Keys that are not revoked."""
    source: str
    """Where they came from: `database`, `snapshot` (the database was dead), or `nowhere`."""
    last_error: str


class Snapshot(msgspec.Struct, frozen=True):
    """The file. `database` says whose keys these are: another database's must not open doors."""

    database: str
    version: int
    records: list[KeyRecord]


class Roster:
    """Owned by one event loop. `await load()` first, then `run()` in the background."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        clock: Clock | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database = database
        self._snapshot_path = folder / SNAPSHOT_NAME
        self._clock = clock or SystemClock()
        self._entropy = entropy
        self._by_hash: dict[str, Key] = {}
        self.generation = 0
        """Another number whenever a secret may mean another key than before."""
        self._version = -1
        self._source = "nowhere"
        self._error = ""
        self._refreshing: asyncio.Task[bool] | None = None
        self._fresh_due = float("-inf")
        self._closing = asyncio.Event()

    @property
    def state(self) -> RosterState:
        alive = sum(not key.revoked for key in self._by_hash.values())
        return RosterState(alive, self._source, self._error)

    async def load(self) -> None:
        """Fill the memory from the snapshot, then from the database if it is alive. Never raises
        for either of them: `state` says what is known.
        """
        await asyncio.to_thread(self._load_snapshot)
        await self.refresh()

    def authenticate(self, secret: str) -> Key | None:
        """The key with this secret, unless unknown or revoked. From memory, in microseconds."""
        if len(secret) > SENT_LIMIT:
            return None
        key = self._by_hash.get(hash_of(secret))
        return key if key is not None and not key.revoked else None

    async def authenticate_fresh(self, secret: str) -> Key | None:
        """As `authenticate`, but an unknown key is looked for in the database first: it may have
        been made a moment ago by another process.

        Typing errors and foreign keys (see keys.parse) never get that far, and all unknown keys
        together cause one look per FRESH_PAUSE_S.
        """
        found = self.authenticate(secret)
        if found is not None:
            return found
        try:
            parse_key(secret)
        except BadKey:
            return None
        now = self._clock.monotonic()
        if now >= self._fresh_due:
            self._fresh_due = now + FRESH_PAUSE_S
            await self.refresh()
        elif self._refreshing is not None:
            await asyncio.shield(self._refreshing)
        return self.authenticate(secret)

    async def create(
        self,
        name: str,
        *,
        allow: Allow = Allow.LOCAL,
        models: tuple[str, ...] = ("*",),
        requests_per_minute: int | None = None,
        concurrent: int | None = None,
        notice: Notice = "",
    ) -> tuple[str, Key]:
        """Make a key; its secret is returned this once and kept nowhere.

        Raises BadKeySettings, TooManyKeys, DatabaseUnavailable, SchemaTooNew.
        """
        secret, record = mint(
            self._entropy(RANDOM_BYTES),
            name=name,
            at=self._clock.wall(),
            allow=allow,
            models=models,
            requests_per_minute=requests_per_minute,
            concurrent=concurrent,
            notice=notice,
        )
        await self._database.write(partial(tables.insert_key, record=record))
        await self._learn(record)
        return secret, record.key

    async def revoke(self, which: str) -> Key:
        """Revoke the key with this id, or with this name if only one living key has it.

        Revoking twice is harmless. Raises KeyNotFound, DatabaseUnavailable, SchemaTooNew.
        """
        at = self._clock.wall()
        record = await self._database.write(partial(tables.revoke, which=which, at=at))
        await self._learn(record)
        return record.key

    async def list(self) -> list[Key]:
        """All keys, revoked ones too, oldest first. Raises DatabaseUnavailable, SchemaTooNew."""
        records, _ = await self._database.read(tables.select_all)
        return [record.key for record in records]

    async def ensure_first_key(self, name: str = "first") -> str | None:
        """Make a key if there has never been one, and return its secret; else None.

        Of several processes that start at once, one makes it: who turns the counter from 0 to 1.
        Raises DatabaseUnavailable, SchemaTooNew.
        """
        secret, record = mint(self._entropy(RANDOM_BYTES), name=name, at=self._clock.wall())
        made = await self._database.write(partial(tables.insert_first, record=record))
        await self.refresh()
        return secret if made else None

    async def refresh(self) -> bool:
        """Look whether something changed, and take it over. Callers at the same time share one
        look. False when the database cannot be asked; then what is known stays.
        """
        if self._refreshing is not None:
            # It may have begun before the change that this caller wants to see.
            await asyncio.shield(self._refreshing)
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(self._refreshed)
        return await asyncio.shield(self._refreshing)

    async def run(self) -> None:
        """Refresh every REFRESH_S until `close`. Cancelling it is safe."""
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_S):
                    await self._closing.wait()
                    return
            await self.refresh()

    async def close(self) -> None:
        """Stop, and let a refresh under way end."""
        self._closing.set()
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    async def _learn(self, record: KeyRecord) -> None:
        """Hold a change at once, whatever becomes of the database, then look at the whole."""
        self._by_hash[record.hash] = record.key
        self.generation += 1
        await self.refresh()

    def _refreshed(self, task: asyncio.Task[bool]) -> None:
        if self._refreshing is task:
            self._refreshing = None

    async def _refresh(self) -> bool:
        try:
            changed = await self._database.read(partial(tables.select_changed, known=self._version))
        except (DatabaseUnavailable, SchemaTooNew, ValueError) as error:
            # ValueError: a row of a newer version's making. What is known stays.
            if not self._error:
                log.warning("roster_not_refreshed", reason=str(error), source=self._source)
            self._error = str(error)
            return False
        self._error = ""
        if changed is not None:
            records, version = changed
            self._take(records, version, "database")
            await asyncio.to_thread(self._save_snapshot, records, version)
        self._source = "database"
        return True

    def _take(self, records: Sequence[KeyRecord], version: int, source: str) -> None:
        self._by_hash = {record.hash: record.key for record in records}
        self.generation += 1
        self._version = version
        self._source = source

    # The snapshot, in a thread.

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256(self._database.name.encode()).hexdigest()

    def _load_snapshot(self) -> None:
        try:
            if self._snapshot_path.stat().st_size > SNAPSHOT_LIMIT_BYTES:
                raise ValueError("it is too large to be one")  # noqa: TRY301 - one way out
            snapshot = msgspec.json.decode(self._snapshot_path.read_bytes(), type=Snapshot)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("key_snapshot_unreadable", path=str(self._snapshot_path), reason=str(error))
            return
        if snapshot.database == self._fingerprint:
            # Version -1: the database, once asked, is always believed over the snapshot.
            self._take(snapshot.records, -1, "snapshot")

    def _save_snapshot(self, records: Sequence[KeyRecord], version: int) -> None:
        """Write it whole beside the old one, then put it in its place. A failure is reported and
        costs nothing but the shelter for the next start.
        """
        data = msgspec.json.encode(Snapshot(self._fingerprint, version, [*records]))
        fresh = self._snapshot_path.with_name(f"{SNAPSHOT_NAME}.{self._entropy(8).hex()}.tmp")
        try:
            self._snapshot_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(self._snapshot_path)
            finally:
                fresh.unlink(missing_ok=True)
        except OSError as error:
            log.warning("key_snapshot_unwritten", path=str(self._snapshot_path), reason=str(error))
