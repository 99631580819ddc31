"""The book of deliveries on both databases: who gets a row, who may send it, how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from outlast.nouns import Impact
from outlast.observatory import delivering
from outlast.observatory import delivery_tables as book
from outlast.observatory import subscription_tables as people
from outlast.observatory.notifying import Refused, Sent, Unknown, news
from outlast.observatory.subscribing import Channel, Digest, Wanted
from tests.observatory.notify.books import House
from tests.observatory.notify.people import (
    API,
    AT,
    WEB,
    add,
    incident,
    something_due,
    step,
    subscription,
)
from tests.store.databases import postgresql_url, sqlite_url

NOW = AT + 1
T = TypeVar("T")


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


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[tuple[House, House]]:
    both = House(url), House(url)
    yield both
    for one in both:
        await one.database.close()


async def test_news_reach_each_who_wants_them_once(house: House) -> None:
    await house.people(
        subscription("sub_a"),
        subscription("sub_b", wanted=Wanted(surfaces=("web",))),
        subscription("sub_c", confirmed_at=None),
        subscription("sub_d", confirmed_at=AT + 50),
    )
    await house.tell(step("opened"))
    await house.tell(step("opened"))  # told again, as by a second replica's watch
    claims = await house.claim()
    assert [one.parcel.subscription.id for one in claims] == ["sub_a"]
    assert claims[0].parcel.news[0].incident.title["en"].startswith("Anthropic")
    assert await house.claim() == []
    assert await house.settle(claims[0], Sent()) == "sent"
    assert await house.send() == []
    assert await house.ends() == {("sub_a", "inc_a/opened"): "sent"}


async def test_news_and_incident_are_written_together_or_not_at_all(house: House) -> None:
    def fails(connection: Connection) -> None:
        book.enqueue(connection, step("opened"))
        raise RuntimeError("the incident could not be stored")

    await house.people(subscription())
    with pytest.raises(RuntimeError):
        await house.do(fails)
    assert not await house.do(partial(something_due, now=NOW))
    assert await house.do(partial(book.enqueue, items=step("opened"))) == 1
    assert await house.do(partial(book.enqueue, items=step("opened"))) == 0
    assert await house.do(partial(something_due, now=NOW))


async def test_more_people_than_one_transaction_takes_all_hear(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "SPREAD_EACH", 7)
    everyone = [subscription(f"sub_{number:03}") for number in range(30)]

    def all_in(connection: Connection) -> None:
        for one in everyone:
            add(connection, one)

    await house.do(all_in)
    await house.tell(step("opened"))
    assert len(await house.send()) == 30


async def test_a_later_state_supersedes_what_waits_and_says_what_was_missed(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    assert await house.send() == ["inc_a/opened"]
    await house.tell(step("opened", "confirmed"))
    await house.tell(step("opened", "confirmed", "resolved"))
    (claim,) = await house.claim()
    (item,) = claim.parcel.news
    assert item.kind == "resolved"
    assert [one.kind for one in item.since(claim.parcel.told["inc_a"])] == ["confirmed", "resolved"]
    assert (await house.ends())["sub_1", "inc_a/confirmed"] == "superseded"


async def test_two_incidents_do_not_supersede_each_other(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    await house.tell(step("opened", name="inc_b"))
    assert await house.send() == ["inc_a/opened", "inc_b/opened"]


async def test_a_later_state_waits_while_an_earlier_one_is_on_its_way(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    (first,) = await house.claim()
    await house.tell(step("opened", "confirmed"))
    assert await house.claim() == []
    await house.settle(first, Refused("busy"))
    assert await house.send(now=NOW) == ["inc_a/confirmed"]
    assert await house.send(now=NOW + 3600) == []
    assert (await house.ends())["sub_1", "inc_a/opened"] == "superseded"


async def test_an_end_is_told_to_those_who_know_of_the_beginning(house: House) -> None:
    sure = Wanted(states=("confirmed", "resolved"))
    await house.people(
        subscription("sub_a"),
        subscription("sub_b", wanted=sure),
        subscription("sub_c", wanted=Wanted(states=("resolved",))),
    )
    await house.tell(step("opened"))
    await house.tell(step("opened", "resolved"))
    claims = await house.claim()
    assert sorted(one.parcel.subscription.id for one in claims) == ["sub_a", "sub_c"]


async def test_a_retraction_reaches_those_who_were_told_and_silences_what_waits(
    house: House,
) -> None:
    await house.people(subscription("sub_a"), subscription("sub_b", digest=Digest.DAILY))
    await house.tell(step("opened"))
    assert await house.send() == ["inc_a/opened"]  # sub_a; sub_b's digest waits
    await house.tell(step("opened", "retracted", retracted=True))
    claims = await house.claim(NOW + 86_400)
    assert [(c.parcel.subscription.id, c.parcel.news[0].kind) for c in claims] == [
        ("sub_a", "retracted")
    ]
    assert (await house.ends())["sub_b", "inc_a/opened"] == "withdrawn"


async def test_what_was_merged_into_another_incident_is_not_told_any_more(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    await house.tell(step("opened", "merged", merged_into="inc_b"))
    assert await house.send() == []
    assert await house.ends() == {("sub_1", "inc_a/opened"): "withdrawn"}


async def test_who_waits_for_major_hears_when_it_becomes_that_and_then_its_end(
    house: House,
) -> None:
    await house.people(subscription(wanted=Wanted(impact=Impact.MAJOR)))
    await house.tell(step("opened"))
    assert await house.send() == []
    old, new = incident("opened"), incident("opened", "changed", impact=Impact.MAJOR)
    await house.tell(news(old, new, {}, AT))
    assert await house.send() == ["inc_a/worse.major"]
    await house.tell(step("opened", "changed", "resolved", impact=Impact.MAJOR))
    assert await house.send() == ["inc_a/resolved"]


async def test_an_extension_is_news_for_who_watches_what_it_reaches(house: House) -> None:
    await house.people(
        subscription("sub_a", wanted=Wanted(components=(API,))),
        subscription("sub_b", wanted=Wanted(components=(WEB,))),
    )
    started = {WEB: "major_outage"}
    await house.tell(step("opened", components=started))
    assert [c.parcel.subscription.id for c in await house.claim()] == ["sub_b"]
    await house.tell(step("opened", "extended", components={**started, API: "major_outage"}))
    assert [c.parcel.subscription.id for c in await house.claim()] == ["sub_a"]


async def test_a_digest_gathers_until_its_hour_and_comes_as_one_message(house: House) -> None:
    await house.people(subscription(digest=Digest.HOURLY))
    await house.tell(step("opened"))
    await house.tell(step("opened", "confirmed"))
    await house.tell(step("opened", name="inc_b", at=AT + 1))
    assert await house.claim(AT + 3599) == []
    (claim,) = await house.claim(AT + 3600, limit=1)
    assert [one.state for one in claim.parcel.news] == ["inc_a/confirmed", "inc_b/opened"]
    await house.settle(claim, Sent(), AT + 3600)
    assert await house.claim(AT + 7200) == []


async def test_a_daily_digest_comes_once_at_the_subscriber_s_own_hour(house: House) -> None:
    """The news are of 2 March, 12:00 UTC."""
    evening = Wanted(digest=Digest.DAILY, hour=18)
    morning = Wanted(digest=Digest.DAILY, hour=7, zone="Europe/Paris")
    await house.people(
        subscription("sub_evening", wanted=evening), subscription("sub_morning", wanted=morning)
    )
    await house.tell(step("opened"))
    await house.tell(step("opened", name="inc_b"))
    assert await house.send(now=AT + 6 * 3600 - 1) == []
    (claim,) = await house.claim(AT + 6 * 3600)
    assert (claim.parcel.subscription.id, len(claim.parcel.news)) == ("sub_evening", 2)
    await house.settle(claim, Sent(), AT + 6 * 3600)
    (other,) = await house.claim(AT + 18 * 3600)
    assert (other.parcel.subscription.id, len(other.parcel.news)) == ("sub_morning", 2)
    await house.settle(other, Sent(), AT + 18 * 3600)
    assert await house.send(now=AT + 48 * 3600) == []


async def test_a_zone_that_the_system_no_longer_knows_is_utc(house: House) -> None:
    wanted = Wanted(digest=Digest.DAILY, hour=18, zone="Mars/Base")
    await house.people(subscription(wanted=wanted))
    await house.tell(step("opened"))
    assert await house.claim(AT + 6 * 3600 - 1) == []
    assert len(await house.claim(AT + 6 * 3600)) == 1


async def test_a_definite_refusal_is_tried_again_and_given_up_after_a_day(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    now, tries = NOW, 0
    while (await house.ends())["sub_1", "inc_a/opened"] != "given_up":
        tries += len(await house.send(Refused("busy"), now))
        now += 1800
        assert now < NOW + 3 * 86_400
    assert 15 <= tries <= 20


async def test_a_refusal_for_good_is_not_tried_again_and_gone_ends_the_subscription(
    house: House,
) -> None:
    await house.people(subscription("sub_a"), subscription("sub_b"))
    await house.tell(step("opened"))
    first, second = await house.claim()
    assert await house.settle(first, Refused("no such mailbox", again=False)) == "refused"
    await house.settle(second, Refused("gone", again=False, gone=True))
    assert await house.send(now=NOW + 86_400) == []
    assert await house.do(partial(people.find, subscription_id="sub_b")) is None
    assert await house.ends() == {("sub_a", "inc_a/opened"): "refused"}


async def test_who_cannot_be_reached_five_times_in_a_row_is_forgotten(house: House) -> None:
    await house.people(subscription())
    for number in range(5):
        assert await house.do(partial(people.find, subscription_id="sub_1")) is not None
        await house.tell(step("opened", name=f"inc_{number}"))
        await house.send(Refused("no such mailbox", again=False), NOW + number)
    assert await house.do(partial(people.find, subscription_id="sub_1")) is None


async def test_no_answer_is_never_tried_again(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    assert await house.send(Unknown("no answer")) == ["inc_a/opened"]
    assert await house.send(now=NOW + 86_400) == []
    assert (await house.ends())["sub_1", "inc_a/opened"] == "unknown"


async def test_a_claim_whose_process_died_is_unknown_and_never_sent_again(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    (lost,) = await house.claim()
    assert await house.send(now=NOW + book.LEASE_S - 1) == []
    assert await house.send(now=NOW + book.LEASE_S + 1) == []
    assert (await house.ends())["sub_1", "inc_a/opened"] == "unknown"
    await house.settle(lost, Refused("late"), NOW + book.LEASE_S + 2)
    assert await house.send(now=NOW + 86_400) == []  # a late refusal does not bring it back
    await house.settle(lost, Sent(), NOW + book.LEASE_S + 3)
    assert (await house.ends())["sub_1", "inc_a/opened"] == "sent"  # but a late success is true


@pytest.mark.parametrize("people_count", [40])
async def test_two_replicas_at_once_share_the_work_and_nothing_is_sent_twice(
    replicas: tuple[House, House], people_count: int
) -> None:
    one, other = replicas
    await one.people(*(subscription(f"sub_{number:02}") for number in range(people_count)))
    await asyncio.gather(
        *(house.do(partial(book.enqueue, items=step("opened"))) for house in replicas)
    )
    sent: list[tuple[str, str]] = []

    async def work(house: House) -> int:
        mine = 0
        while await house.do(partial(something_due, now=NOW)):
            await house.do(partial(delivering.spread, now=NOW))
            for claim in await house.claim(limit=3):
                sent.extend((claim.parcel.subscription.id, row.state) for row in claim.rows)
                mine += 1
                await house.settle(claim, Sent())
        return mine

    shares = await asyncio.gather(work(one), work(other))
    assert len(sent) == len(set(sent)) == people_count
    assert sum(shares) == people_count
    assert set((await one.ends()).values()) == {"sent"}
    assert other is not one


async def test_a_webhook_counts_when_it_took_its_test_and_an_address_only_by_its_owner(
    house: House,
) -> None:
    for one in (
        subscription("sub_w", kind=Channel.WEBHOOK, confirmed_at=None),
        subscription("sub_m", confirmed_at=None),
    ):
        await house.do(partial(people.ask, subscription=one, now=AT))
    assert await house.send() == ["confirm", "confirm"]
    webhook = await house.do(partial(people.find, subscription_id="sub_w"))
    mail = await house.do(partial(people.find, subscription_id="sub_m"))
    assert webhook is not None
    assert webhook.confirmed_at == NOW
    assert mail is not None
    assert mail.confirmed_at is None


async def test_a_second_subscription_of_an_address_replaces_the_first_and_keeps_its_book(
    house: House,
) -> None:
    await house.people(subscription("sub_a", target="ann@example.org"))
    await house.tell(step("opened"))
    await house.send()
    wanted = Wanted(lang="fr", digest=Digest.DAILY)
    again = subscription("sub_b", target="ann@example.org", confirmed_at=None, wanted=wanted)
    await house.do(partial(people.ask, subscription=again, now=AT))
    found = await house.do(partial(people.confirm, subscription_id="sub_b", now=NOW))
    assert found is not None
    assert (found.id, found.wanted) == ("sub_a", wanted)
    assert await house.do(partial(people.confirm, subscription_id="sub_b", now=NOW)) is None
    await house.tell(step("opened"))
    assert await house.send(now=NOW + 86_400) == []  # it has been told of that


async def test_a_stranger_cannot_take_over_a_webhook_that_says_yes_to_everything(
    house: House,
) -> None:
    there = "https://example.org/hook"
    await house.people(subscription("sub_a", kind=Channel.WEBHOOK, target=there))
    thief = subscription("sub_b", kind=Channel.WEBHOOK, target=there, confirmed_at=None)
    await house.do(partial(people.ask, subscription=thief, now=AT))
    await house.send()
    assert await house.do(partial(people.find, subscription_id="sub_b")) is None
    kept = await house.do(partial(people.find, subscription_id="sub_a"))
    assert kept is not None


async def test_who_leaves_is_forgotten_even_while_a_message_is_on_its_way(house: House) -> None:
    await house.people(subscription())
    await house.tell(step("opened"))
    (claim,) = await house.claim()
    assert await house.do(partial(people.remove, subscription_id="sub_1"))
    await house.settle(claim, Refused("busy"))
    assert await house.ends() == {}
    assert not await house.do(partial(people.remove, subscription_id="sub_1"))


async def test_old_news_are_pruned_and_what_still_waits_is_not(house: House) -> None:
    await house.people(subscription("sub_a"), subscription("sub_b", digest=Digest.DAILY))
    await house.tell(step("opened"))
    await house.send()
    await house.do(partial(book.prune, before=AT - 1))
    assert len(await house.ends()) == 2
    await house.do(partial(book.prune, before=NOW + 1))
    assert list(await house.ends()) == [("sub_b", "inc_a/opened")]
    assert await house.send(now=NOW + 86_400) == []  # its news are gone: nothing to say
