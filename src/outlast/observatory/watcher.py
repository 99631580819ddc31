"""The watch at work: hears the history, lets the decider decide, stores and tells what it says.

One process of a service watches (it *leads*); the others *follow*: they read what the leader wrote
and show it. Whoever leads says so every few seconds in the database, and another one takes over
when that stops. A dead database changes nothing but that what is said waits to be stored: boards,
router and pages hear it all the same.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec
import structlog

from outlast.bus.base import Bus
from outlast.clock import Clock
from outlast.nouns import Incident, Observation
from outlast.observatory.acting import Action, BadAction
from outlast.observatory.board import Board, FeedState
from outlast.observatory.case_changes import AuditEntry, Changes, StoredClaim
from outlast.observatory.case_changes import Snapshot as StoredSnapshot
from outlast.observatory.casebook import Casebook, Written
from outlast.observatory.claims import Claim
from outlast.observatory.delivery_tables import enqueue
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.history import History, Window
from outlast.observatory.http import TOPIC, component_event, incident_event, read_claim
from outlast.observatory.notifying import News, news
from outlast.observatory.poller import News as FeedNews
from outlast.observatory.poller import Unchanged
from outlast.observatory.watch import Said, Snapshot, Watch
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

STATUS = "status"
"""The bus topic that the router hears: key = component, value = its state as JSON."""
TICK_S = 1.0
FOLLOW_EVERY_S = 5.0
HEARTBEAT_EVERY_S = 10.0
LEASE_S = 45.0
"""A leader that was silent for so long has gone."""
SNAPSHOT_EVERY_S = 600.0
WARM_S = 1800.0
"""How much of the past is heard again after a start."""
KEPT_S = 2 * 86_400.0
NOTICES_S = 14 * 86_400.0
OTHERS_S = 30.0
OTHERS_MAX = 5000
_GONE = (DatabaseUnavailable, SchemaTooNew)


class Role(StrEnum):
    LEADS = "leads"
    FOLLOWS = "follows"
    STARTING = "starting"


class Heartbeat(msgspec.Struct, frozen=True):
    holder: str
    at: float


class Wishes(msgspec.Struct, frozen=True):
    """Whom to ask for a closer look, or for the usual pace again. Each takes a component's name;
    `page` and `page_calm` a provider's."""

    probe: Callable[[str], object] = lambda _: None
    calm: Callable[[str], object] = lambda _: None
    page: Callable[[str], object] = lambda _: None
    page_calm: Callable[[str], object] = lambda _: None
    tell: Callable[[], object] = lambda: None
    """There is news for subscribers."""


