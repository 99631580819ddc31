"""The peers: installed once into .cache/peers, each in an environment of its own, on loopback.

Versions are pinned. Each runs one worker, with its logs and its database off where it can: the
least that it can cost.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import ClassVar

from bench.gauntlet.gateways import free_port
from bench.gauntlet.installing import home_of, install, node, npm
from bench.gauntlet.peers import _PORTKEY_PRELOAD as PORTKEY_PRELOAD
from bench.gauntlet.peers import CCR, LITELLM, PORTKEY
from bench.overhead.scenarios import Scenario
from bench.overhead.servers import KEY, MODELS, Server, credentials, program

VLLM_ROUTER = "vllm-router==0.1.17"
TENSORZERO = "tensorzero==2026.6.0"
SMG = "smg==1.13.0"
STREAMS_MAX = 4096
"""Requests at once, where a peer has a limit: more than any scenario asks for."""
JIT_WARM_S = 2.0
"""Node and LiteLLM are slow for a while after they wake: first compiled, first imported."""


class Haproxy(Server):
    """A second bare relay."""

    name = "haproxy"
    _program = ""

    async def prepare(self) -> None:
        self._program = program("haproxy", "haproxy")

    async def start(self) -> str:
        path = self.write(
            "haproxy.cfg",
            f"""
global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  option http-keep-alive
  option http-no-delay
  http-reuse always
frontend front
  bind 127.0.0.1:{self.port} backlog 4096
  default_backend vendor
backend vendor
  server vendor 127.0.0.1:{self._vendor.port}
""",
        )
        self.settings = [
            "one thread, http-reuse always, http-no-delay (without it events wait for 200 ms)"
        ]
        await self.run([self._program, "-db", "-f", str(path)])
        return f"http://127.0.0.1:{self.port}/"


class Pip(Server):
    """From PyPI, into a virtual environment of its own."""

    package = ""

    @property
    def bin(self) -> Path:
        return home_of(self.name) / "bin"

    async def prepare(self) -> None:
        home = home_of(self.name)
        if not (self.bin / "python").exists():
            await install([sys.executable, "-m", "venv", str(home)], home, "an environment")
        pip = [str(self.bin / "python"), "-m", "pip", "install", "-q", self.package]
        await install(pip, home, self.package)


class Npm(Server):
    """From npm, into a prefix of its own."""

    package = ""
    warm_s = JIT_WARM_S
    slow = True

    @property
    def modules(self) -> Path:
        return home_of(self.name) / "node_modules"

    async def prepare(self) -> None:
        node()
        await install(npm(self.package), home_of(self.name), self.package)


class Router(Pip):
    """Two routers in front of GPU fleets, in Rust: chat completions, no translation."""

    def serves(self, scenario: Scenario) -> bool:
        return scenario.client == scenario.upstream == "chat"

    def options(self) -> list[str]:
        """Return what both take: one worker, loopback alone, no limit that could be met."""
        self.settings = [f"{self.package}, round robin over one worker, warnings alone in its log"]
        return [
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--worker-urls", self._vendor.url, "--policy", "round_robin"),
            *("--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())),
            *("--max-concurrent-requests", str(STREAMS_MAX)),
        ]


class VllmRouter(Router):
    name = "vllm-router"
    package = VLLM_ROUTER

    async def start(self) -> str:
        await self.run([str(self.bin / "vllm-router"), *self.options(), "--log-level", "warning"])
        return f"http://127.0.0.1:{self.port}/health"


class Smg(Router):
    name = "smg"
    package = SMG

    async def start(self) -> str:
        command = [str(self.bin / "smg"), "launch", *self.options(), "--log-level", "warn"]
        await self.run(command)
        return f"http://127.0.0.1:{self.port}/health"


_TENSORZERO_START = """
import sys, time, tensorzero
gateway = tensorzero._start_http_gateway(config_file=sys.argv[1], clickhouse_url=None,
                                         postgres_url=None, valkey_url=None, async_setup=False)
print("listening", gateway.base_url, flush=True)
while True:
    time.sleep(3600)
