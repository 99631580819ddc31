"""Limits over several processes: one bucket, one count, whoever dies or stands still."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.accounts.keys import Key
from outlast.config import Settings
from outlast.gateway.limits import TokenBucket
from outlast.gateway.shared_counts import FULL_AGAIN_S, ROWS, SharedCounts, make
from outlast.gateway.state import GatewayState
from tests.store.children import child, line, tell

PLACES = 3

TAKE = """
import sys, time
from outlast.gateway.shared_counts import SharedCounts
counts = SharedCounts(int(sys.argv[1]), int(sys.argv[2]), 3, others=1)
print("here", flush=True)
sys.stdin.readline()
taken = 0
while taken < 10_000:
    waits = counts.take("a key", 500, 100.0)
    if waits is not None and waits > 0:
        break
    taken += waits is not None
print(taken, flush=True)
sys.stdin.readline()
"""

HOLD = """
import fcntl, sys
fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def shared() -> Iterator[tuple[int, list[SharedCounts]]]:
    """The same memory as each process has it."""
    fd = make(PLACES)
    os.set_inheritable(fd, True)
    tables = [SharedCounts(os.dup(fd), place, PLACES, others=1) for place in range(PLACES)]
    try:
        yield fd, tables
    finally:
        for table in tables:
            table.close()
        os.close(fd)


def key(**limits: int) -> Key:
    return Key(id="key_1", name="k", prefix="ol_", created_at=0.0, **limits)  # type: ignore[arg-type]


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(0, 1), st.floats(0, 20)), max_size=60),
)
def test_a_bucket_of_several_is_the_bucket_of_one(
    per_minute: int, taken: list[tuple[int, float]]
) -> None:
    with shared() as (_, tables):
        now, alone = 1000.0, TokenBucket(per_minute, 1000.0)
        for place, later_s in taken:
            now += later_s
            assert tables[place].take("k", per_minute, now) == alone.take(now)


def test_processes_that_take_at_once_take_no_more_than_there_is() -> None:
    with (
        shared() as (fd, _),
        child(TAKE, str(fd), "0", pass_fds=(fd,)) as one,
        child(TAKE, str(fd), "1", pass_fds=(fd,)) as other,
    ):
        for process in (one, other):
            assert line(process) == "here"
        for process in (one, other):
            tell(process, "go")
        assert sum(int(line(process)) for process in (one, other)) == 500


def test_who_stands_still_in_the_middle_keeps_nobody_from_answering() -> None:
    with shared() as (fd, tables), child(HOLD, str(fd), pass_fds=(fd,)) as holder:
        assert line(holder) == "held"
        holder.send_signal(signal.SIGSTOP)
        assert tables[0].take("k", 10, 1.0) is None
        state = GatewayState(Settings(), lambda: 0.0, tables[0])
        # Our own share of ten a minute and of four at once: two processes answer clients.
        allowed = [state.admit(key(requests_per_minute=10), 1.0) == 0 for _ in range(10)]
        assert allowed == [True] * 5 + [False] * 5
        load = state.load(key(concurrent=4))
        assert [load.enter() for _ in range(4)] == [True, True, False, False]
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        load.leave()
        load.leave()
        assert tables[1].under_way("key_1") == 0


def test_what_is_under_way_anywhere_counts_for_all() -> None:
    with shared() as (_, tables):
        loads = [table.load("k", 3) for table in tables[:2]]
        assert [loads[0].enter(), loads[1].enter(), loads[0].enter()] == [True] * 3
        assert not loads[1].enter()
        loads[0].leave()
        assert loads[1].enter()
        assert not loads[0].enter()
        for load in (*loads, loads[0]):
            load.leave()
            load.leave()
        assert tables[0].under_way("k") == 0


def test_what_a_dead_process_had_under_way_is_given_back() -> None:
    with shared() as (_, tables):
        dead, alive = (table.load("k", 2) for table in tables[:2])
        assert dead.enter()
        assert dead.enter()
        assert not alive.enter()
        tables[2].forget(0)
        assert alive.enter()
        assert tables[2].under_way("k") == 1


def test_a_limit_that_comes_later_does_not_count_what_went_in_before_it() -> None:
    with shared() as (_, tables):
        load = tables[0].load("k", None)
        assert load.enter()
        load.limit = 1
        assert load.enter()
        assert not load.enter()
        load.leave()
        load.leave()
        assert tables[0].under_way("k") == 0


def test_names_that_are_not_used_any_more_make_room_and_those_in_use_stay() -> None:
    with shared() as (_, tables):
        used = tables[0].load("in use", 1)
        assert used.enter()
        full = sum(tables[0].take(f"{number}", 10, 1.0) is None for number in range(3 * ROWS))
        assert full > 0
        now = 1.0 + FULL_AGAIN_S
        assert all(
            tables[1].take(f"new {number}", 10, now) is not None for number in range(ROWS // 2)
        )
        assert tables[1].under_way("in use") == 1
        assert not tables[1].load("in use", 1).enter()


def test_of_the_free_retries_each_process_has_its_share() -> None:
    settings = Settings()
    alone = GatewayState(settings, lambda: 0.0)
    with shared() as (_, tables):
        one_of_two = GatewayState(settings, lambda: 0.0, tables[0])

        def retries(state: GatewayState) -> int:
            return next(n for n in range(10_000) if not state.budget.withdraw(0.0))

        assert retries(one_of_two) == pytest.approx(retries(alone) / 2, abs=1)
