from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from outlast.clock import ManualClock
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.drain import BACKOFF_LAST_S, BUSY_PER_S, Drain, Work, backoff_s
from outlast.store.journal import DISK_LIMIT_BYTES, SEGMENT_BYTES, Journal
from outlast.store.migrations import SchemaTooNew
from tests.heard import heard
from tests.store.databases import postgresql_url, sqlite_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.engine import Connection


class Word(msgspec.Struct):
    """A record as simple as can be; the database refuses odd ones."""

    said: str
    at: float = 1000.0


class Words:
    """A drain into a table of words, and how it went."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        batch_records: int = 200,
        busy_timeout_s: float = 5.0,
        journal: Journal | None = None,
        writers: int = 1,
    ) -> None:
        self.clock = ManualClock(1000.0)
        self.journal = journal or Journal(folder / "journal")
        self.database = Database(url, busy_timeout_s=busy_timeout_s)
        self.batches: list[list[str]] = []
        self.pruned = 0
        self.prune_failures: list[Exception] = []
        self.mistakes: list[Exception] = []
        """What goes wrong with the word 99."""
        self.on_batch: Callable[[], None] = lambda: None
        work = Work(
            name="words",
            noun="word",
            decode=msgspec.msgpack.Decoder(Word).decode,
            store=self.store,
            ident=lambda word: word.said,
            at=lambda word: word.at,
            prune=self.prune,
            batch_records=batch_records,
            gather_s=0.0,
            writers=writers,
        )
        self.drain = Drain(self.journal, self.database, work, clock=self.clock)

    async def prune(self) -> None:
        if self.prune_failures:
            raise self.prune_failures.pop()
        self.pruned += 1

    def store(self, connection: Connection, words: Sequence[Word]) -> None:
        self.batches.append([word.said for word in words])
        self.on_batch()
        for word in words:
            if word.said == "odd":
                raise IntegrityError("no such word", {}, ValueError())
            if word.said == "99" and self.mistakes:
                raise self.mistakes.pop()
            connection.execute(
                text("INSERT INTO keys_version (version) VALUES (:number)"),
                {"number": int(word.said)},
            )

    def say(self, *words: str, at: float = 1000.0, durable: bool = True) -> None:
        for word in words:
            assert self.drain.keep(msgspec.msgpack.encode(Word(word, at)), at) is durable

    async def stored(self) -> list[int]:
        """Numbers in the table, without the one that its migration put there."""
        query = text("SELECT version FROM keys_version WHERE version > 0 ORDER BY version")
        return list(await self.database.read(lambda c: c.execute(query).scalars().all()))

    async def close(self) -> None:
        await self.drain.close()
        self.journal.close()
        await self.database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


@pytest.fixture
async def words(url: str, tmp_path: Path) -> AsyncIterator[Words]:
    words = Words(url, tmp_path)
    yield words
    await words.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the background to get there; the test's own time limit is the limit."""
    while not condition():  # noqa: ASYNC110 - what is waited for is a state, not an event of ours
        await asyncio.sleep(0.01)


async def test_an_odd_record_keeps_nobody_out_and_is_counted(words: Words) -> None:
    words.say("1", "odd", "2")
    words.journal.append(b"\xc1 not a word")
    assert await words.drain.flush()
    assert await words.stored() == [1, 2]
    assert (words.drain.state.stored, words.drain.state.rejected) == (2, 2)
    assert words.batches == [["1", "odd", "2"], ["1"], ["odd"], ["2"]]


async def test_a_flush_drains_all_in_batches_of_the_size_that_was_asked_for(
    url: str, tmp_path: Path
) -> None:
    words = Words(url, tmp_path, batch_records=3)
    words.say(*(str(n) for n in range(1, 8)))
    assert await words.drain.flush()
    assert [len(batch) for batch in words.batches] == [3, 3, 1]
    assert words.drain.state.pending == 0
    await words.close()


async def test_what_a_killed_process_stored_and_did_not_mark_is_given_to_store_again(
    words: Words, url: str, tmp_path: Path
) -> None:
    words.say("1")
    batch = words.journal.read()
    assert await words.drain.flush()
    assert len(batch.records) == 1
    # The mark on disk is what a kill between the two commits would have left out.
    words.journal.append(batch.records[0])
    assert await words.drain.flush()
    assert words.batches == [["1"], ["1"]]


