"""The page's endpoints alone: what they answer to odd askers, and when something of ours breaks."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import Message

from outlast.clock import ManualClock
from outlast.nouns import Incident
from outlast.observatory.board import Board
from outlast.observatory.rollups import Rollup
from outlast.status.http import StatusPages
from outlast.status.packing import PATH, unpack
from outlast.status.shelf import AGE_S
from outlast.status.source import Source
from outlast.status.stage import Nothing
from outlast.status.view import Fallback
from tests.status.machine_house import API, NOW, state


async def no_days(start_at: float, end_at: float) -> list[Rollup]:
    return []


class Counted(Nothing):
    """A past that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def incident(self, incident_id: str) -> Incident | None:
        self.asked += 1
        return await super().incident(incident_id)


class Pages:
    """The endpoints over a board, asked without a socket."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.board = Board()
        self.board.set_states([state(API)])
        self.board.looked(NOW)
        self.broken = False
        source = Source(self.board, no_days, Nothing(), self.clock, fallbacks=self.fallbacks)
        self.past = Counted()
        pages = StatusPages(source, self.board, self.past, self.clock)
        self.app = Starlette(routes=[*pages.routes()], middleware=pages.middleware())

    def fallbacks(self) -> tuple[Fallback, ...]:
        if self.broken:
            raise ValueError("what nobody thought of")
        return ()

    async def ask(
        self, path: str, query: str = "", method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        given = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        asked: dict[str, Any] = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "headers": given, "client": None, "scheme": "http",
            "server": ("127.0.0.1", 80), "root_path": "",
        }  # fmt: skip
        await self.app(asked, receive, send)
        found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], found, b"".join(one.get("body", b"") for one in sent)


LONG = "x" * 5000
ODD = (f"/status/{LONG}", f"/status/incidents/{LONG}", f"/api/v2/{LONG}",
       f"/status/a/api/v2/{LONG}", "/api/v2/", "/api/v2/../../etc/passwd",
       "/status/../x", "/status/\x00/feed.atom",
       "/status/incidents/\x00", "/status/%2e%2e/badge.png")  # fmt: skip


@pytest.mark.parametrize("path", ODD, ids=[one[:24] for one in ODD])
async def test_what_is_not_there_is_called_so_however_odd_it_is(path: str) -> None:
    status, _, body = await Pages().ask(path)
    assert status == 404
    assert body


async def test_each_encoding_has_a_tag_of_its_own() -> None:
    pages = Pages()
    _, plain, body = await pages.ask("/status")
    _, packed, small = await pages.ask("/status", accept_encoding="gzip")
    assert gzip.decompress(small) == body
    assert plain["etag"] != packed["etag"]
    assert "accept-encoding" in plain["vary"]
    status, _, _ = await pages.ask("/status", accept_encoding="gzip", if_none_match=packed["etag"])
    assert status == 304
    status, _, _ = await pages.ask("/status", if_none_match=packed["etag"])
    assert status == 200


async def test_the_mirror_s_document_is_made_once_and_can_be_asked_whether_it_changed() -> None:
    pages = Pages()
    _, headers, body = await pages.ask(PATH)
    assert unpack(body).at == NOW
    status, _, _ = await pages.ask(PATH, if_none_match=headers["etag"])
    assert status == 304


async def test_when_no_new_page_can_be_made_the_last_is_served_and_says_that_it_is_old() -> None:
    pages = Pages()
    assert (await pages.ask("/status"))[0] == 200
    pages.broken = True
    pages.clock.advance(AGE_S + 200)
    for path in ("/status", "/api/v2/summary.json", "/status/badge.svg"):
        status, _, body = await pages.ask(path)
        assert status == 200, path
    assert b"out of date" in body
    assert b'role="status" hidden' not in (await pages.ask("/status"))[2]


class Spoilt(Nothing):
    """A past with a row that nobody can read."""

    async def incidents(
        self, before_at: float = 1e11, limit: int = 50, provider: str | None = None
    ) -> list[Incident]:
        raise ValueError("what nobody thought of")


async def test_a_row_that_cannot_be_read_ends_no_keeping_up() -> None:
    board = Board()
    board.set_states([state(API)])
    source = Source(board, no_days, Spoilt(), ManualClock(NOW))
    await source.refresh()
    assert source.now().providers[0].provider == "anthropic"
