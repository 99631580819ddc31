"""A claim's life: what moves it, what does not, and that nothing is moved silently."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import outlast.observatory
from outlast.observatory.claims import (
    DAY_S,
    HISTORY_LIMIT,
    Claim,
    Kind,
    State,
    against,
    decide,
    enter,
    expire,
    refute,
    support,
)

AT = 1772452800.0
SAYS_SO = {"en": "It says so.", "fr": "Il le dit."}
FITS = {"en": "It fits.", "fr": "Cela concorde."}
SPEAKS_AGAINST = {"en": "It does not fit.", "fr": "Cela ne concorde pas."}


def rumour(**fields: object) -> Claim:
    """The rumour of 2 March 2026, as an operator enters it."""
    claim = Claim(
        id="r1",
        incident="i1",
        kind=Kind.CAUSE,
        text={"en": "Users who left another vendor overloaded it."},
        sources=("press", "https://status.example/blog"),
        entered_by="ana",
        at=AT,
        cause="overload",
    )
    return enter(msgspec.structs.replace(claim, **fields))


def test_what_is_entered_is_unconfirmed_whatever_it_says_of_itself() -> None:
    bold = rumour(state=State.CONFIRMED, settled_by="x", stated=True, measured=True, expired=True)
    assert (bold.state, bold.shown_as, bold.settled_by) == (State.UNCONFIRMED, "unconfirmed", "")
    assert [(one.what, one.by) for one in bold.history] == [("entered", "ana")]


def test_one_language_stands_for_the_other() -> None:
    assert rumour().text["fr"] == "Users who left another vendor overloaded it."


def test_texts_are_cleaned_and_bounded() -> None:
    claim = rumour(text={"en": "a\u202eb" + "x" * 5000}, sources=("s", "s", "", *"abcdef" * 9))
    assert "\u202e" not in claim.text["en"]
    assert len(claim.text["en"]) <= 1000
    assert len(claim.sources) <= 20


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"text": {}}, "needs its text"),
        ({"text": {"en": "\u200b "}}, "needs its text"),
        ({"sources": ()}, "needs its source"),
        ({"sources": ("\x00",)}, "needs its source"),
        ({"cause": "aliens"}, "no class of causes"),
    ],
    ids=["no text", "a text of nothing", "no source", "a source of nothing", "another class"],
)
def test_a_claim_without_its_parts_is_refused_in_a_sentence(
    fields: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        rumour(**fields)


def test_a_statement_supports_a_measurement_supports_and_both_confirm() -> None:
    stated = support(rumour(), AT + 1, SAYS_SO, measured=False)
    assert stated.state is State.SUPPORTED
    assert support(rumour(), AT + 1, FITS, measured=True).state is State.SUPPORTED
    assert support(stated, AT + 2, FITS, measured=True).state is State.CONFIRMED


def test_two_statements_confirm_nothing_and_the_same_reason_counts_once() -> None:
    once = support(rumour(), AT + 1, SAYS_SO, measured=False)
    assert support(once, AT + 2, SAYS_SO, measured=False) == once
    other = {"en": "And again.", "fr": "Encore."}
    assert support(once, AT + 2, other, measured=False).state is State.SUPPORTED


def test_evidence_against_is_shown_and_moves_no_state() -> None:
    claim = against(support(rumour(), AT + 1, SAYS_SO, measured=False), AT + 2, SPEAKS_AGAINST)
    assert (claim.state, claim.shown_as) == (State.SUPPORTED, "contradicted")
    assert claim.contradicted_at == AT + 2
    assert against(claim, AT + 9, SPEAKS_AGAINST) == claim


def test_what_is_refuted_stays_so_until_an_operator_looks_again() -> None:
    refuted = refute(rumour(), AT + 1, SPEAKS_AGAINST)
    assert (refuted.state, refuted.shown_as) == (State.REFUTED, "refuted")
    assert support(refuted, AT + 2, FITS, measured=True) == refuted
    again = decide(refuted, State.UNCONFIRMED, "ana", "New sources.", AT + 3)
    assert support(again, AT + 4, FITS, measured=True).state is State.SUPPORTED


def test_an_operators_word_stands_and_later_evidence_is_noted_beside_it() -> None:
    settled = decide(rumour(), State.CONFIRMED, "ana", "The vendor's report says it.", AT + 1)
    later = refute(support(settled, AT + 2, FITS, measured=True), AT + 3, SPEAKS_AGAINST)
    assert (later.state, later.settled_by, later.shown_as) == (State.CONFIRMED, "ana", "confirmed")
    assert [one.what for one in later.history] == ["entered", "state", "support", "against"]


@pytest.mark.parametrize(("by", "reason"), [("", "r"), ("ana", ""), ("ana", "\u200b")])
def test_an_operator_gives_a_name_and_a_reason(by: str, reason: str) -> None:
    with pytest.raises(ValueError, match="name and a reason"):
        decide(rumour(), State.REFUTED, by, reason, AT)


def test_a_rumour_without_news_expires_and_stays_in_the_history() -> None:
    claim = rumour()
    assert expire(claim, AT + 7 * DAY_S - 1) == claim
    old = expire(claim, AT + 7 * DAY_S)
    assert (old.expired, old.state, old.shown_as) == (True, State.UNCONFIRMED, "expired")
    assert expire(old, AT + 99 * DAY_S) == old
    assert [one.what for one in old.history] == ["entered", "expired"]


def test_news_keep_it_from_expiring_and_bring_it_back() -> None:
    claim = against(rumour(), AT + 6 * DAY_S, SPEAKS_AGAINST)
    assert not expire(claim, AT + 8 * DAY_S).expired
    back = support(expire(rumour(), AT + 8 * DAY_S), AT + 9 * DAY_S, FITS, measured=True)
    assert (back.expired, back.state) == (False, State.SUPPORTED)


def test_what_is_supported_or_settled_does_not_expire() -> None:
    supported = support(rumour(), AT, FITS, measured=True)
    assert expire(supported, AT + 99 * DAY_S) == supported
    refuted = decide(rumour(), State.REFUTED, "ana", "It was not so.", AT)
    assert expire(refuted, AT + 99 * DAY_S) == refuted


STEPS = st.lists(
    st.sampled_from(["stated", "measured", "against", "refute", "expire", "ana", "release"]),
    max_size=40,
)


@given(STEPS)
def test_every_move_is_in_the_history_and_only_evidence_and_operators_confirm(
    steps: list[str],
) -> None:
    claim, at = rumour(), AT
    for number, step in enumerate(steps):
        at += DAY_S
        before, reason = claim, {"en": f"{number}", "fr": f"{number}"}
        match step:
            case "stated" | "measured":
                claim = support(claim, at, reason, measured=step == "measured")
            case "against":
                claim = against(claim, at, reason)
            case "refute":
                claim = refute(claim, at, reason)
            case "expire":
                claim = expire(claim, at)
            case "ana":
                claim = decide(claim, State.REFUTED, "ana", "So it is.", at)
            case _:
                claim = decide(claim, State.UNCONFIRMED, "ana", "Look again.", at)
        if claim != before:
            assert claim.history[: len(before.history)] == before.history
            assert claim.history[-1].state is claim.state
        if claim.state is State.CONFIRMED:
            assert claim.stated
            assert claim.measured


def test_the_history_is_bounded_and_keeps_its_beginning() -> None:
    claim = rumour()
    for number in range(HISTORY_LIMIT + 50):
        claim = against(claim, AT + number, {"en": f"{number}", "fr": f"{number}"})
    assert len(claim.history) == HISTORY_LIMIT
    assert claim.history[0].what == "entered"
    assert claim.history[-1].reason["en"] == str(HISTORY_LIMIT + 49)


def test_nothing_that_computes_a_probability_knows_of_claims() -> None:
    folder = Path(outlast.observatory.__file__).parent
    for name in ("fusion.py", "judging.py", "vendors.py"):
        tree = ast.parse((folder / name).read_text(encoding="utf-8"))
        modules = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for name in (node.module or "", *(f"{node.module}.{one.name}" for one in node.names))
        }
        assert modules
        assert not any("claims" in module for module in modules)
