"""A vendor's status page on 127.0.0.1 that behaves as it is told, and remembers who asked what."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class StatusPage:
    """Serves `body` under any path, with an ETag; what it is told otherwise goes first."""

    def __init__(self) -> None:
        self.body = b""
        self.statuses: list[int] = []
        """Statuses of the next answers; 200 or 304 when it is empty."""
        self.headers: dict[str, str] = {}
        """Of every answer, in addition."""
        self.redirects: list[str] = []
        self.packed = False
        self.validators = True
        self.asked: list[web.Request] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.redirects:
            return web.Response(status=302, headers={"Location": self.redirects.pop(0)})
        status = self.statuses.pop(0) if self.statuses else 200
        headers = dict(self.headers)
        etag = f'"{hash(self.body)}"'
        if self.validators:
            headers["ETag"] = etag
            headers["Last-Modified"] = "Mon, 02 Mar 2026 12:00:00 GMT"
            if status == 200 and request.headers.get("If-None-Match") == etag:
                return web.Response(status=304, headers=headers)
        body = gzip.compress(self.body) if self.packed else self.body
        if self.packed:
            headers["Content-Encoding"] = "gzip"
        return web.Response(status=status, body=body, headers=headers)


@asynccontextmanager
async def status_page(tls: ssl.SSLContext | None = None) -> AsyncIterator[StatusPage]:
    page = StatusPage()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    page.url = f"{'https' if tls else 'http'}://{host}:{port}/api/v2/summary.json"
    try:
        yield page
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(answer: bytes, *, close: bool = True) -> AsyncIterator[str]:
    """Answers every connection with these bytes, whatever was asked; yields its http address."""
    held: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read(64)
        writer.write(answer)
        if close:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/summary.json"
    finally:
        server.close()
        for writer in held:
            writer.close()
        await server.wait_closed()
