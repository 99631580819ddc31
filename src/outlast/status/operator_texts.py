"""The words of the operators' pages, in English and French. Pure."""

from __future__ import annotations

from outlast.observatory.words import Lang

_EN = {
    "operators": "Operators",
    "skip": "Skip to the content",
    "public_page": "Status page",
    "audit": "Audit",
    "other_lang": "Français",
    "colon": ":",
    "signed_in": "Signed in as {name}",
    "sign_out": "Sign out",
    "sign_in": "Sign in",
    "sign_in_text": (
        "For whoever runs this service. The token is in the file `operator-token` in the data "
        "directory, or where `observatory.operator_token_file` says."
    ),
    "sign_in_kept": (
        "You are not signed in any more. What you typed is kept in this page: sign in, and it is "
        "shown again. Nothing of it was published."
    ),
    "name": "Your name",
    "name_hint": "Readers see it beside what you publish, and the audit keeps it.",
    "token": "Token",
    "signed_out": "You are signed out.",
    "language_en": "English",
    "language_fr": "French",
    "wrong": "Not done yet",
    "stored": "Done.",
    "not_stored": (
        "Done and shown, but not stored yet: the database does not answer. It is written when the "
        "database is back, unless the service ends before."
    ),
    "twice": "This was sent before, and is done once.",
    "preview": "What readers will see",
    "preview_text": "Nothing is published yet.",
    "preview_changed": (
        "The words have changed since the preview. Look at them again before you publish."
    ),
    "see_preview": "Preview",
    "preview_again": "Preview again",
    "same_words": "No words of its own: these readers get the other language's.",
    "left": "Still open, in brackets:",
    "template": "Start from",
    "insert": "Put in",
    "insert_hint": "Fills what is empty, and is added below what you typed.",
    "choose": "Choose",
    "back_desk": "Back to the overview",
    "back_incident": "Back to the incident",
    "open": "Open incidents",
    "none_open": "None.",
    "recent": "Incidents that are over",
    "none_recent": "None.",
    "older": "Older ones",
    "newer": "The newest",
    "since": "since about {time}",
    "until": "until {time}",
    "confirmed": "confirmed",
    "suspected": "suspected",
    "retracted": "retracted",
    "post_mortem": "Post-mortem",
    "has_post_mortem": "post-mortem",
    "read_public": "As readers see it",
    "maintenance": "Maintenance",
    "no_windows": "None.",
    "announce": "Announce maintenance",
    "last_actions": "What was done last",
    "whole_audit": "The whole audit",
    "nothing_done": "Nothing yet.",
    "unreadable": (
        "This cannot be read now: the database does not answer. Try again in a moment; the log "
        "says why."
    ),
    "what_to_do": "What you can do",
    "too_old": (
        "It ended more than two days ago: its timeline is closed. A post-mortem can still be "
        "written."
    ),
    "timeline": "Timeline",
    "entry": "Entry {number}",
    "correct_this": "Correct",
    "retract_this": "Take back",
    "claims": "Rumours and statements",
    "no_claims": "None.",
    "judge": "Say what has become of it",
    "versions": "Versions",
    "version_by": "{time}, {by}",
    "annotate": "Post an update",
    "annotate_about": "It stands in the timeline with your name, on the page and in feeds.",
    "confirm_cause": "Confirm a cause",
    "confirm_cause_about": "The page then says that this cause is confirmed, and by whom.",
    "correct": "Correct an entry",
    "correct_about": "The entry stays; yours stands beside it and names it.",
    "retract": "Retract",
    "retract_about": (
        "Says that we were wrong, about one entry or the whole incident. Nothing is deleted."
    ),
    "retract_grave": (
        "Retracting the whole incident ends it, and takes it out of the uptime figures."
    ),
    "resolve": "Call it over",
    "resolve_about": "Ends the incident now, whatever the evidence says.",
    "write_post_mortem": "Write a post-mortem",
    "correct_post_mortem": "Correct the post-mortem",
    "post_mortem_about": (
        "Paragraphs apart by an empty line, # for a heading, - for a point, "
        "[words](https://address) for a link; nothing else is markup."
    ),
    "post_mortem_about_again": (
        "The version before can still be read. Say what this one corrects: it stands above the "
        "text."
    ),
    "note": "What is corrected",
    "enter_claim": "Enter a rumour or a statement",
    "enter_claim_about": (
        "What somebody says about this outage. It is shown with its source and its state, and "
        "moves no probability."
    ),
    "judge_about": "Your word stands; later evidence is shown beside it.",
    "text_en": "In English",
    "text_fr": "In French",
    "text_hint": "One language is enough: its words then stand for both.",
    "title_en": "Title in English",
    "title_fr": "Title in French",
    "note_en": "What is corrected, in English",
    "note_fr": "What is corrected, in French",
    "cause": "Cause",
    "number": "Which entry",
    "whole": "The whole incident",
    "kind": "What it is about",
    "kind_cause": "the cause",
    "kind_end": "the end",
    "kind_extent": "how far it reaches",
    "sources": "Sources",
    "sources_hint": "Who says it, and where: one name or address a line.",
    "state": "State",
    "state_confirmed": "confirmed",
    "state_supported": "supported",
    "state_unconfirmed": "unconfirmed: withdraw our word, let evidence decide",
    "state_refuted": "refuted",
    "reason": "Reason",
    "components": "Components",
    "starts_at": "Begins (UTC)",
    "ends_at": "Ends (UTC)",
    "window_new_about": "Shown from now on; it goes by the clock, and hides no outage.",
    "window_note": "Add a note",
    "window_move": "Move",
    "window_begin": "Begin now",
    "window_complete": "Call it done",
    "window_cancel": "Cancel",
    "window_about": "Words are optional; without them the page says it in its own.",
    "window_note_about": "Takes the place of the words that are shown with the window.",
    "publish": "Publish",
    "enter": "Enter",
    "do": "Do it",
    "from_to": "{start} – {end}",
    "bad_time": "Give a date and a time, as 2026-03-02T12:30.",
    "bad_choice": "Choose one of the list.",
    "missing_name": "Give your name: the audit keeps it.",
    "bad_token": "This is not the token.",
    "slower": "Too many tries from your network. Try again in {minutes} min.",
    "no_operator": (
        "Nobody can sign in: there is no token that could be trusted. The log says why."
    ),
    "bad_form": (
        "This form is from another page or from an older sign-in. Nothing was done. What you "
        "typed is below: send it again."
    ),
    "old_form": "This form is from an older sign-in. Nothing was done.",
    "broken": (
        "Something of our own failed. The overview shows whether it was done; the log says why."
    ),
    "foreign": "This was sent from another site. Nothing was done.",
    "not_found": "There is no such page here.",
    "not_found_text": "The overview lists what can be done.",
    "failed": "This cannot be done now.",
    "kept": "Nothing was done. What you typed is below.",
    "try_again": "Try again",
    "audit_text": "Who did what, the newest first. Failed sign-ins stand here too.",
    "missed": "{n} more were only counted.",
}
_FR = {
    "operators": "Opérateurs",
    "skip": "Aller au contenu",
    "public_page": "Page d'état",
    "audit": "Registre",
    "other_lang": "English",
    "colon": "\u00a0:",
    "signed_in": "Connecté en tant que {name}",
    "sign_out": "Se déconnecter",
    "sign_in": "Se connecter",
    "sign_in_text": (
        "Pour qui exploite ce service. Le jeton est dans le fichier `operator-token` du dossier "
        "de données, ou là où `observatory.operator_token_file` l'indique."
    ),
    "sign_in_kept": (
        "Vous n'êtes plus connecté. Ce que vous avez saisi est conservé dans cette page\u00a0: "
        "connectez-vous, et vous le retrouverez. Rien n'en a été publié."
    ),
    "name": "Votre nom",
    "name_hint": "Les lecteurs le voient à côté de ce que vous publiez, et le registre le garde.",
    "token": "Jeton",
    "signed_out": "Vous êtes déconnecté.",
    "language_en": "Anglais",
    "language_fr": "Français",
    "wrong": "Pas encore fait",
    "stored": "C'est fait.",
    "not_stored": (
        "C'est fait et affiché, mais pas encore enregistré\u00a0: la base de données ne répond "
        "pas. Ce sera écrit à son retour, sauf si le service s'arrête avant."
    ),
    "twice": "Ceci a déjà été envoyé, et n'est fait qu'une fois.",
    "preview": "Ce que les lecteurs verront",
    "preview_text": "Rien n'est encore publié.",
    "preview_changed": "Le texte a changé depuis l'aperçu. Relisez-le avant de publier.",
    "see_preview": "Aperçu",
    "preview_again": "Nouvel aperçu",
    "same_words": "Pas de texte propre\u00a0: ces lecteurs reçoivent celui de l'autre langue.",
    "left": "Encore ouvert, entre crochets\u00a0:",
    "template": "Partir de",
    "insert": "Insérer",
    "insert_hint": "Remplit ce qui est vide, et s'ajoute sous ce que vous avez saisi.",
    "choose": "Choisissez",
    "back_desk": "Retour à la vue d'ensemble",
    "back_incident": "Retour à l'incident",
    "open": "Incidents en cours",
    "none_open": "Aucun.",
    "recent": "Incidents terminés",
    "none_recent": "Aucun.",
    "older": "Plus anciens",
    "newer": "Les plus récents",
    "since": "depuis {time} environ",
    "until": "jusqu'à {time}",
    "confirmed": "confirmé",
    "suspected": "soupçonné",
    "retracted": "retiré",
    "post_mortem": "Bilan",
    "has_post_mortem": "bilan",
    "read_public": "Tel que les lecteurs le voient",
    "maintenance": "Maintenance",
    "no_windows": "Aucune.",
    "announce": "Annoncer une maintenance",
    "last_actions": "Dernières actions",
    "whole_audit": "Tout le registre",
    "nothing_done": "Rien encore.",
    "unreadable": (
        "Illisible pour le moment\u00a0: la base de données ne répond pas. Réessayez dans un "
        "instant\u00a0; le journal du service dit pourquoi."
    ),
    "what_to_do": "Ce que vous pouvez faire",
    "too_old": (
        "Il est terminé depuis plus de deux jours\u00a0: sa chronologie est close. Un bilan peut "
        "encore être écrit."
    ),
    "timeline": "Chronologie",
    "entry": "Entrée {number}",
    "correct_this": "Corriger",
    "retract_this": "Retirer",
    "claims": "Rumeurs et déclarations",
    "no_claims": "Aucune.",
    "judge": "Dire ce qu'il en est advenu",
    "versions": "Versions",
    "version_by": "{time}, {by}",
    "annotate": "Publier une mise à jour",
    "annotate_about": (
        "Elle figure dans la chronologie avec votre nom, sur la page et dans les flux."
    ),
    "confirm_cause": "Confirmer une cause",
    "confirm_cause_about": "La page dit alors que cette cause est confirmée, et par qui.",
    "correct": "Corriger une entrée",
    "correct_about": "L'entrée reste\u00a0; la vôtre figure à côté et la désigne.",
    "retract": "Retirer",
    "retract_about": (
        "Dit que nous nous sommes trompés, sur une entrée ou sur tout l'incident. Rien n'est "
        "effacé."
    ),
    "retract_grave": (
        "Retirer tout l'incident le termine, et le sort des chiffres de disponibilité."
    ),
    "resolve": "Déclarer terminé",
    "resolve_about": "Termine l'incident maintenant, quoi que disent les indices.",
    "write_post_mortem": "Écrire un bilan",
    "correct_post_mortem": "Corriger le bilan",
    "post_mortem_about": (
        "Une ligne vide entre les paragraphes, # pour un titre, - pour un point, "
        "[mots](https://adresse) pour un lien\u00a0; rien d'autre n'est mis en forme."
    ),
    "post_mortem_about_again": (
        "La version précédente reste lisible. Dites ce que celle-ci corrige\u00a0: cela figure "
        "au-dessus du texte."
    ),
    "note": "Ce qui est corrigé",
    "enter_claim": "Saisir une rumeur ou une déclaration",
    "enter_claim_about": (
        "Ce que quelqu'un dit de cette panne. C'est affiché avec sa source et son état, sans "
        "changer aucune probabilité."
    ),
    "judge_about": "Votre parole vaut\u00a0; les indices ultérieurs sont montrés à côté.",
    "text_en": "En anglais",
    "text_fr": "En français",
    "text_hint": "Une langue suffit\u00a0: son texte vaut alors pour les deux.",
    "title_en": "Titre en anglais",
    "title_fr": "Titre en français",
    "note_en": "Ce qui est corrigé, en anglais",
    "note_fr": "Ce qui est corrigé, en français",
    "cause": "Cause",
    "number": "Quelle entrée",
    "whole": "Tout l'incident",
    "kind": "De quoi il s'agit",
    "kind_cause": "la cause",
    "kind_end": "la fin",
    "kind_extent": "l'étendue",
    "sources": "Sources",
    "sources_hint": "Qui le dit, et où\u00a0: un nom ou une adresse par ligne.",
    "state": "État",
    "state_confirmed": "confirmé",
    "state_supported": "étayé",
    "state_unconfirmed": "non confirmé\u00a0: retirer notre parole, laisser juger les indices",
    "state_refuted": "démenti",
    "reason": "Raison",
    "components": "Composants",
    "starts_at": "Début (UTC)",
    "ends_at": "Fin (UTC)",
    "window_new_about": (
        "Affichée dès maintenant\u00a0; elle suit l'horloge, et ne cache aucune panne."
    ),
    "window_note": "Ajouter une note",
    "window_move": "Déplacer",
    "window_begin": "Commencer maintenant",
    "window_complete": "Déclarer terminée",
    "window_cancel": "Annuler",
    "window_about": (
        "Le texte est facultatif\u00a0; sans lui, la page le dit avec ses propres mots."
    ),
    "window_note_about": "Remplace le texte affiché avec la maintenance.",
    "publish": "Publier",
    "enter": "Saisir",
    "do": "Confirmer",
    "from_to": "{start} – {end}",
    "bad_time": "Donnez une date et une heure, comme 2026-03-02T12:30.",
    "bad_choice": "Choisissez dans la liste.",
    "missing_name": "Donnez votre nom\u00a0: le registre le garde.",
    "bad_token": "Ce n'est pas le jeton.",
    "slower": "Trop d'essais depuis votre réseau. Réessayez dans {minutes}\u00a0min.",
    "no_operator": (
        "Personne ne peut se connecter\u00a0: il n'y a aucun jeton fiable. Le journal du service "
        "dit pourquoi."
    ),
    "bad_form": (
        "Ce formulaire vient d'une autre page ou d'une connexion plus ancienne. Rien n'a été fait. "
        "Ce que vous avez saisi est ci-dessous\u00a0: renvoyez-le."
    ),
    "old_form": "Ce formulaire vient d'une connexion plus ancienne. Rien n'a été fait.",
    "broken": (
        "Quelque chose chez nous a échoué. La vue d'ensemble montre si c'est fait\u00a0; le "
        "journal du service dit pourquoi."
    ),
    "foreign": "Ceci a été envoyé depuis un autre site. Rien n'a été fait.",
    "not_found": "Cette page n'existe pas.",
    "not_found_text": "La vue d'ensemble montre ce qui peut être fait.",
    "failed": "Impossible pour le moment.",
    "kept": "Rien n'a été fait. Ce que vous avez saisi est ci-dessous.",
    "try_again": "Réessayer",
    "audit_text": (
        "Qui a fait quoi, du plus récent au plus ancien. Les connexions refusées y figurent aussi."
    ),
    "missed": "{n} de plus ont seulement été comptées.",
}
TEXTS: dict[Lang, dict[str, str]] = {"en": _EN, "fr": _FR}

