"""Words to start an operator's text from: the record's own draft, and texts for the usual cases.

What only a person can know is left open in brackets, so that nobody sends it unread. Pure.
"""

from __future__ import annotations

import msgspec

from outlast.nouns import Incident, Stage
from outlast.observatory.incident_texts import names
from outlast.observatory.words import LANGS, Lang
from outlast.status.drafting import draft, post_mortem

Text = dict[str, str]


class Template(msgspec.Struct, frozen=True):
    name: str
    label: Text
    text: Text


_UPDATES: tuple[tuple[str, Text, Text], ...] = (
    (
        "looking",
        {"en": "We are looking into it", "fr": "Nous cherchons"},
        {
            "en": "We see failures of {what} and are looking into them. [What do readers notice?]",
            "fr": "Nous observons des échecs de {what} et cherchons pourquoi. [Que remarquent les "
            "lecteurs\u00a0?]",
        },
    ),
    (
        "found",
        {"en": "The cause is found", "fr": "La cause est trouvée"},
        {
            "en": "We know the cause of the failures of {what}: [cause]. [What is being done, and "
            "until when?]",
            "fr": "Nous connaissons la cause des échecs de {what}\u00a0: [cause]. [Que fait-on, et "
            "pour quand\u00a0?]",
        },
    ),
    (
        "detour",
        {"en": "A way around it", "fr": "Une solution de repli"},
        {
            "en": "While it lasts, instead of {what}: [what readers can do].",
            "fr": "En attendant le retour de {what}\u00a0: [ce que les lecteurs peuvent faire].",
        },
    ),
    (
        "better",
        {"en": "It gets better", "fr": "Cela va mieux"},
        {
            "en": "{what}: answers come again in most cases. We keep watching. [What still fails?]",
            "fr": "{what}\u00a0: des réponses à nouveau, dans la plupart des cas. Nous continuons "
            "d'observer. [Qu'est-ce qui échoue encore\u00a0?]",
        },
    ),
    (
        "over",
        {"en": "It is over", "fr": "C'est terminé"},
        {
            "en": "{what}: working again. [Is there anything that readers have to do?]",
            "fr": "{what}\u00a0: à nouveau en marche. [Les lecteurs ont-ils quelque chose à "
            "faire\u00a0?]",
        },
    ),
)
_RETRACTIONS: tuple[tuple[str, Text, Text], ...] = (
    (
        "ours",
        {"en": "The fault was ours", "fr": "La faute était chez nous"},
        {
            "en": "This was not an outage of {what}: [what failed at our side].",
            "fr": "Ce n'était pas une panne de {what}\u00a0: [ce qui a échoué chez nous].",
        },
    ),
)
WINDOWS: tuple[Template, ...] = (
    Template(
        "breaks",
        {"en": "Short breaks", "fr": "De courtes coupures"},
        {
            "en": "Short breaks are possible. [What is being done, and why?]",
            "fr": "De courtes coupures sont possibles. [Que fait-on, et pourquoi\u00a0?]",
        },
    ),
    Template(
        "no-breaks",
        {"en": "No breaks expected", "fr": "Sans coupure prévue"},
        {
            "en": "No break is expected. [What is being done, and why?]",
            "fr": "Aucune coupure n'est prévue. [Que fait-on, et pourquoi\u00a0?]",
        },
    ),
)


def updates(incident: Incident) -> tuple[Template, ...]:
    """For an update: the record's own draft first."""
    own = Template(
        "draft",
        {"en": "A first draft from the record", "fr": "Un premier jet tiré des faits"},
        {lang: draft(incident, lang) for lang in LANGS},
    )
    return (own, *(_filled(incident, *one) for one in _UPDATES))


def retractions(incident: Incident) -> tuple[Template, ...]:
    return tuple(_filled(incident, *one) for one in _RETRACTIONS)


def first_post_mortem(incident: Incident) -> Text:
    """The frame of a post-mortem, filled with the record; the page has its title already."""
    if incident.stage is not Stage.RESOLVED:
        return {}
    return {lang: post_mortem(incident, lang).partition("\n\n")[2].strip() for lang in LANGS}


def _filled(incident: Incident, name: str, label: Text, text: Text) -> Template:
    def said(lang: Lang) -> str:
        what = names(incident.components, lang)
        words = text[lang].format(what=what)
        return words[:1].upper() + words[1:]

    return Template(name, label, {lang: said(lang) for lang in LANGS})
