"""A whole service on a real port, for tests: the same code that `outlast serve` runs."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import uvicorn

from outlast.app import Server, Service, running, uvicorn_config
from outlast.config import (
    CandidateSettings,
    LocalSettings,
    ObservatorySettings,
    RouteSettings,
    ServerSettings,
    Settings,
    TimeoutSettings,
    UpstreamSettings,
)
from outlast.config.settings import Secret
from outlast.gateway.server import HEAD_READ_S
from outlast.nouns import Kind

TRANSPORT = os.environ.get("TEST_TRANSPORT", ServerSettings().transport)
"""The tests of the gateway, of the SDKs and of bad input pass on both: TEST_TRANSPORT=aiohttp."""


class Running(msgspec.Struct):
    """Where it listens, a key, and the service itself for looking inside."""

    url: str
    key: str
    service: Service
    server: uvicorn.Server


def upstream(name: str, kind: Kind, url: str, **more: object) -> UpstreamSettings:
    values = {"provider": name, "vendor": name, "key": Secret(f"secret-of-{name}"), **more}
    return UpstreamSettings(name=name, kind=kind, base_url=url, **values)  # type: ignore[arg-type]


def route(model: str, *candidates: str, **more: object) -> RouteSettings:
    """A route; a candidate is written `upstream` or `upstream/model`."""
    chosen = tuple(
        CandidateSettings(upstream=c.partition("/")[0], model=c.partition("/")[2])
        for c in candidates
    )
    return RouteSettings(model=model, candidates=chosen, **more)  # type: ignore[arg-type]


def settings(
    folder: Path,
    upstreams: list[UpstreamSettings],
    routes: list[RouteSettings],
    *,
    timeouts: TimeoutSettings | None = None,
    server: ServerSettings | None = None,
    observatory: ObservatorySettings | None = None,
    **more: object,
) -> Settings:
    port = free_port()
    base = server or ServerSettings()
    return Settings(
        server=msgspec.structs.replace(
            base, port=port, data_dir=str(folder), drain_s=1, transport=TRANSPORT
        ),
        timeouts=timeouts or TimeoutSettings(),
        local=LocalSettings(enabled=False),
        upstreams={u.name: u for u in upstreams},
        routes=tuple(routes),
        # Nothing is asked of the world unless a test wants it.
        observatory=observatory or ObservatorySettings(feeds=False, probes=False),
        **more,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def serving(chosen: Settings, *, head_read_s: float | None = None) -> AsyncIterator[Running]:
    """`head_read_s`: how long a request's head may take, where a test cannot wait for it."""
    async with running(chosen) as service:
        started = asyncio.Event()
        config = uvicorn_config(service, head_read_s or HEAD_READ_S)
        server = Server(config, started.set)
        task = asyncio.create_task(server.serve())
        await started.wait()
        key = service.first_key or ""
        try:
            yield Running(f"http://127.0.0.1:{chosen.server.port}", key, service, server)
        finally:
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await task


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