class Watcher:
    """Owned by one event loop."""

    def __init__(
        self,
        watch: Watch,
        board: Board,
        history: History,
        casebook: Casebook,
        bus: Bus,
        clock: Clock,
        *,
        shared: bool,
    ) -> None:
        """`shared`: other processes may use the same database."""
        self.wishes = Wishes()
        self.role = Role.STARTING
        self._watch = watch
        self._board = board
        self._history = history
        self._casebook = casebook
        self._bus = bus
        self._clock = clock
        self._shared = shared
        self._holder = secrets.token_hex(8)
        self._beaten_at = 0.0
        self._followed_at = 0.0
        self._kept_at = clock.wall()
        self._heard = Window(50_000)
        self._lock = asyncio.Lock()
        self._stop = history.listen(self.heard)

    def heard(self, observation: Observation) -> None:
        """An observation that is kept. Quick: what follows from it is said at the next tick."""
        if self._shared:
            self._heard.add(observation.id)
        if self.role is not Role.FOLLOWS:
            self._watch.observe(observation, self._clock.wall())

    async def page(self, fetched: FeedNews) -> None:
        """What the poller says of a vendor's page."""
        now = self._clock.wall()
        name = fetched.feed
        if isinstance(fetched, FeedPage):
            self._board.feeds[name] = FeedState(fetched.provider, name, fetched.fetched_at)
            async with self._lock:
                said = self._watch.page(fetched)
                for notice in said.notices:
                    await self._keep_notice(notice)
                await self._carry(said, now)
        elif isinstance(fetched, Unchanged):
            self._board.feeds[name] = FeedState(fetched.provider, name, fetched.at)
            self._watch.page_unchanged(fetched.provider, fetched.at)
        else:
            before = self._board.feeds.get(name)
            self._board.feeds[name] = FeedState(
                fetched.provider,
                name,
                before.read_at if before is not None else None,
                fetched.since_at,
                fetched.reason,
            )
            self._watch.page_failed(fetched.provider, fetched.reason, fetched.at)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.start()
        while True:
            await asyncio.sleep(TICK_S)
            await self.step()

    async def start(self) -> None:
        """Take up what was stored; lead, unless somebody else does."""
        await self._restore()
        if await self._may_lead():
            self._lead()
        else:
            self.role = Role.FOLLOWS
            self._casebook.resign()

    async def step(self) -> None:
        """One look."""
        if self.role is Role.STARTING:
            return  # what was stored comes first: else what goes on would begin anew
        now = self._clock.wall()
        if self.role is Role.FOLLOWS:
            await self._follow(now)
            return
        if self._shared and now - self._followed_at >= FOLLOW_EVERY_S:
            self._followed_at = now
            await self._hear_others(now)
        async with self._lock:
            said = self._watch.tick(now)
            self._board.looked(now)
            await self._carry(said, now)
        if self._shared and now - self._beaten_at >= HEARTBEAT_EVERY_S:
            self._beaten_at = now
            await self._beat(now)
        if now - self._kept_at >= SNAPSHOT_EVERY_S:
            self._kept_at = now
            await self.keep()

    async def keep(self) -> None:
        """Store what was learnt, so that a restart need not learn it again."""
        now = self._clock.wall()
        body = msgspec.json.encode(self._watch.snapshot(now))
        await self._casebook.commit(Changes(snapshots=(StoredSnapshot("watch", now, body),)))

    async def close(self) -> None:
        """Stop hearing, and store what was learnt."""
        self._stop()
        if self.role is Role.LEADS:
            await self.keep()

    # What operators do ------------------------------------------------------------------------

    async def act(self, incident_id: str, action: Action, by: str) -> Incident:
        """Raises BadAction, in words."""
        self._must_lead()
        now = self._clock.wall()
        async with self._lock:
            said = self._watch.act(incident_id, action, by, now)
            entry = self._entry(by, f"incident.{action.kind}", now, incident_id, action)
            await self._carry(said, now, (entry,))
        return said.incidents[0]

    async def enter_claim(self, incident_id: str, body: dict[str, Any], by: str) -> Claim:
        """Raises BadAction, in words."""
        self._must_lead()
        now = self._clock.wall()
        text, sources = body.get("text"), body.get("sources")
        if not isinstance(text, dict) or not isinstance(sources, list):
            raise BadAction('A claim has "kind", "text" by language, and "sources", a list.')
        words = {str(lang)[:8]: str(value) for lang, value in list(text.items())[:4]}
        if self._board.incident(incident_id) is None:
            raise BadAction("There is no such incident among those of the last days.")
        async with self._lock:
            claim = self._watch.claims.enter(
                incident_id,
                str(body.get("kind", "")),
                words,
                [str(one) for one in sources[:20]],
                by,
                now,
            )
            entry = self._entry(by, "claim.entered", now, claim.id, body)
            await self._carry(self._watch.claim(claim), now, (entry,))
        return claim

    async def judge_claim(self, claim_id: str, body: dict[str, Any], by: str) -> Claim:
        """Raises BadAction, in words."""
        self._must_lead()
        now = self._clock.wall()
        async with self._lock:
            state, reason = str(body.get("state", "")), str(body.get("reason", ""))
            claim = self._watch.claims.judge(claim_id, state, by, reason, now)
            entry = self._entry(by, "claim.judged", now, claim_id, body)
            await self._carry(self._watch.claim(claim), now, (entry,))
        return claim

    async def audit(self, limit: int) -> list[dict[str, Any]]:
        """What operators did, newest first. Raises DatabaseUnavailable."""
        found = await self._casebook.audit(limit)
        return [
            {
                "at": one.at,
                "who": one.who,
                "what": one.what,
                "body": msgspec.json.decode(one.body),
            }
            for one in found
        ]

    def _must_lead(self) -> None:
        if self.role is Role.FOLLOWS:
            raise BadAction("Another process of this service watches; ask again there.")

    # Storing and telling ----------------------------------------------------------------------

    async def _carry(self, said: Said, now: float, audit: Iterable[AuditEntry] = ()) -> None:
        """Store, then tell."""
        board = self._board
        before = {one.id: board.incident(one.id) for one in said.incidents}
        told: list[News] = []
        states = board.states | {one.component: one for one in said.states}
        for incident in said.incidents:
            told += news(before[incident.id], incident, states, now)
        changes = Changes(
            incidents=tuple(said.incidents),
            states=tuple(said.states),
            claims=tuple(_stored(claim) for claim in said.claims),
            audit=tuple(audit),
            also=(partial(_enqueue, told),) if told else (),
        )
        if changes != Changes():
            written = await self._casebook.commit(changes)
            if written is Written.FENCED:
                self._give_way()
                return
            state = self._casebook.state
            board.waiting, board.trouble = state.waiting, state.last_error
        self._show(said)
        if told:
            self.wishes.tell()
        self._wish(said)

    def _show(self, said: Said) -> None:
        board = self._board
        if said.states:
            board.set_states(said.states)
        if said.incidents:
            board.set_incidents(said.incidents)
        if said.claims:
            board.set_claims(said.claims)
        board.forecasts.update(said.forecasts)
        board.extents.update(said.extents)
        if said.crowds:
            board.crowds = said.crowds
        for state in said.states:
            self._publish(STATUS, state.component, msgspec.json.encode(state))
            self._publish(TOPIC, *component_event(state))
        for incident in said.incidents:
            self._publish(TOPIC, *incident_event(incident))

    def _publish(self, topic: str, key: str, value: bytes) -> None:
        try:
            self._bus.publish(topic, value, key=key)
        except Exception as error:  # a bus that fails costs its message, and nothing else
            log.warning("status_not_published", key=key, reason=repr(error)[:200])

    def _wish(self, said: Said) -> None:
        for name in said.hurry | said.probe:
            self.wishes.probe(name)
        for name in said.hurry:
            self.wishes.page(name.partition("/")[0])
        for name in said.relax:
            self.wishes.calm(name)
            provider = name.partition("/")[0]
            if not any(one.provider == provider for one in self._watch.open()):
                self.wishes.page_calm(provider)

    async def _keep_notice(self, notice: Any) -> None:
        try:
            await self._history.save_notice(notice)
        except ValueError as error:
            log.warning("notice_not_kept", feed=notice.feed, reason=str(error)[:200])

    def _entry(self, by: str, what: str, now: float, about: str, body: object) -> AuditEntry:
        detail = msgspec.json.encode({"about": about, "said": body})
        return AuditEntry(secrets.token_hex(16), now, by, what, detail)

    # Leading and following --------------------------------------------------------------------

    def _lead(self) -> None:
        self.role = Role.LEADS
        self._casebook.lead()
        log.info("watch_leads", holder=self._holder)

    def _give_way(self) -> None:
        self.role = Role.FOLLOWS
        log.warning("watch_follows", reason="another process has taken the watch over")

    async def _may_lead(self) -> bool:
        """Whether nobody else leads. A database that cannot be asked: we are on our own."""
        if not self._shared:
            return True
        try:
            found = await self._casebook.snapshot("watch/heartbeat")
        except _GONE:
            return self.role is not Role.FOLLOWS
        if found is None:
            return True
        beat = msgspec.json.decode(found.body, type=Heartbeat)
        return beat.holder == self._holder or self._clock.wall() - beat.at > LEASE_S

    async def _beat(self, now: float) -> None:
        body = msgspec.json.encode(Heartbeat(self._holder, now))
        change = Changes(snapshots=(StoredSnapshot("watch/heartbeat", now, body),))
        if await self._casebook.commit(change) is Written.FENCED:
            self._give_way()

    async def _follow(self, now: float) -> None:
        """Show what the leader wrote; lead when it has gone."""
        if now - self._followed_at < FOLLOW_EVERY_S:
            return
        self._followed_at = now
        if await self._may_lead():
            await self._restore()
            self._lead()
            return
        try:
            states, incidents, claims = await self._stored_now(now)
        except _GONE as error:
            self._board.trouble = str(error)
            return
        self._board.trouble = ""
        said = Said(states=states, incidents=incidents, claims=claims)
        self._show(said)
        self._board.looked(max((state.at for state in states), default=0.0))

    async def _hear_others(self, now: float) -> None:
        """Observations that other processes kept: they are the leader's to judge."""
        try:
            found = await self._history.recent(now - OTHERS_S, limit=OTHERS_MAX)
        except _GONE:
            return
        for observation in found:
            if observation.id not in self._heard:
                self._heard.add(observation.id)
                self._watch.observe(observation, now)

    async def _stored_now(self, now: float) -> tuple[list[Any], list[Incident], list[Claim]]:
        states = await self._casebook.states()
        incidents = {one.id: one for one in await self._casebook.incidents(limit=50)}
        incidents |= {one.id: one for one in await self._casebook.open_incidents()}
        claims = [read_claim(one) for one in await self._casebook.claims()]
        return states, list(incidents.values()), [one for one in claims if one is not None]

    async def _restore(self) -> None:
        """Incidents, notices, claims, what was learnt, and the last half hour."""
        now = self._clock.wall()
        try:
            states, incidents, claims = await self._stored_now(now)
            notices = await self._history.notices(since_at=now - NOTICES_S)
            kept = await self._casebook.snapshot("watch")
            recent = await self._history.recent(now - WARM_S, limit=50_000)
        except _GONE as error:
            log.warning("watch_starts_without_its_past", reason=str(error))
            self._board.trouble = str(error)
            return
        if kept is not None:
            try:
                self._watch.recall(msgspec.json.decode(kept.body, type=Snapshot))
            except (msgspec.MsgspecError, ValueError) as error:
                log.warning("snapshot_not_read", reason=str(error)[:200])
        lately = [one for one in incidents if (one.resolved_at or now) >= now - KEPT_S]
        self._watch.restore(lately, notices, states)
        self._watch.claims.restore(claims)
        for observation in recent:
            self._heard.add(observation.id)
            self._watch.observe(observation, observation.at)
        self._show(Said(states=states, incidents=incidents, claims=claims))


def _enqueue(told: list[News], connection: Any) -> None:
    enqueue(connection, told)


def _stored(claim: Claim) -> StoredClaim:
    return StoredClaim(claim.id, claim.incident, claim.at, msgspec.json.encode(claim))
