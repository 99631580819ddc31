"""When it is seven o'clock somewhere."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.notifying import next_at
from outlast.observatory.zones import is_zone, zone_of

ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("why", "hour", "zone", "now", "then"),
    [
        ("winter in Paris", 7, "Europe/Paris", "2026-01-10T05:59Z", "2026-01-10T06:00Z"),
        ("summer in Paris", 7, "Europe/Paris", "2026-07-10T04:59Z", "2026-07-10T05:00Z"),
        ("on the hour: the next day's", 7, "UTC", "2026-01-10T07:00Z", "2026-01-11T07:00Z"),
        ("yesterday there", 22, "America/New_York", "2026-01-10T02:30Z", "2026-01-10T03:00Z"),
        ("tomorrow there", 6, "Asia/Kolkata", "2026-01-10T23:00Z", "2026-01-11T00:30Z"),
        ("an hour that is skipped", 2, "Europe/Paris", "2026-03-28T12:00Z", "2026-03-29T01:00Z"),
        ("the night is shorter", 7, "Europe/Paris", "2026-03-28T06:00Z", "2026-03-29T05:00Z"),
        ("an hour twice: once", 2, "Europe/Paris", "2026-10-25T00:00Z", "2026-10-26T01:00Z"),
    ],
)
def test_an_hour_comes_when_clocks_there_show_it(
    why: str, hour: int, zone: str, now: str, then: str
) -> None:
    where = zone_of(zone)
    assert where is not None
    found = next_at(hour, where, at(now))
    assert datetime.fromtimestamp(found, UTC) == datetime.fromisoformat(then), why


@given(
    hour=st.integers(0, 23),
    zone=st.sampled_from(ZONES),
    now=st.floats(0, 4e9, allow_nan=False),
)
def test_it_comes_once_a_day(hour: int, zone: str, now: float) -> None:
    where = zone_of(zone)
    assert where is not None
    found = next_at(hour, where, now)
    assert now < found <= now + 26 * 3600
    assert next_at(hour, where, found) > found + 21 * 3600


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires"])
def test_zones_are_known(name: str) -> None:
    assert zone_of(name) is not None


@pytest.mark.parametrize(
    "name",
    ["", "Paris", "Europe", "Europe/", "/etc/passwd", "../../etc/passwd", "Europe/../Europe/Paris",
     "europe paris", "Europe/Paris\x00", "x" * 5000, "Zürich", "UTC\n"],
)  # fmt: skip
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_of(name) is None


def test_without_the_database_of_zones_there_is_utc_alone() -> None:
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        if not zoneinfo.available_timezones():
            assert not is_zone("Europe/Paris")
        assert is_zone("UTC")
    finally:
        zoneinfo.reset_tzpath()
