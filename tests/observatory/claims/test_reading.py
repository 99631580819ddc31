"""Claims read from notices, and what later evidence means for them."""

from __future__ import annotations

import pytest

from outlast.nouns import Notice, NoticeUpdate, Outcome, Status
from outlast.observatory.cause import Said, Shape, judge
from outlast.observatory.claims import Claim, Kind, State, enter
from outlast.observatory.claims_reading import (
    from_notice,
    with_end,
    with_notice,
    with_surfaces,
    with_verdict,
)

AT = 1772452800.0  # 2026-03-02T12:00:00Z
WORKS = (
    "We have identified that the Claude API is working as intended. The issues we are seeing are "
    "related to Claude.ai and with the login/logout paths."
)


def notice(
    *bodies: str, stage: str = "identified", components: dict[str, str] | None = None
) -> Notice:
    """Updates come an hour apart, from twelve o'clock."""
    return Notice(
        "anthropic",
        "anthropic-incidents",
        "0ghc",
        "incident",
        "Elevated errors",
        stage=stage,
        updates=tuple(
            NoticeUpdate(AT + 3600 * number, stage, body) for number, body in enumerate(bodies)
        ),
        components=tuple((components or {}).items()),
    )


def only(found: list[Claim]) -> Claim:
    (claim,) = found
    return claim


def rumour(kind: Kind, **fields: object) -> Claim:
    claim = Claim("r", "i", kind, {"en": "They say so."}, ("press",), "ana", AT, **fields)  # type: ignore[arg-type]
    return enter(claim)


def test_a_stated_cause_becomes_a_claim_that_is_supported_by_its_statement() -> None:
    claim = only(from_notice(notice("The root cause was a recent deployment."), "i1"))
    assert (claim.kind, claim.cause, claim.state) == (Kind.CAUSE, "deploy", State.SUPPORTED)
    assert claim.sources == ("anthropic-incidents/0ghc",)
    assert claim.incident == "i1"
    assert claim.text["en"] == "Anthropic says: “The root cause was a recent deployment.”"
    assert claim.text["fr"].startswith("Anthropic dit : «")


def test_the_same_notice_gives_the_same_claims() -> None:
    said = notice("The root cause was a recent deployment.", "We expect a fix within 30 minutes.")
    first, again = from_notice(said, "i1"), from_notice(said, "i1")
    assert first == again
    assert len({one.id for one in first}) == 2


@pytest.mark.parametrize(
    "body",
    [
        "We are currently investigating this issue.",
        "The issue has been identified and a fix is being implemented.",
        "We rolled back a recent change.",
        "We expect to share the next update within 30 minutes.",
        "We expect errors to decline within a few hours.",
        "We cannot estimate when service will be restored within 2 hours.",
        "It has been slow within 30 minutes of the release.",
    ],
)
def test_what_claims_nothing_gives_no_claim(body: str) -> None:
    assert from_notice(notice(body), "i1") == []


@pytest.mark.parametrize(
    ("body", "ends_at"),
    [
        ("Service is expected to be restored within 30 minutes.", AT + 1800),
        ("We expect service to return to normal in about 2 hours.", AT + 7200),
        ("We are deploying a fix (ETA ~30mins).", AT + 1800),
        ("We estimate that service will be restored by 14:30 UTC.", AT + 9000),
        ("The fix should be complete within an hour.", AT + 3600),
        ("We expect full recovery by 01:00 UTC.", AT + 13 * 3600),
    ],
)
def test_a_time_that_is_given_for_the_end_becomes_a_claim(body: str, ends_at: float) -> None:
    claim = only(from_notice(notice(body), "i1"))
    assert (claim.kind, claim.ends_at) == (Kind.END, ends_at)


def test_the_end_that_the_vendor_declares_is_a_claim_as_well() -> None:
    claim = only(from_notice(notice("This incident has been resolved.", stage="resolved"), "i1"))
    assert (claim.kind, claim.ends_at) == (Kind.END, AT)


@pytest.mark.parametrize(
    ("ended_at", "now", "state"),
    [
        (None, AT + 1800, State.SUPPORTED),
        (None, AT + 1800 + 601, State.REFUTED),
        (AT + 1700, AT + 1800, State.CONFIRMED),
        (AT + 1800 + 599, AT + 3000, State.CONFIRMED),
        (AT + 1800 + 601, AT + 3000, State.REFUTED),
    ],
    ids=["not yet", "the time has passed", "in time", "nearly in time", "too late"],
)
def test_a_promised_end_is_kept_or_not(ended_at: float | None, now: float, state: State) -> None:
    claim = only(from_notice(notice("We expect a fix within 30 minutes."), "i1"))
    assert with_end(claim, ended_at, now).state is state


