from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from outlast.nouns import (
    ComponentState,
    Evidence,
    Impact,
    Incident,
    Stage,
    Status,
    Suspicion,
    Update,
)
from outlast.observatory.case_changes import (
    INCIDENTS_LIMIT,
    NOTES_LIMIT,
    AuditEntry,
    Changes,
    Snapshot,
    StoredClaim,
    merge,
)
from outlast.observatory.casebook import PIECES_LIMIT, Casebook, Written
from outlast.store.database import Database, DatabaseUnavailable
from tests.observatory.history.houses import NOW
from tests.store.databases import Gate, postgresql_url, sqlite_url
from tests.store.test_drain import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection


def update(n: int, **fields: Any) -> Update:
    usual: dict[str, Any] = {
        "kind": "opened" if n == 0 else "changed",
        "stage": Stage.INVESTIGATING,
        "text": {"en": f"Entry {n}.", "fr": f"Entrée {n}."},
        "evidence": (Evidence("probe", NOW, 3.0, failures=2, total=2),),
    }
    return Update(at=NOW + n, **(usual | fields))


def incident(name: str = "inc_1", entries: int = 1, **fields: Any) -> Incident:
    usual: dict[str, Any] = {
        "provider": "anthropic",
        "opened_at": NOW,
        "started_at": NOW - 60,
        "stage": Stage.INVESTIGATING,
        "impact": Impact.MAJOR,
        "suspicion": Suspicion.S_DOWN,
        "components": {"anthropic/api": Status.PARTIAL},
        "title": {"en": "Errors", "fr": "Erreurs"},
        "updates": tuple(update(n) for n in range(entries)),
    }
    return Incident(id=name, **(usual | fields))


def state(component: str = "anthropic/api", probability: float = 0.7) -> ComponentState:
    return ComponentState(
        component, Status.PARTIAL, Suspicion.S_DOWN, probability, NOW, NOW, incident="inc_1"
    )


def note(connection: Connection, number: int) -> None:
    """A further write in the same transaction, as a delivery is one."""
    connection.execute(text("INSERT INTO keys_version (version) VALUES (:n)"), {"n": number})


async def noted(database: Database) -> list[int]:
    query = text("SELECT version FROM keys_version WHERE version > 0 ORDER BY version")
    return list(await database.read(lambda c: c.execute(query).scalars().all()))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
