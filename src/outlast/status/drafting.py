"""A first draft of an operator's words, from an incident's own record. Pure.

Every sentence rests on a figure or an entry of the record; what only a person can know is left
open in brackets, so that nobody sends it unread. A vendor's words are quoted as the vendor's.
"""

from __future__ import annotations

from outlast.nouns import Incident, Stage, Suspicion, Update
from outlast.observatory.incident_texts import evidence_words, names
from outlast.observatory.words import (
    Lang,
    clock_time,
    duration,
    provider_name,
    status_name,
)
from outlast.status.stamps import clean, day_and_time
from outlast.status.statuspage import update_text

TIMELINE_LIMIT = 40
DRAFT_LIMIT = 12_000
_SILENT = frozenset({"changed"})
_WORDS: dict[str, dict[Lang, str]] = {
    "sure": {"en": "This is confirmed.", "fr": "C'est confirmé."},
    "not sure": {"en": "This is not confirmed.", "fr": "Ce n'est pas confirmé."},
    "failing": {
        "en": "{who}: {what}, since about {time}.",
        "fr": "{who}\u00a0: {what}, depuis {time} environ.",
    },
    "watched": {
        "en": "{who}: working again. We watch before calling it over.",
        "fr": "{who}\u00a0: à nouveau en marche. Nous observons avant de dire que c'est fini.",
    },
    "over": {
        "en": "This is over. It lasted {span}, from {start} to {end}.",
        "fr": "C'est fini. Durée\u00a0: {span}, de {start} à {end}.",
    },
    "cause": {
        "en": "Kind of cause: {cause}, confirmed by {by}.",
        "fr": "Type de cause\u00a0: {cause}, confirmé par {by}.",
    },
    "likely": {
        "en": "Kind of cause that the evidence points to: {cause}. Nobody has confirmed it.",
        "fr": "Type de cause que les indices indiquent\u00a0: {cause}. Personne ne l'a confirmé.",
    },
    "no cause": {"en": "The cause is not known.", "fr": "La cause est inconnue."},
    "relapses": {"en": "It came back {n} times.", "fr": "La panne est revenue {n} fois."},
    "relapse": {"en": "It came back once.", "fr": "La panne est revenue une fois."},
    "retracted": {
        "en": "We have retracted this: it was not an outage.",
        "fr": "Nous l'avons retiré\u00a0: ce n'était pas une panne.",
    },
    "never": {
        "en": "A second kind of evidence never confirmed it.",
        "fr": "Aucun second type d'indice ne l'a confirmée.",
    },
    "vendor": {
        "en": "{vendor}'s first notice about it reached us at {time}, {span} after we opened it.",
        "fr": "{vendor} l'a annoncée\u00a0: cela nous est parvenu à {time}, {span} après notre "
        "ouverture.",
    },
    "vendor first": {
        "en": "{vendor} had posted a notice by the time we opened it.",
        "fr": "{vendor} avait déjà publié une annonce quand nous l'avons ouverte.",
    },
    "vendor never": {
        "en": "No notice of {vendor}'s about it is on record.",
        "fr": "{vendor} n'a rien annoncé à ce sujet que nous ayons enregistré.",
    },
    "yours": {
        "en": "[What do readers need to do? What do you know beyond this?]",
        "fr": "[Que doivent faire les lecteurs\u00a0? Que savez-vous de plus\u00a0?]",
    },
    "learnt": {
        "en": "[What did we do well, and what late? What do we change, and until when?]",
        "fr": "[Qu'avons-nous bien fait, et quoi trop tard\u00a0? Que changeons-nous, et pour "
        "quand\u00a0?]",
    },
}
_HEADS: dict[str, dict[Lang, str]] = {
    "what": {"en": "What happened", "fr": "Ce qui s'est passé"},
    "reach": {"en": "How far it reached", "fr": "Jusqu'où elle s'est étendue"},
    "known": {"en": "How we know", "fr": "Comment nous le savons"},
    "cause": {"en": "Cause", "fr": "Cause"},
    "timeline": {"en": "Timeline", "fr": "Chronologie"},
    "learnt": {"en": "What we learn from it", "fr": "Ce que nous en retenons"},
}
_CAUSES: dict[str, dict[Lang, str]] = {
    "overload": {"en": "overload", "fr": "surcharge"},
    "deploy": {"en": "a change that was rolled out", "fr": "une mise en production"},
    "configuration": {"en": "configuration", "fr": "configuration"},
    "upstream_cloud": {"en": "the cloud beneath", "fr": "le cloud sous-jacent"},
    "network": {"en": "network", "fr": "réseau"},
    "authentication": {"en": "authentication", "fr": "authentification"},
}


