"""The composition root: the only place that knows every room. Builds the service and runs it.

What starts first is what must never wait: the port, /healthz, the journal. The database, the
engine and its weights come when they come; requests are answered meanwhile, or told truthfully
why not. Each resource is given back in the reverse order, whatever failed in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import math
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from outlast import logs, welcome
from outlast.accounts.roster import Roster
from outlast.bus.base import Lost
from outlast.bus.memory import MemoryBus
from outlast.clock import Clock, SystemClock
from outlast.config import Settings
from outlast.config.environ import environment, taken
from outlast.gateway.api import Api, Receipts, not_found, wrong_method
from outlast.gateway.dispatch import Dispatch
from outlast.gateway.embedded import Embedded, LocalUpstream
from outlast.gateway.events import Observe
from outlast.gateway.http import Gateway
from outlast.gateway.inward import Inward
from outlast.gateway.ledger import Ledger
from outlast.gateway.limits import Company
from outlast.gateway.metrics import Metrics
from outlast.gateway.relay.door import Entrance
from outlast.gateway.relay.inbound import relay_class
from outlast.gateway.relay.outbound import Relay
from outlast.gateway.server import HEAD_READ_S, protocol_class
from outlast.gateway.state import GatewayState, standing
from outlast.gateway.transport import HttpTransport
from outlast.manager import HANDED_OVER, VARIABLES, Manager, handed_over, is_kept
from outlast.nouns import Candidate, ComponentState, Ended
from outlast.observatory.watcher import STATUS
from outlast.observing import Observing
from outlast.observing.background import Background
from outlast.progress import ModelProgress
from outlast.starting import (
    EXIT_OK,
    EXIT_PROBLEM,
    check_port,
    explain,
    say,
    stop_within_s,
    watch_settings,
)
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.journal import Journal
from outlast.store.migrations import SchemaTooNew

if TYPE_CHECKING:
    from outlast.local.service import LocalModel
    from outlast.local.state import State

log = structlog.get_logger(__name__)

LET_IN_S = 0.1
"""From a connection to its request: on the way together, but a read apart."""
Standing = Callable[[], list[tuple[Candidate, bool]]]
"""A candidate of each upstream, and whether it would be asked now."""


class Front(Protocol):
    """Where one process observes and has the model for several: what the others have instead."""

    @property
    def model(self) -> LocalUpstream: ...
    @property
    def met(self) -> bool:
        """Whether the one that observes was ever there: before, the service is still starting."""

    def attempt(self, observed: Observe) -> None:
        """An attempt ended. Quick, and never raises."""

    def well(self, candidate: Candidate, ended: Sequence[Ended]) -> None:
        """These went well."""

    def running(self) -> AbstractAsyncContextManager[None]: ...
    def retain(self, settings: Settings) -> None: ...
    def describe(self) -> dict[str, Any]: ...
    def describe_local(self) -> dict[str, Any]: ...


class Part(Protocol):
    """Which one of several processes this is, and what it knows of the others (workers/)."""

    @property
    def company(self) -> Company: ...
    @property
    def holder(self) -> str:
        """Who watches, by a name that outlives a restart of the process."""

    def front(self, service: Service) -> Front | None:
        """None: this process observes, and has the model."""

    def receipts(self, ledger: Ledger) -> Receipts: ...
    def standing(self, own: Standing) -> Standing: ...


class Service:
    """Everything that is alive while the service runs. Built by `running`."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        on_state: Callable[[State], None] | None = None,
        part: Part | None = None,
    ) -> None:
        """`part`: where several processes make up the service."""
        self.settings = settings
        self.part = part
        self.clock = clock or SystemClock()
        data = settings.data_path
        data.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(data / "journal")
        self.database = Database(settings.store_url)
        self.ledger = Ledger(
            self.journal,
            self.database,
            clock=self.clock,
            retention_days=settings.store.retention_days,
            writers=part.company.count if part else 1,
        )
        self.roster = Roster(self.database, data, clock=self.clock)
        self.bus = MemoryBus()
        self.background = Background(self.clock)
        self.receipts: Receipts = part.receipts(self.ledger) if part else self.ledger
        self.state = GatewayState(settings, random.random, part.company if part else None)
        self.network = _network(settings)
        self.front = part.front(self) if part else None
        self.local = _local_model(settings, on_state or (lambda _: None), self.front)
        self.embedded: LocalUpstream = self.front.model if self.front else Embedded(self.local)
        self.transport = Dispatch(self.state, self.network, self.embedded, self.clock)
        self.metrics = Metrics()
        self.first_key: str | None = None
        self.gateway = Gateway(
            self.state,
            self.roster,
            self.transport,
            self.embedded.prepare,
            self.metrics,
            self.clock,
            record=self.ledger.record,
            publish=self._publish,
        )
        self.gateway.on_plain = self.ledger.keep_all
        self.entrance = Entrance(self.gateway, self.roster, self.transport, self.clock)
        self.observing = _observing(self)
        if (observes := self.observing or self.front) is not None:
            self.gateway.on_well = observes.well
        self.api = Api(self.gateway, self.roster, self.receipts, self, self.clock)
        self.asgi = Starlette(
            routes=[*self.api.routes(), *(self.observing.routes() if self.observing else [])],
            middleware=self.observing.ahead() if self.observing else [],
            exception_handlers={404: not_found, 405: wrong_method},
        )
        # A redirect loses a request's body, or its tool's patience: another path is another path.
        self.asgi.router.redirect_slashes = False

    def _publish(self, observed: Observe) -> None:
        if self.observing is not None:
            self.observing.attempt(observed)
        elif self.front is not None:
            self.front.attempt(observed)

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether requests can be answered, and the state of each part."""
        ledger, roster = self.ledger.state, self.roster.state
        local = self.describe_local()
        remote = [name for name, u in self.settings.upstreams.items() if u.kind.value != "local"]
        able = bool(remote) or local["state"] == "ready"
        known = roster.source != "nowhere"
        detail = {
            "upstreams": remote,
            "local": local,
            "ledger": ledger.describe(),
            "keys": {"known": roster.keys, "from": roster.source, "error": roster.last_error},
            "offline": self.state.connectivity.offline(self.clock.monotonic()),
            "background": self.background.describe(),
        }
        if self.observing is not None:
            detail["observatory"] = self.observing.describe()
        elif self.front is not None:
            detail["observatory"] = self.front.describe()
        return able and known and (self.front is None or self.front.met), detail

    def describe_local(self) -> dict[str, Any]:
        if self.front is not None:
            return self.front.describe_local()
        if self.local is None:
            return {"state": "off"}
        state = self.local.state
        return {"state": type(state).__name__.lower(), "detail": state.sentence}

    def waiting(self) -> int:
        return self.ledger.state.pending

    def take(self, settings: Settings) -> None:
        """Go on with new settings; what needs a restart says so in the settings' own words."""
        self.settings = settings
        self.state.reconfigure(settings)
        self.network.reconfigure(settings)
        self.ledger.retain(settings.store.retention_days)
        if self.observing is not None:
            self.observing.retain(settings)
        elif self.front is not None:
            self.front.retain(settings)

    async def hear_status(self) -> None:
        """Bring what the observatory says to the router, until cancelled. Without it, breakers
        alone decide."""
        subscription = self.bus.subscribe(STATUS)
        try:
            for value in subscription.state.values():
                self._heed(value)
            async for message in subscription:
                if isinstance(message, Lost):
                    for value in self.bus.state(STATUS).values():
                        self._heed(value)
                elif message.value is not None:
                    self._heed(message.value)
        finally:
            subscription.close()

    def _heed(self, value: bytes) -> None:
        try:
            said = msgspec.json.decode(value, type=ComponentState)
        except msgspec.MsgspecError as error:
            log.warning("status_not_read", reason=str(error)[:200])
        else:
            self.state.heed(said, self.clock.monotonic())

    async def first(self) -> None:
        """Load the keys; make the first one where there has never been any."""
        await self.roster.load()
        if self.front is not None:
            return  # one process makes it
        if is_kept(environment(), sys.stdout):
            return  # whoever reads the log would have it
        try:
            self.first_key = await self.roster.ensure_first_key()
        except (DatabaseUnavailable, SchemaTooNew) as error:
            log.warning("database not usable; known keys go on working", reason=str(error))


