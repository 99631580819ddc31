"""The operators' pages: sign in, look, and do, all without a script. Thin.

    GET  /operator                               what there is to do
    POST /operator/sign-in, /operator/sign-out
    GET  /operator/audit                         who did what
    GET  /operator/incidents, /operator/incidents/ID
    GET  POST /operator/incidents/ID/TASK        update, cause, correction, post-mortem …
    GET  POST /operator/maintenance              announce
    GET  POST /operator/maintenance/ID/TASK      note, move, begin, complete, cancel

Everything is done by the functions that the API calls. A form is shown, looked at and sent again
with the mark of what was seen; what was typed is never lost: neither where something is wrong, nor
where the session has ended meanwhile.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from outlast.observatory.acting import BadAction, NotKept
from outlast.observatory.words import LANGS, Lang
from outlast.observatory.words import language as accepted
from outlast.status import operator_forms as forms
from outlast.status.asking import Problem, body
from outlast.status.maintenance import BadMaintenance, Fault
from outlast.status.operator_desk import Desk
from outlast.status.operator_door import BEFORE, COOKIE, ROOT, Door, TooManyTries
from outlast.status.operator_forms import Refused, Values, Wrong, first
from outlast.status.operator_page import OperatorRenderer, address
from outlast.status.operator_session import Session
from outlast.status.operator_task import Piece, Task
from outlast.status.operator_texts import TEXTS
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

log = structlog.get_logger(__name__)

BODY_LIMIT_BYTES = 512 * 1024
_KEPT = "kept."
_NOT_NOW = (Problem, DatabaseUnavailable, SchemaTooNew)
Handler = Callable[[Request], Awaitable[Response]]
TaskOf = Callable[[Request, Session, Lang], Awaitable[Task]]


class OperatorPages:
    """Owned by one event loop."""

    def __init__(self, door: Door, desk: Desk) -> None:
        self._door = door
        self._desk = desk
        self._renderer = OperatorRenderer()
        self._headers = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": self._renderer.policy,
            "cache-control": "no-store",
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
            # A form's origin is told to ourselves, or it could not be told from a foreign one's.
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
            "x-robots-tag": "noindex",
        }

    def routes(self) -> list[BaseRoute]:
        def look(path: str, handler: Handler) -> Route:
            return Route(path, self._safe(handler), methods=["GET", "HEAD"])

        def task(path: str, made: TaskOf) -> Route:
            return Route(path, self._safe(self._task(made)), methods=["GET", "HEAD", "POST"])

        desk, one = self._desk, f"{ROOT}/incidents/{{incident_id}}"
        return [
            look(ROOT, self._home),
            Route(f"{ROOT}/sign-in", self._safe(self._sign_in), methods=["GET", "HEAD", "POST"]),
            Route(f"{ROOT}/sign-out", self._safe(self._sign_out), methods=["POST"]),
            look(f"{ROOT}/audit", self._page(desk.audit)),
            look(f"{ROOT}/incidents", self._page(desk.all_incidents)),
            look(one, self._page(desk.incident)),
            task(f"{one}/claims/{{claim_id}}", desk.judge_task),
            task(f"{one}/{{task}}", desk.incident_task),
            task(f"{ROOT}/maintenance", desk.window_task),
            task(f"{ROOT}/maintenance/{{window_id}}/{{task}}", desk.window_task),
            Route(f"{ROOT}/{{path:path}}", self._safe(self._nowhere), methods=["GET", "HEAD"]),
        ]

    # Signing in -------------------------------------------------------------------------------

    async def _home(self, request: Request) -> Response:
        return await self._page(self._desk.home)(request)

    async def _sign_in(self, request: Request) -> Response:
        lang = language(request)
        if request.method != "POST":
            return _to(ROOT, lang)
        values = await self._form(request)
        to = _own_path(first(values, "next"))
        kept = {n.removeprefix(_KEPT): v for n, v in values.items() if n.startswith(_KEPT)}
        try:
            cookie = await self._door.sign_in(request, values, lang)
        except TooManyTries as problem:
            name, wait_s = first(values, "name"), math.ceil(problem.wait_s)
            answer = self._ask(request, lang, to, kept, problem.problems, name, 429)
            answer.headers["retry-after"] = str(wait_s)
            return answer
        except Refused as problem:
            return self._ask(request, lang, to, kept, problem.problems, first(values, "name"), 403)
        if kept and to != ROOT:
            answer = await self._again(request, to, lang, cookie, kept)
        else:
            answer = _to(to, lang)
        self._door.set_cookie(answer, request, COOKIE, cookie)
        self._door.drop_cookie(answer, BEFORE)
        return answer

    async def _again(
        self, request: Request, to: str, lang: Lang, cookie: str, kept: Values
    ) -> Response:
        """The form that somebody was at when their session ended, with what they typed."""
        session = self._door.session_of(cookie)
        made, params = self._desk.task_at(to)
        if session is None or made is None:
            return _to(to, lang)
        inner = Request({**request.scope, "path": to, "path_params": params, "query_string": b""})
        try:
            task = await made(inner, session, lang)
        except _NOT_NOW as error:
            return self._not_now(error, to, session, lang, kept)
        return self._show_task(task, session, lang, kept)

    async def _sign_out(self, request: Request) -> Response:
        lang = language(request)
        session = self._door.session(request)
        if session is not None:
            values = await self._form(request)
            if not self._door.may_send(session, values):
                raise Problem(403, TEXTS["en"]["old_form"], TEXTS["fr"]["old_form"])
            await self._door.sign_out(request)
        answer = self._ask(request, lang, ROOT, {}, (), "", 200, said="signed_out")
        self._door.drop_cookie(answer, COOKIE)
        return answer

    def _ask(
        self,
        request: Request,
        lang: Lang,
        to: str,
        kept: Values,
        problems: Sequence[Wrong] = (),
        name: str = "",
        status: int = 401,
        said: str = "",
    ) -> Response:
        """The sign-in form, with what is to be kept in it."""
        cookie, mark = self._door.before(request)
        pairs = [(n, one) for n, ones in kept.items() if n not in forms.OURS for one in ones]
        answer = self._html(
            "sign_in",
            lang,
            ROOT,
            status,
            title=TEXTS[lang]["sign_in"],
            next=to,
            mark=mark,
            kept=pairs,
            problems=problems,
            typed=name,
            said=said,
        )
        self._door.set_cookie(answer, request, BEFORE, cookie)
        return answer

    # Pages and tasks --------------------------------------------------------------------------

    def _page(self, made: Callable[..., Awaitable[tuple[str, dict[str, Any]]]]) -> Handler:
        """A page to read. `made` gives its template and values."""

        async def answered(request: Request) -> Response:
            lang = language(request)
            session = self._door.session(request)
            if session is None:
                status = 200 if request.url.path == ROOT else 401
                return self._ask(request, lang, _own_path(request.url.path), {}, status=status)
            name, values = await made(request, lang)
            return self._html(
                name, lang, request.url.path, session=session, said=session.tell(), **values
            )

        return answered

    def _task(self, made: TaskOf) -> Handler:
        async def answered(request: Request) -> Response:
            lang = language(request)
            session = self._door.session(request)
            path = _own_path(request.url.path)
            if request.method != "POST":
                if session is None:
                    return self._ask(request, lang, path, {})
                task = await made(request, session, lang)
                return self._show_task(task, session, lang, {})
            if session is None:
                # Without a sign of an earlier session a stranger's megabytes are not even read.
                kept = await self._form(request) if self._door.had_cookie(request) else {}
                return self._ask(request, lang, path, kept)
            values = await self._form(request)
            try:
                task = await made(request, session, lang)
            except _NOT_NOW as error:
                return self._not_now(error, path, session, lang, values)
            if not self._door.may_send(session, values):
                wrong = (Wrong(TEXTS[lang]["bad_form"]),)
                return self._show_task(task, session, lang, values, wrong, status=403)
            return await self._sent(task, session, lang, values)

        return answered

    async def _sent(self, task: Task, session: Session, lang: Lang, values: Values) -> Response:
        """What is to be done with a form that was sent."""
        step = first(values, "step")
        if step == "insert":
            wanted = first(values, "template")
            found = next((one.text for one in task.templates if one.name == wanted), {})
            filled = forms.put_in(values, task.fields, found)
            return self._show_task(task, session, lang, filled)
        try:
            pieces = task.look(values)
            if step != "publish":
                return self._show_task(task, session, lang, values, pieces=pieces)
            seen, once = first(values, "seen"), first(values, "once")
            if not once or seen != forms.digest(values, task.fields):
                wrong = (Wrong(TEXTS[lang]["preview_changed"]),)
                return self._show_task(task, session, lang, values, wrong, pieces, 409)
            return await self._publish(task, session, lang, values)
        except Exception as error:
            problems = _problems(error, lang)
            status = 503 if isinstance(error, DatabaseUnavailable | SchemaTooNew) else 422
            if problems is None:
                log.exception("operator_task_failed", path=task.path)
                problems, status = (Wrong(TEXTS[lang]["broken"]),), 500
            return self._show_task(task, session, lang, values, problems, status=status)

    async def _publish(self, task: Task, session: Session, lang: Lang, values: Values) -> Response:
        once = first(values, "once")[:100]
        if session.once(once):
            try:
                stored = await task.do(values)
            except BaseException:
                session.again(once)
                raise
            session.said = "stored" if stored else "not_stored"
        else:
            session.said = "twice"
        return _to(task.back, lang)

    def _show_task(
        self,
        task: Task,
        session: Session,
        lang: Lang,
        values: Values,
        problems: Sequence[Wrong] = (),
        pieces: Sequence[Piece] = (),
        status: int = 200,
    ) -> Response:
        return self._html(
            "task",
            lang,
            task.path,
            status,
            session=session,
            title=task.title,
            task=task,
            fields=forms.filled(task.fields, values),
            problems=problems,
            pieces=pieces,
            once=secrets.token_urlsafe(12),
            seen=forms.digest(values, task.fields) if pieces else "",
        )

    # Underneath -------------------------------------------------------------------------------

    def _not_now(
        self, error: Exception, path: str, session: Session, lang: Lang, values: Values
    ) -> Response:
        """What the form belongs to cannot be read or is not there: the words typed are shown, to be
        sent again or to be taken elsewhere."""
        (wrong,) = _problems(error, lang) or (Wrong(TEXTS[lang]["failed"]),)
        t = TEXTS[lang]
        kept = [
            (name, t.get(name, name), one)
            for name, ones in values.items()
            if name not in forms.OURS
            for one in ones
            if one
        ]
        status = error.status if isinstance(error, Problem) else 503
        return self._html(
            "problem",
            lang,
            path,
            status,
            session=session,
            title=t["failed"],
            words=wrong.words,
            kept=kept,
        )

    async def _form(self, request: Request) -> dict[str, list[str]]:
        """Raises Problem for what is no form of ours."""
        if not self._door.is_ours(request):
            raise Problem(403, TEXTS["en"]["foreign"], TEXTS["fr"]["foreign"])
        try:
            return forms.read(await body(request, BODY_LIMIT_BYTES))
        except ValueError as error:
            raise Problem(
                400, "This form has too many fields.", "Ce formulaire a trop de champs."
            ) from error

    async def _nowhere(self, request: Request) -> Response:
        lang = language(request)
        session = self._door.session(request)
        if session is None:
            return self._ask(request, lang, ROOT, {})
        raise Problem(404, TEXTS["en"]["not_found_text"], TEXTS["fr"]["not_found_text"])

    def _html(
        self, template: str, lang: Lang, path: str, status: int = 200, **values: Any
    ) -> Response:
        made = self._renderer.render(template, lang, path, **values)
        return Response(made, status, headers={**self._headers, "content-language": lang})

    def _safe(self, handler: Handler) -> Handler:
        async def answered(request: Request) -> Response:
            lang = language(request)
            t = TEXTS[lang]
            try:
                return await handler(request)
            except Problem as problem:
                title = t["not_found"] if problem.status == 404 else t["failed"]
                status, words = problem.status, problem.words[lang]
            except (DatabaseUnavailable, SchemaTooNew) as error:
                log.info("operator_page_not_made", path=request.url.path, reason=str(error))
                title, status, words = t["failed"], 503, t["unreadable"]
            except Exception:
                log.exception("operator_page_failed", path=request.url.path)
                title, status, words = t["failed"], 500, t["broken"]
            session = self._door.session(request)
            values = {"session": session, "title": title, "words": words, "kept": ()}
            return self._html("problem", lang, ROOT, status, **values)

        return answered


def language(request: Request) -> Lang:
    """The operator's choice in the address, else what the browser prefers, else English."""
    chosen = request.query_params.get("lang", "")
    if chosen in LANGS:
        return "fr" if chosen == "fr" else "en"
    return accepted(request.headers.get("accept-language", "")[:200].encode("latin-1", "replace"))


