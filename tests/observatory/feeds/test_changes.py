"""What is new, what was rewritten, and what is only gone from a list."""

from __future__ import annotations

from typing import Any

from outlast.observatory.feeds import statuspage
from outlast.observatory.feeds.changes import Known, compare
from outlast.observatory.feeds.reading import FeedPage
from tests.observatory.feeds.bodies import history, incident, summary, update

FIRST = update("investigating", "We look.", "2026-03-02T11:49:20Z")
SECOND = update("identified", "A fix comes.", "2026-03-02T13:22:17Z")
OVER = update("resolved", "Over.", "2026-03-02T15:47:09Z")


def open_page(at: float, *incidents: dict[str, Any], feed: str = "summary") -> FeedPage:
    return statuspage.parse(summary(list(incidents)), "anthropic", feed, at)


def past_page(at: float, *incidents: dict[str, Any], feed: str = "history") -> FeedPage:
    return statuspage.parse(history(list(incidents)), "anthropic", feed, at)


def follow(*pages: FeedPage) -> tuple[dict[str, Known], list[str]]:
    """Return what is known in the end, and each change as `kind edits`."""
    known: dict[str, Known] = {}
    said: list[str] = []
    for page in pages:
        compared = compare(known, page)
        known = compared.known
        said += [" ".join((one.kind, *one.edits)) for one in compared.changes]
    return known, said


def test_a_notice_is_new_once_and_updated_by_what_is_added() -> None:
    known, said = follow(
        open_page(1, incident(updates=[FIRST])),
        open_page(2, incident(updates=[FIRST])),
        open_page(3, incident(status="identified", updates=[SECOND, FIRST])),
    )
    assert said == ["new", "updated"]
    assert not known["0abc"].notice.edited


def test_what_vanishes_from_the_open_ones_is_gone_and_not_resolved() -> None:
    known, said = follow(open_page(1, incident(updates=[FIRST])), open_page(2), open_page(3))
    assert said == ["new", "gone"]
    assert known["0abc"].gone
    assert known["0abc"].notice.stage == "investigating"
    assert known["0abc"].notice.resolved_at is None


def test_the_history_tells_how_it_ended() -> None:
    known, said = follow(
        open_page(1, incident(updates=[FIRST])),
        open_page(2),
        past_page(
            3,
            incident(status="resolved", updates=[OVER, FIRST], resolved_at="2026-03-02T15:47:09Z"),
        ),
        open_page(4),
    )
    assert said == ["new", "gone", "updated"]
    assert known["0abc"].notice.stage == "resolved"


def test_a_text_that_is_rewritten_is_an_edit_and_both_versions_are_there() -> None:
    softer = update("investigating", "All is well.", "2026-03-02T11:49:20Z")
    before = open_page(1, incident(updates=[FIRST]))
    compared = compare(compare({}, before).known, open_page(2, incident(updates=[softer])))
    (change,) = compared.changes
    assert (change.kind, change.edits, change.at) == ("edited", ("text",), 2)
    assert change.before is not None
    assert change.before.updates[0].body == "We look."
    assert change.notice.updates[0].body == "All is well."
    assert change.notice.edited


def test_an_edit_stays_remembered_through_later_updates() -> None:
    softer = update("investigating", "All is well.", "2026-03-02T11:49:20Z")
    known, said = follow(
        open_page(1, incident(updates=[FIRST])),
        open_page(2, incident(updates=[softer])),
        open_page(3, incident(updates=[SECOND, softer])),
    )
    assert said == ["new", "edited text", "updated"]
    assert known["0abc"].notice.edited


def test_moved_times_a_new_title_and_a_removed_update_are_edits() -> None:
    base = incident(updates=[SECOND, FIRST])
    later = base | {"started_at": "2026-03-02T11:30:00Z"}
    renamed = later | {"name": "A small issue"}
    shorter = renamed | {"incident_updates": [SECOND]}
    _, said = follow(
        *(open_page(at, one) for at, one in enumerate((base, later, renamed, shorter)))
    )
    assert said == ["new", "edited times", "edited title", "edited removed"]


def test_an_update_that_is_redated_is_an_edit_of_times() -> None:
    redated = update("investigating", "We look.", "2026-03-02T11:45:00Z")
    _, said = follow(
        open_page(1, incident(updates=[FIRST])), open_page(2, incident(updates=[redated]))
    )
    assert said == ["new", "edited times"]


def test_a_text_that_goes_on_is_no_edit() -> None:
    longer = update("investigating", "We look. And we found it.", "2026-03-02T11:49:20Z")
    _, said = follow(
        open_page(1, incident(updates=[FIRST])), open_page(2, incident(updates=[longer]))
    )
    assert said == ["new", "updated"]


def test_an_end_that_is_taken_back_is_a_relapse_and_a_moved_end_is_an_edit() -> None:
    def ended(at: str | None) -> dict[str, Any]:
        stage = "resolved" if at else "investigating"
        return incident(status=stage, updates=[FIRST], resolved_at=at)

    _, said = follow(
        past_page(1, ended("2026-03-02T15:47:09Z")),
        past_page(2, ended("2026-03-02T14:00:00Z")),
        past_page(3, ended(None)),
    )
    assert said == ["new", "edited times", "updated"]


def test_two_feeds_of_one_vendor_do_not_tell_the_same_news_twice() -> None:
    one = incident(updates=[FIRST])
    _, said = follow(open_page(1, one), past_page(2, one), open_page(3, one))
    assert said == ["new"]


def test_a_feed_that_tells_less_takes_nothing_back() -> None:
    known, said = follow(
        past_page(1, incident(updates=[SECOND, FIRST])), open_page(2, incident(updates=[FIRST]))
    )
    assert said == ["new"]
    assert len(known["0abc"].notice.updates) == 2


def test_what_drops_off_the_end_of_a_history_is_not_gone_but_what_is_taken_out_of_it_is() -> None:
    def begun(id_: str, hour: int) -> dict[str, Any]:
        at = f"2026-03-02T{hour:02d}:00:00Z"
        return incident(id_, status="resolved", updates=[], started_at=at, resolved_at=at)

    known, said = follow(
        past_page(1, begun("c", 12), begun("b", 11), begun("a", 10)),
        past_page(2, begun("d", 13), begun("c", 12), begun("b", 11)),
        past_page(3, begun("d", 13), begun("b", 11)),
    )
    assert said == ["new", "new", "new", "new", "gone"]
    assert [key for key, one in known.items() if one.gone] == ["c"]


def test_what_comes_back_is_told() -> None:
    one = incident(updates=[FIRST])
    known, said = follow(open_page(1, one), open_page(2), open_page(3, one))
    assert said == ["new", "gone", "updated"]
    assert not known["0abc"].gone


def test_memory_is_bounded_whatever_a_page_does_with_its_ids() -> None:
    known: dict[str, Known] = {}
    for at in range(6):
        many = [incident(f"{at}-{number}", updates=[]) for number in range(500)]
        known = compare(known, open_page(at, *many)).known
    assert len(known) == 2000
    assert "5-499" in known