ACTIONS: dict[str, dict[Lang, str]] = {
    "incident.annotate": {"en": "posted an update", "fr": "a publié une mise à jour"},
    "incident.confirm_cause": {"en": "confirmed a cause", "fr": "a confirmé une cause"},
    "incident.correct": {"en": "corrected an entry", "fr": "a corrigé une entrée"},
    "incident.retract": {"en": "retracted", "fr": "a retiré"},
    "incident.resolve": {"en": "called an incident over", "fr": "a déclaré un incident terminé"},
    "claim.entered": {"en": "entered what is said", "fr": "a saisi ce qui se dit"},
    "claim.judged": {"en": "judged what is said", "fr": "a jugé ce qui se dit"},
    "post_mortem.written": {"en": "wrote a post-mortem", "fr": "a écrit un bilan"},
    "post_mortem.corrected": {"en": "corrected a post-mortem", "fr": "a corrigé un bilan"},
    "maintenance announced": {"en": "announced maintenance", "fr": "a annoncé une maintenance"},
    "maintenance note": {"en": "added a note to maintenance", "fr": "a annoté une maintenance"},
    "maintenance move": {"en": "moved maintenance", "fr": "a déplacé une maintenance"},
    "maintenance begin": {"en": "began maintenance", "fr": "a commencé une maintenance"},
    "maintenance complete": {"en": "called maintenance done", "fr": "a terminé une maintenance"},
    "maintenance cancel": {"en": "cancelled maintenance", "fr": "a annulé une maintenance"},
    "session.opened": {"en": "signed in", "fr": "s'est connecté"},
    "session.refused": {
        "en": "was refused: wrong token",
        "fr": "a été refusé\u00a0: mauvais jeton",
    },
    "token.refused": {
        "en": "was refused, as a program: wrong token",
        "fr": "a été refusé, en tant que programme\u00a0: mauvais jeton",
    },
    "session.closed": {"en": "signed out", "fr": "s'est déconnecté"},
}
"""What the audit says of each action; others are shown by their own name."""
