"""Peers are installed once, each into a folder of its own below .cache/peers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.gauntlet.gateways import CannotRun, Process
from bench.gauntlet.options import ROOT

CACHE = ROOT / ".cache" / "peers"
INSTALL_WITHIN_S = 420.0


async def install(command: Sequence[str], folder: Path, stamp: str) -> None:
    """Run a package manager in `folder` unless it has done this before. Raises CannotRun."""
    done = folder / ".installed"
    if done.exists() and done.read_text("utf-8") == stamp:
        return
    process = Process(folder / "install.log")
    print(f"  installing {stamp} into {folder.relative_to(ROOT)} (once) …", flush=True)
    await process.start(command, dict(os.environ), folder)
    code = await process.wait(INSTALL_WITHIN_S)
    if code != 0:
        raise CannotRun(f"it could not be installed: {process.output.strip()[-300:]}")
    done.write_text(stamp, "utf-8")


def home_of(name: str) -> Path:
    home = CACHE / name
    home.mkdir(parents=True, exist_ok=True)
    return home


def node() -> str:
    found = shutil.which("node")
    if found is None:
        raise CannotRun("node is not installed")
    return found


def npm(package: str) -> list[str]:
    found = shutil.which("npm")
    if found is None:
        raise CannotRun("npm is not installed")
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return [found, "install", "--prefix", ".", *quiet, package]
