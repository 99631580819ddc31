"""What the manager that started the service is told, on a socket of its own."""

from __future__ import annotations

import asyncio
import io
import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from outlast.config.environ import taken
from outlast.manager import BEATS, VARIABLES, Manager, handed_over, is_kept
from outlast.simulator import Script, Vendor
from tests.endtoend.launcher import Launched, command, configuration, environment, launched
from tests.endtoend.place import GOOD, MESSAGES
from tests.raw import ask
from tests.service import free_port
from tests.workers.company import children_of

LIMIT_S = 30.0


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """Where a manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(address.replace("@", "\0", 1))
        found.settimeout(LIMIT_S)
        yield found


def told(listener: socket.socket) -> list[str]:
    return listener.recv(4096).decode().splitlines()


def until_told(listener: socket.socket, wanted: str) -> list[str]:
    """The lines of the first datagram that says so."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        if wanted in (lines := told(listener)):
            return lines
    raise AssertionError(f"{wanted} is not said")


def fill(address: str) -> None:
    """Say something until nothing more finds room."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                sender.sendto(b"X=1", address)


def waiting(listener: socket.socket) -> int:
    """How many datagrams are there."""
    count = 0
    listener.setblocking(False)
    try:
        while True:
            listener.recv(4096)
            count += 1
    except BlockingIOError:
        return count
    finally:
        listener.settimeout(LIMIT_S)


@pytest.mark.parametrize("kind", ["a path", "a name that is in no file system"])
async def test_it_hears_of_the_start_of_life_and_of_the_end(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "s") if kind == "a path" else f"@outlast-{secrets.token_hex(8)}"
    with listening(address) as listener:
        manager = Manager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000"})
        manager.ready("http://127.0.0.1:8400")
        assert told(listener) == ["READY=1", "STATUS=Answers on http://127.0.0.1:8400"]
        living = asyncio.create_task(manager.live())
        for _ in range(3):
            assert await asyncio.to_thread(told, listener) == ["WATCHDOG=1"]
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        waiting(listener)
        manager.stopping(45.5)
        assert told(listener) == [
            "STOPPING=1", "STATUS=Lets answers end", "EXTEND_TIMEOUT_USEC=45500000",
        ]  # fmt: skip


def test_what_is_for_the_service_alone_is_taken_out_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "x")
    assert taken(*VARIABLES, "OUTLAST_NO_SUCH") == dict.fromkeys(VARIABLES, "x")
    assert not set(VARIABLES) & set(os.environ)
    assert taken(*VARIABLES) == {}


@pytest.mark.parametrize(
    ("why", "environ", "beat_s"),
    [
        ("no one waits", {"NOTIFY_SOCKET": "/x"}, 0.0),
        ("a third of what it waits", {"WATCHDOG_USEC": "30000000"}, 30 / BEATS),
        ("it waits for us", {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.0),
        ("it waits for another", {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ("no number", {"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_signs_of_life_are_given_to_who_waits_for_them(
    why: str, environ: dict[str, str], beat_s: float
) -> None:
    assert Manager(environ).beat_s == beat_s, why


async def test_a_manager_that_is_gone_or_does_not_read_keeps_nobody_from_work(
    tmp_path: Path,
) -> None:
    Manager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("here")
    Manager({"NOTIFY_SOCKET": "x" * 5000}).ready("here")
    Manager({}).stopping(1.0)
    await Manager({"WATCHDOG_USEC": "3000"}).live()  # without an address there is nothing to do
    address = str(tmp_path / "s")
    with listening(address):
        manager = Manager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3"})
        manager.ready("here")
        fill(address)
        living = asyncio.create_task(manager.live())
        for _ in range(50):
            await asyncio.sleep(0)
        assert not living.done()
        living.cancel()
        manager.stopping(1.0)


async def test_what_matters_waits_for_room_in_the_manager_s_queue(tmp_path: Path) -> None:
    address = str(tmp_path / "s")
    with listening(address) as listener:
        fill(address)
        telling = asyncio.create_task(
            asyncio.to_thread(Manager({"NOTIFY_SOCKET": address}).ready, "")
        )
        await asyncio.to_thread(until_told, listener, "READY=1")
        await telling


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_service_tells_it_from_its_start_to_its_end(tmp_path: Path, workers: int) -> None:
    address = str(tmp_path / "s")
    config = tmp_path / "outlast.toml"
    async with Vendor(Script(seed=1)) as vendor:
        config.write_text(configuration(vendor.url, extra=f"workers = {workers}"), "utf-8")
        own = environment(NOTIFY_SOCKET=address, WATCHDOG_USEC="300000")
        with (
            listening(address) as listener,
            launched(tmp_path / "data", config, environ=own) as service,
        ):
            until_told(listener, "READY=1")
            for _ in range(3):
                until_told(listener, "WATCHDOG=1")
            service.send(signal.SIGTERM)
            ending = until_told(listener, "STOPPING=1")
            assert service.end() == 0
            # Each of the others may close for as long as it needs.
            assert f"EXTEND_TIMEOUT_USEC={workers * 20_000_000}" in ending


def test_what_goes_to_the_journal_is_kept_and_nothing_else_is(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream, (tmp_path / "other").open("w") as other:
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_kept(environ, stream)
        assert not is_kept(environ, other)
        assert not is_kept({}, stream)
    assert not is_kept(environ, stream)  # closed
    assert not is_kept(environ, io.StringIO())


def test_a_first_start_under_a_manager_that_keeps_what_is_said_shows_no_key(
    tmp_path: Path,
) -> None:
    config, said = tmp_path / "outlast.toml", tmp_path / "said"
    config.write_text(configuration("http://127.0.0.1:9"), "utf-8")
    with said.open("w") as stream:
        found = os.fstat(stream.fileno())
        own = environment(JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}")
        data, port = tmp_path / "data", free_port()
        with subprocess.Popen(
            command(port, data, config), stdout=stream, stderr=stream, env=own, cwd=tmp_path
        ) as process:
            until = time.monotonic() + LIMIT_S
            while "curl" not in said.read_text("utf-8"):
                assert time.monotonic() < until, said.read_text("utf-8")
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
    words = said.read_text("utf-8")
    assert "make one: outlast key create NAME" in words
    assert not re.search(r"ol_\w{20}", words)
    with closing(sqlite3.connect(data / "outlast.db")) as database:
        assert database.execute("select count(*) from keys").fetchone() == (0,)


HAND_OVER = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=100)
assert listener.fileno() == 3 or os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
while True:
    child = os.fork()
    if child == 0:
        os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        os.execvp(sys.argv[2], sys.argv[2:])
    status = os.waitpid(child, 0)[1]
    if status:
        sys.exit(os.waitstatus_to_exitcode(status) % 256)
    print("it ended", flush=True)
"""
"""As systemd does with a socket unit and `Restart=always`."""


