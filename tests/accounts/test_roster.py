from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

import pytest

from outlast.accounts.keys import RANDOM_BYTES, BadKeySettings, mint
from outlast.accounts.roster import FRESH_PAUSE_S, Roster
from outlast.accounts.roster_tables import KeyNotFound
from outlast.clock import ManualClock
from outlast.nouns import Allow
from outlast.store.database import Database, DatabaseUnavailable
from tests.store.children import child, line, tell
from tests.store.databases import Gate, postgresql_url, sqlite_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

T = TypeVar("T")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


class House:
    """A roster with its database, as one process has them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.clock = ManualClock(1000.0)
        self.database = Database(url, busy_timeout_s=2)
        self.roster = Roster(self.database, folder, clock=self.clock)

    async def close(self) -> None:
        await self.roster.close()
        await self.database.close()


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[House]:
    house = House(url, tmp_path / "one")
    await house.roster.load()
    yield house
    await house.close()


async def test_a_key_that_was_made_is_known_with_all_its_settings(house: House) -> None:
    secret, key = await house.roster.create(
        "laptop",
        allow=Allow.SAME_VENDOR,
        models=("claude-*", "gpt-5"),
        requests_per_minute=60,
        concurrent=4,
        notice="fr",
    )
    assert house.roster.authenticate(secret) == key
    assert (key.name, key.allow, key.models) == ("laptop", Allow.SAME_VENDOR, ("claude-*", "gpt-5"))
    assert (key.requests_per_minute, key.concurrent, key.created_at) == (60, 4, 1000.0)
    assert key.notice == "fr"
    assert await house.roster.list() == [key]
    assert house.roster.state.keys == 1
    assert house.roster.state.source == "database"


@pytest.mark.parametrize("sent", ["", "ol_", "sk-ant-xyz", "\udfff", "x" * 100_000])
async def test_what_is_not_a_key_is_nobody(house: House, sent: str) -> None:
    assert house.roster.authenticate(sent) is None
    assert await house.roster.authenticate_fresh(sent) is None


async def test_a_revoked_key_is_nobody_at_once_and_stays_listed(house: House) -> None:
    secret, key = await house.roster.create("laptop")
    house.clock.advance(5)
    revoked = await house.roster.revoke(key.id)
    assert revoked.revoked_at == 1005.0
    assert house.roster.authenticate(secret) is None
    assert await house.roster.authenticate_fresh(secret) is None
    assert await house.roster.list() == [revoked]
    house.clock.advance(5)
    assert await house.roster.revoke(key.id) == revoked


async def test_a_key_is_revoked_by_its_name_unless_two_have_it(house: House) -> None:
    _, first = await house.roster.create("laptop")
    assert (await house.roster.revoke("laptop")).id == first.id
    with pytest.raises(KeyNotFound, match="no key 'laptop'"):
        await house.roster.revoke("laptop")
    _, second = await house.roster.create("laptop")
    _, third = await house.roster.create("laptop")
    with pytest.raises(KeyNotFound, match="2 keys are named") as caught:
        await house.roster.revoke("laptop")
    assert second.id in str(caught.value)
    assert third.id in str(caught.value)
    with pytest.raises(KeyNotFound):
        await house.roster.revoke("\x00")


async def test_bad_settings_make_no_key(house: House) -> None:
    with pytest.raises(BadKeySettings):
        await house.roster.create("")
    assert await house.roster.list() == []


async def test_what_another_process_made_or_revoked_is_seen_at_the_next_refresh(
    house: House, url: str, tmp_path: Path
) -> None:
    other = House(url, tmp_path / "two")
    await other.roster.load()
    secret, key = await other.roster.create("made elsewhere")
    assert house.roster.authenticate(secret) is None
    await house.roster.refresh()
    assert house.roster.authenticate(secret) == key
    await other.roster.revoke(key.id)
    assert house.roster.authenticate(secret) == key
    await house.roster.refresh()
    assert house.roster.authenticate(secret) is None
    await other.close()


async def test_the_background_sees_it_by_itself(house: House, url: str, tmp_path: Path) -> None:
    running = asyncio.create_task(house.roster.run())
    other = House(url, tmp_path / "two")
    secret, _ = await other.roster.create("made elsewhere")
    async with asyncio.timeout(30):
        while house.roster.authenticate(secret) is None:  # noqa: ASYNC110 - a state, not an event of ours
            await asyncio.sleep(0.02)
    await house.roster.close()
    await running
    await other.close()


async def test_an_unknown_key_is_looked_for_once_in_a_while_and_a_typing_error_never(
    house: House, url: str, tmp_path: Path
) -> None:
    other = House(url, tmp_path / "two")
    first, key = await other.roster.create("one")
    typo = first[:-1] + ("a" if first[-1] != "a" else "b")
    assert await house.roster.authenticate_fresh(typo) is None
    assert house.roster.authenticate(first) is None  # nobody looked
    assert await house.roster.authenticate_fresh(first) == key
    second, other_key = await other.roster.create("two")
    assert await house.roster.authenticate_fresh(second) is None  # too soon to look again
    house.clock.advance(FRESH_PAUSE_S)
    assert await house.roster.authenticate_fresh(second) == other_key
    await other.close()


async def test_a_dead_database_at_start_locks_nobody_out_and_hides_no_revocation(
    tmp_path: Path,
) -> None:
    url = sqlite_url(tmp_path)
    before = House(url, tmp_path / "one")
    good, key = await before.roster.create("good")
    bad, bad_key = await before.roster.create("bad")
    await before.roster.revoke(bad_key.id)
    await before.close()
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"outlast.db{ending}").unlink(missing_ok=True)
    (tmp_path / "outlast.db").write_bytes(b"no database any more " * 100)
    after = House(url, tmp_path / "one")
    await after.roster.load()
    assert after.roster.authenticate(good) == key
    assert after.roster.authenticate(bad) is None
    state = after.roster.state
    assert (state.keys, state.source) == (1, "snapshot")
    assert "not a database" in state.last_error
    with pytest.raises(DatabaseUnavailable):
        await after.roster.create("new")
    assert await after.roster.authenticate_fresh(bad) is None
    # A database that lives again is believed over the snapshot.
    (tmp_path / "outlast.db").unlink()
    assert await after.roster.refresh()
    assert after.roster.authenticate(good) is None
    assert after.roster.state.last_error == ""
    await after.close()


@pytest.mark.postgresql
async def test_a_database_that_dies_later_changes_nothing_for_those_who_are_known(
    tmp_path: Path,
) -> None:
    gate = Gate()
    gate.open()
    with postgresql_url(gate.port) as url:
        house = House(url, tmp_path)
        await house.roster.load()
        secret, key = await house.roster.create("laptop")
        gate.shut()
        assert not await house.roster.refresh()
        assert house.roster.authenticate(secret) == key
        unknown, _ = mint(bytes(RANDOM_BYTES), name="n", at=1.0)
        assert await house.roster.authenticate_fresh(unknown) is None
        assert "cannot be used now" in house.roster.state.last_error
        gate.open()
        assert await house.roster.refresh()
        assert house.roster.state.last_error == ""
        await house.close()
    gate.shut()


async def test_the_snapshot_is_its_owners_alone_and_holds_no_secret(
    house: House, tmp_path: Path
) -> None:
    secret, _ = await house.roster.create("laptop")
    path = tmp_path / "one" / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in path.read_text()
    assert secret[10:-6] not in path.read_text()
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


async def test_another_databases_snapshot_opens_no_door(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    before = House(sqlite_url(tmp_path), tmp_path / "one")
    secret, _ = await before.roster.create("laptop")
    await before.close()
    dead = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/elsewhere"
    after = House(dead, tmp_path / "one")
    await after.roster.load()
    assert after.roster.authenticate(secret) is None
    assert after.roster.state.source == "nowhere"
    await after.close()


@pytest.mark.parametrize("content", [b"", b"{", b'{"database": 1}', b"\xff\xfe" * 100])
async def test_a_damaged_snapshot_is_passed_over_and_replaced(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "keys.json").write_bytes(content)
    house = House(sqlite_url(tmp_path), tmp_path / "one")
    await house.roster.load()
    assert (tmp_path / "one" / "keys.json").read_bytes() != content
    await house.close()


async def test_a_snapshot_that_cannot_be_written_hinders_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("a file where the folder should be")
    house = House(sqlite_url(tmp_path), tmp_path / "one")
    await house.roster.load()
    secret, key = await house.roster.create("laptop")
    assert house.roster.authenticate(secret) == key
    await house.close()


async def test_the_first_key_is_made_once_even_after_it_was_revoked(house: House) -> None:
    secret = await house.roster.ensure_first_key()
    assert secret is not None
    key = house.roster.authenticate(secret)
    assert key is not None
    assert await house.roster.ensure_first_key() is None
    await house.roster.revoke(key.id)
    assert await house.roster.ensure_first_key() is None


async def test_no_first_key_is_made_where_there_was_one_already(house: House) -> None:
    await house.roster.create("made by hand")
    assert await house.roster.ensure_first_key() is None
    assert len(await house.roster.list()) == 1


STARTER = """
import asyncio, sys
from pathlib import Path
from outlast.accounts.roster import Roster
from outlast.store.database import Database

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    database = Database(sys.argv[1])
    roster = Roster(database, Path(sys.argv[2]))
    await roster.load()
    print(await roster.ensure_first_key(), flush=True)
    await roster.close()
    await database.close()

asyncio.run(main())
"""


async def test_of_processes_that_start_at_once_one_makes_the_first_key(
    house: House, url: str, tmp_path: Path
) -> None:
    def race() -> list[str]:
        with ExitStack() as stack:
            starters = [
                stack.enter_context(child(STARTER, url, str(tmp_path / "shared"))) for _ in range(3)
            ]
            for one in starters:
                assert line(one) == "ready"
            for one in starters:
                tell(one, "go")
            return [line(one) for one in starters]

    said = await asyncio.to_thread(race)
    secrets = [one for one in said if one != "None"]
    assert len(secrets) == 1
    assert await house.roster.authenticate_fresh(secrets[0]) is not None
    assert len(await house.roster.list()) == 1


class CountingDatabase(Database):
    """The real one, which also counts how often it is read."""

    reads = 0

    async def read(self, fn: Callable[[Connection], T]) -> T:
        self.reads += 1
        return await super().read(fn)


async def test_many_refreshes_at_once_share_their_looks(url: str, tmp_path: Path) -> None:
    database = CountingDatabase(url)
    roster = Roster(database, tmp_path)
    assert all(await asyncio.gather(*(roster.refresh() for _ in range(50))))
    assert database.reads <= 2
    await roster.close()
    await database.close()
