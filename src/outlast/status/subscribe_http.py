"""The pages on which people subscribe, over HTTP. Thin: the desk decides, the renderer shows.

    GET, POST /status/subscribe                  the form; its answer, or the form and what is wrong
    GET, POST /status/subscribe/confirm?token=   the page of a mail's link; its button confirms
    GET, POST /status/subscribe/manage?token=    what a subscription is: change it, end it
    GET       /status/push.js                    the worker that shows a browser's notifications

A GET changes nothing, because mail programs and scanners open links by themselves. No cookie and
no session say who somebody is, so a foreign page gains nothing by sending a form for its reader:
what changes a subscription needs the token of its own links. Only asking needs none; it is refused
where the browser says that another site sent it (Fetch Metadata; before that, `origin`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outlast.observatory.accepting import Asked
from outlast.observatory.notify_signing import Purpose
from outlast.observatory.notify_texts import CONFIRM_PAGE, MANAGE_PAGE, manage_link, wanted_words
from outlast.observatory.subscribe_http import body_of, refusal_headers, sender_of, token_of
from outlast.observatory.subscribe_texts import TEXTS, say
from outlast.observatory.subscribing import Channel, Digest, Subscription
from outlast.observatory.subscription_desk import Desk, Opened, Refusal
from outlast.observatory.words import LANGS, Lang, language
from outlast.status.subscribe_page import (
    HERE,
    WORKER,
    FormRenderer,
    Said,
    asked_of,
    wrongs,
)
from outlast.status.subscribe_texts import FORM
from outlast.status.view import Snapshot
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew

FIELDS_LIMIT = 300
"""Fields of a form, all together."""
Handler = Callable[[Request, Lang], Awaitable[Response]]


class SubscribePages:
    def __init__(
        self, desk: Desk, view: Callable[[], Snapshot], push_key: Callable[[], str]
    ) -> None:
        """`view`: what the status page shows now; `push_key`: finds by which key browsers know us;
        called once, in a thread."""
        self._desk = desk
        self._view = view
        self._find_push_key = push_key
        self._push_key = ""
        self._renderer = FormRenderer()
        self._headers = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": self._renderer.policy,
            "cache-control": "no-store",
            # Links hold tokens, so no other site learns them; `no-referrer` would take the origin
            # from our own forms too.
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "x-robots-tag": "noindex",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }

    def routes(self) -> list[Route]:
        return [
            Route(HERE, self._safe(self.form), methods=["GET"]),
            Route(HERE, self._safe(self.ask), methods=["POST"]),
            Route(CONFIRM_PAGE, self._safe(self.confirm_page), methods=["GET"]),
            Route(CONFIRM_PAGE, self._safe(self.confirm), methods=["POST"]),
            Route(MANAGE_PAGE, self._safe(self.manage_page), methods=["GET"]),
            Route(MANAGE_PAGE, self._safe(self.manage), methods=["POST"]),
            Route(WORKER, self.worker, methods=["GET"]),
        ]

    async def form(self, request: Request, lang: Lang) -> Response:
        chosen = request.query_params.getlist("component")[:50]
        asked = Asked(kind="", target="", lang=lang, components=tuple(chosen))
        return self._html(await self._form(asked, lang), lang)

    async def ask(self, request: Request, lang: Lang) -> Response:
        if is_foreign(request, self._desk.offer.base):
            raise Refusal(403, both("elsewhere"))
        asked = _asked(_fields(request, await body_of(request)), lang)
        try:
            opened = await self._desk.ask(asked, sender_of(request, self._desk))
        except Refusal as refusal:
            body = await self._form(asked, lang, refusal)
            return self._html(body, lang, refusal.status, refusal_headers(refusal))
        return self._html(self._about(lang, self._asked(opened, lang)), lang)

    async def _form(self, asked: Asked, lang: Lang, refusal: Refusal | None = None) -> bytes:
        found = wrongs(refusal.problems, refusal.texts, lang) if refusal is not None else ()
        kinds = self._desk.kinds()
        if Channel.PUSH in kinds and not self._push_key:
            self._push_key = await asyncio.to_thread(self._find_push_key)
        return self._renderer.form(
            self._view(), lang, asked, kinds, push_key=self._push_key, problems=found
        )

    def _asked(self, opened: Opened, lang: Lang) -> Said:
        form = FORM[lang]
        if opened.subscription.kind is Channel.EMAIL:
            lines, after = (TEXTS["asked"][lang],), (form["no_mail"],)
            return Said(title=form["sent_title"], lines=lines, card="fine", after=after)
        return Said(
            title=form["sent_title"],
            lines=(TEXTS["testing"][lang],),
            card="fine",
            secret=opened.secret,
            manage=f"{manage_link('', opened.token)}&lang={lang}",
        )

    async def confirm_page(self, request: Request, lang: Lang) -> Response:
        token = token_of(request)
        found = await self._desk.find(token, Purpose.CONFIRM, sender_of(request, self._desk))
        if found is None:
            raise Refusal(404, say("used"))
        lang = _chosen(request) or found.wanted.lang
        form = FORM[lang]
        said = Said(
            title=form["confirm_title"],
            lines=(form["confirm"],),
            wishes=wishes_words(found, lang),
            action=f"{CONFIRM_PAGE}?token={token}&lang={lang}",
            button=form["confirm_do"],
            do="confirm",
            after=(form["ignore"],),
        )
        return self._html(self._about(lang, said, CONFIRM_PAGE, token), lang)

    async def confirm(self, request: Request, lang: Lang) -> Response:
        found = await self._desk.confirm(token_of(request), sender_of(request, self._desk))
        lang = _chosen(request) or found.wanted.lang
        form = FORM[lang]
        said = Said(
            title=form["confirmed_title"],
            lines=(form["confirmed"],),
            card="fine",
            wishes=wishes_words(found, lang),
        )
        return self._html(self._about(lang, said), lang)

    async def manage_page(self, request: Request, lang: Lang) -> Response:
        found = await self._desk.find(
            token_of(request), Purpose.LEAVE, sender_of(request, self._desk)
        )
        if found is None:
            return self._html(self._about(lang, _left(lang)), lang)
        lang = _chosen(request) or found.wanted.lang
        return self._html(self._managed(found, request, lang), lang)

    async def manage(self, request: Request, lang: Lang) -> Response:
        token, sender = token_of(request), sender_of(request, self._desk)
        fields = _fields(request, await body_of(request))
        match fields.get("do", [""])[0]:
            case "save":
                asked = _asked(fields, lang)
                try:
                    found = await self._desk.change(token, asked, sender)
                except Refusal as refusal:
                    still = await self._desk.find(token, Purpose.LEAVE, sender)
                    if still is None:
                        raise
                    body = self._managed(still, request, lang, asked=asked, refusal=refusal)
                    return self._html(body, lang, refusal.status, refusal_headers(refusal))
                lang = _chosen(request) or found.wanted.lang
                return self._html(self._managed(found, request, lang, "saved"), lang)
            case "test":
                await self._desk.test(token, sender)
                found_again = await self._desk.find(token, Purpose.LEAVE, sender)
                if found_again is None:
                    raise Refusal(404, say("used"))
                return self._html(self._managed(found_again, request, lang, "tested"), lang)
            case "leave":
                await self._desk.leave(token, sender)
                return self._html(self._about(lang, _left(lang)), lang)
            case _:
                return await self.manage_page(request, lang)

    def _managed(
        self,
        found: Subscription,
        request: Request,
        lang: Lang,
        done: str = "",
        *,
        asked: Asked | None = None,
        refusal: Refusal | None = None,
    ) -> bytes:
        """The page of one subscription: what it is, the form to change it, how to leave."""
        form, token = FORM[lang], token_of(request)
        active = found.confirmed_at is not None
        lines = [form[done]] if done else []
        lines.append(f"{form['by']} {form[f'by_{found.kind}']}.")
        if done != "tested":
            lines.append(form["active" if active else "unconfirmed"])
        testable = not active and found.kind is not Channel.EMAIL
        said = Said(
            title=form["manage_title"],
            lines=(" ".join(lines),),
            card="fine" if active else "maybe",
            action=f"{MANAGE_PAGE}?token={token}&lang={lang}",
            button=form["test_do"] if testable and not done else "",
            do="test",
        )
        wanted = asked or asked_of(found.wanted, found.kind)
        return self._renderer.managed(
            self._view(),
            lang,
            said,
            {"token": token},
            wanted=msgspec.structs.replace(wanted, kind=found.kind.value),
            problems=wrongs(refusal.problems, refusal.texts, lang) if refusal else (),
        )

    def _about(self, lang: Lang, said: Said, path: str = HERE, token: str = "") -> bytes:
        query = {"token": token} if token else {}
        return self._renderer.about(lang, said, path, query)

    async def worker(self, request: Request) -> Response:
        del request
        headers = {
            "content-type": "text/javascript; charset=utf-8",
            "content-security-policy": "default-src 'none'",
            "cache-control": "no-cache",
            "x-content-type-options": "nosniff",
        }
        return Response(self._renderer.worker, headers=headers)

    def _safe(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            lang = _chosen(request) or language(_accepted(request))
            try:
                return await handler(request, lang)
            except Refusal as found:
                refusal = found
            except (DatabaseUnavailable, SchemaTooNew):
                refusal = Refusal(503, say("later"), wait_s=5.0)
            title = FORM[lang]["wrong_title" if refusal.status == 404 else "problem"]
            said = Said(title=title, lines=(refusal.texts[lang],), card="bad", again=True)
            body = self._about(lang, said)
            return self._html(body, lang, refusal.status, refusal_headers(refusal))

        return answered

    def _html(
        self, body: bytes, lang: Lang, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        made = {**self._headers, "content-language": lang, **(headers or {})}
        return Response(body, status, headers=made)


def is_foreign(request: Request, base: str) -> bool:
    """Whether a browser sent this for a page of another site.

    Sources: Fetch Metadata (W3C), section 2.4; `origin`, RFC 6454, 7. What sends neither is no
    browser of these years, and a program can say what it likes.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return False
    ours = {request.headers.get("host", "").lower(), urlsplit(base).netloc.lower()}
    return urlsplit(origin).netloc.lower() not in ours - {""}


