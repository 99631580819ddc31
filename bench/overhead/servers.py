"""What is measured: Outlast, nginx, and the vendor itself without anything before it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import ClassVar

import msgspec

from bench.gauntlet.gateways import CannotRun, free_port, plain_environment
from bench.overhead import scenarios
from bench.overhead.machine import Cores, Family, resident_bytes
from bench.overhead.native import Vendor
from bench.overhead.options import ROOT, Options
from bench.overhead.scenarios import Scenario
from outlast.config import Settings, UpstreamSettings

KEY = "sk-test-1234567890abcdef"
"""Where a peer wants a key and takes any."""
MODELS = {"chat": "bench-chat", "messages": "bench-messages"}
"""A name for each kind of upstream; what the client speaks is the path's business."""


class Server:
    """`async with Server(…) as server`: it serves until the end of the block, paused at first."""

    name = ""
    warm_s = 0.3
    """From SIGCONT to the measured window; what compiles while it runs needs longer."""
    slow = False
    """Whether it is so slow that many paced streams are asked of it once, in the first round."""
    settles_s = 0.0
    """How long it must have been quiet to have cleared up; longer where it puts work off."""
    within_s = 30.0
    """How long it may take to start."""
    ready_headers: ClassVar[dict[str, str]] = {}

    def __init__(self, vendor: Vendor, options: Options, cores: Cores, folder: Path) -> None:
        self._vendor = vendor
        self._options = options
        self._cores = cores
        self._folder = folder
        self.process = Family(folder / f"{self.name}.log")
        self.port = 0
        self.settings: list[str] = []
        self.idle_bytes = 0
        """Resident after the start, before the first request."""

    def serves(self, scenario: Scenario) -> bool:
        return not scenario.translated

    async def prepare(self) -> None:
        """Install what is missing, or raise CannotRun."""

    async def start(self) -> str:
        """Start, and return the URL that answers. Raises CannotRun."""
        raise NotImplementedError

    async def greeted(self) -> None:
        """What remains to be done once it answers."""

    async def __aenter__(self) -> Server:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        try:
            url = await self.start()
            await self.process.until(url, self.within_s, self.ready_headers)
            await self.greeted()
        except BaseException:
            await self.process.stop()
            raise
        self.idle_bytes = resident_bytes(self.process.pid)
        self.pause()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.process.stop()

    async def run(self, command: list[str], **environment: str) -> None:
        await self.process.start_on(
            self._cores.servers, command, plain_environment(**environment), self._folder
        )

    def write(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def pause(self) -> None:
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.signal(signal.SIGCONT)

    def headers(self, scenario: Scenario) -> dict[str, str]:
        return credentials(scenario, KEY)

    def model(self, scenario: Scenario) -> str:
        return MODELS[scenario.upstream]

    def path(self, scenario: Scenario) -> str:
        return scenarios.PATHS[scenario.client]

    def request(self, scenario: Scenario) -> bytes:
        return scenarios.request(
            scenario, self.model(scenario), self.headers(scenario), self.path(scenario)
        )

    async def said(self, pattern: str) -> str:
        """Wait until what it prints matches, and return the group. Raises CannotRun."""
        for _ in range(200):
            if (found := re.search(pattern, self.process.output)) is not None:
                return found[1]
            if not self.process.alive:
                break
            await asyncio.sleep(0.05)
        raise CannotRun(f"it did not say what was waited for: {self.process.output[-400:]}")


def credentials(scenario: Scenario, key: str) -> dict[str, str]:
    """How clients of each format show their key."""
    if scenario.client == "messages":
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"authorization": f"Bearer {key}"}


