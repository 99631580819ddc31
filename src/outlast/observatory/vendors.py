"""What vendors' pages say, as evidence for and against an outage of each component. Pure.

An open notice that names the component speaks for an outage; one that names another part of the
same provider speaks for it a little. Silence is worth next to nothing (fusion.silence), and a
green mark no more than silence: pages are late. A page that cannot be read says nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from outlast.nouns import Component, Evidence, Notice, NoticeUpdate, Status
from outlast.observatory import fusion
from outlast.observatory.feeds.changes import Change, Known, compare
from outlast.observatory.feeds.mapping import place, surfaces
from outlast.observatory.feeds.reading import ENDED, FeedPage
from outlast.observatory.judging import Reading, Vendor

FRESH_S = 45 * 60.0
"""A page read longer ago than that is not how the vendor's page is now: usual looks are 15 min
apart, and may fail twice."""
NOTICE_MAX_S = 7 * 86400.0
"""A notice left open for longer than a week is forgotten, not an outage of a week."""
SPOTS_MAX = 2000
FIXED = frozenset({"monitoring", *ENDED})


class Mark(msgspec.Struct, frozen=True):
    """A component's status on the vendor's page, and since when in our time."""

    status: Status
    since_at: float


class Seen(msgspec.Struct, frozen=True):
    """A change of a notice, ready for incidents."""

    notice: Notice
    fresh: tuple[NoticeUpdate, ...]
    edited: bool
    touched: Mapping[str, Status]
    """Our components (surfaces) that it names as not well."""


class Spots(msgspec.Struct, frozen=True):
    """What a version of a notice is about, in our terms."""

    version: str
    failing: dict[str, Status]
    """Surfaces that it names as not well."""
    named: frozenset[str]
    """Surfaces that it names, well again or not."""


class PageMemory(msgspec.Struct, frozen=True):
    """What of a page no stored notice tells; plain values."""

    read_at: float
    marks: dict[str, Mark] = {}
    gone: tuple[str, ...] = ()
    """Notices that it has stopped listing."""


class VendorPage:
    """One provider's page, over all its feeds."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.read_at = 0.0
        self.unreachable_since: float | None = None
        self.reason = ""
        self._known: dict[str, Known] = {}
        self._marks: dict[str, Mark] = {}
        self._declared_at: dict[tuple[str, str], float] = {}
        self._spots: dict[str, Spots] = {}

    def restore(self, notices: Iterable[Notice]) -> None:
        """Take up what was stored of its notices, so that a start is no flood of news. What was
        read here since is newer."""
        for notice in sorted(notices, key=lambda one: one.fetched_at):
            known = self._known.get(notice.id)
            if known is None or known.notice.fetched_at < notice.fetched_at:
                self._known[notice.id] = Known(notice)

    def memory(self) -> PageMemory:
        """What to `recall` after a start, so that the time until the page is read again is not
        taken for its silence."""
        gone = tuple(name for name, known in self._known.items() if known.gone)
        return PageMemory(self.read_at, dict(self._marks), gone)

    def recall(self, memory: PageMemory) -> None:
        """Take up what the page showed; what was read here since is newer."""
        if self.read_at >= memory.read_at:
            return
        self.read_at, self._marks = memory.read_at, dict(memory.marks)
        for name in memory.gone:
            if name in self._known:
                self._known[name] = Known(self._known[name].notice, gone=True)

    def take(self, page: FeedPage) -> list[Seen]:
        """Take in a page that was read. Returns what is new on it, the oldest first."""
        now = page.fetched_at
        self.read_at, self.unreachable_since, self.reason = now, None, ""
        compared = compare(self._known, page)
        self._known = compared.known
        self._mark(page, now)
        news = [self._news(change) for change in compared.changes if change.kind != "gone"]
        return sorted(
            (one for one in news if one is not None), key=lambda seen: seen.notice.started_at
        )

    def failed(self, reason: str, now: float) -> None:
        """It could not be read. Its own state: never "operational"."""
        if self.unreachable_since is None:
            self.unreachable_since = now
        self.reason = reason

    def confirmed(self, now: float) -> None:
        """It is as it was (304)."""
        self.read_at, self.unreachable_since, self.reason = now, None, ""

    def vendor(self, component: Component, now: float) -> Vendor:
        """What the page says of a component."""
        if not self._readable(now):
            return Vendor()
        named = self._naming(component, now)
        mark = self._marks.get(component.surface)
        since = max((at for _, at in named), default=mark.since_at if mark else 0.0)
        status = mark.status if mark else None
        if named:
            worst = max((s for s, _ in named), key=lambda s: s.rank)
            status = worst if status is None or worst.rank > status.rank else status
        windows = [
            notice
            for notice in self._open(now, "maintenance")
            if notice.stage in {"in_progress", "verifying"}
        ]
        under_way = any(
            not self._of(one).named or component.surface in self._of(one).named for one in windows
        ) or (mark is not None and mark.status is Status.MAINTENANCE)
        return Vendor(status, bool(named), since, under_way)

    def reading(self, component: Component, onset_at: float, now: float) -> Reading:
        """The page as evidence. `onset_at`: since when others see an outage; 0: they do not."""
        if not self._readable(now):
            words = self.reason or "its page was not read lately"
            return Reading(Evidence("notice", now, 0.0, detail=words))
        named = self._naming(component, now)
        if named:
            active = [n for n in self._open(now, "incident") if self._names(n, component)]
            texts = [(n.updates[-1].body if n.updates else n.title) for n in active]
            since = min(at for _, at in named)
            return Reading(
                Evidence(
                    "notice",
                    now,
                    fusion.VENDOR_OUTAGE,
                    failures=float(len(active)),
                    total=float(len(active)),
                    since_at=since,
                    detail=(texts[-1] or active[-1].title)[:500] if active else "",
                ),
                fired=True,
            )
        others = self._open(now, "incident")
        if any(self._names(one, component) for one in others):
            weight, words = fusion.VENDOR_MONITORING, "says that a fix is in"
        elif others:
            weight, words = fusion.VENDOR_ELSEWHERE, "reports trouble with other parts"
        else:
            weight = fusion.silence(now - onset_at) if onset_at else fusion.silence(0)
            words = "has posted nothing"
        # One look at the page: what was not read, above, is none.
        return Reading(Evidence("notice", now, weight, total=1.0, detail=words))

    def notices(self, now: float) -> list[Notice]:
        """Its open notices, maintenance windows included."""
        return [*self._open(now, "incident"), *self._open(now, "maintenance")]

    def past(self) -> list[Notice]:
        """Its notices of incidents that are over, oldest first: history to learn from."""
        found = [
            known.notice
            for known in self._known.values()
            if known.notice.kind == "incident" and known.notice.resolved_at is not None
        ]
        return sorted(found, key=lambda one: one.started_at)

    def stages(self, names: Iterable[str]) -> list[tuple[float, str]]:
        """When which stage was posted on notices, named `feed/id`, oldest first."""
        wanted = set(names)
        found = [
            (update.at, update.stage)
            for known in self._known.values()
            if f"{known.notice.feed}/{known.notice.id}" in wanted
            for update in known.notice.updates
        ]
        return sorted(found)

    def noticed(self, names: Iterable[str]) -> list[Notice]:
        """The notices of these names, `feed/id`, oldest first."""
        wanted = set(names)
        found = [known.notice for known in self._known.values()]
        return sorted(
            (one for one in found if f"{one.feed}/{one.id}" in wanted),
            key=lambda one: one.started_at,
        )

    def marks(self) -> dict[str, Mark]:
        return dict(self._marks)

    def _readable(self, now: float) -> bool:
        return bool(self.read_at) and now - self.read_at <= FRESH_S

    def _open(self, now: float, kind: str) -> list[Notice]:
        return [
            known.notice
            for known in self._known.values()
            if known.notice.kind == kind
            and not known.gone
            and known.notice.stage not in ENDED
            and known.notice.resolved_at is None
            and now - max(known.notice.started_at, _last(known.notice)) <= NOTICE_MAX_S
        ]

    def _naming(self, component: Component, now: float) -> list[tuple[Status, float]]:
        """Statuses and times of what the page says against this component."""
        found: list[tuple[Status, float]] = []
        mark = self._marks.get(component.surface)
        for notice in self._open(now, "incident"):
            if notice.stage in FIXED or not self._names(notice, component):
                continue
            if mark is not None and mark.status is Status.OPERATIONAL:
                continue  # taken back: its mark for this component is green by now
            status = self._of(notice).failing.get(component.surface, Status.DEGRADED)
            key = (notice.id, component.surface)
            at = self._declared_at.setdefault(key, notice.fetched_at)
            found.append((status if status.rank else Status.DEGRADED, at))
        if mark is not None and mark.status.rank and not found:
            fixed = [n for n in self._open(now, "incident") if n.stage in FIXED]
            if not any(self._names(notice, component) for notice in fixed):
                found.append((mark.status, mark.since_at))
        return found

    def _names(self, notice: Notice, component: Component) -> bool:
        return component.surface in self._of(notice).named

    def _of(self, notice: Notice) -> Spots:
        """What a notice is about; worked out once for each version."""
        found = self._spots.get(notice.id)
        if found is None or found.version != notice.version:
            failing = surfaces(notice)
            places = {place(self.provider, name).surface for name, _ in notice.components}
            named = frozenset(failing) | frozenset(one for one in places if one)
            if len(self._spots) >= SPOTS_MAX:
                self._spots.clear()
            found = self._spots[notice.id] = Spots(notice.version, failing, named)
        return found

    def _mark(self, page: FeedPage, now: float) -> None:
        if not page.components:
            return
        worst: dict[str, Status] = {}
        for one in page.components:
            surface = place(self.provider, one.name).surface
            if not surface:
                continue
            old = worst.get(surface)
            bad = one.status is Status.MAINTENANCE or one.status.rank
            if old is None or (bad and one.status.rank >= old.rank):
                worst[surface] = one.status
        for surface, status in worst.items():
            before = self._marks.get(surface)
            if before is None or before.status is not status:
                self._marks[surface] = Mark(status, now)

    def _news(self, change: Change) -> Seen | None:
        notice = change.notice
        if notice.kind == "status":
            return None
        before = change.before.updates if change.before is not None else ()
        known = {(update.at, update.stage, update.body) for update in before}
        fresh = tuple(u for u in notice.updates if (u.at, u.stage, u.body) not in known)
        if not fresh and change.kind != "new":
            return None
        spots = self._of(notice)
        touched = {
            f"{self.provider}/{surface}": spots.failing.get(surface, Status.OPERATIONAL)
            for surface in sorted(spots.named)
        }
        return Seen(notice, fresh, change.kind == "edited", touched)


def _last(notice: Notice) -> float:
    return notice.updates[-1].at if notice.updates else notice.started_at
