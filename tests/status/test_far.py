"""S3 and SFTP: brought up to date over real connections, and truthful when that fails."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from outlast.cli import main
from outlast.commands.mirroring import Writer
from outlast.config import load
from outlast.status.far import bring, opened
from outlast.status.mirror import MirrorFailed
from outlast.status.packing import pack
from outlast.status.uploading import LEDGER
from tests.status.far_house import KEY_ID, SECRET, Disk, Objects, bucket, ssh
from tests.status.machine_house import failing
from tests.status.test_mirror import Answering

OLD = {"index.html": b"old entry", "status/feed.atom": b"<feed/>", "gone.html": b"was here"}
NEW = {"index.html": b"new entry", "status/feed.atom": b"<feed/>", "status/x y.html": b"new page"}


@pytest.fixture(autouse=True)
def signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def place(held: Objects, folder: str = "site") -> str:
    return f"s3://status/{folder}?endpoint=http://127.0.0.1:{held.port}&region=eu-west-3"


def site_in(held: Objects) -> dict[str, bytes]:
    return {
        name.removeprefix("site/"): body
        for name, body in held.bodies.items()
        if name.startswith("site/") and not name.endswith(LEDGER)
    }


def test_a_bucket_gets_what_changed_signed_with_types_and_loses_what_is_gone() -> None:
    with bucket() as held:
        held.bodies["site/theirs.html"] = b"somebody else's"
        bring(OLD, place(held))
        assert site_in(held) == {**OLD, "theirs.html": b"somebody else's"}
        held.asked.clear()
        bring(NEW, place(held))
        assert site_in(held) == {**NEW, "theirs.html": b"somebody else's"}
        assert held.refused == []
        assert "PUT site/status/feed.atom" not in held.asked
        order = [one for one in held.asked if not one.endswith(LEDGER)]
        assert order == [
            "PUT site/status/x y.html",
            "PUT site/index.html",
            "DELETE site/gone.html",
        ]
        heads = held.heads["site/index.html"]
        assert heads["content-type"] == "text/html; charset=utf-8"
        assert heads["cache-control"].startswith("public, max-age=10")
        held.asked.clear()
        bring(NEW, place(held))
        assert held.asked == [f"GET site/{LEDGER}"]


def test_a_bucket_that_refuses_is_told_of_and_keeps_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bucket() as held:
        bring(OLD, place(held))
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        with pytest.raises(MirrorFailed, match="is not up to date") as failed:
            bring(NEW, place(held))
        assert "another" not in str(failed.value)
        assert held.refused
        assert site_in(held) == OLD


def test_a_bucket_that_fails_half_way_still_leads_nobody_to_what_is_not_there() -> None:
    with bucket() as held:
        bring(OLD, place(held))
        held.fail = "x y"
        with pytest.raises(MirrorFailed, match="is not up to date"):
            bring(NEW, place(held))
        assert site_in(held) == OLD
        held.fail = ""
        bring(NEW, place(held))
        assert site_in(held) == NEW


def by_ssh(disk: Disk, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(disk.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    bring(files, disk.address("srv/status"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        one.relative_to(folder).as_posix(): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file() and one.name != LEDGER
    }


async def test_a_host_gets_what_changed_and_loses_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ssh(tmp_path) as disk:
        await asyncio.to_thread(by_ssh, disk, OLD, monkeypatch)
        far = disk.root / "srv/status"
        assert contents(far) == OLD
        (far / "theirs.html").write_bytes(b"somebody else's")
        same = (far / "status/feed.atom").stat().st_mtime_ns
        await asyncio.to_thread(by_ssh, disk, NEW, monkeypatch)
        assert contents(far) == {**NEW, "theirs.html": b"somebody else's"}
        assert (far / "status/feed.atom").stat().st_mtime_ns == same


async def test_a_host_that_nobody_vouches_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ssh(tmp_path, known=False) as disk:
        with pytest.raises(MirrorFailed, match=r"[Hh]ost key is not trusted"):
            await asyncio.to_thread(by_ssh, disk, OLD, monkeypatch)
        assert contents(disk.root) == {}


@pytest.mark.parametrize(
    "address",
    ["ftp://host/x", "s3://", "sftp://host", "sftp://host/", "/srv/www", "", "https://host/x"],
)
def test_what_is_no_place_is_said_before_anything_is_done(address: str) -> None:
    with pytest.raises(MirrorFailed, match="is no place to write to"):
        opened(address)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(MirrorFailed, match="password in the address") as failed:
        opened("sftp://me:hunter2@host/srv")
    assert "hunter2" not in str(failed.value)


def test_one_target_that_fails_and_one_that_hangs_stop_no_other(tmp_path: Path) -> None:
    settings = load(None, {}, overrides={"server.data_dir": str(tmp_path / "data")})
    flag = tmp_path / "hang"
    flag.touch()
    (tmp_path / "taken").mkdir()
    hangs = f"sh -c 'while [ -e {flag} ]; do sleep 0.05; done'"
    with bucket() as held, answering(pack(failing())) as url:
        writer = Writer(
            settings,
            url,
            (tmp_path / "taken", tmp_path / "status"),
            then=(hangs,),
            to=("s3://status/far?endpoint=http://127.0.0.1:9", place(held)),
        )
        first = writer.write(within_s=3.0)
        second = writer.write(within_s=0.0)
        flag.unlink()  # the one that hung goes on
        third = writer.write()
        assert b"Anthropic is failing" in site_in(held)["status/index.html"]
    assert b"Anthropic is failing" in (tmp_path / "status/status/index.html").read_bytes()
    assert any("is not a mirror's" in one for one in first)
    assert f"{hangs} is still busy with an earlier version." in second
    assert any("127.0.0.1:9 is not up to date" in one for one in [*first, *second, *third])
    assert not any("sh ended" in one for one in third)


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A service that knows what it knew."""

    class Service(Answering):
        pass

    Service.body = body
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_without_the_package_it_is_said_which_one_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, extra, address in (
        ("obstore", "s3", "s3://status/x"),
        ("asyncssh", "sftp", "sftp://host/x"),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MirrorFailed, match=re.escape(f"pip install 'outlast[{extra}]'")):
            bring(OLD, address)


def test_the_command_refuses_what_is_no_place_before_it_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["mirror", "--once", "--to", "ftp://host/x"]) == 2
    assert "is no place to write to" in capsys.readouterr().err
    assert main(["mirror", "--once"]) == 2