def draft(incident: Incident, lang: Lang) -> str:
    """Return a short update to start from: what is known now, and what only a person can add."""
    if incident.retracted:
        return _WORDS["retracted"][lang]
    said = [_now(incident, lang)]
    if incident.stage is Stage.RESOLVED:
        said += _relapses(incident, lang)
    elif incident.stage is not Stage.MONITORING:
        sure = incident.suspicion is Suspicion.O_DOWN
        said.append(_WORDS["sure" if sure else "not sure"][lang])
        said.append(_seen(incident, lang))
    said.append(_cause(incident, lang))
    said.append(_WORDS["yours"][lang])
    return " ".join(one for one in said if one)[:DRAFT_LIMIT]


def post_mortem(incident: Incident, lang: Lang) -> str:
    """Return the frame of a post-mortem, in Markdown, filled with what the record has."""
    opened, colon = incident.opened_at, ":" if lang == "en" else "\u00a0:"
    what = [_now(incident, lang), *_relapses(incident, lang)]
    if incident.retracted:
        what.append(_WORDS["retracted"][lang])
    elif incident.suspicion is not Suspicion.O_DOWN:
        what.append(_WORDS["never"][lang])
    reach = [
        f"- {names([name], lang)}{colon} {status_name(status, lang)}"
        for name, status in sorted(incident.components.items())
    ]
    entries = [one for one in incident.updates if one.kind not in _SILENT][:TIMELINE_LIMIT]
    timeline = [f"- {day_and_time(one.at)}{colon} {_entry(incident, one, lang)}" for one in entries]
    parts = {
        "what": [" ".join(what)],
        "reach": reach,
        "known": [one for one in (_seen(incident, lang), _vendor(incident, opened, lang)) if one],
        "cause": [_cause(incident, lang)],
        "timeline": timeline,
        "learnt": [_WORDS["learnt"][lang]],
    }
    title = clean(incident.title.get(lang) or incident.title.get("en", ""), 300)
    lines = [f"# {title}"]
    for name, texts in parts.items():
        lines += ["", f"## {_HEADS[name][lang]}", "", *texts]
    return "\n".join(lines)[:DRAFT_LIMIT] + "\n"


def _now(incident: Incident, lang: Lang) -> str:
    who = names(incident.components, lang)
    if incident.stage is Stage.MONITORING:
        return _WORDS["watched"][lang].format(who=who)
    if incident.stage is Stage.RESOLVED:
        end = incident.resolved_at if incident.resolved_at is not None else incident.opened_at
        return _WORDS["over"][lang].format(
            span=duration(end - incident.started_at, lang),
            start=day_and_time(incident.started_at),
            end=day_and_time(end),
        )
    worst = max(incident.components.values(), key=lambda status: status.rank)
    return _WORDS["failing"][lang].format(
        who=who, what=status_name(worst, lang), time=clock_time(incident.started_at)
    )


def _relapses(incident: Incident, lang: Lang) -> list[str]:
    if not incident.relapses:
        return []
    word = "relapse" if incident.relapses == 1 else "relapses"
    return [_WORDS[word][lang].format(n=incident.relapses)]


def _seen(incident: Incident, lang: Lang) -> str:
    """The newest evidence that says that it is an outage."""
    for one in reversed(incident.updates):
        if said := evidence_words(one.evidence, lang, incident.provider):
            return said
    return ""


def _cause(incident: Incident, lang: Lang) -> str:
    cause = _CAUSES.get(incident.cause, {}).get(lang, "")
    if not cause:
        return _WORDS["no cause"][lang]
    if incident.cause_confirmed_by:
        by = clean(incident.cause_confirmed_by, 80)
        return _WORDS["cause"][lang].format(cause=cause, by=by)
    return _WORDS["likely"][lang].format(cause=cause)


def _vendor(incident: Incident, opened_at: float, lang: Lang) -> str:
    """When the vendor spoke, measured from our own opening."""
    vendor = provider_name(incident.provider)
    spoken = [one.at for one in incident.updates if one.kind == "vendor"]
    if not spoken:
        early = any(e.kind == "notice" and e.fired for u in incident.updates for e in u.evidence)
        word = "vendor first" if incident.notices and early else "vendor never"
        return _WORDS[word if incident.notices else "vendor never"][lang].format(vendor=vendor)
    if spoken[0] <= opened_at:
        return _WORDS["vendor first"][lang].format(vendor=vendor)
    span = duration(spoken[0] - opened_at, lang)
    return _WORDS["vendor"][lang].format(vendor=vendor, time=clock_time(spoken[0]), span=span)


def _entry(incident: Incident, one: Update, lang: Lang) -> str:
    return update_text(incident, one, lang)[:500]
