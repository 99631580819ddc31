"""What operators may do to an incident, and what is refused in words."""

from __future__ import annotations

import pytest

from outlast.nouns import Impact, Incident, Stage, Status, Suspicion, Update
from outlast.observatory.acting import Action, BadAction, act

NOW = 2000.0


def incident(stage: Stage = Stage.INVESTIGATING) -> Incident:
    first = Update(1000.0, "opened", Stage.INVESTIGATING, {"en": "Suspected.", "fr": "Soupçon."})
    return Incident(
        "inc_1",
        "anthropic",
        1000.0,
        990.0,
        stage,
        Impact.MAJOR,
        Suspicion.S_DOWN,
        {"anthropic/api": Status.PARTIAL},
        {"en": "Anthropic: partial outage (API)", "fr": "…"},
        (first,),
    )


def test_a_note_is_written_in_both_languages_though_one_was_given() -> None:
    done = act(incident(), Action("annotate", {"en": "We moved to OpenAI."}), "ana", NOW)
    assert done.update.text == {"en": "We moved to OpenAI.", "fr": "We moved to OpenAI."}
    assert (done.update.kind, done.update.by, done.changes) == ("annotated", "ana", {})


def test_a_confirmed_cause_says_who_confirmed_it() -> None:
    action = Action("confirm_cause", {"en": "A bad deploy."}, cause="deploy")
    done = act(incident(), action, "ana", NOW)
    assert done.changes == {"cause": "deploy", "cause_confirmed_by": "ana"}


def test_a_correction_names_what_it_corrects_and_changes_nothing_of_it() -> None:
    before = incident()
    done = act(before, Action("correct", {"en": "It was 12:06."}, number=0), "ana", NOW)
    assert done.update.corrects == 0
    assert done.changes == {}
    assert before.updates[0].text["en"] == "Suspected."


def test_a_retraction_without_a_number_takes_back_the_incident() -> None:
    done = act(incident(), Action("retract", {"fr": "Fausse alerte."}), "ana", NOW)
    assert done.changes == {"retracted": True, "stage": Stage.RESOLVED, "resolved_at": NOW}


def test_control_signs_and_directions_are_taken_out_of_what_operators_write() -> None:
    done = act(incident(), Action("annotate", {"en": "a\u202eb\x1b[31m c\n d"}), "an\x00a", NOW)
    assert done.update.text["en"] == "ab[31m c d"
    assert done.update.by == "ana"


REFUSED = [
    ("without words", Action("annotate", {"en": "  "}), "text is empty"),
    ("in a language that is not served", Action("annotate", {"de": "Ja"}), "not served"),
    ("a cause that is none of the classes", Action("confirm_cause", {"en": "x"}, "magic"), "cause"),
    ("a correction of nothing", Action("correct", {"en": "x"}), "number"),
    ("a correction of what is not there", Action("correct", {"en": "x"}, number=7), "0 to 0"),
    ("an action that is none", Action("delete", {"en": "x"}), "kind is one of"),
]


@pytest.mark.parametrize(
    ("action", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_refused(action: Action, words: str) -> None:
    with pytest.raises(BadAction, match=words) as caught:
        act(incident(), action, "ana", NOW)
    assert caught.value.words["en"] == str(caught.value)
    assert caught.value.words["fr"] != caught.value.words["en"]


def test_what_is_over_is_not_resolved_again() -> None:
    with pytest.raises(BadAction, match="resolved already"):
        act(incident(Stage.RESOLVED), Action("resolve", {"en": "x"}), "ana", NOW)
