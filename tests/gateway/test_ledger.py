from __future__ import annotations

import asyncio
import errno
import json
import signal
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import text

from outlast.clock import ManualClock
from outlast.gateway.ledger import Ledger
from outlast.nouns import Attempt, Degraded, Format, Outcome, Receipt, Scope, Tokens
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.journal import Journal
from outlast.store.segment import RECORD_LIMIT_BYTES
from tests.store.children import child, line, tmpfs
from tests.store.databases import Gate, postgresql_url, sqlite_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

DAY = 86400.0


def receipt(name: str = "req_1", key: str = "key_a", at: float = 1000.0) -> Receipt:
    return Receipt(
        id=name,
        key_id=key,
        surface="/v1/messages",
        format=Format.ANTHROPIC,
        model="claude",
        stream=True,
        started_at=at - 2,
        ended_at=at,
        outcome="ok",
        status=200,
        served_by="second/m",
        degraded=Degraded.OTHER_HOST,
        dropped=("top_k", "metadata"),
        error="",
        attempts=(
            Attempt(
                upstream="first",
                model="m",
                outcome=Outcome.OVERLOADED,
                scope=Scope.PROVIDER,
                started_at=at - 2,
                ended_at=at - 1,
                status=529,
                evidence="HTTP 529 overloaded_error",
                request_id="req_upstream",
            ),
            Attempt(
                upstream="second",
                model="m",
                outcome=Outcome.OK,
                scope=Scope.NONE,
                started_at=at - 1,
                ended_at=at,
                first_content_s=0.25,
                tokens=Tokens(input=10, output=20, cache_read=3, cache_write=4, reasoning=5),
            ),
        ),
    )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the background to get there; the test's own time limit is the limit."""
    while not condition():  # noqa: ASYNC110 - what is waited for is a state, not an event of ours
        await asyncio.sleep(0.01)


class House:
    """A ledger with what it stands on."""

    def __init__(self, url: str, folder: Path, **settings: float) -> None:
        self.clock = ManualClock(1000.0)
        self.journal = Journal(folder / "journal")
        self.database = Database(url, busy_timeout_s=settings.get("busy_timeout_s", 5.0))
        self.ledger = Ledger(
            self.journal,
            self.database,
            clock=self.clock,
            retention_days=settings.get("retention_days", 30.0),
            recent_limit=int(settings.get("recent_limit", 2000)),
        )

    async def close(self) -> None:
        await self.ledger.close()
        self.journal.close()
        await self.database.close()


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[House]:
    house = House(url, tmp_path)
    yield house
    await house.close()


async def stored(database: Database) -> list[str]:
    rows = await database.read(
        lambda connection: connection.execute(text("SELECT id FROM exchanges ORDER BY id")).all()
    )
    return [row[0] for row in rows]


async def test_a_receipt_comes_back_from_the_database_as_it_was(
    house: House, url: str, tmp_path: Path
) -> None:
    house.ledger.record(receipt())
    assert await house.ledger.flush()
    assert house.ledger.state.stored == 1
    later = House(url, tmp_path / "other")
    assert await later.ledger.find("req_1", "key_a") == receipt()
    await later.close()


@pytest.mark.parametrize("model", ["m", "m" * (RECORD_LIMIT_BYTES + 1)])
async def test_a_receipt_that_is_encoded_already_is_kept_like_any_other(
    house: House, url: str, tmp_path: Path, model: str
) -> None:
    told = msgspec.structs.replace(receipt(), model=model)
    house.ledger.keep(told.id, msgspec.msgpack.encode(told), told.ended_at)
    assert await house.ledger.find(told.id, "key_a") == told
    assert await house.ledger.find(told.id, "key_b") is None
    assert await house.ledger.recent("key_a") == [told]
    assert await house.ledger.flush()
    assert house.ledger.state.rejected == 0
    later = House(url, tmp_path / "other")
    found = await later.ledger.find(told.id, "key_a")
    assert found is not None
    assert told.model.startswith(found.model)
    await later.close()


