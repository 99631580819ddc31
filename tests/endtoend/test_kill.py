"""Nothing that was answered is ever missing from the ledger, whatever dies, locks or fills up."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from outlast.simulator import Fault, FaultKind, Script, Vendor
from tests.endtoend.launcher import READY_S, Launched, configuration, environment, launched
from tests.raw import ask, hang_up
from tests.store.children import tmpfs

BODY = {"model": "m", "max_tokens": 400, "messages": [{"role": "user", "content": "[[chars=90]]"}]}


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    # Some attempts fail and are tried again, so that receipts have more than one row.
    flaky = Fault(FaultKind.STATUS, status=529, retry_after_s=0, share=0.1)
    async with Vendor(Script(seed=1, faults=(flaky,))) as vendor:
        yield vendor


@pytest.fixture
def config(tmp_path: Path, vendor: Vendor) -> Path:
    file = tmp_path / "outlast.toml"
    file.write_text(configuration(vendor.url), "utf-8")
    return file


async def one(service: Launched, *, stream: bool) -> str:
    """Ask, read to the last byte and not further, and return the id of the exchange."""
    raw = msgspec.json.encode({**BODY, "stream": stream})
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {service.key}\r\n"
    head += f"content-length: {len(raw)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(head.encode() + raw)
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in answer.decode().split("\r\n")[1:] if line)
        if "content-length" in lines:
            await reader.readexactly(int(lines["content-length"]))
        else:
            await reader.readuntil(b'message_stop"}\n\n\r\n')
    finally:
        await hang_up(writer)
    return lines["outlast-request-id"]


async def many(service: Launched, count: int, answered: list[str]) -> None:
    """Ask one after another; what is answered is noted at once, what breaks is not."""
    for number in range(count):
        try:
            answered.append(await one(service, stream=number % 2 == 0))
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the service is dead


def stored(database: Path) -> set[str]:
    """Ids of the receipts in a database file that nobody has open."""
    with closing(sqlite3.connect(database)) as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master")}
        assert "exchanges" in tables, tables
        return {ident for (ident,) in connection.execute("select id from exchanges")}


async def settled(service: Launched) -> None:
    """Wait until nothing waits for the database."""
    async with asyncio.timeout(READY_S):
        while True:
            reply = await ask(service.url, "GET", "/readyz")
            if reply.json()["ledger"]["waiting"] == 0:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("after", [1, 40])
async def test_kill_9_after_the_last_byte_loses_no_receipt(
    tmp_path: Path, config: Path, after: int
) -> None:
    """Six clients at once; the service is killed the moment that so many have been answered."""
    folder = tmp_path / "data"
    answered: list[str] = []
    with launched(folder, config) as service:
        key = service.key
        asking = [asyncio.create_task(many(service, 40, answered)) for _ in range(6)]
        async with asyncio.timeout(READY_S):
            while len(answered) < after:  # noqa: ASYNC110 - the very next moment is wanted
                await asyncio.sleep(0)
        service.process.kill()
        await asyncio.gather(*asking)
        await asyncio.to_thread(service.end)
    assert len(answered) >= after
    with launched(folder, config, key=key) as again:
        await settled(again)
        for ident in answered:
            reply = await ask(again.url, "GET", f"/v1/receipts/{ident}", {"x-api-key": again.key})
            assert reply.status == 200, ident
            assert reply.json()["outcome"] in {"ok", "exhausted"}
    assert stored(folder / "outlast.db") >= set(answered)


async def test_a_locked_database_refuses_and_delays_nobody(tmp_path: Path, config: Path) -> None:
    """The lock is given back only after all answers are here: none can have waited for it."""
    folder = tmp_path / "data"
    answered: list[str] = []
    with launched(folder, config) as service:
        await settled(service)
        with closing(sqlite3.connect(folder / "outlast.db", isolation_level=None)) as lock:
            lock.execute("begin exclusive")
            await asyncio.gather(*(many(service, 5, answered) for _ in range(4)))
            assert len(answered) == 20
            health = await ask(service.url, "GET", "/readyz")
            assert health.status == 200
            assert health.json()["ledger"]["waiting"] == 20
            for part in (health.json()["ledger"], health.json()["observatory"]["observations"]):
                assert (part["in_memory"], part["lost"], part["rejected"]) == (0, 0, 0)
            assert health.json()["observatory"]["incidents"]["lost"] == 0
            working = {"in_order": 3, "restarts": 0, "failed": {}}
            assert health.json()["background"] == working
            own = {"x-api-key": service.key}
            recent = await ask(service.url, "GET", f"/v1/receipts/{answered[-1]}", own)
            assert recent.status == 200
            lock.execute("rollback")
        await settled(service)
    assert stored(folder / "outlast.db") >= set(answered)


async def test_kill_9_while_the_database_is_locked_loses_no_receipt(
    tmp_path: Path, config: Path
) -> None:
    folder = tmp_path / "data"
    answered: list[str] = []
    with launched(folder, config) as service:
        key = service.key
        await settled(service)
        with closing(sqlite3.connect(folder / "outlast.db", isolation_level=None)) as lock:
            lock.execute("begin exclusive")
            await asyncio.gather(*(many(service, 5, answered) for _ in range(4)))
            service.process.kill()
            await asyncio.to_thread(service.end)
            # And it starts, knows its keys and answers while the lock is still held.
            with launched(folder, config, key=key) as again:
                answered.append(await one(again, stream=True))
                lock.execute("rollback")
                await settled(again)
    assert len(answered) == 21
    assert stored(folder / "outlast.db") >= set(answered)


@pytest.mark.parametrize("damage", ["a folder", "garbage"])
async def test_without_its_database_the_service_starts_and_known_keys_open(
    tmp_path: Path, config: Path, damage: str
) -> None:
    folder = tmp_path / "data"
    with launched(folder, config) as service:
        key = service.key
        await one(service, stream=False)
        await settled(service)
    database = folder / "outlast.db"
    kept = tmp_path / "kept"
    kept.mkdir()
    for file in folder.glob("outlast.db*"):
        shutil.move(file, kept / file.name)
    if damage == "a folder":
        database.mkdir()
    else:
        database.write_bytes(b"this is not a database " * 1000)
    with launched(folder, config, key=key) as again:
        ident = await one(again, stream=True)
        own = {"x-api-key": again.key}
        assert (await ask(again.url, "GET", f"/v1/receipts/{ident}", own)).status == 200
        older = await ask(again.url, "GET", "/v1/receipts/req_of_before", own)
        assert older.status == 503
        assert "the database does not answer" in older.json()["error"]["message"]
        assert older.headers["retry-after"]
        assert (await ask(again.url, "GET", "/readyz")).status == 200
    # The database comes back: what happened meanwhile is in it.
    shutil.rmtree(database) if damage == "a folder" else database.unlink()
    for file in folder.glob("outlast.db*"):
        file.unlink()
    for file in kept.iterdir():
        shutil.move(file, folder / file.name)
    with launched(folder, config, key=key) as healed:
        await settled(healed)
    assert ident in stored(database)


ON_A_TINY_DISK = """
(
    wait_for() { while [ ! -e "$0.$1" ] && kill -0 $$ 2>/dev/null; do sleep 0.05; done; }
    wait_for fill; dd if=/dev/zero of="$DISK/ballast" bs=4096; touch "$0.filled"
    wait_for free; rm "$DISK/ballast"; touch "$0.freed"
    wait_for copy; cp "$DISK"/outlast.db* "$OUT"; touch "$0.copied"
) >/dev/null 2>&1 &
exec "$@"
"""
"""Only who is in the service's mount namespace sees its disk; $0 names the signs of both sides."""


