"""The composition root: the only place that knows every room. Builds the service and runs it.

What starts first is what must never wait: the port, /healthz, the journal. The database, the
engine and its weights come when they come; requests are answered meanwhile, or told truthfully
why not. Each resource is given back in the reverse order, whatever failed in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette

from outlast import logs, welcome
from outlast.accounts.roster import Roster
from outlast.bus.base import Lost
from outlast.bus.memory import MemoryBus
from outlast.clock import Clock, SystemClock
from outlast.config import ConfigError, Settings, reload
from outlast.config.environ import environment
from outlast.gateway.api import Api, not_found, wrong_method
from outlast.gateway.dispatch import Dispatch
from outlast.gateway.embedded import Embedded
from outlast.gateway.events import Observe
from outlast.gateway.http import Gateway
from outlast.gateway.inward import Inward
from outlast.gateway.ledger import Ledger
from outlast.gateway.metrics import Metrics
from outlast.gateway.relay.door import Entrance
from outlast.gateway.relay.inbound import relay_class
from outlast.gateway.relay.outbound import Relay
from outlast.gateway.server import HEAD_READ_S, protocol_class
from outlast.gateway.state import GatewayState, standing
from outlast.gateway.transport import HttpTransport
from outlast.local.service import LocalModel
from outlast.local.service import LocalSettings as LocalModelSettings
from outlast.local.state import State
from outlast.nouns import ComponentState
from outlast.observatory.watcher import STATUS
from outlast.observing import Observing
from outlast.progress import ModelProgress
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.journal import Journal
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

WATCH_CONFIG_S = 1.0
EXIT_OK = 0
EXIT_PROBLEM = 1


class Service:
    """Everything that is alive while the service runs. Built by `running`."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        on_state: Callable[[State], None] | None = None,
    ) -> None:
        self.settings = settings
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
        )
        self.roster = Roster(self.database, data, clock=self.clock)
        self.bus = MemoryBus()
        self.state = GatewayState(settings, random.random)
        self.network: HttpTransport | Relay = (
            Relay(settings) if settings.server.transport == "relay" else HttpTransport(settings)
        )
        self.local = _local_model(settings, on_state or (lambda _: None))
        self.embedded = Embedded(self.local)
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
        self.entrance = Entrance(self.gateway, self.roster, self.transport, self.clock)
        self.observing = _observing(self)
        api = Api(self.gateway, self.roster, self.ledger, self, self.clock)
        self.asgi = Starlette(
            routes=[*api.routes(), *(self.observing.routes() if self.observing else [])],
            exception_handlers={404: not_found, 405: wrong_method},
        )
        # A redirect loses a request's body, or its tool's patience: another path is another path.
        self.asgi.router.redirect_slashes = False

    def _publish(self, observed: Observe) -> None:
        if self.observing is not None:
            self.observing.attempt(observed)

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
        }
        if self.observing is not None:
            detail["observatory"] = self.observing.describe()
        return able and known, detail

    def describe_local(self) -> dict[str, Any]:
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
        try:
            self.first_key = await self.roster.ensure_first_key()
        except (DatabaseUnavailable, SchemaTooNew) as error:
            log.warning("database not usable; known keys go on working", reason=str(error))


@asynccontextmanager
async def running(
    settings: Settings, on_state: Callable[[State], None] | None = None
) -> AsyncIterator[Service]:
    """A Service with its background work; gives everything back at the end."""
    async with AsyncExitStack() as stack:
        service = Service(settings, on_state=on_state)
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
        for work in (service.ledger.run, service.roster.run, service.hear_status):
            stack.push_async_callback(_stop, asyncio.create_task(_keep(work)))
        yield service


def _observing(service: Service) -> Observing | None:
    if not service.settings.observatory.enabled:
        return None
    inward = Inward(service.gateway, service.network, service.clock)
    return Observing(
        service.settings,
        service.database,
        service.bus,
        service.clock,
        inward,
        service.ledger.find,
        lambda: standing(service.state, service.clock.monotonic()),
    )


def _local_model(settings: Settings, on_state: Callable[[State], None]) -> LocalModel | None:
    local = settings.local
    if not local.enabled:
        return None
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


async def _keep(work: Callable[[], Any]) -> None:
    """Run background work; an error in it is logged and never ends the service."""
    try:
        await work()
    except Exception:  # the log is the report
        log.exception("background work ended", work=getattr(work, "__qualname__", str(work)))


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def uvicorn_config(service: Service, head_read_s: float = HEAD_READ_S) -> uvicorn.Config:
    server = service.settings.server
    limits = server.header_limit_bytes, server.max_connections, head_read_s
    relayed = server.transport == "relay"
    return uvicorn.Config(
        service.asgi,
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
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, reload_from))
    except KeyboardInterrupt:
        return EXIT_OK
    except OSError as error:
        sys.stderr.write(_explain(error, settings) + "\n")
        return EXIT_PROBLEM


async def _serve(settings: Settings, reload_from: Path | None) -> int:
    _check_port(settings)
    progress = ModelProgress()
    async with running(settings, progress.show) as service:
        server = Server(uvicorn_config(service), lambda: _greet(service, progress))
        _stop_on_signals(server)
        reloading = asyncio.create_task(_watch(service, reload_from))
        try:
            await server.serve()
        finally:
            await _stop(reloading)
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


def _stop_on_signals(server: uvicorn.Server) -> None:
    """Drain on the first signal, hang up on the second."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.handle_exit, number, None)


def _greet(service: Service, progress: ModelProgress) -> None:
    _print(welcome.greeting(service.settings, service.first_key))
    service.first_key = None
    progress.begin()


def _print(lines: Sequence[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


async def _watch(service: Service, path: Path | None) -> None:
    """Read the configuration again on SIGHUP and when the file changes."""
    again = asyncio.Event()
    with contextlib.suppress(NotImplementedError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again.set)
    stamp = _stamp(path)
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WATCH_CONFIG_S):
                await again.wait()
        if not again.is_set() and _stamp(path) == stamp:
            continue
        again.clear()
        stamp = _stamp(path)
        try:
            service.take(reload(service.settings, path, environment()))
        except ConfigError as error:
            log.warning("configuration is wrong, the old one stays in force", problems=str(error))
        else:
            log.info("configuration taken", path=str(path) if path else "none")


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if found is not None else None


def _check_port(settings: Settings) -> None:
    """Find out about a port in use before anything else is started. Raises OSError."""
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _explain(error: OSError, settings: Settings) -> str:
    server = settings.server
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"Port {server.port} on {server.host} is in use, perhaps by another Outlast. "
                f"Stop that one, or take another port: outlast serve --port {server.port + 1}"
            )
        case errno.EACCES | errno.EPERM:
            where = error.filename or f"{server.host}:{server.port}"
            return (
                f"{where} may not be used by this user. Choose a port from 1024 on, and a data "
                "folder that you may write to (--data-dir)."
            )
        case errno.EEXIST | errno.ENOTDIR | errno.EROFS:
            return (
                f"{error.filename or settings.data_path} cannot be the data folder "
                f"({error.strerror}). Take another one: --data-dir, or server.data_dir."
            )
        case errno.ENOSPC:
            return (
                f"There is no space left on the disk of {settings.data_path}. Make room, or "
                "take a data folder elsewhere (--data-dir)."
            )
        case errno.EADDRNOTAVAIL:
            return f"{server.host} is not an address of this machine (server.host)."
        case _:
            return f"The service cannot start: {error}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - faster where it is present
    except ImportError:
        return None
    return uvloop.new_event_loop
