"""The page as HTML, from a Snapshot: complete without a script, nothing from anywhere else.

Everything is escaped by the template engine; styles and the one small script (which says when the
page is out of date) stand in the page and are named by their hashes in the content security policy.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from outlast.observatory.board import CrowdState
from outlast.observatory.report_texts import state_says
from outlast.observatory.words import Lang, component_name, duration, number
from outlast.status.badge import said
from outlast.status.filters import FILTERS, in_month, when
from outlast.status.scope import Scope, rows
from outlast.status.texts import REPORTED, TEXTS
from outlast.status.view import Shown, Snapshot, date_of

FOLDER = Path(__file__).parent / "templates"
ROOT = "/status"
FOUND, NOT_FOUND, UNAVAILABLE = 200, 404, 503
Past = Shown | Literal["unsure"] | None
"""An incident of the database's: there, nobody can say, or none."""


class Page(msgspec.Struct, frozen=True):
    body: bytes
    status: int = 200
    """404: there is no such page; 503: nobody can say whether there is. The body says so."""


class Links(msgspec.Struct, frozen=True):
    home: str
    history: str
    here: str
    here_other: str
    summary: str
    atom: str
    rss: str
    json: str


class Renderer:
    """Templates, read once."""

    def __init__(self) -> None:
        self._css = squeezed((FOLDER / "style.css").read_text(encoding="utf-8"))
        self._js = (FOLDER / "age.js").read_text(encoding="utf-8").strip()
        self._templates = templates()
        self._templates.filters["incident_link"] = incident_link
        self._templates.filters["provider_link"] = provider_link
        self._templates.filters["month_link"] = month_link

    @property
    def policy(self) -> str:
        """The content security policy of every page."""
        return (
            f"default-src 'none'; style-src '{content_hash(self._css)}'; "
            f"script-src '{content_hash(self._js)}'; "
            "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )

    def render(
        self,
        view: Snapshot,
        path: str,
        lang: Lang,
        *,
        month: str = "",
        reported: str = "",
        about: str = "",
        past: Past = None,
        static: bool = False,
    ) -> Page:
        """Return the page at `path` below /status: empty, a provider, `incidents/ID`, `history`.

        `reported`: what became of a report that was just sent, `about` which component;
        `past`: an incident that is no longer in the Snapshot; `static`: for a mirror, where no
        server sends the policy.
        """
        status, template, more = self._find(view, path, month, past, lang)
        text = TEXTS[lang]
        other: Lang = "fr" if lang == "en" else "en"
        here = f"{ROOT}/{path}".rstrip("/")
        query = {"month": month} if month else {}
        links = Links(
            home=f"{ROOT}?lang={lang}",
            history=f"{ROOT}/history?lang={lang}",
            here=f"{here}?{urlencode({**query, 'lang': lang})}",
            here_other=f"{here}?{urlencode({**query, 'lang': other})}",
            summary="/api/v2/summary.json",
            atom=f"{ROOT}/feed.atom?lang={lang}",
            rss=f"{ROOT}/feed.rss?lang={lang}",
            json=f"{ROOT}/feed.json?lang={lang}",
        )
        told = reported_words(view, reported, about, lang)
        # The policy of a file cannot name who may frame it: that needs a server.
        policy = self.policy.partition("; frame-ancestors")[0] if static else ""
        body = self._templates.get_template(template).render(
            view=view,
            lang=lang,
            other=other,
            t=text,
            links=links,
            told=told,
            css=Markup(self._css),  # noqa: S704 - our own file
            js=Markup(self._js),  # noqa: S704 - our own file
            meta_csp=policy,
            as_of=when(view.at, lang) if view.at else "",
            title=f"{view.headline[lang]} – {text['title']}",
            **more,
        )
        return Page(_without_blank_lines(body).encode(), status)

    def _find(
        self, view: Snapshot, path: str, month: str, past: Past, lang: Lang
    ) -> tuple[int, str, dict[str, object]]:
        if not path:
            return FOUND, "overview.html", {}
        if path == "history":
            this = date_of(view.made_at)[:7]
            month = month if _is_month(month) and month <= this else this
            shown = in_month((*view.open, *view.recent), month)
            newer = _moved(month, 1)
            return (
                FOUND,
                "history.html",
                {
                    "month": month,
                    "older": _moved(month, -1),
                    "newer": newer if newer <= this else "",
                    "found": shown,
                },
            )
        if path.startswith("incidents/"):
            found = past or view.shown(path.removeprefix("incidents/"))
            if found == "unsure":
                return UNAVAILABLE, "unsure.html", {}
            if found is not None:
                return FOUND, "incident.html", {"shown": found}
        elif provider := view.provider(path):
            words = said(view, Scope(provider=path), lang).words
            return FOUND, "provider.html", {"provider": provider, "said": words}
        return NOT_FOUND, "missing.html", {}


def reported_words(view: Snapshot, reported: str, about: str, lang: Lang) -> str:
    """What somebody who has just reported is told: what became of it, and what others see."""
    if reported not in REPORTED:
        return ""
    text = TEXTS[lang]
    row = next((row for row in rows(view) if row.state.component == about), None)
    if row is None:
        return text[REPORTED[reported]]
    crowd = row.crowd or CrowdState()
    name, span = component_name(about, lang), duration(crowd.window_s, lang)
    counts = {"bad": number(crowd.not_working, lang), "good": number(crowd.working, lang)}
    words = text["people_of" if crowd.not_working or crowd.working else "nobody_of"]
    others = words.format(name=name, span=span, **counts)
    return f"{text[REPORTED[reported]]} {others} {state_says(row.state, lang)}"


def incident_link(incident_id: str, lang: Lang) -> str:
    return f"{ROOT}/incidents/{incident_id}?lang={lang}"


def provider_link(provider: str, lang: Lang) -> str:
    return f"{ROOT}/{provider}?lang={lang}"


def month_link(month: str, lang: Lang) -> str:
    return f"{ROOT}/history?month={month}&lang={lang}"


def _is_month(text: str) -> bool:
    year, _, month = text.partition("-")
    digits = year.isascii() and year.isdigit() and month.isascii() and month.isdigit()
    return digits and len(text) == 7 and 1 <= int(month) <= 12 and int(year) >= 1970


def _moved(month: str, by: int) -> str:
    months = int(month[:4]) * 12 + int(month[5:]) - 1 + by
    return f"{months // 12:04}-{months % 12 + 1:02}"


def content_hash(text: str) -> str:
    """As a content security policy names a style or a script in the page."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"


def templates() -> Environment:
    """Return what reads the templates of all pages: everything escaped, nothing undefined."""
    found = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters.update(FILTERS)
    return found


def squeezed(css: str) -> str:
    return "".join(line.strip() for line in css.splitlines())


def _without_blank_lines(html: str) -> str:
    return "\n".join(line for line in html.splitlines() if line.strip()) + "\n"
