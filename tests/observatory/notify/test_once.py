"""No subscriber gets a state twice, whatever is killed, whenever.

Two notifiers work on one database in any order; either may die between any two steps, what they
send may be refused, taken or lost, and time passes or stands still.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from outlast.observatory import delivering
from outlast.observatory import delivery_tables as book
from outlast.observatory.delivering import Claim
from outlast.observatory.notifying import Refused, Result, Sent, Unknown
from outlast.observatory.subscribing import Channel, Digest
from tests.observatory.notify.people import AT, add, quick_sqlite, step, subscription

LIVES = (
    ("opened",),
    ("opened", "confirmed"),
    ("opened", "confirmed", "extended"),
    ("opened", "confirmed", "extended", "monitoring"),
    ("opened", "confirmed", "extended", "monitoring", "resolved"),
    ("opened", "confirmed", "extended", "monitoring", "resolved", "relapsed"),
)
REPLICAS = st.integers(0, 1)


class Once(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.opened = quick_sqlite(Path(self.folder.name))
        self.engine = self.opened.__enter__()
        self.now = AT
        self.under_way: tuple[list[Claim], list[Claim]] = ([], [])
        """What each replica has claimed and not yet sent."""
        self.arrived: dict[tuple[str, str], int] = {}
        """(subscriber, state) → how often the other side got it."""

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)
        self.folder.cleanup()

    @initialize()
    def subscribers(self) -> None:
        with self.engine.begin() as connection:
            add(connection, subscription("sub_mail"))
            add(connection, subscription("sub_hook", kind=Channel.WEBHOOK))
            add(connection, subscription("sub_digest", digest=Digest.HOURLY))

    @rule(life=st.sampled_from(LIVES), name=st.sampled_from(["inc_a", "inc_b"]))
    def something_happens(self, life: tuple[str, ...], name: str) -> None:
        """Also what has happened before: a watch that died after its transaction says it again."""
        with self.engine.begin() as connection:
            book.enqueue(connection, step(*life, name=name, at=self.now))

    @rule()
    def spread(self) -> None:
        with self.engine.begin() as connection:
            delivering.spread(connection, self.now)

    @rule(replica=REPLICAS, limit=st.integers(1, 4))
    def claim(self, replica: int, limit: int) -> None:
        with self.engine.begin() as connection:
            self.under_way[replica].extend(delivering.claim(connection, self.now, limit))

    @rule(replica=REPLICAS)
    def dies_before_sending(self, replica: int) -> None:
        self.under_way[replica].clear()

    @rule(replica=REPLICAS, arrives=st.booleans())
    def dies_after_sending(self, replica: int, arrives: bool) -> None:
        for claim in self.under_way[replica][:1]:
            self.note(claim, arrives)
        self.under_way[replica].clear()

    @rule(
        replica=REPLICAS,
        result=st.sampled_from(
            [Sent(), Unknown("silence"), Refused("busy"), Refused("no", again=False)]
        ),
        arrives=st.booleans(),
    )
    def sends(self, replica: int, result: Result, arrives: bool) -> None:
        if self.under_way[replica]:
            claim = self.under_way[replica].pop(0)
            self.note(claim, isinstance(result, Sent) or (isinstance(result, Unknown) and arrives))
            with self.engine.begin() as connection:
                delivering.settle(connection, claim, result, self.now, 0.5)

    @rule(seconds=st.sampled_from([1.0, 20.0, book.LEASE_S + 1, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    def note(self, claim: Claim, arrived: bool) -> None:
        for row in claim.rows if arrived else ():
            key = (claim.parcel.subscription.id, row.state)
            self.arrived[key] = self.arrived.get(key, 0) + 1

    @invariant()
    def nobody_has_heard_a_state_twice(self) -> None:
        assert all(count == 1 for count in self.arrived.values()), self.arrived

    @invariant()
    def every_row_has_an_ending_or_waits(self) -> None:
        with self.engine.begin() as connection:
            row = book.deliveries.c
            known = (book.WAITING, book.SENDING, book.SENT, book.REFUSED, book.GIVEN_UP)
            odd = row.ending.not_in((*known, book.UNKNOWN, book.SUPERSEDED, book.WITHDRAWN))
            assert connection.execute(select(func.count()).where(odd)).scalar_one() == 0


Once.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestOnce = Once.TestCase