@asynccontextmanager
async def running(
    settings: Settings,
    on_state: Callable[[State], None] | None = None,
    part: Part | None = None,
) -> AsyncIterator[Service]:
    """A Service with its background work; gives everything back at the end."""
    async with AsyncExitStack() as stack:
        service = Service(settings, on_state=on_state, part=part)
        stack.callback(service.journal.close)
        stack.push_async_callback(service.database.close)
        stack.push_async_callback(service.ledger.close)
        stack.push_async_callback(service.roster.close)
        stack.push_async_callback(service.transport.close)
        if service.local is not None:
            stack.push_async_callback(service.local.stop)
            service.local.start()
        await service.first()
        if service.observing is not None:
            await stack.enter_async_context(service.observing.running())
        elif service.front is not None:
            await stack.enter_async_context(service.front.running())
        for name, job in (
            ("ledger", service.ledger.run),
            ("keys", service.roster.run),
            ("status", service.hear_status),
        ):
            stack.push_async_callback(service.background.start(name, job))
        yield service


def _network(settings: Settings) -> HttpTransport | Relay:
    # What the first connection needs, so that no answer waits for it.
    for name in ("aiohappyeyeballs", "encodings.idna"):
        importlib.import_module(name)
    return Relay(settings) if settings.server.transport == "relay" else HttpTransport(settings)


