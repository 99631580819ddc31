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
from outlast.observatory import stored
from outlast.observatory.acting import Action, BadAction, NotKept
from outlast.observatory.board import Board, FeedState
from outlast.observatory.case_changes import AuditEntry, Changes, StoredClaim
from outlast.observatory.case_changes import Snapshot as StoredSnapshot
from outlast.observatory.casebook import Casebook, Written
from outlast.observatory.claims import Claim
from outlast.observatory.delivery_tables import enqueue
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.history import History, Window
from outlast.observatory.http import TOPIC, component_event, incident_event
from outlast.observatory.notifying import News, news
from outlast.observatory.poller import News as FeedNews
from outlast.observatory.poller import Unchanged
from outlast.observatory.stored import GONE
from outlast.observatory.watch import Said, Watch

log = structlog.get_logger(__name__)

STATUS = "status"
"""The bus topic that the router hears: key = component, value = its state as JSON."""
TICK_S = 1.0
FOLLOW_EVERY_S = 5.0
HEARTBEAT_EVERY_S = 10.0
LEASE_S = 45.0
"""A leader that was silent for so long has gone."""
SNAPSHOT_EVERY_S = 600.0
OTHERS_S = 30.0
OTHERS_MAX = 5000


class Role(StrEnum):
    LEADS = "leads"
    FOLLOWS = "follows"
    STARTING = "starting"


