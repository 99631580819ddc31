"""Atom (RFC 4287), RSS 2.0 and JSON Feed 1.1 of all, of one provider or of one component. Pure.

An entry is one update of an incident, because a feed reader shows what is new once: who follows an
outage must be told of its end. Updates are never changed, so an entry's id never stands for two
texts; a correction is an entry of its own. Components that waver (`changed`) make no entries, as
they make no messages. The same update has the same id in every feed of a language, so that who
follows two feeds reads it once.

Contents are plain text. Where a reader takes it for HTML (RSS), it is escaped once more, and its
lines end as HTML's do. Each version of a post-mortem has an entry.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

import msgspec

from outlast.nouns import Incident, Suspicion, Update
from outlast.observatory.words import Lang
from outlast.status.post_mortems import PostMortem, spoken, tidy
from outlast.status.scope import PAGE, Scope, announced_at, shown, windows
from outlast.status.stamps import clean, iso, rfc822, urn
from outlast.status.statuspage import update_text
from outlast.status.view import Snapshot, Window

ENTRIES_LIMIT = 50
SILENT = frozenset({"changed"})
FORMATS = {
    "atom": "application/atom+xml; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
    "json": "application/feed+json; charset=utf-8",
}
"""Ending of the address and media type."""

_KINDS: dict[str, dict[Lang, str]] = {
    "opened": {"en": "Suspected", "fr": "Soupçonné"},
    "confirmed": {"en": "Confirmed", "fr": "Confirmé"},
    "extended": {"en": "Reaches further", "fr": "S'étend"},
    "contradiction": {"en": "Vendor and evidence disagree", "fr": "Le fournisseur et les indices"},
    "monitoring": {"en": "Working again, watched", "fr": "À nouveau en marche, sous surveillance"},
    "relapsed": {"en": "It is back", "fr": "De retour"},
    "resolved": {"en": "Resolved", "fr": "Résolu"},
    "vendor": {"en": "The vendor says", "fr": "Le fournisseur dit"},
    "cause": {"en": "Cause", "fr": "Cause"},
    "merged": {"en": "Put together", "fr": "Réuni"},
    "annotated": {"en": "Note", "fr": "Note"},
    "corrected": {"en": "Correction", "fr": "Correction"},
    "retracted": {"en": "Retracted", "fr": "Retiré"},
}
_WINDOWS: dict[str, dict[Lang, str]] = {
    "scheduled": {"en": "Maintenance announced", "fr": "Maintenance annoncée"},
    "in_progress": {"en": "Maintenance under way", "fr": "Maintenance en cours"},
    "completed": {"en": "Maintenance done", "fr": "Maintenance terminée"},
    "cancelled": {"en": "Maintenance cancelled", "fr": "Maintenance annulée"},
}
_POST_MORTEMS: dict[str, dict[Lang, str]] = {
    "written": {"en": "Post-mortem", "fr": "Bilan"},
    "corrected": {"en": "Post-mortem corrected", "fr": "Bilan corrigé"},
}
_ABOUT: dict[Lang, str] = {
    "en": "Outages as the evidence shows them: suspected, confirmed, over.",
    "fr": "Les pannes telles que les indices les montrent\u00a0: soupçonnées, confirmées, finies.",
}


class Entry(msgspec.Struct, frozen=True):
    """One entry, in no format yet. Its texts are clean, and escaped for nothing."""

    id: str
    at: float
    title: str
    text: str
    url: str
    tags: tuple[str, ...] = ()


def feed(snapshot: Snapshot, scope: Scope, lang: Lang, form: str) -> bytes:
    """Return the feed in one of FORMATS. Raises KeyError for another."""
    return _FORMATS[form](_Feed(snapshot, scope, lang))


def feed_path(scope: Scope, lang: Lang, form: str) -> str:
    """Where a feed stands: `/status/anthropic/api/feed.fr.atom`; English has no mark."""
    return f"{scope.folder}/feed{'' if lang == 'en' else f'.{lang}'}.{form}"


def entries(snapshot: Snapshot, scope: Scope, lang: Lang) -> list[Entry]:
    """Return what happened, the newest first, at most ENTRIES_LIMIT."""
    listed = shown(snapshot, scope)
    found = [
        _of_update(snapshot, one.incident, number, lang)
        for one in listed
        for number, update in enumerate(one.incident.updates)
        if update.kind not in SILENT
    ]
    found += [
        _of_post_mortem(snapshot, one.incident, version, lang)
        for one in listed
        for version in one.post_mortem
    ]
    for window in windows(snapshot, scope):
        found += _of_window(snapshot, window, lang)
    found.sort(key=lambda one: (-one.at, one.id))
    return found[:ENTRIES_LIMIT]


def update_name(incident: Incident, update: Update, lang: Lang) -> str:
    """`Confirmed: Anthropic: major outage (API)`."""
    kind = _KINDS.get(update.kind, {}).get(lang, update.kind)
    colon = ":" if lang == "en" else "\u00a0:"
    title = incident.title.get(lang) or incident.title.get("en", "")
    sure = incident.suspicion is Suspicion.O_DOWN or update.kind in {"opened", "retracted"}
    mark = "" if sure else {"en": " (not confirmed)", "fr": " (non confirmé)"}[lang]
    return clean(f"{kind}{colon} {title}{mark}", 300)


def _of_update(snapshot: Snapshot, incident: Incident, number: int, lang: Lang) -> Entry:
    update = incident.updates[number]
    components = update.components or tuple(incident.components)
    return Entry(
        id=urn("update", incident.id, str(number), lang),
        at=update.at,
        title=update_name(incident, update, lang),
        text=update_text(incident, update, lang),
        url=f"{snapshot.base_url}{PAGE}/incidents/{incident.id}?lang={lang}",
        tags=tuple(clean(one, 200) for one in (update.kind, *sorted(components)[:20])),
    )


def _of_post_mortem(
    snapshot: Snapshot, incident: Incident, version: PostMortem, lang: Lang
) -> Entry:
    """An entry for each version: one that is corrected is read again."""
    kind = _POST_MORTEMS["corrected" if version.note else "written"][lang]
    colon = ":" if lang == "en" else "\u00a0:"
    title = incident.title.get(lang) or incident.title.get("en", "")
    note = spoken(version.note, lang)[1]
    words = tidy(spoken(version.text, lang)[1])
    return Entry(
        id=urn("post_mortem", incident.id, version.id, lang),
        at=version.at,
        title=clean(f"{kind}{colon} {title}", 300),
        text=f"{clean(note)}\n\n{words}" if note else words,
        url=f"{snapshot.base_url}{PAGE}/incidents/{incident.id}?lang={lang}#post-mortem",
        tags=("post_mortem", *(clean(one, 200) for one in sorted(incident.components)[:20])),
    )


def _of_window(snapshot: Snapshot, window: Window, lang: Lang) -> list[Entry]:
    """An entry when it is announced, when it begins, and when it is over."""
    moments = [("scheduled", announced_at(window))]
    if window.state in {"in_progress", "completed"}:
        moments.append(("in_progress", window.starts_at))
    if window.state == "completed":
        moments.append(("completed", window.ends_at))
    if window.state == "cancelled":
        moments.append(("cancelled", window.cancelled_at or announced_at(window)))
    colon = ":" if lang == "en" else "\u00a0:"
    title = window.title.get(lang) or window.title.get("en", "")
    text = window.text.get(lang) or window.text.get("en", "")
    span = f"{iso(window.starts_at)} – {iso(window.ends_at)}"
    return [
        Entry(
            id=urn("window", window.id, state, lang),
            at=at,
            title=clean(f"{_WINDOWS[state][lang]}{colon} {title}", 300),
            text=clean(f"{text} ({span})"),
            url=f"{snapshot.base_url}{PAGE}?lang={lang}",
            tags=("maintenance", *(clean(one, 200) for one in window.components[:20])),
        )
        for state, at in moments
    ]


class _Feed:
    def __init__(self, snapshot: Snapshot, scope: Scope, lang: Lang) -> None:
        self.lang = lang
        self.base = snapshot.base_url
        self.scope = scope
        self.title = clean(f"Outlast – {scope.title(lang)}", 200)
        self.page = f"{self.base}{scope.path}?lang={lang}"
        self.id = urn("feed", self.base, scope.folder, lang)
        self.entries = entries(snapshot, scope, lang)
        # Without an entry it is the last change of a state: it stands while nothing happens.
        since = [row.state.since_at for one in snapshot.providers for row in one.rows]
        self.changed_at = self.entries[0].at if self.entries else max(since, default=0.0)

    def address(self, form: str) -> str:
        return self.base + feed_path(self.scope, self.lang, form)


def _atom(found: _Feed) -> bytes:
    items = "".join(
        f"<entry><id>{one.id}</id><title>{_xml(one.title)}</title>"
        f"<updated>{iso(one.at)}</updated><published>{iso(one.at)}</published>"
        f'<link rel="alternate" type="text/html" href="{_xml(one.url)}"/>'
        + "".join(f'<category term="{_xml(tag)}"/>' for tag in one.tags)
        + f'<content type="text">{_xml(one.text)}</content></entry>\n'
        for one in found.entries
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{found.lang}">'
        f"<id>{found.id}</id><title>{_xml(found.title)}</title>"
        f"<subtitle>{_xml(_ABOUT[found.lang])}</subtitle>"
        f"<updated>{iso(found.changed_at)}</updated><author><name>Outlast</name></author>"
        f'<link rel="self" type="application/atom+xml" href="{_xml(found.address("atom"))}"/>'
        f'<link rel="alternate" type="text/html" href="{_xml(found.page)}"/>\n{items}</feed>\n'
    ).encode()


def _rss(found: _Feed) -> bytes:
    items = "".join(
        f'<item><guid isPermaLink="false">{one.id}</guid>'
        f"<title>{_xml(_without_tags(one.title))}</title><link>{_xml(one.url)}</link>"
        f"<pubDate>{rfc822(one.at)}</pubDate>"
        + "".join(f"<category>{_xml(_without_tags(tag))}</category>" for tag in one.tags)
        + f"<description>{_xml(_as_html(one.text))}</description></item>\n"
        for one in found.entries
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>'
        f"<title>{_xml(found.title)}</title><link>{_xml(found.page)}</link>"
        f"<description>{_xml(_ABOUT[found.lang])}</description>"
        f"<language>{found.lang}</language><lastBuildDate>{rfc822(found.changed_at)}"
        "</lastBuildDate><ttl>1</ttl>"
        f'<atom:link rel="self" type="application/rss+xml" href="{_xml(found.address("rss"))}"/>'
        f"\n{items}</channel></rss>\n"
    ).encode()


def _json(found: _Feed) -> bytes:
    return msgspec.json.encode(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": found.title,
            "description": _ABOUT[found.lang],
            "home_page_url": found.page,
            "feed_url": found.address("json"),
            "language": found.lang,
            "authors": [{"name": "Outlast"}],
            "items": [
                {
                    "id": one.id,
                    "url": one.url,
                    "title": one.title,
                    "content_text": one.text,
                    "date_published": iso(one.at),
                    "tags": one.tags,
                }
                for one in found.entries
            ],
        }
    )


_FORMATS = {"atom": _atom, "rss": _rss, "json": _json}


def links(snapshot: Snapshot, scopes: Iterable[Scope], langs: Iterable[Lang]) -> list[str]:
    """Every path at which a feed stands."""
    langs = list(langs)
    return [feed_path(scope, lang, form) for scope in scopes for lang in langs for form in _FORMATS]


def _xml(text: str) -> str:
    return html.escape(text, quote=True)


def _as_html(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br>")


def _without_tags(text: str) -> str:
    """A title, which some readers take for HTML and some do not: no sign that makes a tag."""
    return text.replace("<", "‹").replace(">", "›")
