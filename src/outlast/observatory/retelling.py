"""A replay as a story: what is said, moment by moment, and what it came to. Pure.

    for at, said in play(…):  for line in teller.hear(at, said): …
    teller.state(at)          what a reader would see at that moment
    teller.summary()          first suspicion, confirmation, lead, contradictions, claims, cause

Every line has a time, a kind, and its words in English and French; programs get the same lines.
"""

from __future__ import annotations

from typing import Any

import msgspec

from outlast.nouns import ComponentState, Incident, Stage, Status, Suspicion
from outlast.observatory.board import Board
from outlast.observatory.causing import cause_name
from outlast.observatory.claims import Claim
from outlast.observatory.headline import headline
from outlast.observatory.incident_texts import evidence_words
from outlast.observatory.recovery_words import words as forecast_words
from outlast.observatory.watch import Said
from outlast.observatory.words import (
    LANGS,
    Lang,
    clock_time,
    component_name,
    duration,
    percent,
    status_name,
)

FORECAST_EVERY_S = 3600.0
Text = dict[str, str]

_SUSPICION: dict[Suspicion, Text] = {
    Suspicion.NONE: {"en": "no suspicion", "fr": "aucun soupçon"},
    Suspicion.S_DOWN: {"en": "suspected", "fr": "soupçonné"},
    Suspicion.O_DOWN: {"en": "confirmed", "fr": "confirmé"},
}
_STATE: dict[str, Text] = {
    "unconfirmed": {"en": "unconfirmed", "fr": "non confirmé"},
    "supported": {"en": "supported", "fr": "étayé"},
    "confirmed": {"en": "confirmed", "fr": "confirmé"},
    "refuted": {"en": "refuted", "fr": "réfuté"},
}
_CONTRADICTION: dict[str, Text] = {
    "vendor_says_fine": {
        "en": "the vendor says that it works",
        "fr": "le fournisseur dit que cela fonctionne",
    },
    "vendor_says_down": {
        "en": "the vendor reports an outage that we do not see",
        "fr": "le fournisseur annonce une panne que nous ne voyons pas",
    },
}


