from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from outlast.nouns import Observation, Outcome, Scope
from outlast.observatory import history_tables as tables
from outlast.observatory.history import Window
from outlast.observatory.rollups import Rollup, roll_up
from outlast.store.database import Database, DatabaseUnavailable
from tests.observatory.history.houses import DAY, NOW, House, seen
from tests.store.databases import Gate, postgresql_url, sqlite_url
from tests.store.test_drain import until

if TYPE_CHECKING:
    from pathlib import Path


def same(found: list[Rollup], expected: list[Rollup]) -> None:
    """Compare sums; additions of fractions may differ in their last bits."""

    def key(one: Rollup) -> tuple[Any, ...]:
        return (one.period, one.start_at, one.component, one.source, one.outcome, one.count)

    found, expected = sorted(found, key=key), sorted(expected, key=key)
    assert [key(one) for one in found] == [key(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.weight == pytest.approx(other.weight)
        assert one.latency_sum_s == pytest.approx(other.latency_sum_s)
        assert one.latency_max_s == other.latency_max_s


async def all_sums(database: Database) -> list[Rollup]:
    rows = await database.read(lambda c: c.execute(text("SELECT * FROM rollups")).all())
    return [Rollup(*row) for row in rows]


async def test_an_observation_comes_back_as_it_was(house: House) -> None:
    full = Observation(
        at=NOW + 0.25,
        source="report",
        component="anthropic/mobile@eu",
        outcome=Outcome.SERVER_ERROR,
        scope=Scope.PROVIDER,
        latency_s=1.5,
        weight=0.25,
        evidence="HTTP 529 overloaded_error",
        id="r/1",
        upstream="claude",
        region="eu",
        network="AS64500",
        reporter="0123abcd",
        symptom="login",
    )
    assert house.history.append(full)
    assert house.history.durable
    assert await house.history.flush()
    assert await house.history.recent(NOW) == [full]


async def test_listeners_hear_what_is_kept_once_and_in_order(house: House) -> None:
    heard: list[tuple[str, int]] = []
    stop = house.history.listen(lambda one: heard.append((one.id, house.journal.state().pending)))
    assert house.history.append(seen("a"))
    assert not house.history.append(seen("a"))
    assert house.history.append(seen("b"))
    # It was in the journal by the time it was heard.
    assert heard == [("a", 1), ("b", 2)]
    assert house.history.repeated == 1
    stop()
    house.history.append(seen("c"))
    assert len(heard) == 2


async def test_a_listener_that_fails_harms_neither_the_others_nor_the_caller(house: House) -> None:
    heard: list[str] = []

    def broken(_one: Observation) -> None:
        raise RuntimeError("a listener's own fault")

    house.history.listen(broken)
    house.history.listen(lambda one: heard.append(one.id))
    assert house.history.append(seen("a"))
    assert heard == ["a"]
    assert house.history.listener_errors == 1


async def test_without_an_id_each_gets_its_own(house: House) -> None:
    heard: list[str] = []
    house.history.listen(lambda one: heard.append(one.id))
    assert house.history.append(seen())
    assert house.history.append(seen())
    await house.history.flush()
    assert await house.ids() == sorted(heard)
    assert len(set(heard)) == 2


async def test_what_memory_has_forgotten_the_database_still_knows(url: str, tmp_path: Path) -> None:
    house = House(url, tmp_path, ids_limit=2)
    for name in ("a", "b", "c", "a"):
        assert house.history.append(seen(name))
    await house.history.flush()
    assert house.history.append(seen("b"))
    await house.history.flush()
    assert await house.ids() == ["a", "b", "c"]
    assert [one.count for one in await house.history.counts("day", NOW, NOW + 1)] == [3]
    await house.close()


def test_a_window_always_knows_its_last_half_and_never_more_than_all_of_it() -> None:
    window = Window(10)
    for n in range(1000):
        window.add(str(n))
        assert all(str(k) in window for k in range(max(0, n - 4), n + 1))
        assert len(window) <= 10
    assert "980" not in window


@pytest.mark.parametrize(
    "odd",
    [
        seen("not a time", at=float("nan")),
        seen("never", at=float("inf")),
        seen("before time", at=-1.0),
        seen("after time", at=1e15),
        seen("no weight", weight=float("nan")),
        seen("no latency", latency_s=float("inf")),
    ],
    ids=lambda one: one.id,
)
async def test_what_cannot_be_true_is_refused_and_counted(house: House, odd: Observation) -> None:
    heard: list[str] = []
    house.history.listen(lambda one: heard.append(one.id))
    assert not house.history.append(odd)
    assert house.history.append(seen("b"))
    assert heard == ["b"]
    assert house.history.state.rejected == 1
    await house.history.flush()
    assert await house.ids() == ["b"]


async def test_texts_from_outside_may_be_as_odd_as_they_like(house: House) -> None:
    odd = seen(
        "odd\x00",
        evidence="\ud800 " + "long " * 100_000,
        region="\x00",
        network="n" * 5000,
        weight=-3.0,
        latency_s=1e300,
    )
    assert house.history.append(odd)
    assert house.history.append(seen("b"))
    assert await house.history.flush()
    assert house.history.state.rejected == 0
    found = await house.history.recent(NOW)
    assert len(found) == 2
    assert {len(one.network) for one in found} == {0, tables.NAME_LIMIT}
    assert min(one.weight for one in found) == 0.0


async def test_a_record_of_an_unknown_kind_is_counted_and_keeps_nobody_out(house: House) -> None:
    house.journal.append(b"zwhatever")
    house.journal.append(b"o\xc1")
    house.history.append(seen("a"))
    assert await house.history.flush()
    assert await house.ids() == ["a"]
    assert house.history.state.rejected == 2


async def test_recent_is_a_span_of_a_component_with_its_parts(house: House) -> None:
    for n, component in enumerate(
        ["anthropic/api", "anthropic/api/m", "anthropic/api@eu", "anthropic/apix", "anthropic/web"]
    ):
        house.history.append(seen(str(n), NOW + n, component=component))
    house.history.append(seen("probe", NOW, component="anthropic/api", source="probe"))
    await house.history.flush()

    async def ids(**asked: Any) -> list[str]:
        return [one.id for one in await house.history.recent(NOW, **asked)]

    assert await ids() == ["0", "probe", "1", "2", "3", "4"]
    assert await ids(component="anthropic/api") == ["0", "probe", "1", "2"]
    assert await ids(component="anthropic/api", source="attempt") == ["0", "1", "2"]
    assert await ids(component="anthropic") == ["0", "probe", "1", "2", "3", "4"]
    assert await ids(component="anthropic/a_i") == []
    assert await ids(until_at=NOW + 2) == ["0", "probe", "1"]
    assert await ids(limit=2) == ["3", "4"]
    assert await house.history.components(NOW) == [
        "anthropic/api",
        "anthropic/api/m",
        "anthropic/api@eu",
        "anthropic/apix",
        "anthropic/web",
    ]
    assert await house.history.span() == (NOW, NOW + 4)


async def test_nothing_has_no_span_and_no_sums(house: House) -> None:
    assert await house.history.span() is None
    assert await house.history.counts("hour", 0, NOW) == []
    assert await house.history.days("anthropic") == []
    assert await house.history.components(0) == []


async def test_days_add_up_a_component_and_its_parts(house: House) -> None:
    for n, (days_ago, component) in enumerate(
        [
            (0, "a/api/m"),
            (0, "a/api/n@eu"),
            (0, "a/web"),
            (1, "a/api"),
            (90, "a/api"),
            (89, "a/api"),
        ]
    ):
        house.history.append(seen(str(n), NOW - days_ago * DAY, component=component))
    await house.history.flush()
    days = await house.history.days("a/api", 90)
    assert [(int((NOW - one.start_at) / DAY), one.count) for one in days] == [
        (89, 1),
        (1, 1),
        (0, 2),
    ]
    assert {(one.component, one.source, one.outcome) for one in days} == {
        ("a/api", "attempt", "ok")
    }
    assert days[-1].latency_sum_s == 1.0


async def test_counts_are_of_the_periods_that_begin_in_the_span(house: House) -> None:
    for n in range(4):
        house.history.append(seen(str(n), NOW + 60 * n, outcome=Outcome.TIMEOUT))
    house.history.append(seen("r", NOW + 60, source="report"))
    await house.history.flush()
    found = await house.history.counts("minute", NOW + 60, NOW + 180)
    assert [(one.start_at - NOW, one.source, one.outcome, one.count) for one in found] == [
        (60, "attempt", "timeout", 1),
        (60, "report", "ok", 1),
        (120, "attempt", "timeout", 1),
    ]
    only = await house.history.counts("minute", NOW, NOW + 180, source="report")
    assert [one.source for one in only] == ["report"]


batches = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 40),
            st.floats(0, 2 * DAY),
            st.sampled_from(["a/api", "b/web"]),
            st.sampled_from([Outcome.OK, Outcome.STALLED]),
            st.floats(0, 50),
        ),
        max_size=12,
    ),
    max_size=6,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches, st.sets(st.integers(0, 5)))
