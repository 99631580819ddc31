from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from outlast.observatory import history_tables as tables
from tests.observatory.history.houses import DAY, NOW, House, notice
from tests.store.databases import sqlite_url

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.nouns import Notice


async def versions(house: House) -> list[tuple[str, float]]:
    await house.history.flush()
    found = await house.history.versions("anthropic", "inc_1")
    return [(one.version, one.fetched_at - NOW) for one in found]


async def test_every_version_is_kept_and_the_same_again_is_known(house: House) -> None:
    first = notice("v1", NOW, title="Investigating")
    assert await house.history.save_notice(first) == "new"
    assert await house.history.save_notice(notice("v1", NOW + 60)) == "known"
    assert await house.history.save_notice(notice("v2", NOW + 120)) == "new"
    assert await versions(house) == [("v1", 0), ("v2", 120)]
    assert (await house.history.versions("anthropic", "inc_1"))[0] == first


async def test_a_page_that_goes_back_to_what_it_said_has_changed_all_the_same(
    house: House,
) -> None:
    for n, version in enumerate(["v1", "v2", "v1", "v1"]):
        await house.history.save_notice(notice(version, NOW + n))
    assert await versions(house) == [("v1", 0), ("v2", 1), ("v1", 2)]
    assert [one.fetched_at - NOW for one in await house.history.notices()] == [2]


async def test_after_a_restart_the_database_knows_what_was_said(url: str, tmp_path: Path) -> None:
    before = House(url, tmp_path)
    await before.history.save_notice(notice("v1", NOW))
    await before.close()
    after = House(url, tmp_path)
    assert await after.history.save_notice(notice("v1", NOW + 60)) == "known"
    assert await after.history.save_notice(notice("v2", NOW + 120)) == "new"
    assert await versions(after) == [("v1", 0), ("v2", 120)]
    await after.close()


async def test_a_batch_that_is_written_twice_is_kept_once(house: House) -> None:
    batch = [notice(version, NOW + n) for n, version in enumerate(["v1", "v2", "v1"])]

    async def write(*items: Notice) -> None:
        await house.database.write(lambda c: tables.insert(c, items))

    await write(*batch)
    await write(*batch)
    await write(batch[0])
    assert await versions(house) == [("v1", 0), ("v2", 1), ("v1", 2)]


async def test_with_the_database_dead_a_notice_is_kept_and_stored_once_later(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    dead = House(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/nowhere", tmp_path)
    assert await dead.history.save_notice(notice("v1", NOW)) == "new"
    assert await dead.history.save_notice(notice("v1", NOW + 1)) == "known"
    assert "cannot be used now" in dead.history.state.last_error
    await dead.close()
    # What waited in the journal goes to whatever database the next start has.
    alive = House(sqlite_url(tmp_path), tmp_path)
    assert await versions(alive) == [("v1", 0)]
    await alive.close()


async def test_under_a_schema_of_a_newer_outlast_a_notice_is_kept(url: str, tmp_path: Path) -> None:
    before = House(url, tmp_path)
    newer = text("INSERT INTO schema_version (version) VALUES (9999)")
    await before.database.write(lambda connection: connection.execute(newer))
    await before.close()
    later = House(url, tmp_path)
    assert await later.history.save_notice(notice("v1", NOW)) == "new"
    assert "newer Outlast" in later.history.state.last_error
    assert later.history.state.pending == 1
    await later.close()


async def test_the_latest_of_each_notice_by_provider_and_time(house: House) -> None:
    for one in (
        notice("v1", NOW, id="a"),
        notice("v2", NOW + 10, id="a"),
        notice("v1", NOW + 5, id="b"),
        notice("v1", NOW + 7, id="a", feed="openai", provider="openai"),
    ):
        await house.history.save_notice(one)
    await house.history.flush()

    async def found(**asked: object) -> list[tuple[str, str, str]]:
        listed = await house.history.notices(**asked)  # type: ignore[arg-type]
        return [(one.feed, one.id, one.version) for one in listed]

    a, b, other = ("anthropic", "a", "v2"), ("anthropic", "b", "v1"), ("openai", "a", "v1")
    assert await found() == [b, other, a]
    assert await found(provider="anthropic") == [b, a]
    assert await found(since_at=NOW + 6) == [other, a]
    assert await found(limit=1) == [a]


async def test_a_notice_that_is_too_long_or_without_a_time_is_refused_in_words(
    house: House,
) -> None:
    with pytest.raises(ValueError, match="bytes"):
        await house.history.save_notice(notice(title="x" * 300_000))
    with pytest.raises(ValueError, match="not a time"):
        await house.history.save_notice(notice(fetched_at=float("nan")))
    assert await house.history.save_notice(notice()) == "new"
    assert await versions(house) == [("v1", 0)]


async def test_odd_texts_of_a_vendor_are_kept(house: House) -> None:
    await house.history.save_notice(notice(title="NUL \x00", id="\x00", provider="p" * 999))
    assert await house.history.flush()
    assert house.history.state.rejected == 0
    assert [one.title for one in await house.history.notices()] == ["NUL \x00"]


async def test_versions_go_when_the_sums_of_their_time_go(url: str, tmp_path: Path) -> None:
    house = House(url, tmp_path, rollup_days=100)
    await house.history.save_notice(notice("v1", NOW - 101 * DAY))
    await house.history.save_notice(notice("v2", NOW - 99 * DAY))
    await house.history.flush()
    assert await house.history.prune() == 1
    assert await versions(house) == [("v2", -99 * DAY)]
    await house.close()
