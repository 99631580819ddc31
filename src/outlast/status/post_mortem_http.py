"""Post-mortems, and drafts of what operators write, over HTTP. Thin.

GET  /api/incidents/{incident_id}/post-mortem    every version, the newest last
POST /api/incidents/{incident_id}/post-mortem    operators: write the first, or a correction
GET  /api/incidents/{incident_id}/draft          operators: words to start from
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outlast.nouns import Incident
from outlast.observatory.acting import BadAction
from outlast.observatory.operator_gate import Gate
from outlast.observatory.words import LANGS
from outlast.status.asking import Problem, answer, asked, refusal, who
from outlast.status.drafting import draft, post_mortem
from outlast.status.post_mortem_book import PostMortems
from outlast.status.post_mortems import NewPostMortem
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

BODY_LIMIT_BYTES = 256 * 1024
PATH = "/api/incidents/{incident_id}/post-mortem"


class PostMortemApi:
    def __init__(self, book: PostMortems, gate: Gate) -> None:
        self._book = book
        self._gate = gate

    def routes(self) -> list[Route]:
        return [
            Route(PATH, _safe(self.look), methods=["GET"]),
            Route(PATH, _safe(self.write), methods=["POST"]),
            Route("/api/incidents/{incident_id}/draft", _safe(self.draft), methods=["GET"]),
        ]

    async def look(self, request: Request) -> Response:
        wanted = request.path_params["incident_id"]
        found = self._book.of(wanted)
        if not found:
            await self._incident(wanted)
        return answer({"versions": found})

    async def write(self, request: Request) -> Response:
        by = await who(request, self._gate)
        wanted = await asked(request, NewPostMortem, BODY_LIMIT_BYTES)
        incident = await self._incident(request.path_params["incident_id"])
        made, stored = await self._book.write(incident, wanted, by)
        return answer({"version": made, "stored": stored}, 201)

    async def draft(self, request: Request) -> Response:
        await who(request, self._gate)
        found = await self._incident(request.path_params["incident_id"])
        return answer(
            {
                "update": {lang: draft(found, lang) for lang in LANGS},
                "post_mortem": {lang: post_mortem(found, lang) for lang in LANGS},
            }
        )

    async def _incident(self, incident_id: str) -> Incident:
        found = await self._book.incident(incident_id)
        if found is None:
            raise Problem(404, "There is no such incident. GET /api/incidents lists them.")
        return found


def _safe(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return refusal(problem)
        except BadAction as problem:
            return refusal(Problem(400, problem.words["en"]))
        except (DatabaseUnavailable, SchemaTooNew) as problem:
            words = {"error": {"message": f"This cannot be said now: {problem}"}}
            return answer(words, 503, {"retry-after": "5"})

    return answered
