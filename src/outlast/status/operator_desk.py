"""What lies on an operator's desk: the values behind each page, and each task by its path. Thin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec
import structlog
from starlette.requests import Request

from outlast.clock import Clock
from outlast.nouns import Incident, Stage
from outlast.observatory.board import Board
from outlast.observatory.case_changes import StoredClaim
from outlast.observatory.claims import Claim
from outlast.observatory.http import Operators, read_claim
from outlast.observatory.stored import KEPT_S
from outlast.observatory.words import Lang, component_name, listed
from outlast.status import operator_audit
from outlast.status.asking import Problem
from outlast.status.maintenance_http import MaintenanceApi
from outlast.status.operator_door import ROOT
from outlast.status.operator_incidents import KINDS, IncidentTasks
from outlast.status.operator_session import Session
from outlast.status.operator_task import Task
from outlast.status.operator_texts import TEXTS
from outlast.status.operator_windows import WindowTasks, links_of
from outlast.status.post_mortem_book import PostMortems
from outlast.status.texts import TEXTS as PUBLIC
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

RECENT_MAX = 10
LIST_MAX = 50
AUDIT_SHORT, AUDIT_LONG = 8, 100
Page = tuple[str, dict[str, Any]]
"""A template's name and its values."""
TaskOf = Callable[[Request, Session, Lang], Awaitable[Task]]


class Past(Protocol):
    """The casebook. Raises DatabaseUnavailable and SchemaTooNew."""

    async def claims(self, incident: str | None = None) -> list[StoredClaim]: ...
    async def incidents(
        self, before_at: float = 1e11, limit: int = 50, provider: str | None = None
    ) -> list[Incident]: ...


class WindowLine(msgspec.Struct, frozen=True):
    window: Any
    state: str
    components: str
    words: str
    links: tuple[tuple[str, str], ...]