def program(name: str, package: str) -> str:
    """Return where a program is. Raises CannotRun."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise CannotRun(f"it is not installed (apt-get install {package})")
    return found


class Direct(Server):
    """Nothing in between: what generator and vendor can do by themselves."""

    name = "direct"

    async def __aenter__(self) -> Direct:
        self.port = self._vendor.port
        return self


class Nginx(Server):
    """A bare relay: no key, no decision, no record. The measure of what the kernel costs."""

    name = "nginx"

    _program = ""

    async def prepare(self) -> None:
        self._program = program("nginx", "nginx-light")

    async def start(self) -> str:
        temporary = " ".join(
            f"{kind}_temp_path {self._folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # A worker of root's nginx would be `nobody`, who may not enter the folder.
        user = "user root;" if os.geteuid() == 0 else ""
        path = self.write(
            "nginx.conf",
            f"""
{user} daemon off; worker_processes 1; pid {self._folder}/nginx.pid;
error_log {self._folder}/nginx-error.log error;
events {{ worker_connections 8192; }}
http {{
  access_log off; {temporary}
  client_body_buffer_size 1m; client_max_body_size 64m; keepalive_requests 100000000;
  upstream vendor {{ server 127.0.0.1:{self._vendor.port}; keepalive 1024;
    keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{self.port} backlog=4096;
    location / {{ proxy_pass http://vendor; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Connection ""; proxy_read_timeout 300s; }} }}
}}
""",
        )
        self.settings = ["one worker, connections kept at both ends, proxy_buffering off"]
        await self.run([self._program, "-p", str(self._folder), "-c", str(path), "-e", "stderr"])
        return f"http://127.0.0.1:{self.port}/"


def configuration(port: int, vendor_url: str, transport: str) -> str:
    """Return outlast.toml: all as it comes, but for the model and what would leave loopback.

    Raises CannotRun for a transport that this Outlast has not.
    """
    sections: dict[str, list[str]] = {
        "server": [f"port = {port}", 'data_dir = "data"', "drain_s = 1"],
        "local": ["enabled = false"],
        "observatory": ["feeds = false", "probes = false"],
        "upstreams.chat": ['kind = "openai-chat"', f'base_url = "{vendor_url}/v1"'],
        "upstreams.messages": ['kind = "anthropic"', f'base_url = "{vendor_url}"'],
    }
    for name in ("chat", "messages"):
        sections[f"upstreams.{name}"] += [f'provider = "{name}"', 'key_env = "OVERHEAD_KEY"']
    for name in sections_of(transport):
        sections.setdefault(name, []).append(f'transport = "{transport}"')
    lines = [line for name, settings in sections.items() for line in (f"[{name}]", *settings)]
    for name, model in MODELS.items():
        lines += ["[[routes]]", f'model = "{model}"', f'candidates = ["{name}"]']
    return "\n".join(lines) + "\n"


def sections_of(transport: str) -> list[str]:
    """Return the sections of outlast.toml that choose the transport."""
    if not transport:
        return []
    if "transport" in UpstreamSettings.__struct_fields__:
        return ["upstreams.chat", "upstreams.messages"]
    found = [
        field.name
        for field in msgspec.structs.fields(Settings)
        if "transport" in getattr(field.type, "__struct_fields__", ())
    ]
    if not found:
        raise CannotRun("this Outlast has one transport alone: leave --transport out")
    return found


class Outlast(Server):
    """As people run it, in a process of its own, with everything on that a request passes."""

    name = "outlast"
    warm_s = 0.5
    settles_s = 1.0
    """It stores receipts once it is quieter: they are to be paid for before the next run."""

    _key = ""

    def serves(self, scenario: Scenario) -> bool:
        return True

    async def start(self) -> str:
        text = configuration(self.port, self._vendor.url, self._options.transport)
        path = self.write("outlast.toml", text)
        shown = (line.replace(self._vendor.url, "(vendor)") for line in text.splitlines())
        self.settings = [line for line in shown if not line.startswith("port")]
        command = [sys.executable, "-m", "outlast", "serve", "--config", str(path)]
        await self.run(
            command,
            PYTHONPATH=str(ROOT / "src"),
            PYTHONUNBUFFERED="1",
            OVERHEAD_KEY="key-of-the-vendor",
        )
        return f"http://127.0.0.1:{self.port}/healthz"

    async def greeted(self) -> None:
        self._key = await self.said(r"Your API key, shown this once:\s+(\S+)")

    def headers(self, scenario: Scenario) -> dict[str, str]:
        return credentials(scenario, self._key)
