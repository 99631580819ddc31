"""What an incident's updates say, in English and French, from templates and figures. Pure.

Each sentence says who saw what: "requests failed" is our own traffic, "people report" is the
crowd, "Anthropic says" is the vendor. Nothing is claimed without its evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from outlast.nouns import ComponentState, Evidence, Status
from outlast.observatory.extent import SEEN
from outlast.observatory.judging import GROUPS
from outlast.observatory.words import (
    LANGS,
    Lang,
    clock_time,
    component_name,
    duration,
    listed,
    number,
    percent,
    provider_name,
    quoted,
    status_name,
)

Text = dict[str, str]

_KINDS: dict[str, dict[Lang, str]] = {
    "traffic": {"en": "our own requests", "fr": "nos propres requêtes"},
    "slow": {"en": "slow answers", "fr": "des réponses lentes"},
    "probe": {"en": "our probes", "fr": "nos sondes"},
    "elsewhere": {"en": "probes from other places", "fr": "des sondes d'autres lieux"},
    "report": {"en": "people's reports", "fr": "les signalements"},
    "notice": {"en": "the vendor's notice", "fr": "l'annonce du fournisseur"},
}


def kind_name(kind: str, lang: Lang) -> str:
    return _KINDS[kind][lang]


def evidence_sentence(one: Evidence, lang: Lang, provider: str = "") -> str:
    """One kind of evidence as a sentence without its full stop."""
    failures, total = number(one.failures, lang), number(one.total, lang)
    match one.kind, lang:
        case "traffic", "en":
            return f"{failures} of {total} requests failed in the last 5 minutes"
        case "traffic", "fr":
            failed = "requête" if one.failures == 1 else "requêtes"
            have = "a" if one.failures == 1 else "ont"
            return f"{failures} {failed} sur {total} {have} échoué ces 5 dernières minutes"
        case "slow", "en":
            return f"{failures} of {total} answers took more than twice the usual time to begin"
        case "slow", "fr":
            return f"{failures} réponses sur {total} ont mis plus du double du temps à commencer"
        case "probe", "en":
            return f"{failures} of our last {total} probes failed"
        case "probe", "fr":
            have = "a" if one.failures == 1 else "ont"
            return f"{failures} de nos {total} dernières sondes {have} échoué"
        case "elsewhere", "en":
            return f"{failures} of {total} probes from other places failed"
        case "elsewhere", "fr":
            probe, have = ("sonde", "a") if one.failures == 1 else ("sondes", "ont")
            return f"{failures} {probe} sur {total} depuis d'autres lieux {have} échoué"
        case "report", "en":
            return (
                f"{failures} {'person reports' if one.failures == 1 else 'people report'} problems"
            )
        case "report", "fr":
            who = "personne signale" if one.failures == 1 else "personnes signalent"
            return f"{failures} {who} des problèmes"
        case "notice", "en":
            words = quoted(one.detail, lang, 160)
            return f"{provider_name(provider)} reports trouble there, and says: {words}"
        case _:
            words = quoted(one.detail, lang, 160)
            return f"{provider_name(provider)} y signale des difficultés et dit\u00a0: {words}"


def evidence_words(evidence: Iterable[Evidence], lang: Lang, provider: str) -> str:
    """Every piece that says that it is an outage, as sentences."""
    said = [evidence_sentence(one, lang, provider) for one in evidence if one.fired]
    return " ".join(map(_whole_sentence, said))


def _whole_sentence(words: str) -> str:
    """With a capital and a full stop; a quotation that ends in one has it already."""
    ended = words.rstrip("”»\u00a0 ").endswith((".", "!", "?", "…"))
    return f"{words[:1].upper()}{words[1:]}{'' if ended else '.'}"


def names(components: Iterable[str], lang: Lang) -> str:
    return listed([component_name(name, lang) for name in sorted(components)], lang)


def title(provider: str, components: Mapping[str, Status]) -> Text:
    """`Anthropic: major outage (login and web), also API and mobile app`.

    What is not as bad as the worst is not called so.
    """
    worst = max(components.values(), key=lambda status: status.rank, default=Status.DEGRADED)
    leading = [name for name in sorted(components) if components[name] is worst]
    others = [name for name in sorted(components) if components[name] is not worst]
    out: Text = {}
    for lang in LANGS:
        prefix = provider_name(provider) + " "
        parts, more = (
            listed([component_name(name, lang).removeprefix(prefix) for name in some], lang, 4)
            for some in (leading, others)
        )
        what = {
            Status.MAJOR: {"en": "major outage", "fr": "panne majeure"},
            Status.PARTIAL: {"en": "partial outage", "fr": "panne partielle"},
        }.get(worst, {"en": "problems", "fr": "difficultés"})[lang]
        colon = ":" if lang == "en" else "\u00a0:"
        also = f", {'also' if lang == 'en' else 'et aussi'} {more}" if more else ""
        out[lang] = f"{provider_name(provider)}{colon} {what} ({parts}){also}"
    return out


def opened(state: ComponentState, provider: str) -> Text:
    seen = {lang: evidence_words(state.evidence, lang, provider) for lang in LANGS}
    if len({GROUPS[one.kind] for one in state.evidence if one.fired}) > 1:
        sure = {"en": "Not confirmed yet.", "fr": "Pas encore confirmé."}
    else:
        sure = {
            "en": "One kind of evidence so far: not confirmed.",
            "fr": "Un seul type d'indice pour l'instant\u00a0: non confirmé.",
        }
    return {
        "en": f"Suspected: {component_name(state.component, 'en')}. {seen['en']} {sure['en']}",
        "fr": f"Panne soupçonnée\u00a0: {component_name(state.component, 'fr')}. {seen['fr']} "
        f"{sure['fr']}",
    }


def confirmed(state: ComponentState, provider: str, kinds: Sequence[str]) -> Text:
    out: Text = {}
    for lang in LANGS:
        seen = evidence_words(state.evidence, lang, provider)
        who = listed([kind_name(kind, lang) for kind in kinds], lang)
        sure = percent(state.probability, lang)
        name = component_name(state.component, lang)
        out[lang] = (
            f"Confirmed: {name}. {seen} Independent kinds of evidence agree ({who}); probability "
            f"of an outage {sure}."
            if lang == "en"
            else f"Confirmé\u00a0: {name}. {seen} Des indices indépendants concordent "
            f"({who})\u00a0; probabilité d'une panne\u00a0: {sure}."
        )
    return out


def extended(states: Sequence[ComponentState], provider: str) -> Text:
    found = [state.component for state in states]
    seen = {lang: evidence_words(states[0].evidence, lang, provider) for lang in LANGS}
    return {
        "en": f"Also affected: {names(found, 'en')}. {seen['en']}".strip(),
        "fr": f"Également touché\u00a0: {names(found, 'fr')}. {seen['fr']}".strip(),
    }


def changed(states: Sequence[ComponentState]) -> Text:
    out: Text = {}
    for lang in LANGS:
        parts = [
            f"{component_name(state.component, lang)}{':' if lang == 'en' else chr(160) + ':'} "
            f"{status_name(state.status, lang)}"
            for state in states
        ]
        out[lang] = ("Now: " if lang == "en" else "Maintenant\u00a0: ") + "; ".join(parts) + "."
    return out


def contradiction(state: ComponentState, provider: str) -> Text:
    vendor = provider_name(provider)
    out: Text = {}
    for lang in LANGS:
        name = component_name(state.component, lang)
        own = [one for one in state.evidence if one.kind != "notice"]
        seen = evidence_words(own, lang, provider)
        if state.contradiction == "vendor_says_fine":
            out[lang] = (
                f"{vendor} shows {name} as working. Our evidence says otherwise. {seen} "
                "We show both and average nothing."
                if lang == "en"
                else f"{vendor} donne pour opérationnel\u00a0: {name}. Nos indices disent le "
                f"contraire. {seen} Nous montrons les deux, sans en faire une moyenne."
            )
        elif failed := sum(one.failures for one in own if one.kind in SEEN):
            few = number(failed, lang)
            tries = number(sum(one.total for one in own if one.kind in SEEN), lang)
            out[lang] = (
                f"{vendor} reports an outage of {name}. We see none ourselves: {few} of "
                f"{tries} tries of the last minutes failed."
                if lang == "en"
                else f"{vendor} annonce une panne\u00a0: {name}. Nous n'en voyons pas\u00a0: {few} "
                f"essais sur {tries} ont échoué ces dernières minutes."
            )
        else:
            out[lang] = (
                f"{vendor} reports an outage of {name}. We see no failure there ourselves."
                if lang == "en"
                else f"{vendor} annonce une panne\u00a0: {name}. Nous n'y voyons aucun échec."
            )
    return out


def vendor(provider: str, stage: str, body: str, *, edited: bool = False) -> Text:
    said = provider_name(provider)
    stages: dict[str, dict[Lang, str]] = {
        "investigating": {"en": "investigating", "fr": "enquête en cours"},
        "identified": {"en": "identified", "fr": "problème identifié"},
        "monitoring": {"en": "monitoring a fix", "fr": "correctif sous surveillance"},
        "resolved": {"en": "resolved", "fr": "résolu"},
    }
    out: Text = {}
    for lang in LANGS:
        name = stages.get(stage, {"en": stage, "fr": stage})[lang]
        words = quoted(body, lang)
        if lang == "en":
            verb = "has changed an earlier notice" if edited else "says"
            out[lang] = f"{said} {verb} ({name}): {words}"
        else:
            verb = "a modifié une annonce antérieure" if edited else "dit"
            out[lang] = f"{said} {verb} ({name})\u00a0: {words}"
    return out


def monitoring(since_at: float, calm_s: float, *, vendor_open: bool, provider: str) -> Text:
    en = (
        f"No failure has been seen since {clock_time(since_at)}. We wait for "
        f"{duration(calm_s, 'en')} without relapse before calling it over."
    )
    fr = (
        f"Aucun échec constaté depuis {clock_time(since_at)}. Nous attendons "
        f"{duration(calm_s, 'fr')} sans rechute avant de dire que c'est fini."
    )
    if vendor_open:
        en += f" {provider_name(provider)} has not closed its own notice."
        fr += f" {provider_name(provider)} n'a pas clos sa propre annonce."
    return {"en": en, "fr": fr}


def relapsed(states: Sequence[ComponentState], provider: str, count: int) -> Text:
    found = [state.component for state in states]
    seen = {lang: evidence_words(states[0].evidence, lang, provider) for lang in LANGS}
    return {
        "en": f"It is back (relapse {count}): {names(found, 'en')}. {seen['en']}".strip(),
        "fr": f"La panne est de retour (rechute n°\u00a0{count})\u00a0: {names(found, 'fr')}. "
        f"{seen['fr']}".strip(),
    }


def resolved(
    started_at: float, ended_at: float, calm_s: float, *, confirmed: bool, relapses: int
) -> Text:
    span = ended_at - started_at
    en = (
        f"Healthy for {duration(calm_s, 'en')} without relapse. It lasted about "
        f"{duration(span, 'en')}, from {clock_time(started_at)} to {clock_time(ended_at)}"
    )
    fr = (
        f"Tout fonctionne depuis {duration(calm_s, 'fr')} sans rechute. Durée\u00a0: environ "
        f"{duration(span, 'fr')}, de {clock_time(started_at)} à {clock_time(ended_at)}"
    )
    if relapses:
        en += f", with {relapses} relapse{'s' if relapses > 1 else ''}"
        fr += f", avec {relapses} rechute{'s' if relapses > 1 else ''}"
    if not confirmed:
        en += ". A second kind of evidence never confirmed it"
        fr += ". Aucun second type d'indice ne l'a confirmée"
    return {"en": en + ".", "fr": fr + "."}


def merged(into: str) -> Text:
    return {
        "en": f"This is the same outage as {into}; it goes on there.",
        "fr": f"C'est la même panne que {into}\u00a0; la suite est là-bas.",
    }


def took_in(other: str, components: Iterable[str]) -> Text:
    found = list(components)
    return {
        "en": f"Now covers {other} too ({names(found, 'en')}): it is the same outage.",
        "fr": f"Comprend aussi {other} ({names(found, 'fr')})\u00a0: c'est la même panne.",
    }


def follows(previous: str) -> Text:
    return {
        "en": f" It follows {previous}, which had ended.",
        "fr": f" Elle suit {previous}, qui avait pris fin.",
    }
