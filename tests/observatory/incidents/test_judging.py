"""What may be said of a component: a sentence a row, and what must hold whatever is seen."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Evidence, Status, Suspicion
from outlast.observatory import fusion
from outlast.observatory.judging import (
    CONFIRMED_P,
    GROUPS,
    Before,
    Reading,
    Vendor,
    judge,
    share_of,
)

NOW = 1_000_000.0


def reading(
    kind: str,
    log_odds: float,
    *,
    fired: bool,
    failures: float = 0,
    total: float = 0,
    ago: float = 0,
) -> Reading:
    since = NOW - ago if ago else 0.0
    evidence = Evidence(kind, NOW, log_odds, failures=failures, total=total, since_at=since)
    return Reading(evidence, fired)


FAILING = reading("traffic", 9.0, fired=True, failures=80, total=100, ago=120)
SOME = reading("traffic", 5.0, fired=True, failures=20, total=100, ago=120)
FEW = reading("traffic", 3.0, fired=True, failures=4, total=100, ago=120)
FINE = reading("traffic", -4.0, fired=False, failures=0, total=200)
PROBE = reading("probe", 6.0, fired=True, failures=4, total=4, ago=120)
ELSEWHERE = reading("elsewhere", 4.0, fired=True, failures=3, total=3, ago=120)
CROWD = reading("report", 9.0, fired=True, failures=40)
DECLARED = reading("notice", fusion.VENDOR_OUTAGE, fired=True)
SLOW = reading("slow", 9.0, fired=True, failures=40, total=60, ago=120)
SILENT = reading("notice", -0.3, fired=False)

DOWN = Vendor(status=Status.PARTIAL, declared=True, since_at=NOW - 60)
GREEN = Vendor(status=Status.OPERATIONAL, since_at=NOW - 86400)

TABLE = [
    ("nothing seen is nothing said", [], Vendor(), Suspicion.NONE, Status.OPERATIONAL),
    ("all goes well", [FINE, SILENT], GREEN, Suspicion.NONE, Status.OPERATIONAL),
    ("our requests alone are suspicion", [FAILING], GREEN, Suspicion.S_DOWN, Status.MAJOR),
    ("a fifth failing is a partial outage", [SOME], GREEN, Suspicion.S_DOWN, Status.PARTIAL),
    ("a few failing is degraded", [FEW], GREEN, Suspicion.S_DOWN, Status.DEGRADED),
    ("slow answers are degraded", [FINE, SLOW], GREEN, Suspicion.S_DOWN, Status.DEGRADED),
    (
        "slow answers and people confirm",
        [SLOW, PROBE, CROWD],
        GREEN,
        Suspicion.O_DOWN,
        Status.MAJOR,
    ),
    ("traffic and probes are one kind", [FAILING, PROBE], GREEN, Suspicion.S_DOWN, Status.MAJOR),
    ("people alone are suspicion", [CROWD], GREEN, Suspicion.S_DOWN, Status.DEGRADED),
    ("people and a probe confirm", [PROBE, CROWD], GREEN, Suspicion.O_DOWN, Status.MAJOR),
    ("people and the vendor confirm", [CROWD, DECLARED], DOWN, Suspicion.O_DOWN, Status.PARTIAL),
    ("ours and the vendor confirm", [FAILING, DECLARED], DOWN, Suspicion.O_DOWN, Status.MAJOR),
    ("ours and another place confirm", [PROBE, ELSEWHERE], GREEN, Suspicion.O_DOWN, Status.MAJOR),
    ("the vendor alone is one kind", [DECLARED], DOWN, Suspicion.S_DOWN, Status.PARTIAL),
    (
        "what works for us is degraded at most, whatever the vendor says",
        [FINE, DECLARED],
        DOWN,
        Suspicion.S_DOWN,
        Status.DEGRADED,
    ),
    (
        "a window of maintenance is not an outage",
        [FINE],
        Vendor(maintenance=True),
        Suspicion.NONE,
        Status.MAINTENANCE,
    ),
]


@pytest.mark.parametrize(
    ("readings", "vendor", "suspicion", "status"),
    [row[1:] for row in TABLE],
    ids=[r[0] for r in TABLE],
)
def test_what_is_said(
    readings: list[Reading], vendor: Vendor, suspicion: Suspicion, status: Status
) -> None:
    state = judge("a/api", {r.evidence.kind: r for r in readings}, vendor, Before(), NOW)
    assert (state.suspicion, state.status) == (suspicion, status)


def test_the_vendors_green_against_failing_requests_is_shown_and_not_averaged() -> None:
    late = reading("traffic", 9.0, fired=True, failures=80, total=100, ago=900)
    failing = Before(failed_at=NOW - 5)
    fine = judge("a/api", {"traffic": late}, GREEN, failing, NOW)
    without = judge("a/api", {"traffic": late}, Vendor(), failing, NOW)
    assert fine.contradiction == "vendor_says_fine"
    assert fine.probability == without.probability


def test_a_page_that_is_only_late_contradicts_nobody() -> None:
    assert judge("a/api", {"traffic": FAILING}, GREEN, Before(), NOW).contradiction == ""


def test_a_vendor_that_has_just_said_that_it_works_contradicts_at_once() -> None:
    said = Vendor(status=Status.OPERATIONAL, since_at=NOW - 10)
    before, after = Before(failed_at=NOW - 20), Before(failed_at=NOW - 5)
    assert judge("a/api", {"traffic": FAILING}, said, before, NOW).contradiction == ""
    assert judge("a/api", {"traffic": FAILING}, said, after, NOW).contradiction == (
        "vendor_says_fine"
    )


@pytest.mark.parametrize(
    ("failed_ago", "failures", "stays"),
    [
        pytest.param(60, 5, "vendor_says_fine", id="some still fail"),
        pytest.param(400, 5, "", id="nothing has failed for minutes"),
        pytest.param(60, 1, "", id="so few fail that nothing is suspected any more"),
    ],
)
def test_the_vendors_green_is_contradicted_as_long_as_it_is_suspected_and_tries_still_fail(
    failed_ago: float, failures: float, stays: str
) -> None:
    """The test of its own has called it well again; the figures do not say so yet."""
    less = reading("traffic", -1.0, fired=False, failures=failures, total=80)
    before = Before(
        Suspicion.S_DOWN,
        Status.PARTIAL,
        NOW - 3600,
        quiet_at=NOW - 30,
        failed_at=NOW - failed_ago,
    )
    said = Vendor(status=Status.OPERATIONAL, since_at=NOW - 1800)
    assert judge("a/api", {"traffic": less}, said, before, NOW).contradiction == stays


def test_an_outage_that_only_the_vendor_sees_is_said_to_be_that() -> None:
    vendor = Vendor(status=Status.MAJOR, declared=True, since_at=NOW - 1200)
    quiet = Before(quiet_at=NOW - 1200)
    state = judge("a/api", {"traffic": FINE, "notice": DECLARED}, vendor, quiet, NOW)
    assert state.contradiction == "vendor_says_down"


def test_confirmed_stays_while_one_kind_still_sees_it() -> None:
    before = Before(Suspicion.O_DOWN, Status.MAJOR, NOW - 600)
    assert judge("a/api", {"traffic": FAILING}, GREEN, before, NOW).suspicion is Suspicion.O_DOWN
    assert judge("a/api", {"traffic": FINE}, GREEN, before, NOW).suspicion is Suspicion.NONE


def test_nothing_is_called_fine_while_the_figures_say_otherwise() -> None:
    still = reading("traffic", 6.0, fired=False, failures=20, total=100)
    before = Before(Suspicion.O_DOWN, Status.PARTIAL, NOW - 600)
    assert judge("a/api", {"traffic": still}, GREEN, before, NOW).suspicion is Suspicion.S_DOWN
    assert judge("a/api", {"traffic": still}, GREEN, Before(), NOW).suspicion is Suspicion.NONE


def test_a_share_that_wavers_around_a_bound_does_not_flap() -> None:
    wavers = reading("traffic", 9.0, fired=True, failures=42, total=100, ago=120)
    major = Before(Suspicion.S_DOWN, Status.MAJOR, NOW - 600)
    assert judge("a/api", {"traffic": wavers}, GREEN, major, NOW).status is Status.MAJOR
    assert judge("a/api", {"traffic": wavers}, GREEN, Before(), NOW).status is Status.PARTIAL


def test_it_began_when_the_first_test_says_that_it_began() -> None:
    state = judge("a/api", {"traffic": FAILING, "report": CROWD}, GREEN, Before(), NOW)
    assert state.since_at == NOW - 120


log_odds = st.floats(-50, 50, allow_nan=False)


@given(
    st.dictionaries(st.sampled_from(sorted(GROUPS)), st.tuples(log_odds, st.booleans())),
    st.sampled_from(list(Suspicion)),
)
def test_nothing_is_confirmed_without_two_kinds_and_095(
    seen: dict[str, tuple[float, bool]], before: Suspicion
) -> None:
    readings = {k: reading(k, odds, fired=fired) for k, (odds, fired) in seen.items()}
    state = judge("a/api", readings, Vendor(), Before(before), NOW)
    fired = {GROUPS[kind] for kind, (_, on) in seen.items() if on}
    assert 0 <= state.probability <= 1
    if state.suspicion is Suspicion.O_DOWN and before is not Suspicion.O_DOWN:
        assert len(fired) >= 2
        assert state.probability >= 0.95
    if not fired and (before is Suspicion.NONE or state.probability < 0.5):
        assert state.suspicion is Suspicion.NONE
        assert state.status is Status.OPERATIONAL


@given(log_odds)
def test_the_crowd_alone_never_reaches_what_confirms(odds: float) -> None:
    state = judge("a/api", {"report": reading("report", odds, fired=True)}, Vendor(), Before(), NOW)
    assert state.probability < 0.8 < CONFIRMED_P
    assert state.suspicion is Suspicion.S_DOWN


@given(st.integers(0, 500), st.integers(0, 500))
def test_an_interval_holds_its_estimate(failures: int, good: int) -> None:
    p, low, high, total = share_of(failures, failures + good)
    assert 0 <= low <= p + 1e-12
    assert p <= high + 1e-12 <= 1 + 1e-9
    assert total == failures + good


def test_the_bayes_factor_of_no_tries_is_none() -> None:
    assert fusion.log_bayes(0, 0, 0.01) == 0.0


@given(st.integers(0, 30), st.integers(0, 200), st.sampled_from([0.005, 0.01, 0.02]))
def test_a_failure_speaks_for_an_outage_and_a_success_against(
    failures: int, good: int, p0: float
) -> None:
    here = fusion.log_bayes(failures, failures + good, p0)
    assert fusion.log_bayes(failures + 1, failures + good + 1, p0) > here
    assert fusion.log_bayes(failures, failures + good + 1, p0) < here


@pytest.mark.parametrize("p0", [0.01, 0.05])
def test_under_the_usual_rate_the_bayes_factor_has_expectation_one(p0: float) -> None:
    """Sum over all outcomes of 12 tries of P(outcome) x factor = 1: it is a likelihood ratio."""
    n = 12
    total = sum(
        math.comb(n, k) * p0**k * (1 - p0) ** (n - k) * math.exp(fusion.log_bayes(k, n, p0))
        for k in range(n + 1)
    )
    assert total == pytest.approx(1.0)


def test_silence_is_worth_little_and_never_more_than_its_bound() -> None:
    values = [fusion.silence(minutes * 60) for minutes in (0, 1, 16, 60, 600, 100_000)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 0
    assert values[-1] >= math.log(fusion.SILENT_FOR_EVER) > -0.7


def test_counts_fade_with_their_time_constant() -> None:
    counts = fusion.Counts()
    counts.add(True, 1.0, 1000.0)
    counts.add(False, 1.0, 1000.0)
    counts.fade(1000.0 + fusion.TAU_S)
    assert counts.failures == pytest.approx(math.exp(-1))
    assert counts.total == pytest.approx(2 * math.exp(-1))
