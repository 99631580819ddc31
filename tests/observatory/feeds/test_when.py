"""Vendors' ways to write a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.feeds.when import when, without_year

NOON = 1772452800.0  # 2026-03-02T12:00:00Z


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-03-02T12:00:00.000Z", NOON),
        ("2026-03-02T04:00:00-08:00", NOON),
        ("2026-03-02 12:00:00", NOON),
        ("Mon, 02 Mar 2026 12:00:00 GMT", NOON),
        ("Mon, 02 Mar 2026 04:00:00 PST", NOON),
        ("02 Mar 2026 13:00:00 +0100", NOON),
        ("Mon Mar 02 2026 12:00:00 GMT+0000 (Coordinated Universal Time)", NOON),
        (1772452800, NOON),
        (1772452800000, NOON),
        (1772452800.5, NOON + 0.5),
        ("2026-03-02", None),
        ("yesterday", None),
        ("", None),
        ("Mon, 32 Mar 2026 12:00:00 GMT", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**40, None),
        (-5, None),
        ({"at": 1}, None),
    ],
    ids=lambda value: repr(value)[:34],
)
def test_a_time_is_read_as(written: object, at: float | None) -> None:
    assert when(written) == at


@given(st.one_of(st.text(max_size=60), st.floats(), st.integers()))
def test_whatever_is_written_a_time_is_in_this_age_or_none(written: object) -> None:
    at = when(written)
    assert at is None or 0 < at < 4102444800


def test_a_date_without_a_year_is_the_last_one_before() -> None:
    assert without_year("Mar", 2, 12, 0, "UTC", NOON + 3600) == NOON
    new_year = when("2026-01-01T00:10:00Z")
    assert new_year is not None
    assert without_year("Dec", 31, 23, 50, "UTC", new_year) == new_year - 1200


def test_a_date_that_does_not_exist_is_taken_for_the_time_of_the_item() -> None:
    assert without_year("Feb", 30, 12, 0, "UTC", NOON) == NOON
    assert without_year("Abc", 3, 12, 0, "UTC", NOON) == NOON
    assert without_year("Mar", 3, 12, 0, "UTC", 0.0) == 0.0
