"""Post-mortems: when one may be written, what it may hold, and that no version is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from outlast.nouns import Incident, Stage
from outlast.observatory.acting import BadAction
from outlast.observatory.case_changes import Snapshot
from outlast.status.post_mortems import (
    NOTE_LIMIT,
    PREFIX,
    TEXT_LIMIT,
    VERSIONS_LIMIT,
    NewPostMortem,
    PostMortem,
    by_incident,
    read,
    spoken,
    stored,
    tidy,
    write,
)
from tests.status.machine_house import HOSTILE, NOW, outage, over

EN = {"en": "It failed.\n\nWe know why."}


def first(incident: Incident | None = None, **text: str) -> PostMortem:
    return write(incident or over(), NewPostMortem(text or EN), (), "pm_1", "Ada", NOW)


def again(before: tuple[PostMortem, ...], ident: str = "pm_2", **more: Any) -> PostMortem:
    fields: dict[str, Any] = {"text": {"en": "Other."}, "note": {"en": "The time was wrong."}}
    return write(over(), NewPostMortem(**(fields | more)), before, ident, "Bo", NOW + 60)


def test_the_first_version_has_a_text_in_one_language_or_in_both() -> None:
    made = first()
    assert (made.text, made.note, made.by, made.incident) == (EN, {}, "Ada", "inc_over")
    both = first(en="It failed.", fr="Panne.")
    assert spoken(both.text, "fr") == ("fr", "Panne.")
    assert spoken(made.text, "fr") == ("en", EN["en"])


def test_a_correction_says_what_it_corrects_and_changes_nothing_of_the_first() -> None:
    made = first()
    later = again((made,))
    assert later.note == {"en": "The time was wrong."}
    assert by_incident([later, made]) == {"inc_over": (made, later)}


REFUSED: tuple[tuple[Incident, dict[str, Any], int, str, str], ...] = (
    (outage(), {"text": EN}, 0, "when the incident is over", "It goes on."),
    (over(merged_into="inc_2"), {"text": EN}, 0, "goes on in inc_2", "It is a part of another."),
    (over(), {"text": {}}, 0, "text is empty", "Nothing is said."),
    (over(), {"text": {"en": " \n "}}, 0, "text is empty", "Spaces say nothing."),
    (over(), {"text": {"de": "Hallo"}}, 0, "not served: de", "Two languages are served."),
    (over(), {"text": {"en": "x" * (TEXT_LIMIT + 1)}}, 0, "may have 16000", "It is never cut."),
    (over(), {"text": {"en": "Other."}}, 1, "note is empty", "Corrections are marked as such."),
    (over(), {"text": EN, "note": EN}, 1, "Nothing is changed", "It corrects nothing."),
    (over(), {"text": {"en": "a"}, "note": {"en": "x" * (NOTE_LIMIT + 1)}}, 1, "may have", "Long."),
    (over(), {"text": {"en": "a"}, "note": EN}, VERSIONS_LIMIT, "versions already", "Enough."),
    (over(), {"text": {"en": "a"}, "note": EN, "after": "pm_x"}, 1, "Ada has written", "Unseen."),
    (over(), {"text": EN, "after": "pm_x"}, 0, "has written", "What it came after is not there."),
)


@pytest.mark.parametrize(("incident", "fields", "before", "words", "why"), REFUSED)
def test_what_cannot_be_written_is_told_in_both_languages(
    incident: Incident, fields: dict[str, Any], before: int, words: str, why: str
) -> None:
    known = tuple(msgspec.structs.replace(first(), id=f"pm_{n}") for n in range(before))
    with pytest.raises(BadAction, match=words) as caught:
        write(incident, NewPostMortem(**fields), known, "pm_new", "Ada", NOW)
    assert caught.value.words["fr"] != caught.value.words["en"], why


def test_hostile_words_stay_words_and_lines_stay_lines() -> None:
    made = first(en=f"{HOSTILE}\r\n\r\n\r\n\u2028{HOSTILE}")
    assert "\x00" not in made.text["en"]
    assert "\u202e" not in made.text["en"]
    # A vertical tab ends a line as well; more empty lines than one are one.
    assert made.text["en"].count("\n") == 4
    assert "<script>" in made.text["en"]  # escaped by whoever shows it
    unnamed = write(over(), NewPostMortem(EN), (), "pm_1", "\u202e\x00", NOW)
    assert unnamed.by == "operator"


def test_a_long_line_is_kept_whole() -> None:
    assert tidy("word " * 3000).count("word") == 3000


def test_what_is_stored_is_read_again_and_what_is_none_of_ours_is_named() -> None:
    made = first()
    kept = stored(made)
    assert kept.name.startswith(f"{PREFIX}inc_over/")
    odd = Snapshot(f"{PREFIX}x/y", NOW, b"[1]")
    deep = Snapshot(f"{PREFIX}x/z", NOW, b"[" * 100_000)
    assert read([kept, odd, deep]) == ([made], [odd.name, deep.name])


def test_a_retracted_incident_may_be_explained() -> None:
    assert first(over(retracted=True)).text == EN
    assert over().stage is Stage.RESOLVED