def test_an_end_a_little_late_is_told_by_its_own_time() -> None:
    claim = only(from_notice(notice("We expect a fix within 30 minutes."), "i1"))
    late = with_end(claim, AT + 37 * 60, AT + 3600)
    assert late.history[-1].reason["en"] == "It was over at 12:37\u00a0UTC."


def test_second_of_march_the_apis_all_clear_is_a_claim_that_requests_contradict() -> None:
    claim = only(from_notice(notice(WORKS), "i1"))
    assert (claim.kind, claim.surfaces, claim.fine) == (Kind.EXTENT, ("api",), True)
    assert with_surfaces(claim, {"web": Status.MAJOR}, AT + 60) == claim
    seen = with_surfaces(claim, {"api": Status.PARTIAL, "web": Status.MAJOR}, AT + 60)
    assert (seen.state, seen.shown_as) == (State.SUPPORTED, "contradicted")
    assert seen.history[-1].reason["en"].startswith("By what we measured, it fails")


def test_second_of_march_the_vendor_takes_it_back() -> None:
    claim = only(from_notice(notice(WORKS), "i1"))
    api, web = "Claude API (api.anthropic.com)", "claude.ai"
    now = notice(WORKS, components={api: "operational", web: "partial_outage"})
    assert with_notice(claim, now, AT) == claim
    later = notice(
        WORKS,
        "We have discovered that some API methods are not working.",
        components={api: "partial_outage", web: "partial_outage"},
    )
    assert with_notice(claim, later, AT + 4000).state is State.REFUTED


def test_an_all_clear_that_fits_what_is_measured_is_confirmed() -> None:
    claim = only(from_notice(notice(WORKS), "i1"))
    assert with_surfaces(claim, {"api": Status.OPERATIONAL}, AT + 60).state is State.CONFIRMED


def test_that_all_is_normal_again_is_no_claim_of_an_extent() -> None:
    text = "The Claude API is operating normally."
    assert from_notice(notice(text, stage="monitoring"), "i1") == []


def test_a_page_that_does_not_list_a_surface_says_nothing_about_a_rumour_of_its_failure() -> None:
    claim = rumour(Kind.EXTENT, surfaces=("api",), fine=False)
    quiet = notice("We look.", components={"claude.ai": "partial_outage"})
    assert with_notice(claim, quiet, AT + 1) == claim
    listed = notice("We look.", components={"Claude API": "partial_outage"})
    assert with_notice(claim, listed, AT + 1).state is State.SUPPORTED


def test_a_rumoured_cause_is_supported_by_the_vendors_words_and_confirmed_by_measurements() -> None:
    claim = rumour(Kind.CAUSE, cause="overload")
    stated = with_notice(claim, notice("Errors were caused by increased load."), AT + 1)
    assert stated.state is State.SUPPORTED
    shape = Shape(outcomes={Outcome.OVERLOADED: 100}, latency_ratio=4, gradual_end=True)
    assert with_verdict(stated, judge((), shape), AT + 2).state is State.CONFIRMED


def test_another_cause_speaks_against_a_rumour_and_unknown_says_nothing() -> None:
    claim = rumour(Kind.CAUSE, cause="overload")
    assert with_verdict(claim, judge(), AT + 1) == claim
    other = judge([Said("The root cause was a recent deployment.", "vendor")])
    assert with_verdict(claim, other, AT + 1).shown_as == "contradicted"
    said = notice("The root cause was a recent deployment.")
    assert with_notice(claim, said, AT + 1).shown_as == "contradicted"


def test_a_rumour_of_no_class_is_left_to_operators() -> None:
    claim = rumour(Kind.CAUSE)
    assert with_verdict(claim, judge([Said("Caused by increased load.", "v")]), AT) == claim
    assert with_notice(claim, notice("Errors were caused by increased load."), AT) == claim


def test_a_notice_of_many_statements_gives_a_bounded_number_of_claims() -> None:
    bodies = [f"The root cause was deployment number {number}." for number in range(200)]
    assert len(from_notice(notice(*bodies), "i1")) == 50
