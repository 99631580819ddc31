"""One guarded GET, against real servers on this machine."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from outlast.observatory.addresses import Rules
from outlast.observatory.fetched import FetchFailed
from outlast.observatory.fetching import Fetcher
from outlast.simulator import certificate
from tests.observatory.pages import raw_server, status_page

OWN = Rules(private=True, plain=True)
FETCHER = Fetcher(OWN)


class Names(AbstractResolver):
    """A resolver that answers as it is told, another time with the next answer."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {"hostname": host, "host": one, "port": port, "family": 2, "proto": 0, "flags": 0}
            for one in addresses
        ]

    async def close(self) -> None: ...


async def fails(url: str, fetcher: Fetcher = FETCHER, **limits: float) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        await fetcher.fetch(url, **limits)  # type: ignore[arg-type]
    return caught.value


async def test_a_document_comes_with_its_validators_and_is_asked_for_by_them() -> None:
    async with status_page() as page:
        page.body = b"[]"
        first = await FETCHER.fetch(page.url)
        assert (first.status, first.body) == (200, b"[]")
        again = await FETCHER.fetch(page.url, etag=first.etag, last_modified=first.last_modified)
        assert (again.status, again.body) == (304, b"")
        page.body = b"[1]"
        assert (await FETCHER.fetch(page.url, etag=first.etag)).body == b"[1]"


async def test_nothing_of_ours_goes_out() -> None:
    async with status_page() as page:
        page.headers["Set-Cookie"] = "a=b"
        await FETCHER.fetch(page.url)
        await FETCHER.fetch(page.url)
        for asked in page.asked:
            assert {"Cookie", "Authorization", "Referer"}.isdisjoint(asked.headers)


async def test_a_packed_document_is_unpacked() -> None:
    async with status_page() as page:
        page.body, page.packed = b"[]" * 1000, True
        assert (await FETCHER.fetch(page.url)).body == b"[]" * 1000


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused() -> None:
    async with status_page() as page:
        page.body, page.packed = b"x" * 3_000_000, True
        failed = await fails(page.url, limit_bytes=100_000)
    assert (failed.kind, str(failed)) == ("garbage", "a body of more than 97 KiB")


@pytest.mark.parametrize("size", [1000, 1001], ids=["at the limit", "one beyond"])
async def test_the_limit_holds_to_the_byte(size: int) -> None:
    async with status_page() as page:
        page.body = b"x" * size
        if size == 1000:
            assert len((await FETCHER.fetch(page.url, limit_bytes=1000)).body) == 1000
        else:
            assert (await fails(page.url, limit_bytes=1000)).kind == "garbage"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("br", b"x"), ("gzip", b"no gzip at all"), ("gzip", gzip.compress(b"x" * 99)[:-9])],
    ids=["not asked for", "not what it says", "the end is missing"],
)
async def test_a_packing_that_is_wrong_is_garbage(encoding: str, body: bytes) -> None:
    async with status_page() as page:
        page.body, page.headers = body, {"Content-Encoding": encoding}
        assert (await fails(page.url)).kind == "garbage"


