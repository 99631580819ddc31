"""Forms as values, and the audit in words: what is typed is kept, what is odd is shown as it is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Stage
from outlast.status import operator_texts
from outlast.status.operator_audit import lines
from outlast.status.operator_forms import (
    FIELDS_MAX,
    Field,
    digest,
    filled,
    first,
    put_in,
    read,
    texts,
    time_of,
    time_text,
)
from outlast.status.operator_forms import lines as source_lines
from outlast.status.operator_templates import first_post_mortem, retractions, updates
from tests.status.machine_house import HOSTILE, NOW, outage, over

EN, FR = Field("text_en", "", "area", lang="en"), Field("text_fr", "", "area", lang="fr")


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=20))
def test_what_a_browser_sends_is_read_as_it_was_typed(typed: dict[str, str]) -> None:
    clean = {
        name.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace").decode()
        for name, value in typed.items()
    }
    found = read(urlencode(clean).encode())
    even = {n: v.replace("\r\n", "\n").replace("\r", "\n") for n, v in clean.items()}
    assert {name: first(found, name) for name in found} == even


@given(st.binary(max_size=500))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    for name, values in read(body).items():
        name.encode()
        "".join(values).encode()


def test_a_form_of_too_many_fields_is_an_error() -> None:
    with pytest.raises(ValueError, match="fields"):
        read(b"&".join(b"a=1" for _ in range(FIELDS_MAX + 1)))


TIMES = (
    ("2026-03-02T12:30", NOW),
    ("2026-03-02T12:30:00", NOW),
    (" 2026-03-02T12:30 ", NOW),
    ("2026-03-02", None),
    ("2026-03-02T25:00", None),
    ("2026-03-02T12:30Z", None),
    ("2026-03-02T12:30+02", None),
    ("0000-00-00T00:00", None),
    ("", None),
    ("x" * 10_000, None),
)


@pytest.mark.parametrize(("text", "at"), TIMES)
def test_times_are_read_as_utc_and_nothing_else_is_one(text: str, at: float | None) -> None:
    assert time_of(text) == at


def test_a_time_is_read_back_to_the_minute() -> None:
    assert time_of(time_text(NOW + 59)) == NOW


def test_fields_keep_their_own_until_a_form_is_sent() -> None:
    own = Field("text_en", values=("Draft.",))
    assert filled([own], {})[0].value == "Draft."
    assert filled([own], {"text_en": ["Mine."]})[0].value == "Mine."
    assert filled([own], {"other": ["x"]})[0].value == ""  # emptied, or never ticked


def test_another_text_has_another_mark_and_what_is_no_field_has_none() -> None:
    marks = {
        digest(values, [EN, FR])
        for values in ({"text_en": ["a"]}, {"text_fr": ["a"]}, {"text_en": ["b"]}, {})
    }
    assert len(marks) == 4
    assert digest({"text_en": ["a"]}, [EN]) == digest({"text_en": ["a"], "x": ["y"]}, [EN])
    assert digest({"text_en": [""]}, [EN]) == digest({}, [EN])
    assert digest({"text_en": ["a", "b"]}, [EN]) != digest({"text_en": ["ab"]}, [EN])


def test_a_template_fills_what_is_empty_and_follows_what_is_not() -> None:
    found = put_in({"text_en": ["Mine.\n"]}, [EN, FR], {"en": "Theirs.", "fr": "Le leur."})
    assert texts(found, "text") == {"en": "Mine.\n\nTheirs.", "fr": "Le leur."}


def test_sources_are_lines_and_so_many() -> None:
    assert source_lines({"s": [" a \n\n b\n"]}, "s") == ["a", "b"]
    assert len(source_lines({"s": ["x\n" * 100]}, "s")) == 20


@pytest.mark.parametrize("incident", [outage(), over(), over(retracted=True)])
def test_every_template_is_in_both_languages_and_leaves_open_what_only_people_know(
    incident: Any,
) -> None:
    for one in (*updates(incident), *retractions(incident)):
        assert set(one.text) == set(one.label) == {"en", "fr"}
        assert one.text["en"] != one.text["fr"]
        assert "{" not in one.text["en"] + one.text["fr"]
        if not incident.retracted:
            assert "[" in one.text["en"]
            assert "[" in one.text["fr"]
    started = first_post_mortem(incident)
    assert bool(started) == (incident.stage is Stage.RESOLVED)
    assert not any(words.startswith("# ") for words in started.values())


ENTRIES: tuple[dict[str, Any], ...] = (
    {"at": NOW, "who": "Ada", "what": "incident.annotate",
     "body": {"about": "inc_1", "said": {"text": {"en": "Seen.", "fr": "Vu."}}}},
    {"at": NOW, "who": "Ada", "what": "maintenance move",
     "body": {"window": "win_1", "note": {"text": {"en": "Later."}}}},
    {"at": NOW, "who": "Eve", "what": "session.refused", "body": {"network": "n", "missed": 7}},
    {"at": NOW, "who": "Ada", "what": "something.new", "body": {"odd": [1]}},
    {"at": NOW, "who": HOSTILE, "what": HOSTILE, "body": "no object"},
    {"at": NOW, "who": "Ada", "what": "claim.judged",
     "body": {"about": "clm_1", "said": {"state": "refuted", "reason": "Not so."}}},
)  # fmt: skip


def test_the_audit_is_told_in_words_and_what_is_not_known_as_it_is() -> None:
    found = lines(ENTRIES, "fr")
    assert [one.what for one in found[:4]] == [
        "a publié une mise à jour",
        "a déplacé une maintenance",
        "a été refusé\u00a0: mauvais jeton",
        "something.new",
    ]
    assert found[0].href == "/operator/incidents/inc_1?lang=fr"
    assert [one.words for one in found[:3]] == [
        "Vu.",
        "Later.",
        "7 de plus ont seulement été comptées.",
    ]
    assert "\x00" not in found[4].who + found[4].what
    assert found[5].words == "refuted · Not so."
    assert [one.href for one in found[1:]] == [""] * 5


def test_the_words_are_the_same_in_number_and_named_alike_in_both_languages() -> None:
    english, french = operator_texts.TEXTS["en"], operator_texts.TEXTS["fr"]
    assert english.keys() == french.keys()
    for name, words in english.items():
        assert _places(words) == _places(french[name]), name


def test_french_words_have_their_spaces_before_high_marks() -> None:
    said = [*operator_texts.TEXTS["fr"].values()]
    said += [one["fr"] for one in operator_texts.ACTIONS.values()]
    for words in said:
        plain = words.replace("https://", "").replace("12:30", "")
        for sign in ":;?!":
            for place, found in enumerate(plain):
                assert found != sign or plain[place - 1] == "\u00a0", words


def _places(words: str) -> set[str]:
    return {part.partition("}")[0] for part in words.split("{")[1:]}
