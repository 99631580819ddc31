"""Apprise: a hundred other services behind one address each. An extra, and for operators alone.

An Apprise address can reach this machine's files, programs and networks, and no guard of ours
stands before its connections; so nobody from outside may give one. Apprise says only yes or no:
after a no nobody knows what arrived, and it is not sent again.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
from typing import Any

from outlast.observatory.channels import links_for
from outlast.observatory.notify_texts import chat, mail
from outlast.observatory.notifying import Parcel, Refused, Result, Sent, Unknown

SENDING_S = 60.0


class AppriseMissing(Exception):
    """The extra is not installed; its message says how to."""


class AppriseChannel:
    def __init__(self, base: str, key: bytes) -> None:
        """Raises AppriseMissing. The package itself is loaded with the first message: it is large,
        and few have anything to send with it."""
        self._base = base
        self._key = key
        if importlib.util.find_spec("apprise") is None:
            raise AppriseMissing(
                "Apprise is not installed. Install it with: pip install 'outlast[apprise]'."
            )

    def load(self) -> None:
        """Nothing: its plug-ins, a second's work, are loaded with the first address."""

    async def send(self, parcel: Parcel, now: float) -> Result:
        links = links_for(parcel, self._base, self._key, now)
        subject, text = mail(parcel, links).subject, chat(parcel, links)
        try:
            async with asyncio.timeout(SENDING_S):
                return await asyncio.to_thread(
                    self._notify, parcel.subscription.target, subject, text
                )
        except TimeoutError:
            return Unknown("Apprise gave no answer in time")
        except Exception as error:  # whatever a plug-in raises, the message may have left
            return Unknown(f"Apprise failed: {type(error).__name__}")

    def _notify(self, target: str, subject: str, text: str) -> Result:
        """In a thread: Apprise loads its plug-ins with the first address, a second or more."""
        # It logs addresses, and they hold secrets.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        service: Any = importlib.import_module("apprise").Apprise()
        if not service.add(target):
            return Refused("Apprise does not know this kind of address", again=False)
        done = service.notify(title=subject, body=text)
        return Sent() if done else Unknown("Apprise says that it failed")

    async def close(self) -> None:
        """Nothing is kept open."""