async def test_the_age_of_the_oldest_is_told_while_it_waits_and_forgotten_after(
    tmp_path: Path,
) -> None:
    words = Words(sqlite_url(tmp_path), tmp_path, busy_timeout_s=0.05)
    await words.stored()
    holder = sqlite3.connect(tmp_path / "outlast.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    words.say("1", at=990.0)
    words.say("2", at=995.0)
    assert not await words.drain.flush()
    words.clock.advance(10)
    waiting = words.drain.state
    assert waiting.lag_s == 20
    assert not waiting.healthy
    holder.execute("ROLLBACK")
    holder.close()
    assert await words.drain.flush()
    assert words.drain.state.healthy
    words.clock.advance(3600)
    words.say("3", at=words.clock.at)
    assert words.drain.state.lag_s == 0
    await words.close()


async def test_it_prunes_at_its_start_and_then_once_an_hour(words: Words) -> None:
    running = asyncio.create_task(words.drain.run())
    words.say("1")
    await until(lambda: words.pruned == 1)
    words.say("2")
    await until(lambda: words.drain.state.stored == 2)
    words.clock.advance(3599)
    words.say("3")
    await until(lambda: words.drain.state.stored == 3)
    assert words.pruned == 1
    words.clock.advance(1)
    words.say("4")
    await until(lambda: words.pruned == 2)
    await words.drain.close()
    await running


async def test_a_deletion_is_repeated_in_small_steps_until_nothing_is_left(words: Words) -> None:
    left = [7]

    def step(_connection: Connection) -> int:
        gone = min(3, left[0])
        left[0] -= gone
        return gone

    assert await words.drain.delete(step, 3) == 7
    assert left == [0]


async def test_after_its_end_it_says_that_it_is_closed_and_keeps_what_comes(
    words: Words, tmp_path: Path, url: str
) -> None:
    await words.drain.close()
    words.say("1")
    assert not await words.drain.flush()
    assert "closed" in words.drain.state.last_error
    words.journal.close()
    later = Words(url, tmp_path)
    assert await later.drain.flush()
    assert await later.stored() == [1]
    await later.close()


async def test_a_flush_ends_although_more_comes_in_all_the_time(words: Words) -> None:
    loop = asyncio.get_running_loop()
    said = list(range(1, 1000))

    def one_more() -> None:
        if said:
            # The answer's thread, while the database's works on the batch.
            asyncio.run_coroutine_threadsafe(say(str(said.pop())), loop).result()

    async def say(word: str) -> None:
        words.say(word)

    words.say("1000", "1001")
    words.on_batch = one_more
    assert await words.drain.flush()
    assert words.batches == [["1000", "1001"]]
    assert words.drain.state.pending == 1


async def test_the_age_of_the_oldest_is_not_that_of_one_that_is_stored(words: Words) -> None:
    running = asyncio.create_task(words.drain.run())
    words.say("1", at=words.clock.at)
    await until(lambda: words.drain.state.stored == 1 and words.pruned == 1)
    words.clock.advance(3600)
    words.say("2", at=words.clock.at)
    assert words.drain.state.pending == 1
    assert words.drain.state.lag_s == 0
    await words.drain.close()
    await running


class Watched(Journal):
    """A journal that notes when it is looked after: at the beginning of each draining."""

    def __init__(self, folder: Path, happened: list[str], disk_limit_bytes: int) -> None:
        self.happened = happened
        super().__init__(folder, disk_limit_bytes=disk_limit_bytes)

    def maintain(self) -> None:
        self.happened.append("begins")
        super().maintain()


@pytest.mark.parametrize(
    ("place", "disk_limit_bytes", "expected"),
    [
        ("with room", DISK_LIMIT_BYTES, ["begins", "10", "begins", "10", "5"]),
        ("half full", 2 * SEGMENT_BYTES, ["begins", "10", "10", "5"]),
        ("on a disk without room", DISK_LIMIT_BYTES, ["begins", "10", "10", "5"]),
    ],
)
async def test_while_much_comes_in_most_of_it_waits_in_a_journal_that_has_room_for_it(
    tmp_path: Path, place: str, disk_limit_bytes: int, expected: list[str]
) -> None:
    happened: list[str] = []
    folder = tmp_path / "watched"
    if "without" in place:
        folder.write_text("a file where the folder should be")
    words = Words(
        sqlite_url(tmp_path),
        tmp_path,
        batch_records=10,
        journal=Watched(folder, happened, disk_limit_bytes),
    )
    words.on_batch = lambda: happened.append(str(len(words.batches[-1])))
    running = asyncio.create_task(words.drain.run())
    words.say("1000", durable="without" not in place)
    await until(lambda: words.drain.state.stored == 1 and words.pruned == 1)
    happened.clear()
    # The clock stands still: this is more than any number a second.
    words.say(*map(str, range(1, 26)), durable="without" not in place)
    await until(lambda: words.drain.state.stored == 26)
    assert happened == expected
    await words.close()
    await running


@pytest.mark.parametrize(
    ("writers", "expected"),
    [(1, ["begins", "10", "10", "5"]), (2, ["begins", "10", "begins", "10", "5"])],
)
async def test_for_one_of_several_writers_its_share_of_what_is_much_is_much(
    tmp_path: Path, writers: int, expected: list[str]
) -> None:
    happened: list[str] = []
    journal = Watched(tmp_path / "watched", happened, DISK_LIMIT_BYTES)
    words = Words(
        sqlite_url(tmp_path), tmp_path, batch_records=10, journal=journal, writers=writers
    )
    words.on_batch = lambda: happened.append(str(len(words.batches[-1])))
    running = asyncio.create_task(words.drain.run())
    words.say("1000")
    await until(lambda: words.drain.state.stored == 1 and words.pruned == 1)
    happened.clear()
    words.clock.advance(26 / BUSY_PER_S)  # a little less than what is much for one alone
    words.say(*map(str, range(1, 26)))
    await until(lambda: words.drain.state.stored == 26)
    assert happened == expected
    await words.close()
    await running


async def test_what_nothing_had_room_for_is_told_in_the_log_once(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("a file where the folder should be")
    journal = Journal(in_the_way, memory_limit_bytes=50)
    words = Words(sqlite_url(tmp_path), tmp_path, journal=journal)
    words.say(*map(str, range(1, 11)), durable=False)
    lost = journal.state().lost
    assert 0 < lost < 10
    with heard() as logged:
        running = asyncio.create_task(words.drain.run())
        await until(lambda: words.drain.state.stored == 10 - lost and words.pruned == 1)
        words.say("11", durable=False)
        await until(lambda: words.drain.state.stored == 11 - lost)
        await words.close()
        await running
    assert words.drain.state.describe()["lost"] == lost
    told = [one for one in logged if one["event"] == "words_lost"]
    assert told == [{"event": "words_lost", "log_level": "error", "lost": lost, "in_all": lost}]


async def test_a_mistake_of_our_own_is_said_and_does_not_end_the_draining(words: Words) -> None:
    words.mistakes = [RuntimeError("no such luck")]
    running = asyncio.create_task(words.drain.run())
    words.say("99")
    await until(lambda: "no such luck" in words.drain.state.last_error)
    await until(lambda: words.drain.state.stored == 1 and words.drain.state.healthy)
    await words.drain.close()
    await running


@pytest.mark.parametrize("error", [DatabaseUnavailable("gone"), SchemaTooNew("gone")])
async def test_a_failing_prune_is_said_and_tried_again(words: Words, error: Exception) -> None:
    words.prune_failures = [error]
    running = asyncio.create_task(words.drain.run())
    words.say("1")
    await until(lambda: words.drain.state.last_error == "gone")
    await until(lambda: words.pruned == 1 and words.drain.state.healthy)
    await words.drain.close()
    await running


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.25), (2, 0.5), (3, 1.0), (7, BACKOFF_LAST_S), (10_000, 15.0)]
)
def test_each_failure_doubles_the_wait_up_to_a_limit(failures: int, seconds: float) -> None:
    assert backoff_s(failures) == seconds
