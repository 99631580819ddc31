"""The service as people start and stop it: what it says when it cannot, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from outlast.simulator import Script, Vendor
from tests.endtoend.launcher import (
    Launched,
    configuration,
    environment,
    launched,
    run_to_its_end,
)
from tests.raw import ask, hang_up, read_reply

BODY = {"model": "m", "max_tokens": 4000, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(Script(seed=1)) as vendor:
        yield vendor


@pytest.fixture
def config(tmp_path: Path, vendor: Vendor) -> Path:
    file = tmp_path / "outlast.toml"
    file.write_text(configuration(vendor.url), "utf-8")
    return file


def write(file: Path, words: str) -> None:
    file.write_text(words, "utf-8")


async def status_of(service: Launched, model: str = "m") -> int:
    raw = msgspec.json.encode({**BODY, "model": model})
    reply = await ask(service.url, "POST", "/v1/messages", {"x-api-key": service.key}, raw)
    return reply.status


async def test_a_port_in_use_is_said_with_a_way_out(tmp_path: Path, config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = await asyncio.to_thread(run_to_its_end, tmp_path / "data", config, port=port)
    assert ended.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use" in ended.stderr
    assert f"--port {port + 1}" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_typo_in_the_settings_is_told_with_what_was_meant(
    tmp_path: Path, config: Path, vendor: Vendor
) -> None:
    write(config, configuration(vendor.url, extra="drian_s = 3"))
    ended = await asyncio.to_thread(run_to_its_end, tmp_path / "data", config)
    assert ended.returncode == 4
    assert "drian_s" in ended.stderr
    assert "drain_s" in ended.stderr
    assert "outlast.toml" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


async def test_a_missing_secret_is_named(tmp_path: Path, config: Path) -> None:
    environ = {name: value for name, value in environment().items() if name != "HERE_KEY"}
    ended = await asyncio.to_thread(run_to_its_end, tmp_path / "data", config, environ=environ)
    assert ended.returncode == 4
    assert "HERE_KEY" in ended.stderr
    assert "here" in ended.stderr


@pytest.mark.parametrize("kind", ["file", "inside a file"])
async def test_a_data_folder_that_cannot_be_is_said(
    tmp_path: Path, config: Path, kind: str
) -> None:
    """For root nothing is unwritable, so the folder is made impossible instead."""
    file = tmp_path / "data"
    file.write_text("not a folder")
    folder = file if kind == "file" else file / "below"
    ended = await asyncio.to_thread(run_to_its_end, folder, config)
    assert ended.returncode == 1
    assert "data" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "--data-dir" in ended.stderr


async def test_changed_settings_are_taken_and_wrong_ones_are_not(
    tmp_path: Path, config: Path, vendor: Vendor
) -> None:
    good = configuration(vendor.url)
    more = good + '[[routes]]\nmodel = "second"\ncandidates = ["here"]\n'
    with launched(tmp_path / "data", config) as service:
        assert await status_of(service, "second") == 404
        write(config, more)
        await asyncio.to_thread(service.wait_for, "configuration taken")
        assert await status_of(service, "second") == 200
        # A wrong one changes nothing, and the log says why.
        write(config, more + '[[routes]]\nmodle = "third"\ncandidates = ["nowhere"]\n')
        line = await asyncio.to_thread(service.wait_for, "configuration is wrong")
        assert "the old one stays in force" in line
        assert "modle" in line
        assert await status_of(service, "second") == 200
        # SIGHUP reads it at once, changed or not; and the good one comes back.
        write(config, good)
        service.send(signal.SIGHUP)
        await asyncio.to_thread(service.wait_for, "configuration taken")
        assert await status_of(service, "second") == 404
        service.send(signal.SIGTERM)
        assert await asyncio.to_thread(service.end) == 0


async def test_sigterm_lets_a_running_answer_end_and_takes_no_new_one(
    tmp_path: Path, config: Path, vendor: Vendor
) -> None:
    vendor.script = Script(seed=1, chars=400, tokens_per_s=60)
    with launched(tmp_path / "data", config) as service:
        raw = msgspec.json.encode({**BODY, "stream": True})
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {service.key}\r\n"
        head += f"content-length: {len(raw)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(head.encode() + raw)
        async with asyncio.timeout(10):
            begun = await reader.readuntil(b"content_block_delta")
            service.send(signal.SIGTERM)
            rest = asyncio.StreamReader()
            rest.feed_data(begun)
            while data := await reader.read(1 << 16):
                rest.feed_data(data)
            rest.feed_eof()
        reply = await read_reply(rest)
        await hang_up(writer)
        assert reply.whole
        assert reply.body.rstrip().endswith(b'{"type":"message_stop"}')
        assert await asyncio.to_thread(service.end) == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", service.port)
    assert "Traceback" not in service.said


async def test_an_answer_that_outlasts_the_drain_is_cut_and_never_ends_cleanly(
    tmp_path: Path, config: Path, vendor: Vendor
) -> None:
    vendor.script = Script(seed=1, chars=4000, tokens_per_s=20)
    write(config, configuration(vendor.url).replace("drain_s = 5", "drain_s = 0.3"))
    with launched(tmp_path / "data", config) as service:
        raw = msgspec.json.encode({**BODY, "stream": True})
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {service.key}\r\n"
        head += f"content-length: {len(raw)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(head.encode() + raw)
        async with asyncio.timeout(10):
            begun = await reader.readuntil(b"content_block_delta")
            service.send(signal.SIGTERM)
            rest = asyncio.StreamReader()
            rest.feed_data(begun + await reader.read())
            rest.feed_eof()
        reply = await read_reply(rest)
        await hang_up(writer)
        assert not reply.whole
        assert b"message_stop" not in reply.body
        assert await asyncio.to_thread(service.end) == 0


async def test_a_second_start_has_the_same_keys_and_prints_none(
    tmp_path: Path, config: Path
) -> None:
    with launched(tmp_path / "data", config) as service:
        key = service.key
        assert await status_of(service) == 200
        service.send(signal.SIGINT)
        assert await asyncio.to_thread(service.end) == 0
    with launched(tmp_path / "data", config, key=key) as again:
        assert await status_of(again) == 200
        assert "ol_" not in again.said
        assert "outlast key create" in again.said
        assert f"{again.url}/status" in again.said
