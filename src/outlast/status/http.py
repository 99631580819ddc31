"""The status page over HTTP: rendered once, kept, and served with what a cache in front can use.

A view costs no query and no template: pages are made again when something changed, and every
quarter of a minute; in between, shelf.py sends what is ready. Whatever else is broken, the last
page is served and says how old it is.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict

import msgspec
import structlog
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from outlast.clock import Clock
from outlast.nouns import Incident
from outlast.observatory.board import STALE_S, Board
from outlast.observatory.past import Past
from outlast.observatory.words import LANGS, Lang
from outlast.status import machines
from outlast.status.page import Page, Renderer
from outlast.status.page import Past as Older
from outlast.status.shelf import AGE_S, FromShelf, Shelf, Version, Wishes, wishes
from outlast.status.source import Source
from outlast.status.view import Shown, Snapshot
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

PAGES_MAX = 500
PATH_LIMIT = 120
ASKED = ("component", "provider", "lang", "scope")
"""Parts of a query that programs' documents look at."""
RETRY_AFTER = f"{AGE_S:.0f}"
CACHE = "public, max-age=10, stale-while-revalidate=60, stale-if-error=86400"


class Kept(msgspec.Struct, frozen=True):
    """A page as it is sent."""

    version: Version
    made_at: float
    body: bytes
    packed: bytes
    etag: str
    packed_etag: str
    """Not the same: a strong validator names bytes as they are sent (RFC 9110, 8.8.3.3)."""
    status: int


class Document(msgspec.Struct, frozen=True):
    """What programs read, as it is sent."""

    version: Version
    made_at: float
    made: machines.Answer
    etag: str


