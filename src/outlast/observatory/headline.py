"""The one sentence that a worried person reads first, in English and French. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from outlast.nouns import ComponentState, Incident, Stage, Status, Suspicion
from outlast.observatory.incident_texts import names
from outlast.observatory.words import LANGS, clock_time, listed, provider_name

Text = dict[str, str]


def headline(incidents: Sequence[Incident], states: Iterable[ComponentState]) -> Text:
    """Return what to say of everything at once. `incidents`: those that are not over."""
    known = {state.component: state for state in states}
    live = [one for one in incidents if one.stage is not Stage.RESOLVED and not one.retracted]
    failing = [one for one in live if one.stage is not Stage.MONITORING]
    sure = [one for one in failing if is_sure(one, known)]
    if sure:
        return _one(sure, known, confirmed=True)
    if failing:
        return _one(failing, known, confirmed=False)
    if live:
        who = _providers(live)
        return {
            "en": f"{who['en']}: working again. We watch for 15 minutes before calling it over.",
            "fr": f"{who['fr']}\u00a0: à nouveau en marche. Nous observons 15 minutes avant de "
            "dire que c'est fini.",
        }
    if not any(map(looked_at, known.values())):
        return {
            "en": "Nothing has been looked at yet, so nothing can be said.",
            "fr": "Rien n'a encore été observé\u00a0: on ne peut donc rien dire.",
        }
    at_work = [s for s in known.values() if s.status is Status.MAINTENANCE]
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


def failing_since(incident: Incident) -> float:
    """When it began, or came back last."""
    back = [one.at for one in incident.updates if one.kind == "relapsed"]
    return back[-1] if back and incident.relapses else incident.started_at


def is_sure(incident: Incident, known: Mapping[str, ComponentState]) -> bool:
    """Whether it may be called confirmed now. What was confirmed, ended and came back has to be
    confirmed anew."""
    if incident.suspicion is not Suspicion.O_DOWN or not incident.relapses:
        return incident.suspicion is Suspicion.O_DOWN
    now = [known[name].suspicion for name in incident.components if name in known]
    return Suspicion.O_DOWN in now or not now


def is_bad(incident: Incident, known: Mapping[str, ComponentState]) -> bool:
    """Whether any of it is a major outage now; if nothing is known of now, whether it ever was."""
    now = [known[name].status for name in incident.components if name in known]
    return Status.MAJOR in (now or incident.components.values())


def _one(
    incidents: Sequence[Incident], known: Mapping[str, ComponentState], *, confirmed: bool
) -> Text:
    who = _providers(incidents)
    since = clock_time(min(map(failing_since, incidents)))
    bad = any(is_bad(one, known) for one in incidents)
    again = all(one.relapses for one in incidents)
    several = len({one.provider for one in incidents}) > 1
    if confirmed:
        en = "is failing" if bad else "is failing in part"
        fr = "est en panne" if bad else "est en panne partielle"
        if again:
            en, fr = en.replace("failing", "failing again"), fr.replace("est ", "est à nouveau ")
        if several:
            en = en.replace("is ", "are ")
            fr = fr.replace("est ", "sont ")
        return {
            "en": f"{who['en']} {en}, since about {since}. This is confirmed.",
            "fr": f"{who['fr']} {fr}, depuis {since} environ. C'est confirmé.",
        }
    seems = "semblent" if several else "semble"
    back = {"en": " again", "fr": " à nouveau"} if again else {"en": "", "fr": ""}
    return {
        "en": f"{who['en']} may be failing{back['en']}, since about {since}. "
        "This is not confirmed yet.",
        "fr": f"{who['fr']} {seems}{back['fr']} en panne, depuis {since} environ. "
        "Ce n'est pas encore confirmé.",
    }


def _providers(incidents: Sequence[Incident]) -> Text:
    found = list(dict.fromkeys(provider_name(one.provider) for one in incidents))
    return {lang: listed(found, lang) for lang in LANGS}
