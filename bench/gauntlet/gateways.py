"""What is put to the test: Outlast and its peers, each a process of its own on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bench.gauntlet.lanes import Lane

NO_MARK = "x"
"""Stands in a model's name where Outlast is asked with the mark of the exchange."""


class CannotRun(Exception):
    """A gateway that cannot be tried here; the message says why."""


class Endpoint(msgspec.Struct, frozen=True):
    """How the SDKs reach a gateway for one lane. URLs end without a path."""

    url: str
    key: str
    headers: dict[str, str] = {}
    model_prefix: str = ""
    drops_mark: bool = False
    """Asked for one model per script and place, where Outlast is asked for one per exchange."""

    def named(self, model: str, mark: str) -> str:
        """Return the model's name as this endpoint is asked for it."""
        if self.drops_mark and model.endswith(mark):
            model = model.removesuffix(mark) + NO_MARK
        return self.model_prefix + model


class Gateway(Protocol):
    name: str
    surfaces: tuple[str, ...]
    """What it serves; the others are not asked."""
    settings: list[str]
    """The settings that it was given, for people to read."""
    own_words: bool
    """Whether a real model of its own answers when all vendors are down."""

    def endpoint(self, lane: Lane) -> Endpoint: ...

    async def receipt(self, path: str) -> dict[str, Any] | None:
        """What its ledger says of an exchange; None where it shows none."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child in a session of its own; its whole family is ended, and nobody else's."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._child: asyncio.subprocess.Process | None = None

    async def start(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        with self._log.open("wb") as log:
            self._child = await asyncio.create_subprocess_exec(
                *command,
                env=dict(environment),
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    async def until(self, url: str, within_s: float, headers: Mapping[str, str] = {}) -> None:
        """Wait until a GET of `url` is answered below 500. Raises CannotRun."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + within_s
        while loop.time() < ends:
            if self._child is not None and self._child.returncode is not None:
                break
            if await asyncio.to_thread(_answers, url, headers):
                return
            await asyncio.sleep(0.1)
        raise CannotRun(f"it did not start within {within_s:.0f} s: {self.output[-400:].strip()}")

    async def wait(self, within_s: float) -> int | None:
        """Wait for its own end; ends it, and returns None, when that takes too long."""
        assert self._child is not None
        try:
            return await asyncio.wait_for(self._child.wait(), within_s)
        except TimeoutError:
            await self.stop()
            return None

    async def stop(self) -> None:
        child = self._child
        if child is None or child.returncode is not None:
            return
        for number, patience_s in ((signal.SIGTERM, 4.0), (signal.SIGKILL, 4.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), patience_s)
                return


def _answers(url: str, headers: Mapping[str, str]) -> bool:
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def plain_environment(**more: str) -> dict[str, str]:
    """What a child needs and no more: neither keys nor settings of this machine."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | more
