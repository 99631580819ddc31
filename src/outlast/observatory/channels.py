"""How a message leaves: the way of every channel, and those that are a POST: webhooks and Slack.

A channel says what became of a message and never guesses: `Refused` only where the other side
cannot have it, `Unknown` where it may. Addresses, secrets and answers' texts are in no log.

Webhooks are signed (notify_signing.py). Any answer but 2xx is a refusal, whoever gave it, as
Standard Webhooks has it; the id stays the same at each try, so a receiver can tell. A chat has no
such id: there, a gateway's 502 or 504 leaves open whether the message was posted, and it is not
sent again.

The client, aiohttp, takes 9 MB, and most services tell nobody. It is loaded when the first message
leaves, or before, where somebody waits for messages (`Channel.load`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec
from yarl import URL

from outlast.observatory import notify_signing as signing
from outlast.observatory.addresses import Rules
from outlast.observatory.notify_texts import (
    Links,
    chat,
    confirm_link,
    leave_link,
    manage_link,
    payload,
)
from outlast.observatory.notifying import Parcel, Refused, Result, Sent, Unknown

if TYPE_CHECKING:
    import aiohttp

POST_S = 10.0
"""For a whole POST, answer included."""
CONNECT_S = 5.0
ANSWER_LIMIT_BYTES = 64 << 10
"""An answer's body says nothing to us; so much of it is read to end the connection in order."""
RETRY_AFTER_LIMIT_CHARS = 10
TEXT_LIMIT = 4000
"""Signs of a chat's message as it is sent: Slack advises so many ("Best practices" of its
`chat.postMessage`), and escaping makes a text longer."""


class Channel(Protocol):
    async def send(self, parcel: Parcel, now: float) -> Result:
        """Send one message once. Never raises for what the other side or the network does."""

    def load(self) -> None:
        """Load what sending needs, so that the first message of an outage does not have to.

        Called in a thread, once, where there are subscriptions of this kind.
        """

    async def close(self) -> None: ...


def links_for(parcel: Parcel, base: str, key: bytes, now: float) -> Links:
    """The links of a message, with tokens for this subscription."""
    one = parcel.subscription.id
    confirm = signing.mint(key, signing.Purpose.CONFIRM, one, now + signing.CONFIRM_S)
    leave = signing.mint(key, signing.Purpose.LEAVE, one)
    return Links(
        base, confirm_link(base, confirm), leave_link(base, leave), manage_link(base, leave)
    )


def guarded_session(rules: Rules) -> aiohttp.ClientSession:
    """A session for addresses that others wrote: no proxy, no cookies, no forbidden network."""
    import aiohttp  # noqa: PLC0415 - see the module

    from outlast.observatory.guard import guarded_connector  # noqa: PLC0415

    return aiohttp.ClientSession(
        connector=guarded_connector(rules),
        timeout=aiohttp.ClientTimeout(total=POST_S, connect=CONNECT_S, sock_connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        max_line_size=8190,
        max_field_size=8190,
    )


class PostChannel:
    """What all ways of POSTing share. The session is made when the first message leaves."""

    doubtful: frozenset[int] = frozenset()
    """Statuses after which the message may have arrived."""

    def __init__(self, base: str, key: bytes, open_session: Callable[[], aiohttp.ClientSession]):
        self._base = base
        self._key = key
        self._open_session = open_session
        self._session: aiohttp.ClientSession | None = None

    def load(self) -> None:
        from outlast.observatory import guard  # noqa: F401, PLC0415 - with the client

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Result:
        import aiohttp  # noqa: PLC0415 - see the module

        from outlast.observatory.guard import forbidden_behind  # noqa: PLC0415

        if self._session is None:
            self._session = self._open_session()
        sent = {"content-type": "application/json", "user-agent": "outlast", **headers}
        try:
            async with self._session.post(
                URL(url, encoded=True), data=body, headers=sent, allow_redirects=False
            ) as answer:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    await answer.content.read(ANSWER_LIMIT_BYTES)
                answer.close()
                return self._judge(answer.status, answer.headers.get("retry-after", ""))
        except aiohttp.ClientConnectorError as error:
            forbidden = forbidden_behind(error)
            if forbidden is not None:
                return Refused(f"it may not be reached: {forbidden}", again=False)
            return Refused(f"no connection: {type(error).__name__}")
        except aiohttp.ConnectionTimeoutError:
            return Refused("no connection in time")
        except aiohttp.InvalidURL:
            return Refused("its address cannot be used", again=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unknown(f"no answer: {type(error).__name__}")

    def _judge(self, status: int, retry_after: str) -> Result:
        if 200 <= status < 300:
            return Sent()
        if status in self.doubtful:
            return Unknown(f"a gateway answered {status}")
        if status == 410:
            return Refused("it answered 410: gone", again=False, gone=True)
        return Refused(f"it answered {status}", retry_after_s=_seconds(retry_after))


class WebhookChannel(PostChannel):
    """JSON, signed, to an address that took a signed test before it counted."""

    async def send(self, parcel: Parcel, now: float) -> Result:
        links = links_for(parcel, self._base, self._key, now)
        body = msgspec.json.encode(payload(parcel, links, now))
        secret = signing.webhook_secret(self._key, parcel.subscription.id)
        at = int(now)
        headers = {
            "webhook-id": parcel.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signing.webhook_signature(secret, parcel.id, at, body),
        }
        return await self._post(parcel.subscription.target, body, headers)


class SlackChannel(PostChannel):
    """`{"text": …}` to an incoming webhook: Slack, Mattermost, Rocket.Chat, Discord's /slack.

    What Slack's answers mean is in its "Sending messages using incoming webhooks", section
    "Handling errors": it says `ok` with 200; 400 to 404 are of the payload, the hook or its channel
    and stay so, 410 that the channel is archived.
    """

    doubtful = frozenset({502, 504})

    async def send(self, parcel: Parcel, now: float) -> Result:
        links = links_for(parcel, self._base, self._key, now)
        body = msgspec.json.encode({"text": fitted(escaped(chat(parcel, links)))})
        return await self._post(parcel.subscription.target, body, {})

    def _judge(self, status: int, retry_after: str) -> Result:
        if status in {400, 403, 404}:
            return Refused(f"it answered {status}", again=False)
        return super()._judge(status, retry_after)


def escaped(text: str) -> str:
    """Text in which nothing mentions anybody or makes a link of its own.

    Source: Slack's "Formatting text for app surfaces" (three signs are escaped); a zero-width
    space after `@` keeps Mattermost and Discord from calling a whole channel.
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("@", "@\u200b")


def fitted(text: str) -> str:
    """Escaped text, cut where a chat would cut it, and never inside one of its signs."""
    if len(text) <= TEXT_LIMIT:
        return text
    cut = text[: TEXT_LIMIT - 1]
    start = cut.rfind("&")
    if start >= 0 and ";" not in cut[start:]:
        cut = cut[:start]
    return cut.rstrip() + "…"


def _seconds(text: str) -> float | None:
    """`retry-after` in seconds; a date, which few send, counts as nothing."""
    if len(text) > RETRY_AFTER_LIMIT_CHARS or not text.isascii() or not text.isdigit():
        return None
    found = float(text)
    return found if math.isfinite(found) else None


async def within(seconds: float, sending: Channel, parcel: Parcel, now: float) -> Result:
    """Send, and give up waiting for the answer after so long: then nobody knows."""
    try:
        async with asyncio.timeout(seconds):
            return await sending.send(parcel, now)
    except TimeoutError:
        return Unknown("no answer in time")
