"""`python -m outlast serve` as a process of its own, on a free port, killed at the end."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.service import free_port
from tests.store.children import SOURCES

READY_S = 30.0
END_S = 15.0


class Launched:
    """A running service; `key` is the one that it printed at its first start, else given."""

    def __init__(self, process: subprocess.Popen[str], port: int, key: str) -> None:
        self.process = process
        self.port = port
        self.key = key
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, words: str, timeout_s: float = READY_S) -> str:
        """Return the next line that contains `words`; fails where none comes."""
        while True:
            try:
                line = self._coming.get(timeout=timeout_s)
            except queue.Empty:
                raise AssertionError(f"{words!r} was not said:\n{self.said}") from None
            if line is None:
                raise AssertionError(f"the service ended before {words!r}:\n{self.said}")
            if words in line:
                return line

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        return self.process.wait(END_S)

    def drained(self) -> None:
        """Wait until all that it said is read: its pipe is closed after that, and not meanwhile."""
        self._reader.join(END_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._coming.put(self.lines[-1])
        self._coming.put(None)


def configuration(vendor_url: str, *, extra: str = "") -> str:
    """A file for one vendor that speaks all formats; no embedded model, no weights to fetch."""
    return f"""
[server]
drain_s = 5
{extra}
[local]
enabled = false

[upstreams.here]
kind = "anthropic"
base_url = "{vendor_url}"
key_env = "HERE_KEY"

[[routes]]
model = "m"
candidates = ["here"]
"""


def command(port: int, folder: Path, config: Path) -> list[str]:
    own = [sys.executable, "-m", "outlast", "serve", "--port", str(port)]
    return [*own, "--data-dir", str(folder), "--config", str(config)]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTLAST_")}
    own = {"PYTHONPATH": SOURCES, "PYTHONUNBUFFERED": "1", "HERE_KEY": "k"}
    return {**kept, **own, **more}


@contextmanager
def launched(
    folder: Path,
    config: Path,
    *,
    key: str = "",
    prefix: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Iterator[Launched]:
    """A service that is ready to be asked. `prefix`: a command to run it with."""
    port = free_port()
    process = subprocess.Popen(
        [*prefix, *command(port, folder, config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ or environment(),
        cwd=config.parent,
    )
    with process:
        service = Launched(process, port, key)
        try:
            service.wait_for(f"on http://127.0.0.1:{port}")
            if not key:
                line = service.wait_for("Your API key")
                found = re.search(r"ol_\w{39}", line)
                assert found is not None, line
                service.key = found[0]
            yield service
        finally:
            process.kill()
            service.drained()


def run_to_its_end(
    folder: Path, config: Path, *, port: int | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Start a service that cannot start, and return what it said."""
    return subprocess.run(
        command(port or free_port(), folder, config),
        capture_output=True,
        text=True,
        timeout=READY_S,
        check=False,
        env=environ or environment(),
        cwd=config.parent,
    )
