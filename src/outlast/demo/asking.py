"""One question over real HTTP, asked as the official libraries ask."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
import msgspec

from outlast.demo.questions import Question
from outlast.demo.seen import Seen, take

LINE_LIMIT_BYTES = 1 << 20
TEXT_LIMIT_CHARS = 100_000
RETRIES = 2
"""What the official libraries do by themselves, before an answer has begun (`max_retries`)."""
RETRY_FIRST_S = 0.5
_RETRIED = {408, 409, 429}


@dataclass(frozen=True)
class Place:
    """Where to ask."""

    url: str
    key: str
    silence_s: float
    """Longest silence that the client bears."""


async def ask(session: aiohttp.ClientSession, place: Place, question: Question, seen: Seen) -> None:
    """Ask once and read to the end. How it went is in `seen`; network errors do not come out."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=place.silence_s, sock_read=place.silence_s
    )
    headers = {"content-type": "application/json"}
    if question.surface == "messages":
        headers |= {"x-api-key": place.key, "anthropic-version": "2023-06-01"}
    else:
        headers |= {"authorization": f"Bearer {place.key}"}
    try:
        async with session.post(
            place.url + question.path,
            data=msgspec.json.encode(question.body),
            headers=headers,
            timeout=timeout,
        ) as response:
            seen.status = response.status
            seen.request_id = response.headers.get("outlast-request-id", "")
            seen.served_by = response.headers.get("outlast-served-by", "")
            if response.status != 200:
                seen.failure = f"status {response.status}"
                return
            await _read(response, seen)
    except TimeoutError:
        seen.failure = "silent"
    except aiohttp.ClientConnectorError:
        seen.failure = "unreachable"
    except (aiohttp.ClientError, OSError):
        # An error that was told in the stream says more than the torn connection after it.
        seen.failure = seen.failure or ("cut" if seen.status else "unreachable")


async def ask_with_retries(
    session: aiohttp.ClientSession, place: Place, question: Question, seen: Seen, *, speed: float
) -> None:
    """Ask as an official library does: twice more where nothing of an answer had begun."""
    for retry in range(RETRIES + 1):
        seen.status, seen.text, seen.failure = 0, "", ""
        await ask(session, place, question, seen)
        if retry == RETRIES or not _worth_another(seen):
            return
        await asyncio.sleep(RETRY_FIRST_S * 2**retry / speed)


def _worth_another(seen: Seen) -> bool:
    if seen.failure == "unreachable":
        return True
    return seen.failure.startswith("status") and (seen.status in _RETRIED or seen.status >= 500)


async def _read(response: aiohttp.ClientResponse, seen: Seen) -> None:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                take(line[5:].strip(), seen)
        if len(rest) > LINE_LIMIT_BYTES or len(seen.text) > TEXT_LIMIT_CHARS:
            seen.failure = "other_text"
            return
