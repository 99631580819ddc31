"""What vendors' pages say, as evidence, through the turns that the page of 2 March 2026 took."""

from __future__ import annotations

import math

from outlast.nouns import Component, Notice, NoticeUpdate, Status
from outlast.observatory import fusion
from outlast.observatory.feeds.reading import FeedPage, Reading
from outlast.observatory.vendors import FRESH_S, VendorPage

API, WEB = Component("anthropic", "api"), Component("anthropic", "web")
NAMES = {"web": "claude.ai", "api": "Claude API (api.anthropic.com)"}
T0 = 1_772_451_000.0


def page(at: float, *notices: Notice, **marks: Status) -> FeedPage:
    components = tuple(Reading(NAMES[surface], status) for surface, status in marks.items())
    return FeedPage(
        "anthropic",
        "summary",
        "statuspage",
        T0 + at,
        components=components,
        notices=notices,
        covers="history",
    )


def notice(stage: str, *bodies: str, marks: dict[str, Status], at: float = 0) -> Notice:
    updates = tuple(NoticeUpdate(T0 + 60 * n, stage, body) for n, body in enumerate(bodies))
    return Notice(
        "anthropic",
        "summary",
        "n1",
        "incident",
        "Elevated errors",
        stage,
        components=tuple((NAMES[surface], status) for surface, status in marks.items()),
        updates=updates,
        started_at=T0,
        fetched_at=T0 + at,
        version=f"{stage}{len(bodies)}{sorted(marks.items())}",
    )


GREEN = {"web": Status.OPERATIONAL, "api": Status.OPERATIONAL}


def test_silence_is_worth_next_to_nothing_and_green_no_more() -> None:
    one = VendorPage("anthropic")
    one.take(page(0, **GREEN))
    quiet = one.reading(API, T0 - 3600, T0 + 10).evidence
    assert math.log(fusion.SILENT_FOR_EVER) <= quiet.log_odds < 0
    assert one.reading(API, 0, T0 + 10).evidence.log_odds == 0
    assert one.vendor(API, T0 + 10).status is Status.OPERATIONAL


def test_a_notice_speaks_for_the_parts_that_it_names_and_a_little_for_the_others() -> None:
    one = VendorPage("anthropic")
    one.take(page(0, **GREEN))
    (seen,) = one.take(
        page(
            60,
            notice("investigating", "We look.", at=60, marks={"web": Status.PARTIAL}),
            web=Status.PARTIAL,
        )
    )
    assert seen.touched == {"anthropic/web": Status.PARTIAL}
    assert [update.body for update in seen.fresh] == ["We look."]
    web, api = one.reading(WEB, 0, T0 + 70), one.reading(API, 0, T0 + 70)
    assert (web.fired, web.evidence.log_odds) == (True, fusion.VENDOR_OUTAGE)
    assert (api.fired, api.evidence.log_odds) == (False, fusion.VENDOR_ELSEWHERE)
    assert one.vendor(WEB, T0 + 70).declared
    assert not one.vendor(API, T0 + 70).declared


def test_what_the_page_takes_back_is_green_again_since_then() -> None:
    """12:06 all five partial; 12:21 "the Claude API is working as intended"."""
    one = VendorPage("anthropic")
    both = {"web": Status.PARTIAL, "api": Status.PARTIAL}
    one.take(page(0, notice("investigating", "All.", marks=both), **both))
    assert one.vendor(API, T0 + 1).declared
    back = {"web": Status.PARTIAL, "api": Status.OPERATIONAL}
    one.take(
        page(900, notice("investigating", "All.", "The API works.", at=900, marks=back), **back)
    )
    said = one.vendor(API, T0 + 901)
    assert (said.declared, said.status, said.since_at) == (False, Status.OPERATIONAL, T0 + 900)
    assert not one.reading(API, 0, T0 + 901).fired
    assert one.reading(WEB, 0, T0 + 901).fired


def test_a_fix_that_is_watched_no_longer_fires() -> None:
    one = VendorPage("anthropic")
    one.take(page(0, notice("monitoring", "Fixed.", marks={"web": Status.PARTIAL})))
    read = one.reading(WEB, 0, T0 + 1)
    assert (read.fired, read.evidence.log_odds) == (False, fusion.VENDOR_MONITORING)


def test_a_page_that_cannot_be_read_says_nothing_at_all() -> None:
    one = VendorPage("anthropic")
    assert one.vendor(API, T0).status is None
    one.take(page(0, **GREEN))
    one.failed("HTTP 503", T0 + 100)
    assert one.unreachable_since == T0 + 100
    assert one.vendor(API, T0 + FRESH_S + 1).status is None
    silent = one.reading(API, T0, T0 + FRESH_S + 1).evidence
    assert (silent.log_odds, silent.detail) == (0.0, "HTTP 503")


def test_after_a_start_what_was_known_is_no_news() -> None:
    old = notice("investigating", "We look.", marks={"web": Status.PARTIAL})
    one = VendorPage("anthropic")
    one.restore([old])
    assert one.take(page(60, old)) == []
    assert one.reading(WEB, 0, T0 + 61).fired


def test_a_window_of_maintenance_under_way_is_told_apart_from_an_outage() -> None:
    window = Notice(
        "anthropic",
        "summary",
        "m1",
        "maintenance",
        "Work",
        "in_progress",
        components=((NAMES["api"], Status.MAINTENANCE),),
        started_at=T0,
        version="1",
    )
    one = VendorPage("anthropic")
    one.take(page(0, window, api=Status.MAINTENANCE))
    assert one.vendor(API, T0 + 1).maintenance
    assert not one.reading(API, 0, T0 + 1).fired
