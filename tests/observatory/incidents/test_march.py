"""2 March 2026 as it is built in: what must be said of it, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.observatory.march import Told, at, listen, one_story

from outlast.nouns import Impact, Incident, Stage, Suspicion, Update
from outlast.observatory.rehearsal import open_rehearsal
from outlast.observatory.watch import Watch


@pytest.fixture(scope="module")
def told() -> Told:
    rehearsal, watch = open_rehearsal(Path("2026-03-02")), Watch()
    rehearsal.prepare(watch)
    return listen(rehearsal, watch)


def test_it_is_suspected_before_others_alarmed_and_confirmed_before_the_vendor_spoke(
    told: Told,
) -> None:
    assert at("11:37") < told.suspected_at < at("11:44")
    assert told.suspected_at < told.confirmed_at < at("11:49") <= told.vendor_at


def test_the_api_is_never_called_fine_while_it_fails_whatever_its_vendor_says(told: Told) -> None:
    assert (told.fine_s, told.hidden_s) == (0, 0)
    assert told.contradicted_s == pytest.approx(at("13:37") - at("12:22"), rel=0.1)


def test_its_relapse_belongs_to_the_same_story(told: Told) -> None:
    assert told.one_story
    assert told.relapses <= 1


def test_both_rumours_are_listed_unconfirmed_and_no_cause_is_claimed(told: Told) -> None:
    assert told.rumours == 2
    assert told.cause == ""


def test_a_reader_is_told_the_truth_at_each_hour(told: Told) -> None:
    looks = {time: (words, api, web) for time, words, api, web in told.looks}
    assert sorted(looks) == ["11:45", "12:30", "13:40", "15:30", "17:00"]
    assert all("Anthropic is failing" in words for words, _, _ in looks.values())
    assert "against the vendor's word" in looks["12:30"][1]
    assert not any("operational" in web for _, _, web in looks.values())


def written(name: str, opened: str, *entries: tuple[str, str], previous: str = "") -> Incident:
    updates = (("opened", opened), *entries)
    return Incident(
        name,
        "anthropic",
        at(opened),
        at(opened),
        Stage.INVESTIGATING,
        Impact.MAJOR,
        Suspicion.O_DOWN,
        {},
        {},
        tuple(Update(at(time), kind, Stage.INVESTIGATING, {}) for kind, time in updates),
        previous=previous,
    )


@pytest.mark.parametrize(
    ("incidents", "told_so"),
    [
        pytest.param([], False, id="nothing was said"),
        pytest.param([written("a", "11:40")], False, id="it was left open and nobody looked again"),
        pytest.param(
            [written("a", "11:40", ("relapsed", "13:00"))], False, id="an earlier relapse alone"
        ),
        pytest.param([written("a", "11:40", ("relapsed", "16:51"))], True, id="reopened"),
        pytest.param(
            [written("a", "11:40"), written("b", "16:52", previous="a")], True, id="a linked one"
        ),
        pytest.param([written("a", "11:40"), written("b", "16:52")], False, id="one of its own"),
        pytest.param(
            [written("a", "11:40"), written("b", "13:00", previous="a")],
            False,
            id="linked, and the relapse unseen",
        ),
    ],
)
def test_a_relapse_is_told_as_one_story_only_where_it_was_seen(
    incidents: list[Incident], told_so: bool
) -> None:
    assert one_story(incidents) is told_so
