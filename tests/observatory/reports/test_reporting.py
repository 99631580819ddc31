"""Reports as conversations: whose voice counts, how much, and what is only estimated."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.nouns import Observation, Outcome, Scope
from outlast.observatory.proof import LIFE_S, Proof
from outlast.observatory.report_nouns import Limits, Report, Verdict
from outlast.observatory.reporting import REGION_MIN, Reporting
from tests.observatory.reports.voices import NOON, WEB, keep, name_with, says, take
from tests.playbook import Playbook

MINUTE = 60.0


class Says(msgspec.Struct, frozen=True):
    """Somebody reports, so many minutes past noon."""

    who: str
    works: bool
    minute: float
    more: dict[str, object] = {}


def play(limits: Limits | None = None) -> Playbook[Says, str]:
    """After each report: its verdict, and how many say "not working" and "working" then."""
    reporting = Reporting(limits)

    def handle(event: Says) -> list[str]:
        at = NOON + event.minute * MINUTE
        decision = take(reporting, says(event.who, event.works, **event.more), at)
        against, works = reporting.others(WEB, at)
        return [f"{decision.verdict.value}: {against} to {works}"]

    return Playbook([], handle, str)


def test_one_voice_per_reporter() -> None:
    assert (
        play()
        >> Says("ann", False, 0)
        << "counted: 1 to 0"
        >> Says("bob", False, 0)
        << "counted: 2 to 0"
        >> Says("ann", False, 1)
        << "again: 2 to 0"
        >> Says("ann", True, 2)
        << "changed: 1 to 1"
        >> Says("ann", False, 3)
        << "changed: 2 to 0"
    )


def test_a_voice_fades_after_the_window_and_lasts_when_it_is_raised_again() -> None:
    assert (
        play()
        >> Says("ann", False, 0)
        << "counted: 1 to 0"
        >> Says("bob", False, 0)
        << "counted: 2 to 0"
        >> Says("ann", False, 6)
        << "again: 2 to 0"
        >> Says("cid", False, 15.1)
        << "counted: 2 to 0"
        >> Says("bob", False, 21.2)
        << "counted: 2 to 0"
    )


def test_a_request_that_is_sent_again_changes_nothing_even_after_a_change() -> None:
    assert (
        play()
        >> Says("ann", False, 0, {"id": "first"})
        << "counted: 1 to 0"
        >> Says("ann", True, 1, {"id": "second"})
        << "changed: 0 to 1"
        >> Says("ann", False, 2, {"id": "first"})
        << "again: 0 to 1"
    )


def test_a_reporter_is_slowed_and_keeps_the_voice() -> None:
    book = play() >> Says("ann", False, 0) << "counted: 1 to 0"
    for number in range(5):
        now = "changed: 0 to 1" if number % 2 == 0 else "changed: 1 to 0"
        book = book >> Says("ann", number % 2 == 0, 0) << now
    assert (
        book
        >> Says("ann", False, 0)
        << "limited: 0 to 1"
        >> Says("ann", False, 0.2)
        << "changed: 1 to 0"
    )


def test_midnight_makes_nobody_a_second_person() -> None:
    moved: dict[str, object] = {"earlier_reporter": "ann", "earlier_network": ".gann.nann"}
    assert (
        play()
        >> Says("ann", False, 0)
        << "counted: 1 to 0"
        >> Says("ann-today", False, 1, moved)
        << "again: 1 to 0"
        >> Says("ann-today", True, 2, moved)
        << "changed: 0 to 1"
    )


def test_after_midnight_a_network_keeps_its_label_while_it_has_voices() -> None:
    reporting = Reporting()
    for number in range(30):
        take(reporting, says(f"a{number}", network=".old.old"), NOON)
    late = [
        take(
            reporting,
            says(f"b{number}", network=".new.new", earlier_network=".old.old"),
            NOON + MINUTE,
        )
        for number in range(30)
    ]
    assert {one.observation.network for one in late if one.observation} == {".old.old"}
    assert reporting.window(WEB, NOON + MINUTE).not_working == 2


def test_yesterdays_labels_are_wanted_only_while_somebody_stands_under_them() -> None:
    reporting, midnight = Reporting(), NOON + 60
    assert not reporting.carries(midnight)
    take(reporting, says("ann", network=".old.n"), NOON)
    assert reporting.carries(midnight)
    moved: dict[str, Any] = {"network": ".new.m", "earlier_network": ".old.m"}
    assert take(reporting, says("bob", **moved), NOON + 600).carried
    assert not take(reporting, says("cid"), NOON + 610).carried
    reporting.decide(says("dan"), NOON + 1499)
    assert reporting.carries(midnight)
    reporting.decide(says("dan"), NOON + 1501)
    assert not reporting.carries(midnight)


def test_after_a_start_yesterdays_labels_are_wanted_for_a_window() -> None:
    said: list[Observation] = []
    keep(Reporting(), says("ann"), NOON - 10, said)
    reporting = Reporting()
    reporting.restore(said, NOON)
    assert reporting.carries(NOON - 60)
    reporting.decide(says("ben"), NOON + 901)
    assert not reporting.carries(NOON - 60)


def test_after_a_start_with_nobody_s_voice_yesterdays_labels_are_not_wanted() -> None:
    reporting = Reporting()
    reporting.restore([], NOON)
    assert not reporting.carries(NOON - 60)


def test_surfaces_are_apart_and_models_and_regions_are_parts() -> None:
    reporting = Reporting()
    where: dict[str, Any] = {"component": "anthropic/api", "model": "opus", "region": "fr"}
    take(reporting, says("ann", **where), NOON)
    take(reporting, says("ann"), NOON)
    assert reporting.components(NOON) == [
        "anthropic/api",
        "anthropic/api/opus",
        "anthropic/api/opus@fr",
        "anthropic/api@fr",
        WEB,
    ]
    assert reporting.components(NOON + 901) == []


def test_an_observation_says_what_was_reported_and_no_more() -> None:
    reporting = Reporting()
    report = says("ann", model="opus", region="fr", symptom="slow", id="key")
    assert take(reporting, report, NOON).observation == Observation(
        at=NOON,
        source="report",
        component=f"{WEB}/opus",
        outcome=Outcome.SERVER_ERROR,
        scope=Scope.PROVIDER,
        id="report/key",
        region="fr",
        network=".gann.nann",
        reporter="ann",
        symptom="slow",
    )
    good = take(reporting, says("bob", True, symptom="slow"), NOON).observation
    assert good is not None
    assert (good.outcome, good.scope, good.symptom) == (Outcome.OK, Scope.NONE, "")


def test_two_reports_of_one_moment_have_two_ids() -> None:
    reporting = Reporting()
    ids = {
        take(reporting, says("ann", works, region=region), NOON).id
        for works in (False, True)
        for region in ("", "fr")
    }
    assert len(ids) == 4


RECEIPTS = [
    pytest.param(False, {"receipt": "r", "receipt_ok": False}, 3, id="a failed one: it did not"),
    pytest.param(True, {"receipt": "r", "receipt_ok": True}, 3, id="a good one: it worked"),
    pytest.param(False, {"receipt": "r", "receipt_ok": True}, 1, id="one that says otherwise"),
    pytest.param(False, {}, 1, id="none"),
]


@pytest.mark.parametrize(("works", "shown", "weight"), RECEIPTS)
def test_a_receipt_raises_the_weight_of_what_it_shows(
    works: bool, shown: dict[str, Any], weight: int
) -> None:
    observation = take(Reporting(), says("ann", works, **shown), NOON).observation
    assert observation is not None
    assert observation.weight == weight


def test_a_receipt_raises_one_reporters_weight_alone() -> None:
    reporting = Reporting()
    shown: dict[str, Any] = {"receipt": "r", "receipt_ok": False}
    weights = [
        found.weight
        for who in ("ann", "bob")
        if (found := take(reporting, says(who, **shown), NOON).observation)
    ]
    assert weights == [3, 1]


def test_the_window_says_what_a_reader_needs() -> None:
    reporting = Reporting()
    for number in range(8):
        region = "fr" if number < REGION_MIN else "de"
        take(reporting, says(f"r{number}", region=region, symptom="errors"), NOON)
    take(reporting, says("ok", works=True), NOON)
    crowd = reporting.window(WEB, NOON)
    assert (crowd.not_working, crowd.working) == (8, 1)
    assert (crowd.people_not_working, crowd.people_working) == (8, 1)
    assert crowd.regions == {"fr": 5}
    assert crowd.symptoms == {"errors": 8}
    assert crowd.top_group_share == 1 / 8
    assert (crowd.scale, crowd.shed, crowd.hidden) == (1, 0, False)


@pytest.mark.parametrize(
    ("reporters", "hidden"),
    [
        pytest.param(REGION_MIN - 1, True, id="four could be told apart"),
        pytest.param(REGION_MIN, False, id="five are shown"),
    ],
)
def test_a_region_is_shown_from_five_reporters_on(reporters: int, hidden: bool) -> None:
    reporting = Reporting()
    for number in range(reporters):
        take(reporting, says(f"r{number}", region="fr"), NOON)
    crowd = reporting.window(f"{WEB}@fr", NOON)
    assert crowd.hidden is hidden
    assert (crowd.people_not_working == 0) is hidden
    assert (crowd.symptoms, crowd.top_group_share > 0) == ({}, not hidden)


def test_a_network_that_sends_too_much_is_estimated_and_told_so() -> None:
    reporting = Reporting()
    verdicts = [
        take(reporting, says(f"r{number}", network=".g.n"), NOON).verdict for number in range(61)
    ]
    assert verdicts == [Verdict.COUNTED] * 60 + [Verdict.ESTIMATED]
    crowd = reporting.window(WEB, NOON)
    assert (crowd.shed, crowd.people_not_working, crowd.not_working) == (1, 60, 2)


def flooded(limits: Limits | None = None) -> Reporting:
    """Ten voices of one network, in a flood."""
    reporting = Reporting(limits or Limits(flood_per_s=1))
    for number in range(200):
        take(reporting, says(f"x{number}"), NOON)
    for number in range(10):
        take(reporting, says(f"a{number}", network=".g.n"), NOON)
    return reporting


PROOF = Proof("salt", NOON + LIFE_S)


def test_in_a_flood_one_voice_more_of_a_network_needs_a_proof_and_each_proof_serves_once() -> None:
    reporting = flooded()
    asked = take(reporting, says("b", network=".g.n"), NOON)
    assert (asked.verdict, asked.reason, asked.bits) == (Verdict.CHALLENGED, "proof", 18)
    proven = take(reporting, says("b", network=".g.n", proof=PROOF), NOON)
    assert proven.verdict is Verdict.COUNTED
    spent = take(reporting, says("c", network=".g.n", proof=PROOF), NOON)
    assert (spent.verdict, spent.reason) == (Verdict.CHALLENGED, "spent")


def test_in_a_flood_a_network_with_few_voices_is_asked_for_nothing() -> None:
    assert take(flooded(), says("new"), NOON).verdict is Verdict.COUNTED


def test_without_a_flood_nobody_is_asked_for_a_proof() -> None:
    reporting = flooded(Limits(flood_per_s=1000))
    assert take(reporting, says("b", network=".g.n"), NOON).verdict is Verdict.COUNTED


def test_beyond_what_the_machine_takes_reports_are_counted_and_sent_away() -> None:
    reporting = Reporting(Limits(per_s=100))
    verdicts = [take(reporting, says(f"r{number}"), NOON).verdict for number in range(101)]
    assert verdicts[-1] is Verdict.SHED
    assert reporting.window(WEB, NOON).shed == 1
    assert reporting.window(WEB, NOON + 1000).shed == 0
    assert take(reporting, says("later"), NOON + 1000).verdict is Verdict.COUNTED


def test_too_many_voices_become_a_sample_that_stands_for_all() -> None:
    reporting = Reporting(Limits(voices=2000, per_s=1e9))
    stored: list[Observation] = []
    for number in range(30_000):
        keep(reporting, says(f"r{number}", works=number % 5 == 0), NOON + number / 1000, stored)
        assert len(reporting) <= 2000
    crowd = reporting.window(WEB, NOON + 30)
    assert crowd.scale == 16
    assert crowd.people_not_working == pytest.approx(24_000, rel=0.1)
    assert crowd.people_working == pytest.approx(6_000, rel=0.2)
    assert crowd.shed == 30_000 - len(stored)
    # What is stored says for how many it stands, so that sums over it are estimates as well.
    assert sum(one.weight for one in stored) == pytest.approx(30_000, rel=0.1)


def test_who_is_not_in_the_sample_is_told_so_and_repeats_are_still_found() -> None:
    reporting = Reporting(Limits(voices=100, per_s=1e9))
    number = 0
    while reporting.scale == 1:
        take(reporting, says(f"r{number}"), NOON)
        number += 1
    inside, outside = name_with(1, True, number), name_with(1, False, number)
    assert take(reporting, says(outside), NOON).verdict is Verdict.ESTIMATED
    assert take(reporting, says(inside), NOON).verdict is Verdict.COUNTED
    before = reporting.others(WEB, NOON)
    assert take(reporting, says(inside), NOON).verdict is Verdict.AGAIN
    assert reporting.others(WEB, NOON) == before
    assert reporting.others(WEB, NOON, inside) == (before[0] - 2, 0)


def test_after_a_flood_every_report_counts_singly_again() -> None:
    reporting = Reporting(Limits(voices=100, per_s=1e9))
    for number in range(1000):
        take(reporting, says(f"r{number}"), NOON)
    assert reporting.scale > 1
    for step in range(8):
        take(reporting, says(f"s{step}"), NOON + 1000 + step)
    assert reporting.scale == 1


def same(one: Reporting, other: Reporting, now: float) -> None:
    assert one.components(now) == other.components(now)
    for name in one.components(now):
        shown = [msgspec.structs.replace(who.window(name, now), shed=0) for who in (one, other)]
        assert shown[0] == shown[1]


REPORTS = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.booleans(),
        st.floats(0, 300),
        st.sampled_from(["", "fr", "de"]),
        st.sampled_from(["", "opus"]),
        st.booleans(),
    ),
    max_size=60,
)


@given(REPORTS)
@settings(max_examples=60)
def test_a_restart_forgets_no_voice(
    events: list[tuple[int, bool, float, str, str, bool]],
) -> None:
    reporting, now = Reporting(), NOON
    stored: list[Observation] = []
    for who, works, gap, region, model, shown in events:
        now += gap
        receipt: dict[str, Any] = {"receipt": f"x{who}", "receipt_ok": works} if shown else {}
        report = says(f"r{who}", works, region=region, model=model, **receipt)
        keep(reporting, report, now, stored)
    again = Reporting()
    again.restore(reversed(stored), now)
    same(reporting, again, now)
    same(reporting, again, now + 450)


def test_a_restart_in_a_sampled_flood_estimates_the_same() -> None:
    reporting = Reporting(Limits(voices=500, per_s=1e9))
    stored: list[Observation] = []
    for number in range(6000):
        keep(reporting, says(f"r{number}"), NOON + number / 1000, stored)
    again = Reporting(Limits(voices=500, per_s=1e9))
    again.restore(stored, NOON + 6)
    before, after = (who.others(WEB, NOON + 6)[0] for who in (reporting, again))
    assert after == pytest.approx(before, rel=0.25)
    assert take(again, says(stored[-1].reporter), NOON + 7).verdict is Verdict.AGAIN


def test_a_retry_after_a_restart_is_known() -> None:
    reporting, stored = Reporting(), list[Observation]()
    keep(reporting, says("ann", id="key"), NOON, stored)
    again = Reporting()
    again.restore(stored, NOON + 1)
    retried = take(again, says("ann", id="key"), NOON + 2)
    assert (retried.verdict, retried.id) == (Verdict.AGAIN, "report/key")


def test_what_was_said_since_the_start_is_not_undone_by_what_is_read_late() -> None:
    reporting, stored = Reporting(), list[Observation]()
    keep(reporting, says("ann"), NOON, stored)
    again = Reporting()
    take(again, says("ann", works=True), NOON + 5)
    again.restore(stored, NOON + 6)
    assert again.others(WEB, NOON + 6) == (0, 1)


def test_what_is_no_report_or_not_of_now_is_not_restored() -> None:
    report = take(Reporting(), says("ann"), NOON).observation
    assert report is not None
    reporting = Reporting()
    reporting.restore(
        [
            msgspec.structs.replace(report, source="probe"),
            msgspec.structs.replace(report, reporter=""),
            msgspec.structs.replace(report, component="nonsense"),
            msgspec.structs.replace(report, at=NOON - 901),
            msgspec.structs.replace(report, at=NOON + 500),
        ],
        NOON,
    )
    assert len(reporting) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.booleans(), st.floats(-50, 400), st.integers(0, 3)),
        max_size=150,
    )
)
@settings(max_examples=60)
def test_counts_are_what_the_last_words_of_the_window_say(
    events: list[tuple[int, bool, float, int]],
) -> None:
    """Against a plain model, with a clock that also steps back."""
    reporting, now, latest = Reporting(Limits(per_reporter_per_min=1e6)), NOON, NOON
    spoke: dict[str, tuple[float, bool]] = {}
    for who, works, gap, network in events:
        now += gap
        latest = max(latest, now)
        report = says(f"r{who}", works, network=f".g{network}.n{who}")
        if (stored := take(reporting, report, now).observation) is not None:
            spoke[report.reporter] = (stored.at, works)
    alive = [works for at, works in spoke.values() if at > latest - 900]
    assert reporting.others(WEB, now) == (alive.count(False), alive.count(True))


def test_flips_without_end_leave_memory_bounded() -> None:
    reporting = Reporting(Limits(per_reporter_per_min=1e9, per_s=1e9))
    for number in range(5_000):
        take(reporting, says(f"r{number % 10}", works=number % 20 < 10), NOON + number / 100)
    assert len(reporting) == 10
    assert len(reporting._order) <= 2 * 10 + 1001


def test_a_report_that_was_not_stored_leaves_no_voice() -> None:
    reporting = Reporting()
    reporting.decide(says("ann"), NOON)
    assert len(reporting) == 0
    assert reporting.decide(says("ann"), NOON).verdict is Verdict.COUNTED


def test_a_report_is_hashed_before_it_comes_here() -> None:
    """Nothing in it could hold an address."""
    assert not {"address", "ip", "token", "peer"} & set(Report.__struct_fields__)
