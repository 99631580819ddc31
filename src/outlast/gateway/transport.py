"""How bytes get to an upstream and back: one seam, `Transport.open`, over a well-kept client.

What can go wrong on a network becomes a `NetworkFault` with one of outcome.py's kinds. Redirects
are never followed, proxies and cookies of the environment never used, bodies never decompressed.

The client is aiohttp. It is loaded when an HttpTransport is made, at the start, and not by those
who know this seam and ask in another way (gateway/relay/): it takes 9 MB.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from yarl import URL

from outlast.config import Settings, UpstreamSettings
from outlast.gateway.asked import Prepared
from outlast.network import fault_of, tls_context
from outlast.nouns import Candidate, Kind
from outlast.outcome import Fault

if TYPE_CHECKING:
    import aiohttp

HEAD_LIMIT_BYTES = 64 << 10


class NetworkFault(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.kind)
        self.fault = fault


class Answer(Protocol):
    """An upstream's answer, its head here and its body to come. `close` is always called."""

    status: int
    headers: dict[str, str]

    def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes as they arrive. Raises NetworkFault where the connection breaks."""

    def close(self) -> None:
        """Done, or not wanted any more: an unfinished body aborts the connection."""


class Transport(Protocol):
    async def open(self, prepared: Prepared) -> Answer:
        """Send the call and return when the head is here. Raises NetworkFault."""

    async def warm(self, candidate: Candidate) -> None:
        """Get a connection ready; never raises, may do nothing."""

    async def close(self) -> None: ...


class HttpTransport:
    """Upstreams over HTTP/1.1 with aiohttp; one pool for each set of TLS settings."""

    def __init__(self, settings: Settings) -> None:
        import aiohttp  # noqa: F401, PLC0415 - see the module

        self._settings = settings
        self._sessions: dict[tuple[str, bool], aiohttp.ClientSession] = {}

    async def open(self, prepared: Prepared) -> Answer:
        upstream = self._settings.upstreams[prepared.candidate.upstream]
        parts = urlsplit(upstream.base_url)
        url = URL(f"{parts.scheme}://{parts.netloc}{prepared.path}", encoded=True)
        return await self._send(upstream, "POST", url, prepared.headers, prepared.body)

    async def get(self, name: str, path: str, headers: dict[str, str]) -> Answer:
        """Ask an upstream for `path`, as the calls do, with its key. Raises NetworkFault."""
        upstream = self._settings.upstreams[name]
        parts = urlsplit(upstream.base_url)
        url = URL(f"{parts.scheme}://{parts.netloc}{path}", encoded=True)
        return await self._send(upstream, "GET", url, headers, None)

    async def _send(
        self,
        upstream: UpstreamSettings,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: bytes | None,
    ) -> Answer:
        import aiohttp  # noqa: PLC0415 - see the module

        # The exchange keeps the time of the answer; only the connection is timed here.
        connect_s = self._settings.timeouts_of(upstream.name).connect_s
        timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)
        while True:
            reused = _Reused()
            try:
                response = await self._session(upstream).request(
                    method,
                    url,
                    data=body,
                    headers=headers | credential_headers(upstream),
                    timeout=timeout,
                    allow_redirects=False,
                    trace_request_ctx=reused,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # A kept-alive connection that the server had closed meanwhile says nothing about
                # the upstream; the pool is drained of such ones until a new one is made.
                if reused.value:
                    continue
                raise NetworkFault(fault_of(error)) from error
            except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
                raise NetworkFault(fault_of(error)) from error
            return HttpAnswer(response)

    async def warm(self, candidate: Candidate) -> None:
        """Resolve, connect and shake hands now: a HEAD leaves its connection in the pool."""
        import aiohttp  # noqa: PLC0415 - see the module

        upstream = self._settings.upstreams.get(candidate.upstream)
        if upstream is None:
            return
        timeout = aiohttp.ClientTimeout(total=self._settings.timeouts_of(upstream.name).connect_s)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with self._session(upstream).head(
                upstream.base_url, timeout=timeout, allow_redirects=False
            ):
                pass

    def reconfigure(self, settings: Settings) -> None:
        """Take new settings; connections under way end as they are."""
        self._settings = settings

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def _session(self, upstream: UpstreamSettings) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 - see the module

        key = (upstream.ca_file, upstream.verify)
        session = self._sessions.get(key)
        if session is None:
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=30, ssl=self._tls(upstream), ttl_dns_cache=60
            )
            session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                read_bufsize=1 << 18,
                max_line_size=HEAD_LIMIT_BYTES,
                max_field_size=HEAD_LIMIT_BYTES,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
                trace_configs=[_watch_reuse()],
            )
            self._sessions[key] = session
        return session

    def _tls(self, upstream: UpstreamSettings) -> ssl.SSLContext | bool:
        if not upstream.verify:
            return False
        return tls_context(self._settings, upstream) if upstream.ca_file else True


class _Reused:
    """Whether a request went out on a kept-alive connection."""

    def __init__(self) -> None:
        self.value = False


def _watch_reuse() -> aiohttp.TraceConfig:
    import aiohttp  # noqa: PLC0415 - see the module

    async def on_reuse(
        _: aiohttp.ClientSession,
        context: SimpleNamespace,
        __: aiohttp.TraceConnectionReuseconnParams,
    ) -> None:
        context.trace_request_ctx.value = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(on_reuse)
    return config


class HttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        import aiohttp  # noqa: PLC0415 - see the module

        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise NetworkFault(fault_of(error)) from error

    def close(self) -> None:
        # Returns a finished connection to the pool and aborts an unfinished one.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def credential_headers(upstream: UpstreamSettings) -> dict[str, str]:
    """Return the headers that carry the upstream's key, as its kind wants them."""
    if upstream.key is None:
        return {}
    if upstream.kind is Kind.ANTHROPIC:
        return {"x-api-key": upstream.key.reveal()}
    return {"authorization": f"Bearer {upstream.key.reveal()}"}


def is_remote(upstream: UpstreamSettings) -> bool:
    """Whether reaching it says something about our network: not for this machine's own ports."""
    return upstream.kind is not Kind.LOCAL and not _on_this_machine(upstream.base_url)


@lru_cache(maxsize=256)
def _on_this_machine(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
