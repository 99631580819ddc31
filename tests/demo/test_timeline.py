"""The day as data: what the record says, and what the scripted vendors make of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from outlast.demo import timeline
from outlast.demo.timeline import NOTICES, PHASES, Page, clock, moment, notice_at, phase_at
from outlast.simulator import FaultKind
from outlast.simulator.schedule import choose, refuses

DAY = [
    ("11:15", "phase_calm", Page.OPERATIONAL, "nothing has happened yet"),
    ("11:36", "phase_calm", Page.OPERATIONAL, "the last minute before people report"),
    ("11:37", "phase_errors", Page.OPERATIONAL, "people report, the vendor is silent"),
    ("11:49", "phase_errors", Page.OPERATIONAL, "a notice, but of the website alone"),
    ("12:06", "phase_worse", Page.PARTIAL, "the API is on the page for the first time"),
    ("12:20", "phase_worse", Page.PARTIAL, "until a quarter of an hour later"),
    ("12:21", "phase_denied", Page.OPERATIONAL, "the API works, says the page, and it fails"),
    ("13:36", "phase_denied", Page.OPERATIONAL, "for an hour and a quarter"),
    ("13:37", "phase_down", Page.PARTIAL, "some of the API fails after all"),
    ("14:35", "phase_closed", Page.DEGRADED, "a second notice about one model"),
    ("15:05", "phase_down", Page.DEGRADED, "the port is open again and nothing works"),
    ("15:25", "phase_recovered", Page.OPERATIONAL, "a fix"),
    ("16:50", "phase_relapse", Page.DEGRADED, "the second wave"),
    ("17:10", "phase_relapse", Page.OPERATIONAL, "fixed, says the page"),
    ("17:16", "phase_relapse", Page.DEGRADED, "and takes it back"),
    ("17:30", "phase_relapse", Page.OPERATIONAL, "fixed again"),
    ("17:55", "phase_over", Page.OPERATIONAL, "resolved"),
]


@pytest.mark.parametrize(("at", "phase", "page", "why"), DAY, ids=[row[0] for row in DAY])
def test_each_time_of_the_day_has_its_phase_and_its_page(
    at: str, phase: str, page: Page, why: str
) -> None:
    assert (phase_at(moment(at)).key, notice_at(moment(at)).page) == (phase, page), why


def test_the_phases_fill_the_day_without_gaps() -> None:
    assert PHASES[0].at_s == 0
    assert PHASES[-1].until_s == timeline.END_S
    assert all(one.until_s == two.at_s for one, two in pairwise(PHASES))
    assert [n.at_s for n in NOTICES] == sorted({n.at_s for n in NOTICES})


@pytest.mark.parametrize(
    ("at_s", "shown"),
    [(0.0, "11:15"), (59.9, "11:15"), (60.0, "11:16"), (-5.0, "11:15"), (timeline.END_S, "18:15")],
)
def test_the_clock_shows_the_real_time(at_s: float, shown: str) -> None:
    assert clock(at_s) == shown
    if at_s % 60 == 0:
        assert moment(shown) == at_s


def test_a_day_takes_about_a_minute() -> None:
    assert 55 <= timeline.length_s(1) <= 70
    assert timeline.length_s(4) == timeline.length_s(1) / 4


def failing(at: str, requests: int = 400) -> float:
    """The share of requests at a time that the first vendor lets fail."""
    script, _ = timeline.scripts(seed=7, speed=1, language="en")
    faults = [
        choose(
            script,
            number=number,
            at_s=moment(at),
            path="/v1/messages",
            model=timeline.MODEL,
            stream=True,
        )
        for number in range(1, requests + 1)
    ]
    return sum(fault is not None for fault in faults) / requests


@pytest.mark.parametrize(
    ("at", "least", "most"),
    [
        ("11:30", 0, 0),
        ("11:45", 0.3, 0.65),
        ("12:10", 0.4, 0.9),
        ("13:00", 0.4, 0.9),
        ("14:00", 1, 1),
        ("15:10", 1, 1),
        ("15:30", 0, 0),
        ("17:00", 0.4, 0.9),
        ("18:00", 0, 0),
    ],
)
def test_the_scripted_vendor_fails_as_the_phase_says(at: str, least: float, most: float) -> None:
    assert least <= failing(at) <= most


def test_its_port_is_closed_for_a_part_of_the_outage() -> None:
    script, other = timeline.scripts(seed=7, speed=1, language="en")
    assert refuses(script, moment("14:50"))
    assert not refuses(script, moment("14:30"))
    assert not refuses(script, moment("15:10"))
    assert other.faults == (), "the other vendor has a calm day"


def test_with_the_embedded_model_both_are_gone_for_a_moment() -> None:
    script, other = timeline.scripts(seed=7, speed=1, language="en", dark=True)
    at_s = moment("14:50")
    assert refuses(script, at_s)
    assert refuses(other, at_s)
    assert timeline.brief(at_s)
    assert not timeline.brief(moment("13:00"))


def test_every_way_to_fail_of_that_day_is_played() -> None:
    kinds = {fault.kind for phase in PHASES for fault in phase.faults}
    assert kinds >= {
        FaultKind.STATUS,
        FaultKind.STREAM_ERROR,
        FaultKind.CUT,
        FaultKind.STALL,
        FaultKind.RESET,
        FaultKind.REFUSE,
    }


def test_both_vendors_tell_the_same_truth_and_run_faster_together() -> None:
    one, other = timeline.scripts(seed=7, speed=4, language="fr")
    assert (one.seed, one.language, one.speed) == (other.seed, other.language, other.speed)
    assert one.speed == 4 * timeline.PLAYED
    assert one.tokens_per_s == other.tokens_per_s == 4 * timeline.TOKENS_PER_S
