"""An observer and a worker in one loop: what the one says, and how the other hears it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from outlast.app import Server, Service, running
from outlast.config import LocalSettings, Settings
from outlast.gateway import shared_counts
from outlast.gateway.asked import Prepared
from outlast.gateway.routing import candidates_of
from outlast.gateway.transport import NetworkFault
from outlast.nouns import Candidate, ComponentState, Evidence, Kind, Status, Suspicion
from outlast.observatory.watcher import STATUS
from outlast.wire import CODECS
from outlast.workers.line import Begin
from outlast.workers.observer import Observer
from outlast.workers.process import PartOfMany, inside_config
from tests.service import route, settings, upstream

NAME = "anthropic/api"


class Pair:
    def __init__(self, folder: Path, chosen: Settings, sockets: str) -> None:
        self.folder = folder
        self._chosen = chosen
        self._sockets = sockets
        self._counts_fd = shared_counts.make(2)

    def part(self, place: int) -> tuple[Begin, PartOfMany]:
        begin = Begin(self._chosen, place, 1, self._sockets, os.dup(self._counts_fd), "here")
        return begin, PartOfMany(begin)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Service]:
        _, part = self.part(0)
        async with running(self._chosen, part=part) as service:
            yield service
        await part.close()

    @asynccontextmanager
    async def observer(self) -> AsyncIterator[Service]:
        begin, part = self.part(1)
        async with running(self._chosen, part=part) as service:
            observer = Observer(service, part.standings, part.workers)
            started = asyncio.Event()
            server = Server(inside_config(observer, begin), started.set)
            serving = asyncio.create_task(server.serve())
            async with observer.running():
                try:
                    await started.wait()
                    yield service
                finally:
                    observer.stopping.set()
                    server.should_exit = True
                    await asyncio.gather(serving, return_exceptions=True)
        await part.close()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    chosen = settings(
        tmp_path,
        [
            upstream("anthropic", Kind.ANTHROPIC, "http://127.0.0.1:9"),
            upstream("other", Kind.ANTHROPIC, "http://127.0.0.1:9"),
        ],
        [route("m", "anthropic", "other")],
    )
    local = LocalSettings(path=str(tmp_path / "no-such.gguf"))
    sockets = tempfile.mkdtemp(prefix="outlast-")
    try:
        yield Pair(tmp_path, msgspec.structs.replace(chosen, local=local), sockets)
    finally:
        shutil.rmtree(sockets)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - it comes over a socket, to nobody who could be awaited
            await asyncio.sleep(0.01)


def said(status: Status) -> bytes:
    seen = Evidence("traffic", 0.0, 9.0, fired=True)
    found = Suspicion.NONE if status is Status.OPERATIONAL else Suspicion.O_DOWN
    return msgspec.json.encode(ComponentState(NAME, status, found, 0.99, 0.0, 0.0, (seen,)))


async def test_what_the_observatory_says_moves_requests_at_every_worker(pair: Pair) -> None:
    async with pair.observer() as observer, pair.worker() as worker:
        first = candidates_of(worker.settings.routes[0], "m", worker.settings)[0]

        def against() -> bool:
            return bool(worker.state.hearing.against(first, worker.clock.monotonic()))

        assert not against()
        observer.bus.publish(STATUS, said(Status.MAJOR), key=NAME)
        await until(against)
        observer.bus.publish(STATUS, said(Status.OPERATIONAL), key=NAME)
        await until(lambda: not against())


async def test_a_worker_that_did_not_hear_for_a_while_hears_the_state_and_forgets_what_is_gone(
    pair: Pair,
) -> None:
    async with pair.worker() as worker:
        async with pair.observer() as observer:
            observer.bus.publish(STATUS, said(Status.MAJOR), key=NAME)
            observer.bus.publish(STATUS, b"{}", key="gone/api")
            await until(lambda: set(worker.bus.state(STATUS)) >= {NAME, "gone/api"})
        async with pair.observer() as observer:
            observer.bus.publish(STATUS, said(Status.OPERATIONAL), key=NAME)
            await until(lambda: worker.bus.state(STATUS).get(NAME) == said(Status.OPERATIONAL))
            await until(lambda: "gone/api" not in worker.bus.state(STATUS))


async def test_a_worker_is_ready_once_it_has_met_the_observer_and_stays_so(pair: Pair) -> None:
    async with pair.worker() as worker:
        assert not worker.ready()[0]
        async with pair.observer():
            await until(lambda: worker.ready()[0])
        assert worker.ready()[0]


def call() -> Prepared:
    local = Candidate("local", "m", Kind.LOCAL, "local", "local")
    reader = CODECS[Kind.OPENAI_CHAT.wire].reader()
    return Prepared(local, "/v1/x", {}, b"{}", reader, streamed=True, same_format=False)


async def test_why_the_embedded_model_cannot_be_asked_is_said_by_every_worker(pair: Pair) -> None:
    async with pair.worker() as worker:
        with pytest.raises(NetworkFault) as raised:
            await worker.embedded.open(call())
        assert raised.value.fault.kind == "not_ready"
        assert "being started again" in raised.value.fault.detail
        async with pair.observer() as observer:
            await until(lambda: worker.describe_local() == observer.describe_local())
            assert "no-such.gguf" in worker.describe_local()["detail"]
            with pytest.raises(NetworkFault) as raised:
                await worker.embedded.open(call())
            assert raised.value.fault.kind == "not_ready"
            assert "no-such.gguf" in raised.value.fault.detail
