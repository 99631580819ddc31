"""The peers: installed once into .cache/peers, each in an environment of its own, on loopback.

Versions are pinned. Each gets its best documented settings for failing over and trying again, and
the same time-outs as Outlast, shortened alike.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.gauntlet import lanes, scripts
from bench.gauntlet.gateways import (
    NO_MARK,
    Endpoint,
    Process,
    free_port,
    plain_environment,
)
from bench.gauntlet.installing import home_of, install, node, npm
from bench.gauntlet.lanes import Lane, Target
from bench.gauntlet.options import Options
from bench.gauntlet.ours import FIRST_BYTE_S, STALL_S
from bench.gauntlet.stage import Stage
from outlast.nouns import Kind

LITELLM = "litellm[proxy]==1.106.2"
PORTKEY = "@portkey-ai/gateway@1.15.2"
CCR = "@musistudio/claude-code-router@2.0.0"


class Peer:
    """What all of them share: a folder, a process, an end."""

    name = ""
    surfaces: tuple[str, ...] = ("messages", "chat", "responses")
    own_words = False

    def __init__(self, stage: Stage, options: Options, folder: Path) -> None:
        self._stage = stage
        self._options = options
        self._folder = folder
        self._process = Process(folder / f"{self.name}.log")
        self._url = ""
        self.settings: list[str] = []

    async def __aenter__(self) -> Peer:
        try:
            await self.start()
        except BaseException:
            await self._process.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._process.stop()

    async def start(self) -> None:
        """Install where needed, and start. Raises CannotRun."""
        raise NotImplementedError

    def endpoint(self, lane: Lane) -> Endpoint:
        return Endpoint(self._url, "sk-test-1234567890abcdef", drops_mark=True)

    async def receipt(self, path: str) -> dict[str, Any] | None:
        return None

    def _seconds(self, real_s: float) -> float:
        return round(real_s / self._options.compress, 3)

    @property
    def log(self) -> str:
        return self._process.output


def asked(lane: Lane, options: Options) -> list[str]:
    """All model names that a peer is asked for on this lane."""
    if lane.name == "march":
        return list(lanes.TIMELINE_MODELS)
    tags = [scripts.tag(0, 0), scripts.tag(1, 0)]
    tags += [scripts.tag(n, p) for n in range(2, 14) for p in range(options.places)]
    return [f"{lane.base}-traffic", *(f"{lane.base}-{tag}-{NO_MARK}" for tag in tags)]


def simple_lanes() -> list[Lane]:
    """The lanes that peers are sent through: without the ways of going on, which none has."""
    found = [lanes.timeline()]
    for first in lanes.KINDS:
        found += [lanes.own(first), lanes.own(first, "dead", "dead"), lanes.brown(first)]
        found += [lanes.own(first, "flapping", "flap"), lanes.down(first), lanes.paced(first)]
    return found


class Litellm(Peer):
    name = "litellm"

    async def start(self) -> None:
        home = home_of("litellm")
        if not (home / "bin" / "python").exists():
            await install([sys.executable, "-m", "venv", str(home)], home, "an environment")
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "-q", LITELLM]
        await install(pip, home, LITELLM)
        port = free_port()
        path = self._folder / "litellm.json"  # YAML 1.2 reads JSON
        config = self._config()
        path.write_text(json.dumps(config), "utf-8")
        self.settings = [
            f"{LITELLM}, one worker; settings: {json.dumps(self._router())}",
            f"{len(config['model_list'])} deployments, each model with two fallbacks",
        ]
        environment = plain_environment(
            LITELLM_MASTER_KEY="sk-test-1234567890abcdef", LITELLM_LOCAL_MODEL_COST_MAP="True"
        )
        command = [str(home / "bin" / "litellm"), "--config", str(path), "--host", "127.0.0.1"]
        await self._process.start(
            [*command, "--port", str(port), "--num_workers", "1"], environment, self._folder
        )
        self._url = f"http://127.0.0.1:{port}"
        await self._process.until(f"{self._url}/health/liveliness", 90)

    def _router(self) -> dict[str, Any]:
        return {
            "num_retries": 2,
            "timeout": self._seconds(300),
            "stream_timeout": self._seconds(FIRST_BYTE_S),
            "allowed_fails": 3,
            "cooldown_time": 5,
            "retry_after": 0,
        }

    def _config(self) -> dict[str, Any]:
        models: list[dict[str, Any]] = []
        fallbacks: list[dict[str, list[str]]] = []
        for lane in simple_lanes():
            for name in asked(lane, self._options):
                group = [name, *(f"{name}-fallback-{n}" for n in range(1, len(lane.targets)))]
                for alias, target in zip(group, lane.targets, strict=True):
                    models.append(
                        {"model_name": alias, "litellm_params": self._deployment(target, name)}
                    )
                fallbacks.append({name: group[1:]})
        return {
            "model_list": models,
            "router_settings": {**self._router(), "fallbacks": fallbacks},
            "litellm_settings": {"telemetry": False, "request_timeout": self._seconds(300)},
            "general_settings": {"disable_spend_logs": True},
        }

    def _deployment(self, target: Target, name: str) -> dict[str, str]:
        url = self._stage.url(target.vendor)
        if target.kind is Kind.ANTHROPIC:
            return {
                "model": f"anthropic/{target.model or name}",
                "api_base": url,
                "api_key": "x",
            }
        return {"model": f"openai/{target.model or name}", "api_base": f"{url}/v1", "api_key": "x"}


_PORTKEY_PRELOAD = """
const net = require('net'); const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...a) {
  if (typeof a[0] === 'number') a.splice(1, typeof a[1] === 'string' ? 1 : 0, '127.0.0.1');
  else if (a[0] && typeof a[0] === 'object') a[0].host = '127.0.0.1';
  return listen.apply(this, a); };
