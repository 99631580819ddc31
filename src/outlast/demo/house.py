"""The two scripted vendors and a real Outlast, in this process, on free ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvicorn

from outlast.app import Server, Service, running, uvicorn_config
from outlast.config import (
    BreakerSettings,
    CandidateSettings,
    LocalSettings,
    RouteSettings,
    ServerSettings,
    Settings,
    TimeoutSettings,
    UpstreamSettings,
)
from outlast.config.routes import LOCAL, complete
from outlast.config.settings import Secret
from outlast.demo.timeline import MODEL, OTHER_MODEL, key_of
from outlast.nouns import Kind
from outlast.simulator import Script, Vendor

LISTEN_BACKLOG = 128


@dataclass(frozen=True)
class House:
    anthropic: Vendor
    openai: Vendor
    service: Service
    url: str
    key: str


@asynccontextmanager
async def opened(
    scripts: tuple[Script, Script], *, speed: float, weights: Path | None
) -> AsyncIterator[House]:
    """Start everything, in a folder that is gone afterwards. `weights`: of the embedded model."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="outlast-demo-"))
        anthropic = await stack.enter_async_context(Vendor(scripts[0]))
        openai = await stack.enter_async_context(Vendor(scripts[1]))
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(LISTEN_BACKLOG)
        port = int(listener.getsockname()[1])
        settings = settings_for(
            folder, port, anthropic.url, openai.url, speed=speed, weights=weights
        )
        service = await stack.enter_async_context(running(settings))
        await stack.enter_async_context(_serving(service, listener))
        url = f"http://127.0.0.1:{port}"
        yield House(anthropic, openai, service, url, service.first_key or "")


def settings_for(
    folder: str,
    port: int,
    anthropic_url: str,
    openai_url: str,
    *,
    speed: float,
    weights: Path | None,
) -> Settings:
    """Return ordinary settings, but for the times: hours of the day pass in seconds here, so
    time-outs and ejections are shortened as well. Not below what a busy machine needs.
    """

    def upstream(name: str, kind: Kind, url: str) -> UpstreamSettings:
        key = Secret(key_of(name))
        return UpstreamSettings(
            name=name, kind=kind, base_url=url, key=key, provider=name, vendor=name
        )

    settings = Settings(
        server=ServerSettings(port=port, data_dir=folder, drain_s=1.0),
        timeouts=TimeoutSettings(
            connect_s=2.0,
            first_byte_s=max(1.5, 3.0 / speed),
            stall_s=max(0.75, 1.5 / speed),
            deadline_s=60.0,
        ),
        breaker=BreakerSettings(
            consecutive_failures=3,
            window_s=10.0 / speed,
            ejection_s=1.5 / speed,
            ejection_max_s=6.0 / speed,
            ramp_s=5.0 / speed,
        ),
        local=LocalSettings(enabled=weights is not None, path=str(weights or "")),
        upstreams={
            "anthropic": upstream("anthropic", Kind.ANTHROPIC, anthropic_url),
            "openai": upstream("openai", Kind.OPENAI_CHAT, openai_url),
        },
        routes=(
            RouteSettings(
                model="claude-*",
                candidates=(
                    CandidateSettings(upstream="anthropic", model=MODEL, order=0),
                    CandidateSettings(upstream="openai", model=OTHER_MODEL, order=1),
                ),
            ),
        ),
    )
    settings = complete(settings)
    if (local := settings.upstreams.get(LOCAL)) is not None:
        # A model is as fast as its machine, whatever the speed of the demo.
        patient = msgspec.structs.replace(settings.timeouts, first_byte_s=40.0, stall_s=20.0)
        settings.upstreams[LOCAL] = msgspec.structs.replace(local, timeouts=patient)
    return settings


@asynccontextmanager
async def _serving(service: Service, listener: socket.socket) -> AsyncIterator[None]:
    started = asyncio.Event()
    server: uvicorn.Server = Server(uvicorn_config(service), started.set)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    begun = asyncio.create_task(started.wait())
    try:
        await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            raise OSError("the service ended before it listened")
        yield
    finally:
        begun.cancel()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task
