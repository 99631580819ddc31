"""What is said of receipts that are not in the database yet."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from outlast.gateway.ledger import ReceiptsWait
from outlast.store.database import DatabaseUnavailable
from tests.gateway.test_ledger import House, receipt, stored
from tests.store.databases import sqlite_url

if TYPE_CHECKING:
    from pathlib import Path


async def test_where_many_wait_to_be_stored_it_is_not_said_that_one_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.gateway.ledger.LOOK_LIMIT", 2)
    house = House(sqlite_url(tmp_path), tmp_path, recent_limit=1)
    house.ledger.record(receipt("req_1"))
    house.ledger.record(receipt("req_2"))
    assert await house.ledger.find("req_1", "key_a") == receipt("req_1")
    for n in range(3, 6):
        house.ledger.record(receipt(f"req_{n}"))
    assert await house.ledger.find("req_5", "key_a") == receipt("req_5")
    assert await house.ledger.find("req_1", "key_a") == receipt("req_1")
    with pytest.raises(ReceiptsWait, match="3 receipts wait"):
        await house.ledger.find("req_3", "key_a")
    assert house.ledger.state.pending == 3  # asking made nobody store them
    assert await house.ledger.flush()
    assert await house.ledger.find("req_3", "key_a") == receipt("req_3")
    assert await house.ledger.find("req_none", "key_a") is None
    await house.close()


async def test_a_receipt_that_cannot_be_stored_now_is_not_said_to_be_missing(
    tmp_path: Path,
) -> None:
    house = House(sqlite_url(tmp_path), tmp_path, busy_timeout_s=0.05, recent_limit=1)
    await stored(house.database)
    holder = sqlite3.connect(tmp_path / "outlast.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    house.ledger.record(receipt("req_1"))
    house.ledger.record(receipt("req_2"))
    with pytest.raises(DatabaseUnavailable, match="locked"):
        await house.ledger.find("req_1", "key_a")
    holder.execute("ROLLBACK")
    holder.close()
    assert await house.ledger.find("req_1", "key_a") == receipt("req_1")
    await house.close()


async def test_what_is_no_receipt_is_counted_and_harms_nobody(tmp_path: Path) -> None:
    house = House(sqlite_url(tmp_path), tmp_path)
    house.ledger.keep("req_0", b"", 1000.0)
    house.ledger.record(receipt())
    assert await house.ledger.flush()
    assert (house.ledger.state.stored, house.ledger.state.rejected) == (1, 1)
    await house.close()


async def test_what_is_no_receipt_costs_none_of_those_that_are_kept_with_it(tmp_path: Path) -> None:
    house = House(sqlite_url(tmp_path), tmp_path)
    good = [receipt(f"req_{number}") for number in range(3)]
    kept = [(one.id, msgspec.msgpack.encode(one), one.ended_at) for one in good]
    house.ledger.keep_all([kept[0], ("req_9", b"", 1000.0), *kept[1:]])
    assert await house.ledger.flush()
    assert [await house.ledger.find(one.id, None) for one in good] == good
    assert house.ledger.state.rejected == 1
    await house.close()
