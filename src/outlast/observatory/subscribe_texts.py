"""What is said to people who subscribe, by the API and on the pages alike. English and French.
Pure.
"""

from __future__ import annotations

from outlast.observatory.words import LANGS, Lang

Text = dict[Lang, str]

TEXTS: dict[str, Text] = {
    "asked": {
        "en": "We have written to this address, if we may. Open the link in the mail within 24 "
        "hours to confirm.",
        "fr": "Nous avons écrit à cette adresse, si nous le pouvons. Ouvrez le lien du message "
        "dans les 24 heures pour confirmer.",
    },
    "testing": {
        "en": "We send a test there now. When it is answered with 2xx, the subscription counts. "
        "Until then the test is repeated for 24 hours, and when you ask for it.",
        "fr": "Nous y envoyons maintenant un essai. L'abonnement compte dès qu'une réponse 2xx "
        "arrive. Jusque-là, l'essai est répété pendant 24 heures, et quand vous le demandez.",
    },
    "confirmed": {
        "en": "Done. You will hear of outages ({what}). Each message says how to leave.",
        "fr": "C'est fait. Vous serez averti des pannes ({what}). Chaque message dit comment "
        "se désabonner.",
    },
    "left": {
        "en": "Done. You will hear no more, and nothing of you is kept.",
        "fr": "C'est fait. Vous ne recevrez plus rien, et rien de vous n'est conservé.",
    },
    "used": {
        "en": "This link has been used, or is too old. Subscribe again to get a new one.",
        "fr": "Ce lien a déjà servi ou est trop ancien. Abonnez-vous à nouveau pour en recevoir "
        "un autre.",
    },
    "later": {
        "en": "The database does not answer. Nothing has changed; try again in a minute.",
        "fr": "La base de données ne répond pas. Rien n'a changé\u00a0; réessayez dans une minute.",
    },
    "slower": {
        "en": "Too many requests. Try again in {minutes} minutes.",
        "fr": "Trop de demandes. Réessayez dans {minutes} minutes.",
    },
    "full all": {
        "en": "No further subscription is taken now. Try again tomorrow.",
        "fr": "Aucun nouvel abonnement n'est accepté pour l'instant. Réessayez demain.",
    },
    "full network": {
        "en": "Many subscriptions from your network are not confirmed yet. Confirm them, or try "
        "again tomorrow.",
        "fr": "Beaucoup d'abonnements de votre réseau ne sont pas encore confirmés. Confirmez-les, "
        "ou réessayez demain.",
    },
    "full address": {
        "en": "This address has been asked several times today and has not answered. Mend it, and "
        "try again tomorrow.",
        "fr": "Cette adresse a été sollicitée plusieurs fois aujourd'hui sans répondre. "
        "Réparez-la, et réessayez demain.",
    },
    "no json": {
        "en": "Send JSON, with content-type: application/json.",
        "fr": "Envoyez du JSON, avec content-type\u00a0: application/json.",
    },
    "unreadable": {
        "en": "The subscription cannot be read. Send an object with at least `kind` and `target`.",
        "fr": "L'abonnement ne peut pas être lu. Envoyez un objet avec au moins `kind` et "
        "`target`.",
    },
    "too long": {
        "en": "The body is longer than {limit} bytes.",
        "fr": "Le corps dépasse {limit} octets.",
    },
    "too slow": {
        "en": "The body did not arrive within {seconds} s. Send it again.",
        "fr": "Le corps n'est pas arrivé en {seconds} s. Renvoyez-le.",
    },
    "cut": {
        "en": "The body ended too early. Send it again.",
        "fr": "Le corps s'est arrêté trop tôt. Renvoyez-le.",
    },
}


def say(name: str, **values: object) -> dict[str, str]:
    """In both languages, for JSON."""
    return {lang: TEXTS[name][lang].format(**values) for lang in LANGS}
