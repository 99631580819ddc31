"""The words of the pages on which people subscribe, in English and French. Pure."""

from __future__ import annotations

from outlast.observatory.words import Lang

_EN = {
    "title": "Be told of outages",
    "intro": (
        "No account is needed. You hear of what is selected below, each step once, and leave "
        "with one click."
    ),
    "how": "How",
    "email": "E-mail",
    "slack": "A chat's incoming webhook (Slack, Mattermost, Rocket.Chat, Discord's /slack)",
    "webhook": "A webhook that takes signed JSON; it always hears at once",
    "target": "Where to",
    "target_help": (
        "An e-mail address, or the https address of the webhook. It is kept until you leave, and "
        "used for nothing else."
    ),
    "what": "What",
    "what_help": "Nothing selected stands for everything.",
    "chosen": "Chosen before",
    "models": "Models of the API",
    "colon": ":",
    "impact": "From which severity",
    "impact_none": "every incident",
    "impact_minor": "minor and worse",
    "impact_major": "major and worse",
    "impact_critical": "critical alone",
    "when": "When",
    "now": "at once",
    "hourly": "gathered, at each full hour",
    "daily": "gathered, once a day",
    "hour": "If once a day, at",
    "zone": "Time zone of that hour",
    "zone_help": "As in Europe/Paris; UTC where nothing is written.",
    "language": "Language of the messages",
    "steps": "Which steps of an incident",
    "steps_help": "Nothing selected stands for the usual ones.",
    "state_opened": "something is suspected, not confirmed",
    "state_confirmed": "it is confirmed",
    "state_extended": "it reaches more",
    "state_worse": "it gets worse",
    "state_relapsed": "it is back",
    "state_resolved": "it is over",
    "state_annotated": "an operator has something to say",
    "state_retracted": "we were wrong",
    "state_monitoring": "nothing fails any more, not yet over",
    "state_vendor": "what the vendor says",
    "state_cause": "a cause is known",
    "state_contradiction": "vendor and evidence disagree",
    "state_corrected": "something we said was corrected",
    "do": "Subscribe",
    "problem": "This could not be taken",
    "problem_title": "Error",
    "sent_title": "Almost done",
    "no_mail": (
        "No mail within some minutes? Look for it among the unwanted ones, check the address, and "
        "ask again. An address that was asked several times today gets no further mail."
    ),
    "secret": "The webhook's secret",
    "secret_help": (
        "Our messages are signed with it, as Standard Webhooks has it. It is shown this once and "
        "not stored here."
    ),
    "manage_link": "Your page to change or end this",
    "manage_help": "Keep its address: whoever has it can do both.",
    "confirm_title": "Confirm",
    "confirm": "You asked to hear of outages:",
    "confirm_do": "Yes, tell me",
    "ignore": "If it was not you, close this page: you hear nothing, and the address is deleted.",
    "confirmed_title": "Done",
    "confirmed": "You will hear of outages. Each message says how to change or end this.",
    "manage_title": "Your subscription",
    "active": "It counts.",
    "unconfirmed": "It does not count yet: the address has not answered our test.",
    "test_do": "Send the test again",
    "tested": "We send the test again now.",
    "by": "You hear by",
    "by_email": "e-mail",
    "by_slack": "a chat's incoming webhook",
    "by_webhook": "a webhook",
    "by_apprise": "Apprise",
    "by_push": "notifications of a browser",
    "save_do": "Save",
    "saved": "Saved. What comes from now on goes by this.",
    "leave_title": "Hear no more",
    "leave": "You hear no more, and what is kept of you here is deleted at once.",
    "leave_do": "Unsubscribe",
    "left_title": "Done",
    "left": "You will hear no more, and nothing of you is kept.",
    "again": "Subscribe again",
    "wrong_title": "This link does not work",
    "elsewhere": (
        "This form was sent from another site, or your browser does not say from where. Open this "
        "page here and send it again."
    ),
    "not_form": "This page takes forms. Programs use /api/subscriptions.",
    "none": "Nobody can subscribe here at the moment: no way of telling is set up.",
    "push_title": "Notifications of this browser",
    "push_text": (
        "They come through your browser's push service, sealed so that only this browser can "
        "read them, with what is selected below. No address is needed."
    ),
    "push_do": "Notify this browser",
    "push_wait": "One moment …",
    "push_done": "Done. The first notification comes now; with it, the subscription counts.",
    "push_denied": (
        "Your browser does not allow notifications of this site. Allow them in its settings for "
        "this page, and try again."
    ),
    "push_failed": "Your browser's push service cannot be reached at the moment. Try again later.",
    "push_refused": "This was not taken:",
    "push_manage": "Change or end the notifications of this browser",
}
_FR = {
    "title": "Être prévenu des pannes",
    "intro": (
        "Sans compte. Vous êtes prévenu de ce que vous choisissez ci-dessous, une fois par étape, "
        "et vous partez d'un clic."
    ),
    "how": "Comment",
    "email": "Par courriel",
    "slack": (
        "Par le webhook entrant d'une messagerie (Slack, Mattermost, Rocket.Chat, /slack de "
        "Discord)"
    ),
    "webhook": "Par un webhook qui reçoit du JSON signé\u00a0; il est toujours prévenu aussitôt",
    "target": "À quelle adresse",
    "target_help": (
        "Une adresse électronique, ou l'adresse https du webhook. Elle est conservée jusqu'à "
        "votre départ, et ne sert à rien d'autre."
    ),
    "what": "De quoi",
    "what_help": "Ne rien choisir, c'est tout choisir.",
    "chosen": "Choisi auparavant",
    "models": "Modèles de l'API",
    "colon": "\u00a0:",
    "impact": "À partir de quelle gravité",
    "impact_none": "tout incident",
    "impact_minor": "mineure ou pire",
    "impact_major": "majeure ou pire",
    "impact_critical": "critique seulement",
    "when": "Quand",
    "now": "aussitôt",
    "hourly": "regroupé, à chaque heure pleine",
    "daily": "regroupé, une fois par jour",
    "hour": "Si une fois par jour, à",
    "zone": "Fuseau horaire de cette heure",
    "zone_help": "Par exemple Europe/Paris\u00a0; UTC si rien n'est écrit.",
    "language": "Langue des messages",
    "steps": "De quelles étapes d'un incident",
    "steps_help": "Ne rien choisir, c'est choisir les étapes habituelles.",
    "state_opened": "un soupçon, pas encore confirmé",
    "state_confirmed": "la panne est confirmée",
    "state_extended": "elle s'étend",
    "state_worse": "elle s'aggrave",
    "state_relapsed": "elle revient",
    "state_resolved": "elle est terminée",
    "state_annotated": "un opérateur a quelque chose à dire",
    "state_retracted": "nous nous étions trompés",
    "state_monitoring": "plus rien n'échoue, mais ce n'est pas fini",
    "state_vendor": "ce que dit le fournisseur",
    "state_cause": "une cause est connue",
    "state_contradiction": "le fournisseur et les indices se contredisent",
    "state_corrected": "nous avons corrigé quelque chose",
    "do": "S'abonner",
    "problem": "Cela n'a pas pu être accepté",
    "problem_title": "Erreur",
    "sent_title": "Presque fini",
    "no_mail": (
        "Pas de message après quelques minutes\u00a0? Cherchez-le parmi les indésirables, "
        "vérifiez l'adresse et recommencez. Une adresse sollicitée plusieurs fois aujourd'hui ne "
        "reçoit plus de message."
    ),
    "secret": "Le secret du webhook",
    "secret_help": (
        "Nos messages sont signés avec lui, selon Standard Webhooks. Il n'est montré que cette "
        "fois et n'est pas conservé ici."
    ),
    "manage_link": "Votre page pour modifier ou arrêter cet abonnement",
    "manage_help": "Gardez son adresse\u00a0: qui la possède peut faire les deux.",
    "confirm_title": "Confirmer",
    "confirm": "Vous avez demandé à être prévenu des pannes\u00a0:",
    "confirm_do": "Oui, prévenez-moi",
    "ignore": (
        "Si ce n'était pas vous, fermez cette page\u00a0: vous ne recevrez rien et l'adresse sera "
        "effacée."
    ),
    "confirmed_title": "C'est fait",
    "confirmed": (
        "Vous serez prévenu des pannes. Chaque message dit comment modifier ou arrêter cet "
        "abonnement."
    ),
    "manage_title": "Votre abonnement",
    "active": "Il est actif.",
    "unconfirmed": (
        "Il n'est pas encore actif\u00a0: l'adresse n'a pas répondu à notre message d'essai."
    ),
    "test_do": "Renvoyer le message d'essai",
    "tested": "Nous renvoyons maintenant le message d'essai.",
    "by": "Vous êtes prévenu par",
    "by_email": "courriel",
    "by_slack": "le webhook entrant d'une messagerie",
    "by_webhook": "un webhook",
    "by_apprise": "Apprise",
    "by_push": "les notifications d'un navigateur",
    "save_do": "Enregistrer",
    "saved": "Enregistré. Cela vaut pour tout ce qui arrive désormais.",
    "leave_title": "Ne plus rien recevoir",
    "leave": "Vous ne recevez plus rien, et ce qui est conservé de vous ici est effacé aussitôt.",
    "leave_do": "Se désabonner",
    "left_title": "C'est fait",
    "left": "Vous ne recevrez plus rien, et rien de vous n'est conservé.",
    "again": "S'abonner à nouveau",
    "wrong_title": "Ce lien ne fonctionne pas",
    "elsewhere": (
        "Ce formulaire a été envoyé depuis un autre site, ou votre navigateur ne dit pas d'où. "
        "Ouvrez cette page ici et envoyez-le à nouveau."
    ),
    "not_form": "Cette page reçoit des formulaires. Les programmes utilisent /api/subscriptions.",
    "none": (
        "Personne ne peut s'abonner ici pour l'instant\u00a0: aucun moyen de prévenir n'est "
        "configuré."
    ),
    "push_title": "Notifications de ce navigateur",
    "push_text": (
        "Elles passent par le service de votre navigateur, scellées pour que lui seul puisse les "
        "lire, avec ce qui est choisi ci-dessous. Aucune adresse n'est nécessaire."
    ),
    "push_do": "Prévenir ce navigateur",
    "push_wait": "Un instant…",
    "push_done": (
        "C'est fait. La première notification arrive maintenant\u00a0; avec elle, l'abonnement "
        "est actif."
    ),
    "push_denied": (
        "Votre navigateur n'autorise pas les notifications de ce site. Autorisez-les dans ses "
        "réglages pour cette page, puis réessayez."
    ),
    "push_failed": (
        "Le service de notifications de votre navigateur est injoignable pour l'instant. "
        "Réessayez plus tard."
    ),
    "push_refused": "Cela n'a pas été accepté\u00a0:",
    "push_manage": "Modifier ou arrêter les notifications de ce navigateur",
}
FORM: dict[Lang, dict[str, str]] = {"en": _EN, "fr": _FR}