async def test_a_packed_body_that_never_ends_is_left_at_its_end() -> None:
    """Nothing behind the end counts towards the limit of what is unpacked: it would fill memory."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    async with raw_server(head + gzip.compress(b"[]") + b"x" * 300_000, close=False) as url:
        failed = await fails(url)
    assert (failed.kind, str(failed)) == ("garbage", "a body that goes on after its end")


@pytest.mark.parametrize("status", [401, 403, 404, 405, 500, 503])
async def test_another_status_is_an_answer_without_a_body(status: int) -> None:
    async with status_page() as page:
        page.body, page.statuses = b"secret", [status]
        found = await FETCHER.fetch(page.url)
        assert (found.status, found.body) == (status, b"")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "Mon, 02 Mar 2026 12:01:00 GMT", "Date": "Mon, 02 Mar 2026 12:00:00 GMT"},
         60.0),
        ({"Retry-After": "Mon, 02 Mar 2026 11:00:00 GMT", "Date": "Mon, 02 Mar 2026 12:00:00 GMT"},
         0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "99999999999"}, None),
        ({}, None),
    ],
    ids=["seconds", "a date", "a date in the past", "a word", "too long", "nothing"],
)  # fmt: skip
async def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    async with status_page() as page:
        page.statuses, page.headers = [429], headers
        assert (await FETCHER.fetch(page.url)).retry_after_s == seconds


async def test_up_to_three_redirects_are_followed() -> None:
    async with status_page() as page:
        page.body, page.redirects = b"[]", ["/a", "/b", "/c"]
        found = await FETCHER.fetch(page.url)
        assert found.url.endswith("/c")
        page.redirects = ["/a", "/b", "/c", "/d"]
        failed = await fails(page.url)
    assert (failed.kind, str(failed)) == ("garbage", "more than 3 redirects")


async def test_a_redirect_to_the_metadata_service_is_not_followed() -> None:
    async with status_page() as page:
        page.redirects = ["http://169.254.169.254/latest/meta-data/"]
        failed = await fails(page.url)
        assert len(page.asked) == 1
    assert failed.kind == "refused"


async def test_by_default_this_machine_is_not_reached_whatever_it_is_called() -> None:
    async with status_page() as page:
        strict = Fetcher(Rules(plain=True))
        assert (await fails(page.url, strict)).kind == "refused"
        port = page.url.split(":")[2].split("/")[0]
        for addresses in (["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["169.254.169.254"]):
            named = Fetcher(Rules(plain=True), resolver=Names(addresses))
            failed = await fails(f"http://feed.example:{port}/", named)
            assert failed.kind == "refused"
            assert "feed.example leads to" in str(failed)
        assert page.asked == []


async def test_a_name_that_answers_otherwise_the_second_time_changes_nothing() -> None:
    """DNS rebinding: the connection goes to what was checked, and a redirect is checked anew."""
    async with status_page() as page:
        page.body = b"[]"
        port = page.url.split(":")[2].split("/")[0]
        names = Names(["127.0.0.1"], ["169.254.169.254"])
        found = await Fetcher(OWN, resolver=names).fetch(f"http://feed.example:{port}/")
        assert found.body == b"[]"
        names = Names(["127.0.0.1"], ["169.254.169.254"])
        page.redirects = [f"http://feed.example:{port}/again"]
        failed = await fails(f"http://feed.example:{port}/", Fetcher(OWN, resolver=names))
        assert failed.kind == "refused"
        assert len(page.asked) == 2


async def test_names_from_outside_are_looked_up_in_threads_that_our_own_do_not_wait_for() -> None:
    """A name whose server never answers holds a thread; the loop's look up our upstreams."""
    loop, go_on = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    held = loop.run_in_executor(None, go_on.wait, 30)
    try:
        async with asyncio.timeout(10), status_page() as page:
            page.body = b"[]"
            named = page.url.replace("127.0.0.1", "localhost")
            assert (await FETCHER.fetch(named)).body == b"[]"
    finally:
        go_on.set()
        await held


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "broke off"),
        (b"hello\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "broke off"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", "no HTTP"),
    ],
    ids=["silence", "no http", "half a body", "an endless header"],
)
async def test_an_answer_that_is_none_is_silence_in_words(answer: bytes, says: str) -> None:
    async with raw_server(answer) as url:
        failed = await fails(url)
    assert failed.kind == "silent"
    assert says in str(failed)


async def test_a_server_that_says_nothing_is_left_after_the_time() -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Le", close=False) as url:
        failed = await fails(url, timeout_s=0.05)
    assert (failed.kind, str(failed)) == ("silent", "no answer within 0.05 s")


async def test_a_port_nobody_listens_on_is_silence() -> None:
    async with raw_server(b"") as url:
        pass
    failed = await fails(url)
    assert (failed.kind, str(failed)) == ("silent", "it cannot be reached")


async def test_a_certificate_that_is_not_trusted_is_silence_and_a_trusted_one_is_not(
    tmp_path: Path,
) -> None:
    server, authority = await certificate.make(tmp_path)
    async with status_page(server) as page:
        page.body = b"[]"
        failed = await fails(page.url)
        assert (failed.kind, str(failed)) == ("silent", "its certificate is not valid")
        trusting = Fetcher(OWN, tls=ssl.create_default_context(cafile=str(authority)))
        assert (await trusting.fetch(page.url)).body == b"[]"


async def test_tls_that_breaks_off_is_silence() -> None:
    async with raw_server(certificate.HANDSHAKE_FAILURE) as url:
        assert (await fails(url.replace("http:", "https:"))).kind == "silent"
