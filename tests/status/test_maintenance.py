"""Windows of maintenance: what may be announced, how they go by the clock, what is kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from outlast.status.maintenance import (
    KEPT,
    BadMaintenance,
    Maintenance,
    NewWindow,
    WindowChange,
    announce,
    change,
    put,
    read,
    windows,
    written,
)
from outlast.status.view import at_work
from tests.status.machine_house import API, HOSTILE, NOW, WEB

KNOWN = {API, WEB}
HOUR = 3600.0


def asked(**changes: Any) -> NewWindow:
    fields: dict[str, Any] = {
        "title": {"en": "New database"},
        "components": (API,),
        "starts_at": NOW + HOUR,
        "ends_at": NOW + 2 * HOUR,
    }
    return NewWindow(**(fields | changes))


def made(**changes: Any) -> Maintenance:
    return announce(asked(**changes), "win_1", "Ada", NOW, KNOWN)


BAD: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"title": {}}, "title", "A window needs a name."),
    ({"title": {"en": "  "}}, "title", "Spaces are no name."),
    ({"title": {"de": "Wartung"}}, "no language", "Two languages are served."),
    ({"title": {"en": "x" * 300}}, "at most", "Names are short."),
    ({"components": ()}, "at least one", "It is of something."),
    ({"components": ("nobody/api",)}, "there is no", "Of something that exists."),
    ({"components": tuple(f"a/{n}" for n in range(60))}, "at most 50", "Lists have a limit."),
    ({"starts_at": float("nan")}, "starts_at", "Not a number is no time."),
    ({"starts_at": NOW + 400 * 86400.0}, "a year ahead", "Nobody knows what is then."),
    ({"starts_at": NOW - 2 * HOUR}, "before it begins", "The past is not announced."),
    ({"ends_at": NOW}, "ends_at", "It ends after it begins."),
    ({"ends_at": NOW + 9 * 86400.0}, "a week", "A week at most."),
    ({"ends_at": float("inf")}, "a week", "For ever is too long."),
)


@pytest.mark.parametrize(("changes", "words", "why"), BAD)
def test_what_cannot_be_announced_is_told_in_words(
    changes: dict[str, Any], words: str, why: str
) -> None:
    with pytest.raises(BadMaintenance) as caught:
        made(**changes)
    assert words in str(caught.value), why


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(BadMaintenance) as caught:
        made(title={}, components=(), ends_at=NOW)
    assert len(caught.value.problems) == 3
    assert all(one.en != one.fr for one in caught.value.faults)
    assert [one.said("fr").partition("\u00a0: ")[0] for one in caught.value.faults] == [
        "title",
        "components",
        "ends_at",
    ]


def test_what_is_said_in_one_language_stands_for_both_and_is_clean() -> None:
    one = made(title={"fr": HOSTILE})
    assert one.title["en"] == one.title["fr"]
    assert "\x00" not in one.title["en"]
    assert "\u202e" not in one.title["en"]


GOES = (
    (0.0, "scheduled"),
    (HOUR - 1, "scheduled"),
    (HOUR, "in_progress"),
    (2 * HOUR - 1, "in_progress"),
    (2 * HOUR, "completed"),
)


@pytest.mark.parametrize(("after_s", "state"), GOES)
def test_a_window_goes_by_the_clock(after_s: float, state: str) -> None:
    assert made().state(NOW + after_s) == state
    assert windows([made()], NOW + after_s)[0].state == state
    under_way = at_work(windows([made()], NOW + after_s))
    assert under_way == ({API} if state == "in_progress" else set())


def test_an_operator_begins_and_completes_it_earlier() -> None:
    begun = change(made(), WindowChange("begin"), "Bo", NOW + 60)
    assert begun.state(NOW + 60) == "in_progress"
    done = change(begun, WindowChange("complete", {"en": "Went well."}), "Bo", NOW + 120)
    assert done.state(NOW + 120) == "completed"
    assert [(note.kind, note.by) for note in done.notes] == [
        ("announced", "Ada"),
        ("begin", "Bo"),
        ("complete", "Bo"),
    ]
    assert windows([done], NOW + 120)[0].text == {"en": "Went well.", "fr": "Went well."}


def test_it_is_moved_and_cancelled() -> None:
    later = WindowChange("move", starts_at=NOW + 3 * HOUR, ends_at=NOW + 4 * HOUR)
    moved = change(made(), later, "Ada", NOW)
    assert moved.state(NOW + 2 * HOUR) == "scheduled"
    cancelled = change(moved, WindowChange("cancel"), "Ada", NOW + 5)
    assert cancelled.state(NOW + 3.5 * HOUR) == "cancelled"
    assert at_work(windows([cancelled], NOW + 3.5 * HOUR)) == set()


WRONG: tuple[tuple[float, WindowChange, str], ...] = (
    (0.0, WindowChange("explode"), "kind is one of"),
    (0.0, WindowChange("note"), "say it in"),
    (0.0, WindowChange("move"), "another time"),
    (0.0, WindowChange("move", starts_at=NOW - 2 * HOUR), "that is over"),
    (0.0, WindowChange("complete"), "has not begun"),
    (HOUR, WindowChange("begin"), "begun already"),
    (HOUR, WindowChange("move", starts_at=NOW + 1.5 * HOUR), "only its end"),
    (2 * HOUR, WindowChange("cancel"), "completed already"),
)


@pytest.mark.parametrize(("after_s", "wish", "words"), WRONG)
def test_what_cannot_be_done_changes_nothing_and_is_told(
    after_s: float, wish: WindowChange, words: str
) -> None:
    with pytest.raises(BadMaintenance, match=words):
        change(made(), wish, "Ada", NOW + after_s)


def test_a_note_can_be_added_after_the_end() -> None:
    note = WindowChange("note", {"fr": "Tout va bien."})
    assert change(made(), note, "Ada", NOW + 3 * HOUR).notes[-1].text["en"] == "Tout va bien."


def test_what_is_long_over_is_not_shown() -> None:
    assert windows([made()], NOW + 6 * 86400.0)
    assert windows([made()], NOW + 9 * 86400.0) == ()


def test_so_many_are_kept_and_the_oldest_are_forgotten() -> None:
    kept: tuple[Maintenance, ...] = ()
    for number in range(KEPT + 5):
        one = msgspec.structs.replace(made(), id=f"win_{number}", ends_at=NOW + HOUR + number)
        kept = put(kept, one, NOW + 2 * HOUR)
    assert len(kept) == KEPT
    assert {one.id for one in kept} == {f"win_{number}" for number in range(5, KEPT + 5)}
    assert put(kept, kept[3], NOW + 2 * HOUR) == kept


def test_what_is_to_come_is_never_forgotten_for_another() -> None:
    kept = tuple(msgspec.structs.replace(made(), id=f"win_{number:03}") for number in range(KEPT))
    with pytest.raises(BadMaintenance, match="cancel or complete"):
        put(kept, made(), NOW)
    called_off = change(kept[7], WindowChange("cancel"), "Ada", NOW)
    found = put(put(kept, called_off, NOW), made(), NOW + 1)
    assert {one.id for one in kept} - {one.id for one in found} == {"win_007"}
    assert made() in found


def test_what_is_written_is_read_again() -> None:
    kept = put((), change(made(), WindowChange("begin"), "Bo", NOW + 60), NOW + 60)
    assert read(written(kept)) == kept
