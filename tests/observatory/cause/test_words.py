"""Which cause a vendor's sentence states: a fact, a belief, a denial, a question, a remedy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observatory.cause_words import BELIEVED, IMPLIED, STATED, TEXT_LIMIT_CHARS, find

STATES = {
    "The root cause was a configuration change to our load balancers.": "configuration",
    "The outage was caused by a misconfigured rate limit.": "configuration",
    "The issue was caused by a rollout of a new configuration.": "configuration",
    "Errors rose due to an incorrect quota setting.": "configuration",
    "A feature flag caused elevated errors on the API.": "configuration",
    "The root cause was a recent release that included a misconfiguration.": "deploy",
    "A deployment caused an outage of the API for ten minutes.": "deploy",
    "This was caused by a regression in our last release.": "deploy",
    "The errors were due to a database migration.": "deploy",
    "The incident was triggered by a software update.": "deploy",
    "Requests failed due to unusually high load.": "overload",
    "The root cause was an unexpected spike in traffic.": "overload",
    "Due to capacity constraints, users saw increased latency.": "overload",
    "A surge of requests caused failures for some users.": "overload",
    "The outage was caused by an incident at our cloud provider.": "upstream_cloud",
    "An outage at Cloudflare is causing errors.": "upstream_cloud",
    "Logins fail due to an outage of a third-party provider.": "upstream_cloud",
    "A network issue at our cloud provider caused the errors.": "upstream_cloud",
    "The issue was caused by packet loss between two regions.": "network",
    "Errors were caused by a DNS misroute.": "network",
    "This issue is due to multiple fiber cuts.": "network",
    "The outage was caused by an expired certificate.": "authentication",
    "Users cannot log in due to a failure of our authentication service.": "authentication",
    "The root cause was a shortage of capacity following two fiber cuts.": "network",
    "The root cause was a loss of power in one building.": "",
    "The issue was caused by a bug in our tokenizer.": "",
}

SILENT = {
    "a denial": "This was not caused by a configuration change.",
    "a denial of evidence": "There is no evidence that the outage was caused by an overload.",
    "something ruled out": "We have ruled out that a deployment caused the errors.",
    "a question": "We are investigating whether the errors were caused by a recent deployment.",
    "a possibility": "The issue may have been caused by increased load.",
    "a suspicion": "We suspect that the outage was caused by a DNS failure.",
    "a rumour": "Reports that the outage was caused by an attack on our network are being checked.",
    "a remedy": "The issue was resolved due to the fix we deployed.",
    "a remedy under way": "The root cause has been identified and a fix is being deployed.",
    "a remedy that needs capacity": "We deployed a fix and added capacity.",
    "a cause that is not said": "We have identified the root cause and are working on a fix.",
    "no cause at all": "We are currently investigating this issue.",
    "a component that fails": "Requests to the authentication service return errors.",
    "a symptom": "Customers see increased error rates for configuration changes.",
    "a plan": "To prevent this, we will roll back the change.",
    "a consequence in the future": "This might lead to increased load.",
    "how logins work": "Due to the design of our login system, some users saw errors first.",
    "the vendor's all-clear": "We have identified that the Claude API is working as intended.",
}


@pytest.mark.parametrize("sentence", STATES)
def test_a_sentence_states(sentence: str) -> None:
    assert [(one.cause, one.phrase) for one in find(sentence)] == [(STATES[sentence], sentence)]


@pytest.mark.parametrize("name", SILENT)
def test_a_sentence_states_no_cause(name: str) -> None:
    assert find(SILENT[name]) == []


@pytest.mark.parametrize(
    ("sentence", "strength"),
    [
        ("The root cause was a configuration change.", STATED),
        ("From preliminary analysis, the root cause was a configuration change.", BELIEVED),
        ("We believe the issue was caused by a configuration change.", BELIEVED),
        ("We rolled back a recent configuration change.", IMPLIED),
    ],
    ids=["a fact", "preliminary", "a belief", "what was undone"],
)
def test_how_it_is_said_decides_how_much_it_counts(sentence: str, strength: float) -> None:
    assert [one.strength for one in find(sentence)] == [strength]


def test_under_the_heading_of_the_root_cause_nothing_else_counts() -> None:
    text = (
        "# SUMMARY\nUsers saw errors due to packet loss.\n\n# ROOT CAUSE\n"
        "The errors were caused by a new release.\n\n# REMEDIATION\n"
        "The rollback was slow due to increased load.\n"
    )
    assert [(one.cause, one.root) for one in find(text)] == [("deploy", True)]


def test_every_sentence_is_read_and_quoted_by_itself() -> None:
    text = "We look at it. The errors were caused by increased load.\nA deployment caused errors."
    assert [(one.cause, one.phrase) for one in find(text)] == [
        ("overload", "The errors were caused by increased load."),
        ("deploy", "A deployment caused errors."),
    ]


def test_a_long_sentence_is_quoted_around_what_it_states() -> None:
    (found,) = find("x " * 200 + "and the outage was caused by increased load " + "y " * 200)
    assert "caused by increased load" in found.phrase
    assert len(found.phrase) <= 242


@given(
    st.lists(
        st.sampled_from(
            [
                *STATES,
                "root cause",
                "due to",
                "caused by",
                "config",
                "not",
                "load",
                ".",
                "\n",
                "a " * 50,
            ]
        )
        | st.text(max_size=10),
        max_size=30,
    )
)
def test_any_text_is_read_and_what_is_quoted_stands_in_it(parts: list[str]) -> None:
    text = " ".join(parts)
    flat = " ".join(text.split())
    for one in find(text):
        assert " ".join(one.phrase.strip("…").split()) in flat


@pytest.mark.parametrize(
    "piece", ["\n", " ", "# ", "caused by ", "root cause ", "due to the ", "a-"]
)
def test_a_text_of_one_piece_over_and_over_is_read_to_its_limit(piece: str) -> None:
    """A pattern that looks back over what it has seen would take minutes here."""
    assert all(one.phrase for one in find(piece * (TEXT_LIMIT_CHARS // len(piece))))
