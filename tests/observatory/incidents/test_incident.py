"""The life of an incident, as conversations: what is seen goes in, what is written comes out.

What comes out is `number of the incident, kind of the update → stage`.
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import (
    ComponentState,
    Evidence,
    Incident,
    Notice,
    NoticeUpdate,
    Stage,
    Status,
    Suspicion,
    Update,
)
from outlast.observatory.incident import CALM_S, REOPEN_S, Incidents
from outlast.observatory.incident_life import TABLE, Event
from tests.playbook import Playbook

T0 = 1_772_451_600.0
API, WEB, LOGIN = "anthropic/api", "anthropic/web", "anthropic/login"
MIN = 60.0


class Look(msgspec.Struct, frozen=True):
    """Component states at a minute: `name: word`, word one of fine, bad, sure, worse."""

    at: float
    seen: dict[str, str]
    contradiction: str = ""


class Wait(msgspec.Struct, frozen=True):
    at: float


class Said(msgspec.Struct, frozen=True):
    at: float
    stage: str
    touched: tuple[str, ...] = ()
    id: str = "n1"


WORDS = {
    "fine": (Suspicion.NONE, Status.OPERATIONAL),
    "bad": (Suspicion.S_DOWN, Status.PARTIAL),
    "sure": (Suspicion.O_DOWN, Status.PARTIAL),
    "worse": (Suspicion.O_DOWN, Status.MAJOR),
}


def state(component: str, word: str, at: float, contradiction: str = "") -> ComponentState:
    suspicion, status = WORDS[word]
    failing = suspicion is not Suspicion.NONE
    kinds = ("traffic", "report") if suspicion is Suspicion.O_DOWN else ("traffic",)
    evidence = tuple(
        Evidence(
            kind,
            at,
            5.0 if failing else -2.0,
            failures=8 * failing,
            total=10,
            fired=failing,
        )
        for kind in kinds
    )
    return ComponentState(
        component,
        status,
        suspicion,
        0.97 if failing else 0.01,
        at,
        at,
        evidence,
        contradiction if failing else "",
    )


class House:
    """An Incidents and what it has written so far."""

    def __init__(self) -> None:
        self.incidents = Incidents()
        self.written: dict[str, int] = {}

    def __call__(self, event: Look | Wait | Said) -> list[str]:
        now = T0 + event.at * MIN
        match event:
            case Look():
                states = [
                    state(name, word, now, event.contradiction) for name, word in event.seen.items()
                ]
                changed = self.incidents.states(states, now)
            case Wait():
                changed = self.incidents.tick(now)
            case Said():
                update = NoticeUpdate(now, event.stage, "We are looking into it.")
                notice = Notice("anthropic", "page", event.id, "incident", "Errors", started_at=now)
                touched = dict.fromkeys(event.touched, Status.PARTIAL)
                changed = self.incidents.notice(notice, touched, [update], now)
        return [line for incident in changed for line in self.new(incident)]

    def new(self, incident: Incident) -> list[str]:
        number = list(self.written).index(incident.id) + 1 if incident.id in self.written else 0
        before = self.written.get(incident.id, 0)
        self.written[incident.id] = len(incident.updates)
        number = number or len(self.written)
        return [f"{number} {u.kind} → {u.stage}" for u in incident.updates[before:]]


def play() -> Playbook[Look | Wait | Said, str]:
    return Playbook([], House(), str)


def test_from_the_first_suspicion_to_the_end() -> None:
    assert (
        play()
        >> Look(0, {API: "bad"})
        << "1 opened → investigating"
        >> Look(3, {API: "sure"})
        << "1 confirmed → investigating"
        >> Look(8, {API: "worse"})
        << "1 changed → investigating"
        >> Look(40, {API: "fine"})
        << "1 monitoring → monitoring"
        >> Wait(54)
        >> Wait(55)
        << "1 resolved → resolved"
        >> Wait(56)
    )


def test_what_fails_within_the_hour_is_the_same_outage() -> None:
    assert (
        play()
        >> Look(0, {WEB: "bad"})
        << "1 opened → investigating"
        >> Look(30, {LOGIN: "bad"})
        << "1 extended → investigating"
        >> Look(80, {API: "bad"})
        << "1 extended → investigating"
        >> Look(90, {WEB: "fine", LOGIN: "fine"})
        >> Look(95, {API: "fine"})
        << "1 monitoring → monitoring"
    )


def test_what_fails_hours_later_and_elsewhere_is_another_outage() -> None:
    assert (
        play()
        >> Look(0, {WEB: "bad"})
        << "1 opened → investigating"
        >> Look(200, {API: "bad"})
        << "2 opened → investigating"
    )


def test_two_surfaces_that_fail_at_once_open_one_incident() -> None:
    assert (
        play()
        >> Look(0, {WEB: "bad", API: "bad", "openai/api": "bad"})
        << "1 opened → investigating"
        << "2 opened → investigating"
    )


def test_a_relapse_while_we_watch_is_counted() -> None:
    house = House()
    assert (
        Playbook([], house, str)
        >> Look(0, {API: "bad"})
        << "1 opened → investigating"
        >> Look(10, {API: "fine"})
        << "1 monitoring → monitoring"
        >> Look(20, {API: "bad"})
        << "1 relapsed → investigating"
        >> Wait(30)
        >> Look(40, {API: "fine"})
        << "1 monitoring → monitoring"
        >> Wait(55)
        << "1 resolved → resolved"
    )
    (incident,) = [house.incidents.find(name) for name in house.written]
    assert incident is not None
    assert incident.relapses == 1
    assert incident.resolved_at == T0 + 40 * MIN


def test_back_within_the_hour_reopens_it_and_later_begins_one_that_names_it() -> None:
    house = House()
    assert (
        Playbook([], house, str)
        >> Look(0, {API: "bad"})
        << "1 opened → investigating"
        >> Look(10, {API: "fine"})
        << "1 monitoring → monitoring"
        >> Wait(25)
        << "1 resolved → resolved"
        >> Look(10 + REOPEN_S / 60, {API: "bad"})
        << "1 relapsed → investigating"
        >> Look(80, {API: "fine"})
        << "1 monitoring → monitoring"
        >> Wait(95)
        << "1 resolved → resolved"
        >> Look(81 + REOPEN_S / 60, {API: "bad"})
        << "2 opened → investigating"
    )
    first, second = (house.incidents.find(name) for name in house.written)
    assert first is not None
    assert second is not None
    assert second.previous == first.id
    assert first.id in second.updates[0].text["fr"]


def test_the_vendors_words_are_written_down_and_only_its_cause_moves_the_stage() -> None:
    assert (
        play()
        >> Look(0, {WEB: "bad"})
        << "1 opened → investigating"
        >> Said(5, "investigating", (WEB,))
        << "1 vendor → investigating"
        >> Said(9, "identified", (WEB,))
        << "1 vendor → identified"
        >> Said(20, "resolved", (WEB,))
        << "1 vendor → identified"
        >> Look(21, {WEB: "fine"})
        << "1 monitoring → monitoring"
    )


def test_a_notice_that_names_two_outages_makes_them_one() -> None:
    house = House()
    assert (
        Playbook([], house, str)
        >> Look(0, {WEB: "bad"})
        << "1 opened → investigating"
        >> Look(200, {API: "sure"})
        << "2 opened → investigating"
        << "2 confirmed → investigating"
        >> Said(210, "investigating", (WEB, API))
        << "1 merged → investigating"
        << "1 vendor → investigating"
        << "2 merged → resolved"
        >> Look(220, {WEB: "fine"})
        >> Look(230, {API: "fine"})
        << "1 monitoring → monitoring"
    )
    first, second = (house.incidents.find(name) for name in house.written)
    assert first is not None
    assert second is not None
    assert second.merged_into == first.id
    assert set(first.components) == {WEB, API}
    assert first.suspicion is Suspicion.O_DOWN


def test_a_notice_without_any_outage_of_ours_changes_nothing() -> None:
    assert play() >> Said(0, "investigating", (WEB,))


def test_a_contradiction_is_said_once_and_again_when_it_comes_back() -> None:
    assert (
        play()
        >> Look(0, {API: "bad"})
        << "1 opened → investigating"
        >> Look(12, {API: "bad"}, "vendor_says_fine")
        << "1 contradiction → investigating"
        >> Look(13, {API: "bad"}, "vendor_says_fine")
        >> Look(14, {API: "bad"})
        >> Look(15, {API: "bad"}, "vendor_says_fine")
        << "1 contradiction → investigating"
    )


def test_our_own_upstreams_open_no_incident_of_their_own() -> None:
    assert play() >> Look(0, {"outlast/upstream/main": "bad"})


def test_after_a_restart_the_life_goes_on_where_it_was() -> None:
    house = House()
    house(Look(0, {API: "bad"}))
    house(Look(10, {API: "fine"}))
    again = House()
    again.incidents.restore(house.incidents.open())
    again.written = dict(house.written)
    assert (
        Playbook([], again, str)
        >> Wait(24)
        >> Wait(25)
        << "1 resolved → resolved"
        >> Look(30, {API: "bad"})
        << "1 relapsed → investigating"
    )


def test_a_restart_says_no_contradiction_and_no_failure_again() -> None:
    house = House()
    house(Look(0, {API: "bad"}))
    house(Look(12, {API: "bad"}, "vendor_says_fine"))
    again = House()
    last = state(API, "bad", T0 + 12 * MIN, "vendor_says_fine")
    again.incidents.restore(house.incidents.open(), [last])
    again.written = dict(house.written)
    assert (
        Playbook([], again, str)
        >> Look(13, {API: "bad"}, "vendor_says_fine")
        >> Look(14, {API: "worse"}, "vendor_says_fine")
        << "1 confirmed → investigating"
        << "1 changed → investigating"
    )


ENDED: dict[str, dict[str, object]] = {
    "resolve": {"stage": Stage.RESOLVED, "resolved_at": T0 + MIN},
    "retract": {"stage": Stage.RESOLVED, "resolved_at": T0 + MIN, "retracted": True},
}


def ended_by_an_operator(how: str) -> House:
    house = House()
    house(Look(0, {API: "bad"}))
    (incident,) = house.incidents.open()
    word = Update(T0 + MIN, "resolved", Stage.RESOLVED, {"en": "Over.", "fr": "Fini."}, "ana")
    house.incidents.add(incident.id, word, **ENDED[how])
    house.written[incident.id] += 1
    return house


@pytest.mark.parametrize("how", ENDED)
def test_what_an_operator_ends_while_it_fails_stays_over_a_restart_too(how: str) -> None:
    house = ended_by_an_operator(how)
    assert Playbook([], house, str) >> Look(2, {API: "bad"})
    again = House()
    again.incidents.restore(house.incidents.kept(), [state(API, "bad", T0 + 2 * MIN)])
    again.written = dict(house.written)
    assert Playbook([], again, str) >> Look(3, {API: "bad"})


@pytest.mark.parametrize(
    ("how", "told"),
    [
        pytest.param("resolve", "1 relapsed → investigating", id="what was over is back"),
        pytest.param("retract", "2 opened → investigating", id="what was none never comes back"),
    ],
)
def test_the_next_failure_after_an_operators_word_is_told(how: str, told: str) -> None:
    house = ended_by_an_operator(how)
    assert (
        Playbook([], house, str)
        >> Look(2, {API: "bad"})
        >> Look(5, {API: "fine"})
        >> Look(20, {API: "bad"})
        << told
    )
    (incident,) = house.incidents.open()
    assert incident.previous == ""


def test_an_incident_that_nobody_confirmed_says_so_at_its_end() -> None:
    house = House()
    house(Look(0, {API: "bad"}))
    house(Look(10, {API: "fine"}))
    house(Wait(25))
    incident = house.incidents.find(next(iter(house.written)))
    assert incident is not None
    assert "never confirmed" in incident.updates[-1].text["en"]
    assert "confirmée" in incident.updates[-1].text["fr"]


def test_the_title_names_a_model_only_where_its_surface_is_not_named() -> None:
    house = House()
    house(Look(0, {f"{API}/claude-x": "bad"}))
    (incident,) = house.incidents.open()
    assert incident.title["en"] == "Anthropic: partial outage (API (claude-x))"
    house(Look(1, {API: "bad"}))
    (incident,) = house.incidents.open()
    assert incident.title["en"] == "Anthropic: partial outage (API)"
    assert incident.title["fr"] == "Anthropic\u00a0: panne partielle (API)"


def test_what_was_added_from_outside_is_kept_in_its_place() -> None:
    house = House()
    house(Look(0, {API: "bad"}))
    (incident,) = house.incidents.open()
    note = Update(T0 + 1, "annotated", Stage.INVESTIGATING, {"en": "Seen too.", "fr": "Vu."}, "ana")
    changed = house.incidents.add(incident.id, note)
    assert changed is not None
    assert changed.updates == (*incident.updates, note)
    assert house.incidents.add("inc_none", note) is None


def test_every_row_of_the_table_leads_to_a_stage_that_has_a_way_out() -> None:
    stages = {stage for stage, _ in TABLE.values()}
    assert {stage for stage, _ in TABLE} == stages == set(Stage)
    assert {event for _, event in TABLE} == set(Event)


words = st.sampled_from(sorted(WORDS))
looks = st.lists(
    st.tuples(st.floats(0.5, 90), st.dictionaries(st.sampled_from([API, WEB, LOGIN]), words)),
    max_size=25,
)


@given(looks)
def test_whatever_is_seen_history_only_grows_and_nothing_resolves_while_it_fails(
    steps: list[tuple[float, dict[str, str]]],
) -> None:
    house = House()
    history: dict[str, tuple[Update, ...]] = {}
    now = 0.0
    failing: set[str] = set()
    for minutes, seen in steps:
        now += minutes
        house(Wait(now))
        house(Look(now, seen))
        failing = (failing | {c for c, w in seen.items() if w != "fine"}) - {
            c for c, w in seen.items() if w == "fine"
        }
        for name in house.written:
            incident = house.incidents.find(name)
            if incident is None:
                continue
            before = history.get(name, ())
            assert incident.updates[: len(before)] == before
            history[name] = incident.updates
            if incident.stage is Stage.RESOLVED and not incident.merged_into:
                assert incident.resolved_at is not None
                assert incident.resolved_at >= incident.started_at
        covered = {c for one in house.incidents.open() for c in one.components}
        assert failing <= covered
    house(Wait(now + CALM_S / 60 + 1))
    assert bool(house.incidents.open()) == bool(failing)
