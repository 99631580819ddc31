"""The whole site as files that any file server can serve. Pure.

Every page in both languages (`index.html`, `index.fr.html`), and everything that programs read, at
the paths where the service has it. Links between pages are relative and name files, so that the
site works below any address; what is not in the site leads to the service. Nobody can report or
subscribe at a file, so those forms are left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from outlast.observatory.words import LANGS, Lang
from outlast.status import machines
from outlast.status.view import DAYS, Snapshot, date_of

Render = Callable[[Snapshot, str, Lang, str], bytes]
"""Snapshot, path below /status, language, month of a history or empty."""
FILES_LIMIT = 20_000
NAME_LIMIT = 200
"""Bytes of a folder's or file's name."""
_LINK = re.compile(r'\b(href|src|action)="(/[^"]*)"')
_NAME = re.compile(r"[A-Za-z0-9._:@+ -]+")


def site(snapshot: Snapshot, render: Render) -> dict[str, bytes]:
    """Return the files by their path, which has no leading slash."""
    view = msgspec.structs.replace(snapshot, reports=False, subscriptions=())
    pages = {
        (path, month, lang): file
        for path, month in _pages(view)
        for lang in LANGS
        if fit(file := page_file(path, month, lang))
    }
    files: dict[str, bytes] = {}
    for path in machines.paths(view):
        file = unquote(path).removeprefix("/")
        found = machines.answer(view, unquote(path))
        if fit(file) and found is not None and found.found:
            files[file] = found.body
    names = {*files, *pages.values()}
    for (path, month, lang), file in pages.items():
        body = render(view, path, lang, month).decode()
        files[file] = relink(body, file, pages, names, view.base_url).encode()
    for lang in LANGS:
        root = page_file("", "", lang).removeprefix("status/")
        body = render(view, "", lang, "").decode()
        files[root] = relink(body, root, pages, names, view.base_url).encode()
    return dict(list(_apart(files).items())[:FILES_LIMIT])


def _apart(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Without files whose place another has taken, so that one odd name stops no mirror.

    A model may be called as a file of ours (`feed.atom`), whose folder it would then be, or as
    another but for capitals, which some disks do not tell apart.
    """
    found: dict[str, bytes] = {}
    taken: set[str] = set()
    folders: set[str] = set()
    for file, body in sorted(files.items(), key=lambda item: item[0].count("/")):
        name = file.casefold()
        above = {name[:place] for place, sign in enumerate(name) if sign == "/"}
        if name not in taken | folders and not above & taken:
            found[file] = body
            taken.add(name)
            folders |= above
    return found


def page_file(path: str, month: str, lang: Lang) -> str:
    """`status/anthropic/index.fr.html`, `status/history/2026-03.html`."""
    mark = "" if lang == "en" else f".{lang}"
    folder = f"status/{path}" if path else "status"
    return f"{folder}/{month or 'index'}{mark}.html"


def fit(file: str) -> bool:
    """Whether a path can be a file's everywhere: no step up, no sign that a shell or disk minds."""
    parts = file.split("/")
    return len(file) <= 4 * NAME_LIMIT and all(
        _NAME.fullmatch(part) and part.strip(".") and len(part) <= NAME_LIMIT for part in parts
    )


def relink(
    body: str,
    file: str,
    pages: Mapping[tuple[str, str, Lang], str],
    names: set[str],
    base_url: str,
) -> str:
    """Return a page whose links lead to the files of the site, or else to the service."""
    up = "../" * file.count("/")

    def turned(found: re.Match[str]) -> str:
        link = urlsplit(html.unescape(found[2]))
        query = parse_qs(link.query)
        lang: Lang = "fr" if query.get("lang", [""])[0] == "fr" else "en"
        month = query.get("month", [""])[0]
        path = unquote(link.path).removeprefix("/status").strip("/")
        target = pages.get((path, month, lang)) if _is_page(link.path) else None
        if target is None:
            target = _machine(unquote(link.path).removeprefix("/"), lang, names)
        if target is None:
            address = f"{base_url}{html.unescape(found[2])}"
        else:
            address = f"{up}{target}{f'#{link.fragment}' if link.fragment else ''}"
        return f'{found[1]}="{html.escape(address)}"'

    return _LINK.sub(turned, body)


def _is_page(path: str) -> bool:
    return path == "/status" or path.startswith("/status/")


def _machine(path: str, lang: Lang, names: set[str]) -> str | None:
    """`status/feed.fr.atom` for `status/feed.atom` in French."""
    stem, _, form = path.rpartition(".")
    if lang != "en" and (marked := f"{stem}.{lang}.{form}") in names:
        return marked
    return path if path in names else None


def _pages(view: Snapshot) -> list[tuple[str, str]]:
    """Path and month of every page."""
    found = [("", ""), ("history", "")]
    found += [(one.provider, "") for one in view.providers]
    found += [(f"incidents/{one.incident.id}", "") for one in (*view.open, *view.recent)]
    return found + [("history", month) for month in months(view.made_at)]


def months(now: float) -> list[str]:
    """The months that the shown days lie in: `2026-03`, the newest first."""
    days = (date_of(now - day * 86_400.0)[:7] for day in range(DAYS))
    return list(dict.fromkeys(days))
