"""The notifier at work: from the news to the receiver, over refusals, deaths and wrong keys."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, update

from outlast.clock import ManualClock, SystemClock
from outlast.observatory import channels, delivering
from outlast.observatory import delivery_tables as book
from outlast.observatory import subscription_tables as people
from outlast.observatory.addresses import Rules
from outlast.observatory.channel_mail import MailChannel
from outlast.observatory.channel_mail import MailServer as Where
from outlast.observatory.channels import WebhookChannel
from outlast.observatory.notifier import Notifier
from outlast.observatory.notify_key import BadKeyFile, load_or_make
from outlast.observatory.notifying import Parcel, Result, Sent
from outlast.observatory.subscribing import Channel
from outlast.store.database import Database, DatabaseUnavailable
from tests.heard import heard
from tests.observatory.notify.people import AT, KEY, Needless, add, ends, step, subscription
from tests.observatory.notify.servers import Receiver, mail_server, receiving
from tests.store.children import child, line
from tests.store.databases import Gate, postgresql_url, sqlite_url

T = TypeVar("T")
HERE = Rules(private=True, plain=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


class House:
    """A notifier with its database, as one process has them."""

    def __init__(self, url: str, key: bytes = KEY, database: type[Database] = Database) -> None:
        self.clock = ManualClock(AT + 10)
        self.database = database(url, busy_timeout_s=2)
        hook = WebhookChannel("https://s.example.org", key, partial(channels.guarded_session, HERE))
        self.notifier = Notifier(
            self.database, self.clock, lambda: 0.5, {Channel.WEBHOOK: hook}, key
        )

    async def tell(self, *kinds: str) -> None:
        await self.database.write(partial(book.enqueue, items=step(*kinds)))

    async def work(self) -> None:
        """Until there is nothing more to do at this time."""
        while await self.notifier.step():
            await self.notifier.settled()

    async def ends(self) -> dict[tuple[str, str], str]:
        return await self.database.read(ends)

    async def close(self) -> None:
        await self.notifier.close()
        await self.database.close()


@pytest.fixture
async def house(url: str) -> AsyncIterator[House]:
    house = House(url)
    yield house
    await house.close()


async def subscribe(house: House, receiver: Receiver, name: str = "sub_1") -> None:
    one = subscription(name, kind=Channel.WEBHOOK, target=f"{receiver.url}/{name}")
    await house.database.write(partial(add, one=one))


async def test_news_come_to_a_webhook_once(house: House, receiver: Receiver) -> None:
    await subscribe(house, receiver)
    await house.tell("opened")
    await house.work()
    await house.tell("opened")
    await house.work()
    assert len(receiver.taken) == 1
    assert house.notifier.state.sent == 1
    assert house.notifier.state.last_error == ""


async def test_a_refusal_is_tried_again_with_the_same_name(
    house: House, receiver: Receiver
) -> None:
    await subscribe(house, receiver)
    receiver.says(503, "retry-after: 60")
    await house.tell("opened")
    await house.work()
    house.clock.advance(59)
    await house.work()
    assert len(receiver.taken) == 1
    receiver.says(204)
    house.clock.advance(2)
    await house.work()
    assert len({one.headers["webhook-id"] for one in receiver.taken}) == 1
    assert [one.headers["webhook-timestamp"] for one in receiver.taken] == [
        str(int(AT + 10)),
        str(int(AT + 71)),
    ]
    assert await house.ends() == {("sub_1", "inc_a/opened"): "sent"}


async def test_silence_is_unknown_and_the_next_state_comes_all_the_same(
    house: House, receiver: Receiver
) -> None:
    await subscribe(house, receiver)
    receiver.answer = None
    await house.tell("opened")
    await house.work()
    house.clock.advance(86_400)
    receiver.says(200)
    await house.tell("opened", "confirmed")
    await house.work()
    assert len(receiver.taken) == 2
    assert await house.ends() == {
        ("sub_1", "inc_a/opened"): "unknown",
        ("sub_1", "inc_a/confirmed"): "sent",
    }


async def test_more_subscribers_than_messages_at_once_all_hear(
    house: House, receiver: Receiver
) -> None:
    for number in range(30):
        await subscribe(house, receiver, f"sub_{number:02}")
    await house.tell("opened")
    await house.work()
    assert len({one.line for one in receiver.taken}) == len(receiver.taken) == 30


async def test_two_replicas_tell_each_subscriber_once(url: str, receiver: Receiver) -> None:
    houses = House(url), House(url)
    try:
        for number in range(20):
            await subscribe(houses[0], receiver, f"sub_{number:02}")
        await asyncio.gather(*(house.tell("opened") for house in houses))
        await asyncio.gather(*(house.work() for house in houses))
        assert len({one.line for one in receiver.taken}) == len(receiver.taken) == 20
    finally:
        for house in houses:
            await house.close()


async def test_a_replica_with_another_key_sends_nothing_and_says_why(
    url: str, receiver: Receiver
) -> None:
    first, other = House(url), House(url, bytes(32))
    try:
        await subscribe(first, receiver)
        await first.work()
        await first.tell("opened")
        await other.work()
        assert receiver.taken == []
        assert "notify-key" in other.notifier.state.last_error
        await first.work()
        assert len(receiver.taken) == 1
    finally:
        await first.close()
        await other.close()


async def test_a_replica_with_another_key_goes_on_saying_why(tmp_path: Path) -> None:
    again = asyncio.Event()

    class Watched(Database):
        """Says when the second look has begun; each one asks for the key."""

        looks = 0

        async def write(self, fn: Callable[[Connection], T]) -> T:
            self.looks += 1
            if self.looks > 1:
                again.set()
            other.notifier.wake()
            return await super().write(fn)

    first = House(sqlite_url(tmp_path))
    await first.work()
    await first.close()
    other = House(sqlite_url(tmp_path), bytes(32), Watched)
    task = asyncio.create_task(other.notifier.run())
    try:
        with heard() as said:
            async with asyncio.timeout(10):
                await again.wait()
                await other.notifier.close()
                await task
    finally:
        task.cancel()
        await other.database.close()
    assert [one["event"] for one in said] == ["notices_wait"]
    assert "notify-key" in other.notifier.state.last_error


async def test_a_way_that_is_not_set_up_keeps_the_news_until_it_is(house: House) -> None:
    await house.database.write(partial(add, one=subscription()))
    await house.tell("opened")
    await house.work()
    assert await house.ends() == {("sub_1", "inc_a/opened"): ""}


async def test_a_fault_of_ours_is_unknown_and_not_tried_again(house: House) -> None:
    class Broken(Needless):
        async def send(self, parcel: Parcel, now: float) -> Result:
            raise RuntimeError("after it was sent, perhaps")

    notifier = Notifier(house.database, house.clock, lambda: 0.5, {Channel.EMAIL: Broken()}, KEY)
    await house.database.write(partial(add, one=subscription()))
    await house.tell("opened")
    await notifier.step()
    await notifier.settled()
    house.clock.advance(86_400)
    assert not await notifier.step()
    assert await house.ends() == {("sub_1", "inc_a/opened"): "unknown"}
    await notifier.close()


async def test_it_works_by_itself_and_is_woken(tmp_path: Path, receiver: Receiver) -> None:
    house = House(sqlite_url(tmp_path))
    task = asyncio.create_task(house.notifier.run())
    try:
        await subscribe(house, receiver)
        await house.tell("opened")
        house.notifier.wake()
        async with asyncio.timeout(10):
            await receiver.came.wait()
            await house.notifier.close()
            await task
    finally:
        task.cancel()
        await house.database.close()
    assert len(receiver.taken) == 1
    assert house.notifier.state.sent == 1


async def test_a_row_that_cannot_be_read_is_said_and_the_next_news_come(
    tmp_path: Path, receiver: Receiver
) -> None:
    house = House(sqlite_url(tmp_path))
    await subscribe(house, receiver)
    await house.tell("opened")
    await house.database.write(lambda one: one.execute(update(book.news).values(body="{")))
    with heard() as said:
        await house.tell("opened", "confirmed")
        await house.work()
        await house.close()
    assert len(receiver.taken) == 1
    assert [one["event"] for one in said if one["log_level"] == "error"] == ["news_cannot_be_read"]


async def test_a_stumble_ends_nothing_and_is_said(tmp_path: Path, receiver: Receiver) -> None:
    stumbled = asyncio.Event()

    class Stumbling(Database):
        """Fails once, at the first spread, as no database does."""

        async def write(self, fn: Callable[[Connection], T]) -> T:
            if getattr(fn, "func", None) is delivering.spread and not stumbled.is_set():
                stumbled.set()
                raise RuntimeError("as it was not foreseen")
            return await super().write(fn)

    house = House(sqlite_url(tmp_path), database=Stumbling)
    await subscribe(house, receiver)
    await house.tell("opened")
    task = asyncio.create_task(house.notifier.run())
    try:
        with heard() as said:
            async with asyncio.timeout(10):
                await stumbled.wait()
                house.notifier.wake()
                await receiver.came.wait()
                await house.notifier.close()
                await task
    finally:
        task.cancel()
        await house.database.close()
    assert len(receiver.taken) == 1
    assert [one["reason"] for one in said if one["event"] == "notices_stumble"] == ["RuntimeError"]


async def test_an_end_that_cannot_be_written_down_holds_up_no_other(
    house: House, receiver: Receiver
) -> None:
    class Odd(Needless):
        """Answers one address with what is no result."""

        async def send(self, parcel: Parcel, now: float) -> Result:
            odd = parcel.subscription.id == "sub_odd"
            return None if odd else Sent()  # type: ignore[return-value]

    names = ["sub_a", "sub_b", "sub_odd"]
    for name in names:
        await house.database.write(partial(add, one=subscription(name)))
    notifier = Notifier(house.database, house.clock, lambda: 0.5, {Channel.EMAIL: Odd()}, KEY)
    await house.tell("opened")
    await notifier.step()
    await notifier.settled()
    await house.tell("opened", "confirmed")
    await notifier.step()
    await notifier.settled()
    found = await house.ends()
    for state in ("inc_a/opened", "inc_a/confirmed"):
        assert [found[name, state] for name in names[:2]] == ["sent", "sent"], state
    # It may have been sent, so it is not sent again: its lease ends it.
    assert found["sub_odd", "inc_a/opened"] == "sending"
    house.clock.advance(book.LEASE_S + 1)
    await notifier.step()
    await notifier.settled()
    assert (await house.ends())["sub_odd", "inc_a/opened"] == "unknown"
    await notifier.close()


async def test_what_was_claimed_while_it_was_stopped_is_sent_before_it_ends(
    tmp_path: Path, receiver: Receiver
) -> None:
    asked, go_on = asyncio.Event(), threading.Event()

    class Watched(Database):
        """Says when a claim has been asked for."""

        async def write(self, fn: Callable[[Connection], T]) -> T:
            if getattr(fn, "func", None) is delivering.claim:
                asked.set()
            return await super().write(fn)

    house = House(sqlite_url(tmp_path), database=Watched)
    await subscribe(house, receiver)
    await house.work()  # the first step compares keys and tidies up, which are writes too
    await house.tell("opened")
    await house.database.write(partial(delivering.spread, now=house.clock.at))
    asked.clear()
    holding = asyncio.create_task(house.database.write(lambda _: go_on.wait(10)))
    task = asyncio.create_task(house.notifier.step())
    await asked.wait()  # behind the one that holds the writing thread
    task.cancel()
    go_on.set()
    await holding
    await house.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(receiver.taken) == 1


@pytest.mark.postgresql
async def test_a_database_that_dies_while_a_message_is_out_hears_of_its_end_later(
    receiver: Receiver,
) -> None:
    gate = Gate()
    gate.open()
    with postgresql_url(gate.port) as url:
        house = House(url)
        try:
            await subscribe(house, receiver)
            await house.tell("opened")
            cut = asyncio.Event()

            class Cutting(Needless):
                async def send(self, parcel: Parcel, now: float) -> Result:
                    gate.shut()
                    cut.set()
                    return Sent()

            notifier = Notifier(
                house.database, SystemClock(), lambda: 0.5, {Channel.WEBHOOK: Cutting()}, KEY
            )
            await notifier.step()
            await cut.wait()
            with pytest.raises(DatabaseUnavailable):  # after the notifier's own write failed
                await house.database.write(ends)
            gate.open()
            await notifier.settled()
            assert await house.ends() == {("sub_1", "inc_a/opened"): "sent"}
            await notifier.close()
        finally:
            await house.close()
            gate.shut()


DYING = """
import asyncio, os, sys
from functools import partial
from outlast.clock import SystemClock
from outlast.observatory.notifier import Notifier
from outlast.observatory.subscribing import Channel
from outlast.store.database import Database

