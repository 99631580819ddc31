"""No subscriber gets a state twice, whatever is killed, whenever.

Two notifiers work on one database in any order; either may die between any two steps, what they
send may be refused, taken or lost, and time passes or stands still. At last all is well again, and
whatever could still be sent is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from outlast.observatory import delivering
from outlast.observatory import delivery_tables as book
from outlast.observatory.delivering import Claim
from outlast.observatory.notifying import Refused, Result, Sent, Unknown
from outlast.observatory.subscribing import Channel, Digest
from tests.observatory.notify.people import AT, add, ends, quick_sqlite, step, subscription

LIFE = ("opened", "confirmed", "extended", "monitoring", "resolved", "relapsed")
FATES: dict[str, tuple[Result | None, bool]] = {
    # what is written down (None: the process died first), and whether the other side has it
    "taken": (Sent(), True),
    "taken, and then it died": (None, True),
    "died before it left": (None, False),
    "silence, but taken": (Unknown("silence"), True),
    "silence": (Unknown("silence"), False),
    "refused": (Refused("busy"), False),
    "refused for good": (Refused("no", again=False), False),
}
ENDINGS = {
    book.SENT,
    book.REFUSED,
    book.GIVEN_UP,
    book.UNKNOWN,
    book.SUPERSEDED,
    book.WITHDRAWN,
}


class World:
    """The database, two processes with what each has claimed, and what has arrived."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = AT
        self.under_way: tuple[list[Claim], list[Claim]] = ([], [])
        self.arrived: list[tuple[str, str]] = []
        with engine.begin() as connection:
            add(connection, subscription("sub_mail"))
            add(connection, subscription("sub_hook", kind=Channel.WEBHOOK))
            add(connection, subscription("sub_digest", digest=Digest.HOURLY))

    def news(self, length: int, name: str) -> None:
        """Also what has happened before: a watch that died after its transaction says it again."""
        with self.engine.begin() as connection:
            book.enqueue(connection, step(*LIFE[:length], name=name, at=self.now))
            delivering.spread(connection, self.now)

    def claim(self, replica: int, later_s: float) -> None:
        self.now += later_s
        with self.engine.begin() as connection:
            self.under_way[replica].extend(delivering.claim(connection, self.now, 8))

    def send(self, replica: int, fate: str) -> None:
        """What one process has claimed is sent, the first of it with this fate."""
        mine = self.under_way[replica]
        while mine:
            claim = mine.pop(0)
            result, arrived = FATES[fate]
            if arrived:
                self.arrived += [(claim.parcel.subscription.id, row.state) for row in claim.rows]
            if result is None:
                mine.clear()  # the process is gone, with all that it had claimed
                return
            with self.engine.begin() as connection:
                delivering.settle(connection, claim, result, self.now, 0.5)

    def recover(self) -> None:
        for lost in self.under_way:
            lost.clear()
        for _ in range(3):
            self.claim(0, 3600.0)
            self.send(0, "taken")


STEPS = st.one_of(
    st.tuples(
        st.just("news"), st.integers(1, len(LIFE)), st.sampled_from(["inc_a", "inc_a", "inc_b"])
    ),
    st.tuples(
        st.just("claim"), st.integers(0, 1), st.sampled_from([0.0, 20.0, book.LEASE_S + 1, 3600.0])
    ),
    st.tuples(st.just("send"), st.integers(0, 1), st.sampled_from(sorted(FATES))),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=3, max_size=25))
def test_nobody_hears_a_state_twice(steps: list[tuple[str, int, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder, quick_sqlite(Path(folder)) as engine:
        world = World(engine)
        world.news(1, "inc_a")
        for name, *given_ in steps:
            getattr(world, name)(*given_)
        world.recover()
        assert sorted(world.arrived) == sorted(set(world.arrived))
        with engine.begin() as connection:
            assert set(ends(connection).values()) <= ENDINGS  # nothing waits for ever


@pytest.mark.parametrize(
    ("first", "second", "arrives"),
    [
        ("taken", "taken", True),
        ("taken, and then it died", "taken", True),
        ("died before it left", "taken", False),
        ("silence, but taken", "taken", True),
        ("silence", "taken", False),
        ("refused for good", "taken", False),
        ("refused", "taken", True),
        ("refused", "taken, and then it died", True),
        ("refused", "died before it left", False),
        ("refused", "silence, but taken", True),
        ("refused", "silence", False),
        ("refused", "refused for good", False),
        ("refused", "refused", True),  # and then it is taken
    ],
)
def test_after_two_tries_it_has_arrived_once_or_never(
    first: str, second: str, arrives: bool
) -> None:
    """Only a definite refusal is followed by another try; what might have arrived never is."""
    with tempfile.TemporaryDirectory() as folder, quick_sqlite(Path(folder)) as engine:
        world = World(engine)
        world.news(1, "inc_a")
        world.claim(0, 1.0)
        world.send(0, first)
        world.claim(1, book.LEASE_S + 1)
        world.send(1, second)
        world.recover()
        hook = [state for name, state in world.arrived if name == "sub_hook"]
        mail = [state for name, state in world.arrived if name == "sub_mail"]
        # A process that dies takes with it what else it had claimed.
        assert sorted([len(hook), len(mail)]) in ([0, 0], [1, 1], [0, 1])
        assert bool(hook or mail) is arrives
