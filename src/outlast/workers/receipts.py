"""Receipts of all processes: what one does not find may wait in another's journal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import msgspec

from outlast.gateway.api import Receipts
from outlast.gateway.ledger import Ledger
from outlast.nouns import Receipt
from outlast.store.database import DatabaseUnavailable
from outlast.store.migrations import SchemaTooNew
from outlast.workers.inside import Away, Neighbour

PATH = "/receipts/"
KEY = "outlast-key-id"
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class SharedReceipts:
    """See gateway.api.Receipts."""

    def __init__(self, own: Ledger, others: Sequence[Neighbour]) -> None:
        self._own = own
        self._others = others

    async def find(self, receipt_id: str, key_id: str | None) -> Receipt | None:
        """Raises DatabaseUnavailable, as long as somebody cannot say whether there is one."""
        unsure: Exception | None = None
        try:
            found = await self._own.find(receipt_id, key_id)
        except (DatabaseUnavailable, SchemaTooNew) as error:
            found, unsure = None, error
        if found is not None:
            return found
        if not _ID.fullmatch(receipt_id):  # nobody gave such a name
            if unsure is not None:
                raise unsure
            return None
        asked = (_look(other, receipt_id, key_id) for other in self._others)
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, Receipt):
                return answer
            if isinstance(answer, DatabaseUnavailable):
                unsure = unsure or answer
            elif isinstance(answer, BaseException):
                raise answer
        if unsure is not None:
            raise unsure
        return None


async def _look(other: Neighbour, receipt_id: str, key_id: str | None) -> Receipt | None:
    """Ask one process. Raises DatabaseUnavailable where it cannot say."""
    try:
        headers = {KEY: key_id} if key_id is not None else {}
        status, body = await other.fetch(PATH + receipt_id, headers)
    except Away as away:
        words = "a process of this service, which may have it, is being started again."
        raise DatabaseUnavailable(words) from away
    if status == 404:
        return None
    if status != 200:
        raise DatabaseUnavailable(body.decode("utf-8", "replace")[:300])
    return msgspec.json.decode(body, type=Receipt)


async def look_up(ledger: Receipts, receipt_id: str, key_id: str | None) -> tuple[int, bytes]:
    """Answer another process: what this one has, and nobody else's word."""
    try:
        found = await ledger.find(receipt_id, key_id)
    except (DatabaseUnavailable, SchemaTooNew) as error:
        return 503, str(error).encode()
    return (404, b"") if found is None else (200, msgspec.json.encode(found))
