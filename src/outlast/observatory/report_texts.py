"""What a reporter is told: whether it counts, what others say, what we make of it. Pure."""

from __future__ import annotations

from functools import lru_cache

from outlast.nouns import ComponentState, Suspicion
from outlast.observatory.report_body import BadReport
from outlast.observatory.report_nouns import Decision, Verdict
from outlast.observatory.words import LANGS, Lang, component_name, duration, number, percent

Says = dict[str, str]

_VERDICTS: dict[Verdict, dict[Lang, str]] = {
    Verdict.COUNTED: {
        "en": "Thank you: your report counts.",
        "fr": "Merci\u00a0: votre signalement compte.",
    },
    Verdict.CHANGED: {
        "en": "Thank you: your report counts, in place of what you said before.",
        "fr": "Merci\u00a0: votre signalement compte, à la place du précédent.",
    },
    Verdict.AGAIN: {
        "en": "Thank you: your report counts already, once.",
        "fr": "Merci\u00a0: votre signalement compte déjà, une fois.",
    },
    Verdict.LIMITED: {
        "en": "Your report counts already. You report too often: say it again later if it changes.",
        "fr": "Votre signalement compte déjà. Vous signalez trop souvent\u00a0: redites-le "
        "plus tard si cela change.",
    },
    Verdict.SHED: {
        "en": "More reports arrive now than can be taken. Yours was only counted as one that "
        "came; send it again later.",
        "fr": "Il arrive plus de signalements qu’on ne peut en prendre. Le vôtre est seulement "
        "compté comme reçu\u00a0; renvoyez-le plus tard.",
    },
}
_REASONS: dict[str, dict[Lang, str]] = {
    "sample": {
        "en": "Thank you. So many people report that not every report is kept: yours is in the "
        "estimate.",
        "fr": "Merci. Tant de gens signalent que chaque signalement n’est pas gardé\u00a0: le "
        "vôtre est dans l’estimation.",
    },
    "network": {
        "en": "Thank you. Many reports come from your network at this moment: yours is in the "
        "estimate, not counted singly.",
        "fr": "Merci. Beaucoup de signalements viennent de votre réseau en ce moment\u00a0: le "
        "vôtre est dans l’estimation, sans être compté à part.",
    },
    "proof": {
        "en": "Thank you. Many reports come from your network in a flood of them: yours is in the "
        "estimate. It counts singly when the small task in `challenge` comes back solved.",
        "fr": "Merci. Beaucoup de signalements viennent de votre réseau pendant un afflux\u00a0: "
        "le vôtre est dans l’estimation. Il comptera à part quand le petit calcul de `challenge` "
        "reviendra résolu.",
    },
}
_REASONS["spent"] = {
    "en": "This proof was used before. " + _REASONS["proof"]["en"],
    "fr": "Cette preuve a déjà servi. " + _REASONS["proof"]["fr"],
}
_STATES: dict[Suspicion, dict[Lang, str]] = {
    Suspicion.O_DOWN: {
        "en": "An outage is confirmed (probability {share}).",
        "fr": "Une panne est confirmée (probabilité {share}).",
    },
    Suspicion.S_DOWN: {
        "en": "An outage is suspected, not confirmed (probability {share}).",
        "fr": "Une panne est soupçonnée, non confirmée (probabilité {share}).",
    },
    Suspicion.NONE: {
        "en": "Nothing else points to an outage so far (probability {share}).",
        "fr": "Rien d’autre n’indique une panne pour l’instant (probabilité {share}).",
    },
}
NOTES: dict[str, Says] = {
    "model": {
        "en": "This model is not one that is watched here: your report counts for all models.",
        "fr": "Ce modèle n’est pas suivi ici\u00a0: votre signalement compte pour tous les "
        "modèles.",
    },
    "receipt": {
        "en": "There is no such receipt here, or it ended otherwise: the report counts without it.",
        "fr": "Ce reçu n’existe pas ici, ou finit autrement\u00a0: le signalement compte sans lui.",
    },
    "receipt_unchecked": {
        "en": "The receipt could not be looked up now: the report counts without it.",
        "fr": "Le reçu n’a pas pu être consulté\u00a0: le signalement compte sans lui.",
    },
    "proof": {
        "en": "The proof does not hold, or is too old: the report counts without it.",
        "fr": "La preuve ne tient pas, ou est trop ancienne\u00a0: le signalement compte sans "
        "elle.",
    },
}


def says(
    decision: Decision,
    component: str,
    others: tuple[int, int],
    window_s: float,
    state: ComponentState | None,
) -> Says:
    """The whole answer in words: the verdict, the others, and what we make of it."""
    first = _REASONS.get(decision.reason) or _VERDICTS[decision.verdict]
    told = {}
    for lang in LANGS:
        text = f"{first[lang]} {_others(component, others, window_s, lang)}"
        if state is not None:
            text = f"{text} {_state(state.suspicion, state.probability, lang)}"
        told[str(lang)] = text
    return told


@lru_cache(maxsize=256)
def _state(suspicion: Suspicion, probability: float, lang: Lang) -> str:
    return _STATES[suspicion][lang].format(share=percent(probability, lang))


def state_says(state: ComponentState, lang: Lang) -> str:
    """What we make of a component."""
    return _state(state.suspicion, state.probability, lang)


def _others(component: str, others: tuple[int, int], window_s: float, lang: Lang) -> str:
    against, works = others
    begin = _named(component, window_s, lang, some=bool(against or works))
    if not against and not works:
        return begin
    if lang == "en":
        return (
            f"{begin}{number(against, lang)} say that it does not work, {number(works, lang)} "
            "that it works."
        )
    return (
        f"{begin}{number(against, lang)} pour dire que cela ne fonctionne pas, "
        f"{number(works, lang)} pour dire que cela fonctionne."
    )


@lru_cache(maxsize=1000)
def _named(component: str, window_s: float, lang: Lang, *, some: bool) -> str:
    """How the sentence about others begins; the whole of it where nobody else has spoken."""
    name, span = component_name(component, lang), duration(window_s, lang)
    if lang == "en":
        if some:
            return f"{name}, others in the last {span}: "
        return f"{name}: nobody else has reported anything in the last {span}."
    if some:
        return f"{name}, les autres depuis {span}\u00a0: "
    return f"{name}\u00a0: personne d’autre n’a rien signalé depuis {span}."


def unknown_provider(known: list[str]) -> BadReport:
    names = ", ".join(sorted(known)[:20]) or "-"
    words = {
        "en": f"This provider is not watched here. Those that are: {names}.",
        "fr": f"Ce fournisseur n’est pas suivi ici. Ceux qui le sont\u00a0: {names}.",
    }
    return BadReport(404, "unknown_provider", words, "provider")


def not_kept() -> BadReport:
    words = {
        "en": "Your report could not be kept, because this service cannot write to its disk. "
        "Nothing was counted; send it again in a minute.",
        "fr": "Votre signalement n’a pas pu être gardé\u00a0: ce service ne peut pas écrire sur "
        "son disque. Rien n’a été compté\u00a0; renvoyez-le dans une minute.",
    }
    return BadReport(503, "not_kept", words)
