"""Times, texts and ids as other programs read them. Pure.

Texts lose what no reader may be sent: control signs, changes of direction, lone surrogates and
what XML 1.0 does not allow. Escaping is each format's own.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

from outlast.observatory.words import plain

TEXT_LIMIT = 4000
_LATEST = 4102444800.0  # 2100-01-01: as the reader of vendors' times has it
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ALPHABET = "0123456789bcdfghjklmnpqrstvwxyz"
"""As Statuspage's ids look; without most vowels, so that no word comes out."""


def iso(at: float) -> str:
    """`2026-03-02T11:49:20.831Z`."""
    when = _utc(at)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03}Z"


def iso_or_none(at: float | None) -> str | None:
    return None if at is None else iso(at)


def rfc822(at: float) -> str:
    """`Mon, 02 Mar 2026 11:49:20 GMT` (RFC 822 with the four-digit year of RFC 1123)."""
    when = _utc(at)
    day, month = _DAYS[when.weekday()], _MONTHS[when.month - 1]
    return f"{day}, {when.day:02} {month} {when.year:04} {when:%H:%M:%S} GMT"


def day_and_time(at: float) -> str:
    """`2026-03-02 11:49 UTC`: the same in every language."""
    return f"{_utc(at):%Y-%m-%d %H:%M} UTC"


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return text on one line that every format can carry."""
    return _UNFIT.sub("", plain(text, limit))


def ident(kind: str, name: str) -> str:
    """Return twelve signs that stand for a name of ours, the same ones always.

    Statuspage's ids look so; clients keep them and compare them, and no more.
    """
    number = int.from_bytes(hashlib.sha256(f"{kind}:{name}".encode("utf-8", "replace")).digest())
    signs = []
    for _ in range(12):
        number, place = divmod(number, len(_ALPHABET))
        signs.append(_ALPHABET[place])
    return "".join(signs)


def urn(*parts: str) -> str:
    """Return a `urn:uuid:` that stands for these names always (RFC 9562, version 8)."""
    digest = bytearray(hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"urn:uuid:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _utc(at: float) -> datetime:
    return _EPOCH + timedelta(seconds=min(max(at, 0.0), _LATEST))
