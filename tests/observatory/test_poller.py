"""Feeds read by plan, against a vendor's page that changes, refuses and breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from outlast.clock import ManualClock, SystemClock
from outlast.observatory.addresses import Rules
from outlast.observatory.feeds.catalogue import Feed
from outlast.observatory.feeds.changes import Known, compare
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.fetched import Fetched
from outlast.observatory.fetching import Fetcher
from outlast.observatory.poller import News, Poller, Unchanged, Unreachable
from tests.observatory.feeds.bodies import history, incident, summary, update
from tests.observatory.pages import StatusPage, raw_server, status_page

FETCH = Fetcher(Rules(private=True, plain=True)).fetch
START = 1772452800.0


class Watch:
    """A poller on a manual clock, and the news it told."""

    def __init__(self, *feeds: Feed, online: Callable[[], bool] = lambda: True) -> None:
        self.clock = ManualClock(START)
        self.news: list[News] = []
        self.poller = Poller(feeds, FETCH, self.take, self.clock, lambda: 0.0, online)

    async def take(self, news: News) -> None:
        self.news.append(news)

    async def rounds(self, count: int) -> list[str]:
        """Let so many steps pass, each when it is due; return the kinds of news."""
        told = len(self.news)
        for _ in range(count):
            self.clock.advance(await self.poller.step())
        return [type(one).__name__ for one in self.news[told:]]


def feed(page: StatusPage, *others: StatusPage, name: str = "anthropic") -> Feed:
    return Feed(name, "anthropic", (page.url, *(other.url for other in others)))


async def test_a_page_is_read_and_then_only_asked_whether_it_changed() -> None:
    async with status_page() as page:
        page.body = summary([incident()])
        watch = Watch(feed(page))
        assert await watch.rounds(3) == ["FeedPage", "Unchanged", "Unchanged"]
        assert [one.headers.get("If-None-Match") is not None for one in page.asked] == [
            False, True, True,
        ]  # fmt: skip
        page.body = summary([])
        assert await watch.rounds(1) == ["FeedPage"]
        assert watch.clock.at == START + 4 * 900
        last = watch.news[-1]
        assert isinstance(last, FeedPage)
        assert last.fetched_at == START + 3 * 900


async def test_a_text_that_the_vendor_rewrites_is_seen_with_both_versions() -> None:
    async with status_page() as page:
        watch = Watch(feed(page))
        for text in ("The API fails.", "The API works as intended."):
            page.body = history(
                [incident(updates=[update("investigating", text, "2026-03-02T12:00:00Z")])]
            )
            await watch.rounds(1)
    known: dict[str, Known] = {}
    kinds = []
    for news in watch.news:
        assert isinstance(news, FeedPage)
        compared = compare(known, news)
        known = compared.known
        kinds += [(one.kind, one.at) for one in compared.changes]
    assert kinds == [("new", START), ("edited", START + 900)]


async def test_a_page_that_refuses_programs_is_read_at_its_other_address() -> None:
    async with status_page() as refusing, status_page() as serving:
        refusing.statuses = [405] * 9
        serving.body = summary([])
        watch = Watch(feed(refusing, serving))
        assert await watch.rounds(4) == ["FeedPage", "Unchanged", "Unchanged"]
        assert len(refusing.asked) == 1


async def test_a_feed_that_cannot_be_read_is_said_to_be_unreachable_and_never_fine() -> None:
    async with status_page() as page:
        page.body = summary([])
        watch = Watch(feed(page))
        await watch.rounds(1)
        page.statuses = [503] * 2
        assert await watch.rounds(1) == []
        assert await watch.rounds(1) == ["Unreachable"]
        (plan,) = watch.poller.plans
        assert not plan.current(watch.clock.at)
        assert await watch.rounds(1) == ["Unchanged"]
    lost = watch.news[1]
    assert isinstance(lost, Unreachable)
    assert (lost.reason, lost.since_at, lost.at) == ("HTTP 503", START + 900, START + 1800)
    assert lost.again_at == lost.at + 1800


async def test_garbage_and_broken_tls_are_unreachable_too() -> None:
    async with status_page() as page, raw_server(b"\x15\x03\x03\x00\x02\x02\x28") as broken:
        page.body = b"<!DOCTYPE html><title>Verify you are human</title>"
        page.validators = False
        watch = Watch(feed(page), Feed("broken", "openai", (broken.replace("http:", "https:"),)))
        assert await watch.rounds(2) == ["Unreachable", "Unreachable"]
    reasons = {one.feed: one.reason for one in watch.news if isinstance(one, Unreachable)}
    assert "web page" in reasons["anthropic"]
    assert reasons["broken"]


async def test_garbage_is_asked_for_again_in_full() -> None:
    async with status_page() as page:
        page.body = b"garbage"
        watch = Watch(feed(page))
        await watch.rounds(2)
        assert "If-None-Match" not in page.asked[1].headers


async def test_a_limit_is_waited_for() -> None:
    async with status_page() as page:
        page.statuses, page.headers = [429], {"Retry-After": "3000"}
        watch = Watch(feed(page))
        assert await watch.poller.step() == 3000


async def test_in_a_hurry_a_provider_is_read_sooner_and_another_is_not() -> None:
    async with status_page() as page:
        page.body = summary([])
        other = Feed("openai", "openai", (page.url,))
        watch = Watch(feed(page), other)
        await watch.rounds(1)
        watch.clock.at = START + 10
        watch.poller.hurry("anthropic")
        assert await watch.poller.step() == 80
        watch.poller.relax("anthropic")
        watch.clock.at = START + 90
        assert await watch.poller.step() == 810
        assert [type(one).__name__ for one in watch.news[2:]] == ["Unchanged"]


async def test_while_we_are_offline_nobody_is_asked_and_nobody_is_called_unreachable() -> None:
    async with raw_server(b"") as url:
        pass
    offline = False
    watch = Watch(Feed("a", "a", (url,)), online=lambda: not offline)
    offline = True
    assert await watch.poller.step() == 15
    assert watch.poller.plans[0].tried_at is None
    offline = False
    await watch.rounds(2)
    assert [type(one).__name__ for one in watch.news] == ["Unreachable"]


async def test_a_document_that_we_stumble_over_is_unreachable_and_the_others_are_read() -> None:
    async with status_page() as page:
        page.body = summary([])
        watch = Watch(feed(page, name="fine"), Feed("odd", "openai", ("https://odd.example/",)))

        async def stumble(url: str, **limits: Any) -> Fetched:
            if "odd" in url:
                raise RuntimeError("nobody thought of this")
            return await FETCH(url, **limits)

        watch.poller = Poller(
            [plan.feed for plan in watch.poller.plans],
            stumble,
            watch.take,
            watch.clock,
            lambda: 0.0,
        )
        assert sorted(await watch.rounds(2)) == ["FeedPage", "Unchanged", "Unreachable"]
    lost = [one for one in watch.news if isinstance(one, Unreachable)]
    assert [(one.feed, one.reason) for one in lost] == [("odd", "a fault of ours: RuntimeError")]


async def test_a_sink_that_fails_ends_nothing() -> None:
    async with status_page() as page:
        page.body = summary([])
        told = 0

        async def fail(news: News) -> None:
            nonlocal told
            told += 1
            raise RuntimeError("the store is gone")

        poller = Poller([feed(page)], FETCH, fail, ManualClock(START), lambda: 0.0)
        await poller.step()
        assert told == 1
        assert poller.plans[0].read_at == START


async def test_it_works_by_itself_wakes_in_a_hurry_and_ends_when_cancelled() -> None:
    async with status_page() as page:
        page.body = summary([])
        heard: asyncio.Queue[News] = asyncio.Queue()
        quick = Feed("anthropic", "anthropic", (page.url,), hurried_s=0.0)
        poller = Poller([quick], FETCH, heard.put, SystemClock(), lambda: 0.0)
        task = asyncio.create_task(poller.run())
        assert isinstance(await heard.get(), FeedPage)
        poller.hurry("anthropic")
        assert isinstance(await heard.get(), Unchanged)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_without_feeds_there_is_nothing_to_do() -> None:
    assert await Watch().poller.step() == 3600
