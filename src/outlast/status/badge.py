"""Small pictures of a status, for a README or a dashboard: SVG with its own words. Pure.

Nothing is loaded, nothing runs; the words are text, the colour only repeats them. White on each
colour has a contrast of 4.5 and more (WCAG 2.2, 1.4.3).
"""

from __future__ import annotations

import html

import msgspec

from outlast.nouns import ComponentState, Stage, Status, Suspicion
from outlast.observatory.headline import looked_at
from outlast.observatory.words import Lang, status_name
from outlast.status.scope import Scope, rows, shown
from outlast.status.stamps import clean
from outlast.status.texts import TEXTS
from outlast.status.view import Snapshot, some_failed, tried

MEDIA_TYPE = "image/svg+xml; charset=utf-8"
_COLOURS = {
    Status.OPERATIONAL: "#1a7f37",
    Status.DEGRADED: "#8a5d00",
    Status.PARTIAL: "#b34700",
    Status.MAJOR: "#c21a26",
    Status.MAINTENANCE: "#0a5dc2",
}
_GREY = "#57606a"
_LABEL_COLOUR = "#3d444d"
_WORDS: dict[str, dict[Lang, str]] = {
    "stale": {"en": "not known (out of date)", "fr": "inconnu (pas à jour)"},
    "unknown": {"en": "no such component", "fr": "composant inconnu"},
    "suspected": {"en": "suspected: {status}", "fr": "soupçonné\u00a0: {status}"},
    "watched": {"en": "working again", "fr": "à nouveau en marche"},
}
_NARROW, _WIDE = "fijlrtI.,:;'|!()[] \u00a0-", "mwMWOQG@%"
LABEL_LIMIT = 60


class Said(msgspec.Struct, frozen=True):
    """A status in words, and the colour that repeats it."""

    words: str
    colour: str


def badge(snapshot: Snapshot, scope: Scope | None, lang: Lang) -> bytes:
    """Return the badge of a scope; None: of something that does not exist."""
    if scope is None:
        return draw("Outlast", Said(_WORDS["unknown"][lang], _GREY), lang)
    return draw(scope.title(lang), said(snapshot, scope, lang), lang)


def badge_path(scope: Scope, lang: Lang) -> str:
    return f"{scope.folder}/badge{'' if lang == 'en' else f'.{lang}'}.svg"


def said(snapshot: Snapshot, scope: Scope, lang: Lang) -> Said:
    """Return what is said of a scope: the worst within it; confirmed goes before suspected."""
    if snapshot.stale:
        return Said(_WORDS["stale"][lang], _GREY)
    states = [row.state for row in rows(snapshot, scope)]
    failing = [state for state in states if state.status.rank]
    if failing:
        worst = max(failing, key=_urgency)
        words = status_name(worst.status, lang)
        if worst.suspicion is Suspicion.S_DOWN:
            return Said(_WORDS["suspected"][lang].format(status=words), _COLOURS[Status.DEGRADED])
        return Said(words, _COLOURS[worst.status])
    if any(one.incident.stage is Stage.MONITORING for one in shown(snapshot, scope)):
        return Said(_WORDS["watched"][lang], _COLOURS[Status.DEGRADED])
    if any(state.status is Status.MAINTENANCE for state in states):
        return Said(status_name(Status.MAINTENANCE, lang), _COLOURS[Status.MAINTENANCE])
    if not any(map(looked_at, states)):
        return Said(TEXTS[lang]["unseen"], _GREY)
    if not any(map(tried, states)):
        return Said(TEXTS[lang]["unseen_vendor"], _GREY)
    if any(map(some_failed, states)):
        return Said(TEXTS[lang]["few"], _GREY)
    return Said(status_name(Status.OPERATIONAL, lang), _COLOURS[Status.OPERATIONAL])


def _urgency(state: ComponentState) -> tuple[bool, int]:
    return state.suspicion is not Suspicion.S_DOWN, state.status.rank


def draw(label: str, value: Said, lang: Lang) -> bytes:
    """Return an SVG of two fields. `label` may be anybody's text."""
    label, words = clean(label, LABEL_LIMIT), clean(value.words, LABEL_LIMIT)
    left, right = _width(label), _width(words)
    whole = left + right
    title = html.escape(f"{label}: {words}" if lang == "en" else f"{label}\u00a0: {words}")
    label, words = html.escape(label), html.escape(words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" '
        f'aria-label="{title}" xml:lang="{lang}"><title>{title}</title>'
        f'<rect width="{whole}" height="20" rx="3" fill="{value.colour}"/>'
        f'<path d="M3 0h{left - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="{_LABEL_COLOUR}"/>'
        '<g fill="#fff" text-anchor="middle" '
        'font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 12}">{label}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 12}">{words}</text>'
        "</g></svg>\n"
    ).encode()


def _width(text: str) -> int:
    """About the width of a text of 11 px in Verdana, with its margins."""
    units = sum(4.2 if sign in _NARROW else 10.5 if sign in _WIDE else 6.9 for sign in text)
    return round(units) + 12