def both(name: str) -> dict[str, str]:
    return {lang: FORM[lang][name] for lang in LANGS}


def wishes_words(found: Subscription, lang: Lang) -> tuple[str, ...]:
    """What a subscription is about, a line for each kind of wish."""
    form, wanted = FORM[lang], found.wanted
    colon = "\u00a0: " if lang == "fr" else ": "
    when = form[wanted.digest.value]
    if wanted.digest is Digest.DAILY:
        when = f"{when}, {wanted.hour:02d}:00 {wanted.zone}"
    lines = [
        f"{form['what']}{colon}{wanted_words(wanted, lang)}",
        f"{form['impact']}{colon}{form[f'impact_{wanted.impact}']}",
        f"{form['when']}{colon}{when}",
    ]
    return tuple(lines)


def _left(lang: Lang) -> Said:
    form = FORM[lang]
    return Said(title=form["left_title"], lines=(form["left"],), card="fine", again=True)


def _fields(request: Request, body: bytes) -> dict[str, list[str]]:
    """A form's fields. Raises Refusal for what is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal(415, both("not_form"))
    try:
        return parse_qs(
            body.decode(), keep_blank_values=True, max_num_fields=FIELDS_LIMIT, errors="strict"
        )
    except ValueError as error:
        raise Refusal(400, both("not_form")) from error


def _asked(fields: dict[str, list[str]], lang: Lang) -> Asked:
    """What a form asks for, as it is shown again where something is wrong with it."""

    def one(name: str, usual: str) -> str:
        return fields.get(name, [usual])[0].strip()

    kind, hour = one("kind", ""), one("hour", "7")
    return Asked(
        kind=kind,
        target=one("target", ""),
        lang=one("lang", lang),
        providers=tuple(fields.get("providers", ())),
        surfaces=tuple(fields.get("surfaces", ())),
        components=tuple(fields.get("components", ())),
        impact=one("impact", "none"),
        states=tuple(fields.get("states", ())),
        # A webhook always hears at once, as its label says, whatever the list stands at.
        digest="now" if kind == Channel.WEBHOOK else one("digest", "now"),
        hour=int(hour) if len(hour) <= 2 and hour.isascii() and hour.isdigit() else -1,
        zone=one("zone", ""),
    )


def _chosen(request: Request) -> Lang | None:
    chosen = request.query_params.get("lang", "")
    if chosen not in LANGS:
        return None
    return "fr" if chosen == "fr" else "en"


def _accepted(request: Request) -> bytes:
    return request.headers.get("accept-language", "")[:200].encode("latin-1")