"""
"""Its package for Python holds the gateway; the image that it recommends is not on PyPI."""


class Tensorzero(Pip):
    """It serves chat completions in front of both formats, so that half of what it does is a
    translation."""

    name = "tensorzero"
    package = TENSORZERO

    def serves(self, scenario: Scenario) -> bool:
        return scenario.client == "chat"

    async def start(self) -> str:
        lines = ["[gateway]", "observability.enabled = false"]
        for kind, model in MODELS.items():
            lines += [
                f"[models.{model}]",
                'routing = ["vendor"]',
                f"[models.{model}.providers.vendor]",
                f'type = "{"openai" if kind == "chat" else "anthropic"}"',
                f'api_base = "{self._vendor.url}/v1"',
                f'model_name = "{model}"',
                'api_key_location = "env::OVERHEAD_KEY"',
            ]
        config = self.write("tensorzero.toml", "\n".join(lines) + "\n")
        script = self.write("start.py", _TENSORZERO_START)
        self.settings = [f"{self.package}, the gateway in its Python package, observability off"]
        await self.run([str(self.bin / "python"), str(script), str(config)], OVERHEAD_KEY=KEY)
        said = await self.said(r"listening http://[^:]+:(\d+)/openai/v1")
        self.port = int(said)
        return f"http://127.0.0.1:{self.port}/status"

    def model(self, scenario: Scenario) -> str:
        return f"tensorzero::model_name::{MODELS[scenario.upstream]}"

    def path(self, scenario: Scenario) -> str:
        return "/openai/v1/chat/completions"


class Litellm(Pip):
    """It serves both formats in front of both; Anthropic's in front of OpenAI's by way of
    /v1/responses."""

    name = "litellm"
    package = LITELLM
    warm_s = JIT_WARM_S
    within_s = 120.0
    slow = True

    def serves(self, scenario: Scenario) -> bool:
        return True

    async def start(self) -> str:
        url = self._vendor.url
        chat = {"model": "openai/bench-chat", "api_base": f"{url}/v1", "api_key": "x"}
        messages = {"model": "anthropic/bench-messages", "api_base": url, "api_key": "x"}
        config = {
            "model_list": [
                {"model_name": MODELS["chat"], "litellm_params": chat},
                {"model_name": MODELS["messages"], "litellm_params": messages},
            ],
            "litellm_settings": {"telemetry": False},
            "general_settings": {"disable_spend_logs": True},
        }
        path = self.write("litellm.json", json.dumps(config))  # YAML 1.2 reads JSON
        self.settings = [f"{self.package}, one worker, a master key, spend logs off"]
        command = [str(self.bin / "litellm"), "--config", str(path), "--host", "127.0.0.1"]
        await self.run(
            [*command, "--port", str(self.port), "--num_workers", "1"],
            LITELLM_MASTER_KEY=KEY,
            LITELLM_LOCAL_MODEL_COST_MAP="True",
        )
        return f"http://127.0.0.1:{self.port}/health/liveliness"


class Portkey(Npm):
    """It serves each format in front of its own, and chat completions in front of Anthropic's."""

    name = "portkey"
    package = PORTKEY

    def serves(self, scenario: Scenario) -> bool:
        return scenario.client == "chat" or not scenario.translated

    async def start(self) -> str:
        only = self.write("loopback.cjs", PORTKEY_PRELOAD)
        script = self.modules / "@portkey-ai/gateway/build/start-server.js"
        self.settings = [
            f"{self.package}; the provider in headers; fetch wrapped so that headers of answers can"
            " be changed: with this Node it otherwise answers 500 to every stream"
        ]
        command = [node(), str(script), f"--port={self.port}", "--headless"]
        await self.run(command, NODE_OPTIONS=f"--require {only}")
        return f"http://127.0.0.1:{self.port}/"

    def headers(self, scenario: Scenario) -> dict[str, str]:
        return {
            "authorization": f"Bearer {KEY}",
            "x-portkey-provider": "anthropic" if scenario.upstream == "messages" else "openai",
            "x-portkey-custom-host": f"{self._vendor.url}/v1",
        }


class Ccr(Npm):
    """claude-code-router: Anthropic Messages in front of chat completions, and nothing else."""

    name = "ccr"
    package = CCR
    ready_headers: ClassVar[dict[str, str]] = {"x-api-key": KEY}

    def serves(self, scenario: Scenario) -> bool:
        return scenario.client == "messages" and scenario.upstream == "chat"

    async def start(self) -> str:
        folder = self._folder / ".claude-code-router"
        folder.mkdir()
        provider = {
            "name": "vendor",
            "api_base_url": f"{self._vendor.url}/v1/chat/completions",
            "api_key": "x",
            "models": [MODELS["chat"]],
        }
        config = {
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "APIKEY": KEY,
            "LOG": False,
            "NON_INTERACTIVE_MODE": True,
            "Providers": [provider],
            "Router": {"default": f"vendor,{MODELS['chat']}"},
        }
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        self.settings = [f"{self.package}, one provider, its log off"]
        script = self.modules / "@musistudio/claude-code-router/dist/cli.js"
        await self.run([node(), str(script), "start"], HOME=str(self._folder))
        return f"http://127.0.0.1:{self.port}/health"

    def model(self, scenario: Scenario) -> str:
        return f"vendor,{MODELS['chat']}"

    def headers(self, scenario: Scenario) -> dict[str, str]:
        return credentials(scenario, KEY)


ALL: dict[str, type[Server]] = {
    kind.name: kind for kind in (Haproxy, Litellm, VllmRouter, Tensorzero, Smg, Ccr, Portkey)
}