_SUMMED: dict[str, Text] = {
    "opened": {"en": "suspected at {opened}", "fr": "soupçonnée à {opened}"},
    "confirmed": {"en": "confirmed at {confirmed}", "fr": "confirmée à {confirmed}"},
    "never": {"en": "never confirmed", "fr": "jamais confirmée"},
    "vendor": {
        "en": "the vendor's first word at {vendor}",
        "fr": "premier mot du fournisseur à {vendor}",
    },
    "silent": {"en": "not a word from the vendor", "fr": "aucun mot du fournisseur"},
    "ahead": {"en": "{lead} ahead of the vendor", "fr": "{lead} avant le fournisseur"},
    "behind": {"en": "{lead} after the vendor", "fr": "{lead} après le fournisseur"},
    "contradictions": {
        "en": "contradictions shown: {contradictions}",
        "fr": "contradictions montrées\u00a0: {contradictions}",
    },
    "relapses": {"en": "relapses: {relapses}", "fr": "rechutes\u00a0: {relapses}"},
    "over": {"en": "over at {over}", "fr": "finie à {over}"},
    "open": {"en": "not over", "fr": "pas finie"},
}


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is said."""

    at: float
    kind: str
    """headline · update · component · forecast · claim · cause · summary"""
    text: Text
    incident: str = ""
    component: str = ""
    what: str = ""
    """Of an update, its kind; of a component, its status; of a claim, its state."""
    probability: float | None = None


class Teller:
    """Keeps what a reader would see, and tells what is new."""

    def __init__(self) -> None:
        self.board = Board()
        self._headline: Text = {}
        self._updates: dict[str, int] = {}
        self._shown: dict[str, tuple[Status, Suspicion, str]] = {}
        self._forecast_at: dict[str, float] = {}
        self._claims: dict[str, Claim] = {}
        self._incidents: dict[str, Incident] = {}
        self._vendor_at: dict[str, float] = {}
        """When the vendor first spoke in a notice (its own time), by `feed/id`."""

    def hear(self, at: float, said: Said) -> list[Line]:
        """Take in what was said at a moment; return what a reader sees change, in order."""
        board = self.board
        board.looked(at)
        if said.states:
            board.set_states(said.states)
        if said.incidents:
            board.set_incidents(said.incidents)
        if said.claims:
            board.set_claims(said.claims)
        board.forecasts |= said.forecasts
        board.extents |= said.extents
        for notice in said.notices:
            name = f"{notice.feed}/{notice.id}"
            self._vendor_at.setdefault(name, notice.started_at or notice.fetched_at)
        lines = [line for state in said.states for line in self._component(at, state)]
        for incident in said.incidents:
            self._incidents[incident.id] = incident
            lines += self._news(at, incident)
        lines += [line for claim in said.claims for line in self._claim(at, claim)]
        lines += self._forecasts(at)
        if said.states or said.incidents:
            found = headline(board.open(), board.states.values())
            if found != self._headline:
                self._headline = found
                lines.append(Line(at, "headline", found))
        return lines

    def _component(self, at: float, state: ComponentState) -> list[Line]:
        now = (state.status, state.suspicion, state.contradiction)
        fine = (Status.OPERATIONAL, Suspicion.NONE, "")
        if self._shown.get(state.component, fine) == now:
            return []
        self._shown[state.component] = now
        return [_component_line(at, state)]

    def _news(self, at: float, incident: Incident) -> list[Line]:
        known = self._updates.get(incident.id, 0)
        self._updates[incident.id] = len(incident.updates)
        return [
            Line(at, "update", update.text, incident=incident.id, what=update.kind)
            for update in incident.updates[known:]
        ]

    def _claim(self, at: float, claim: Claim) -> list[Line]:
        before = self._claims.get(claim.id)
        self._claims[claim.id] = claim
        if before is not None and before.state is claim.state:
            return []
        return [_claim_line(at, claim)]

    def _forecasts(self, at: float) -> list[Line]:
        lines = []
        for incident in self.board.open():
            forecast = self.board.forecasts.get(incident.id)
            last = self._forecast_at.get(incident.id)
            if forecast is None or (last is not None and at - last < FORECAST_EVERY_S):
                continue
            self._forecast_at[incident.id] = at
            text: Text = {lang: forecast_words(forecast, lang) for lang in LANGS}
            lines.append(Line(at, "forecast", text, incident=incident.id))
        return lines

    # What it came to --------------------------------------------------------------------------

    def state(self, at: float) -> list[Line]:
        """Everything that a reader sees at this moment."""
        lines = [Line(at, "headline", headline(self.board.open(), self.board.states.values()))]
        for _, state in sorted(self.board.states.items()):
            lines.append(_component_line(at, state, evidence=True))
        for incident in self.board.open():
            lines.append(
                Line(at, "update", incident.title, incident=incident.id, what=str(incident.stage))
            )
            forecast = self.board.forecasts.get(incident.id)
            if forecast is not None:
                text: Text = {lang: forecast_words(forecast, lang) for lang in LANGS}
                lines.append(Line(at, "forecast", text, incident=incident.id))
            lines.append(_cause_line(at, incident))
        lines += [
            _claim_line(at, claim) for claims in self.board.claims.values() for claim in claims
        ]
        return lines

    def facts(self, incident: Incident) -> dict[str, Any]:
        """An incident in figures: times in seconds since the epoch, None where it did not happen.

        `vendor_at` is the vendor's own time of its first word, so that a lead owes nothing to how
        rarely we read its page.
        """
        of_kind = {kind: _first(incident, kind) for kind in ("confirmed", "contradiction")}
        spoken = [self._vendor_at[one] for one in incident.notices if one in self._vendor_at]
        vendor = min(spoken, default=None)
        return {
            "incident": incident.id,
            "opened_at": incident.opened_at,
            "confirmed_at": of_kind["confirmed"],
            "vendor_at": vendor,
            "lead_s": None if vendor is None else vendor - incident.opened_at,
            "contradictions": sum(one.kind == "contradiction" for one in incident.updates),
            "relapses": incident.relapses,
            "resolved_at": incident.resolved_at,
            "previous": incident.previous,
            "cause": incident.cause,
            "claims": {
                claim.id: str(claim.state)
                for claim in self._claims.values()
                if claim.incident == incident.id
            },
        }

    def incidents(self) -> list[Incident]:
        """Every incident of the replay, the first to open first."""
        return sorted(self._incidents.values(), key=lambda one: one.opened_at)

    def claims(self) -> list[Claim]:
        return list(self._claims.values())

    def summary(self, at: float) -> list[Line]:
        """What each incident came to, in one line each, and its claims."""
        lines = []
        for incident in self.incidents():
            facts = self.facts(incident)
            if incident.merged_into:
                continue
            text: Text = {lang: _summed(incident, facts, lang) for lang in LANGS}
            lines.append(Line(at, "summary", text, incident=incident.id))
            lines.append(_cause_line(at, incident))
        if not lines:
            text = {"en": "Nothing was suspected.", "fr": "Rien n'a été soupçonné."}
            lines.append(Line(at, "summary", text))
        return lines + [_claim_line(at, claim) for claim in self._claims.values()]


def _component_line(at: float, state: ComponentState, *, evidence: bool = False) -> Line:
    text: Text = {}
    for lang in LANGS:
        colon = ":" if lang == "en" else "\u00a0:"
        parts = [status_name(state.status, lang)]
        if state.suspicion is not Suspicion.NONE:
            parts.append(_SUSPICION[state.suspicion][lang])
        parts.append(f"P {percent(state.probability, lang)}")
        if state.contradiction:
            parts.append(_CONTRADICTION[state.contradiction][lang])
        text[lang] = f"{component_name(state.component, lang)}{colon} {', '.join(parts)}."
        if evidence:
            seen = evidence_words(state.evidence, lang, state.component.partition("/")[0])
            text[lang] = f"{text[lang]} {seen}".strip()
    return Line(
        at,
        "component",
        text,
        component=state.component,
        what=str(state.status),
        probability=round(state.probability, 4),
    )


def _claim_line(at: float, claim: Claim) -> Line:
    text: Text = {}
    for lang in LANGS:
        words = claim.text.get(lang) or next(iter(claim.text.values()), "")
        who = ", ".join(claim.sources)
        text[lang] = f"[{_STATE[claim.state][lang]}] {words} ({who})"
    return Line(at, "claim", text, incident=claim.incident, what=str(claim.state))


def _cause_line(at: float, incident: Incident) -> Line:
    if incident.cause == "unknown":
        text: Text = {
            "en": "Cause: unknown. None is claimed.",
            "fr": "Cause\u00a0: inconnue. Aucune n'est avancée.",
        }
    else:
        why = " ".join(incident.cause_evidence)
        text = {
            "en": f"Cause: {cause_name(incident.cause, 'en')}. {why}".strip(),
            "fr": f"Cause\u00a0: {cause_name(incident.cause, 'fr')}. {why}".strip(),
        }
    return Line(at, "cause", text, incident=incident.id, what=incident.cause)


def _first(incident: Incident, kind: str) -> float | None:
    return next((update.at for update in incident.updates if update.kind == kind), None)


def _summed(incident: Incident, facts: dict[str, Any], lang: Lang) -> str:
    over = incident.stage is Stage.RESOLVED and incident.resolved_at is not None
    times = {
        "opened": clock_time(incident.opened_at),
        "confirmed": _time(facts["confirmed_at"]),
        "vendor": _time(facts["vendor_at"]),
        "over": _time(incident.resolved_at) if over else "",
    }
    lead_s = facts["lead_s"]
    keys = ["opened", "confirmed" if times["confirmed"] else "never"]
    keys.append("vendor" if times["vendor"] else "silent")
    if lead_s is not None:
        keys.append("ahead" if lead_s >= 0 else "behind")
    keys += ["contradictions"] * bool(facts["contradictions"]) + ["relapses"] * bool(
        facts["relapses"]
    )
    keys.append("over" if over else "open")
    values = {
        **times,
        "lead": duration(abs(lead_s or 0.0), lang),
        "contradictions": facts["contradictions"],
        "relapses": facts["relapses"],
    }
    said = ", ".join(_SUMMED[key][lang].format(**values) for key in keys)
    colon = ":" if lang == "en" else "\u00a0:"
    return f"{incident.title[lang]}{colon} {said}."


def _time(at: float | None) -> str:
    return "" if at is None else clock_time(at)
