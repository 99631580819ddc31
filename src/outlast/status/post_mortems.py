"""Post-mortems: what an operator writes about an incident that is over. Pure.

Each version is written once and never changed. A later one is a correction: it says what it
corrects, and the earlier ones can still be read. A text is in one language or in both; readers of
the other one are given what there is. Its form is in prose.py.

Each version is a snapshot of its own in the casebook, so that two operators who write at the same
moment lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from outlast.nouns import Incident, Stage
from outlast.observatory.acting import BadAction
from outlast.observatory.case_changes import Snapshot
from outlast.observatory.words import LANGS, Lang
from outlast.status.stamps import clean

PREFIX = "post_mortem/"
"""Of the snapshots' names: `post_mortem/INCIDENT/VERSION`."""
TEXT_LIMIT = 16_000
NOTE_LIMIT = 500
VERSIONS_LIMIT = 50
_LINES_LIMIT = 2000

Text = dict[str, str]


class PostMortem(msgspec.Struct, frozen=True):
    """One version."""

    id: str
    incident: str
    at: float
    by: str
    """The operator's name."""
    text: Text
    """By language, in those that it was written in."""
    note: Text = {}
    """Of a correction: what it corrects. Empty for the first version."""


class NewPostMortem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator writes. `after`: the id of the version that they have read; another one
    that came in between is not written over unseen. Empty: not told."""

    text: Text
    note: Text = {}
    after: str = ""


def write(
    incident: Incident,
    asked: NewPostMortem,
    before: Sequence[PostMortem],
    version_id: str,
    by: str,
    now: float,
) -> PostMortem:
    """Return the version that is asked for. `before`: the versions that there are, the newest
    last. Raises BadAction, in words."""
    _check(incident, asked, before)
    text = _said(asked.text, TEXT_LIMIT, "text")
    note = _said(asked.note, NOTE_LIMIT, "note")
    if not text:
        raise BadAction(
            "text is empty: write it in English or French.",
            "Le texte est vide\u00a0: écrivez-le en anglais ou en français.",
        )
    if before and not note:
        raise BadAction(
            "note is empty: say what this version corrects.",
            "Dites ce que cette version corrige.",
        )
    if before and text == before[-1].text:
        raise BadAction("Nothing is changed in the text.", "Rien n'est changé dans le texte.")
    who = clean(by, 80) or "operator"
    return PostMortem(version_id, incident.id, now, who, text, note if before else {})


def _check(incident: Incident, asked: NewPostMortem, before: Sequence[PostMortem]) -> None:
    if incident.merged_into:
        raise BadAction(
            f"This incident goes on in {incident.merged_into}: write it there.",
            f"Cet incident se poursuit dans {incident.merged_into}\u00a0: écrivez-le là-bas.",
        )
    if incident.stage is not Stage.RESOLVED:
        raise BadAction(
            "A post-mortem is written when the incident is over. Post an update meanwhile.",
            "Le bilan s'écrit quand l'incident est terminé. D'ici là, publiez une mise à jour.",
        )
    if len(before) >= VERSIONS_LIMIT:
        raise BadAction(
            f"It has {VERSIONS_LIMIT} versions already.",
            f"Il a déjà {VERSIONS_LIMIT} versions.",
        )
    if asked.after and (not before or before[-1].id != asked.after):
        who = before[-1].by if before else "?"
        raise BadAction(
            f"{who} has written a version since you began: read it before you write over it.",
            f"{who} a écrit une version depuis que vous avez commencé\u00a0: lisez-la avant de "
            "la remplacer.",
        )


def _said(given: Mapping[str, str], limit: int, field: str) -> Text:
    if unknown := sorted(set(given) - set(LANGS)):
        name = clean(unknown[0], 20)
        raise BadAction(
            f"{field} has a language that is not served: {name}.",
            f"{field} a une langue qui n'est pas servie\u00a0: {name}.",
        )
    said = {lang: tidy(given[lang]) for lang in LANGS if lang in given}
    for words in said.values():
        if len(words) > limit:
            raise BadAction(
                f"{field} is {len(words)} signs long, and may have {limit}.",
                f"{field} a {len(words)} signes et peut en avoir {limit}.",
            )
    return {lang: words for lang, words in said.items() if words}


def tidy(text: str) -> str:
    """Return a text of several lines that every format can carry: no control signs, no change of
    direction, one empty line between paragraphs."""
    lines: list[str] = []
    for line in text.splitlines()[:_LINES_LIMIT]:
        # A line is never cut: what is too long is refused as a whole.
        words = clean(line, max(len(line), 1))
        if words or (lines and lines[-1]):
            lines.append(words)
    return "\n".join(lines).strip()


def spoken(text: Text, lang: Lang) -> tuple[str, str]:
    """Return (language, words): in the reader's language, or in the one that there is."""
    if lang in text:
        return lang, text[lang]
    return next(iter(text.items()), (lang, ""))


def stored(one: PostMortem) -> Snapshot:
    return Snapshot(f"{PREFIX}{one.incident}/{one.id}", one.at, msgspec.json.encode(one))


def read(found: Iterable[Snapshot]) -> tuple[list[PostMortem], list[str]]:
    """Return the versions, and the names of what is none of ours."""
    versions: list[PostMortem] = []
    odd: list[str] = []
    for snapshot in found:
        try:
            versions.append(msgspec.json.decode(snapshot.body, type=PostMortem))
        except (msgspec.MsgspecError, RecursionError):
            odd.append(snapshot.name)
    return versions, odd


def by_incident(versions: Iterable[PostMortem]) -> dict[str, tuple[PostMortem, ...]]:
    """The versions of each incident, the newest last; each once."""
    found: dict[str, dict[str, PostMortem]] = {}
    for one in versions:
        found.setdefault(one.incident, {})[one.id] = one
    return {
        name: tuple(sorted(ones.values(), key=lambda one: (one.at, one.id)))
        for name, ones in found.items()
    }
