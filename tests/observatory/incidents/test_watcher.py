"""The watch at work: restarts, a database that dies, two processes on one, values that poison."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from outlast.bus.memory import MemoryBus
from outlast.clock import ManualClock
from outlast.nouns import Incident, Notice, NoticeUpdate, Observation, Outcome, Stage, Status
from outlast.observatory import history_tables, watcher
from outlast.observatory.acting import Action, BadAction
from outlast.observatory.board import Board
from outlast.observatory.casebook import Casebook
from outlast.observatory.crowd import CrowdSettings, new_stream
from outlast.observatory.feeds.reading import FeedPage, Reading
from outlast.observatory.history import History
from outlast.observatory.watch import Snapshot, Watch
from outlast.observatory.watcher import LEASE_S, Role, Watcher, Wishes
from outlast.store.database import Database, DatabaseUnavailable
from outlast.store.journal import Journal
from tests.store.databases import postgresql_url, sqlite_url

T0 = 1_772_451_000.0
WEB, API = "anthropic/web", "anthropic/api"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


class Process:
    """A watcher with all that it stands on."""

    def __init__(self, url: str, folder: Path, clock: ManualClock, *, shared: bool) -> None:
        self.clock = clock
        self.journal = Journal(folder)
        self.database = Database(url)
        self.history = History(self.journal, self.database, clock=clock)
        self.casebook = Casebook(self.database)
        self.board, self.watch = Board(), Watch()
        self.watch.expect([WEB, API], ["anthropic"])
        self.watcher = Watcher(
            self.watch,
            self.board,
            self.history,
            self.casebook,
            MemoryBus(clock),
            clock,
            shared=shared,
        )

    async def fail(self, count: int = 40) -> None:
        """Requests that fail, and a look after them."""
        await self.see(count)
        await self.watcher.step()

    async def see(self, count: int, component: str = f"{API}/m") -> None:
        """Requests that fail, one a second."""
        for number in range(count):
            now = self.clock.wall()
            ident = f"{component}/{number}/{now}"
            self.history.append(
                Observation(now, "attempt", component, Outcome.SERVER_ERROR, id=ident)
            )
            self.clock.advance(1)
        await self.history.flush()

    async def open(self) -> list[Incident]:
        return await self.casebook.open_incidents()

    async def kill(self) -> None:
        """End without storing anything more."""
        self.journal.close()
        await self.database.close()


class Houses:
    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.clock = url, folder, ManualClock(T0)
        self._open: list[Process] = []

    async def start(self, name: str = "a", *, shared: bool = False) -> Process:
        found = self.make(name, shared=shared)
        await found.watcher.start()
        return found

    def make(self, name: str = "a", *, shared: bool = False) -> Process:
        found = Process(self.url, self.folder / name, self.clock, shared=shared)
        self._open.append(found)
        return found

    async def end(self, one: Process) -> None:
        self._open.remove(one)
        await one.kill()

    async def close(self) -> None:
        for one in list(self._open):
            await self.end(one)


@asynccontextmanager
async def houses_at(url: str, folder: Path) -> AsyncIterator[Houses]:
    found = Houses(url, folder)
    try:
        yield found
    finally:
        await found.close()


@pytest.fixture
async def houses(url: str, tmp_path: Path) -> AsyncIterator[Houses]:
    async with houses_at(url, tmp_path) as found:
        yield found


def page(at: float, stage: str = "investigating", *bodies: str) -> FeedPage:
    """The vendor's page, on which it says that its web fails."""
    notice = Notice(
        "anthropic",
        "summary",
        "n1",
        "incident",
        "Elevated errors",
        stage,
        components=(("claude.ai", Status.PARTIAL),),
        updates=tuple(NoticeUpdate(T0 + n, stage, body) for n, body in enumerate(bodies)),
        started_at=T0,
        fetched_at=at,
        version=f"{stage}{len(bodies)}",
    )
    marks = (Reading("claude.ai", Status.PARTIAL),)
    return FeedPage(
        "anthropic", "summary", "statuspage", at, components=marks, notices=(notice,), covers="open"
    )


def kinds(incident: Incident) -> list[str]:
    return [one.kind for one in incident.updates]


async def test_what_only_the_vendor_says_goes_on_over_a_kill(houses: Houses) -> None:
    one = await houses.start()
    await one.watcher.step()
    await one.watcher.page(page(T0, "investigating", "We look."))
    await one.watcher.step()
    (before,) = await one.open()
    await houses.end(one)
    houses.clock.advance(60)
    again = await houses.start()
    await again.watcher.step()
    await again.watcher.page(page(houses.clock.wall(), "investigating", "We look."))
    await again.watcher.step()
    assert await again.open() == [before]


