"""One guarded GET: a document of a vendor's page, with its validators, within limits of everything.

Nothing of ours goes out but what it takes: no cookies, no credentials, no referrer, no proxy of the
environment.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from outlast.observatory.addresses import STRICT, Forbidden, Rules, check_url, next_url
from outlast.observatory.feeds.when import when
from outlast.observatory.fetched import Fetched, FetchFailed
from outlast.observatory.guard import forbidden_behind, guarded_connector

REDIRECTS_LIMIT = 3
HEAD_LIMIT_BYTES = 32 << 10
VALIDATOR_LIMIT_CHARS = 500
USER_AGENT = "outlast (reads public status pages)"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Fetcher:
    """Fetches documents. One object can be used by many tasks; it holds no connection."""

    def __init__(
        self,
        rules: Rules = STRICT,
        *,
        tls: ssl.SSLContext | bool = True,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._rules = rules
        self._tls = tls
        self._resolver = resolver

    async def fetch(
        self,
        url: str,
        *,
        etag: str = "",
        last_modified: str = "",
        limit_bytes: int = 8 << 20,
        timeout_s: float = 20.0,
    ) -> Fetched:
        """GET `url`, following at most three redirects. Raises FetchFailed.

        `timeout_s` holds for everything together, `limit_bytes` for the body unpacked.
        """
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip"}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        try:
            async with asyncio.timeout(timeout_s), self._session() as session:
                return await self._follow(
                    session, check_url(url, self._rules), headers, limit_bytes
                )
        except Forbidden as refused:
            raise FetchFailed("refused", str(refused)) from refused
        except TimeoutError as error:
            raise FetchFailed("silent", f"no answer within {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if refusal := forbidden_behind(error):
                raise FetchFailed("refused", str(refusal)) from error
            raise FetchFailed("silent", _in_words(error)) from error

    async def _follow(
        self, session: aiohttp.ClientSession, url: URL, headers: dict[str, str], limit_bytes: int
    ) -> Fetched:
        for _ in range(REDIRECTS_LIMIT + 1):
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                location = response.headers.get("Location", "")
                if response.status in _REDIRECTS and location:
                    url = next_url(url, location, self._rules)
                    continue
                body = b""
                if response.status == 200:
                    body = await _body(response, limit_bytes)
                return Fetched(
                    status=response.status,
                    body=body,
                    etag=_header(response, "ETag"),
                    last_modified=_header(response, "Last-Modified"),
                    retry_after_s=_retry_after_s(response),
                    url=str(url),
                )
        raise FetchFailed("garbage", f"more than {REDIRECTS_LIMIT} redirects")

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=guarded_connector(self._rules, tls=self._tls, resolver=self._resolver),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            max_line_size=HEAD_LIMIT_BYTES,
            max_field_size=HEAD_LIMIT_BYTES,
        )


async def _body(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """Read and unpack within the limit. Raises FetchFailed.

    We ask for gzip alone and unpack it ourselves, so that a small body cannot become a large one.
    What comes after its end is refused at once: zlib would keep all of it in memory.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise FetchFailed("garbage", f"an encoding that was not asked for: {encoding[:20]!r}")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in encoding else None
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(64 << 10):
        try:
            part = unpack.decompress(chunk, limit_bytes - size + 1) if unpack else chunk
        except zlib.error as error:
            raise FetchFailed("garbage", "a body that cannot be unpacked") from error
        if unpack is not None and unpack.unused_data:
            raise FetchFailed("garbage", "a body that goes on after its end")
        size += len(part)
        if size > limit_bytes:
            raise FetchFailed("garbage", f"a body of more than {limit_bytes >> 10} KiB")
        parts.append(part)
    if unpack is not None and not unpack.eof:
        raise FetchFailed("garbage", "a body that ends in the middle")
    return b"".join(parts)


def _header(response: aiohttp.ClientResponse, name: str) -> str:
    """Return a validator that may be sent back; empty for what is no clean header."""
    value = response.headers.get(name, "").strip()
    return value if len(value) <= VALIDATOR_LIMIT_CHARS and value.isprintable() else ""


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3), which is read by the server's own clock."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    until, sent = when(value), when(response.headers.get("Date", ""))
    return max(0.0, until - sent) if until is not None and sent is not None else None


def _in_words(error: BaseException) -> str:
    """Return what happened without addresses: an operator reads it, and perhaps everyone."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not valid"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorError():
            return "it cannot be reached"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "the connection broke off"
        case aiohttp.ClientOSError():
            return "the connection broke off"
        case _:
            return f"an answer that is no HTTP ({type(error).__name__})"