async def test_one_row_per_attempt_tells_what_was_observed(house: House) -> None:
    house.ledger.record(receipt())
    await house.ledger.flush()
    rows = await house.database.read(
        lambda connection: connection.execute(
            text(
                "SELECT upstream, outcome, scope, status, output_tokens, evidence FROM attempts "
                "ORDER BY number"
            )
        ).all()
    )
    assert [tuple(row) for row in rows] == [
        ("first", "overloaded", "provider", 529, 0, "HTTP 529 overloaded_error"),
        ("second", "ok", "none", None, 20, ""),
    ]


async def test_a_receipt_is_shown_to_its_key_and_to_an_operator_alone(
    url: str, tmp_path: Path
) -> None:
    house = House(url, tmp_path, recent_limit=1)
    house.ledger.record(receipt("req_old", "key_a"))
    house.ledger.record(receipt("req_new", "key_a"))
    await house.ledger.flush()
    for name in ("req_old", "req_new"):  # from the database, and from memory
        assert await house.ledger.find(name, "key_b") is None
        for owner in ("key_a", None):
            found = await house.ledger.find(name, owner)
            assert found is not None
            assert found.id == name
    await house.close()


@pytest.mark.parametrize("name", ["", "req_none", "req_\x00", "x" * 5000, "'; DROP TABLE keys"])
async def test_an_unknown_receipt_is_not_there(house: House, name: str) -> None:
    assert await house.ledger.find(name, "key_a") is None


async def test_the_last_receipts_come_newest_first_from_memory_and_database(
    url: str, tmp_path: Path
) -> None:
    house = House(url, tmp_path, recent_limit=2)
    for n in range(5):
        house.ledger.record(receipt(f"req_{n}", "key_a", 1000.0 + n))
    await house.ledger.flush()
    house.ledger.record(receipt("req_5", "key_a", 1005.0))  # not in the database yet
    house.ledger.record(receipt("req_other", "key_b", 1006.0))
    assert [one.id for one in await house.ledger.recent("key_a", 4)] == [
        "req_5",
        "req_4",
        "req_3",
        "req_2",
    ]
    assert len(await house.ledger.recent(None, 100)) == 7
    await house.close()


async def test_storing_twice_stores_once(house: House) -> None:
    house.ledger.record(receipt("req_1"))
    house.ledger.record(receipt("req_1"))
    await house.ledger.flush()
    house.ledger.record(receipt("req_1"))
    await house.ledger.flush()
    assert await stored(house.database) == ["req_1"]
    found = await house.ledger.find("req_1", None)
    assert found is not None
    assert len(found.attempts) == 2


async def test_run_drains_by_itself_and_close_drains_what_is_left(url: str, tmp_path: Path) -> None:
    house = House(url, tmp_path)
    running = asyncio.create_task(house.ledger.run())
    house.ledger.record(receipt("req_1"))
    await until(lambda: not house.ledger.state.pending)
    assert await stored(house.database) == ["req_1"]
    house.ledger.record(receipt("req_2"))
    await house.ledger.close()
    await running
    assert await stored(house.database) == ["req_1", "req_2"]
    assert house.ledger.state.pending == 0
    await house.close()


