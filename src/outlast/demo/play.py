"""The day, played: clients ask both ways, a watch notes what the vendors and Outlast do."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec

from outlast.bus.base import Lost, Subscription
from outlast.demo import timeline
from outlast.demo.asking import Place, ask, ask_with_retries
from outlast.demo.board import Board, BreakerState, Sign, Stream, VendorState
from outlast.demo.house import House, opened
from outlast.demo.questions import Question, question, surface_of, truth
from outlast.demo.seen import Seen, judge
from outlast.demo.texts import Language
from outlast.gateway.breaker import State
from outlast.nouns import Observation
from outlast.simulator import Vendor
from outlast.simulator.schedule import refuses

TICK_S = 0.1
RECENT_S = 2.5
"""A vendor's state is that of the requests of the last seconds."""
ENDING_LIMIT_S = 45.0
SILENCE_S = 30.0
STAGGER_S = 0.35
LOCAL_START_S = 120.0
_SIGNS: dict[State, Sign] = {State.OPEN: "bad", State.HALF_OPEN: "note", State.CLOSED: "good"}


@dataclass(frozen=True)
class Chosen:
    """How the demo is played."""

    speed: float
    seed: int
    language: Language
    clients: int
    weights: Path | None = None


class View(Protocol):
    """Whatever shows the board. None of it waits."""

    def begin(self, board: Board) -> None: ...
    def draw(self, board: Board) -> None: ...
    def end(self, board: Board) -> None: ...


class LocalNotReady(Exception):
    """The embedded model was asked for and does not start; the message says why."""


async def play(chosen: Chosen, view: View, stop: asyncio.Event) -> Board:
    """Play the day to its end, or until `stop` is set. Raises LocalNotReady and OSError."""
    board = Board(
        streams=[Stream(n, surface_of(n)) for n in range(1, chosen.clients + 1)],
        vendors=[VendorState("anthropic"), VendorState("openai")],
        breakers={name: BreakerState(name) for name in ("anthropic", "openai")},
    )
    scripts = timeline.scripts(
        seed=chosen.seed,
        speed=chosen.speed,
        language=chosen.language,
        dark=chosen.weights is not None,
    )
    async with opened(scripts, speed=chosen.speed, weights=chosen.weights) as house:
        if chosen.weights is not None:
            await _local_ready(house, stop)
        house.anthropic.script, house.openai.script = scripts  # the day begins now
        view.begin(board)
        try:
            await _Day(chosen, board, house, view, stop).run()
        finally:
            view.end(board)
    return board


async def _local_ready(house: House, stop: asyncio.Event) -> None:
    """Wait until the embedded model answers. Raises LocalNotReady."""
    detail = ""
    for _ in range(round(LOCAL_START_S / TICK_S)):
        local = house.service.ready()[1]["local"]
        detail = str(local.get("detail", ""))
        if local["state"] == "ready" or stop.is_set():
            return
        if local["state"] in {"absent", "failed", "off"}:
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK_S)
    raise LocalNotReady(detail)