@contextmanager
def held(folder: Path, config: Path) -> Iterator[Launched]:
    """A service whose port somebody else holds, who starts it again whenever it ends."""
    port = free_port()
    own = [sys.executable, "-c", HAND_OVER, str(port), *command(port, folder, config)]
    with subprocess.Popen(
        own, stdout=subprocess.PIPE, text=True, env=environment(), cwd=config.parent
    ) as process:
        service = Launched(process, port, "")
        try:
            found = re.search(r"ol_\w{39}", service.wait_for("API key"))
            assert found is not None
            service.key = found[0]
            yield service
        finally:
            left = children_of(process.pid)
            process.kill()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            service.drained()


async def test_while_it_starts_again_clients_wait_and_nobody_is_turned_away(
    tmp_path: Path,
) -> None:
    async def answered(service: Launched, number: int) -> int:
        own = {"x-api-key": service.key, "content-type": "application/json"}
        body = msgspec.json.encode({**GOOD[MESSAGES], "stream": bool(number % 2)})
        return (await ask(service.url, "POST", MESSAGES, own, body)).status

    config = tmp_path / "outlast.toml"
    async with Vendor(Script(seed=1)) as vendor:
        config.write_text(configuration(vendor.url), "utf-8")
        with held(tmp_path / "data", config) as service:
            for _ in range(2):
                (pid,) = children_of(service.process.pid)
                asking = [asyncio.create_task(answered(service, one)) for one in range(8)]
                os.kill(pid, signal.SIGTERM)
                asking += [asyncio.create_task(answered(service, one)) for one in range(20)]
                await asyncio.to_thread(service.wait_for, "it ended")
                asking += [asyncio.create_task(answered(service, one)) for one in range(20)]
                assert set(await asyncio.gather(*asking)) == {200}
                assert children_of(service.process.pid) != [pid]


@pytest.mark.parametrize(
    ("why", "extra", "says"),
    [
        ("several processes", "workers = 2", "Disable outlast.socket, or set server.workers to 1"),
        ("another port", "port = 9", "systemd listens on port"),
    ],
)
def test_a_port_that_cannot_be_handed_over_is_told_in_a_sentence(
    tmp_path: Path, why: str, extra: str, says: str
) -> None:
    config, port = tmp_path / "outlast.toml", free_port()
    config.write_text(configuration("http://127.0.0.1:9", extra=extra), "utf-8")
    given = command(port, tmp_path / "data", config)
    if "port" in extra:
        given.remove("--port")
        given.remove(str(port))
    own = [sys.executable, "-c", HAND_OVER, str(port), *given]
    done = subprocess.run(
        own, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment()
    )
    assert (done.returncode, says in done.stderr) == (1, True), (why, done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("why", "environ", "says"),
    [
        ("nothing", {}, ""),
        ("for another", {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, ""),
        ("several", {"LISTEN_PID": "own", "LISTEN_FDS": "2"}, "hands over 2 sockets"),
        ("none", {"LISTEN_PID": "own"}, "hands over None sockets"),
    ],
)
def test_what_is_not_handed_over_to_us_is_not_taken(
    why: str, environ: dict[str, str], says: str
) -> None:
    given = {name: text.replace("own", str(os.getpid())) for name, text in environ.items()}
    if not says:
        assert handed_over(given, 8400) is None, why
        return
    with pytest.raises(OSError, match=says):
        handed_over(given, 8400)
