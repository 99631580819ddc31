"""A flood of reports: how many a second, how long each takes, and whether one is ever lost.

A server process and a generator on one machine. The generator keeps to a schedule (3,000 a
second by default) over keep-alive connections, one request under way on each; a report's latency
counts from when it was due, so that a server that falls behind cannot hide it. Reporters are in
100,000 networks; one report in ten is somebody's second, one in fifty the same request once more.

At the end of it, while requests are under way, the server is killed (SIGKILL) and started again.
Then the database must hold every report that was acknowledged with an id, once, and its sums by
day must say the same number.
`SECONDS` in the environment of `python -m bench.observatory.flood` sets how long; QUICK is 10.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop

from bench.observatory.result import Figure, Result, Table

RATE_PER_S = 3000
SECONDS = 60.0
QUICK_S = 10.0
CONNECTIONS = 32
NETWORKS = 100_000
RATE_LEAST = 0.98
"""Of the rate that was asked for: the schedule ends with the last answers under way."""
P99_MOST_S = 0.05
RSS_MOST_MIB = 400.0
READY_S = 60.0


class Tally(msgspec.Struct):
    """What the generator saw."""

    took_s: list[float] = []
    ids: set[str] = set()
    verdicts: dict[str, int] = {}
    statuses: dict[int, int] = {}
    began_at: float = 0.0
    ended_at: float = 0.0
    rss_mib: list[float] = []
    cpu_s: float = 0.0
    """Processor time of the server, over all its threads."""

    @property
    def answered(self) -> int:
        return len(self.took_s)

    @property
    def per_s(self) -> float:
        return self.answered / max(1e-9, self.ended_at - self.began_at)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.took_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan


class Server:
    """The server process. Ended by its id alone."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "bench.observatory.flood_server", str(folder)]
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
        self._process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        with self._process.stdout as said:
            line = said.readline().strip()
        if not line.isdigit():
            self.kill()
            raise RuntimeError("the server of the flood did not start; its words are above")
        self.port = int(line)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(READY_S)

    def cpu_s(self) -> float:
        """Processor time used so far; 0 where the system does not say it."""
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Resident memory now; 0 where the system does not say it."""
        try:
            text = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return 0.0
        line = next((one for one in text.splitlines() if one.startswith("VmRSS")), "VmRSS: 0 kB")
        return int(line.split()[1]) / 1024


def run(
    data: Path,
    since: float | None = None,
    *,
    seconds: float = QUICK_S,
    rate_per_s: float = RATE_PER_S,
    acknowledged: int = 0,
) -> Result:
    """Flood a server for so long, and until so many reports were acknowledged with an id.

    `data` and `since` are not needed: reports are made here.
    """
    del data, since
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="outlast-flood-") as name:
        folder = Path(name)
        server = Server(folder)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                tally = runner.run(_flood(server, seconds, rate_per_s, acknowledged))
            restarted_at = time.monotonic()
            server = Server(folder)
            back_s = time.monotonic() - restarted_at
            voices = _state(server.port)["voices"]
        finally:
            server.stop()
        rows, sums, stored = _stored(folder)
    missing = len(tally.ids - rows)
    return Result(
        (
            Figure("reports/s answered", tally.per_s, RATE_LEAST * rate_per_s, 1e9, tally.answered),
            Figure("latency p99, s", tally.quantile(0.99), 0, P99_MOST_S, tally.answered),
            Figure("reports acknowledged with an id", len(tally.ids), 1, math.inf, len(tally.ids)),
            Figure("acknowledged and lost", missing, 0, 0, len(tally.ids)),
            Figure("stored twice", sums - stored, 0, 0, stored),
            Figure("memory at most, MiB", max(tally.rss_mib, default=0), 0, RSS_MOST_MIB, 1),
            Figure("answered other than 200 or 202", _odd(tally), 0, 0, tally.answered),
        ),
        (
            Table(
                "Flood",
                ("p50", "p90", "p99", "longest", "memory first", "memory last", "processor"),
                (
                    (
                        *(f"{1000 * tally.quantile(q):.1f} ms" for q in (0.5, 0.9, 0.99, 1.0)),
                        *(f"{tally.rss_mib[place]:.0f} MiB" for place in (0, -1)),
                        f"{1e6 * tally.cpu_s / max(1, tally.answered):.0f} µs a report",
                    ),
                ),
            ),
        ),
        (
            f"{seconds:.0f} s at {rate_per_s:.0f} reports a second over {CONNECTIONS} connections, "
            f"server and generator on {os.cpu_count()} cores; load average before: {busy:.1f}",
            f"verdicts {tally.verdicts}; killed at the end, back in {back_s:.1f} s with {voices} "
            "voices remembered",
        ),
    )


def _odd(tally: Tally) -> int:
    return sum(count for status, count in tally.statuses.items() if status not in {200, 202})


async def _flood(server: Server, seconds: float, rate_per_s: float, acknowledged: int) -> Tally:
    """Send on schedule, and kill the server at the end, while requests are under way.

    A machine so busy that fewer than `acknowledged` came by then is given up to `READY_S` more.
    """
    tally = Tally()
    requests = Requests(random.Random(7), rate_per_s)
    used_s = server.cpu_s()
    tally.began_at = time.monotonic() + 0.2
    sending = [
        asyncio.create_task(_connection(server.port, requests, tally)) for _ in range(CONNECTIONS)
    ]
    due_at = tally.began_at + seconds
    while (now := time.monotonic()) < due_at or (
        len(tally.ids) < acknowledged and now < due_at + READY_S
    ):
        tally.rss_mib.append(server.rss_mib())
        await asyncio.sleep(min(1.0, max(0.01, due_at - now)))
    tally.ended_at = time.monotonic()
    tally.rss_mib.append(server.rss_mib())
    tally.cpu_s = server.cpu_s() - used_s
    server.kill()
    await asyncio.gather(*sending)
    return tally


class Requests:
    """The reports in order, each made when it is due."""

    def __init__(self, roll: random.Random, rate_per_s: float) -> None:
        self._roll = roll
        self.rate_per_s = rate_per_s
        self._sent: list[tuple[int, int, int]] = []
        """(network, token, id) of earlier ones."""
        self.count = 0

    def next(self) -> tuple[int, bytes]:
        """Return (its number, the whole request)."""
        number, roll = self.count, self._roll
        self.count += 1
        chance = roll.random()
        if len(self._sent) > 1000 and chance < 0.02:
            network, token, ident = roll.choice(self._sent)
        elif len(self._sent) > 1000 and chance < 0.12:
            network, token, _ = roll.choice(self._sent)
            ident = number
        else:
            network, token, ident = roll.randrange(NETWORKS), number, number
            if len(self._sent) < 50_000:
                self._sent.append((network, token, ident))
        # 1.0.0.0/8 and up: one reporter in each of so many /24.
        address = f"{1 + network // 65536}.{network // 256 % 256}.{network % 256}.{token % 250 + 1}"
        works = "true" if token % 10 == 0 else "false"
        body = (
            f'{{"provider":"anthropic","surface":"web","works":{works},"symptom":"errors",'
            f'"token":"reporter-{token}","id":"report-{ident}"}}'
        )
        head = (
            "POST /api/reports HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            "accept-language: fr\r\naccept: */*\r\nuser-agent: flood\r\n"
            f"x-forwarded-for: {address}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return number, (head + body).encode("ascii")


async def _connection(port: int, requests: Requests, tally: Tally) -> None:
    """Send what is due next, read its answer, and so on, until the server is gone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            number, sent = requests.next()
            due_at = tally.began_at + number / requests.rate_per_s
            wait_s = due_at - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            begin = head.index(b"content-length: ") + 16
            body = await reader.readexactly(int(head[begin : head.index(b"\r\n", begin)]))
            tally.took_s.append(time.monotonic() - due_at)
            _note(int(head[9:12]), body, tally)
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # the server was killed
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def _note(status: int, body: bytes, tally: Tally) -> None:
    tally.statuses[status] = tally.statuses.get(status, 0) + 1
    verdict = _between(body, b'"verdict":"')
    tally.verdicts[verdict] = tally.verdicts.get(verdict, 0) + 1
    ident = _between(body, b'"id":"')
    if ident:
        tally.ids.add(ident)