def _observing(service: Service) -> Observing | None:
    if not service.settings.observatory.enabled or service.front is not None:
        return None

    def own() -> list[tuple[Candidate, bool]]:
        return standing(service.state, service.clock.monotonic())

    part = service.part
    inward = Inward(service.gateway, service.network, service.clock)
    return Observing(
        service.settings,
        service.database,
        service.bus,
        service.clock,
        inward,
        service.receipts.find,
        part.standing(own) if part else own,
        holder=part.holder if part else "",
    )


def _local_model(
    settings: Settings, on_state: Callable[[State], None], front: Front | None
) -> LocalModel | None:
    local = settings.local
    if not local.enabled or front is not None:
        return None
    # 10 MB, the engine's client among it.
    from outlast.local.service import LocalModel  # noqa: PLC0415
    from outlast.local.service import LocalSettings as LocalModelSettings  # noqa: PLC0415

    chosen = LocalModelSettings(
        model=local.model,
        path=str(settings.resolve(local.path)) if local.path else "",
        threads=local.threads,
        context_tokens=local.context_tokens,
        slots=local.slots,
        queue=local.queue,
        prefill_budget_s=local.prefill_budget_s,
    )
    return LocalModel(settings.models_path, chosen, on_state=on_state)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def uvicorn_config(
    service: Service, head_read_s: float = HEAD_READ_S, app: ASGIApp | None = None
) -> uvicorn.Config:
    """`app`: what answers in the place of the service's own, all but inference."""
    server = service.settings.server
    processes = service.part.company.count if service.part else 1
    connections = max(1, server.max_connections // processes)
    limits = server.header_limit_bytes, connections, head_read_s
    relayed = server.transport == "relay"
    return uvicorn.Config(
        app or service.asgi,
        host=server.host,
        port=server.port,
        http=relay_class(service.entrance, *limits) if relayed else protocol_class(*limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=math.ceil(server.drain_s),
        backlog=2048,
    )


def serve(settings: Settings, *, reload_from: Path | None) -> int:
    """Run the service until SIGTERM or Ctrl-C; returns the exit code."""
    logs.configure(settings.server.log_level, settings.server.log_format)
    # The database has a thread of its own: let it hold the interpreter for a millisecond at most,
    # so that it never delays an answer.
    sys.setswitchinterval(0.001)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_serve(settings, reload_from))
    except KeyboardInterrupt:
        return EXIT_OK
    except OSError as error:
        sys.stderr.write(explain(error, settings) + "\n")
        return EXIT_PROBLEM


async def _serve(settings: Settings, reload_from: Path | None) -> int:
    listener = handed_over(taken(*HANDED_OVER), settings.server.port)
    if listener is None:
        check_port(settings)
    progress, manager = ModelProgress(), Manager(taken(*VARIABLES))
    living = asyncio.create_task(manager.live())
    try:
        async with running(settings, progress.show) as service:
            server = Server(uvicorn_config(service), lambda: _greet(service, progress, manager))
            stop_on_signals(server, lambda: manager.stopping(stop_within_s(service.settings)))
            reloading = asyncio.create_task(watch_settings(service, reload_from))
            try:
                await server.serve([listener] if listener is not None else None)
            finally:
                await _stop(reloading)
    finally:
        await _stop(living)
    return EXIT_OK


class Server(uvicorn.Server):
    """uvicorn that says when it listens and leaves the signals to us: it raises them once more
    at its end, which would kill the process before journal, engine and database are closed."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, hear those out who were let in last, and drain."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(LET_IN_S)
        await super().shutdown(sockets)


def stop_on_signals(server: uvicorn.Server, before: Callable[[], None] = lambda: None) -> None:
    """Drain on the first signal, hang up on the second. `before`: to be done first, each time."""
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        before()
        server.handle_exit(number, None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)


def _greet(service: Service, progress: ModelProgress, manager: Manager) -> None:
    say(welcome.greeting(service.settings, service.first_key))
    manager.ready(service.settings.base_url)
    service.first_key = None
    progress.begin()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - faster where it is present
    except ImportError:
        return None
    return uvloop.new_event_loop
