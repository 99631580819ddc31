"""The words of a forecast, in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.recovery import Forecast, TooFew
from outlast.observatory.recovery_words import basis_words, words
from outlast.observatory.words import LANGS, Lang


def made(*minutes: float) -> Forecast:
    low_80, low_50, median, high_50, high_80 = (60 * one for one in minutes)
    return Forecast(0, low_80, low_50, median, high_50, high_80, 212, 40, 9, "")


def first(forecast: Forecast, lang: Lang) -> str:
    return words(forecast, lang).partition(". ")[0].replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("minutes", "english", "french"),
    [
        pytest.param(
            (15, 41, 90, 176, 530),
            "Most likely between 40 minutes and 3 hours; "
            "it could be as little as 15 minutes or as long as 9 hours",
            "Le plus probable : entre 40 minutes et 3 heures ; "
            "cela peut ne prendre que 15 minutes, ou durer jusqu'à 9 heures",
            id="ends are rounded outwards to sensible steps",
        ),
        pytest.param(
            (0, 0, 3, 9, 100),
            "Most likely less than 10 minutes; "
            "it could be over at any moment, or last as long as 2 hours",
            "Le plus probable : moins de 10 minutes ; "
            "c'est peut-être fini d'un moment à l'autre, mais cela peut durer jusqu'à 2 heures",
            id="less than a minute is any moment",
        ),
        pytest.param(
            (1, 60, 70, 85, 3000),
            "Most likely between an hour and 1½ hours; "
            "it could be as little as a minute or as long as 3 days",
            "Le plus probable : entre une heure et une heure et demie ; "
            "cela peut ne prendre qu'une minute, ou durer jusqu'à 3 jours",
            id="one is a word",
        ),
        pytest.param(
            (400, 1440, 3000, 50_000, 99_999),
            "Most likely more than a day; it could be as little as 6 hours or more than two weeks",
            "Le plus probable : plus d'un jour ; "
            "cela peut ne prendre que 6 heures, ou durer plus de deux semaines",
            id="beyond two weeks nobody counts",
        ),
        pytest.param(
            (50, 60, 60, 60, 2000),
            "Most likely about an hour; it could be as little as 50 minutes or as long as 1½ days",
            "Le plus probable : environ une heure ; "
            "cela peut ne prendre que 50 minutes, ou durer jusqu'à 36 heures",
            id="both ends on one step",
        ),
    ],
)
def test_a_forecast_reads(minutes: tuple[float, ...], english: str, french: str) -> None:
    assert first(made(*minutes), "en") == english
    assert first(made(*minutes), "fr") == french


def test_it_says_what_it_predicts_and_how_sure_it_is() -> None:
    english, french = (words(made(15, 41, 90, 176, 530), lang) for lang in LANGS)
    assert "until all is well and stays so for 15 minutes without a relapse" in english
    assert "eight in ten" in english
    assert "tout aille bien, et le reste 15 minutes sans rechute" in french
    assert "huit sur dix" in french
    assert "212" in english
    assert "212" in french


@pytest.mark.parametrize(
    ("n", "english", "french"),
    [
        (0, "0 past outages lasted this long, 20", "0 panne passée a duré aussi longtemps, il en"),
        (1, "1 past outage lasted this long, 20", "1 panne passée a duré aussi longtemps, il en"),
        (19, "19 past outages lasted this long", "19 pannes passées ont duré aussi longtemps"),
    ],
)
def test_too_little_history_is_said(n: int, english: str, french: str) -> None:
    said = words(TooFew(n), "en")
    assert said.startswith("Not enough history")
    assert english in said
    said = words(TooFew(n), "fr")
    assert said.startswith("Pas assez d'historique")
    assert french in said


def test_what_it_rests_on_is_said() -> None:
    one = made(15, 41, 90, 176, 530)
    assert "212 past outages" in basis_words(one, "openai", "en")
    assert "40 chez OpenAI" in basis_words(one, "openai", "fr")


@given(st.lists(st.floats(0, 1e6), min_size=5, max_size=5), st.sampled_from(LANGS))
def test_every_forecast_has_words(minutes: list[float], lang: Lang) -> None:
    said = words(made(*sorted(minutes)), lang)
    assert said.endswith(".")
    assert "inf" not in said.replace("infor", "")
    assert "  " not in said