class Wishes(msgspec.Struct, frozen=True):
    """Whom to ask for a closer look, or for the usual pace again. Each takes a component's name;
    `page` and `page_calm` a provider's."""

    probe: Callable[[str], object] = lambda _: None
    closer: Callable[[str], object] = lambda _: None
    enough: Callable[[str], object] = lambda _: None
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
        holder: str = "",
    ) -> None:
        """`shared`: other processes may use the same database. `holder`: our name among them, to
        lead again at once after a restart.
        """
        self.wishes = Wishes()
        self.role = Role.STARTING
        self._watch = watch
        self._board = board
        self._history = history
        self._casebook = casebook
        self._bus = bus
        self._clock = clock
        self._shared = shared
        self._holder = holder or secrets.token_hex(8)
        self._restored = False
        """Whether what was stored was taken up: not while the database is dead at the start."""
        self._tried_at = 0.0
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

    def told(self, observations: Iterable[Observation]) -> None:
        """Other processes kept these, and tell us at once what the database will a little later."""
        if self.role is not Role.FOLLOWS:
            now = self._clock.wall()
            self._hear([(one, now) for one in observations if one.id not in self._heard])

    async def page(self, fetched: FeedNews) -> None:
        """What the poller says of a vendor's page."""
        now = self._clock.wall()
        name = fetched.feed
        if isinstance(fetched, FeedPage):
            self._board.feeds[name] = FeedState(fetched.provider, name, fetched.fetched_at)
            async with self._lock:  # `start` holds it: what was stored comes first
                said = self._watch.page(fetched)
                if self.role is not Role.FOLLOWS:
                    await self._carry(said, now, snapshots=(self._pages(now),))
                # Last: a notice that is kept is no news any more after a kill in between.
                for notice in said.notices:
                    await self._keep_notice(notice)
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
        """Work until cancelled. What goes wrong is logged, and the next look comes all the same."""
        while True:
            try:
                await (self.start() if self.role is Role.STARTING else self.step())
            except Exception as error:
                log.exception("look_failed", role=self.role, reason=repr(error)[:200])
                self._board.trouble = "A look at what was observed failed. The log says why."
            await asyncio.sleep(TICK_S)

    async def start(self) -> None:
        """Take up what was stored; lead, unless somebody else does."""
        async with self._lock:
            await self._restore()
            if await self._may_lead():
                self._lead()
            else:
                self._follow_from_now()

    async def step(self) -> None:
        """One look."""
        if self.role is Role.STARTING:
            return  # what was stored comes first: else what goes on would begin anew
        now = self._clock.wall()
        if self.role is Role.FOLLOWS:
            await self._follow(now)
            return
        if not self._restored and now - self._tried_at >= FOLLOW_EVERY_S:
            self._tried_at = now
            if not await self._restore_late(now):
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
        learnt = StoredSnapshot(stored.LEARNT, now, body)
        await self._casebook.commit(Changes(snapshots=(learnt, self._pages(now))))

    def _pages(self, now: float) -> StoredSnapshot:
        return StoredSnapshot(stored.PAGES, now, msgspec.json.encode(self._watch.remember_pages()))

    async def close(self) -> None:
        """Stop hearing, and store what was learnt."""
        self._stop()
        if self.role is Role.LEADS:
            await self.keep()

    # What operators do ------------------------------------------------------------------------

    async def act(self, incident_id: str, action: Action, by: str) -> tuple[Incident, bool]:
        """Return the incident as it is then, and whether that is stored yet. Raises BadAction and
        NotKept, in words, as all of these do."""
        self._must_lead()
        now = self._clock.wall()
        async with self._lock:
            said = self._watch.act(incident_id, action, by, now)
            entry = self._entry(by, f"incident.{action.kind}", now, incident_id, action)
            return said.incidents[0], await self._done(said, now, entry)

    async def enter_claim(
        self, incident_id: str, body: dict[str, Any], by: str
    ) -> tuple[Claim, bool]:
        self._must_lead()
        now = self._clock.wall()
        text, sources = body.get("text"), body.get("sources")
        if not isinstance(text, dict) or not isinstance(sources, list):
            raise BadAction(
                'A claim has "kind", "text" by language, and "sources", a list.',
                'Il faut "kind", "text" par langue, et "sources", une liste.',
            )
        words = {str(lang)[:8]: str(value) for lang, value in list(text.items())[:4]}
        if self._board.incident(incident_id) is None:
            raise BadAction(
                "There is no such incident among those of the last days.",
                "Aucun incident des derniers jours ne porte ce nom.",
            )
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
            return claim, await self._done(self._watch.claim(claim), now, entry)

    async def judge_claim(self, claim_id: str, body: dict[str, Any], by: str) -> tuple[Claim, bool]:
        self._must_lead()
        now = self._clock.wall()
        async with self._lock:
            state, reason = str(body.get("state", "")), str(body.get("reason", ""))
            claim = self._watch.claims.judge(claim_id, state, by, reason, now)
            entry = self._entry(by, "claim.judged", now, claim_id, body)
            return claim, await self._done(self._watch.claim(claim), now, entry)

    async def _done(self, said: Said, now: float, entry: AuditEntry) -> bool:
        """Store and tell what an operator did; whether it is stored yet."""
        written = await self._carry(said, now, (entry,))
        self._must_lead()
        if written is Written.REFUSED:
            raise NotKept
        return written is Written.STORED

    async def audit(self, limit: int, before_at: float = 1e11) -> list[dict[str, Any]]:
        """What operators did before then, newest first. Raises DatabaseUnavailable."""
        found = await self._casebook.audit(limit, before_at)
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
            raise BadAction(
                "Another process of this service watches; ask again there.",
                "Un autre processus de ce service observe\u00a0; redemandez là-bas.",
            )

    # Storing and telling ----------------------------------------------------------------------

    async def _carry(
        self,
        said: Said,
        now: float,
        audit: Iterable[AuditEntry] = (),
        snapshots: tuple[StoredSnapshot, ...] = (),
    ) -> Written:
        """Store, then tell."""
        board = self._board
        for name, reason in said.anew.items():
            log.error("component_begins_anew", component=name, reason=reason[:200])
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
            snapshots=snapshots,
            also=(partial(_enqueue, told),) if told else (),
        )
        written = Written.STORED
        if changes != Changes():
            written = await self._casebook.commit(changes)
            if written is Written.FENCED:
                self._give_way()
                return written
            state = self._casebook.state
            board.waiting, board.trouble = state.waiting, state.last_error
        self._show(said)
        if told:
            self.wishes.tell()
        self._wish(said)
        return written

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
        for name in said.closer:
            self.wishes.closer(name)
        for name in said.enough:
            self.wishes.enough(name)
        for name in said.hurry:
            self.wishes.probe(name)
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

    def _follow_from_now(self) -> None:
        self.role = Role.FOLLOWS
        self._casebook.resign()

    def _give_way(self) -> None:
        self._follow_from_now()
        log.warning("watch_follows", reason="another process has taken the watch over")

    async def _may_lead(self) -> bool:
        """Whether nobody else leads. A database that cannot be asked: we are on our own."""
        if not self._shared:
            return True
        try:
            beat = await stored.recalled(self._casebook, stored.HEARTBEAT, stored.Heartbeat)
        except GONE:
            return self.role is not Role.FOLLOWS
        return beat is None or beat.holder == self._holder or self._clock.wall() - beat.at > LEASE_S

    async def _beat(self, now: float) -> None:
        body = msgspec.json.encode(stored.Heartbeat(self._holder, now))
        change = Changes(snapshots=(StoredSnapshot(stored.HEARTBEAT, now, body),))
        if await self._casebook.commit(change) is Written.FENCED:
            self._give_way()

    async def _follow(self, now: float) -> None:
        """Show what the leader wrote; lead when it has gone."""
        if now - self._followed_at < FOLLOW_EVERY_S:
            return
        self._followed_at = now
        if await self._may_lead():
            async with self._lock:
                await self._restore()
                self._lead()
            return
        try:
            shown = await stored.shown(self._casebook)
        except GONE as error:
            self._board.trouble = str(error)
            return
        self._board.trouble = ""
        self._show_stored(shown)
        self._board.looked(max((state.at for state in shown.states), default=0.0))

    async def _hear_others(self, now: float) -> None:
        """Observations that other processes kept: they are the leader's to judge."""
        try:
            found = await self._history.recent(now - OTHERS_S, limit=OTHERS_MAX)
        except GONE:
            return
        self._hear([(one, now) for one in found if one.id not in self._heard])

    def _hear(self, found: Iterable[tuple[Observation, float]]) -> None:
        """Hear what was read from the database, each at its time; one that cannot be judged keeps
        none of the others out."""
        for observation, at in found:
            self._heard.add(observation.id)
            try:
                self._watch.observe(observation, at)
            except Exception as error:
                reason = repr(error)[:200]
                log.exception("observation_not_judged", id=observation.id[:100], reason=reason)

    async def _restore(self) -> None:
        """Incidents, notices, claims, what was learnt, and the last half hour."""
        now = self._clock.wall()
        self._tried_at = now
        try:
            past = await stored.past(self._casebook, self._history, now)
        except GONE as error:
            log.warning("watch_starts_without_its_past", reason=str(error)[:200])
            self._board.trouble = str(error)
            return
        self._restored = True
        if past.learnt is not None:
            try:
                self._watch.recall(past.learnt)
            except ValueError as error:
                log.warning("snapshot_not_read", name=stored.LEARNT, reason=str(error)[:200])
        self._watch.restore(past.shown.lately(now), past.notices, past.shown.states)
        self._watch.recall_pages(past.pages)
        self._watch.claims.restore(past.shown.claims)
        self._hear((one, one.at) for one in past.recent)
        self._show_stored(past.shown)

    async def _restore_late(self, now: float) -> bool:
        """The database was dead at the start: take up what it has, once it can be asked. Another
        process may lead by then, and goes on leading: False."""
        try:
            past = await stored.past(self._casebook, self._history, now)
        except GONE:
            return True
        if not await self._may_lead():
            self._give_way()
            return False
        self._restored = True
        async with self._lock:
            said = self._watch.restore_late(past.shown.lately(now), past.notices, now)
            self._watch.claims.restore(past.shown.claims)
            unseen = [one for one in past.shown.incidents if self._board.incident(one.id) is None]
            self._show(Said(incidents=unseen, claims=past.shown.claims))
            await self._carry(said, now)
        return True

    def _show_stored(self, shown: stored.Shown) -> None:
        self._show(Said(states=shown.states, incidents=shown.incidents, claims=shown.claims))


def _enqueue(told: list[News], connection: Any) -> None:
    enqueue(connection, told)


def _stored(claim: Claim) -> StoredClaim:
    return StoredClaim(claim.id, claim.incident, claim.at, msgspec.json.encode(claim))
