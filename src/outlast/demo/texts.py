"""Every sentence of the demo, in English and in French. `Texts` says them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "fr"]

ENGLISH: dict[str, str] = {
    "title": "Outlast demo",
    "date": "2 March 2026, {clock} UTC",
    "intro": "Two scripted vendors and Outlast, on this machine alone. 2 March 2026, {start} to "
    "{end} UTC, in {seconds} seconds.",
    "intro_guess": "The times and the vendor's page are on record. Which share of requests "
    "failed was never published: the shares are ours.",
    "vendors": "Vendors",
    "gateway": "Outlast",
    "clients": "Clients",
    "count": "Count",
    "events": "What happened",
    "page": "page",
    "page_operational": "API operational",
    "page_degraded_performance": "API degraded",
    "page_partial_outage": "API partial outage",
    "vendor_waiting": "no request yet",
    "vendor_answers": "answers ({n} of {n})",
    "vendor_fails": "fails {failed} of {n}",
    "vendor_refuses": "refuses connections",
    "breaker": "breaker",
    "breaker_closed": "closed",
    "breaker_open": "open",
    "breaker_half-open": "half-open",
    "breaker_left": "open, {left:.0f} s",
    "serving": "serving",
    "attempts_of": "{attempts}, of which failed {failed}",
    "attempts_so_far": "attempts {attempts}, failed {failed} · moved on {moved}",
    "served_by": "served by",
    "answer": "answer, as it arrives",
    "directly": "without Outlast",
    "with": "Outlast",
    "without": "without",
    "asked": "asked",
    "whole": "answered whole",
    "moved": "  moved on unseen",
    "resumed": "  resumed mid-answer",
    "local": "  by the embedded model",
    "failed": "failed",
    "under_way": "under way",
    "unrecorded": "without a receipt",
    "state_whole": "whole",
    "state_streaming": "{share:.0%}",
    "state_waiting": "waiting",
    "failure_status": "HTTP {status}",
    "failure_stream_error": "error in the stream",
    "failure_cut": "cut in mid-answer",
    "failure_unfinished": "ended without an end",
    "failure_silent": "silent for too long",
    "failure_unreachable": "no connection",
    "failure_other_text": "another text",
    "outcome_ok": "answers",
    "outcome_rate_limited": "rate limit",
    "outcome_overloaded": "overloaded",
    "outcome_server_error": "server error",
    "outcome_timeout": "time-out",
    "outcome_stalled": "stalled",
    "outcome_broken_stream": "broke off",
    "outcome_connect_failed": "no connection",
    "outcome_auth": "key refused",
    "outcome_caller_error": "request refused",
    "outcome_ours": "our network",
    "outcome_client_gone": "client left",
    "outcome_misfit": "did not join",
    "outcome_left": "slower",
    "phase_calm": "All is well.",
    "phase_errors": "The vendor's API begins to fail; people report it.",
    "phase_worse": "Errors before and inside the stream; some answers stall.",
    "phase_denied": "The API goes on failing while the vendor's page says that it works.",
    "phase_down": "Full outage: nothing gets through.",
    "phase_closed": "Full outage: connections are refused.",
    "phase_recovered": "The vendor has recovered; its traffic comes back step by step.",
    "phase_relapse": "Relapse: answers are cut and stall again.",
    "phase_over": "The vendor has recovered again.",
    "notice_none": "no incident",
    "notice_web": "looks into errors on the website",
    "notice_api": "the API is affected too",
    "notice_api_works": "the API works",
    "notice_identified": "the cause is known, a fix is on its way",
    "notice_api_after_all": "some of the API fails after all",
    "notice_model": "one model has a fault of its own",
    "notice_fixed": "a fix is in place",
    "notice_resolved": "resolved",
    "notice_relapse": "new errors",
    "event_page": "{vendor}'s page: {state}; {sentence}",
    "event_breaker": "Outlast: breaker of {vendor} {state}",
    "event_moved": "client {client}: {path}; nobody noticed",
    "event_resumed": "client {client}: {path}; went on at character {at}",
    "event_local": "client {client}: {path}; answered on this machine",
    "event_failed": "client {client}: answer lost, {failure}",
    "event_unrecorded": "client {client}: no receipt for its answer",
    "event_dark": "The other vendor goes dark too (invented, for the embedded model).",
    "event_ending": "The day is over; the last answers come to their end.",
    "tally": "So far: asked {asked}; whole {whole} with Outlast, {direct} without; "
    "moved on {moved}, resumed {resumed}, failed {failed}",
    "stopped": "Stopped: only what had ended by then is counted as answered or failed.",
    "summary": "Summary",
    "summary_served": "Who answered: {told}",
    "summary_attempts": "Attempts: {told}",
    "summary_reasons": "Why answers failed without Outlast: {told}",
    "summary_lost": "Why answers failed with Outlast: {told}",
    "summary_good": "With Outlast every one of {asked} questions got its answer, whole and "
    "checked to the character.",
    "summary_local": "The {count} answers of the embedded model were checked by their end alone: "
    "they are its own words.",
    "summary_bad": "With Outlast {failed} of {asked} answers did not arrive whole.",
    "summary_direct": "Without it {direct} of {asked} failed, in spite of the two retries that the "
    "vendors' own libraries make.",
    "summary_unrecorded": "{count} answers have no receipt: that is a defect, please report it.",
    "local_missing": "The weights of the embedded model are not here. Fetch them with `outlast "
    "model get`, or leave out --local.",
    "local_waiting": "Loading the embedded model …",
    "local_failed": "The embedded model does not start: {detail} Without --local the demo needs "
    "no model.",
    "ctrl_c": "Ctrl-C ends",
}

FRENCH: dict[str, str] = {
    "title": "Démo d'Outlast",
    "date": "2 mars 2026, {clock} UTC",
    "intro": "Deux fournisseurs simulés et Outlast, sur cette seule machine. Le 2 mars 2026, de "
    "{start} à {end} UTC, en {seconds} secondes.",
    "intro_guess": "Les heures et la page du fournisseur sont publiques. La part des requêtes en "
    "échec n'a jamais été publiée : ces parts sont les nôtres.",
    "vendors": "Fournisseurs",
    "gateway": "Outlast",
    "clients": "Clients",
    "count": "Décompte",
    "events": "Ce qui s'est passé",
    "page": "page",
    "page_operational": "API opérationnelle",
    "page_degraded_performance": "API dégradée",
    "page_partial_outage": "API en panne partielle",
    "vendor_waiting": "aucune requête encore",
    "vendor_answers": "répond ({n} sur {n})",
    "vendor_fails": "échoue {failed} fois sur {n}",
    "vendor_refuses": "refuse les connexions",
    "breaker": "disjoncteur",
    "breaker_closed": "fermé",
    "breaker_open": "ouvert",
    "breaker_half-open": "à l'essai",
    "breaker_left": "ouvert, {left:.0f} s",
    "serving": "répondent",
    "attempts_of": "{attempts}, dont échouées {failed}",
    "attempts_so_far": "tentatives {attempts}, échecs {failed} · relais {moved}",
    "served_by": "servi par",
    "answer": "réponse qui arrive",
    "directly": "sans Outlast",
    "with": "Outlast",
    "without": "sans",
    "asked": "questions",
    "whole": "réponses entières",
    "moved": "  relayées sans se voir",
    "resumed": "  reprises en cours",
    "local": "  par le modèle embarqué",
    "failed": "échecs",
    "under_way": "en cours",
    "unrecorded": "sans reçu",
    "state_whole": "entière",
    "state_streaming": "{share:.0%}",
    "state_waiting": "attente",
    "failure_status": "HTTP {status}",
    "failure_stream_error": "erreur dans le flux",
    "failure_cut": "coupée en route",
    "failure_unfinished": "finie sans fin",
    "failure_silent": "silence trop long",
    "failure_unreachable": "pas de connexion",
    "failure_other_text": "un autre texte",
    "outcome_ok": "répond",
    "outcome_rate_limited": "limite de débit",
    "outcome_overloaded": "surchargé",
    "outcome_server_error": "erreur du serveur",
    "outcome_timeout": "délai dépassé",
    "outcome_stalled": "figé",
    "outcome_broken_stream": "interrompu",
    "outcome_connect_failed": "pas de connexion",
    "outcome_auth": "clé refusée",
    "outcome_caller_error": "requête refusée",
    "outcome_ours": "notre réseau",
    "outcome_client_gone": "client parti",
    "outcome_misfit": "ne se raccorde pas",
    "outcome_left": "plus lent",
    "phase_calm": "Tout va bien.",
    "phase_errors": "L'API du fournisseur commence à échouer ; des gens le signalent.",
    "phase_worse": "Erreurs avant et dans le flux ; des réponses se figent.",
    "phase_denied": "L'API échoue toujours alors que la page du fournisseur dit qu'elle marche.",
    "phase_down": "Panne totale : rien ne passe.",
    "phase_closed": "Panne totale : les connexions sont refusées.",
    "phase_recovered": "Le fournisseur est rétabli ; son trafic revient peu à peu.",
    "phase_relapse": "Rechute : des réponses sont coupées ou se figent.",
    "phase_over": "Le fournisseur est de nouveau rétabli.",
    "notice_none": "aucun incident",
    "notice_web": "examine des erreurs du site web",
    "notice_api": "l'API est touchée aussi",
    "notice_api_works": "l'API fonctionne",
    "notice_identified": "la cause est connue, un correctif arrive",
    "notice_api_after_all": "une partie de l'API échoue tout de même",
    "notice_model": "un modèle a une panne à lui",
    "notice_fixed": "un correctif est en place",
    "notice_resolved": "résolu",
    "notice_relapse": "nouvelles erreurs",
    "event_page": "page d'{vendor} : {state} ; {sentence}",
    "event_breaker": "Outlast : disjoncteur {vendor} {state}",
    "event_moved": "client {client} : {path} ; personne n'a rien vu",
    "event_resumed": "client {client} : {path} ; reprise au caractère {at}",
    "event_local": "client {client} : {path} ; réponse faite sur cette machine",
    "event_failed": "client {client} : réponse perdue, {failure}",
    "event_unrecorded": "client {client} : pas de reçu pour sa réponse",
    "event_dark": "L'autre fournisseur s'éteint aussi (inventé, pour le modèle embarqué).",
    "event_ending": "La journée est finie ; les dernières réponses se terminent.",
    "tally": "Jusqu'ici : questions {asked} ; entières {whole} avec Outlast, {direct} sans ; "
    "relayées {moved}, reprises {resumed}, échecs {failed}",
    "stopped": "Arrêtée : seul ce qui était fini à ce moment compte comme réponse ou échec.",
    "summary": "Bilan",
    "summary_served": "Qui a répondu : {told}",
    "summary_attempts": "Tentatives : {told}",
    "summary_reasons": "Pourquoi des réponses ont échoué sans Outlast : {told}",
    "summary_lost": "Pourquoi des réponses ont échoué avec Outlast : {told}",
    "summary_good": "Avec Outlast, chacune des {asked} questions a eu sa réponse, entière et "
    "vérifiée au caractère près.",
    "summary_local": "Les {count} réponses du modèle embarqué n'ont été vérifiées qu'à leur fin : "
    "ce sont ses propres mots.",
    "summary_bad": "Avec Outlast, réponses non arrivées entières : {failed} sur {asked}.",
    "summary_direct": "Sans lui, échecs : {direct} sur {asked}, malgré les deux nouveaux essais "
    "que font les bibliothèques des fournisseurs.",
    "summary_unrecorded": "{count} réponses n'ont pas de reçu : c'est un défaut, merci de le "
    "signaler.",
    "local_missing": "Les poids du modèle embarqué ne sont pas là. `outlast model get` les "
    "apporte ; sinon, retirez --local.",
    "local_waiting": "Chargement du modèle embarqué …",
    "local_failed": "Le modèle embarqué ne démarre pas : {detail} Sans --local, la démo n'a besoin "
    "d'aucun modèle.",
    "ctrl_c": "Ctrl-C arrête",
}

CATALOGUES: dict[Language, dict[str, str]] = {"en": ENGLISH, "fr": FRENCH}
NAMES = {"anthropic": "Anthropic", "openai": "OpenAI", "local": "local"}


def language_of(environ: Mapping[str, str]) -> Language:
    """Return the language that the environment asks for, after POSIX's order of variables."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name, ""):
            return "fr" if value.lower().startswith("fr") else "en"
    return "en"


class Texts:
    """Says a sentence by its key. Raises KeyError for one that does not exist."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._sentences = CATALOGUES[language]

    def __call__(self, sentence: str, /, **values: object) -> str:
        return self._sentences[sentence].format(**values)

    def failure(self, kind: str) -> str:
        """Say a failure as `board.py` counts it: `cut`, or `status 529`."""
        name, _, status = kind.partition(" ")
        return self(f"failure_{name}", status=status)