def _between(body: bytes, begin: bytes) -> str:
    place = body.find(begin)
    if place < 0:
        return ""
    place += len(begin)
    return body[place : body.index(b'"', place)].decode("ascii")


def _state(port: int) -> dict[str, int]:
    """Ask the server how it is; wait until nothing is on its way to the database."""
    limit = time.monotonic() + READY_S
    while True:
        found: dict[str, int] = asyncio.run(_get(port, "/state"))
        pending = msgspec.convert(found["drain"], dict[str, object])["pending"]
        if not pending or time.monotonic() > limit:
            return found
        time.sleep(0.1)


async def _get(port: int, path: str) -> dict[str, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode("ascii"))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    found: dict[str, int] = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
    return found


def _stored(folder: Path) -> tuple[set[str], int, int]:
    """Return ids in the database, what its sums by day say, and how many rows there are."""
    connection = sqlite3.connect(folder / "outlast.db")
    try:
        rows = [row[0] for row in connection.execute("SELECT id FROM observations")]
        sums = connection.execute("SELECT SUM(count) FROM rollups WHERE period = 'day'").fetchone()
    finally:
        connection.close()
    return set(rows), int(sums[0] or 0), len(rows)


if __name__ == "__main__":
    made = run(Path(), seconds=float(os.environ.get("SECONDS", SECONDS)))
    for figure in made.figures:
        print(f"{'  ' if figure.holds else '! '}{figure.name:34} {figure.value:10.4g}")
    for table in made.tables:
        print(table.title, dict(zip(table.head, table.rows[0], strict=True)))
    print(*made.notes, sep="\n")
    sys.exit(0 if made.holds else 1)