async def test_sums_are_those_of_the_rows_however_often_a_batch_is_written(
    url: str, tmp_path: Path, drawn: list[list[tuple[Any, ...]]], twice: set[int]
) -> None:
    """Batches overlap, and some are written again, as after a kill between the two commits."""
    database = Database(url)
    await database.write(
        lambda c: [c.execute(text(f"DELETE FROM {name}")) for name in ("observations", "rollups")]
    )
    items = [
        [
            seen(str(n), at, component=component, outcome=outcome, latency_s=latency_s)
            for n, at, component, outcome, latency_s in batch
        ]
        for batch in drawn
    ]
    for batch in items + [batch for n, batch in enumerate(items) if n in twice]:
        await database.write(partial(tables.insert, items=batch))
    rows = await database.read(lambda c: tables.select_recent(c, 0, 1e11, None, None, 10_000))
    assert {one.id for one in rows} == {one.id for batch in items for one in batch}
    same(await all_sums(database), roll_up(rows))
    await database.close()


async def test_a_batch_that_is_odd_in_one_place_leaves_neither_rows_nor_sums_behind(
    house: House,
) -> None:
    """What is rejected alone must not have been counted with the others."""
    late = seen("late", at=NOW)
    house.journal.append(b"o" + msgspec.msgpack.encode(msgspec.structs.replace(late, at=1e300)))
    house.history.append(seen("a"))
    assert await house.history.flush()
    assert await house.ids() == ["a"]
    assert house.history.state.rejected == 1
    same(await all_sums(house.database), roll_up([seen("a")]))


