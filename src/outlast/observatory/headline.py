"""The one sentence that a worried person reads first, in English and French. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from outlast.nouns import ComponentState, Incident, Stage, Status, Suspicion
from outlast.observatory.incident_texts import names
from outlast.observatory.words import LANGS, clock_time, listed, provider_name

Text = dict[str, str]


def headline(incidents: Sequence[Incident], states: Iterable[ComponentState]) -> Text:
    """Return what to say of everything at once. `incidents`: those that are not over."""
    live = [one for one in incidents if one.stage is not Stage.RESOLVED and not one.retracted]
    sure = [one for one in live if one.suspicion is Suspicion.O_DOWN]
    failing = [one for one in live if one.stage is not Stage.MONITORING]
    if any(one in failing for one in sure):
        return _one([one for one in sure if one in failing], confirmed=True)
    if failing:
        return _one(failing, confirmed=False)
    if live:
        who = _providers(live)
        return {
            "en": f"{who['en']}: working again. We watch for 15 minutes before calling it over.",
            "fr": f"{who['fr']}\u00a0: à nouveau en marche. Nous observons 15 minutes avant de "
            "dire que c'est fini.",
        }
    states = list(states)
    if not any(map(looked_at, states)):
        return {
            "en": "Nothing has been looked at yet, so nothing can be said.",
            "fr": "Rien n'a encore été observé\u00a0: on ne peut donc rien dire.",
        }
    at_work = [s for s in states if s.status is Status.MAINTENANCE]
    if at_work:
        found = {lang: names([s.component for s in at_work], lang) for lang in LANGS}
        return {
            "en": f"No outage is known. Under maintenance: {found['en']}.",
            "fr": f"Aucune panne connue. En maintenance\u00a0: {found['fr']}.",
        }
    return {"en": "No outage is known.", "fr": "Aucune panne connue."}


def looked_at(state: ComponentState) -> bool:
    """Whether anything at all is known of it: "operational" alone may mean that nobody looked. A
    page that could not be read is no look."""
    return any(one.total > 0 or one.fired for one in state.evidence)


def _one(incidents: Sequence[Incident], *, confirmed: bool) -> Text:
    who = _providers(incidents)
    since = clock_time(min(one.started_at for one in incidents))
    bad = any(status is Status.MAJOR for one in incidents for status in one.components.values())
    several = len({one.provider for one in incidents}) > 1
    if confirmed:
        en = "is failing" if bad else "is failing in part"
        fr = "est en panne" if bad else "est en panne partielle"
        if several:
            en = en.replace("is ", "are ")
            fr = fr.replace("est ", "sont ")
        return {
            "en": f"{who['en']} {en}, since about {since}. This is confirmed.",
            "fr": f"{who['fr']} {fr}, depuis {since} environ. C'est confirmé.",
        }
    seems = "semblent" if several else "semble"
    return {
        "en": f"{who['en']} may be failing, since about {since}. This is not confirmed yet.",
        "fr": f"{who['fr']} {seems} en panne, depuis {since} environ. "
        "Ce n'est pas encore confirmé.",
    }


def _providers(incidents: Sequence[Incident]) -> Text:
    found = list(dict.fromkeys(provider_name(one.provider) for one in incidents))
    return {lang: listed(found, lang) for lang in LANGS}
