"""What operators' endpoints share: reading a bounded body, and answering in JSON. Thin."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from outlast.observatory.operator_gate import Denied, Gate

BODY_READ_S = 15.0
T = TypeVar("T")


class Problem(Exception):
    """An answer that says what is wrong: status, and a sentence in both languages."""

    def __init__(
        self, status: int, english: str, french: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(english)
        self.status = status
        self.headers = headers or {}
        self.words = {"en": english, "fr": french or english}


async def body(request: Request, limit_bytes: int) -> bytes:
    """Raises Problem for what is too long, too slow or cut."""
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_READ_S):
            async for chunk in request.stream():
                found += chunk
                if len(found) > limit_bytes:
                    raise Problem(
                        413,
                        f"The body is longer than {limit_bytes} bytes.",
                        f"Le corps dépasse {limit_bytes} octets.",
                    )
    except TimeoutError as error:
        raise Problem(
            408,
            f"The body did not arrive within {BODY_READ_S:.0f} s. Send it again.",
            f"Le corps n'est pas arrivé en {BODY_READ_S:.0f} s. Renvoyez-le.",
        ) from error
    except ClientDisconnect as error:
        raise Problem(
            400, "The body ended too early.", "Le corps s'est arrêté trop tôt."
        ) from error
    return bytes(found)


async def asked(request: Request, kind: type[T], limit_bytes: int) -> T:
    """The JSON body as `kind`. Raises Problem."""
    try:
        return msgspec.json.decode(await body(request, limit_bytes), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = str(error)[:300]
        raise Problem(
            400, f"The body cannot be read: {why}", f"Le corps est illisible\u00a0: {why}"
        ) from error


async def who(request: Request, gate: Gate) -> str:
    """The operator's name. Default deny: without the token nobody is one. Raises Problem."""
    try:
        return await gate.who(request)
    except Denied as denied:
        raise Problem(
            denied.status, denied.words["en"], denied.words["fr"], denied.headers
        ) from denied


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    more = {"access-control-allow-origin": "*", "cache-control": "no-cache"} | (headers or {})
    return Response(msgspec.json.encode(value), status, headers=more, media_type="application/json")


def refusal(problem: Problem) -> Response:
    headers = dict(problem.headers)
    if problem.status in {408, 413}:
        headers["connection"] = "close"  # the rest of the body is not read
    return answer({"error": {"message": str(problem)}}, problem.status, headers)
