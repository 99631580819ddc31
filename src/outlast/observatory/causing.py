"""The likely cause of an open incident, from what was seen since it began. Pure.

Failures are tallied by provider in ten-minute slots; the shape of those since the incident's start,
together with what the vendor's notices say, is judged by cause.py. A cause is written into the
history when it is stated, and again when another one is; an operator's word stands above both.
"""

from __future__ import annotations

from outlast.nouns import Component, Incident, Observation, Outcome, Update
from outlast.observatory import cause
from outlast.observatory.incident import Incidents
from outlast.observatory.vendors import VendorPage
from outlast.observatory.watched import FAILURES
from outlast.observatory.words import LANGS, plain

SLOT_S = 600.0
SLOTS_MAX = 144
PROVIDERS_MAX = 200
EVERY_S = 60.0

_NAMES: dict[str, dict[str, str]] = {
    "overload": {"en": "overload", "fr": "surcharge"},
    "deploy": {"en": "a deployment", "fr": "un déploiement"},
    "configuration": {"en": "a configuration change", "fr": "un changement de configuration"},
    "upstream_cloud": {"en": "the cloud beneath", "fr": "le cloud sous-jacent"},
    "network": {"en": "the network", "fr": "le réseau"},
    "authentication": {"en": "authentication", "fr": "l'authentification"},
    "unknown": {"en": "unknown", "fr": "inconnue"},
}


def cause_name(name: str, lang: str) -> str:
    return _NAMES.get(name, _NAMES["unknown"])[lang]


class _Slot:
    """One provider's tries within ten minutes."""

    def __init__(self) -> None:
        self.outcomes: dict[Outcome, int] = {}
        self.surfaces: dict[str, list[int]] = {}
        self.networks: set[str] = set()


class Causing:
    def __init__(self) -> None:
        self._slots: dict[str, dict[int, _Slot]] = {}
        self._judged_at: dict[str, float] = {}

    def observe(self, observation: Observation, now: float) -> None:
        """Tally one try of ours. Reports say nothing of a cause, refused single keys neither."""
        if observation.source not in {"attempt", "probe"}:
            return
        failed = observation.outcome in FAILURES
        if not failed and observation.outcome is not Outcome.OK:
            return
        component = Component.parse(observation.component)
        slot = self._slot(component.provider, now)
        if slot is None:
            return
        counted = slot.surfaces.setdefault(component.surface, [0, 0])
        counted[1] += 1
        if failed:
            counted[0] += 1
            slot.outcomes[observation.outcome] = slot.outcomes.get(observation.outcome, 0) + 1
            if len(slot.networks) < 50:
                slot.networks.add(observation.network or observation.source)

    def of(
        self, incident: Incident, page: VendorPage | None, incidents: Incidents, now: float
    ) -> Incident | None:
        """Return the incident with a cause that is newly stated; None where nothing is new."""
        if incident.cause_confirmed_by or incident.retracted:
            return None
        if now - self._judged_at.get(incident.id, -EVERY_S) < EVERY_S:
            return None
        self._judged_at[incident.id] = now
        said = cause.said_by(page.noticed(incident.notices)) if page is not None else ()
        verdict = cause.judge(said, self._shape(incident, incidents))
        name = str(verdict.cause)
        if verdict.cause is cause.Cause.UNKNOWN or name == incident.cause:
            return None
        update = Update(
            at=now, kind="cause", stage=incident.stage, text=_words(verdict), by="outlast"
        )
        evidence = tuple(plain(reason.text["en"], 300) for reason in verdict.evidence)
        return incidents.add(incident.id, update, cause=name, cause_evidence=evidence)

    def _slot(self, provider: str, now: float) -> _Slot | None:
        slots = self._slots.get(provider)
        if slots is None:
            if len(self._slots) >= PROVIDERS_MAX:
                return None
            slots = self._slots[provider] = {}
        number = int(now // SLOT_S)
        slot = slots.get(number)
        if slot is None:
            slot = slots[number] = _Slot()
            for old in [one for one in slots if one <= number - SLOTS_MAX]:
                del slots[old]
        return slot

    def _shape(self, incident: Incident, incidents: Incidents) -> cause.Shape:
        since = int(incident.started_at // SLOT_S)
        outcomes: dict[Outcome, int] = {}
        surfaces: dict[str, tuple[int, int]] = {}
        networks: set[str] = set()
        for number, slot in self._slots.get(incident.provider, {}).items():
            if number < since:
                continue
            networks |= slot.networks
            for outcome, count in slot.outcomes.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
            for surface, (failures, tries) in slot.surfaces.items():
                before = surfaces.get(surface, (0, 0))
                surfaces[surface] = (before[0] + failures, before[1] + tries)
        others = tuple(
            sorted(
                one.provider
                for one in incidents.open()
                if one.provider != incident.provider
                and abs(one.started_at - incident.started_at) <= SLOT_S
            )
        )
        clouds = tuple(name for name in others if name in {"aws", "azure", "gcp", "cloudflare"})
        return cause.Shape(
            outcomes=outcomes,
            surfaces=surfaces,
            networks=max(1, len(networks)),
            others=tuple(name for name in others if name not in clouds),
            clouds=clouds,
        )


def _words(verdict: cause.Verdict) -> dict[str, str]:
    out: dict[str, str] = {}
    for lang in LANGS:
        name = cause_name(str(verdict.cause), lang)
        why = " ".join(
            f"{plain(reason.text.get(lang, reason.text['en']), 300)} ({plain(reason.source, 120)})"
            for reason in verdict.evidence
        )
        sure = round(100 * verdict.confidence)
        out[lang] = (
            f"Likely kind of cause: {name} ({sure}% sure). Evidence: {why}"
            if lang == "en"
            else f"Type de cause probable\u00a0: {name} (sûr à {sure}\u00a0%). Indices\u00a0: {why}"
        )
    return out
