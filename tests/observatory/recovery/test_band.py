"""The band: each miss widens, each hit narrows, and in the long run the promise is kept."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.recovery_band import LANDMARKS_S, MAX_SETTLED, Z50, Z80, Band, Bands


@pytest.mark.parametrize(
    ("score", "wide", "middle", "shift"),
    [
        pytest.param(0.0, "narrower", "narrower", "stays", id="in the middle: both were too wide"),
        pytest.param(1.0, "narrower", "wider", "stays", id="outside the 50 % interval alone"),
        pytest.param(-1.0, "narrower", "wider", "stays", id="the same below"),
        pytest.param(2.0, "wider", "wider", "later", id="it lasted longer than all said"),
        pytest.param(-2.0, "wider", "wider", "sooner", id="it was over sooner than all said"),
    ],
)
def test_what_one_outage_teaches(score: float, wide: str, middle: str, shift: str) -> None:
    lesson = Band().lesson(score)
    assert (lesson.wide > 0) == (wide == "wider")
    assert (lesson.middle > 0) == (middle == "wider")
    assert (lesson.shift > 0) - (lesson.shift < 0) == ["sooner", "stays", "later"].index(shift) - 1


@given(st.lists(st.floats(-6, 6), max_size=60))
def test_the_intervals_stay_nested_and_in_order_whatever_comes(scores: list[float]) -> None:
    band = Band()
    for score in scores:
        band = band.plus(band.lesson(score))
        limits = list(band.limits())
        assert limits == sorted(limits)
        assert limits[4] - limits[0] < 6


@pytest.mark.parametrize(
    ("name", "center", "spread"),
    [
        ("the distribution is right", 0.0, 1.0),
        ("it is too narrow by half", 0.0, 1.5),
        ("it is twice too wide", 0.0, 0.5),
        ("everything is over sooner than it says", -0.8, 1.0),
        ("everything lasts longer than it says", 0.8, 1.0),
    ],
)
def test_the_intervals_hold_as_often_as_they_say(name: str, center: float, spread: float) -> None:
    draw, bands = random.Random(name), Bands()
    held_80, held_50 = [], []
    for number in range(400):
        score = draw.gauss(center, spread)
        limits = bands.at_landmark(0, number).limits()
        held_80.append(limits.low_80 <= score <= limits.high_80)
        held_50.append(limits.low_50 <= score <= limits.high_50)
        bands.settle(0, number, number + 0.5, score)
    for start in range(50, 300, 50):
        assert 0.76 <= sum(held_80[start : start + 100]) / 100 <= 0.84
    assert 0.45 <= sum(held_50[50:]) / 350 <= 0.55


def test_a_forecast_is_judged_by_the_band_of_its_own_time() -> None:
    """It was made before the others ended: what they taught does not excuse it."""
    bands = Bands()
    for number in range(3):
        bands.settle(0, 0.0, 10.0 + number, 2.0)
    assert bands.at_landmark(0, 9.9) == Band()
    bands.settle(0, 5.0, 20.0, 1.4)
    assert bands.at_landmark(0, 20.0).wide > bands.at_landmark(0, 19.0).wide


def test_between_two_landmarks_the_band_is_in_between_and_beyond_the_last_it_stays() -> None:
    bands = Bands()
    bands.settle(1, 0.0, 1.0, 3.0)
    halfway = bands.between((LANDMARKS_S[0] + LANDMARKS_S[1]) / 2, 2.0)
    assert halfway.wide == pytest.approx(bands.at_landmark(1, 2.0).wide / 2)
    last = len(LANDMARKS_S) - 1
    bands.settle(last, 0.0, 1.0, -3.0)
    assert bands.between(1e9, 2.0) == bands.at_landmark(last, 2.0)


def test_without_any_outage_the_intervals_are_the_distributions_own() -> None:
    assert Bands().between(100.0, 0.0).limits() == pytest.approx((-Z80, -Z50, 0.0, Z50, Z80))


def test_the_log_is_bounded() -> None:
    bands = Bands()
    for number in range(MAX_SETTLED + 50):
        bands.settle(0, number, number, 0.0)
    assert len(bands.plain()[0]) == MAX_SETTLED
