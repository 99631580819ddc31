"""One question over real HTTP, and what the client sees of the answer with its own eyes.

It reads streams with a few lines of its own, not with Outlast's reader: a judge shares no code
with what it judges. The only sign that an answer is whole is the one that its format has for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from outlast.demo.questions import Question

LINE_LIMIT_BYTES = 1 << 20
TEXT_LIMIT_CHARS = 100_000
RETRIES = 2
"""What the official libraries do by themselves, before an answer has begun (`max_retries`)."""
RETRY_FIRST_S = 0.5
_RETRIED = {408, 409, 429}


@dataclass
class Seen:
    """An answer as it grows in the client's hands."""

    text: str = ""
    request_id: str = ""
    served_by: str = ""
    """Upstream, as Outlast's headers (and its marks in the stream) say."""
    status: int = 0
    stopped: bool = False
    """The format's own reason to stop was read."""
    done: bool = False
    """The format's last word was read."""
    failure: str = ""
    """Empty while all is well; else `status 529`, `cut`, … (texts.py, `failure_*`)."""
    expected: str = ""
    local: bool = False

    @property
    def share(self) -> float:
        return min(1.0, len(self.text) / len(self.expected)) if self.expected else 0.0


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


def judge(seen: Seen) -> None:
    """Fill in `failure` by what was read: the end must be there, the text must be the truth."""
    if seen.failure:
        return
    if not (seen.stopped and seen.done):
        seen.failure = "unfinished"
    elif seen.local:
        # The small model says what it likes; an answer without a word would be none.
        seen.failure = "" if seen.text.strip() else "other_text"
    elif seen.text != seen.expected:
        seen.failure = "other_text"


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


def take(data: bytes, seen: Seen) -> None:
    """Take in the data of one event, of either format."""
    if data == b"[DONE]":
        seen.done = True
        return
    try:
        event = msgspec.json.decode(data)
    except msgspec.DecodeError:
        seen.failure = "stream_error"
        return
    if not isinstance(event, dict):
        return
    _mark(event.get("outlast"), seen)
    if "error" in event:
        seen.failure = "stream_error"
    match event.get("type"):
        case "content_block_delta":
            seen.text += str(event["delta"].get("text", ""))
        case "message_delta":
            seen.stopped = bool(event["delta"].get("stop_reason"))
        case "message_stop":
            seen.done = True
        case _:
            for choice in event.get("choices") or ():
                seen.text += str((choice.get("delta") or {}).get("content") or "")
                seen.stopped = seen.stopped or bool(choice.get("finish_reason"))


def _mark(truth: Any, seen: Seen) -> None:
    """Outlast says in the stream who went on with an answer."""
    if isinstance(truth, dict) and truth.get("to"):
        seen.served_by = str(truth["to"]).partition("/")[0]
