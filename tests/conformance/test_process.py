"""Clients are started with nothing of ours, and nothing of theirs is left behind."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.conformance.process import run, walled

CHILD = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {0!r}]); {1}"
SLEEP = "import time; time.sleep(600)"


async def test_a_client_past_its_limit_is_ended_with_all_it_started(tmp_path: Path) -> None:
    program = CHILD.format(SLEEP, "print(p.pid, flush=True); time.sleep(600)")
    ended = await run([sys.executable, "-c", program], cwd=tmp_path, environment={}, limit_s=2.0)
    assert ended.code is None
    assert not await _alive(int(ended.stdout))


async def test_what_a_client_leaves_running_is_ended_too(tmp_path: Path) -> None:
    quiet = (
        "import subprocess, sys; d = subprocess.DEVNULL;"
        f"p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], stdout=d, stderr=d);"
        "print(p.pid)"
    )
    ended = await run([sys.executable, "-c", quiet], cwd=tmp_path, environment={}, limit_s=30.0)
    assert ended.code == 0
    assert not await _alive(int(ended.stdout))


async def _alive(pid: int) -> bool:
    """Whether a process goes on after it was killed; the kernel may take a moment over it."""
    for _ in range(200):
        if not _runs(pid):
            return False
        await asyncio.sleep(0.01)
    return True


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state.split()[0] != "Z"


async def test_the_wall_turns_away_and_remembers(tmp_path: Path) -> None:
    async with walled() as wall:
        environment = wall.environment(tmp_path, tmp_path)
        assert environment["https_proxy"] == f"http://127.0.0.1:{wall.port}"
        reader, writer = await asyncio.open_connection("127.0.0.1", wall.port)
        writer.write(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")
        writer.close()
    assert wall.asked == {"example.org:443": 1}
