"""Child processes for tests: started with our sources on their path, never left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import outlast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCES = str(Path(outlast.__file__).resolve().parents[1])


@contextmanager
def child(
    program: str, *arguments: str, prefix: Sequence[str] = (), pass_fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A Python program in a process of its own, with pipes as text; killed at the end."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
        env={**os.environ, "PYTHONPATH": SOURCES},
    )
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        process.wait()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that the child prints; fails with what it said on stderr when it died."""
    assert process.stdout is not None
    found = process.stdout.readline()
    if not found:
        assert process.stderr is not None
        raise AssertionError(f"the child ended without a word: {process.stderr.read()}")
    return found.rstrip("\n")


def tell(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()


def tmpfs(folder: Path, size: str) -> list[str]:
    """What to write before a command so that `folder` is a tiny disk of its own; may skip."""
    if not (unshare := shutil.which("unshare")):
        pytest.skip("a full disk needs `unshare` to mount a small tmpfs, and it is not here")
    inner = f'mount -t tmpfs -o size={size} none "{folder}" && exec "$@"'
    prefix = [unshare, "-Urm", "sh", "-c", inner, "sh"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here: {tried.stderr.strip()}")
    return prefix
