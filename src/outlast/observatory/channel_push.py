"""Web push: a notification in a browser, without an account, through the browser's push service.

The service's address came from outside and is guarded as a webhook's is. What goes there is sealed
for the one browser (push_sealing.py): the service learns that something was sent, and no more.
It takes a message and delivers it when the browser is there; an older one of the same incident
that still waits there is replaced. 404 or 410: the browser wants no more (RFC 8030, 7.3).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from yarl import URL

from outlast.observatory.channels import PostChannel, links_for
from outlast.observatory.notify_texts import Links, push
from outlast.observatory.notifying import BEGINNINGS, Parcel, Refused, Result

if TYPE_CHECKING:
    import aiohttp

KEEP_S = 24 * 3600
"""How long a push service may hold a message for a browser that is away: as long as we try."""
NOBODY = "postmaster@localhost"


class PushChannel(PostChannel):
    doubtful = frozenset({502, 504})

    def __init__(
        self,
        base: str,
        key: bytes,
        open_session: Callable[[], aiohttp.ClientSession],
        contact: str = "",
    ) -> None:
        """`contact`: an e-mail address by which push services reach us, where `base` is none that
        they could open."""
        super().__init__(base, key, open_session)
        self._subject = base if base.startswith("https://") else f"mailto:{contact or NOBODY}"

    def load(self) -> None:
        super().load()
        from outlast.observatory import push_sealing  # noqa: F401, PLC0415 - with `cryptography`

    async def send(self, parcel: Parcel, now: float) -> Result:
        links = links_for(parcel, self._base, self._key, now)
        try:
            # In a thread, because the first message loads a large package.
            body, headers = await asyncio.to_thread(self._write, parcel, links, now)
        except ValueError:
            return Refused("the browser's keys cannot be used", again=False, gone=True)
        return await self._post(parcel.subscription.target, body, headers)

    def _write(self, parcel: Parcel, links: Links, now: float) -> tuple[bytes, dict[str, str]]:
        """The sealed body, and what the push service reads. Raises ValueError for bad keys."""
        # 11 MB, and most services tell no browser.
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        from outlast.observatory import push_sealing as sealing  # noqa: PLC0415

        subscription = parcel.subscription
        plain = msgspec.json.encode(push(parcel, links, sealing.PLAIN_LIMIT_BYTES))
        once, salt = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        audience = str(URL(subscription.target, encoded=True).origin())
        sender = sealing.sender_key(self._key)
        headers = {
            "authorization": sealing.token(sender, audience, self._subject, now),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(KEEP_S),
            "urgency": "high" if _is_urgent(parcel) else "normal",
        }
        if len(parcel.news) == 1:
            headers["topic"] = sealing.topic(parcel.news[0].incident.id)
        return sealing.seal(plain, subscription.keys, once, salt), headers

    def _judge(self, status: int, retry_after: str) -> Result:
        if status in {404, 410}:
            return Refused(f"it answered {status}: gone", again=False, gone=True)
        if status in {400, 401, 403, 413}:  # it would say the same of the same message
            return Refused(f"it answered {status}", again=False)
        return super()._judge(status, retry_after)


def _is_urgent(parcel: Parcel) -> bool:
    """Whether it is worth waking a sleeping phone for (RFC 8030, 5.3): a beginning, or the first
    message, for which somebody waits."""
    return not parcel.news or any(item.kind in BEGINNINGS for item in parcel.news)
