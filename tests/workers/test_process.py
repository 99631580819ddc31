"""Services of several processes as people start and stop them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest

from outlast.simulator import Script, Vendor
from outlast.workers.lives import BEAT_S, SILENT_BEATS
from tests.endtoend.launcher import run_to_its_end
from tests.local.test_model import FOUND
from tests.raw import Reply, hang_up, read_reply
from tests.store.databases import postgresql_url
from tests.workers.company import (
    BODY,
    MESSAGES,
    WORKERS,
    House,
    children_of,
    config_of,
    house_of,
    until,
)


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(Script(seed=1)) as vendor:
        yield vendor


async def stream_through(house: House, number: signal.Signals) -> Reply:
    """Begin to read a stream, give the signal, and read to the end."""
    raw = msgspec.json.encode({**BODY, "max_tokens": 4000, "stream": True})
    head = f"POST {MESSAGES} HTTP/1.1\r\nhost: x\r\nx-api-key: {house.service.key}\r\n"
    head += f"content-length: {len(raw)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", house.service.port)
    writer.write(head.encode() + raw)
    rest = asyncio.StreamReader()
    async with asyncio.timeout(30):
        rest.feed_data(await reader.readuntil(b"content_block_delta"))
        house.service.send(number)
        while data := await reader.read(1 << 16):
            rest.feed_data(data)
        rest.feed_eof()
    await hang_up(writer)
    return await read_reply(rest)


async def test_sigterm_lets_answers_end_and_leaves_nothing_behind(
    tmp_path: Path, vendor: Vendor
) -> None:
    vendor.script = Script(seed=1, chars=400, tokens_per_s=60)
    async with house_of(tmp_path, config_of(vendor.url)) as house:
        pids = house.pids()
        assert set(pids) == {"observer", *(f"worker {number}" for number in range(WORKERS))}
        reply = await stream_through(house, signal.SIGTERM)
        assert reply.whole
        assert reply.body.rstrip().endswith(b'{"type":"message_stop"}')
        assert await asyncio.to_thread(house.service.end) == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", house.service.port)
        assert not [pid for pid in pids.values() if alive(pid)]
        assert "Traceback" not in house.service.said
    with closing(sqlite3.connect(tmp_path / "data" / "outlast.db")) as database:
        assert database.execute("select count(*) from exchanges").fetchone() == (1,)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def own_sockets(observer: int) -> set[Path]:
    """Folders in which a process has sockets of ours, as the kernel says: what it tells of may
    have gone when it is read, because the process opens and closes files meanwhile."""
    found, links = set(), set()
    for one in Path(f"/proc/{observer}/fd").iterdir():
        with suppress(FileNotFoundError):
            links.add(os.readlink(one))
    for row in Path("/proc/net/unix").read_text("utf-8").splitlines()[1:]:
        words = row.split()
        if len(words) == 8 and f"socket:[{words[6]}]" in links and "/outlast-" in words[7]:
            found.add(Path(words[7]).parent)
    return found


async def folder_of(observer: int) -> Path:
    async def seen() -> bool:
        return bool(own_sockets(observer))

    await until(seen)
    (folder,) = own_sockets(observer)
    return folder


def folders() -> set[Path]:
    """Where processes of services have their sockets."""
    return set(Path(tempfile.gettempdir()).glob("outlast-*"))


async def test_when_the_one_that_starts_them_is_killed_the_others_drain_and_end(
    tmp_path: Path, vendor: Vendor
) -> None:
    vendor.script = Script(seed=1, chars=400, tokens_per_s=60)
    async with house_of(tmp_path, config_of(vendor.url)) as house:
        pids = house.pids()
        sockets = await folder_of(pids["observer"])
        assert sockets in folders()
        reply = await stream_through(house, signal.SIGKILL)
        assert reply.whole

        async def ended() -> bool:
            return not any(alive(pid) for pid in pids.values())

        await until(ended)
        assert sockets not in folders()


async def test_who_stands_still_is_killed_and_started_again(tmp_path: Path, vendor: Vendor) -> None:
    async with house_of(tmp_path, config_of(vendor.url)) as house:
        still = {name: house.kill(name, signal.SIGSTOP) for name in ("worker 0", "observer")}

        async def gone() -> bool:
            return not any(alive(pid) for pid in still.values())

        await until(gone, 10 * BEAT_S * SILENT_BEATS)
        for name, dead in still.items():
            await house.back(name, dead)
        replies = await asyncio.gather(*(house.message() for _ in range(16)))
        assert {reply.status for reply in replies} == {200}
        assert house.service.said.count("process_stands_still") == len(still)
        assert house.service.said.count("process_ended") == len(still)


async def test_a_port_that_another_listens_on_is_not_shared(tmp_path: Path, vendor: Vendor) -> None:
    config = tmp_path / "outlast.toml"
    config.write_text(config_of(vendor.url), "utf-8")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = await asyncio.to_thread(run_to_its_end, tmp_path / "data", config, port=port)
    assert ended.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_data_folder_that_cannot_be_is_said_once(tmp_path: Path, vendor: Vendor) -> None:
    config = tmp_path / "outlast.toml"
    config.write_text(config_of(vendor.url), "utf-8")
    (tmp_path / "data").write_text("not a folder")
    ended = await asyncio.to_thread(run_to_its_end, tmp_path / "data", config)
    assert ended.returncode == 1
    assert ended.stderr.count("--data-dir") == 1
    assert "Traceback" not in ended.stderr


async def shared_alike(house: House) -> None:
    """Ask much on many connections, and the same of whoever gets it."""
    own = {"x-api-key": house.service.key}
    replies = await asyncio.gather(*(house.message() for _ in range(24)))
    assert {reply.status for reply in replies} == {200}
    for reply in replies:

        async def found(path: str = reply.headers["outlast-receipt"]) -> bool:
            seen = (await house.ask("GET", path, None, own)).status
            assert seen != 404
            return seen == 200

        await until(found)
    dead = house.kill("observer")
    await house.back("observer", dead)
    assert (await house.ask("GET", "/status")).status == 200


@pytest.mark.postgresql
async def test_on_postgresql_workers_share_as_well_and_the_observer_leads_again_at_once(
    tmp_path: Path, vendor: Vendor
) -> None:
    with postgresql_url() as url:
        async with house_of(tmp_path, config_of(vendor.url), OUTLAST_STORE_URL=url) as house:
            await shared_alike(house)
            assert "watch_follows" not in house.service.said


async def test_over_the_older_way_workers_share_as_well(tmp_path: Path, vendor: Vendor) -> None:
    words = config_of(vendor.url).replace("[server]", '[server]\ntransport = "aiohttp"', 1)
    async with house_of(tmp_path, words) as house:
        await shared_alike(house)


@pytest.mark.model
@pytest.mark.skipif(FOUND is None, reason="no weights: run `outlast model get` first")
async def test_the_embedded_model_is_one_process_for_all_workers(
    tmp_path: Path, vendor: Vendor
) -> None:
    words = config_of(vendor.url).replace(
        "enabled = false", f'enabled = true\npath = "{FOUND}"\ncontext_tokens = 4096', 1
    )
    async with house_of(tmp_path, words) as house:

        async def ready() -> bool:
            found = (await house.get("/readyz"))["processes"].values()
            return {one["local"]["state"] for one in found} == {"ready"}

        await until(ready, 120)
        body = {**BODY, "model": "claude-local", "max_tokens": 5}
        for streamed in (True, False) * 4:
            reply = await house.message(body={**body, "stream": streamed})
            assert reply.status == 200, reply.body
            own = {"x-api-key": house.service.key}
            receipt = await house.ask("GET", reply.headers["outlast-receipt"], None, own)
            assert receipt.json()["served_by"].startswith("local")
        engines = {name: children_of(pid) for name, pid in house.pids().items()}
        assert [name for name, found in engines.items() if found] == ["observer"]
        assert len(engines["observer"]) == 1