def _to(path: str, lang: Lang) -> Response:
    return RedirectResponse(address(path, lang), 303, headers={"cache-control": "no-store"})


def _problems(error: Exception, lang: Lang) -> tuple[Wrong, ...] | None:
    """What went wrong in words; None for what is none of ours."""
    if isinstance(error, Refused):
        return error.problems
    if isinstance(error, BadAction | NotKept | Problem):
        return (Wrong(error.words[lang]),)
    if isinstance(error, BadMaintenance):
        return tuple(_fault(one, lang) for one in error.faults)
    if isinstance(error, DatabaseUnavailable | SchemaTooNew):
        return (Wrong(TEXTS[lang]["unreadable"]),)
    return None


def _fault(fault: Fault, lang: Lang) -> Wrong:
    """A fault at the form's own field: of `title` and `text` there is one for each language, and
    the operator's own comes first."""
    name, _, which = fault.field.partition(".")
    place = f"{name}_{which or lang}" if name in {"title", "text"} else name
    known = place != name or place in {"components", "starts_at", "ends_at"}
    words = fault.fr if lang == "fr" else fault.en
    return Wrong(words[:1].upper() + words[1:], place if known else "")


def _own_path(text: str) -> str:
    """A path below /operator; the overview for all else, so that nobody is led elsewhere."""
    parts = urlsplit(text[:500])
    fine = not parts.scheme and not parts.netloc and "\\" not in text and "//" not in parts.path
    inside = parts.path.startswith(f"{ROOT}/") and ".." not in parts.path
    return parts.path if fine and inside and text.isprintable() else ROOT
