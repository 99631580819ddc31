"""From words and shapes to a cause class, or to "unknown"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Notice, NoticeUpdate, Outcome
from outlast.observatory.cause import (
    STATE,
    UNKNOWN,
    Cause,
    Said,
    Shape,
    from_words,
    judge,
    of_shape,
    said_by,
)

OVERLOADED = Shape(outcomes={Outcome.OVERLOADED: 95, Outcome.SERVER_ERROR: 5})
SLOW_FIRST = Shape(outcomes=OVERLOADED.outcomes, latency_ratio=3.2)
FULL = Shape(outcomes=OVERLOADED.outcomes, latency_ratio=3.2, gradual_end=True)


def said(*texts: str) -> tuple[Said, ...]:
    return tuple(Said(text, f"feed/{number}") for number, text in enumerate(texts))


def test_by_default_the_cause_is_unknown() -> None:
    assert judge() == UNKNOWN
    assert judge(said("We are investigating."), Shape()) == UNKNOWN


def test_a_cause_is_stated_with_the_words_and_their_source() -> None:
    verdict = judge(said("We look.", "The root cause was a recent deployment."))
    assert verdict.cause is Cause.DEPLOY
    (reason,) = verdict.evidence
    assert (reason.kind, reason.source) == ("words", "feed/1")
    assert reason.text == {
        "en": "The root cause was a recent deployment.",
        "fr": "The root cause was a recent deployment.",
    }


def test_what_was_only_undone_is_not_stated() -> None:
    assert judge(said("We rolled back a recent change.")) == UNKNOWN


def test_a_sentence_that_updates_repeat_counts_once() -> None:
    once = from_words(said("Errors were caused by increased load."))
    assert from_words(said(*["Errors were caused by increased load."] * 5)).confidence == (
        once.confidence
    )
    other = from_words(
        said("Errors were caused by increased load.", "Requests failed due to a traffic spike.")
    )
    assert other.confidence > once.confidence


def test_two_causes_stated_alike_make_each_less_sure() -> None:
    both = from_words(
        said("The outage was caused by increased load.", "The outage was caused by a deployment.")
    )
    assert both.confidence < from_words(said("The outage was caused by a deployment.")).confidence


def test_a_named_root_cause_goes_before_what_followed_from_it() -> None:
    verdict = from_words(
        said(
            "Users saw errors due to packet loss.",
            "From preliminary analysis, the root cause was a configuration change.",
        )
    )
    assert verdict.cause is Cause.CONFIGURATION


def test_a_stated_cause_of_no_class_is_not_turned_into_one() -> None:
    texts = said("The root cause was a loss of power.", "We rolled back a recent change.")
    assert from_words(texts) == UNKNOWN


@pytest.mark.parametrize(
    ("shape", "cause"),
    [
        (Shape(outcomes={Outcome.SERVER_ERROR: 500}), Cause.UNKNOWN),
        (OVERLOADED, Cause.UNKNOWN),
        (SLOW_FIRST, Cause.UNKNOWN),
        (FULL, Cause.OVERLOAD),
        (Shape(outcomes={Outcome.OVERLOADED: 19}, latency_ratio=9, gradual_end=True),
         Cause.UNKNOWN),
        (Shape(outcomes={Outcome.AUTH: 50}), Cause.UNKNOWN),
        (Shape(outcomes={Outcome.AUTH: 50}, credentials=3), Cause.AUTHENTICATION),
        (
            Shape(outcomes={Outcome.SERVER_ERROR: 40},
                  surfaces={"login": (35, 40), "api": (1, 400), "web": (0, 40)}),
            Cause.AUTHENTICATION,
        ),
        (
            Shape(outcomes={Outcome.SERVER_ERROR: 40},
                  surfaces={"login": (35, 40), "api": (200, 400)}),
            Cause.UNKNOWN,
        ),
        (
            Shape(outcomes={Outcome.SERVER_ERROR: 40},
                  surfaces={"login": (20, 40), "api": (0, 400), "web": (8, 16)}),
            Cause.UNKNOWN,
        ),
        (Shape(outcomes={Outcome.SERVER_ERROR: 40}, surfaces={"login": (35, 40)}), Cause.UNKNOWN),
        (Shape(outcomes={Outcome.CONNECT_FAILED: 40}, networks=2), Cause.UNKNOWN),
        (Shape(outcomes={Outcome.CONNECT_FAILED: 40}, networks=1, regions_fine=2), Cause.UNKNOWN),
        (Shape(outcomes={Outcome.CONNECT_FAILED: 40}, networks=2, regions_fine=2), Cause.NETWORK),
        (Shape(outcomes={Outcome.SERVER_ERROR: 40}, others=("openai", "cohere")), Cause.UNKNOWN),
        (Shape(outcomes={Outcome.SERVER_ERROR: 40}, others=("openai",), clouds=("aws",)),
         Cause.UNKNOWN),
        (Shape(outcomes={Outcome.SERVER_ERROR: 40}, others=("openai", "cohere"), clouds=("aws",)),
         Cause.UPSTREAM_CLOUD),
    ],
    ids=[
        "errors alone", "the provider says it is overloaded", "and was slow before",
        "and recovers slowly", "too few failures", "one key refused", "many keys refused",
        "only logins fail", "logins fail like all else",
        "the web fails too, beside many healthy requests to the API", "only logins were tried",
        "no connection", "no connection from our network alone", "no connection from some regions",
        "others fail too", "one other and a cloud", "several others and a cloud",
    ],
)  # fmt: skip
def test_a_shape_alone_states(shape: Shape, cause: Cause) -> None:
    verdict = judge((), shape)
    assert verdict.cause is cause
    assert bool(verdict.evidence) == (cause is not Cause.UNKNOWN)


def test_what_is_measured_is_told_in_english_and_french() -> None:
    for reason in of_shape(FULL).evidence:
        assert set(reason.text) == {"en", "fr"}
        assert reason.text["en"] != reason.text["fr"]
        assert reason.source == "outlast"


def test_words_and_shape_that_agree_make_each_other_surer() -> None:
    words = said("We believe the errors were caused by increased load.")
    alone, both = judge(words), judge(words, SLOW_FIRST)
    assert both.cause is Cause.OVERLOAD
    assert both.confidence > alone.confidence
    assert {one.kind for one in both.evidence} == {"words", "status", "latency"}


def test_what_was_undone_is_stated_where_the_shape_agrees() -> None:
    words = said("We rolled back a recent configuration change.")
    assert judge(words).cause is Cause.UNKNOWN
    assert judge(words, SLOW_FIRST).cause is Cause.UNKNOWN


def test_a_shape_that_contradicts_the_words_is_shown_and_makes_them_less_sure() -> None:
    words = said("The root cause was a recent deployment.")
    verdict = judge(words, FULL)
    assert (verdict.cause, verdict.confidence < judge(words).confidence) == (Cause.DEPLOY, True)
    assert [one.kind for one in verdict.evidence] == ["words"] + ["contradiction"] * 3


def test_a_belief_that_the_shape_contradicts_is_not_stated() -> None:
    assert judge(said("We believe the errors were caused by a deployment."), FULL) == UNKNOWN


def test_a_notices_title_and_updates_are_heard() -> None:
    notice = Notice(
        "anthropic", "anthropic-incidents", "0abc", "incident", "Errors",
        updates=(NoticeUpdate(1, "identified", "This was due to a misconfiguration."),
                 NoticeUpdate(2, "resolved", "")),
    )  # fmt: skip
    heard = said_by([notice])
    assert [one.text for one in heard] == ["Errors", "This was due to a misconfiguration."]
    assert judge(heard).evidence[0].source == "anthropic-incidents/0abc"


@given(
    st.lists(
        st.sampled_from(
            ["The root cause was a deployment.", "Errors were caused by increased load.",
             "We rolled back a change.", "We look.", "The outage was due to packet loss.",
             "The root cause was a power outage.", "This may be due to a configuration change."]
        ),
        max_size=6,
    ),
    st.builds(
        Shape,
        outcomes=st.dictionaries(st.sampled_from(list(Outcome)), st.integers(0, 500), max_size=4),
        credentials=st.integers(1, 5),
        networks=st.integers(1, 4),
        regions_fine=st.integers(0, 3),
        latency_ratio=st.floats(0.1, 20),
        gradual_end=st.sampled_from([None, True, False]),
        others=st.sampled_from([(), ("a",), ("a", "b")]),
        clouds=st.sampled_from([(), ("aws",)]),
    ),
)  # fmt: skip
def test_no_cause_without_evidence_and_none_below_the_line(texts: list[str], shape: Shape) -> None:
    verdict = judge(said(*texts), shape)
    if verdict.cause is Cause.UNKNOWN:
        assert verdict == UNKNOWN
    else:
        assert verdict.evidence
        assert STATE <= verdict.confidence <= 0.95