class _Day:
    def __init__(
        self, chosen: Chosen, board: Board, house: House, view: View, stop: asyncio.Event
    ) -> None:
        self._chosen = chosen
        self._board = board
        self._house = house
        self._view = view
        self._stop = stop
        self._direct: set[asyncio.Task[None]] = set()
        self._looked_s = -1.0
        self._dark = False
        self._ending = False

    async def run(self) -> None:
        house = self._house
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            with house.service.bus.subscribe("observations") as observations:
                listening = asyncio.create_task(self._listen(observations))
                watching = asyncio.create_task(self._watch())
                asking = [
                    asyncio.create_task(self._client(session, stream))
                    for stream in self._board.streams
                ]
                try:
                    await self._until_over(asking)
                finally:
                    for task in (*asking, *self._direct, watching):
                        task.cancel()
                    await asyncio.gather(*asking, *self._direct, watching, return_exceptions=True)
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
        self._look()
        self._view.draw(self._board)

    async def _until_over(self, asking: list[asyncio.Task[None]]) -> None:
        """Return when everybody has their last answer, or at once when the person stops it."""
        stopping = asyncio.create_task(self._stop.wait())
        everybody = asyncio.create_task(self._everybody(asking))
        limit_s = timeline.length_s(self._chosen.speed) + ENDING_LIMIT_S
        try:
            await asyncio.wait(
                {stopping, everybody}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
            if everybody.done():
                everybody.result()
        finally:
            stopping.cancel()
            everybody.cancel()
        self._board.stopped = self._stop.is_set() and not everybody.done()
        if not self._board.stopped:
            # Whoever still waits after the limit has waited in vain, which must be counted.
            for way in (self._board.outlast, self._board.direct):
                for _ in range(way.under_way):
                    way.ended("silent")

    async def _everybody(self, asking: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*asking)
        await asyncio.gather(*self._direct)

    # Asking.

    async def _client(self, session: aiohttp.ClientSession, stream: Stream) -> None:
        speed = self._chosen.speed
        await asyncio.sleep(STAGGER_S * stream.client / speed)
        number = 0
        while self._now_s() < timeline.END_S:
            number += 1
            asked = question(
                self._chosen.seed,
                stream.client,
                number,
                self._chosen.language,
                brief=self._chosen.weights is not None and timeline.brief(self._now_s()),
            )
            expected = truth(asked, self._house.anthropic.script)
            twin = asyncio.create_task(self._directly(session, stream, asked, expected))
            self._direct.add(twin)
            twin.add_done_callback(self._direct.discard)
            await self._through_outlast(session, stream, asked, expected)
            await asyncio.sleep(asked.pause_s / speed)

    async def _through_outlast(
        self, session: aiohttp.ClientSession, stream: Stream, asked: Question, expected: str
    ) -> None:
        seen = stream.seen = Seen(expected=expected)
        stream.asking = True
        self._board.outlast.asked += 1
        place = Place(self._house.url, self._house.key, SILENCE_S)
        await ask(session, place, asked, seen)
        receipt = await self._house.service.ledger.find(seen.request_id, None)
        seen.local = receipt is not None and receipt.served_by.startswith("local/")
        judge(seen)
        stream.asking = False
        self._board.answered(stream.client, seen, receipt)

    async def _directly(
        self, session: aiohttp.ClientSession, stream: Stream, asked: Question, expected: str
    ) -> None:
        """Ask the same at the same moment, straight from the vendor: the control group."""
        seen = stream.direct = Seen(expected=expected)
        stream.direct_asking = True
        self._board.direct.asked += 1
        place = Place(self._house.anthropic.url, timeline.key_of("anthropic"), SILENCE_S)
        await ask_with_retries(session, place, asked, seen, speed=self._chosen.speed)
        judge(seen)
        if stream.direct is seen:
            stream.direct_asking = False
        self._board.direct.ended(seen.failure)

    # Watching.

    def _now_s(self) -> float:
        return self._house.anthropic.at_s

    async def _listen(self, observations: Subscription) -> None:
        async for message in observations:
            if isinstance(message, Lost) or message.value is None:
                continue
            seen = msgspec.json.decode(message.value, type=Observation)
            self._board.attempts[seen.component.partition("/")[0], seen.outcome] += 1

    async def _watch(self) -> None:
        while True:
            self._look()
            self._view.draw(self._board)
            await asyncio.sleep(TICK_S)

    def _look(self) -> None:
        board = self._board
        board.at_s = self._now_s()
        self._look_at_day()
        self._look_at_breakers()
        for vendor, state in zip(
            (self._house.anthropic, self._house.openai), board.vendors, strict=True
        ):
            self._look_at_vendor(vendor, state)

    def _look_at_day(self) -> None:
        """Note what has come since the last look, at the time that the record gives it."""
        board, now_s = self._board, self._board.at_s
        for phase in timeline.PHASES:
            if self._looked_s < phase.at_s <= now_s:
                board.note(phase.key, "bad" if phase.faults else "good", at_s=phase.at_s)
        for notice in timeline.NOTICES:
            if self._looked_s < notice.at_s <= now_s:
                board.vendors[0].page = notice.page
                board.note(
                    "event_page",
                    at_s=notice.at_s,
                    vendor="anthropic",
                    page=notice.page,
                    notice=notice.key,
                )
        self._looked_s = now_s
        if board.at_s >= timeline.END_S and not self._ending:
            self._ending = True
            board.note("event_ending")
        if self._chosen.weights is not None and not self._dark:
            self._dark = board.at_s >= timeline.DARK[0]
            if self._dark:
                board.note("event_dark", "bad")

    def _look_at_breakers(self) -> None:
        service = self._house.service
        now = service.clock.monotonic()
        for name, breaker in service.state.breakers().items():
            upstream = name.partition("/")[0]
            shown = self._board.breakers.setdefault(upstream, BreakerState(upstream))
            state = breaker.state(now)
            shown.left_s = max(0.0, breaker.open_until - now)
            if state != shown.state:
                shown.state = state
                self._board.note("event_breaker", _SIGNS[state], vendor=upstream, state=state)

    def _look_at_vendor(self, vendor: Vendor, state: VendorState) -> None:
        since = vendor.at_s - RECENT_S * timeline.PLAYED * self._chosen.speed
        recent = failed = 0
        for request in reversed(vendor.requests):
            if request.at_s < since:
                break
            recent += request.number > 0
            failed += request.fault is not None
        state.recent, state.failed = recent, failed
        state.refuses = refuses(vendor.script, vendor.at_s)
