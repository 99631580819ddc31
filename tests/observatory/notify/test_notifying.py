"""Which states an incident's life tells, as a table and as playbooks; when, and how often tried."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Impact, Incident, Stage
from outlast.observatory.incident_life import TABLE
from outlast.observatory.notifying import (
    BEGINNINGS,
    GIVE_UP_S,
    LAST_RETRY_S,
    RULES,
    TRIES_MAX,
    UPDATES_SHOWN,
    Audience,
    audience,
    due_at,
    news,
    parcel_id,
    retry_at,
)
from outlast.observatory.subscribing import DEFAULT_STATES, EXTRA_STATES, Digest, Wanted
from tests.house.tree import ROOT
from tests.observatory.notify.people import AT, incident, step
from tests.playbook import Playbook

KINDS = sorted(RULES)


class Life:
    """An incident that grows; each event is a kind of update, or a change without one."""

    def __init__(self) -> None:
        self.now: Incident | None = None

    def handle(self, event: str) -> list[str]:
        kind, _, detail = event.partition(" ")
        old = self.now
        kinds = [one.kind for one in old.updates] if old is not None else []
        new = incident(*kinds, *([kind] if kind in RULES else []))
        carried = {"impact": old.impact, "cause": old.cause} if old is not None else {}
        changes: dict[str, object] = {**carried}
        if detail in list(Impact):
            changes["impact"] = Impact(detail)
        if kind == "cause" and detail:
            changes["cause"] = detail
        if detail == "into":
            changes["merged_into"] = "inc_b"
        if detail == "whole":
            changes["retracted"] = True
        self.now = msgspec.structs.replace(new, **changes)
        return [one.state.removeprefix("inc_a/") for one in news(old, self.now, {}, AT)]


def play() -> Playbook[str, str]:
    return Playbook([], Life().handle, str)


def test_a_whole_life_with_a_relapse() -> None:
    assert (
        play()
        >> "opened"
        << "opened"
        >> "confirmed"
        << "confirmed"
        >> "extended"
        << "extended.2"
        >> "monitoring"
        << "monitoring"
        >> "resolved"
        << "resolved"
        >> "relapsed"
        << "relapsed.1"
        >> "monitoring"
        << "monitoring.1"
        >> "resolved"
        << "resolved.1"
        >> "relapsed"
        << "relapsed.2"
    )


def test_what_wavers_is_one_state() -> None:
    assert (
        play()
        >> "opened"
        << "opened"
        >> "contradiction"
        << "contradiction"
        >> "contradiction"
        << "contradiction"  # the same state: the book has it already
        >> "confirmed"
        << "confirmed"
        >> "confirmed"
        << "confirmed"
    )


def test_a_change_is_told_only_where_the_impact_rises() -> None:
    assert (
        play()
        >> "opened minor"
        << "opened"
        >> "changed"
        >> "changed major"
        << "worse.major"
        >> "changed minor"
        >> "changed critical"
        << "worse.critical"
    )


def test_an_impact_that_rises_without_a_word_is_told_too() -> None:
    assert play() >> "opened minor" << "opened" >> "quietly major" << "worse.major"


def test_a_cause_is_told_once_each_and_unknown_never() -> None:
    assert (
        play()
        >> "opened"
        << "opened"
        >> "cause"
        >> "cause overload"
        << "cause.overload"
        >> "cause deploy"
        << "cause.deploy"
    )


def test_what_is_merged_into_another_ends_quietly_and_what_takes_it_in_says_nothing() -> None:
    assert play() >> "opened" << "opened" >> "merged" >> "merged into" << "merged.2"
    ended = step("opened", "merged", merged_into="inc_b")
    assert [(one.kind, one.ends) for one in ended] == [("merged", True)]
    assert "merged" not in DEFAULT_STATES + EXTRA_STATES  # nobody can ask for it: nobody hears it


def test_a_retracted_update_is_an_edit_and_a_retracted_incident_is_told() -> None:
    assert play() >> "opened" << "opened" >> "retracted" << "corrected.1"
    assert play() >> "opened" << "opened" >> "retracted whole" << "retracted"
    ended = step("opened", "retracted", retracted=True)
    assert [(one.kind, one.ends, one.audience) for one in ended] == [
        ("retracted", True, Audience.TOLD)
    ]


def test_every_kind_of_update_that_an_incident_can_have_is_in_the_table_with_its_reason() -> None:
    made = {kind for _, kind in TABLE.values()}
    assert made <= set(RULES)
    assert all(rule.why.endswith(".") for rule in RULES.values())
    told = {kind for kind in RULES if kind not in {"changed", "merged"}} | {"worse"}
    assert told == set(DEFAULT_STATES) | set(EXTRA_STATES)
    assert set(DEFAULT_STATES) >= BEGINNINGS


def test_ends_are_for_those_who_know_of_a_beginning_unless_they_want_ends_alone() -> None:
    (end,) = step("opened", "resolved")
    assert audience(end, Wanted()) is Audience.KNOWING
    assert audience(end, Wanted(states=("resolved",))) is Audience.ALL
    assert audience(end, Wanted(states=("confirmed", "resolved"))) is Audience.KNOWING


def test_an_extension_is_about_what_is_new_and_all_else_about_the_whole() -> None:
    (wider,) = step("opened", "extended", components={"a/api": "major_outage", "a/web": "degraded"})
    assert wider.components == ("anthropic/api",)  # what its update names
    (sure,) = step("opened", "confirmed", components={"a/api": "major_outage"})
    assert sure.components == ("a/api",)


def test_a_long_history_is_cut_and_what_was_missed_is_still_found() -> None:
    kinds = ["opened", *["changed"] * 40, "resolved"]
    (end,) = step(*kinds)
    assert len(end.incident.updates) == UPDATES_SHOWN
    assert end.first == 42 - UPDATES_SHOWN
    assert end.since(10 * 39 + 5) == end.incident.updates[-2:]
    assert end.since(5) == end.incident.updates  # more than is here
    assert end.since(-1) == end.incident.updates


@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=15),
    st.lists(st.sampled_from(list(Impact)), min_size=15, max_size=15),
)
def test_the_same_change_gives_the_same_states_in_rising_order(
    kinds: list[str], impacts: list[Impact]
) -> None:
    old: Incident | None = None
    seen: list[int] = []
    for count in range(1, len(kinds) + 1):
        new = incident(*kinds[:count], impact=impacts[count - 1])
        told = news(old, new, {}, AT)
        assert told == news(old, new, {}, AT)
        numbers = sorted(one.number for one in told)
        assert not seen or not numbers or numbers[0] > max(seen)
        seen += numbers
        assert all(one.state.startswith("inc_a/") and "." not in one.state[:6] for one in told)
        old = new
    assert new.stage in Stage


@pytest.mark.parametrize(
    ("why", "digest", "at", "due"),
    [
        ("at once", Digest.NOW, 10.5, 10.5),
        ("at the next full hour", Digest.HOURLY, 3601.0, 7200.0),
        ("on the hour, with the next", Digest.HOURLY, 3600.0, 7200.0),
        ("this morning", Digest.DAILY, 3 * 3600.0, 7 * 3600.0),
        ("tomorrow morning", Digest.DAILY, 7 * 3600.0, 31 * 3600.0),
    ],
)
def test_when_news_leave(why: str, digest: Digest, at: float, due: float) -> None:
    assert due_at(digest, at) == due, why


@pytest.mark.parametrize(
    ("why", "hour", "at", "due"),
    [
        ("the same day", 18, 7 * 3600.0, 18 * 3600.0),
        ("on its hour, with the next", 18, 18 * 3600.0, 42 * 3600.0),
        ("at midnight", 0, 1.0, 24 * 3600.0),
        ("at the last hour", 23, 0.0, 23 * 3600.0),
    ],
)
def test_a_daily_digest_leaves_at_the_hour_that_was_asked_for(
    why: str, hour: int, at: float, due: float
) -> None:
    assert due_at(Digest.DAILY, at, hour) == due, why


def test_pauses_double_to_an_hour_and_end_after_a_day() -> None:
    pauses = [retry_at(tries, 0.0, 0.0, 0.5) for tries in range(1, 12)]
    assert pauses[:4] == [15.0, 30.0, 60.0, 120.0]
    assert pauses[-1] == LAST_RETRY_S
    assert retry_at(TRIES_MAX, 0.0, 0.0, 0.5) is None
    assert retry_at(3, 0.0, GIVE_UP_S, 0.5) is None


def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_ever() -> None:
    assert retry_at(1, 0.0, 0.0, 0.5, 600.0) == 600.0
    assert retry_at(1, 0.0, 0.0, 0.5, 1e9) == 7200.0
    assert retry_at(1, 0.0, 0.0, 0.5, 1.0) == 15.0


@given(st.integers(1, 40), st.floats(0, 1e6), st.floats(0, 0.999), st.floats(0, 1e9))
def test_a_retry_is_always_later_and_never_beyond_a_day(
    tries: int, now: float, roll: float, retry_after_s: float
) -> None:
    at = retry_at(tries, now - 100.0, now, roll, retry_after_s)
    assert at is None or now < at <= now - 100.0 + GIVE_UP_S


def test_a_message_keeps_its_name_at_every_try_and_has_no_dot_in_it() -> None:
    one = parcel_id("sub_1", ["inc_a/opened", "inc_b/opened"])
    assert one == parcel_id("sub_1", ["inc_b/opened", "inc_a/opened"])
    assert one != parcel_id("sub_2", ["inc_a/opened", "inc_b/opened"])
    assert "." not in one


def test_the_page_about_notices_names_every_state() -> None:
    page = (ROOT / "docs/notices.md").read_text(encoding="utf-8")
    told = {row.split("`")[1].partition(".")[0] for row in page.splitlines() if row[:3] == "| `"}
    assert told == set(DEFAULT_STATES) | set(EXTRA_STATES)
    assert all(f"`{kind}`" in page for kind in set(RULES) - told)
