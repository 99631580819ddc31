"""What the small model is told, in English and in French. Pure.

The model is small: short sentences, the most important first, nothing it could quote back.
"""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "fr"]

# Frequent words of French that are not frequent words of English (and not of code).
_FRENCH_WORDS = """
à au aux avec bonjour c'est ce cette comment dans de des du elle en est et être fait faire fais
il ils j'ai je l'on la le les leur merci mes mon ne nous où par pas peux plus pour pourquoi
qu'est quel quelle quels quelles qui que sa salut ses sont sur ta te tes ton tu un une vos votre
vous écris explique donne crée dis réponds bonsoir
"""
_ENGLISH_WORDS = """
a an and are as at be but by can do does file for from has have hello how i in into is it me my
not of on or please run show tell thanks that the this to was what when where which who why will
with write you your
"""
_FRENCH = frozenset(_FRENCH_WORDS.split())
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_WORD = re.compile(r"[a-zà-öø-ÿœ]+(?:'[a-zà-öø-ÿœ]+)?")
_LOOK_AT = 2_000


def language_of(text: str) -> Language:
    """Return `fr` where the text reads as French, else `en` (any other language too)."""
    words = _WORD.findall(text[:_LOOK_AT].lower().replace("’", "'"))
    french = sum(1 for word in words if word in _FRENCH or word[:2] in {"l'", "d'", "j'"})
    english = sum(1 for word in words if word in _ENGLISH)
    return "fr" if french > english else "en"


IDENTITY: dict[Language, str] = {
    "en": (
        "You are Outlast's local model: a small model that runs on the user's own machine and "
        "stands in while the usual model cannot be reached. Answer in the language of the user, "
        "briefly and directly. If you are not sure, say so."
    ),
    "fr": (
        "Tu es le modèle local d'Outlast : un petit modèle qui tourne sur la machine de "
        "l'utilisateur et remplace le modèle habituel tant qu'il est injoignable. Réponds en "
        "français, brièvement et directement. Si tu n'es pas sûr, dis-le."
    ),
}
SHORTENED: dict[Language, str] = {
    "en": "The conversation was shortened for you: parts of it are missing.",
    "fr": "La conversation a été raccourcie pour toi : il en manque des parties.",
}
LEFT_OUT: dict[Language, str] = {
    "en": "[… {count} characters left out …]",
    "fr": "[… {count} caractères omis …]",
}
IMAGE: dict[Language, str] = {
    "en": "[An image stood here. The local model cannot see images.]",
    "fr": "[Une image se trouvait ici. Le modèle local ne peut pas voir les images.]",
}
DOCUMENT: dict[Language, str] = {
    "en": "[A document stood here{title}. The local model cannot read it.]",
    "fr": "[Un document se trouvait ici{title}. Le modèle local ne peut pas le lire.]",
}
USE_TOOLS = (
    "You act by calling one function at a time. Functions:\n{functions}\n\n"
    'Answer with one JSON object: {{"name": function, "arguments": {{…}}}}. {when}'
)
WHEN_AUTO = (
    "Call {reply} to talk in the user's language, to answer a question, or when the work is done. "
    "Call another function only when the user asks for something that needs it."
)
WHEN_REQUIRED = "Call the function that fits best."
