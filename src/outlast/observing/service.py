"""The observatory put together: what is watched, who watches, and the paths that readers ask.

A part of the composition root (app.py), in a file of its own: it knows every part of the
observatory and, of the gateway, how to put a question on the service's own account.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from outlast.bus.base import Bus
from outlast.clock import Clock
from outlast.config import Settings
from outlast.gateway.events import Observe
from outlast.gateway.inward import Inward
from outlast.nouns import Candidate, Ended, Kind, Observation, Outcome, Receipt
from outlast.observatory.board import Board
from outlast.observatory.casebook import Casebook
from outlast.observatory.gathering import Gathering
from outlast.observatory.history import History
from outlast.observatory.http import ObservatoryApi
from outlast.observatory.intake import Intake
from outlast.observatory.notifier import Notifier
from outlast.observatory.operator_gate import Gate
from outlast.observatory.past import PublicPast
from outlast.observatory.peer_http import PeerApi, PeerSender
from outlast.observatory.peers import Door, knowing
from outlast.observatory.poller import Poller
from outlast.observatory.probe_targets import targets_of, watched
from outlast.observatory.prober import Prober
from outlast.observatory.probing import Pace
from outlast.observatory.report_files import DailySecrets, read_table, recall
from outlast.observatory.report_http import Ahead, Options, ReportEndpoint, keeper
from outlast.observatory.reporting import Reporting
from outlast.observatory.watch import Watch
from outlast.observatory.watcher import Watcher, Wishes
from outlast.observing.background import Background, Job
from outlast.observing.operating import Operating
from outlast.observing.parts import (
    check_of,
    expected,
    feeds_of,
    fetch_of,
    key_and_channels,
    networks,
    operator_of,
    owner_of,
    peer_secrets,
    providers_of,
)
from outlast.observing.subscriptions import Subscriptions
from outlast.status.http import StatusPages
from outlast.status.source import Source
from outlast.status.view import Fallback, Frame
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.journal import Journal
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

GATHER_EVERY_S = 1.0
FindReceipt = Callable[[str, str | None], Awaitable[Receipt | None]]


class Observing:
    """Everything of the observatory that is alive while the service runs."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        bus: Bus,
        clock: Clock,
        inward: Inward,
        find_receipt: FindReceipt,
        standing: Callable[[], list[tuple[Candidate, bool]]],
        *,
        holder: str = "",
    ) -> None:
        """`standing`: a candidate of each upstream, and whether it would be asked now. `holder`:
        our name as the one who watches, where other processes on this machine do not.
        """
        wanted = settings.observatory
        data = settings.data_path
        self.settings = settings
        self.clock = clock
        self.background = Background(clock)
        self.journal = Journal(data / "observations")
        days, sums = wanted.retention_days, wanted.rollup_days
        self.history = History(
            self.journal, database, clock=clock, retention_days=days, rollup_days=sums
        )
        self.casebook = Casebook(database)
        self.board = Board()
        self.targets = targets_of(settings)
        self.watch = Watch(vantage=wanted.vantage or "here", rate=wanted.false_alarms_per_month)
        self.providers = providers_of(settings, self.targets)
        self.watch.expect(expected(self.targets, settings), self.providers)
        self.watcher = self._make_watcher(database, bus, holder)
        self._find_receipt, self._inward, self._standing = find_receipt, inward, standing
        self._gathering, self._intake = Gathering(), Intake()
        self._intake.learn(target.component for target in self.targets)
        self._secrets = peer_secrets(settings)
        self._peers = PeerSender(settings, self._secrets, clock)
        self._prober = self._make_prober(inward)
        self._poller = self._make_poller()
        self.reporting = Reporting()
        self.reports = self._make_reports(data)
        self.gate = Gate(
            operator_of(settings), self.casebook, clock, networks(wanted.trusted_proxies)
        )
        self.key, self._channels = key_and_channels(settings)
        self.notifier = Notifier(database, clock, random.random, self._channels, self.key)
        self._past = PublicPast(self.casebook)
        self._api = self._make_api(bus)
        self.operating = Operating(
            settings, self.board, self.casebook, self.watcher, self.gate, clock
        )
        self._source = self._make_source()
        self._pages = StatusPages(self._source, self.board, self._past, clock)
        self._subscriptions = self._make_subscriptions(database)
        self.watcher.wishes = self._wishes()

    def routes(self) -> list[BaseRoute]:
        found: list[BaseRoute] = [
            *self._api.routes(),
            *self._subscriptions.routes(),
            *self.operating.routes(),
            *self._pages.routes(),
        ]
        if self._secrets:
            door = Door(self._secrets, knowing(self.targets))
            found += PeerApi(door, keeper(self.history), self.clock).routes()
        return found

    def ahead(self) -> list[Middleware]:
        """What stands before all routes: reports, and readers' pages that are ready."""
        return [Middleware(Ahead, endpoint=_Reports(self)), *self._pages.middleware()]

    def attempt(self, observed: Observe) -> None:
        """An attempt of the gateway ended. Quick, and never raises."""
        # Whether we are offline matters for failures alone, and successes are by far the most.
        offline = observed.verdict is not None and self._inward.offline()
        seen = self._intake.from_attempt(observed.observation, observed.candidate, offline=offline)
        if seen is not None:
            if seen.outcome is Outcome.OK:
                self.board.proven[observed.candidate.upstream] = seen.at
            for one in self._gathering.add(seen):
                self.history.append(one)

    def told(self, observations: Sequence[Observation], proven: Mapping[str, float]) -> None:
        """Another process of this service kept these. `proven`: when upstreams last answered."""
        self.watcher.told(observations)
        self.board.proven.update(proven)

    def well(self, candidate: Candidate, ended: Sequence[Ended]) -> None:
        """As `attempt`, of those that went well, and when and after how long."""
        known = self._intake.well(candidate)
        if known is None:
            for at, took_s in ended:
                name, ok = candidate.name, Outcome.OK
                observation = Observation(at, "attempt", name, ok, latency_s=took_s)
                self.attempt(Observe(candidate, observation))
            return
        self.board.proven[candidate.upstream] = ended[-1][0]
        for one in self._gathering.well(*known, ended):
            self.history.append(one)

    def retain(self, settings: Settings) -> None:
        """Take new settings, as far as they can be changed while running."""
        self.settings = settings
        wanted = settings.observatory
        self.history.retain(wanted.retention_days, wanted.rollup_days)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do the background work; give everything back at the end."""
        async with AsyncExitStack() as stack:
            stack.callback(self.journal.close)
            stack.push_async_callback(self.history.close)
            stack.push_async_callback(self.casebook.close)
            for channel in self._channels.values():
                stack.push_async_callback(channel.close)
            stack.push_async_callback(self.notifier.close)
            stack.push_async_callback(self.watcher.close)
            await self._recall()
            work: dict[str, Job] = {
                "history": self.history.run,
                "incidents": self.casebook.run,
                "watch": self.watcher.run,
                "notices": self.notifier.run,
                "gathering": self._gather,
                "networks": self._read_table,
                "status page": self._source.run,
                **self.operating.jobs(),
            }
            if self.settings.observatory.feeds:
                work["vendors' pages"] = self._poller.run
            if self.settings.observatory.probes:
                work |= {"probes": self._prober.run, "peers": self._peers.run}
            for name, job in work.items():
                stack.push_async_callback(self.background.start(name, job))
            yield

    def describe(self) -> dict[str, Any]:
        """For /readyz."""
        history, casebook, notifier = self.history.state, self.casebook.state, self.notifier.state
        return {
            "role": str(self.watcher.role),
            "observations": history.describe(),
            "incidents": {
                "waiting": casebook.waiting,
                "lost": casebook.lost,
                "rejected": casebook.rejected,
                "error": casebook.last_error,
            },
            "notifications": msgspec.to_builtins(notifier),
            "background": self.background.describe(),
        }

    def _fallbacks(self) -> tuple[Fallback, ...]:
        """What works instead, as the router sees it now."""
        return tuple(
            Fallback(
                name=candidate.upstream,
                provider=candidate.provider,
                local=candidate.kind is Kind.LOCAL,
                works=works,
                proven_at=self.board.proven.get(candidate.upstream),
            )
            for candidate, works in self._standing()
        )

    def _frame(self) -> Frame:
        kinds = tuple(str(kind) for kind in self._channels)
        reports = self.settings.observatory.reports
        base = self.settings.base_url
        return Frame(at=0.0, now=0.0, base_url=base, reports=reports, subscriptions=kinds)

    def _wishes(self) -> Wishes:
        return Wishes(
            probe=self._prober.hurry,
            closer=self._prober.closer,
            enough=self._prober.enough,
            calm=self._prober.calm,
            page=self._poller.hurry,
            page_calm=self._poller.relax,
            tell=self.notifier.wake,
        )

    def _probed(self, observation: Observation) -> None:
        self.history.append(observation)
        self._peers.offer(observation)

    def _make_watcher(self, database: Database, bus: Bus, holder: str) -> Watcher:
        return Watcher(
            self.watch,
            self.board,
            self.history,
            self.casebook,
            bus,
            self.clock,
            shared=database.kind != "sqlite" or bool(holder),
            holder=holder,
        )

    def _make_api(self, bus: Bus) -> ObservatoryApi:
        return ObservatoryApi(
            self.board,
            bus,
            self._past,
            self.watcher,
            self.clock,
            gate=self.gate,
            trusted=networks(self.settings.observatory.trusted_proxies),
        )

    def _make_poller(self) -> Poller:
        return Poller(
            feeds_of(self.settings, tuple(map(owner_of, watched(self.settings)))),
            fetch_of(self.settings),
            self.watcher.page,
            self.clock,
            random.random,
            online=lambda: not self._inward.offline(),
        )

    def _make_prober(self, inward: Inward) -> Prober:
        wanted = self.settings.observatory
        return Prober(
            self.targets,
            Pace(wanted.probe_every_s, wanted.probe_tokens_per_day, wanted.vantage),
            check_of(self.settings, inward, self.clock),
            self._probed,
            self.clock,
            random.random,
            offline=inward.offline,
            heard=inward.heard,
        )

    def _make_subscriptions(self, database: Database) -> Subscriptions:
        return Subscriptions(
            self.settings,
            database,
            self.clock,
            self.key,
            self._channels,
            wake=self.notifier.wake,
            gate=self.gate,
            view=self._pages.snapshot,
        )

    def _make_source(self) -> Source:
        return Source(
            self.board,
            lambda start_at, end_at: self.history.counts("day", start_at, end_at),
            self.casebook,
            self.clock,
            fallbacks=self._fallbacks,
            windows=self.operating.maintenance.windows,
            post_mortems=self.operating.book.all,
            frame=self._frame,
        )

    def _make_reports(self, data: Path) -> ReportEndpoint:
        models: dict[str, frozenset[str]] = {}

        def known() -> dict[str, frozenset[str]]:
            return models

        for provider in self.providers:
            prefix = f"{provider}/api/"
            named = [t.component for t in self.targets if t.component.startswith(prefix)]
            models[provider] = frozenset(name.removeprefix(prefix) for name in named)
        return ReportEndpoint(
            self.reporting,
            keeper(self.history),
            DailySecrets(data / "reports"),
            self.board,
            self.clock,
            Options(
                known=known,
                receipt=self._ended_ok,
                trusted=networks(self.settings.observatory.trusted_proxies),
                after_form="/status",
            ),
        )

    async def _ended_ok(self, receipt_id: str) -> bool | None:
        found = await self._find_receipt(receipt_id, None)
        return None if found is None else found.outcome == "ok"

    async def _recall(self) -> None:
        try:
            await recall(self.history, self.reporting, self.clock.wall())
        except (DatabaseUnavailable, SchemaTooNew) as error:
            log.warning("reports_of_the_last_minutes_not_recalled", reason=str(error))

    async def _gather(self) -> None:
        while True:
            await asyncio.sleep(GATHER_EVERY_S)
            for one in self._gathering.flush(self.clock.wall()):
                self.history.append(one)

    async def _read_table(self) -> None:
        wanted = self.settings.observatory.asn_file
        if wanted:
            try:
                table = await asyncio.to_thread(read_table, self.settings.resolve(wanted))
            except (OSError, ValueError) as error:
                log.warning("asn_file_not_read", reason=str(error))
            else:
                self.reports.table = table


class _Reports:
    """The endpoint for reports, while they are wanted."""

    def __init__(self, observing: Observing) -> None:
        self._observing = observing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._observing.settings.observatory.reports:
            await self._observing.reports(scope, receive, send)
            return
        words = {"error": {"message": "This service takes no reports (observatory.reports)."}}
        body = msgspec.json.encode(words)
        kind = (b"content-type", b"application/json")
        await send({"type": "http.response.start", "status": 404, "headers": [kind]})
        await send({"type": "http.response.body", "body": body})
