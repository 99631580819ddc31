"""Limits that hold over all processes of a service: counts in memory that they share.

One row for each name: how full its bucket is and since when, and for each process how many are
under way. A lock of the kernel's guards it, which dies with its holder. Nobody waits for it: after
`PATIENCE_S` the caller is told that the others cannot be asked (a process that was stopped in the
middle may hold it), and for a moment nobody tries.

A process's own number under way is written by it alone, so that giving a place back needs no lock.
Whoever starts processes calls `forget` for one that died.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Callable
from hashlib import blake2b

from outlast.gateway.limits import InFlight, take_one

ROWS = 8192
PROBES = 32
"""Rows that a name may be found in, one after another."""
FULL_AGAIN_S = 60.0
"""A bucket is full after a minute: a row without anything under way may be given to another."""
PATIENCE_S = 0.001
LEAVE_ALONE_S = 0.1
_NAME_BYTES = 16
_BUCKET = struct.Struct("dd")
_COUNT = struct.Struct("i")
_EMPTY = bytes(_NAME_BYTES)


def make(places: int) -> int:
    """Return a descriptor of memory for so many processes, to be inherited. Raises OSError."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("outlast-counts")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    # Written out: a full disk must be an error here, and not a signal at some later access.
    os.pwrite(fd, bytes(ROWS * _row_bytes(places)), 0)
    return fd


def _row_bytes(places: int) -> int:
    return _NAME_BYTES + _BUCKET.size + 8 * ((places * _COUNT.size + 7) // 8)


class SharedCounts:
    """See limits.Company. `place`: which of the `places` processes this one is; the last `others`
    of them answer no clients.
    """

    def __init__(
        self,
        fd: int,
        place: int,
        places: int,
        *,
        others: int = 0,
        spent_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._fd = fd
        self._place = place
        self._places = places
        self._count = places - others
        self._spent_s = spent_s
        self._row_bytes = _row_bytes(places)
        self._memory = mmap.mmap(fd, ROWS * self._row_bytes)
        self._known: dict[str, int] = {}
        """Where a name was found last."""
        self._left_alone_until = 0.0
        self._layout = struct.Struct(f"{places}i")

    @property
    def count(self) -> int:
        return self._count

    def take(self, name: str, per_minute: int, now: float) -> float | None:
        if not self._lock():
            return None
        try:
            row = self._row(name, now, float(per_minute))
            if row is None:
                return None
            level, at = _BUCKET.unpack_from(self._memory, row + _NAME_BYTES)
            level, wait_s = take_one(level, at, per_minute, now)
            _BUCKET.pack_into(self._memory, row + _NAME_BYTES, level, now)
            return wait_s
        finally:
            self._unlock()

    def load(self, name: str, limit: int | None) -> InFlight:
        return SharedLoad(self, f"load/{name}", limit)

    def enter(self, name: str, limit: int, now: float) -> bool | None:
        """Count one more of ours, unless all have `limit` under way; None: cannot be told now."""
        if not self._lock():
            return None
        try:
            row = self._row(name, now, 0.0)
            if row is None:
                return None
            if sum(self._counts(row)) >= limit:
                return False
            _BUCKET.pack_into(self._memory, row + _NAME_BYTES, 0.0, now)
            self._add(row, 1)
            return True
        finally:
            self._unlock()

    def leave(self, name: str) -> None:
        """One of ours is over. Its row cannot have been given away: it counted there."""
        row = self._known.get(name)
        if row is not None and self._at(row) == _label(name):
            self._add(row, -1)

    def under_way(self, name: str) -> int:
        """How many are under way in all processes."""
        row = self._find(_label(f"load/{name}"))
        return sum(self._counts(row)) if row is not None else 0

    def forget(self, place: int) -> None:
        """Whoever was at this place has died: nothing of it is under way any more."""
        offset = _NAME_BYTES + _BUCKET.size + place * _COUNT.size
        for row in range(0, ROWS * self._row_bytes, self._row_bytes):
            if _COUNT.unpack_from(self._memory, row + offset)[0]:
                _COUNT.pack_into(self._memory, row + offset, 0)

    def close(self) -> None:
        self._memory.close()
        os.close(self._fd)

    # -- the lock ------------------------------------------------------------------------------

    def _lock(self) -> bool:
        began = self._spent_s()
        if began < self._left_alone_until:
            return False
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                now = self._spent_s()
                if now - began > PATIENCE_S:
                    self._left_alone_until = now + LEAVE_ALONE_S
                    return False
                time.sleep(0)  # its holder may wait for this very core
            else:
                return True

    def _unlock(self) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_UN)

    # -- rows, with the lock held --------------------------------------------------------------

    def _row(self, name: str, now: float, level: float) -> int | None:
        """Where this name's row is; a new one begins with `level`. None: there is no room."""
        label, known = _label(name), self._known.get(name)
        if known is not None and self._at(known) == label:
            return known
        row = self._find(label)
        if row is None:
            row = self._free(label, now)
            if row is None:
                return None
            self._memory[row : row + self._row_bytes] = bytes(self._row_bytes)
            _BUCKET.pack_into(self._memory, row + _NAME_BYTES, level, now)
            self._memory[row : row + _NAME_BYTES] = label
        if len(self._known) >= ROWS:
            self._known.clear()
        self._known[name] = row
        return row

    def _find(self, label: bytes) -> int | None:
        return next((row for row in self._places_of(label) if self._at(row) == label), None)

    def _free(self, label: bytes, now: float) -> int | None:
        for row in self._places_of(label):
            if self._at(row) == _EMPTY:
                return row
            _, at = _BUCKET.unpack_from(self._memory, row + _NAME_BYTES)
            if now - at >= FULL_AGAIN_S and not any(self._counts(row)):
                return row
        return None

    def _places_of(self, label: bytes) -> list[int]:
        first = int.from_bytes(label[:8], "little")
        return [(first + step) % ROWS * self._row_bytes for step in range(PROBES)]

    def _at(self, row: int) -> bytes:
        return self._memory[row : row + _NAME_BYTES]

    def _counts(self, row: int) -> tuple[int, ...]:
        return self._layout.unpack_from(self._memory, row + _NAME_BYTES + _BUCKET.size)

    def _add(self, row: int, more: int) -> None:
        offset = row + _NAME_BYTES + _BUCKET.size + self._place * _COUNT.size
        count = _COUNT.unpack_from(self._memory, offset)[0]
        _COUNT.pack_into(self._memory, offset, max(0, count + more))


class SharedLoad(InFlight):
    """What is under way in all processes. Where the others cannot be asked: our own share."""

    def __init__(self, counts: SharedCounts, name: str, limit: int | None) -> None:
        super().__init__(limit)
        self._counts = counts
        self._name = name
        self._shared = 0
        """Of ours, those that the others know of."""

    def enter(self) -> bool:
        if self.limit is not None:
            entered = self._counts.enter(self._name, self.limit, time.monotonic())
            if entered is None:
                entered = self.count < max(1, self.limit // self._counts.count)
            elif entered:
                self._shared += 1
            if not entered:
                return False
        self.count += 1
        return True

    def leave(self) -> None:
        super().leave()
        if self._shared > self.count:
            self._shared -= 1
            self._counts.leave(self._name)


def _label(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_NAME_BYTES).digest()
