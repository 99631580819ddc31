"""Subscriptions on both databases: how many may wait, what cannot be read, new wishes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, update

from outlast.nouns import Impact
from outlast.observatory import delivery_tables as book
from outlast.observatory import subscription_tables as people
from outlast.observatory.subscribing import Wanted
from tests.observatory.notify.books import NOW, House
from tests.observatory.notify.people import AT, something_due, step, subscription
from tests.store.databases import postgresql_url, sqlite_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with postgresql_url() as found:
            yield found


@pytest.fixture
async def house(url: str) -> AsyncIterator[House]:
    house = House(url)
    yield house
    await house.database.close()


async def test_an_address_is_asked_three_times_a_day_at_most(house: House) -> None:
    for number in range(3):
        one = subscription(f"sub_{number}", target="ann@example.org", confirmed_at=None)
        await house.do(partial(people.ask, subscription=one, now=AT))
    fourth = subscription("sub_4", target="ann@example.org", confirmed_at=None)
    with pytest.raises(people.TooManySubscriptions) as caught:
        await house.do(partial(people.ask, subscription=fourth, now=AT))
    assert caught.value.full is people.Full.ADDRESS


async def test_all_pending_together_have_a_limit_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "PENDING_MAX", 1)
    for number in range(2):
        asking = partial(
            people.ask, subscription=subscription(f"sub_{number}", confirmed_at=None), now=AT
        )
        if number == 0:
            await house.do(asking)
        else:
            with pytest.raises(people.TooManySubscriptions) as caught:
                await house.do(asking)
            assert caught.value.full is people.Full.ALL


async def test_one_network_cannot_take_the_places_of_all_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "PENDING_NETWORK_MAX", 2)
    monkeypatch.setattr(people, "PENDING_AROUND_MAX", 3)
    number = 0

    async def ask(asked_from: str) -> str:
        nonlocal number
        number += 1
        one = subscription(f"sub_{number}", confirmed_at=None)
        one = msgspec.structs.replace(one, asked_from=asked_from)
        try:
            await house.do(partial(people.ask, subscription=one, now=AT))
        except people.TooManySubscriptions as error:
            return error.full
        return ""

    assert [await ask("a_.one") for _ in range(3)] == ["", "", "network"]
    assert [await ask("a_.two") for _ in range(2)] == ["", "network"]  # of all around, three
    assert await ask("ab.one") == ""  # the sign `_` stands for itself
    assert await ask("") == ""  # an operator
    # Who confirms makes room: only those that wait for it are counted.
    done = await house.do(partial(people.confirm, subscription_id="sub_1", now=AT))
    assert done is not None
    assert done.asked_from == ""
    assert await ask("a_.one") == ""


async def test_news_that_cannot_be_read_hold_up_no_others(house: House) -> None:
    await house.people(subscription())
    await house.do(partial(book.enqueue, items=step("opened")))
    await house.do(lambda one: one.execute(update(book.news).values(body='{"state": 1}')))
    await house.tell(step("opened", name="inc_b"))
    assert await house.send() == ["inc_b/opened"]
    assert not await house.do(partial(something_due, now=NOW))


async def test_what_can_no_longer_be_read_when_its_hour_comes_is_withdrawn(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    await house.tell(step("opened", name="inc_b"))

    def spoil(connection: Connection) -> None:
        column = book.news.c.state
        connection.execute(update(book.news).where(column == "inc_a/opened").values(body="{"))

    await house.do(spoil)
    assert await house.send() == ["inc_b/opened"]
    assert (await house.ends())["sub_1", "inc_a/opened"] == book.WITHDRAWN


async def test_a_subscription_that_cannot_be_read_holds_up_no_others(house: House) -> None:
    await house.people(subscription("sub_a"), subscription("sub_b"), subscription("sub_c"))

    def spoil(connection: Connection) -> None:
        column = people.subscriptions.c.id
        values = {"sub_b": {"kind": "pigeon"}, "sub_c": {"body": "["}}
        for name, value in values.items():
            connection.execute(update(people.subscriptions).where(column == name).values(**value))

    await house.do(spoil)
    await house.tell(step("opened"))
    assert await house.send() == ["inc_a/opened"]
    assert await house.ends() == {("sub_a", "inc_a/opened"): "sent"}


async def test_a_subscriber_hears_by_its_new_wishes_from_now_on(house: House) -> None:
    await house.people(subscription())
    changed = await house.do(
        partial(people.change, subscription_id="sub_1", wanted=Wanted(impact=Impact.CRITICAL))
    )
    assert changed is not None
    assert changed.wanted.impact is Impact.CRITICAL
    await house.tell(step("opened"))
    assert await house.send() == []
    gone = partial(people.change, subscription_id="sub_none", wanted=Wanted())
    assert await house.do(gone) is None


async def test_what_nobody_confirms_is_forgotten_with_its_deliveries(house: House) -> None:
    one = subscription("sub_a", confirmed_at=None)
    await house.do(partial(people.ask, subscription=one, now=AT))
    assert await house.do(partial(people.forget_unconfirmed, before=AT - 200)) == 0
    assert await house.do(partial(people.forget_unconfirmed, before=AT)) == 1
    assert await house.ends() == {}
