"""What of a site a far place still needs, and in which order it gets it. Pure.

A folder that is swapped has no order; a bucket or a folder far away is changed file by file, while
people read. So what pages point to goes first, then the pages, from the deepest up to the overview;
what is gone from the site is removed last. Nobody is led to a file that is not there yet.

A ledger lies beside the files: what we put there, and the digest of each. What is not in it is not
ours and is left alone. Before anything is changed, what is about to change loses its digest there:
a run that is cut off anywhere is put right by the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from outlast.status.site import fit

LEDGER = ".outlast-mirror.json"
LEDGER_LIMIT_BYTES = 8 << 20
FRESH_S = 10
"""How long a cache before the files may give them out without asking again."""
CACHE = f"public, max-age={FRESH_S}, stale-while-revalidate=60"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".atom": "application/atom+xml; charset=utf-8",
    ".rss": "application/rss+xml; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}

Digests = dict[str, str]
"""Of each file; empty where it is about to change."""


class BadLedger(Exception):
    """What lies there as the ledger is none."""


class Upload(msgspec.Struct, frozen=True):
    """`stages`: names that may go at once; each stage when the one before is whole."""

    before: bytes
    """The ledger to write first; empty: nothing changes."""
    stages: tuple[tuple[str, ...], ...]
    gone: tuple[str, ...]
    after: bytes
    """The ledger to write last."""


def upload(files: Mapping[str, bytes], there: Digests) -> Upload:
    """Return what to do, from the site as it should be and the ledger as it was read."""
    wanted = {name: _digest(body) for name, body in files.items()}
    changed = [name for name in wanted if there.get(name) != wanted[name]]
    # What lies far away may have been changed there: no name in it leads out of our place.
    gone = tuple(sorted(name for name in there if name not in wanted and fit(name)))
    if not changed and not gone:
        return Upload(b"", (), (), b"")
    unsure = {**there, **dict.fromkeys(changed, ""), **dict.fromkeys(gone, "")}
    return Upload(_ledger(unsure), _stages(changed), gone, _ledger(wanted))


def read_ledger(body: bytes) -> Digests:
    """Raises BadLedger."""
    try:
        return msgspec.json.decode(body, type=Digests)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadLedger(f"{LEDGER} there is not one of ours: {str(error)[:200]}") from error


def media_type(name: str) -> str:
    file = name.rpartition("/")[2]
    stem, dot, ending = file.rpartition(".")
    if ending == "json" and stem.partition(".")[0] == "feed":
        return "application/feed+json; charset=utf-8"
    return _TYPES.get(dot + ending, "application/octet-stream")


def _stages(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    by_turn: dict[int, list[str]] = {}
    for name in sorted(names):
        by_turn.setdefault(_turn(name), []).append(name)
    return tuple(tuple(by_turn[turn]) for turn in sorted(by_turn))


def _turn(name: str) -> int:
    """Pages after what they point to, the deepest first; the entry at the root is the very last."""
    return 1000 - min(name.count("/"), 900) if name.endswith(".html") else 0


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _ledger(digests: Digests) -> bytes:
    return msgspec.json.encode(dict(sorted(digests.items())))
