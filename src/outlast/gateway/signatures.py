"""Which account signed which thinking, and who could not read it: what is remembered. Pure.

Signed thinking, redacted thinking and encrypted reasoning can be read by the account alone that
they were made for. What one account signed is taken out before the history goes to another one, so
that nobody has to be refused first. Of a signature only a digest is kept, for a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import msgspec

TTL_S = 24 * 3600
LIMIT = 20_000

Foreign = Callable[[str], bool]


class Entry(msgspec.Struct, frozen=True):
    """`account` and `refused_by`: accounts as `account_id` names them."""

    at: float
    account: str = ""
    """Who signed it; empty: not known."""
    refused_by: tuple[str, ...] = ()


class Signatures:
    """Bounded: beyond the limit the oldest are forgotten. What is not known is left alone: the
    host that cannot read it will say so."""

    def __init__(self, limit: int = LIMIT, ttl_s: float = TTL_S) -> None:
        self._limit = limit
        self._ttl_s = ttl_s
        self._entries: dict[str, Entry] = {}
        self._accounts: set[str] = set()
        self._refusals = False

    def __len__(self) -> int:
        return len(self._entries)

    def learn(
        self, signed: Iterable[str], refused: Iterable[str], account: str, at: float
    ) -> list[str]:
        """Take in what an account signed, and what it could not read; return lines to keep."""
        told = [("+", seal) for seal in signed] + [("-", seal) for seal in refused]
        lines = [f"{at:.0f} {what} {digest_of(seal)} {account}" for what, seal in told]
        for line in lines:
            self.take(line)
        return lines

    def take(self, line: str) -> None:
        """Take in a kept line; one that is none is passed over (a kill may leave half a line)."""
        parts = line.split()
        if len(parts) != 4 or parts[1] not in {"+", "-"} or not parts[0].isdecimal():
            return
        at, what, digest, account = float(parts[0]), parts[1], parts[2], parts[3]
        known = self._entries.pop(digest, Entry(at))
        if what == "+":
            left = tuple(one for one in known.refused_by if one != account)
            entry = Entry(at, account, left)
            self._accounts.add(account)
        else:
            others = tuple(one for one in known.refused_by if one != account)
            entry = Entry(at, known.account, (*others, account)[-8:])
            self._refusals = True
        self._entries[digest] = entry
        while len(self._entries) > self._limit:
            del self._entries[next(iter(self._entries))]

    def foreign_to(self, account: str, at: float) -> Foreign | None:
        """Return what tells whether this account cannot read a block; None: it reads all."""
        if not self._refusals and self._accounts <= {account}:
            return None

        def foreign(seal: str) -> bool:
            entry = self._entries.get(digest_of(seal))
            if entry is None or at - entry.at > self._ttl_s:
                return False
            return account in entry.refused_by or entry.account not in {"", account}

        return foreign

    def lines(self, at: float) -> list[str]:
        """Return what is still worth keeping, oldest first."""
        kept: list[str] = []
        for digest, entry in self._entries.items():
            if at - entry.at <= self._ttl_s:
                if entry.account:
                    kept.append(f"{entry.at:.0f} + {digest} {entry.account}")
                kept += [f"{entry.at:.0f} - {digest} {one}" for one in entry.refused_by]
        return kept


def digest_of(seal: str) -> str:
    return hashlib.blake2b(seal.encode("utf-8", "replace"), digest_size=16).hexdigest()


def account_id(name: str) -> str:
    """Return what an account is called here: a word without spaces, that names nobody."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()
