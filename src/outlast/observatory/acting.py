"""What an operator can do to an incident. Pure: an action and the incident in, an update out.

Nothing is taken out of a history. A correction stands beside what it corrects, a retraction says
that we were wrong; both name the update that they are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from outlast.nouns import Incident, Stage, Update
from outlast.observatory.words import LANGS, plain

CAUSES = (
    "overload",
    "deploy",
    "configuration",
    "upstream_cloud",
    "network",
    "authentication",
    "unknown",
)
KINDS = ("annotate", "confirm_cause", "correct", "retract", "resolve")
TEXT_LIMIT = 4000
NAME_LIMIT = 80


class BadAction(Exception):
    """The action cannot be done; the message says why, for the operator, and `words` says it by
    language."""

    def __init__(self, english: str, french: str = "") -> None:
        super().__init__(english)
        self.words: dict[str, str] = {"en": english, "fr": french or english}


class NotKept(Exception):
    """It is done and shown, and the database refuses to store it: it ends with the service."""

    def __init__(self) -> None:
        self.words = {
            "en": "The database refuses this: it stands until the service ends, and is not kept. "
            "The log says why.",
            "fr": "La base de données le refuse\u00a0: cela vaut jusqu'à l'arrêt du service, sans "
            "être conservé. Le journal dit pourquoi.",
        }
        super().__init__(self.words["en"])


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One action. `text` is in the languages that the operator wrote; one is enough."""

    kind: str
    """annotate · confirm_cause · correct · retract · resolve"""
    text: dict[str, str] = {}
    cause: str = ""
    number: int | None = None
    """Which update a correction or retraction is about, from 0; a retraction without one takes
    back the whole incident."""


class Done(msgspec.Struct, frozen=True):
    """The update that an action makes, and which fields of the incident it changes."""

    update: Update
    changes: dict[str, Any] = {}


def act(incident: Incident, action: Action, by: str, now: float) -> Done:
    """Return what an action makes of an incident. Raises BadAction."""
    who = plain(by, NAME_LIMIT) or "operator"
    text = _text(action)
    match action.kind:
        case "annotate":
            return Done(_update(incident, "annotated", text, who, now))
        case "confirm_cause":
            if action.cause not in CAUSES:
                raise one_of("cause", CAUSES)
            changes = {"cause": action.cause, "cause_confirmed_by": who}
            return Done(_update(incident, "cause", text, who, now), changes)
        case "correct":
            number = _number(incident, action)
            return Done(_update(incident, "corrected", text, who, now, number))
        case "retract":
            if action.number is not None:
                number = _number(incident, action)
                return Done(_update(incident, "retracted", text, who, now, number))
            return Done(
                _update(incident, "retracted", text, who, now, stage=Stage.RESOLVED),
                {"retracted": True, "stage": Stage.RESOLVED, "resolved_at": _end(incident, now)},
            )
        case "resolve":
            if incident.stage is Stage.RESOLVED:
                raise BadAction("It is resolved already.", "Il est déjà résolu.")
            return Done(
                _update(incident, "resolved", text, who, now, stage=Stage.RESOLVED),
                {"stage": Stage.RESOLVED, "resolved_at": now},
            )
        case _:
            raise one_of("kind", KINDS)


def one_of(field: str, values: Sequence[str]) -> BadAction:
    """What to raise for a field that has none of the values that it may have."""
    listed = ", ".join(values)
    return BadAction(f"{field} is one of {listed}.", f"{field} est l'un de\u00a0: {listed}.")


def _text(action: Action) -> dict[str, str]:
    unknown = set(action.text) - set(LANGS)
    if unknown:
        named = ", ".join(plain(one, 20) for one in sorted(unknown))
        raise BadAction(
            f"text has a language that is not served: {named}.",
            f"text a une langue qui n'est pas servie\u00a0: {named}.",
        )
    said = {lang: plain(words, TEXT_LIMIT) for lang, words in action.text.items() if words.strip()}
    if not said:
        raise BadAction(
            "text is empty: say in `en` or `fr` what readers should know.",
            "Le texte est vide\u00a0: dites en anglais ou en français ce que les lecteurs doivent "
            "savoir.",
        )
    first = next(iter(said.values()))
    return {lang: said.get(lang, first) for lang in LANGS}


def _number(incident: Incident, action: Action) -> int:
    number = action.number
    if number is None or not 0 <= number < len(incident.updates):
        last = len(incident.updates) - 1
        raise BadAction(
            f"number must name an update of this incident, 0 to {last}.",
            f"Le numéro doit désigner une entrée de cet incident, de 0 à {last}.",
        )
    return number


def _end(incident: Incident, now: float) -> float:
    return incident.resolved_at if incident.resolved_at is not None else now


def _update(
    incident: Incident,
    kind: str,
    text: dict[str, str],
    by: str,
    now: float,
    corrects: int | None = None,
    *,
    stage: Stage | None = None,
) -> Update:
    return Update(
        at=now, kind=kind, stage=stage or incident.stage, text=text, by=by, corrects=corrects
    )