async def test_a_kill_between_incident_and_notice_neither_loses_nor_repeats_words(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await houses.start()
    await one.watcher.step()

    async def killed(_: Notice) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(one.history, "save_notice", killed)
    with pytest.raises(KeyboardInterrupt):
        await one.watcher.page(page(T0, "investigating", "We look."))
    (before,) = await one.open()
    assert "vendor" in kinds(before)
    await houses.end(one)
    again = await houses.start()
    await again.watcher.page(page(T0 + 60, "investigating", "We look."))
    await again.watcher.page(page(T0 + 90, "investigating", "We look.", "We still look."))
    (after,) = await again.open()
    assert kinds(after) == [*kinds(before), "vendor"]
    assert "We still look." in after.updates[-1].text["en"]


async def test_one_poisoned_row_keeps_no_watch_from_starting(houses: Houses) -> None:
    one = await houses.start()
    await one.fail()
    await houses.end(one)
    again = houses.make()

    def poison(connection: Connection) -> None:
        rows = history_tables.observations
        connection.execute(update(rows).where(rows.c.at == T0).values(component="nonsense"))

    await again.database.write(poison)
    await again.watcher.start()
    await again.watcher.step()
    assert again.watcher.role is Role.LEADS
    assert [kinds(incident) for incident in await again.open()] == [["opened"]]


async def test_what_cannot_be_judged_begins_anew_and_keeps_no_other_from_being_looked_at(
    houses: Houses,
) -> None:
    one = await houses.start()
    await one.watcher.step()
    damaged = new_stream(CrowdSettings())
    damaged.rises.pop()
    damaged.baseline.first_at = damaged.last_at = T0 - 3 * 86_400.0
    one.watch.recall(Snapshot(T0, crowds={WEB: damaged}))
    houses.clock.advance(120)
    said = one.watch.tick(houses.clock.wall())
    assert list(said.anew) == [WEB]
    await one.fail()
    assert {state.component for state in one.watch.states()} >= {WEB, API}
    assert await one.open()
    assert one.watch.tick(houses.clock.wall() + 120).anew == {}


async def test_a_look_that_fails_is_not_the_last(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "TICK_S", 0.0)
    one = houses.make()
    asked: list[str] = []

    def ask(component: str) -> None:
        asked.append(component)
        raise RuntimeError("no probe of this")

    one.watcher.wishes = Wishes(probe=ask)
    work = asyncio.create_task(one.watcher.run())
    try:
        while not await one.open():
            assert not work.done()
            await one.see(1)
        before = len(asked)
        while len(asked) == before:
            assert not work.done()
            await one.see(1, "anthropic/code/m")
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_close_look_is_wished_for_and_ended_when_it_is_suspected(houses: Houses) -> None:
    one = await houses.start()
    asked: list[tuple[str, str]] = []
    one.watcher.wishes = Wishes(
        probe=lambda name: asked.append(("probe", name)),
        closer=lambda name: asked.append(("closer", name)),
        enough=lambda name: asked.append(("enough", name)),
    )
    await one.fail(2)
    assert sorted(asked) == [("closer", API), ("closer", f"{API}/m")]
    asked.clear()
    await one.fail(10)
    assert sorted(asked) == [
        (what, name) for what in ("enough", "probe") for name in (API, f"{API}/m")
    ]


async def test_a_database_that_was_dead_at_the_start_is_taken_up_when_it_is_back(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await houses.start()
    await one.fail()
    (before,) = await one.open()
    await houses.end(one)
    again = houses.make("b")
    with monkeypatch.context() as dead:
        dead.setattr(again.database, "read", _dead)
        dead.setattr(again.database, "write", _dead)
        await again.watcher.start()
        await again.fail()
    assert again.watch.open()
    assert await again.casebook.flush()
    await again.fail(5)
    (after,) = await again.open()
    assert (after.id, after.stage) == (before.id, Stage.INVESTIGATING)
    assert kinds(after) == ["opened", "merged"]
    assert [incident.id for incident in again.board.open()] == [before.id]
    assert again.board.states[API].incident == before.id


async def _dead(*_: object) -> None:
    raise DatabaseUnavailable("The database cannot be used now: it is gone.")


async def test_who_follows_opens_nothing_of_its_own_and_takes_over_what_there_is(
    houses: Houses,
) -> None:
    leader = await houses.start("a", shared=True)
    await leader.watcher.step()
    follower = await houses.start("b", shared=True)
    assert (leader.watcher.role, follower.watcher.role) == (Role.LEADS, Role.FOLLOWS)
    await leader.watcher.page(page(T0, "investigating", "We look."))
    houses.clock.advance(7)
    await follower.watcher.page(page(T0 + 7, "investigating", "We look."))
    await leader.watcher.step()
    (before,) = await leader.open()
    houses.clock.advance(LEASE_S + 10)
    await follower.watcher.step()
    assert follower.watcher.role is Role.LEADS
    await follower.watcher.step()
    assert await follower.open() == [before]
    assert [incident.id for incident in follower.watch.open()] == [before.id]


async def test_an_operator_is_not_told_that_what_was_fenced_off_is_done(houses: Houses) -> None:
    slow = await houses.start("a", shared=True)
    await slow.fail()
    (incident,) = await slow.open()
    houses.clock.advance(LEASE_S + 10)
    other = await houses.start("b", shared=True)
    await other.watcher.step()
    assert other.watcher.role is Role.LEADS
    with pytest.raises(BadAction, match="Another process"):
        await slow.watcher.act(incident.id, Action("annotate", {"en": "Seen."}), "ana")
    assert slow.watcher.role is Role.FOLLOWS
    assert (await other.open())[0].updates == incident.updates


async def test_what_claims_to_come_from_the_future_is_not_heard_at_a_start(houses: Houses) -> None:
    one = await houses.start()
    for number in range(40):
        at = T0 + 1e8 + number
        one.history.append(
            Observation(at, "attempt", API, Outcome.SERVER_ERROR, id=f"future/{number}")
        )
    await one.history.flush()
    await houses.end(one)
    again = await houses.start()
    await again.watcher.step()
    assert await again.open() == []