def shown(wish: Path, done: Path) -> None:
    """Show a sign to the other side and wait for its own."""
    wish.touch()
    until = time.monotonic() + READY_S
    while not done.exists():
        assert time.monotonic() < until, f"no {done.name}"
        time.sleep(0.02)


async def test_a_full_disk_refuses_and_delays_nobody_and_nothing_is_missing_afterwards(
    tmp_path: Path, config: Path
) -> None:
    disk, out, sign = tmp_path / "disk", tmp_path / "out", tmp_path / "sign"
    disk.mkdir()
    out.mkdir()
    prefix = [*tmpfs(disk, "6m"), "sh", "-c", ON_A_TINY_DISK, str(sign)]

    async def ask_for(wish: str, done: str) -> None:
        await asyncio.to_thread(shown, Path(f"{sign}.{wish}"), Path(f"{sign}.{done}"))

    answered: list[str] = []
    environ = environment(DISK=str(disk), OUT=str(out))
    with launched(disk, config, prefix=prefix, environ=environ) as service:
        answered.append(await one(service, stream=False))
        await settled(service)
        await ask_for("fill", "filled")
        # More than the journal has room for.
        await asyncio.gather(*(many(service, 10, answered) for _ in range(4)))
        assert len(answered) == 41
        await ask_for("free", "freed")
        answered.append(await one(service, stream=True))
        await settled(service)
        await ask_for("copy", "copied")
    assert stored(out / "outlast.db") >= set(answered)
