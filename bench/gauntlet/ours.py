"""Outlast as people run it: `python -m outlast serve --config …`, with a file written for it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.gauntlet import lanes
from bench.gauntlet.gateways import CannotRun, Endpoint, Process, free_port, plain_environment
from bench.gauntlet.lanes import Lane, Target
from bench.gauntlet.options import ROOT, Options
from bench.gauntlet.stage import Stage
from outlast.local.catalogue import SMALL
from outlast.nouns import Kind

FIRST_BYTE_S = 30.0
STALL_S = 30.0
"""Half of the stall that is scripted: both are shortened by `compress`."""
_KEY = re.compile(r"Your API key, shown this once:\s+(\S+)")


def weights() -> Path | None:
    """The embedded model's file, where `make run` has left it."""
    found = ROOT / "data" / "models" / SMALL.file_name
    return found if found.is_file() and found.stat().st_size == SMALL.size_bytes else None


def configuration(
    routes: Iterable[Lane], stage: Stage, options: Options, port: int, model: Path | None
) -> str:
    """Return outlast.toml: the vendors' time-outs shortened by `compress`, all else as it comes.

    The embedded model's are not: it computes, and no clock makes it faster.
    """
    lines = [
        "[server]",
        f"port = {port}",
        'data_dir = "data"',
        'log_level = "warning"',
        "drain_s = 1",
        f'transport = "{options.transport}"',
        "[observatory]",
        f"enabled = {str(options.observed).lower()}",
        "[local]",
        f"enabled = {str(model is not None).lower()}",
    ]
    if model is not None:
        lines += [f"path = {json.dumps(str(model))}", "context_tokens = 4096"]
    chosen = list(routes)
    for target in {t.upstream: t for lane in chosen for t in _targets(lane, model)}.values():
        lines += [
            f"[upstreams.{target.upstream}]",
            f'kind = "{target.kind}"',
            f'base_url = "{stage.url(target.vendor)}"',
            'key_env = "GAUNTLET_KEY"',
            f'provider = "{target.vendor}"',
            f'vendor = "{_maker(target)}"',
            f'continuation = "{target.continuation}"',
            f"timeouts = {timeouts(options.compress)}",
        ]
    for lane in chosen:
        lines += _route(lane, model)
    return "\n".join(lines) + "\n"


def _for_people(lines: Iterable[str]) -> list[str]:
    """What concerns nobody else is left out: a port, and where this machine keeps the weights."""
    shown = (line.replace(f"{ROOT}/", "") for line in lines)
    return [line for line in shown if not line.startswith("port =")]


def timeouts(scale: float) -> str:
    """Return an upstream's time-outs as a TOML table."""
    chosen = {
        "connect_s": 5,
        "first_byte_s": FIRST_BYTE_S,
        "stall_s": STALL_S,
        "whole_s": 300,
        "keepalive_after_s": 10,
        "keepalive_every_s": 10,
    }
    return "{ " + ", ".join(f"{name} = {s / scale:.3f}" for name, s in chosen.items()) + " }"


def _targets(lane: Lane, model: Path | None) -> tuple[Target, ...]:
    return lane.targets if model is not None or not lane.local else (*lane.targets, STAND_IN)


STAND_IN = Target("small", Kind.OPENAI_CHAT, "small-model", "exact")


def _maker(target: Target) -> str:
    return "anthropic" if target.kind is Kind.ANTHROPIC else "openai"


def _route(lane: Lane, model: Path | None) -> list[str]:
    names = [f"{lane.base}-*"] if lane.name != "march" else lanes.TIMELINE_MODELS
    written = [
        f'{{ upstream = "{t.upstream}", model = "{t.model}" }}'
        if t.model
        else f'{{ upstream = "{t.upstream}" }}'
        for t in _targets(lane, model)
    ]
    local = str(lane.local and model is not None).lower()
    return [
        line
        for name in names
        for line in (
            "[[routes]]",
            f'model = "{name}"',
            f"candidates = [{', '.join(written)}]",
            f"local = {local}",
        )
    ]


class Outlast:
    """`async with Outlast(…) as gateway`: it serves until the end of the block."""

    name = "outlast"
    surfaces: tuple[str, ...] = ("messages", "chat", "responses")

    def __init__(
        self, routes: Sequence[Lane], stage: Stage, options: Options, folder: Path
    ) -> None:
        self._routes = routes
        self._stage = stage
        self._options = options
        self._folder = folder
        self._process = Process(folder / "outlast.log")
        self._model = weights() if options.embedded else None
        self.own_words = self._model is not None
        self._url = ""
        self._key = ""
        self.settings: list[str] = []

    @property
    def embedded(self) -> str:
        """What answers when all vendors are down."""
        if self._model is not None:
            return f"the embedded model ({SMALL.name})"
        why = "no weights in data/models" if self._options.embedded else "--no-embedded"
        return f"a simulated small vendor in place of the embedded model ({why})"

    async def __aenter__(self) -> Outlast:
        port = free_port()
        text = configuration(self._routes, self._stage, self._options, port, self._model)
        path = self._folder / "outlast.toml"
        path.write_text(text, encoding="utf-8")
        self.settings = [
            *_for_people(text.split("[upstreams.", 1)[0].splitlines()),
            f"timeouts = {timeouts(self._options.compress)}  # of each upstream",
            f"# and {text.count('[upstreams.')} upstreams, {text.count('[[routes]]')} routes",
        ]
        self._url = f"http://127.0.0.1:{port}"
        environment = plain_environment(
            PYTHONPATH=str(ROOT / "src"), PYTHONUNBUFFERED="1", GAUNTLET_KEY="key-of-the-gauntlet"
        )
        command = [sys.executable, "-m", "outlast", "serve", "--config", str(path)]
        await self._process.start(command, environment, self._folder)
        try:
            await self._process.until(f"{self._url}/healthz", 30)
            await self._until_greeted()
            if self._model is not None:
                await self._until_loaded()
        except CannotRun:
            await self._process.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._process.stop()

    def endpoint(self, lane: Lane) -> Endpoint:
        return Endpoint(self._url, self._key)

    @property
    def log(self) -> str:
        return self._process.output

    async def receipt(self, path: str) -> dict[str, Any] | None:
        """The receipt that an answer's header points to; None where there is none."""
        request = urllib.request.Request(
            self._url + path, headers={"authorization": f"Bearer {self._key}"}
        )

        def fetch() -> dict[str, Any] | None:
            try:
                with urllib.request.urlopen(request, timeout=5) as reply:
                    found = json.load(reply)
                    return found if isinstance(found, dict) else None
            except OSError:
                return None

        for _ in range(5):
            found = await asyncio.to_thread(fetch)
            if found is not None:
                return found
            await asyncio.sleep(0.2)
        return None

    async def _until_greeted(self) -> None:
        for _ in range(100):
            if (found := _KEY.search(self._process.output)) is not None:
                self._key = found[1]
                return
            await asyncio.sleep(0.05)
        raise CannotRun(f"no key in what it printed: {self._process.output[-400:]}")

    async def _until_loaded(self) -> None:
        """Wait for the embedded model; a model that does not come is a failure of its own."""
        for _ in range(600):
            with_state = await asyncio.to_thread(self._state)
            if with_state.get("state") == "ready":
                return
            await asyncio.sleep(0.1)
        raise CannotRun(f"the embedded model did not load within 60 s: {with_state}")

    def _state(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=5) as reply:
                found: dict[str, Any] = json.load(reply)["local"]
                return found
        except (OSError, KeyError, ValueError):
            return {}
