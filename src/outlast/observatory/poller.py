"""Keeps vendors' status feeds read: does what feeds/schedule.py plans. One task.

What it says: a page that was read, that a page is unchanged, or that a feed is unreachable. The
last is news of its own: silence of a vendor's page is never taken for "operational".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import msgspec
import structlog

from outlast.clock import Clock
from outlast.observatory.feeds import detect
from outlast.observatory.feeds.catalogue import Feed
from outlast.observatory.feeds.reading import BODY_LIMIT_BYTES, FeedPage, FeedUnreadable
from outlast.observatory.feeds.schedule import (
    Answer,
    Plan,
    Validators,
    answered,
    begin,
    due,
    hurry,
    relax,
)
from outlast.observatory.fetched import Fetched, FetchFailed

TIMEOUT_S = 20.0
AT_ONCE = 4
"""Fetches under way at a time."""
OFFLINE_LOOK_S = 15.0
IDLE_S = 3600.0

_log = structlog.get_logger(__name__)


class Unchanged(msgspec.Struct, frozen=True):
    """The page still says what it said when it was last read."""

    provider: str
    feed: str
    at: float


class Unreachable(msgspec.Struct, frozen=True):
    """No address of a feed could be read, more than once: what the vendor says is not known."""

    provider: str
    feed: str
    at: float
    since_at: float
    reason: str
    """What happened last, in a few words: `HTTP 405`."""
    again_at: float
    """When it is tried next, at the earliest."""


News = FeedPage | Unchanged | Unreachable
Sink = Callable[[News], Awaitable[None]]


class Fetch(Protocol):
    """`fetching.Fetcher.fetch`. Raises FetchFailed."""

    async def __call__(
        self, url: str, *, etag: str, last_modified: str, limit_bytes: int, timeout_s: float
    ) -> Fetched: ...


class Poller:
    """Reads feeds by their plans. Times are the clock's `wall`.

    `sink` hears the news in the order it came, one piece at a time. `roll` gives chance in [0, 1).
    `online` tells whether our own network works: while it does not, nothing is fetched and nobody
    is called unreachable.
    """

    def __init__(
        self,
        feeds: Iterable[Feed],
        fetch: Fetch,
        sink: Sink,
        clock: Clock,
        roll: Callable[[], float],
        online: Callable[[], bool] = lambda: True,
    ) -> None:
        self._fetch = fetch
        self._sink = sink
        self._clock = clock
        self._roll = roll
        self._online = online
        self._wake = asyncio.Event()
        self._telling = asyncio.Lock()
        now = clock.wall()
        self._plans = {feed.name: begin(feed, now, roll()) for feed in feeds}

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Where every feed stands: for `doctor`, and for what pages may show as current."""
        return tuple(self._plans.values())

    def hurry(self, provider: str) -> None:
        """Look at a provider's feeds sooner for half an hour."""
        for name, plan in self._plans.items():
            if plan.feed.provider == provider:
                self._plans[name] = hurry(plan, self._clock.wall(), self._roll())
        self._wake.set()

    def relax(self, provider: str) -> None:
        """Go back to the usual pace."""
        for name, plan in self._plans.items():
            if plan.feed.provider == provider:
                self._plans[name] = relax(plan)

    async def run(self) -> None:
        """Work until cancelled. What is under way when it is cancelled is dropped."""
        while True:
            wait_s = await self.step()
            self._wake.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def step(self) -> float:
        """Fetch what is due now, and return how many seconds there is nothing to do."""
        now = self._clock.wall()
        if not self._online():
            return OFFLINE_LOOK_S
        waiting = sorted(self._plans.values(), key=lambda plan: plan.due_at)
        now_due = [plan.feed.name for plan in waiting if plan.due_at <= now][:AT_ONCE]
        async with asyncio.TaskGroup() as tasks:
            for name in now_due:
                tasks.create_task(self._look(name))
        following = due(self._plans.values())
        if following is None:
            return IDLE_S
        return min(IDLE_S, max(0.0, following.due_at - self._clock.wall()))

    async def _look(self, name: str) -> None:
        plan = self._plans[name]
        try:
            answer, page = await self._ask(plan)
        except Exception as error:  # one document that we stumble over must not end all reading
            _log.exception("feed_reading_failed", feed=name)
            answer, page = Answer("garbage", f"a fault of ours: {type(error).__name__}"), None
        if not self._online() and answer.kind == "silent":
            return  # our own network failed meanwhile: that says nothing about the vendor
        now = self._clock.wall()
        # A hurry may have been called for while the answer was on its way: keep that.
        plan = self._plans[name]
        before, plan = plan, answered(plan, answer, now, self._roll())
        self._plans[name] = plan
        if page is not None:
            await self._tell(page)
        elif answer.kind == "unchanged":
            await self._tell(Unchanged(plan.feed.provider, name, now))
        elif plan.failures > before.failures:
            _log.warning("feed_not_read", feed=name, why=answer.reason, rounds=plan.failures)
            if plan.unreachable:
                since_at = now if plan.failing_since_at is None else plan.failing_since_at
                await self._tell(
                    Unreachable(plan.feed.provider, name, now, since_at, answer.reason, plan.due_at)
                )

    async def _ask(self, plan: Plan) -> tuple[Answer, FeedPage | None]:
        turn, feed = plan.turn(), plan.feed
        try:
            fetched = await self._fetch(
                turn.url,
                etag=turn.validators.etag,
                last_modified=turn.validators.last_modified,
                limit_bytes=BODY_LIMIT_BYTES,
                timeout_s=TIMEOUT_S,
            )
        except FetchFailed as failed:
            return Answer(failed.kind, str(failed)), None
        answer = _answer(fetched)
        if answer.kind != "ok":
            return answer, None
        try:
            # Up to 8 MiB are parsed: not in the loop that answers clients.
            page = await asyncio.to_thread(
                detect.parse,
                fetched.body,
                feed.provider,
                feed.name,
                self._clock.wall(),
                feed.only,
                format=feed.format,
            )
        except FeedUnreadable as error:
            return Answer("garbage", str(error)), None
        return answer, page

    async def _tell(self, news: News) -> None:
        """A sink that fails must not end the reading of all feeds."""
        async with self._telling:
            try:
                await self._sink(news)
            except Exception:
                _log.exception("feed_news_not_taken", feed=news.feed)


def _answer(fetched: Fetched) -> Answer:
    reason = f"HTTP {fetched.status}"
    validators = Validators(fetched.etag, fetched.last_modified)
    if fetched.status == 200:
        return Answer("ok", "", None, validators)
    if fetched.status == 304:
        return Answer("unchanged", "", None, validators)
    if fetched.status == 429:
        return Answer("limited", reason, fetched.retry_after_s)
    kind = "failing" if fetched.status >= 500 else "refused"
    return Answer(kind, reason, fetched.retry_after_s)
