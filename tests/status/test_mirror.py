"""The mirror: whole or not at all, whatever is killed; and a plain file server is enough."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import msgspec
import pytest

from outlast.commands.mirroring import Writer, stored
from outlast.config import load
from outlast.nouns import Observation, Outcome, Status, Suspicion
from outlast.observatory.case_changes import Changes
from outlast.observatory.case_changes import Snapshot as Kept
from outlast.observatory.casebook import Casebook, Written
from outlast.observatory.history import History
from outlast.observatory.recovery import Forecast, TooFew
from outlast.observatory.words import Lang
from outlast.status.maintenance import NAME, Maintenance, written
from outlast.status.mirror import MirrorFailed, push_git, run, write_folder
from outlast.status.packing import PATH, BadSnapshot, pack, unpack
from outlast.status.page import Renderer
from outlast.status.site import fit, months, page_file, site
from outlast.status.texts import TEXTS
from outlast.status.view import DAY_S, Snapshot
from outlast.store.database import Database
from outlast.store.journal import Journal
from tests.status.machine_house import (
    API,
    BASE,
    NOW,
    failing,
    hostile,
    outage,
    over,
    quiet,
    shot,
    state,
)

RENDERER = Renderer()


def render(view: Snapshot, path: str, lang: Lang, month: str) -> bytes:
    return RENDERER.render(view, path, lang, month=month, static=True).body


class Links(HTMLParser):
    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.found += [value for name, value in attrs if name in {"href", "src"} and value]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A plain file server."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("snapshot", [failing(), hostile()], ids=["bad", "evil"])
def test_a_plain_file_server_serves_it_without_a_broken_link(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    write_folder(site(snapshot, render), tmp_path / "status")
    with served(tmp_path / "status") as base:
        waiting, seen = [f"{base}/", f"{base}/status/"], set()
        while waiting:
            url = waiting.pop().partition("#")[0]
            if url in seen:
                continue
            seen.add(url)
            with urllib.request.urlopen(url) as answer:
                body, kind = answer.read(), answer.headers["content-type"]
            if kind == "text/html":
                found = [urljoin(url, link) for link in Links(body).found]
                waiting += [one for one in found if one.startswith(base)]
        paths = {urlsplit(one).path for one in seen}
    assert {
        "/status/index.fr.html",
        "/status/anthropic/index.html",
        "/status/incidents/inc_20260302_a/index.html",
        "/status/history/index.html",
        "/status/feed.atom",
        "/status/feed.fr.atom",
    } <= paths


def test_every_page_is_there_in_both_languages_with_what_programs_read() -> None:
    files = site(failing(), render)
    for path in ("", "history", "anthropic", "incidents/inc_over"):
        for lang in ("en", "fr"):
            assert f'lang="{lang}"' in files[page_file(path, "", lang)].decode()
    for file in ("index.html", "index.fr.html", "api/v2/summary.json", "llms.txt",
                 "status/anthropic/api/badge.fr.svg", "status/feed.rss"):  # fmt: skip
        assert files[file]


def test_a_page_says_by_itself_how_old_it_is_with_the_script_that_its_policy_names() -> None:
    body = site(failing(), render)["status/index.html"]
    tags = Links(body).tags
    policy = next(
        had["content"] or ""
        for tag, had in tags
        if tag == "meta" and (had.get("http-equiv") or "").lower() == "content-security-policy"
    )
    assert "script-src 'sha256-" in policy
    assert "frame-ancestors" not in policy
    assert b"2026-03-02" in body
    assert b"180000" in body
    assert not any(tag == "form" for tag, _ in tags)


STEPS = ("status/index.html", "index.html", "link", "swap", "tidy")


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches a kill."""


@pytest.mark.parametrize("where", STEPS)
def test_a_kill_at_any_step_leaves_a_whole_site(where: str, tmp_path: Path) -> None:
    target = tmp_path / "status"
    old, new = site(quiet(), render), site(failing(), render)
    write_folder(old, target)

    def step(name: str) -> None:
        if name == where:
            raise Killed

    with pytest.raises(Killed):
        write_folder(new, target, step=step)
    assert contents(target) == (new if where == "tidy" else old)
    write_folder(new, target)
    assert contents(target) == new
    assert not (tmp_path / ".status.new").exists()


def test_a_process_that_dies_between_two_files_leaves_a_whole_site(tmp_path: Path) -> None:
    target = tmp_path / "status"
    write_folder({"a.html": b"old", "b.html": b"old"}, target)
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from outlast.status.mirror import write_folder\n"
        "step = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == 'b.html' else None\n"
        "write_folder({'a.html': b'new', 'b.html': b'new'}, Path(sys.argv[1]), step=step)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert done.returncode == -9
    assert contents(target) == {"a.html": b"old", "b.html": b"old"}


