"""The page's own words, in English and French. Pure.

What incidents, evidence and forecasts say comes from the observatory; here are headings,
labels and the sentences between them.
"""

from __future__ import annotations

from outlast.observatory.words import Lang

_EN = {
    "title": "Status",
    "skip": "Skip to the content",
    "as_of": "As of {time}",
    "made": "This page was made at {time}.",
    "stale": (
        "This page is out of date: it was last brought up to date at {time}. What it says "
        "may no longer hold."
    ),
    "trouble": (
        "Something of our own does not work at the moment; what you read is the last that we know."
    ),
    "not_yet": "Nothing has been looked at yet.",
    "rehearsal": (
        "A rehearsal: “{title}” is played here, faster than it was. None of it is happening now."
    ),
    "now": "Now",
    "incidents": "Current incidents",
    "no_incidents": "No outage is known.",
    "components": "Components",
    "component": "Component",
    "state": "State",
    "unseen": "not looked at",
    "unseen_vendor": "not looked at; the vendor reports no trouble with it",
    "few": "few failures, no outage seen",
    "colon": ":",
    "instead": "What works instead",
    "instead_text": "Requests through this service go on over the places below.",
    "works": "would be asked now",
    "does_not": "would not be asked now",
    "proven": "last proved itself at {time}",
    "proof": "Last proof",
    "unproven": "has not answered since this service was started",
    "local": "the embedded model: small, needs no network",
    "history": "History",
    "recent": "Recent incidents",
    "none_recent": "None in the time that is kept.",
    "evidence": "Evidence",
    "probability": "Probability of an outage",
    "confirmed": "confirmed",
    "suspected": "suspected, not confirmed",
    "unconfirmed_end": "never confirmed by a second kind of evidence",
    "vendor_silent": "{vendor} has posted nothing about it.",
    "vendor_unread": (
        "{vendor}'s status page cannot be read at the moment: what it says is not known."
    ),
    "reach": "How far it reaches",
    "how_long": "How long it may still last",
    "likely": "half of the time",
    "wide": "four times of five",
    "from_to": "from {low} to {high}",
    "cause": "Likely kind of cause",
    "cause_unknown": "Unknown. {vendor} has named none, and the evidence fits several.",
    "both_sides": "The vendor and the evidence disagree",
    "vendor_side": "{vendor} says",
    "our_side": "The evidence says",
    "says_fine": "Its status page shows {name} as working.",
    "says_down": "Its status page reports trouble with {name}.",
    "no_failure": "We see no failure there.",
    "rumours": "Rumours and statements",
    "rumours_text": (
        "What is said about this outage, and what has become of it. No claim by itself changes "
        "our probability."
    ),
    "claim_unconfirmed": "unconfirmed",
    "claim_supported": "stated by the vendor, or fits what is measured",
    "claim_confirmed": "confirmed",
    "claim_refuted": "refuted",
    "claim_contradicted": "contradicted by the evidence",
    "claim_expired": "unconfirmed, and no longer heard",
    "source": "Source",
    "timeline": "Timeline",
    "corrects": "corrects entry {number}",
    "corrected_by": "corrected below",
    "since": "since about {time}",
    "back_since": "back since about {time}; it first began at about {first}",
    "lasted": "{span}, until {time}",
    "retracted": "Retracted: this was not an outage.",
    "follows": "Follows",
    "merged": "Goes on in",
    "report": "Does it work for you?",
    "report_text": "No account is needed, and no address is kept.",
    "report_bad": "Not working for me",
    "report_good": "Working for me",
    "report_what": "What",
    "report_thanks": "Thank you. Your report counts.",
    "report_again": "Thank you. Your report was counted before.",
    "report_later": (
        "Too many reports came from you or your network. Please try again in some minutes."
    ),
    "report_shed": (
        "So many people report at the moment that yours could not be taken. Please try again "
        "in a minute."
    ),
    "report_proof": (
        "So many people report at the moment that a small proof is asked for, which this "
        "form cannot give."
    ),
    "report_estimated": (
        "Thank you. So many people report that not every report is counted singly: yours is in "
        "the estimate."
    ),
    "people_of": (
        "{name}, all reports of the last {span}: {bad} of problems, {good} that it works."
    ),
    "nobody_of": "{name}: no report has been counted in the last {span} yet.",
    "people": "Reports of the last 15 min: {bad} of problems, {good} that it works",
    "concentration": "The largest network makes up {share} of them.",
    "days": "The last 90 days",
    "days_ago": "90 days ago",
    "today": "today",
    "day": "Day",
    "uptime": "{share} without a partial outage or worse, over {days} days that were watched",
    "uptime_one": "{share} without a partial outage or worse, over {days} day that was watched",
    "no_uptime": "not watched yet",
    "short_uptime": "watched for less than a day so far",
    "bad_days": "Days with incidents",
    "all_fine": "No incident on the days that were watched.",
    "down_for": "Partial outage or worse",
    "slow_for": "Degraded",
    "method": (
        "Method: a component counts as down for as long as an incident reached it, as a partial "
        "outage or worse; the calm before a relapse does not count. Days on which nobody looked "
        "count for neither side."
    ),
    "maintenance": "Maintenance",
    "win_scheduled": "announced",
    "win_in_progress": "under way",
    "win_completed": "done",
    "win_cancelled": "cancelled",
    "models": "Models of the API",
    "upstreams": "Our own upstreams",
    "month": "Month",
    "older": "Older",
    "newer": "Newer",
    "machines": "For programs",
    "subscribe": "Be told",
    "subscribe_text": "You are asked by e-mail to confirm, and leave with one click.",
    "email": "E-mail address",
    "subscribe_do": "Subscribe",
    "all": "All providers",
    "back": "Back to the overview",
    "not_found": "There is no such page here.",
    "not_found_text": "The overview shows everything that is known.",
    "unsure": "Whether there is such a page cannot be said now.",
    "unsure_text": (
        "Older incidents are in the database, which does not answer. Try again in a minute. What "
        "happens now is on the overview all the same."
    ),
    "other_lang": "Français",
    "method_link": "How we know what we say",
    "post_mortem": "Post-mortem",
    "written": "By {by}, {time}.",
    "written_and_corrected": "By {by}, {time}; corrected since.",
    "corrected": "corrected",
    "as_written": "As it stood from {time}",
}
_FR = {
    "title": "État des services",
    "skip": "Aller au contenu",
    "as_of": "État au {time}",
    "made": "Cette page a été produite à {time}.",
    "stale": (
        "Cette page n'est plus à jour\u00a0: sa dernière mise à jour date de {time}. Ce "
        "qu'elle dit n'est peut-être plus vrai."
    ),
    "trouble": (
        "Quelque chose chez nous ne fonctionne pas en ce moment\u00a0; vous lisez les "
        "dernières informations connues."
    ),
    "not_yet": "Rien n'a encore été observé.",
    "rehearsal": (
        "Ceci est une répétition\u00a0: «\u00a0{title}\u00a0» est rejoué ici, plus vite qu'en "
        "vrai. Rien de tout cela ne se passe en ce moment."
    ),
    "now": "Maintenant",
    "incidents": "Incidents en cours",
    "no_incidents": "Aucune panne connue.",
    "components": "Composants",
    "component": "Composant",
    "state": "État",
    "unseen": "pas observé",
    "unseen_vendor": "pas observé\u00a0; le fournisseur n'y signale rien",
    "few": "peu d'échecs, aucune panne constatée",
    "colon": "\u00a0:",
    "instead": "Ce qui fonctionne à la place",
    "instead_text": "Les requêtes adressées à ce service passent par les voies ci-dessous.",
    "works": "serait utilisé maintenant",
    "does_not": "ne serait pas utilisé maintenant",
    "proven": "a fait ses preuves pour la dernière fois à {time}",
    "proof": "Dernière preuve",
    "unproven": "n'a pas répondu depuis le démarrage de ce service",
    "local": "le modèle embarqué\u00a0: petit, sans réseau",
    "history": "Historique",
    "recent": "Incidents récents",
    "none_recent": "Aucun sur la période conservée.",
    "evidence": "Indices",
    "probability": "Probabilité d'une panne",
    "confirmed": "confirmé",
    "suspected": "soupçonné, pas confirmé",
    "unconfirmed_end": "jamais confirmé par un second type d'indice",
    "vendor_silent": "{vendor} n'a rien publié à ce sujet.",
    "vendor_unread": (
        "Illisible en ce moment\u00a0: la page d'état ({vendor}). On ignore ce qu'elle dit."
    ),
    "reach": "Étendue de la panne",
    "how_long": "Combien de temps cela peut encore durer",
    "likely": "une fois sur deux",
    "wide": "quatre fois sur cinq",
    "from_to": "de {low} à {high}",
    "cause": "Type de cause probable",
    "cause_unknown": (
        "Inconnu. {vendor} n'en a donné aucun, et les indices s'accordent avec plusieurs."
    ),
    "both_sides": "Le fournisseur et les indices se contredisent",
    "vendor_side": "{vendor} dit",
    "our_side": "Les indices disent",
    "says_fine": "Sa page d'état donne pour opérationnel\u00a0: {name}.",
    "says_down": "Sa page d'état annonce des difficultés\u00a0: {name}.",
    "no_failure": "Nous n'y voyons aucun échec.",
    "rumours": "Rumeurs et déclarations",
    "rumours_text": (
        "Ce qui se dit de cette panne, et ce qu'il en est advenu. Aucune de ces affirmations ne "
        "change à elle seule notre probabilité."
    ),
    "claim_unconfirmed": "non confirmé",
    "claim_supported": "déclaré par le fournisseur, ou conforme aux mesures",
    "claim_confirmed": "confirmé",
    "claim_refuted": "démenti",
    "claim_contradicted": "contredit par les indices",
    "claim_expired": "non confirmé, et oublié depuis",
    "source": "Source",
    "timeline": "Chronologie",
    "corrects": "corrige l'entrée {number}",
    "corrected_by": "corrigé plus bas",
    "since": "depuis le {time} environ",
    "back_since": (
        "de retour depuis le {time} environ\u00a0; le premier début date du {first} environ"
    ),
    "lasted": "{span}, jusqu'à {time}",
    "retracted": "Retiré\u00a0: ce n'était pas une panne.",
    "follows": "Fait suite à",
    "merged": "Se poursuit dans",
    "report": "Cela fonctionne-t-il chez vous\u00a0?",
    "report_text": "Sans compte, et aucune adresse n'est conservée.",
    "report_bad": "Ne fonctionne pas chez moi",
    "report_good": "Fonctionne chez moi",
    "report_what": "Quoi",
    "report_thanks": "Merci. Votre signalement compte.",
    "report_again": "Merci. Votre signalement avait déjà été compté.",
    "report_later": (
        "Trop de signalements viennent de vous ou de votre réseau. Réessayez dans quelques minutes."
    ),
    "report_shed": (
        "Tant de personnes signalent en ce moment que le vôtre n'a pas pu être pris. "
        "Réessayez dans une minute."
    ),
    "report_proof": (
        "Tant de personnes signalent en ce moment qu'une petite preuve est demandée, que ce "
        "formulaire ne peut pas fournir."
    ),
    "report_estimated": (
        "Merci. Tant de personnes signalent que chaque signalement n'est pas compté à part\u00a0: "
        "le vôtre est dans l'estimation."
    ),
    "people_of": (
        "{name}, tous les signalements depuis {span}\u00a0: {bad} de problèmes, {good} que cela "
        "fonctionne."
    ),
    "nobody_of": "{name}\u00a0: aucun signalement n'a encore été compté depuis {span}.",
    "people": (
        "Signalements des 15 dernières min\u00a0: {bad} de problèmes, {good} que cela fonctionne"
    ),
    "concentration": "Le plus grand réseau en représente {share}.",
    "days": "Les 90 derniers jours",
    "days_ago": "il y a 90 jours",
    "today": "aujourd'hui",
    "day": "Jour",
    "uptime": "{share} sans panne partielle ni pire, sur {days} jours observés",
    "uptime_one": "{share} sans panne partielle ni pire, sur {days} jour observé",
    "no_uptime": "pas encore observé",
    "short_uptime": "observé depuis moins d'un jour",
    "bad_days": "Jours avec incidents",
    "all_fine": "Aucun incident les jours observés.",
    "down_for": "Panne partielle ou pire",
    "slow_for": "Dégradé",
    "method": (
        "Méthode\u00a0: un composant compte comme en panne tant qu'un incident l'a touché comme "
        "panne partielle ou pire\u00a0; le calme avant une rechute ne compte pas. Les jours sans "
        "observation ne comptent pas non plus."
    ),
    "maintenance": "Maintenance",
    "win_scheduled": "annoncée",
    "win_in_progress": "en cours",
    "win_completed": "terminée",
    "win_cancelled": "annulée",
    "models": "Modèles de l'API",
    "upstreams": "Nos propres accès",
    "month": "Mois",
    "older": "Plus ancien",
    "newer": "Plus récent",
    "machines": "Pour les programmes",
    "subscribe": "Être prévenu",
    "subscribe_text": "Une confirmation est demandée par courriel, et un clic suffit pour partir.",
    "email": "Adresse électronique",
    "subscribe_do": "S'abonner",
    "all": "Tous les fournisseurs",
    "back": "Retour à la vue d'ensemble",
    "not_found": "Cette page n'existe pas.",
    "not_found_text": "La vue d'ensemble montre tout ce que l'on sait.",
    "unsure": "On ne peut pas dire pour l'instant si cette page existe.",
    "unsure_text": (
        "Les incidents plus anciens sont dans la base de données, qui ne répond pas. Réessayez "
        "dans une minute. Ce qui se passe en ce moment figure malgré tout dans la vue d'ensemble."
    ),
    "other_lang": "English",
    "method_link": "Comment nous savons ce que nous disons",
    "post_mortem": "Bilan",
    "written": "Par {by}, {time}.",
    "written_and_corrected": "Par {by}, {time}\u00a0; corrigé depuis.",
    "corrected": "corrigé",
    "as_written": "Tel qu'il était à partir de {time}",
}
TEXTS: dict[Lang, dict[str, str]] = {"en": _EN, "fr": _FR}

REPORTED = {
    "counted": "report_thanks",
    "changed": "report_thanks",
    "again": "report_again",
    "limited": "report_later",
    "shed": "report_shed",
    "challenged": "report_proof",
    "estimated": "report_estimated",
}
"""What a form's sender is told, by the verdict of the report."""
