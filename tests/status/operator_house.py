"""A whole service, and somebody with a browser of few words: cookies, forms, no script."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from outlast.clock import SystemClock
from outlast.nouns import Incident, Stage
from outlast.observatory.case_changes import Changes
from outlast.observing import Observing
from tests.observatory.service.test_service import Reader, house, open_house
from tests.status.machine_house import over

JSON = dict[str, Any]


class Page(HTMLParser):
    """A page as somebody reads it: its words, and its forms by their address."""

    def __init__(self, status: int, body: str, headers: Any, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.status = status
        self.body = body
        self.headers = headers
        self.url = url
        self.forms: dict[str, list[tuple[str, str]]] = {}
        self.links: list[str] = []
        self._form = ""
        self._area: list[str] | None = None
        self._name = ""
        self._select = ""
        self.feed(body)

    @property
    def words(self) -> str:
        shown = re.sub(r"<style>.*?</style>", "", self.body, flags=re.DOTALL)
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", shown)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = found["action"].partition("?")[0]
            self.forms[self._form] = []
        elif tag == "input" and "name" in found and self._form:
            if found.get("type") != "checkbox" or "checked" in found:
                self.forms[self._form].append((found["name"], found.get("value", "")))
        elif tag == "textarea":
            self._area, self._name = [], found["name"]
        elif tag == "select":
            self._select = found["name"]
        elif tag == "option" and "selected" in found:
            self.forms[self._form].append((self._select, found["value"]))
        elif tag == "a":
            self.links.append(found.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            text = "".join(self._area)
            # A browser leaves the first line end out, and sends the others as it must.
            text = text.removeprefix("\n").replace("\n", "\r\n")
            self.forms[self._form].append((self._name, text))
            self._area = None
        elif tag == "form":
            self._form = ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.append(data)

    def value(self, name: str) -> str:
        return next(v for pairs in self.forms.values() for n, v in pairs if n == name)


class Browser:
    """Somebody with the token, and a browser."""

    def __init__(self, url: str, lang: str = "en") -> None:
        self.at = url
        self.lang = lang
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str, **headers: str) -> Page:
        mark = "&" if "?" in path else "?"
        url = f"{self.at}{path}{mark}lang={self.lang}"
        async with self.session.get(url, headers=headers) as answer:
            return Page(answer.status, await answer.text(), answer.headers, str(answer.url))

    async def post(
        self, path: str, fields: list[tuple[str, str]] | bytes, headers: JSON | None = None
    ) -> Page:
        url = f"{self.at}{path}?lang={self.lang}"
        data: Any = fields if isinstance(fields, bytes) else aiohttp.FormData(fields)
        async with self.session.post(url, data=data, headers=headers) as answer:
            return Page(answer.status, await answer.text(), answer.headers, str(answer.url))

    async def send(self, page: Page, path: str, /, **typed: Any) -> Page:
        """Send a form of a page, with what is typed into it."""
        return await self.send_as(page, path, None, **typed)

    async def send_as(self, page: Page, path: str, headers: JSON | None, /, **typed: Any) -> Page:
        kept = [(n, v) for n, v in page.forms[path] if n not in typed]
        for name, value in typed.items():
            values = value if isinstance(value, list) else [value]
            kept += [(name, one) for one in values]
        return await self.post(path, kept, headers)

    async def enter(self, name: str, token: str) -> Page:
        page = await self.get("/operator")
        return await self.send(page, "/operator/sign-in", name=name, token=token)

    async def publish(self, path: str, **typed: Any) -> Page:
        """Type, look at the preview, and publish."""
        page = await self.send(await self.get(path), path, step="preview", **typed)
        assert page.status == 200, page.words
        return await self.send(page, path, step="publish")


class Operator(Browser):
    """A browser of somebody who can also look into the service."""

    def __init__(self, reader: Reader, lang: str = "en") -> None:
        super().__init__(reader.running.url, lang)
        self.reader = reader

    @property
    def observing(self) -> Observing:
        found = self.reader.running.service.observing
        assert found is not None
        return found

    async def sign_in(self, name: str = "Ada", token: str | None = None) -> Page:
        return await self.enter(name, self.reader.token if token is None else token)

    async def audit(self) -> list[JSON]:
        return await self.observing.watcher.audit(50)


@asynccontextmanager
async def desk(folder: Path, lang: str = "en", public_url: str = "") -> AsyncIterator[Operator]:
    chosen = house(folder)
    server = msgspec.structs.replace(chosen.server, public_url=public_url)
    chosen = msgspec.structs.replace(chosen, server=server)
    async with open_house(chosen) as reader:
        await reader.look()
        operator = Operator(reader, lang)
        try:
            yield operator
        finally:
            await operator.session.close()


def last_week(**changes: Any) -> Incident:
    """An outage of last week."""
    began = SystemClock().wall() - 7 * 86_400
    fields = {
        "opened_at": began,
        "started_at": began - 60,
        "resolved_at": began + 3000,
        "stage": Stage.RESOLVED,
    }
    return over(**(fields | changes))


async def past_incident(operator: Operator, **changes: Any) -> Incident:
    """An outage of last week, in the database alone."""
    incident = last_week(**changes)
    await operator.observing.casebook.commit(Changes(incidents=(incident,)))
    return incident
