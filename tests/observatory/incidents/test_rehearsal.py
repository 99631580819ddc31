"""Scripts and records: what they say, and what is said of those that cannot be played."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from outlast.nouns import Observation, Outcome
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.rehearsal import (
    BadRehearsal,
    from_script,
    open_rehearsal,
    read_script,
    rehearsals,
)
from outlast.observatory.replaying import Reread, Rumour, Step, Unread
from tests.observatory.incidents.days import GREEN, HEAD, day, span

T0 = 1_772_452_800.0
"""12:00 of the days' script."""


def steps(*tables: str, end: str = "13:00", seed: int = 1) -> list[Step]:
    return list(day(*tables, end=end, seed=seed).steps)


def observations(found: list[Step]) -> list[Observation]:
    return [step.what for step in found if isinstance(step.what, Observation)]


def test_every_rehearsal_that_is_built_in_can_be_read_and_has_a_title() -> None:
    found = rehearsals()
    assert found["2026-03-02"] == "2 March 2026"
    for name in found:
        assert open_rehearsal(Path(name)).start_at is not None


def test_traffic_comes_at_its_rate_and_fails_in_its_share() -> None:
    made = observations(
        steps(span("traffic", "a/api/m", "12:00", "13:00", per_minute=20.0, error_share=0.25))
    )
    failed = sum(one.outcome is Outcome.OVERLOADED for one in made)
    assert 1000 < len(made) < 1400
    assert 0.2 < failed / len(made) < 0.3
    assert len({one.id for one in made}) == len(made)


def test_probes_come_at_their_pace_from_their_place() -> None:
    made = observations(steps(span("probe", "a/web", "12:00", "12:30", every_s=60.0, place="lyon")))
    assert len(made) == 30
    assert {one.network for one in made} == {"lyon"}
    assert {b.at - a.at for a, b in pairwise(made)} == {60.0}


def test_reports_are_of_different_people_some_of_whom_say_that_it_works() -> None:
    made = observations(
        steps(
            span(
                "reports",
                "a/web",
                "12:00",
                "13:00",
                per_minute=10.0,
                works_share=0.3,
                regions=["FR", "US"],
            )
        )
    )
    works = sum(one.outcome is Outcome.OK for one in made)
    assert 0.2 < works / len(made) < 0.4
    assert len({one.reporter for one in made}) == len(made)
    assert set(Counter(one.region for one in made)) == {"FR", "US"}


def test_a_page_is_read_again_every_five_minutes_until_it_says_something_else() -> None:
    blind = '[[unread]]\nat = 2026-03-02T12:30:00Z\nprovider = "anthropic"\nreason = "503"'
    found = steps(GREEN, blind)
    assert [int(step.at - T0) // 60 for step in found if isinstance(step.what, Reread)] == [
        5, 10, 15, 20, 25,
    ]  # fmt: skip
    assert isinstance(found[0].what, FeedPage)
    assert isinstance(found[-1].what, Unread)


def test_a_script_is_played_in_order_and_the_same_each_time() -> None:
    tables = [
        span("traffic", "a/api", "12:00", "13:00", per_minute=5.0, error_share=0.5),
        span("reports", "a/web", "12:00", "13:00", per_minute=2.0),
        GREEN,
    ]
    once, twice, other = steps(*tables), steps(*tables), steps(*tables, seed=2)
    assert once == twice
    assert once != other
    assert [step.at for step in once] == sorted(step.at for step in once)


def test_usual_days_come_before_the_script_at_their_rate() -> None:
    rehearsal = day('[[usual]]\ncomponent = "a/web"\nper_day = 100.0\ndays = 10')
    first, counts = rehearsal.warm["a/web"]
    assert len(counts) == 14_400
    assert (first + 14_400) * 60 == T0
    assert 850 < sum(counts) < 1150


HEADED = HEAD.format(end="13:00", seed=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "no script that can be played"),
        ('title = "x"', "missing required field `from`"),
        (HEADED + "colour = 3", "unknown field `colour`"),
        (HEADED + '[[traffic]]\ncomponent = "a/b"', "missing required field"),
        (HEADED.replace("T13:00", "T11:00"), "ends before it begins"),
    ],
    ids=["no TOML", "without a time", "an unknown word", "half a table", "time going back"],
)
def test_a_script_that_cannot_be_played_says_why(text: str, words: str) -> None:
    with pytest.raises(BadRehearsal, match=words):
        from_script(read_script(text))


def test_a_name_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(BadRehearsal, match=r"There is no file nope\. Built in: 2026-03-02"):
        open_rehearsal(Path("nope"))
    with pytest.raises(BadRehearsal, match="There is no file"):
        open_rehearsal(tmp_path / "2026-03-02.toml")


def record(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "day.jsonl"
    written = [one if isinstance(one, bytes) else msgspec.json.encode(one) for one in lines]
    path.write_bytes(b"\n".join(written) + b"\n")
    return path


def test_a_record_is_played_in_order_even_if_its_lines_are_not(tmp_path: Path) -> None:
    one = Observation(T0, "attempt", "a/api", Outcome.OK, id="1")
    page = FeedPage("a", "a", "statuspage", T0 + 2)
    path = record(
        tmp_path,
        {"at": T0 + 9, "rumour": Rumour("a", "cause", {"en": "x", "fr": "x"}, ("s",))},
        b"",
        {"at": T0 + 2, "page": page},
        {"at": T0, "observation": one},
        {"at": T0 + 5, "reread": Reread("a")},
        {"at": T0 + 7, "unread": Unread("a", "503")},
    )
    found = list(open_rehearsal(path).steps)
    assert [int(step.at - T0) for step in found] == [0, 2, 5, 7, 9]
    assert found[0].what == one
    assert found[1].what == page


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "day.jsonl:2 cannot be read"),
        (b'{"at": "noon"}', "day.jsonl:2 cannot be read"),
        (b'{"at": 1}', "day.jsonl:2 says nothing that happened"),
        (b'\xff{"at": 1}', "day.jsonl:2 cannot be read"),
    ],
    ids=["half a line", "a wrong time", "an empty line of evidence", "bytes that are no text"],
)
def test_a_line_that_cannot_be_read_is_named_by_its_number(
    tmp_path: Path, line: bytes, words: str
) -> None:
    good = {"at": T0, "observation": Observation(T0, "attempt", "a/api", Outcome.OK)}
    path = record(tmp_path, json.dumps(msgspec.to_builtins(good)).encode(), line)
    with pytest.raises(BadRehearsal, match=words):
        list(open_rehearsal(path).steps)


def test_bytes_that_are_no_text_are_no_script(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadRehearsal, match="not UTF-8"):
        open_rehearsal(path)
