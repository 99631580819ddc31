"""Peers over HTTP: the door at POST /api/peers/observations, and the task that sends. Thin.

The client, aiohttp, is loaded when the task starts that sends, where there are peers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from yarl import URL

from outlast.clock import Clock
from outlast.config import Settings
from outlast.network import fault_of, tls_context
from outlast.nouns import Observation
from outlast.observatory.peer_outbox import Outbox
from outlast.observatory.peers import (
    BODY_LIMIT_BYTES,
    PATH,
    SIGNATURE,
    TIMESTAMP,
    Door,
    PeerProblem,
    PeerRefused,
    read_secrets,
    sign,
)
from outlast.observatory.report_http import Kept
from outlast.outcome import retry_after_s

if TYPE_CHECKING:
    import aiohttp

_log = structlog.get_logger(__name__)

READ_S = 10.0
NOT_KEPT_RETRY_S = 60.0
SEND_S = 15.0
ANSWER_LIMIT_BYTES = 16 << 10
SECRET_FILE_LIMIT_BYTES = 64 << 10


def secrets_of(settings: Settings) -> dict[str, bytes]:
    """Return the peers' secrets; empty where no peers are set. Raises PeerProblem, in words."""
    observatory = settings.observatory
    if not observatory.peers:
        return {}
    if not observatory.peer_secret_file:
        raise PeerProblem("`observatory.peers` needs a secret: name its file in peer_secret_file.")
    if not observatory.vantage:
        raise PeerProblem(
            "`observatory.peers` needs a name for this place, under which the peers know it: "
            "observatory.vantage."
        )
    file = settings.resolve(observatory.peer_secret_file)
    try:
        with file.open("rb") as opened:
            text = opened.read(SECRET_FILE_LIMIT_BYTES).decode("ascii")
    except UnicodeDecodeError as error:
        raise PeerProblem(f"{file} holds more than plain letters and signs.") from error
    except OSError as error:
        raise PeerProblem(f"{file} cannot be read: {error.strerror}.") from error
    return read_secrets(text, observatory.peers)


class PeerApi:
    """Takes peers' batches in. `keep` must not wait, and says what became of each (`keeper`)."""

    def __init__(self, door: Door, keep: Callable[[Observation], Kept], clock: Clock) -> None:
        self._door = door
        self._keep = keep
        self._clock = clock

    def routes(self) -> list[Route]:
        return [Route(PATH, self.observations, methods=["POST"])]

    async def observations(self, request: Request) -> Response:
        try:
            body = await _read(request)
            admitted = self._door.admit(request.headers, body, self._clock.wall())
        except PeerRefused as refused:
            return _refusal(refused)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        told = [(one.id, self._keep(one)) for one in admitted.observations]
        if lost := [ident for ident, kept in told if kept == "failed"]:
            # Not taken: the peer tells all of it again, and what we have by then is known.
            self._door.forget(lost)
            _log.warning("peer's observations not kept", peer=admitted.peer, count=len(lost))
            return _refusal(_not_kept(len(lost), len(told)))
        if admitted.unknown or admitted.stale:
            _log.info("peer said what cannot be used", peer=admitted.peer, **admitted.answer())
        return _json(200, admitted.answer())


def _not_kept(lost: int, of: int) -> PeerRefused:
    return PeerRefused(
        503,
        f"{lost} of {of} observations could not be kept: the disk of this service is full, or "
        "fails. Send the batch again later.",
        NOT_KEPT_RETRY_S,
    )


async def _read(request: Request) -> bytes:
    """The body. Raises PeerRefused beyond the limits of size and time, and ClientDisconnect."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT_BYTES:
                    break
    except TimeoutError as error:
        raise PeerRefused(408, f"The batch did not arrive within {READ_S:.0f} s.") from error
    return bytes(body)


def _refusal(refused: PeerRefused) -> Response:
    response = _json(refused.status, {"error": str(refused)})
    if refused.retry_after_s is not None:
        response.headers["retry-after"] = str(max(1, round(refused.retry_after_s)))
    if refused.status in {408, 413}:
        response.headers["connection"] = "close"  # the rest of the body is not read
    return response


def _json(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


class PeerSender:
    """Tells every peer what our probes see. `offer` never waits; `run` it in one task."""

    def __init__(self, settings: Settings, secrets: dict[str, bytes], clock: Clock) -> None:
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        vantage, now = settings.observatory.vantage, clock.monotonic()
        self.outboxes = {name: Outbox(vantage, now) for name in secrets}

    def offer(self, observation: Observation) -> None:
        """Give every peer one observation, if it is our own probes'."""
        for outbox in self.outboxes.values():
            outbox.offer(observation)

    async def run(self) -> None:
        """Send until cancelled; what waits then is lost, and the next probe says the same."""
        if not self.outboxes:
            return
        import aiohttp  # noqa: PLC0415 - see the module

        timeout = aiohttp.ClientTimeout(total=SEND_S)
        connector = aiohttp.TCPConnector(force_close=True, ssl=tls_context(self._settings))
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            for name in self.outboxes:
                group.create_task(self._serve(session, name))

    async def _serve(self, session: aiohttp.ClientSession, name: str) -> None:
        outbox = self.outboxes[name]
        while True:
            await asyncio.sleep(max(0.0, outbox.due_at - self._clock.monotonic()))
            await self.send(session, name)

    async def send(self, session: aiohttp.ClientSession, name: str) -> None:
        """Send one peer what is due. Raises nothing: it is tried again, or given up and logged."""
        outbox = self.outboxes[name]
        body = outbox.batch(self._clock.monotonic(), self._clock.wall())
        if body is None:
            return
        status, words, wait_s = await self._post(session, name, body)
        now = self._clock.monotonic()
        if 200 <= status < 300:
            outbox.taken(now)
        elif status in {400, 403, 409, 413}:
            outbox.refused(now)
            _log.warning("peer refused what our probes saw", peer=name, status=status, words=words)
        else:
            outbox.failed(now, wait_s)
            _log.warning(
                "peer not told", peer=name, status=status, words=words, waiting=len(outbox)
            )

    async def _post(
        self, session: aiohttp.ClientSession, name: str, body: bytes
    ) -> tuple[int, str, float | None]:
        """The status (0: none), what was said, and how long the peer asks to wait."""
        import aiohttp  # noqa: PLC0415 - see the module

        timestamp = str(int(self._clock.wall()))
        headers = {
            "content-type": "application/json",
            TIMESTAMP: timestamp,
            SIGNATURE: sign(self._secrets[name], timestamp, body),
            "user-agent": "outlast-peer",
        }
        try:
            async with session.post(
                _url(self._settings.observatory.peers[name]),
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                said = await response.content.read(ANSWER_LIMIT_BYTES)
                lower = {key.lower(): value for key, value in response.headers.items()}
                return response.status, _words(said), retry_after_s(lower, self._clock.wall())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return 0, fault_of(error).kind, None


def _url(address: str) -> URL:
    path = urlsplit(address).path.rstrip("/")
    return URL(address).with_path(path + PATH)


def _words(body: bytes) -> str:
    """Why a peer refused, in its own words, cut short."""
    unreadable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError)
    with contextlib.suppress(*unreadable):
        said = msgspec.json.decode(body).get("error", "")
        return "".join(char for char in str(said)[:300] if char.isprintable())
    return ""
