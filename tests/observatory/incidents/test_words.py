"""Numbers, times, names and lists as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory import words
from outlast.observatory.words import Lang

DURATIONS: list[tuple[float, str, str]] = [
    (0, "0 s", "0 s"),
    (75, "75 s", "75 s"),
    (600, "10 min", "10 min"),
    (3600, "1 h", "1 h"),
    (12_000, "3 h 20 min", "3 h 20 min"),
    (86_400, "1 day", "1 jour"),
    (100_000, "1 day 4 h", "1 jour 4 h"),
    (260_000, "3 days", "3 jours"),
]


@pytest.mark.parametrize(("seconds", "en", "fr"), DURATIONS)
def test_durations(seconds: float, en: str, fr: str) -> None:
    assert words.duration(seconds, "en").replace("\u00a0", " ") == en
    assert words.duration(seconds, "fr").replace("\u00a0", " ") == fr


def test_thousands_are_set_apart_as_each_language_does_it() -> None:
    assert words.number(1240, "en") == "1,240"
    assert words.number(1240, "fr") == "1\u202f240"


def test_a_share_is_never_said_to_be_nothing_or_all_of_it_when_it_is_not() -> None:
    said = [words.percent(share, "en") for share in (0, 0.001, 0.5, 0.999, 1)]
    assert said == ["0%", "<1%", "50%", ">99%", "100%"]
    assert words.percent(0.5, "fr") == "50\u00a0%"


def test_lists_end_in_and_and_say_what_they_leave_out() -> None:
    assert words.listed(["a"], "en") == "a"
    assert words.listed(["a", "b", "c"], "fr") == "a, b et c"
    assert words.listed(list("abcdefgh"), "en") == "a, b, c, d, e and 3 more"


def test_components_have_names_that_people_know() -> None:
    assert words.component_name("anthropic/api/claude-x@eu", "en") == "Anthropic API (claude-x, eu)"
    assert words.component_name("openai/web", "fr") == "OpenAI site web"
    assert words.component_name("outlast/upstream/main", "fr") == "notre accès main"
    assert words.component_name("nonsense", "en") == "nonsense"


@given(st.text(max_size=3000), st.sampled_from(words.LANGS))
def test_somebody_elses_text_is_one_line_that_steers_nothing(text: str, lang: Lang) -> None:
    said = words.quoted(text, lang)
    assert len(said) <= words.TEXT_LIMIT + 4
    assert not {"\n", "\x1b", "\u202e", "\u2066", "\x00"} & set(said)


LANGUAGES = [
    (b"", "en"),
    (b"fr", "fr"),
    (b"de, fr-CA;q=0.8, en;q=0.5", "fr"),
    (b"en;q=0.9, fr ; q=1.0", "fr"),
    (b"fr; q=0.2, en; q=0.7", "en"),
    (b"frr, en;q=0.3", "en"),
    (b"fr;q=x, ;;, zz", "en"),
    (b"FR;q=0", "en"),
    (b"\xff\xfe", "en"),
]


@pytest.mark.parametrize(("accepted", "lang"), LANGUAGES)
def test_the_language_is_the_one_that_is_preferred_of_those_that_we_speak(
    accepted: bytes, lang: Lang
) -> None:
    assert words.language(accepted) == lang