class Desk:
    """Owned by one event loop."""

    def __init__(
        self,
        board: Board,
        past: Past,
        operators: Operators,
        maintenance: MaintenanceApi,
        book: PostMortems,
        clock: Clock,
    ) -> None:
        self._board = board
        self._past = past
        self._operators = operators
        self._maintenance = maintenance
        self._book = book
        self._clock = clock
        self._incidents = IncidentTasks(operators, book, clock)
        self._windows = WindowTasks(maintenance, board.states.keys, clock)

    # Pages ------------------------------------------------------------------------------------

    async def home(self, request: Request, lang: Lang) -> Page:
        del request
        lines, trouble = await self._lines(AUDIT_SHORT, 1e11, lang)
        values = {
            "title": TEXTS[lang]["operators"],
            "open": self._board.open(),
            "recent": self._board.recent()[:RECENT_MAX],
            "versions": self._book.all(),
            "windows": self._window_lines(lang),
            "lines": lines,
            "trouble": trouble,
        }
        return "desk", values

    async def all_incidents(self, request: Request, lang: Lang) -> Page:
        before_at = _before(request)
        trouble, found = False, []
        try:
            found = await self._past.incidents(before_at, LIST_MAX)
        except (DatabaseUnavailable, SchemaTooNew) as error:
            log.info("incidents_not_listed", reason=str(error))
            trouble = True
        values = {
            "title": TEXTS[lang]["recent"] if before_at < 1e11 else TEXTS[lang]["older"],
            "found": found,
            "versions": self._book.all(),
            "trouble": trouble,
            "before": str(found[-1].opened_at) if len(found) == LIST_MAX else "",
        }
        return "list", values

    async def audit(self, request: Request, lang: Lang) -> Page:
        lines, trouble = await self._lines(AUDIT_LONG, _before(request), lang)
        values = {
            "title": TEXTS[lang]["audit"],
            "lines": lines,
            "trouble": trouble,
            "before": str(lines[-1].at) if len(lines) == AUDIT_LONG else "",
        }
        return "audit", values

    async def incident(self, request: Request, lang: Lang) -> Page:
        incident = await self._find(request.path_params["incident_id"])
        versions = self._book.of(incident.id)
        values = {
            "title": incident.title.get(lang, incident.id),
            "incident": incident,
            "versions": versions,
            "claims": await self._claims(incident.id),
            "fresh": self._fresh(incident),
            "links": self._links(incident, lang),
        }
        return "incident", values

    # Tasks ------------------------------------------------------------------------------------

    async def incident_task(self, request: Request, session: Session, lang: Lang) -> Task:
        incident = await self._find(request.path_params["incident_id"])
        number = request.query_params.get("number", "")[:6]
        task = self._incidents.task(
            request.path_params["task"], incident, session.name, lang, number
        )
        return _there(task)

    async def judge_task(self, request: Request, session: Session, lang: Lang) -> Task:
        incident = await self._find(request.path_params["incident_id"])
        wanted = request.path_params["claim_id"]
        claims = await self._claims(incident.id)
        claim = next((one for one in claims if one.id == wanted), None)
        if claim is None:
            return _there(None)
        return self._incidents.judging(incident, claim, session.name, lang)

    async def window_task(self, request: Request, session: Session, lang: Lang) -> Task:
        window_id = request.path_params.get("window_id", "")
        if not window_id:
            return self._windows.announcing(session.name, lang)
        return _there(
            self._windows.task(request.path_params["task"], window_id, session.name, lang)
        )

    def task_at(self, path: str) -> tuple[TaskOf | None, dict[str, str]]:
        """The task that stands at a path, and what the path names; None: there is none."""
        match [unquote(part) for part in path.removeprefix(f"{ROOT}/").split("/")]:
            case ["incidents", incident_id, "claims", claim_id]:
                return self.judge_task, {"incident_id": incident_id, "claim_id": claim_id}
            case ["incidents", incident_id, task]:
                return self.incident_task, {"incident_id": incident_id, "task": task}
            case ["maintenance"]:
                return self.window_task, {}
            case ["maintenance", window_id, task]:
                return self.window_task, {"window_id": window_id, "task": task}
        return None, {}

    # Underneath -------------------------------------------------------------------------------

    async def _find(self, incident_id: str) -> Incident:
        found = await self._book.incident(incident_id)
        if found is None:
            raise Problem(404, "There is no such incident.", "Cet incident n'existe pas.")
        return found

    async def _claims(self, incident_id: str) -> tuple[Claim, ...]:
        """Those on the board, else those that are stored."""
        known = self._board.claims.get(incident_id, ())
        if known or self._board.incident(incident_id) is not None:
            return known
        found = map(read_claim, await self._past.claims(incident_id))
        return tuple(one for one in found if one is not None)

    def _fresh(self, incident: Incident) -> bool:
        """Whether its timeline can still be written to."""
        known = self._board.incident(incident.id) is not None
        ended_at = incident.resolved_at
        return known and (ended_at is None or ended_at >= self._clock.wall() - KEPT_S)

    def _links(self, incident: Incident, lang: Lang) -> tuple[tuple[str, str], ...]:
        """What can be done to it: where, and in words."""
        t = TEXTS[lang]
        kinds = [kind for kind in KINDS if kind != "post-mortem"] if self._fresh(incident) else []
        over = incident.stage is Stage.RESOLVED
        if over:
            kinds = [kind for kind in kinds if kind != "resolve"]
        if over and not incident.merged_into:
            kinds.append("post-mortem")
        words = {kind: t[name] for kind, name in KINDS.items()}
        if self._book.of(incident.id):
            words["post-mortem"] = t["correct_post_mortem"]
        path = f"{ROOT}/incidents/{incident.id}"
        return tuple((f"{path}/{kind}", words[kind]) for kind in kinds)

    def _window_lines(self, lang: Lang) -> list[WindowLine]:
        now = self._clock.wall()
        return [
            WindowLine(
                window=one,
                state=PUBLIC[lang][f"win_{one.state(now)}"],
                components=listed([component_name(name, lang) for name in one.components], lang),
                words=one.notes[-1].text.get(lang, "") if one.notes else "",
                links=links_of(one, now, lang),
            )
            for one in reversed(self._maintenance.kept())
        ][:LIST_MAX]

    async def _lines(
        self, limit: int, before_at: float, lang: Lang
    ) -> tuple[list[operator_audit.Line], bool]:
        """And whether they cannot be read now."""
        try:
            found = await self._operators.audit(limit, before_at)
        except (DatabaseUnavailable, SchemaTooNew) as error:
            log.info("audit_not_listed", reason=str(error))
            return [], True
        return operator_audit.lines(found, lang), False


def _there(task: Task | None) -> Task:
    if task is None:
        words = {lang: TEXTS[lang]["not_found_text"] for lang in TEXTS}
        raise Problem(404, words["en"], words["fr"])
    return task


def _before(request: Request) -> float:
    """The time that a list goes on from."""
    try:
        found = float(request.query_params.get("before", "")[:30])
    except ValueError:
        return 1e11
    return found if 0 < found < 1e11 else 1e11