@pytest.mark.postgresql
async def test_replicas_on_one_database_add_up(tmp_path: Path) -> None:
    with postgresql_url() as url:
        replicas = [House(url, tmp_path / str(n)) for n in range(2)]
        shared = [seen(f"shared {n}", NOW + n) for n in range(300)]
        for who, house in enumerate(replicas):
            for n in range(300):
                house.history.append(seen(f"{who} {n}", NOW + n))
                # The same peer's probes reach both, in another order.
                house.history.append(shared[n if who else -n])
        assert await asyncio.gather(*(house.history.flush() for house in replicas)) == [True, True]
        rows = await replicas[0].history.recent(0, limit=2000)
        assert len(rows) == 900
        same(await all_sums(replicas[0].database), roll_up(rows))
        for house in replicas:
            await house.close()


async def test_old_observations_go_and_their_sums_stay_longer(url: str, tmp_path: Path) -> None:
    house = House(url, tmp_path, retention_days=10, rollup_days=100)
    ages = {"young": 9, "old": 11, "older": 31, "oldest": 101}
    for name, days_ago in ages.items():
        house.history.append(seen(name, NOW - days_ago * DAY))
    await house.history.flush()
    assert await house.history.prune() > 0
    assert await house.ids() == ["young"]

    async def left(period: Any) -> list[int]:
        found = await house.history.counts(period, 0, NOW)
        return [round((NOW - one.start_at) / DAY) for one in found]

    assert await left("minute") == [11, 9]
    assert await left("hour") == await left("day") == [31, 11, 9]
    house.history.retain(5, 20)
    assert await house.history.prune() > 0
    assert await house.ids() == []
    assert await left("day") == [11, 9]
    await house.close()


async def test_a_flood_is_pruned_in_steps(url: str, tmp_path: Path) -> None:
    house = House(url, tmp_path, retention_days=1)
    for n in range(4100):
        house.history.append(seen(str(n), NOW - 2 * DAY + n / 1000))
    await house.history.flush()
    assert await house.history.prune() == 4100
    assert await house.ids() == []
    await house.close()


async def test_run_drains_by_itself_and_close_drains_what_is_left(url: str, tmp_path: Path) -> None:
    house = House(url, tmp_path)
    running = asyncio.create_task(house.history.run())
    house.history.append(seen("a"))
    await until(lambda: not house.history.state.pending)
    house.history.append(seen("b"))
    await house.history.close()
    await running
    assert await house.ids() == ["a", "b"]
    await house.close()


async def test_a_locked_database_delays_nothing_and_is_caught_up_with_later(
    tmp_path: Path,
) -> None:
    house = House(sqlite_url(tmp_path), tmp_path, busy_timeout_s=0.05)
    await house.ids()
    holder = sqlite3.connect(tmp_path / "outlast.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    heard: list[str] = []
    house.history.listen(lambda one: heard.append(one.id))
    for n in range(50):
        assert house.history.append(seen(f"{n:02}"))
    assert not await house.history.flush()
    assert len(heard) == 50
    state = house.history.state
    assert (state.pending, state.in_memory, state.lost) == (50, 0, 0)
    assert "locked" in state.last_error
    holder.execute("ROLLBACK")
    holder.close()
    assert await house.history.flush()
    assert await house.ids() == sorted(heard)
    assert [one.count for one in await house.history.counts("day", NOW, NOW + 1)] == [50]
    await house.close()


@pytest.mark.postgresql
async def test_while_the_database_is_dead_appends_go_on_and_reads_say_so(tmp_path: Path) -> None:
    gate = Gate()
    gate.open()
    gate.shut()
    with postgresql_url(gate.port) as url:
        house = House(url, tmp_path)
        assert house.history.append(seen("a"))
        assert not await house.history.flush()
        for reading in (
            house.history.recent(0),
            house.history.counts("day", 0, NOW),
            house.history.days("a"),
            house.history.span(),
            house.history.components(0),
            house.history.notices(),
            house.history.versions("f", "i"),
        ):
            with pytest.raises(DatabaseUnavailable):
                await reading
        gate.open()
        assert await house.history.flush()
        assert await house.ids() == ["a"]
        assert house.history.state.last_error == ""
        await house.close()
    gate.shut()
