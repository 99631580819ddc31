"""What a worker has in the place of the observatory and the embedded model. Thin.

Each attempt becomes an observation as ever, in a journal of the worker's own, and then the observer
is told: what it hears at once is safe before, and what it does not hear, because it is being
started again, it finds in the database a little later. The other way round come the states of
components and of the embedded model.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import structlog

from outlast.app import Service
from outlast.config import Settings
from outlast.gateway.events import Observe
from outlast.gateway.state import standing
from outlast.nouns import Candidate, Ended, Observation, Outcome
from outlast.observatory.gathering import Gathering
from outlast.observatory.history import History
from outlast.observatory.intake import Intake
from outlast.observatory.probe_targets import targets_of
from outlast.observatory.watcher import STATUS
from outlast.store.journal import Journal
from outlast.workers.inside import AWAY, Away, Neighbour
from outlast.workers.lent import Lent
from outlast.workers.told import MODEL, Event, ModelTold, Telling

log = structlog.get_logger(__name__)

TELL_EVERY_S = 0.1
STAND_EVERY_S = 2.0
"""How often the observer hears what this worker would ask, though nothing else is new."""
GATHER_EVERY_S = 1.0
AGAIN_S = 0.5
WAITING_MAX = 5000
BATCH_MAX = 1000
SILENCE_MAX_S = 20.0


class FrontOfMany:
    """See app.Front. Owned by one event loop."""

    def __init__(self, service: Service, place: int, observer: Neighbour) -> None:
        self._service = service
        self._place = place
        self._observer = observer
        self._away = False
        self._proven: dict[str, float] = {}
        self.model = Lent(service.settings, observer, self._model_told)
        self._waiting: deque[Observation] = deque(maxlen=WAITING_MAX)
        self._gathering, self._intake = Gathering(), Intake()
        self._told_at = 0.0
        self._history: History | None = None
        settings = service.settings
        if settings.observatory.enabled:
            wanted = settings.observatory
            self._intake.learn(target.component for target in targets_of(settings))
            self._journal = Journal(settings.data_path / "observations")
            self._history = History(
                self._journal,
                service.database,
                clock=service.clock,
                retention_days=wanted.retention_days,
                rollup_days=wanted.rollup_days,
            )
            self._history.listen(self._waiting.append)

    @property
    def met(self) -> bool:
        return self._told_at > 0

    def attempt(self, observed: Observe) -> None:
        history = self._history
        if history is None:
            return
        clock, connectivity = self._service.clock, self._service.state.connectivity
        # Whether we are offline matters for failures alone, and successes are by far the most.
        offline = observed.verdict is not None and connectivity.offline(clock.monotonic())
        seen = self._intake.from_attempt(observed.observation, observed.candidate, offline=offline)
        if seen is None:
            return
        if seen.outcome is Outcome.OK:
            self._proven[observed.candidate.upstream] = seen.at
        for one in self._gathering.add(seen):
            history.append(one)

    def well(self, candidate: Candidate, ended: Sequence[Ended]) -> None:
        history, known = self._history, self._intake.well(candidate)
        if history is None:
            return
        if known is None:
            for at, took_s in ended:
                name, ok = candidate.name, Outcome.OK
                observation = Observation(at, "attempt", name, ok, latency_s=took_s)
                self.attempt(Observe(candidate, observation))
            return
        self._proven[candidate.upstream] = ended[-1][0]
        for one in self._gathering.well(*known, ended):
            history.append(one)

    def retain(self, settings: Settings) -> None:
        if self._history is not None:
            wanted = settings.observatory
            self._history.retain(wanted.retention_days, wanted.rollup_days)

    def describe(self) -> dict[str, Any]:
        observations = self._history.state.describe() if self._history is not None else {}
        told = {"observer": "away" if self._away else "told", "untold": len(self._waiting)}
        return {"role": "tells", "observations": observations, **told}

    def describe_local(self) -> dict[str, Any]:
        if not self._service.settings.local.enabled:
            return {"state": "off"}
        told = self._model_told()
        if told is None:
            return {"state": "starting", "detail": "the process that has the local model starts"}
        return {"state": told.state, "detail": told.sentence}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._observer.close)
            work = {"telling": self._tell, "states": self._states, "model": self._models}
            if self._history is not None:
                stack.callback(self._journal.close)
                stack.push_async_callback(self._history.close)
                work |= {"history": self._history.run, "gathering": self._gather}
            for name, job in work.items():
                stack.push_async_callback(self._service.background.start(name, job))
            yield
            await self._last_words()

    # -- to the observer -----------------------------------------------------------------------

    async def _gather(self) -> None:
        while True:
            await asyncio.sleep(GATHER_EVERY_S)
            self._flush()

    def _flush(self) -> None:
        assert self._history is not None
        for one in self._gathering.flush(self._service.clock.wall()):
            self._history.append(one)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_S if self._away else TELL_EVERY_S)
            await self._tell_now()

    async def _tell_now(self) -> None:
        """Tell what is new, or that nothing is. What is not taken is told again."""
        now = self._service.clock.monotonic()
        if not self._waiting and now - self._told_at < STAND_EVERY_S:
            return
        batch = tuple(self._waiting)[:BATCH_MAX]
        told = tuple(standing(self._service.state, now))
        try:
            telling = Telling(self._place, batch, told, dict(self._proven))
            await self._observer.tell("/tell", telling)
        except Away as away:
            if not self._away:
                tell = log.warning if self._told_at else log.debug  # it may still be starting
                tell("observer_away", reason=str(away))
            self._away = True
            return
        if self._away and self._told_at:
            log.info("observer_back")
        self._away, self._told_at = False, now
        for one in batch:
            # Older ones may have been given up meanwhile, to make room.
            if self._waiting and self._waiting[0] is one:
                self._waiting.popleft()

    async def _last_words(self) -> None:
        """At the end: what the second that runs has gathered, too."""
        if self._history is not None:
            for one in self._gathering.flush(self._service.clock.wall() + 1):
                self._history.append(one)
        if self._waiting:
            await self._tell_now()

    # -- from the observer ---------------------------------------------------------------------

    def _model_told(self) -> ModelTold | None:
        said = self._service.bus.state(MODEL).get(MODEL)
        return msgspec.json.decode(said, type=ModelTold) if said is not None else None

    async def _states(self) -> None:
        await self._follow(STATUS)

    async def _models(self) -> None:
        await self._follow(MODEL)

    async def _follow(self, topic: str) -> None:
        """Say on our own bus what the observer says on its, until cancelled."""
        while True:
            try:
                await self._hear(topic)
            except Away:
                pass
            except AWAY as error:
                log.debug("observer_not_heard", topic=topic, reason=repr(error)[:200])
            await asyncio.sleep(AGAIN_S)

    async def _hear(self, topic: str) -> None:
        """Raises Away, and what reading raises."""
        bus, decode = self._service.bus, msgspec.json.Decoder(Event).decode
        gone = set(bus.state(topic))
        path = f"/follow/{topic}"
        async with self._observer.ask("GET", path, limit_s=None) as response:
            while True:
                async with asyncio.timeout(SILENCE_MAX_S):
                    line = await response.content.readline()
                if not line.endswith(b"\n"):
                    return
                event = decode(line)
                if event.key:
                    gone.discard(event.key)
                    bus.publish(topic, event.value, key=event.key)
                    if topic == STATUS:  # a model that answered anywhere has a name everywhere
                        self._intake.learn([event.key])
                    continue
                for key in gone:  # it was forgotten while we did not hear
                    bus.publish(topic, None, key=key)
                gone.clear()
