"""One component: its streams, what they say at a moment, and how long they go on saying it."""

from __future__ import annotations

import pytest

from outlast.nouns import Component, Observation, Outcome, Status, Suspicion
from outlast.observatory.vendors import VendorPage
from outlast.observatory.watched import VANTAGES_MAX, Watched, Window

T0 = 1_772_451_000.0
API = Component("anthropic", "api")


def watched(name: str = "anthropic/api") -> Watched:
    return Watched(Component.parse(name), rate=0.1)


def tries(
    one: Watched,
    start: float,
    count: int,
    *,
    every_s: float = 6.0,
    failing: int = 0,
    source: str = "attempt",
    place: str = "",
) -> float:
    """Make `count` tries; the first `failing` of every ten fail. Returns when the last was."""
    at = start
    for number in range(count):
        at = start + number * every_s
        outcome = Outcome.SERVER_ERROR if number % 10 < failing else Outcome.OK
        one.observe(Observation(at, source, one.component.name, outcome, network=place), at, "here")
    return at


def kinds(one: Watched, now: float) -> dict[str, bool]:
    return {e.kind: e.fired for e in one.look(None, "here", now).evidence}


def test_a_window_counts_whole_minutes_back() -> None:
    window = Window()
    for minute in range(10):
        window.add(minute % 2 == 0, 1.0, 60.0 * minute)
    assert window.sums(540.0, 300.0) == (2, 5)
    assert window.sums(540.0, 3000.0) == (5, 10)
    assert window.sums(5000.0, 300.0) == (0, 0)


@pytest.mark.parametrize(
    ("outcome", "seen"),
    [
        (Outcome.OVERLOADED, True),
        (Outcome.TIMEOUT, True),
        (Outcome.BROKEN_STREAM, True),
        (Outcome.RATE_LIMITED, False),
        (Outcome.AUTH, False),
        (Outcome.CALLER_ERROR, False),
        (Outcome.CLIENT_GONE, False),
        (Outcome.MISFIT, False),
    ],
)
def test_only_what_is_the_providers_fault_is_held_against_it(outcome: Outcome, seen: bool) -> None:
    one = watched()
    for number in range(60):
        at = T0 + number
        one.observe(Observation(at, "attempt", API.name, outcome), at, "here")
    state = one.look(None, "here", T0 + 60)
    assert (state.suspicion is Suspicion.S_DOWN) is seen


def test_requests_and_our_own_probes_are_one_kind_and_another_place_is_a_second() -> None:
    one = watched()
    tries(one, T0, 40, failing=9)
    end = tries(one, T0, 40, failing=9, source="probe")
    assert one.look(None, "here", end).suspicion is Suspicion.S_DOWN
    end = tries(one, end, 40, failing=9, source="probe", place="elsewhere")
    state = one.look(None, "here", end)
    assert state.suspicion is Suspicion.O_DOWN
    assert state.status is Status.MAJOR


def test_other_places_speak_when_half_of_them_fail() -> None:
    one = watched()
    tries(one, T0, 40, failing=9, source="probe", place="a")
    for place in ("b", "c"):
        end = tries(one, T0, 40, source="probe", place=place)
    assert kinds(one, end) == {"elsewhere": False}
    tries(one, T0, 40, failing=9, source="probe", place="d")
    assert kinds(one, end) == {"elsewhere": True}


def test_more_places_than_there_is_room_for_are_not_listened_to() -> None:
    one = watched()
    for number in range(VANTAGES_MAX + 5):
        end = tries(one, T0, 3, source="probe", place=f"place {number}")
    (evidence,) = one.look(None, "here", end).evidence
    assert evidence.total == 3 * VANTAGES_MAX


def test_one_failure_after_a_pause_is_no_relapse_and_three_are() -> None:
    one = watched()
    end = tries(one, T0, 40, failing=9)
    assert kinds(one, end)["traffic"]
    end = tries(one, end + 60, 30, every_s=20.0)
    assert not kinds(one, end)["traffic"]
    lone = Observation(end + 10, "attempt", API.name, Outcome.SERVER_ERROR)
    one.observe(lone, end + 10, "here")
    assert not kinds(one, end + 20)["traffic"]
    for second in (20, 30):
        one.observe(lone, end + second, "here")
    assert kinds(one, end + 40)["traffic"]


def test_a_stream_without_tries_for_half_an_hour_says_nothing() -> None:
    one = watched()
    end = tries(one, T0, 40, failing=9)
    assert kinds(one, end + 1700)
    assert kinds(one, end + 1900) == {}


def people(one: Watched, start: float, count: int, every_s: float) -> float:
    for number in range(count):
        at = start + number * every_s
        one.observe(
            Observation(
                at,
                "report",
                "anthropic/web",
                Outcome.SERVER_ERROR,
                reporter=f"{start} {number}",
                network=f".as{number}.n",
            ),
            at,
            "here",
        )
    return start + count * every_s


@pytest.fixture
def crowded() -> tuple[Watched, float]:
    """The web after two weeks of a report each half hour, and then forty within ten minutes."""
    one = watched("anthropic/web")
    minutes = 15 * 1440
    first = int(T0 // 60) - minutes
    one.warm(first, [float(minute % 30 == 0) for minute in range(minutes)])
    return one, people(one, T0, 40, 15.0)


def test_people_are_heard_while_they_speak_and_no_longer(crowded: tuple[Watched, float]) -> None:
    one, end = crowded
    assert kinds(one, end + 60) == {"report": True}
    assert kinds(one, end + 1200) == {"report": False}
    state = one.look(None, "here", end + 1260)
    assert state.suspicion is Suspicion.NONE
    assert state.evidence[0].log_odds == 0


def test_what_people_say_later_again_began_later(crowded: tuple[Watched, float]) -> None:
    one, end = crowded
    first = one.look(None, "here", end).evidence[0].since_at
    one.look(None, "here", end + 1800)
    again = people(one, end + 3000, 40, 15.0)
    for second in range(0, 600, 60):
        state = one.look(None, "here", end + 3000 + second)
    assert T0 - 120 <= first <= T0 + 600
    assert state.evidence[0].fired
    assert end + 3000 <= state.evidence[0].since_at <= again


@pytest.mark.parametrize("failing", [0, 9])
def test_a_crowd_is_a_nuisance_unless_other_evidence_confirms_it(
    crowded: tuple[Watched, float], failing: int
) -> None:
    one, end = crowded
    tries(one, end - 240, 40, failing=failing, source="probe")
    down = one.look(None, "here", end).suspicion is Suspicion.O_DOWN
    one.look(None, "here", end + 3 * 3600)
    assert down is (failing > 0)
    assert len(one.crowd.past) == (0 if down else 1)


def test_parts_of_a_surface_have_no_crowd_of_their_own() -> None:
    one = watched("anthropic/api/m")
    tries(one, T0, 10)
    one.look(None, "here", T0 + 3600)
    assert one.crowd.last_at is None


def test_what_was_learnt_is_taken_up_again(crowded: tuple[Watched, float]) -> None:
    one, end = crowded
    one.look(None, "here", end)
    other = watched("anthropic/web")
    other.recall(one.crowd, one.rate)
    other.look(None, "here", end + 120)
    assert other.crowd.last_at is not None
    assert other.crowd.last_at > end - 60


def test_a_vendors_page_is_one_more_kind() -> None:
    one, page = watched(), VendorPage("anthropic")
    tries(one, T0, 40, failing=9)
    state = one.look(page, "here", T0 + 240)
    assert [e.kind for e in state.evidence] == ["traffic", "notice"]
    assert state.evidence[1].log_odds == 0
