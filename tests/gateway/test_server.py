"""The older way's connection: what it refuses before anything is asked."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from outlast.gateway.server import protocol_class
from tests.gateway.relay.wire import Socket, no_app

pytestmark = pytest.mark.asyncio

HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n"
HIDDEN = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"


def connected() -> tuple[HttpToolsProtocol, Socket]:
    config = Config(no_app, lifespan="off", ws="none", log_config=None, access_log=False)
    config.load()
    connection = protocol_class(4096, 10)(config, ServerState(), {})
    socket = Socket()
    connection.connection_made(socket)
    return connection, socket


@pytest.mark.parametrize(
    "framed",
    [
        b"content-length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
        b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_the_body_of_a_wish_for_another_protocol_is_never_a_request(
    framed: bytes, together: bool
) -> None:
    connection, socket = connected()
    head, _, body = (HEAD + framed).partition(b"\r\n\r\n")
    pieces = [HEAD + framed] if together else [head + b"\r\n\r\n", body]
    for piece in pieces:
        if not socket.closing:
            connection.data_received(piece)
    await asyncio.gather(*connection.tasks)
    assert socket.sent.startswith(b"HTTP/1.1 400 ")
    assert socket.sent.count(b"HTTP/1.1 ") == 1
    assert socket.closing
    connection.connection_lost(None)


async def test_a_wish_for_another_protocol_without_a_body_is_passed_over() -> None:
    connection, socket = connected()
    connection.data_received(HEAD + b"content-length: 0\r\n\r\n")
    await asyncio.gather(*connection.tasks)
    assert socket.sent.startswith(b"HTTP/1.1 404 ")
    connection.connection_lost(None)