class StatusPages:
    def __init__(self, source: Source, board: Board, past: Past, clock: Clock) -> None:
        self._source = source
        self._board = board
        self._past = past
        self._clock = clock
        self._renderer = Renderer()
        self._pages: OrderedDict[tuple[str, str, Lang], Kept] = OrderedDict()
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._snapshot: tuple[Version, float, Snapshot] | None = None
        self._shelf = Shelf(self._version, clock.wall)
        self._headers = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": self._renderer.policy,
            "cache-control": CACHE,
            "vary": "accept-language, accept-encoding",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }

    def routes(self) -> list[Route]:
        return [
            Route("/status", self.page, methods=["GET", "HEAD"]),
            Route("/status/", self.home, methods=["GET", "HEAD"]),
            Route("/status/{path:path}", self.page, methods=["GET", "HEAD"]),
            Route("/api/v2/{path:path}", self.machines, methods=["GET", "HEAD", "OPTIONS"]),
            Route("/api/openapi.json", self.machines, methods=["GET", "HEAD", "OPTIONS"]),
            Route("/llms.txt", self.machines, methods=["GET", "HEAD"]),
        ]

    def middleware(self) -> list[Middleware]:
        """What an application puts before its routes, so that a view costs next to nothing."""
        return [Middleware(FromShelf, shelf=self._shelf)]

    async def home(self, _: Request) -> Response:
        return RedirectResponse("/status", 308)

    async def page(self, request: Request) -> Response:
        path = request.path_params.get("path", "")[:PATH_LIMIT]
        found = self._for_programs(request)
        if found is not None:
            return found
        wish = wishes(request.scope["headers"])
        chosen = request.query_params.get("lang", "")
        lang: Lang = wish.lang if chosen not in LANGS else "fr" if chosen == "fr" else "en"
        reported = request.query_params.get("reported", "")
        month = request.query_params.get("month", "")[:7] if path == "history" else ""
        if reported:
            # For one reader, right after a report: made anew and kept by nobody.
            about = request.query_params.get("about", "")[:PATH_LIMIT]
            view = self.snapshot()
            made = self._renderer.render(view, path, lang, reported=reported, about=about)
            headers = {**self._headers, "cache-control": "no-store"}
            return Response(made.body, made.status, headers=headers)
        kept = await self._kept(path, month, lang)
        return self._answer(request, kept, lang, wish)

    async def machines(self, request: Request) -> Response:
        """Statuspage's JSON, our own API's description, and a page for language models."""
        found = self._for_programs(request)
        return found if found is not None else Response("There is no such document.\n", 404)

    def _for_programs(self, request: Request) -> Response | None:
        """What programs read at this path; None where people do."""
        path = request.url.path
        query = {name: request.query_params.get(name, "")[:PATH_LIMIT] for name in ASKED}
        key, version, now = f"{path}?{query}", self._version(), self._clock.wall()
        kept = self._documents.get(key)
        if kept is None or kept.version != version or now - kept.made_at >= AGE_S:
            made = machines.answer(self.snapshot(), path, query)
            if made is None:
                return None
            kept = Document(version, now, made, _etag(made.body))
            self._documents[key] = kept
            self._documents.move_to_end(key)
            if len(self._documents) > PAGES_MAX:
                self._documents.popitem(last=False)
        made = kept.made
        headers = {
            **machines.OPEN_HEADERS,
            "content-type": made.media_type,
            "content-security-policy": made.policy,
            "cache-control": CACHE,
            "etag": kept.etag,
        }
        answer = Response(made.body, 200 if made.found else 404, headers=headers)
        self._shelf.put(request.scope, answer, kept.version, kept.made_at)
        if made.found and kept.etag in request.headers.get("if-none-match", ""):
            return Response(None, 304, headers=headers)
        return answer

    def snapshot(self) -> Snapshot:
        """What may be shown now; made once for everything that is rendered of it."""
        version, now = self._version(), self._clock.wall()
        known = self._snapshot
        if known is not None and known[0] == version and now - known[1] < AGE_S:
            return known[2]
        try:
            made = self._source.now()
        except Exception:
            log.exception("status_snapshot_not_made")
            if known is None:
                raise
            # The last one is better than none, and says how old it is.
            return msgspec.structs.replace(known[2], stale=now - known[2].at > STALE_S)
        self._snapshot = (version, now, made)
        return made

    async def _kept(self, path: str, month: str, lang: Lang) -> Kept:
        key, now, version = (path, month, lang), self._clock.wall(), self._version()
        kept = self._pages.get(key)
        if kept is not None and kept.version == version and now - kept.made_at < AGE_S:
            return kept
        try:
            view = self.snapshot()
            past = await self._older(path, view)
            if past == "unsure" and kept is not None and kept.status == 200:
                return kept
            made = self._renderer.render(view, path, lang, month=month, past=past)
        except Exception:
            log.exception("status_page_not_made", path=path)
            if kept is not None:
                return kept  # the last one is better than none, and says how old it is
            raise
        kept = _keep(made, version, now)
        self._pages[key] = kept
        self._pages.move_to_end(key)
        if len(self._pages) > PAGES_MAX:
            self._pages.popitem(last=False)
        return kept

    async def _older(self, path: str, view: Snapshot) -> Older:
        """An incident that only the database still has."""
        wanted = path.removeprefix("incidents/")
        if not path.startswith("incidents/") or view.shown(wanted) is not None:
            return None
        try:
            found: Incident | None = await self._past.incident(wanted)
        except (DatabaseUnavailable, SchemaTooNew):
            return "unsure"
        return Shown(found, post_mortem=self._source.told(wanted)) if found is not None else None

    def _version(self) -> Version:
        return self._board.version, self._source.version

    def _answer(self, request: Request, kept: Kept, lang: Lang, wish: Wishes) -> Response:
        etag = kept.packed_etag if wish.packed else kept.etag
        headers = {**self._headers, "etag": etag, "content-language": lang}
        if kept.status == 503:
            headers |= {"retry-after": RETRY_AFTER, "cache-control": "no-store"}
        unchanged = Response(None, 304, headers=headers)
        if wish.packed:
            headers["content-encoding"] = "gzip"
        body = kept.packed if wish.packed else kept.body
        answer = Response(body, kept.status, headers=headers)
        self._shelf.put(request.scope, answer, kept.version, kept.made_at)
        known = kept.status == 200 and etag.encode() in wish.known
        return unchanged if known else answer


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def _keep(made: Page, version: Version, now: float) -> Kept:
    packed = gzip.compress(made.body, 6, mtime=0)
    return Kept(
        version,
        now,
        made.body,
        packed,
        _etag(made.body),
        _etag(packed),
        made.status,
    )