def contents(folder: Path) -> dict[str, bytes]:
    real = folder.resolve()
    return {
        one.relative_to(real).as_posix(): one.read_bytes()
        for one in real.rglob("*")
        if one.is_file()
    }


def test_old_versions_go_and_the_one_before_stays(tmp_path: Path) -> None:
    target = tmp_path / "status"
    for number in range(5):
        write_folder({"a": str(number).encode()}, target)
    kept = sorted(one.name for one in (tmp_path / "status.versions").iterdir())
    assert kept == ["000000004", "000000005"]
    assert (target / "a").read_bytes() == b"4"


def test_what_a_full_disk_cut_off_is_removed_and_the_last_version_stays(tmp_path: Path) -> None:
    target = tmp_path / "status"
    for text in (b"one", b"two"):
        write_folder({"a": text}, target)

    def full(name: str) -> None:
        if name == "b":
            raise OSError(errno.ENOSPC, "No space left on device")

    for _ in range(3):
        with pytest.raises(MirrorFailed, match="No space left"):
            write_folder({"a": b"three", "b": b"more"}, target, step=full)
    assert [one.name for one in (tmp_path / "status.versions").iterdir()] == ["000000002"]
    assert contents(target) == {"a": b"two"}


def test_a_folder_that_is_not_a_mirrors_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter").write_text("dear")
    with pytest.raises(MirrorFailed, match="not a mirror's"):
        write_folder({"a": b"1"}, mine)
    assert (mine / "letter").read_text() == "dear"


def test_a_name_that_leaves_the_folder_is_refused_and_never_made(tmp_path: Path) -> None:
    with pytest.raises(MirrorFailed):
        write_folder({"../../evil": b"1"}, tmp_path / "status")
    assert not (tmp_path / "evil").exists()
    for name in ("../a", "a/../b", "a//b", "/a", "a/.", "a\x00", "a\nb", "a/<b>", ""):
        assert not fit(name), name
    assert all(map(fit, site(hostile(), render)))


def test_what_the_service_knows_comes_over_whole() -> None:
    likely = Forecast(60.0, 1.0, 2.0, 3.0, 4.0, 5.0, 30, 20, 10, "provider=anthropic")
    first, second = failing().open
    snapshot = msgspec.structs.replace(
        failing(),
        open=(
            msgspec.structs.replace(first, forecast=likely),
            msgspec.structs.replace(second, forecast=TooFew(3)),
        ),
    )
    assert unpack(pack(snapshot)) == snapshot


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"at": "now"}'])
def test_what_is_no_snapshot_is_called_so(body: bytes) -> None:
    with pytest.raises(BadSnapshot):
        unpack(body)


