"""What the subscriptions' API says to people, and its two small pages. English and French. Pure.

The pages are what a link in a mail opens: one button, no script, no style from elsewhere. A link
only opens them, because mail programs open links by themselves; the button's POST acts.
"""

from __future__ import annotations

from html import escape

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
    "confirm": {
        "en": "Confirm that you want to hear of outages: {what}.",
        "fr": "Confirmez que vous voulez être averti des pannes\u00a0: {what}.",
    },
    "confirm button": {"en": "Yes, tell me", "fr": "Oui, avertissez-moi"},
    "confirmed": {
        "en": "Done. You will hear of outages ({what}). Each message says how to leave.",
        "fr": "C'est fait. Vous serez averti des pannes ({what}). Chaque message dit comment "
        "se désabonner.",
    },
    "leave": {
        "en": "Hear no more of outages, and have this address deleted here.",
        "fr": "Ne plus être averti des pannes, et faire effacer cette adresse ici.",
    },
    "leave button": {"en": "Unsubscribe", "fr": "Se désabonner"},
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
    "full": {
        "en": "No further subscription is taken now. Try again tomorrow.",
        "fr": "Aucun nouvel abonnement n'est accepté pour l'instant. Réessayez demain.",
    },
    "title": {"en": "Notices of outages", "fr": "Avis de pannes"},
}


def say(name: str, **values: object) -> dict[str, str]:
    """In both languages, for JSON."""
    return {lang: TEXTS[name][lang].format(**values) for lang in LANGS}


def page(lang: Lang, text: str, button: str = "", action: str = "") -> str:
    """A page with one sentence, and one button where there is something to do."""
    title = escape(TEXTS["title"][lang])
    form = (
        f'<form method="post" action="{escape(action, quote=True)}">'
        f'<button type="submit">{escape(button)}</button></form>'
        if button
        else ""
    )
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title></head><body><main><h1>{title}</h1>"
        f"<p>{escape(text)}</p>{form}</main></body></html>"
    )
