"""Everything that programs read, by path: one table for the routes and for the mirror. Pure.

/api/v2/…                      Statuspage's JSON of the whole page (statuspage.py)
/status/api/v2/…               the same: clients put `/api/v2/…` behind the page's address
/status/NAME/api/v2/…          of one provider, in the same way
/status/feed.atom .rss .json   feeds; `feed.fr.atom` or `?lang=fr`; of one provider or component
                               below /status/NAME/, or with `?component=NAME`, `?provider=NAME`
/status/badge.svg              badges, in the same way
/status/widget.js widget widget.json
/api/openapi.json  /llms.txt
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from outlast.observatory.words import LANGS, Lang
from outlast.status import badge, llms, openapi, packing, statuspage, syndication, widget
from outlast.status.scope import Scope, rows, scope_of
from outlast.status.view import Snapshot

JSON = "application/json; charset=utf-8"
OPEN_HEADERS = {
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}
"""Any site may read these: there is nothing in them that is not public."""
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
PATH_LIMIT = 500


class Answer(msgspec.Struct, frozen=True):
    body: bytes
    media_type: str
    found: bool = True
    """False: 404, with a body in the form that was asked for."""
    policy: str = _NOTHING
    """The content security policy."""


def answer(snapshot: Snapshot, path: str, query: Mapping[str, str] | None = None) -> Answer | None:
    """Return what stands at `path`, decoded and beginning with `/`; None: nothing for programs."""
    query = query or {}
    if len(path) > PATH_LIMIT:
        return None
    if path == "/llms.txt":
        return Answer(llms.text(snapshot), "text/plain; charset=utf-8")
    if path == packing.PATH:
        return Answer(packing.pack(snapshot), JSON)
    if path == "/api/openapi.json":
        return Answer(openapi.document(snapshot.base_url), JSON)
    folder, api, rest = path.partition("/api/v2/")
    if api and (not folder or _below(folder) is not None):
        return _statuspage(snapshot, _below(folder) or "", rest, query)
    folder, _, name = path.rpartition("/")
    below = _below(folder)
    if below is None:
        return None
    named = below or query.get("component", "") or query.get("provider", "")
    return _small(snapshot, name, scope_of(snapshot, named[:PATH_LIMIT]), query)


def _statuspage(
    snapshot: Snapshot, named: str, rest: str, query: Mapping[str, str]
) -> Answer | None:
    scope = scope_of(snapshot, named)
    body = statuspage.document(snapshot, rest, scope, _lang(query)) if scope is not None else None
    if body is None:
        words = {"error": "There is no such document here. /api/v2/summary.json has everything."}
        return Answer(msgspec.json.encode(words), JSON, found=False)
    return Answer(body, JSON)


def _small(
    snapshot: Snapshot, name: str, scope: Scope | None, query: Mapping[str, str]
) -> Answer | None:
    stem, _, form = name.rpartition(".")
    stem, lang = _mark(stem, _lang(query))
    if stem == "badge" and form == "svg":
        body = badge.badge(snapshot, scope, lang)
        return Answer(body, badge.MEDIA_TYPE, found=scope is not None)
    if name == "widget.js":
        return Answer(widget.SCRIPT.encode(), widget.SCRIPT_TYPE)
    if name in {"widget", "widget.json"} and (wanted := query.get("scope")):
        scope = scope_of(snapshot, wanted[:PATH_LIMIT])
    if scope is None:
        return None
    if stem == "feed" and form in syndication.FORMATS:
        return Answer(syndication.feed(snapshot, scope, lang, form), syndication.FORMATS[form])
    if name == "widget.json":
        return Answer(widget.data(snapshot, scope), JSON)
    if name == "widget" or (stem == "widget" and form == "html"):
        body = widget.frame(snapshot, scope, lang)
        return Answer(body, "text/html; charset=utf-8", policy=widget.policy(snapshot, scope))
    return None


def paths(snapshot: Snapshot) -> list[str]:
    """Every path that a mirror has to hold."""
    providers = [Scope(provider=one.provider) for one in snapshot.providers]
    scopes = [Scope(), *providers]
    scopes += [Scope(component=row.state.component) for row in rows(snapshot)]
    found = ["/llms.txt", "/api/openapi.json", "/status/widget.js"]
    found += [f"/api/v2/{one}" for one in statuspage.paths(snapshot)]
    for scope in (Scope(), *providers):
        below = statuspage.paths(snapshot, scope)
        found += [f"{scope.folder}/api/v2/{one}" for one in below]
    found += syndication.links(snapshot, scopes, LANGS)
    found += [badge.badge_path(scope, lang) for scope in scopes for lang in LANGS]
    for scope in (Scope(), *providers):
        found += [f"{scope.folder}/{name}" for name in ("widget.json", "widget.html")]
        found.append(f"{scope.folder}/widget.fr.html")
    return found


def _below(folder: str) -> str | None:
    """`anthropic/api` of `/status/anthropic/api`; None for what is not below /status."""
    if folder == "/status":
        return ""
    return folder.removeprefix("/status/") if folder.startswith("/status/") else None


def _lang(query: Mapping[str, str]) -> Lang:
    return "fr" if query.get("lang") == "fr" else "en"


def _mark(stem: str, lang: Lang) -> tuple[str, Lang]:
    """`feed.fr` is `feed` in French."""
    if stem.endswith(".fr"):
        return stem.removesuffix(".fr"), "fr"
    return stem, lang