const plain = globalThis.fetch;
globalThis.fetch = async (...a) => { const r = await plain(...a); return new Response(r.body, r); };
"""
"""It has no option for its address and takes all of them: held to loopback from outside. And it
changes the headers of fetch's answers, which Node 20 does not allow."""


class Portkey(Peer):
    name = "portkey"

    async def start(self) -> None:
        home = home_of("portkey")
        await install(npm(PORTKEY), home, PORTKEY)
        port = free_port()
        only = self._folder / "loopback.cjs"
        only.write_text(_PORTKEY_PRELOAD, "utf-8")
        script = home / "node_modules/@portkey-ai/gateway/build/start-server.js"
        environment = plain_environment(NODE_OPTIONS=f"--require {only}")
        await self._process.start(
            [node(), str(script), f"--port={port}", "--headless"], environment, self._folder
        )
        self._url = f"http://127.0.0.1:{port}"
        self.settings = [
            f"{PORTKEY}; x-portkey-config: {self._config(lanes.own(Kind.ANTHROPIC))}",
            "fetch wrapped so that headers of answers can be changed: with this Node it otherwise"
            " answers 500 to every stream",
        ]
        await self._process.until(f"{self._url}/", 30)

    def _config(self, lane: Lane) -> str:
        return json.dumps(
            {
                "strategy": {"mode": "fallback"},
                "request_timeout": int(1000 * self._seconds(FIRST_BYTE_S)),
                "targets": [self._target(target) for target in lane.targets],
            }
        )

    def _target(self, target: Target) -> dict[str, Any]:
        made: dict[str, Any] = {
            "provider": "anthropic" if target.kind is Kind.ANTHROPIC else "openai",
            "custom_host": f"{self._stage.url(target.vendor)}/v1",
            "api_key": "x",
            "retry": {"attempts": 2, "on_status_codes": [429, 500, 502, 503, 504, 529]},
        }
        if target.model:
            made["override_params"] = {"model": target.model}
        return made

    def endpoint(self, lane: Lane) -> Endpoint:
        headers = {"x-portkey-config": self._config(lane)}
        return Endpoint(self._url, "x", headers, drops_mark=True)


class Ccr(Peer):
    """claude-code-router: Anthropic Messages in front of chat completions, and no other surface.

    It has no fall-back among providers and no retries of its own: its router chooses by the kind
    of request.
    """

    name = "ccr"
    surfaces = ("messages",)

    async def start(self) -> None:
        home = home_of("ccr")
        await install(npm(CCR), home, CCR)
        port = free_port()
        settings = self._folder / "ccr" / ".claude-code-router"
        settings.mkdir(parents=True)
        config = self._config(port)
        (settings / "config.json").write_text(json.dumps(config), "utf-8")
        shown = {key: value for key, value in config.items() if key not in {"PORT", "Providers"}}
        self.settings = [f"{CCR}, {len(config['Providers'])} providers; {json.dumps(shown)}"]
        environment: Mapping[str, str] = plain_environment(HOME=str(self._folder / "ccr"))
        script = home / "node_modules/@musistudio/claude-code-router/dist/cli.js"
        await self._process.start([node(), str(script), "start"], environment, self._folder)
        self._url = f"http://127.0.0.1:{port}"
        await self._process.until(f"{self._url}/health", 30, {"x-api-key": "test"})

    def _config(self, port: int) -> dict[str, Any]:
        providers = [
            {
                "name": lane.name,
                "api_base_url": f"{self._stage.url(lane.targets[0].vendor)}/v1/chat/completions",
                "api_key": "x",
                "models": asked(lane, self._options),
            }
            for lane in simple_lanes()
            if lane.first is Kind.ANTHROPIC
        ]
        return {
            "HOST": "127.0.0.1",
            "PORT": port,
            "APIKEY": "test",
            "LOG": False,
            "NON_INTERACTIVE_MODE": True,
            "API_TIMEOUT_MS": int(1000 * self._seconds(STALL_S)),
            "Providers": providers,
            "Router": {"default": f"own-a,{asked(lanes.own(Kind.ANTHROPIC), self._options)[1]}"},
        }

    def endpoint(self, lane: Lane) -> Endpoint:
        return Endpoint(self._url, "test", model_prefix=f"{lane.name},", drops_mark=True)


ALL: dict[str, type[Peer]] = {"litellm": Litellm, "portkey": Portkey, "ccr": Ccr}