async def casebook(database: Database) -> AsyncIterator[Casebook]:
    casebook = Casebook(database)
    yield casebook
    await casebook.close()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite database that somebody else holds, until `rollback`."""
    holder = sqlite3.connect(tmp_path / "outlast.db", isolation_level=None)
    yield holder
    holder.close()


async def test_everything_of_a_piece_comes_back_as_it_was(
    casebook: Casebook, database: Database
) -> None:
    claim = StoredClaim("c", "inc_1", NOW, b'{"text":"AWS"}')
    snapshot = Snapshot("watch", NOW, b'{"n":1}')
    entry = AuditEntry("a", NOW, "Ada", "annotate", b'{"text":"Known."}')
    piece = Changes(
        incidents=(incident(entries=3),),
        states=(state(),),
        claims=(claim,),
        snapshots=(snapshot,),
        audit=(entry,),
        also=(partial(note, number=7),),
    )
    assert await casebook.commit(piece) is Written.STORED
    assert await casebook.open_incidents() == [incident(entries=3)]
    assert await casebook.incident("inc_1") == incident(entries=3)
    assert await casebook.states() == [state()]
    assert await casebook.claims("inc_1") == await casebook.claims() == [claim]
    assert await casebook.claims("inc_2") == []
    assert await casebook.snapshot("watch") == snapshot
    assert await casebook.audit() == [entry]
    assert await noted(database) == [7]


async def test_snapshots_are_found_by_how_their_names_begin_the_newest_last(
    casebook: Casebook,
) -> None:
    names = {"a_b/2": 2.0, "a_b/1": 1.0, "a_b/3": 3.0, "axb/1": 4.0, "a_b": 5.0, "A_B/9": 6.0}
    found = tuple(Snapshot(name, NOW + at, b"{}") for name, at in names.items())
    await casebook.commit(Changes(snapshots=found))
    assert [one.name for one in await casebook.snapshots("a_b/")] == ["a_b/1", "a_b/2", "a_b/3"]
    assert [one.name for one in await casebook.snapshots("a_b/", 2)] == ["a_b/2", "a_b/3"]
    assert await casebook.snapshots("a%") == []
    assert await casebook.snapshots("no\x00such") == []


async def test_the_audit_goes_on_before_a_time(casebook: Casebook) -> None:
    entries = [AuditEntry(f"a{n}", NOW + n, "Ada", "annotate") for n in range(5)]
    await casebook.commit(Changes(audit=tuple(entries), fenced=False))
    assert await casebook.audit(2) == [entries[4], entries[3]]
    assert await casebook.audit(2, NOW + 3) == [entries[2], entries[1]]
    assert await casebook.audit(2, NOW) == []


async def test_what_is_not_there_is_none(casebook: Casebook) -> None:
    assert await casebook.incident("no\x00such") is None
    assert await casebook.snapshot("watch") is None
    assert await casebook.open_incidents() == []
    assert await casebook.states() == []


async def test_updates_are_appended_and_never_changed(casebook: Casebook) -> None:
    await casebook.commit(Changes(incidents=(incident(entries=2),)))
    rewritten = (update(0, kind="retracted"), update(1, kind="retracted"), update(2))
    later = incident(updates=rewritten, stage=Stage.MONITORING)
    await casebook.commit(Changes(incidents=(later,)))
    found = await casebook.incident("inc_1")
    assert found is not None
    assert found.stage is Stage.MONITORING
    assert found.updates == tuple(update(n) for n in range(3))


async def test_writing_a_piece_again_changes_nothing(casebook: Casebook) -> None:
    piece = Changes(
        incidents=(incident(entries=2),),
        states=(state(),),
        audit=(AuditEntry("a", NOW, "Ada", "annotate"),),
        snapshots=(Snapshot("watch", NOW, b"{}"),),
    )
    for _ in range(2):
        assert await casebook.commit(piece) is Written.STORED
    assert await casebook.incidents() == [incident(entries=2)]
    assert len(await casebook.audit()) == 1


async def test_incidents_are_listed_newest_first_and_those_that_ended_are_not_open(
    casebook: Casebook,
) -> None:
    for n in range(4):
        one = incident(
            f"inc_{n}",
            provider="openai" if n == 1 else "anthropic",
            opened_at=NOW + n,
            resolved_at=NOW + 9 if n == 2 else None,
        )
        await casebook.commit(Changes(incidents=(one,)))

    async def names(**asked: Any) -> list[str]:
        return [one.id for one in await casebook.incidents(**asked)]

    assert await names() == ["inc_3", "inc_2", "inc_1", "inc_0"]
    assert await names(before_at=NOW + 2) == ["inc_1", "inc_0"]
    assert await names(limit=1) == ["inc_3"]
    assert await names(provider="openai") == ["inc_1"]
    assert [one.id for one in await casebook.open_incidents()] == ["inc_0", "inc_1", "inc_3"]


async def test_a_piece_is_written_whole_or_not_at_all(
    casebook: Casebook, database: Database
) -> None:
    """A snapshot whose body is no text is refused, and with it the rest of its piece."""
    odd = Changes(
        incidents=(incident("inc_odd"),),
        states=(state(),),
        snapshots=(Snapshot("watch", NOW, b"\xff"),),
    )
    assert await casebook.commit(odd) is Written.REFUSED
    assert await casebook.incidents() == []
    assert await casebook.states() == []
    assert await casebook.commit(Changes(incidents=(incident(),))) is Written.STORED
    assert (casebook.state.rejected, casebook.state.waiting) == (1, 0)


async def test_a_delivery_that_cannot_be_written_does_not_cost_us_the_incident(
    casebook: Casebook, database: Database
) -> None:
    def odd(connection: Connection) -> None:
        note(connection, 1)
        raise KeyError("a fault in a hook")

    assert await casebook.commit(Changes(incidents=(incident(),), also=(odd,))) is Written.STORED
    assert await casebook.incident("inc_1") == incident()
    assert await noted(database) == []
    assert casebook.state.rejected == 1


async def test_who_lost_the_watch_can_write_nothing_of_it(database: Database, url: str) -> None:
    sleeper, other = Casebook(database), Casebook(database)
    assert await sleeper.commit(Changes(states=(state(probability=0.1),))) is Written.STORED
    other.lead()
    assert await other.commit(Changes(states=(state(probability=0.9),))) is Written.STORED
    late = Changes(states=(state(probability=0.2),), also=(partial(note, number=1),))
    assert await sleeper.commit(late) is Written.FENCED
    assert await sleeper.commit(late) is Written.FENCED
    assert [one.probability for one in await other.states()] == [0.9]
    assert await noted(database) == []
    assert not sleeper.state.leads
    # What any replica may write is not held up, and the watch can come back.
    free = Changes(snapshots=(Snapshot("feeds", NOW, b"{}"),), fenced=False)
    assert await sleeper.commit(free) is Written.STORED
    sleeper.lead()
    assert await sleeper.commit(Changes(states=(state(probability=0.3),))) is Written.STORED
    assert await other.commit(Changes(states=(state(),))) is Written.FENCED
    assert [one.probability for one in await other.states()] == [0.3]


async def test_a_restart_takes_the_fence_from_its_former_self(url: str) -> None:
    for probability in (0.1, 0.2):
        database = Database(url)
        casebook = Casebook(database)
        piece = Changes(states=(state(probability=probability),))
        assert await casebook.commit(piece) is Written.STORED
        assert [one.probability for one in await casebook.states()] == [probability]
        await casebook.close()
        await database.close()


async def test_a_lease_that_ended_before_the_first_write_takes_no_fence(
    casebook: Casebook, database: Database
) -> None:
    holder = Casebook(database)
    assert await holder.commit(Changes(states=(state(),))) is Written.STORED
    casebook.lead(holds=lambda: False)
    assert await casebook.commit(Changes(states=(state(),))) is Written.FENCED
    assert await holder.commit(Changes(states=(state(),))) is Written.STORED


@pytest.mark.postgresql
async def test_of_two_that_take_the_fence_at_once_one_gets_it_first() -> None:
    with postgresql_url() as url:
        databases = [Database(url), Database(url)]
        books = [Casebook(one) for one in databases]
        pieces = [Changes(states=(state(f"p{n}/api"),)) for n in range(2)]
        both = await asyncio.gather(
            *(book.commit(piece) for book, piece in zip(books, pieces, strict=True))
        )
        assert both == [Written.STORED, Written.STORED]
        again = [await book.commit(piece) for book, piece in zip(books, pieces, strict=True)]
        assert sorted(again) == [Written.FENCED, Written.STORED]
        for one in databases:
            await one.close()


async def test_no_snapshot_may_have_a_fences_name(casebook: Casebook) -> None:
    with pytest.raises(ValueError, match="fence/"):
        await casebook.commit(Changes(snapshots=(Snapshot("fence/watch", NOW, b"9"),)))


async def test_while_the_database_is_locked_pieces_wait_and_the_newest_state_wins(
    tmp_path: Path, locked: sqlite3.Connection
) -> None:
    database = Database(sqlite_url(tmp_path), busy_timeout_s=0.05)
    casebook = Casebook(database)
    await casebook.states()
    locked.execute("BEGIN EXCLUSIVE")
    running = asyncio.create_task(casebook.run())
    count = PIECES_LIMIT * 3
    for n in range(count):
        piece = Changes(
            incidents=(incident(entries=n + 1),),
            states=(state(probability=n / count),),
            also=(partial(note, number=n + 1),),
        )
        assert await casebook.commit(piece) is Written.WAITING
    assert casebook.state.waiting == PIECES_LIMIT
    assert "locked" in casebook.state.last_error
    locked.execute("ROLLBACK")
    await until(lambda: not casebook.state.waiting)
    assert await casebook.incidents() == [incident(entries=count)]
    assert [one.probability for one in await casebook.states()] == [(count - 1) / count]
    assert await noted(database) == list(range(1, count + 1))
    assert (casebook.state.lost, casebook.state.last_error) == (0, "")
    await casebook.close()
    await running
    await database.close()


@pytest.mark.postgresql
async def test_while_the_database_is_dead_reads_say_so_and_commits_wait() -> None:
    gate = Gate()
    gate.open()
    gate.shut()
    with postgresql_url(gate.port) as url:
        database = Database(url)
        casebook = Casebook(database)
        assert await casebook.commit(Changes(incidents=(incident(),))) is Written.WAITING
        for reading in (
            casebook.open_incidents(),
            casebook.incident("inc_1"),
            casebook.states(),
            casebook.claims(),
            casebook.audit(),
            casebook.snapshot("watch"),
        ):
            with pytest.raises(DatabaseUnavailable):
                await reading
        gate.open()
        assert await casebook.flush()
        assert await casebook.incident("inc_1") == incident()
        assert casebook.state.waiting == 0
        await casebook.close()
        await database.close()
    gate.shut()


async def test_who_resigns_forgets_what_waits_of_the_watch_and_nothing_else(
    tmp_path: Path, locked: sqlite3.Connection
) -> None:
    database = Database(sqlite_url(tmp_path), busy_timeout_s=0.05)
    casebook = Casebook(database)
    await casebook.states()
    locked.execute("BEGIN EXCLUSIVE")
    await casebook.commit(Changes(states=(state(),)))
    await casebook.commit(Changes(snapshots=(Snapshot("feeds", NOW, b"{}"),), fenced=False))
    assert casebook.state.waiting == 2
    casebook.resign()
    assert casebook.state.waiting == 1
    locked.execute("ROLLBACK")
    assert await casebook.flush()
    assert await casebook.states() == []
    assert await casebook.snapshot("feeds") == Snapshot("feeds", NOW, b"{}")
    await casebook.close()
    await database.close()


def test_two_pieces_as_one_keep_the_newest_of_everything() -> None:
    older = Changes(
        incidents=(incident("a"), incident("b")),
        states=(state("a/api", 0.1), state("b/api", 0.1)),
        audit=(AuditEntry("1", NOW, "Ada", "annotate"),),
    )
    newer = Changes(
        incidents=(incident("a", entries=2),),
        states=(state("a/api", 0.9),),
        audit=(AuditEntry("2", NOW, "Ada", "retract"),),
        snapshots=(Snapshot("watch", NOW, b"{}"),),
    )
    merged, lost = merge(older, newer)
    assert lost == 0
    assert {one.id: len(one.updates) for one in merged.incidents} == {"a": 2, "b": 1}
    assert {one.component: one.probability for one in merged.states} == {"a/api": 0.9, "b/api": 0.1}
    assert [one.id for one in merged.audit] == ["1", "2"]
    assert merged.snapshots == newer.snapshots


def test_beyond_its_limits_a_piece_gives_up_what_is_over_then_what_is_oldest() -> None:
    many = tuple(
        incident(str(n), entries=0, resolved_at=NOW if n == 5 else None)
        for n in range(INCIDENTS_LIMIT)
    )
    entries = tuple(AuditEntry(str(n), NOW, "Ada", "annotate") for n in range(NOTES_LIMIT))
    merged, lost = merge(
        Changes(incidents=many, audit=entries),
        Changes(
            incidents=(incident("new"), incident("newer")),
            audit=(AuditEntry("new", NOW, "Ada", "annotate"),),
        ),
    )
    left = {one.id for one in merged.incidents}
    assert {str(n) for n in range(INCIDENTS_LIMIT)} - left == {"5", "0"}
    assert [merged.audit[0].id, merged.audit[-1].id] == ["1", "new"]
    assert lost == 3
