"""Starting a client: an environment of its own, a time limit, nothing left behind, no way out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

OUTPUT_LIMIT = 2_000_000
_FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class Ended:
    """How a process ended. `code` None: it was stopped at the time limit."""

    code: int | None
    stdout: str
    stderr: str
    seconds: float


async def run(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: dict[str, str],
    limit_s: float,
    given: bytes = b"",
) -> Ended:
    """Run a command to its end, or to the limit; then its whole process group is gone."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    code: int | None = None
    talk = asyncio.ensure_future(process.communicate(given))
    out = err = b""
    try:
        out, err = await asyncio.wait_for(asyncio.shield(talk), limit_s)
        code = process.returncode
    except TimeoutError:
        _end_group(process.pid)
        out, err = await talk
    finally:
        # Helpers that a tool left running are of its group, which is ours alone.
        _end_group(process.pid)
        if not talk.done():
            talk.cancel()
    return Ended(
        code,
        out[-OUTPUT_LIMIT:].decode("utf-8", "replace"),
        err[-OUTPUT_LIMIT:].decode("utf-8", "replace"),
        time.monotonic() - began,
    )


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


@dataclass
class Wall:
    """A proxy that lets nothing through and remembers who was asked for."""

    port: int = 0
    asked: dict[str, int] = field(default_factory=dict)

    def environment(self, home: Path, temporary: Path) -> dict[str, str]:
        """Return the whole environment of a client: nothing of ours but the search path."""
        url = f"http://127.0.0.1:{self.port}"
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), url)
        proxies["NO_PROXY"] = "127.0.0.1,localhost"
        node = shutil.which("node") or ""
        return {
            **proxies,
            **{name.lower(): value for name, value in proxies.items()},
            "PATH": f"{Path(node).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "CI": "1",
        }

    async def _turn_away(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), 10)
            words = line.decode("latin-1").split()
            target = words[1] if len(words) > 1 else "?"
            host = target.removeprefix("http://").partition("/")[0]
            self.asked[host] = self.asked.get(host, 0) + 1
            writer.write(
                b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass  # A client that leaves, or writes no line, has got nowhere either.
        finally:
            writer.close()


@asynccontextmanager
async def walled() -> AsyncIterator[Wall]:
    """Serve the wall until the end of the block."""
    wall = Wall()
    server = await asyncio.start_server(wall._turn_away, "127.0.0.1", 0)
    wall.port = server.sockets[0].getsockname()[1]
    try:
        yield wall
    finally:
        server.close()


__all__ = ["Ended", "Wall", "run", "walled"]