class Stuck:
    async def send(self, parcel, now):
        print("claimed", parcel.id, flush=True)
        await asyncio.Event().wait()
    def load(self): ...
    async def close(self): ...

async def main():
    notifier = Notifier(Database(sys.argv[1]), SystemClock(), lambda: 0.5,
                        {Channel.WEBHOOK: Stuck()}, bytes(range(32)))
    await notifier.run()

asyncio.run(main())
"""


async def test_killed_between_claim_and_answer_it_is_not_sent_again(
    url: str, receiver: Receiver
) -> None:
    """kill -9 while a message is on its way: after the restart nobody sends it once more."""
    house = House(url)
    try:
        await subscribe(house, receiver)
        await house.tell("opened")
        with child(DYING, url) as process:
            assert (await asyncio.to_thread(line, process)).startswith("claimed dlv_")
            process.kill()
        house.clock.at = SystemClock().wall() + book.LEASE_S + 10
        await house.work()
        assert receiver.taken == []
        assert await house.ends() == {("sub_1", "inc_a/opened"): "unknown"}
        await house.tell("opened", "resolved")
        await house.work()
        assert len(receiver.taken) == 1
    finally:
        await house.close()


async def test_a_webhook_is_tested_until_it_says_yes_and_hears_nothing_before(
    house: House, receiver: Receiver
) -> None:
    one = subscription(kind=Channel.WEBHOOK, target=receiver.url, confirmed_at=None)
    await house.database.write(partial(people.ask, subscription=one, now=AT))
    receiver.says(401)
    await house.work()
    await house.tell("opened")
    await house.work()
    assert len(receiver.taken) == 1
    receiver.says(200)
    house.clock.advance(60)
    await house.work()
    found = await house.database.read(partial(people.find, subscription_id="sub_1"))
    assert found is not None
    assert found.confirmed_at == house.clock.at
    assert len(receiver.taken) == 2  # what was before it counted is not told


async def test_a_mail_goes_the_whole_way(house: House) -> None:
    async with mail_server() as server:
        where = Where(host="127.0.0.1", port=server.port, security="none", sender="n@example.org")
        mail = MailChannel(where, "https://s.example.org", KEY)
        notifier = Notifier(house.database, house.clock, lambda: 0.5, {Channel.EMAIL: mail}, KEY)
        await house.database.write(partial(add, one=subscription()))
        await house.tell("opened")
        await notifier.step()
        await notifier.settled()
        assert len(server.mails) == 1
        await notifier.close()


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key = load_or_make(tmp_path / "data")
    assert load_or_make(tmp_path / "data") == key
    file = tmp_path / "data" / "notify-key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in (tmp_path / "data").iterdir()] == ["notify-key"]


@pytest.mark.parametrize("content", [b"", b"abc", b"zz" * 32, b"ab" * 31, b"\xff" * 64])
def test_a_key_file_that_is_none_is_not_replaced_in_silence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notify-key").write_bytes(content)
    with pytest.raises(BadKeyFile, match="backup"):
        load_or_make(tmp_path)
    assert (tmp_path / "notify-key").read_bytes() == content
