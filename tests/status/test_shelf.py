"""What is ready goes out at once, and never past its time, to the wrong reader or without end."""

from __future__ import annotations

import gzip

import pytest
from starlette.responses import Response

from outlast.clock import ManualClock
from outlast.status.shelf import AGE_S, READY_MAX, Shelf, wishes
from tests.status.machine_house import API, NOW, state
from tests.status.test_http import Pages

ENTRY = "/status/incidents/inc_of_last_year"


class Spied(Pages):
    """Pages whose making is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        inner = self.app.router.app

        async def counted(scope: object, receive: object, send: object) -> None:
            self.made += 1
            await inner(scope, receive, send)  # type: ignore[arg-type]

        self.app.router.middleware_stack = counted


@pytest.mark.parametrize("path", ["/status", "/status/anthropic", "/api/v2/summary.json"])
async def test_the_second_reader_is_answered_before_any_route(path: str) -> None:
    pages = Spied()
    first = await pages.ask(path)
    again = [await pages.ask(path) for _ in range(50)]
    assert again == [first] * 50
    assert pages.made == 1


async def test_it_is_made_anew_when_something_changed_or_time_went_by() -> None:
    pages = Spied()
    await pages.ask("/status")
    pages.board.set_states([state(API)])
    await pages.ask("/status")
    assert pages.made == 2
    pages.clock.advance(AGE_S - 0.1)
    await pages.ask("/status")
    assert pages.made == 2
    pages.clock.advance(0.2)
    await pages.ask("/status")
    assert pages.made == 3


async def test_each_language_and_each_encoding_gets_its_own() -> None:
    pages = Spied()
    for _ in range(2):
        for accepted, lang in (("fr-CA, en;q=0.3", "fr"), ("de, en;q=0.3", "en")):
            _, headers, body = await pages.ask("/status", accept_language=accepted)
            assert headers["content-language"] == lang
            assert f'lang="{lang}"' in body.decode()
        _, headers, body = await pages.ask("/status", "lang=fr", accept_language="en")
        assert headers["content-language"] == "fr"
        _, headers, packed = await pages.ask("/status", accept_encoding="br, gzip")
        assert headers["content-encoding"] == "gzip"
        assert b'lang="en"' in gzip.decompress(packed)
        _, headers, plain = await pages.ask("/status", accept_encoding="gzip;q=0, identity")
        assert "content-encoding" not in headers
        assert b"<!doctype html>" in plain
    assert pages.made == 4


async def test_who_has_it_already_is_told_so_and_sent_nothing() -> None:
    pages = Spied()
    _, headers, _ = await pages.ask("/status", accept_encoding="gzip")
    for _ in range(2):
        status, told, body = await pages.ask(
            "/status", accept_encoding="gzip", if_none_match=f'W/"x", {headers["etag"]}'
        )
        assert (status, body) == (304, b"")
        assert told["etag"] == headers["etag"]
        assert "content-encoding" not in told
        assert "content-length" not in told
    assert pages.made == 1


async def test_thanks_for_a_report_are_kept_for_nobody() -> None:
    pages = Spied()
    for _ in range(2):
        _, headers, _ = await pages.ask("/status", "reported=counted")
        assert headers["cache-control"] == "no-store"
    assert pages.made == 2


async def test_what_is_not_there_and_what_is_sent_are_never_answered_from_it() -> None:
    pages = Spied()
    for _ in range(2):
        assert (await pages.ask("/status/nobody"))[0] == 404
    await pages.ask("/status")
    assert (await pages.ask("/status", method="POST"))[0] == 405
    assert pages.made == 4


async def test_a_view_asks_the_database_nothing_and_an_old_incident_once_in_a_while() -> None:
    pages = Spied()
    for _ in range(20):
        await pages.ask("/status")
        await pages.ask("/status/history", "month=2026-02")
    assert pages.past.asked == 0
    for _ in range(20):
        await pages.ask(ENTRY)
    assert pages.past.asked == 1


def test_odd_addresses_do_not_fill_the_memory() -> None:
    clock = ManualClock(NOW)
    shelf = Shelf(lambda: (0, 0), clock.wall)
    for number in range(READY_MAX * 3):
        asked = {"type": "http", "method": "GET", "path": "/status", "headers": [],
                 "query_string": f"x={number}".encode()}  # fmt: skip
        shelf.put(asked, Response("page", headers={"etag": '"1"'}), (0, 0), NOW)
        assert shelf.find(asked) is not None
    assert len(shelf) <= READY_MAX
    asked["query_string"] = b"x" * 5000
    shelf.put(asked, Response("page", headers={"etag": '"1"'}), (0, 0), NOW)
    assert shelf.find(asked) is None


def test_a_clock_that_was_set_back_serves_nothing_from_the_future() -> None:
    clock = ManualClock(NOW)
    shelf = Shelf(lambda: (0, 0), clock.wall)
    asked = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    shelf.put(asked, Response("page", headers={"etag": '"1"'}), (0, 0), NOW + 3600)
    assert shelf.find(asked) is None


def test_wishes_are_read_from_a_browser_s_head() -> None:
    found = wishes([(b"accept-encoding", b"gzip, deflate, br"), (b"accept-language", b"fr-FR,fr")])
    assert (found.lang, found.packed, found.known) == ("fr", True, b"")