async def test_a_locked_database_delays_nothing_and_is_caught_up_with_later(
    tmp_path: Path,
) -> None:
    house = House(sqlite_url(tmp_path), tmp_path, busy_timeout_s=0.05)
    await stored(house.database)
    holder = sqlite3.connect(tmp_path / "outlast.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    running = asyncio.create_task(house.ledger.run())
    for n in range(50):
        house.ledger.record(receipt(f"req_{n:02}"))
    await until(lambda: bool(house.ledger.state.last_error))
    state = house.ledger.state
    assert "locked" in state.last_error
    assert (state.pending, state.in_memory, state.lost) == (50, 0, 0)
    assert not state.healthy
    found = await house.ledger.find("req_07", "key_a")
    assert found == receipt("req_07")
    assert len(await house.ledger.recent("key_a", 100)) == 50
    house.clock.advance(60)
    assert house.ledger.state.lag_s == 60
    holder.execute("ROLLBACK")
    holder.close()
    await until(lambda: not house.ledger.state.pending)
    assert await stored(house.database) == [f"req_{n:02}" for n in range(50)]
    assert (house.ledger.state.lag_s, house.ledger.state.lost) == (0, 0)
    await house.close()
    await running
    assert house.ledger.state.last_error == ""


@pytest.mark.postgresql
async def test_a_postgresql_that_is_refused_and_comes_back_gets_every_receipt(
    tmp_path: Path,
) -> None:
    gate = Gate()
    gate.open()
    gate.shut()
    with postgresql_url(gate.port) as url:
        house = House(url, tmp_path)
        house.ledger.record(receipt("req_1"))
        assert not await house.ledger.flush()
        assert "cannot be used now" in house.ledger.state.last_error
        assert await house.ledger.find("req_1", "key_a") == receipt("req_1")
        with pytest.raises(DatabaseUnavailable):
            await house.ledger.find("req_of_yesterday", "key_a")
        gate.open()
        assert await house.ledger.flush()
        gate.shut()
        house.ledger.record(receipt("req_2"))
        assert not await house.ledger.flush()
        gate.open()
        assert await house.ledger.flush()
        assert await stored(house.database) == ["req_1", "req_2"]
        assert house.ledger.state.last_error == ""
        await house.close()
    gate.shut()


async def test_with_the_database_dead_after_a_restart_what_waits_can_still_be_shown(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    url = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/nowhere"
    before = House(url, tmp_path)
    before.ledger.record(receipt("req_1"))
    await before.close()
    after = House(url, tmp_path)
    assert not await after.ledger.flush()
    assert await after.ledger.find("req_1", "key_a") == receipt("req_1")
    await after.close()


async def test_what_an_upstream_sent_can_be_as_odd_as_it_likes(house: House) -> None:
    odd = receipt("req_odd")
    first = odd.attempts[0]
    odd = msgspec.structs.replace(
        odd,
        error="lone surrogate \ud800, NUL \x00, " + "long " * 100_000,
        attempts=(
            msgspec.structs.replace(
                first,
                evidence="\x00\udfff",
                request_id="r" * 10_000,
                status=10**6,
                tokens=Tokens(input=10**30, output=-5),
            ),
        )
        * 500,
    )
    house.ledger.record(receipt("req_before"))
    house.ledger.record(odd)
    house.ledger.record(receipt("req_after"))
    assert await house.ledger.flush()
    assert await stored(house.database) == ["req_after", "req_before", "req_odd"]
    assert (house.ledger.state.rejected, house.ledger.state.pending) == (0, 0)


async def test_a_record_that_cannot_be_read_back_is_counted_and_keeps_nobody_out(
    house: House,
) -> None:
    house.journal.append(b"\xc1 not a receipt")
    house.ledger.record(receipt("req_1"))
    assert await house.ledger.flush()
    assert await stored(house.database) == ["req_1"]
    assert house.ledger.state.rejected == 1


async def test_old_receipts_are_pruned_with_their_attempts_and_young_ones_stay(
    url: str, tmp_path: Path
) -> None:
    house = House(url, tmp_path, retention_days=10)
    house.clock.at = 100 * DAY
    for n in range(1203):
        house.ledger.record(receipt(f"req_{n:04}", at=(89.9 if n < 1200 else 95) * DAY))
    await house.ledger.flush()
    assert await house.ledger.prune() == 1200
    assert await stored(house.database) == ["req_1200", "req_1201", "req_1202"]
    left = await house.database.read(
        lambda connection: connection.execute(text("SELECT count(*) FROM attempts")).scalar_one()
    )
    assert left == 6
    house.ledger.retain(0)
    house.clock.at = 10_000 * DAY
    assert await house.ledger.prune() == 0
    await house.close()


async def test_a_schema_of_a_newer_outlast_keeps_receipts_waiting(house: House, url: str) -> None:
    await house.database.write(
        lambda connection: connection.execute(
            text("INSERT INTO schema_version (version) VALUES (9999)")
        )
    )
    later = Database(url)
    ledger = Ledger(house.journal, later)
    ledger.record(receipt())
    assert not await ledger.flush()
    assert "newer Outlast" in ledger.state.last_error
    assert ledger.state.pending == 1
    assert await ledger.recent("key_a") == [receipt()]
    await ledger.close()
    await later.close()


RECORDER = """
import asyncio, sys, time
from pathlib import Path
from outlast.gateway.ledger import Ledger
from outlast.nouns import Degraded, Format, Receipt
from outlast.store.database import Database
from outlast.store.journal import Journal

async def main():
    folder = Path(sys.argv[1])
    database = Database(sys.argv[2])
    ledger = Ledger(Journal(folder / "journal"), database)
    running = asyncio.create_task(ledger.run())
    n = 0
    while True:
        ledger.record(Receipt(
            id=f"req_{sys.argv[3]}_{n}", key_id="key_a", surface="/v1/messages",
            format=Format.ANTHROPIC, model="m", stream=False,
            # Of now: what is older than the retention is deleted as soon as it was stored.
            started_at=time.time(), ended_at=time.time(), outcome="ok", status=200,
            served_by="u/m", degraded=Degraded.NONE,
        ))
        print(n, flush=True)
        n += 1
        await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.mark.parametrize("after", [1, 500])
async def test_after_kill_9_no_answered_exchange_is_missing(
    url: str, tmp_path: Path, after: int
) -> None:
    def kill_two() -> None:
        arguments = (str(tmp_path), url)
        with child(RECORDER, *arguments, "a") as one, child(RECORDER, *arguments, "b") as other:
            for expected in range(after):
                assert line(one) == line(other) == str(expected)
            one.send_signal(signal.SIGKILL)
            other.send_signal(signal.SIGKILL)

    await asyncio.to_thread(kill_two)
    house = House(url, tmp_path)
    assert await house.ledger.flush()
    found = set(await stored(house.database))
    missing = {f"req_{who}_{n}" for who in "ab" for n in range(after)} - found
    assert missing == set()
    assert house.ledger.state.pending == 0
    await house.close()


FULL_DISK = """
import asyncio, json, os, sys
from pathlib import Path
from sqlalchemy import text
from outlast.gateway.ledger import Ledger
from outlast.nouns import Degraded, Format, Receipt
from outlast.store.database import Database
from outlast.store.journal import Journal

def receipt(n):
    return Receipt(
        id=f"req_{n:04}", key_id="key_a", surface="/v1/messages", format=Format.ANTHROPIC,
        model="m" * 200, stream=False, started_at=1.0, ended_at=2.0 + n, outcome="ok", status=200,
        served_by="u/m", degraded=Degraded.NONE,
    )

async def main():
    root = Path(sys.argv[1])
    database = Database(f"sqlite:///{root}/outlast.db")
    journal = Journal(root / "journal", segment_bytes=300_000)
    ledger = Ledger(journal, database)
    ledger.record(receipt(0))
    before = await ledger.flush()
    filler = os.open(root / "filler", os.O_WRONLY | os.O_CREAT)
    block = 1 << 20
    while block:
        try:
            os.write(filler, bytes(block))
        except OSError:
            block //= 2
    try:
        os.write(filler, bytes(4096))
        full = 0
    except OSError as error:
        full = error.errno
    for n in range(1, 3001):
        ledger.record(receipt(n))
    during = await ledger.flush()
    state = ledger.state
    found = await ledger.find("req_3000", "key_a")
    os.close(filler)
    os.unlink(root / "filler")
    after = await ledger.flush()
    ids = [one.id for one in await ledger.recent(None, 1000)]
    await ledger.close()
    journal.close()
    query = text("SELECT count(*) FROM exchanges")
    count = await database.read(lambda connection: connection.execute(query).scalar())
    await database.close()
    print(json.dumps({
        "before": before, "full": full, "during": during, "error": state.last_error,
        "pending": state.pending, "lost": state.lost, "found": found is not None,
        "after": after, "count": count, "error_after": ledger.state.last_error,
    }))

asyncio.run(main())
"""


def test_a_full_disk_refuses_no_request_and_loses_no_receipt(tmp_path: Path) -> None:
    with child(FULL_DISK, str(tmp_path), prefix=tmpfs(tmp_path, "6m")) as process:
        while not (words := line(process)).startswith("{"):
            assert "ledger" in words  # its log
        said = json.loads(words)
    assert said["full"] == errno.ENOSPC
    assert said["before"] is True
    assert said["during"] is False
    assert said["error"] != ""
    assert (said["pending"], said["lost"], said["found"]) == (3000, 0, True)
    assert said["after"] is True
    assert said["count"] == 3001
    assert said["error_after"] == ""