class Answering(SimpleHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        assert self.path == PATH
        self.send_response(200)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


def test_while_the_service_is_dead_the_last_files_stay_and_it_is_said(tmp_path: Path) -> None:
    settings = load(None, {}, overrides={"server.data_dir": str(tmp_path / "data")})
    Answering.body = pack(failing())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    target = tmp_path / "status"
    writer = Writer(settings, f"http://127.0.0.1:{server.server_port}", (target,))
    try:
        assert writer.write() == []
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    before = contents(target)
    assert b"Anthropic is failing" in before["status/index.html"]
    problems = writer.write()
    assert "does not answer" in problems[0]
    assert "The last files stay." in problems[1]
    assert contents(target) == before


def test_an_empty_database_wipes_out_nothing(tmp_path: Path) -> None:
    settings = load(None, {}, overrides={"server.data_dir": str(tmp_path / "data")})
    (tmp_path / "data").mkdir()
    write_folder({"index.html": b"what was known"}, tmp_path / "status")
    problems = Writer(settings, "http://127.0.0.1:1", (tmp_path / "status",)).write()
    assert problems[-1] == "Its database has nothing newer. The last files stay."
    assert contents(tmp_path / "status") == {"index.html": b"what was known"}


def test_without_a_service_the_database_is_read_and_it_is_said(tmp_path: Path) -> None:
    settings = load(None, {}, overrides={"server.data_dir": str(tmp_path / "data")})
    (tmp_path / "data").mkdir()

    async def fill() -> None:
        database = Database(settings.store_url)
        casebook = Casebook(database)
        states = (state(API, Status.MAJOR, Suspicion.O_DOWN),)
        try:
            changes = Changes(incidents=(outage(),), states=states)
            assert await casebook.commit(changes) is Written.STORED
        finally:
            await casebook.close()
            await database.close()

    asyncio.run(fill())
    target = tmp_path / "status"
    problems = Writer(settings, "http://127.0.0.1:1", (target,)).write()
    assert problems[-1] == "What is written is from its database."
    page = contents(target)["status/index.html"].decode()
    assert "Anthropic is failing" in page
    assert TEXTS["en"]["trouble"] in page


async def test_what_the_database_knows_has_its_days_and_its_windows(tmp_path: Path) -> None:
    now = time.time()
    database = Database(f"sqlite:///{tmp_path / 'outlast.db'}")
    casebook = Casebook(database)
    journal = Journal(tmp_path / "observations")
    history = History(journal, database)
    for back in range(1, 11):
        history.append(Observation(now - back * DAY_S, "probe", API, Outcome.OK))
    assert await history.flush()
    began = now - 3 * DAY_S
    past = over(opened_at=began, started_at=began, resolved_at=began + 60)
    work = Maintenance("win_1", {"en": "Disks", "fr": "Disques"}, {}, (API,), now - 60, now + 60,
                       now - 60, "Ada")  # fmt: skip
    kept = Kept(NAME, now, written((work,)))
    seen = state(API, at=now - DAY_S)
    await casebook.commit(Changes(incidents=(past,), states=(seen,), snapshots=(kept,)))
    try:
        found = await stored(database, BASE)
    finally:
        await casebook.close()
        await history.close()
        await database.close()
        journal.close()
    (row,) = found.providers[0].rows
    assert row.watched_days == 10
    assert row.uptime == pytest.approx(1 - 60 / (10 * DAY_S))
    assert [(one.id, one.state) for one in found.windows] == [("win_1", "in_progress")]
    assert found.stale


def test_a_service_that_has_not_looked_yet_wipes_out_nothing(tmp_path: Path) -> None:
    settings = load(None, {}, overrides={"server.data_dir": str(tmp_path / "data")})
    (tmp_path / "data").mkdir()
    write_folder({"index.html": b"what was known"}, tmp_path / "status")
    Answering.body = pack(shot(at=0.0))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        problems = Writer(settings, url, (tmp_path / "status",)).write()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert "has not looked at anything yet" in problems[0]
    assert contents(tmp_path / "status") == {"index.html": b"what was known"}


def test_a_component_that_is_called_as_a_file_stops_no_mirror(tmp_path: Path) -> None:
    odd = shot(states=(state(f"{API}/feed.atom"), state(f"{API}/Same"), state(f"{API}/same")))
    files = site(odd, render)
    write_folder(files, tmp_path / "status")
    assert contents(tmp_path / "status") == files
    assert b"<feed" in files["status/anthropic/api/feed.atom"]
    assert len({file.casefold() for file in files}) == len(files)


def test_months_are_those_of_the_days_that_are_shown() -> None:
    assert months(NOW) == ["2026-03", "2026-02", "2026-01", "2025-12"]


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_git_has_the_newest_version_as_one_commit(tmp_path: Path) -> None:
    far, store = tmp_path / "far.git", tmp_path / "store.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(far)], check=True)
    for text in (b"old", b"new"):
        version = write_folder({"a/b.html": text}, tmp_path / "status")
        push_git(version, store, str(far), "pages", "now")
    git = ["git", f"--git-dir={far}"]
    shown = subprocess.run([*git, "show", "pages:a/b.html"], check=True, capture_output=True)
    assert shown.stdout == b"new"
    count = subprocess.run([*git, "rev-list", "--count", "pages"], check=True, capture_output=True)
    assert count.stdout.strip() == b"1"


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_our_own_repository_does_not_grow_and_a_killed_writers_lock_does_not_hold(
    tmp_path: Path,
) -> None:
    far, store = tmp_path / "far.git", tmp_path / "store.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(far)], check=True)
    counts = []
    for number in range(4):
        version = write_folder({"a": f"{number}".encode()}, tmp_path / "status")
        push_git(version, store, str(far), "pages", "now")
        counts.append(sum(one.is_file() for one in (store / "objects").rglob("*")))
        (store / "index.lock").write_bytes(b"")
    assert counts == [counts[0]] * 4
    with pytest.raises(MirrorFailed, match="ended with"):
        push_git(version, store, str(tmp_path / "nowhere"), "pages", "now")


def test_a_command_gets_the_finished_folder_and_its_failure_is_told(tmp_path: Path) -> None:
    version = write_folder({"a": b"1"}, tmp_path / "status")
    run(f"cp -r {{folder}} {tmp_path / 'far'}", version)
    assert (tmp_path / "far" / "a").read_bytes() == b"1"
    with pytest.raises(MirrorFailed, match="is not installed"):
        run("no-such-program {folder}", version)
    with pytest.raises(MirrorFailed, match="is no command"):
        run("echo 'half a quote {folder}", version)
    with pytest.raises(MirrorFailed, match="ended with"):
        run(f"cat {tmp_path / 'nothing'}", version)
