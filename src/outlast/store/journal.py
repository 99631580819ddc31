"""The journal: records that outlive a kill -9, written in microseconds, drained when possible.

`append` puts a record into the page cache with one pwrite: the process may be killed right after
and the record is there at the next start. (A power cut may cost the last moments; no request
waits for a disk.) Files are preallocated and one spare is kept ready, so that a full disk stops
nothing for a while; when truly nothing is left, records wait in bounded memory, counted.

One thread appends (the event loop), one consumer at a time calls `read`, `commit`, `maintain`.
Two processes may use one folder: each gets a subfolder of its own, and adopts those of the dead.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from outlast.store.segment import (
    FRAME_BYTES,
    HEADER_BYTES,
    RECORD_LIMIT_BYTES,
    DamagedSegment,
    Segment,
)
from outlast.store.slots import Slot, claim_free, claim_orphans

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_BYTES = 4 * 1024 * 1024
DISK_LIMIT_BYTES = 1024 * 1024 * 1024
MEMORY_LIMIT_BYTES = 16 * 1024 * 1024


class Position(NamedTuple):
    """Where a record went. Segment 0 is memory: it will not outlive the process."""

    segment: int
    end: int

    @property
    def durable(self) -> bool:
        return self.segment > 0


class Mark(NamedTuple):
    segment: Segment
    drained: int
    records: int


class Batch(NamedTuple):
    """Records to store elsewhere, then to `commit`."""

    records: list[bytes]
    marks: list[Mark]
    remembered: list[int]


class JournalState(msgspec.Struct, frozen=True):
    pending: int
    """Records not drained yet, on disk and in memory."""
    in_memory: int
    """Of these, records that would not outlive the process."""
    lost: int
    """Records given up because disk and memory were both full, or because a file was damaged."""
    segments: int
    """Files that hold records, ours and those of the dead that we adopted."""
    segments_limit: int
    """Files of our own that there may be."""
    last_error: str
    """What went wrong last, until it goes well again; empty when all is well."""


class Journal:
    """See the module. Making one touches the disk; it never raises for a disk that is full."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        disk_limit_bytes: int = DISK_LIMIT_BYTES,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        if segment_bytes < HEADER_BYTES + RECORD_LIMIT_BYTES + 8:
            raise ValueError(f"a segment of {segment_bytes} bytes cannot hold the longest record")
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._segment_limit = max(2, disk_limit_bytes // segment_bytes)
        self._memory_limit_bytes = memory_limit_bytes
        self._lock = threading.Lock()
        self._slot: Slot | None = None
        self._segments: list[Segment] = []
        """Ours, oldest first. The last one is written to."""
        self._spare: Segment | None = None
        self._starved = False
        """No file could be made: do not try again in the request path."""
        self._adopted: dict[Slot, list[Segment]] = {}
        self._memory: dict[int, bytes] = {}
        self._memory_bytes = 0
        self._memory_count = 0
        self._lost = 0
        self._error = ""
        self.maintain()

    def append(self, record: bytes) -> Position:
        """Keep a record (1 byte to RECORD_LIMIT_BYTES; else ValueError). Never raises OSError."""
        if not 0 < len(record) <= RECORD_LIMIT_BYTES:
            raise ValueError(f"a journal record has 1 to {RECORD_LIMIT_BYTES} bytes")
        with self._lock:
            position = self._append_to_disk(record)
            return position if position is not None else self._remember(record)

    def append_all(self, records: list[bytes]) -> bool:
        """As `append` of each, with one call where they fit; whether kill -9 can take none."""
        size = sum(map(len, records)) + FRAME_BYTES * len(records)
        if min(map(len, records), default=0) > 0 and size <= RECORD_LIMIT_BYTES:
            with self._lock:
                active = self._segments[-1] if self._segments else None
                if active is not None and active.end + size <= active.size:
                    try:
                        active.append_all(records)
                    except OSError as error:
                        self._error = f"The journal cannot be written: {error}."
                    else:
                        return True
        positions = [self.append(record) for record in records]
        return all(one.durable for one in positions)

    def read(self, limit: int = 500) -> Batch:
        """The oldest records that were not committed yet, up to `limit`. Raises OSError."""
        with self._lock:
            segments = [one for group in self._adopted.values() for one in group]
            segments += self._segments
        batch = Batch([], [], [])
        for segment in segments:
            left = limit - len(batch.records)
            if left <= 0:
                return batch
            if segment.drained >= segment.end:
                continue
            try:
                records, drained = segment.read(left)
            except DamagedSegment as error:
                self._give_up(segment, error)
                continue
            batch.records.extend(records)
            batch.marks.append(Mark(segment, drained, len(records)))
        with self._lock:
            for key in list(self._memory)[: limit - len(batch.records)]:
                batch.records.append(self._memory[key])
                batch.remembered.append(key)
        return batch

    def commit(self, batch: Batch) -> None:
        """Let go of a batch that is safe elsewhere. Never raises OSError: what cannot be marked
        is drained again after a restart, which is harmless when draining is idempotent.
        """
        for mark in batch.marks:
            # Outside the lock: a file system that is slow for a moment must not hold up `append`.
            try:
                mark.segment.mark(mark.drained)
            except OSError as error:
                self._error = f"The journal cannot be marked as drained: {error}."
        with self._lock:
            for mark in batch.marks:
                mark.segment.drained = mark.drained
                mark.segment.pending -= mark.records
            for key in batch.remembered:
                self._forget(key)
        self._recycle()

    def maintain(self) -> None:
        """Off the request path: keep a spare ready, adopt what dead processes left, and move to
        disk what had to wait in memory. Never raises OSError; see `state().last_error`.
        """
        try:
            if self._slot is None:
                self._open()
            self._stock()
            if not self._segments:
                with self._lock:
                    self._roll()
                self._stock()
            self._adopt()
        except OSError as error:
            self._error = f"The journal in {self._folder} cannot grow: {error}."
        else:
            full = self._spare is None
            self._error = f"The journal in {self._folder} has reached its limit." if full else ""
        with self._lock:
            self._starved = self._spare is None
            for key, record in list(self._memory.items()):
                if self._append_to_disk(record) is None:
                    break
                self._forget(key)

    def state(self) -> JournalState:
        with self._lock:
            groups = [self._segments, *self._adopted.values()]
            return JournalState(
                pending=sum(one.pending for group in groups for one in group) + len(self._memory),
                in_memory=len(self._memory),
                lost=self._lost,
                segments=sum(len(group) for group in groups),
                segments_limit=self._segment_limit,
                last_error=self._error,
            )

    def close(self) -> None:
        """Close the files and release the folder. What was not drained stays for the next start;
        what is only in memory is written if there is room by now.
        """
        if self._memory:
            self.maintain()
        with self._lock:
            for one in [*self._segments, *([self._spare] if self._spare else [])]:
                one.close()
            for slot, group in self._adopted.items():
                for one in group:
                    one.close()
                slot.release()
            if self._slot is not None:
                self._slot.release()
            self._segments, self._spare, self._slot, self._adopted = [], None, None, {}
            self._starved = True

    # With the lock held.

    def _append_to_disk(self, record: bytes) -> Position | None:
        active = self._segments[-1] if self._segments else None
        if active is None or active.end + len(record) + FRAME_BYTES > active.size:
            active = self._roll()
        if active is None:
            return None
        try:
            return Position(active.number, active.append(record))
        except OSError as error:
            self._error = f"The journal cannot be written: {error}."
            return None

    def _roll(self) -> Segment | None:
        """Make the spare the segment that is written to. None when there is no room for one."""
        if self._slot is None or len(self._segments) >= self._segment_limit:
            return None
        number = self._segments[-1].number + 1 if self._segments else 1
        try:
            fresh = self._spare or (None if self._starved else self._create())
            if fresh is None:
                return None
            self._spare = fresh  # not lost when the next line fails
            fresh.start(number)
        except OSError as error:
            self._starved = True
            self._error = f"The journal in {self._folder} cannot grow: {error}."
            return None
        self._spare = None
        self._segments.append(fresh)
        return fresh

    def _remember(self, record: bytes) -> Position:
        self._memory_count += 1
        self._memory[self._memory_count] = record
        self._memory_bytes += len(record)
        while self._memory_bytes > self._memory_limit_bytes:
            self._forget(next(iter(self._memory)))
            self._lost += 1
        return Position(0, self._memory_count)

    def _forget(self, key: int) -> None:
        record = self._memory.pop(key, None)
        if record is not None:
            self._memory_bytes -= len(record)

    # In the consumer's thread, taking the lock for moments only.

    def _open(self) -> None:
        slot = claim_free(self._folder)
        try:
            loaded = [Segment.load(path) for path in slot.segments()]
            segments = sorted((one for one in loaded if one.number), key=lambda one: one.number)
            spares = [one for one in loaded if not one.number]
        except OSError:
            slot.release()
            raise
        for extra in spares[1:]:
            extra.delete()
        spare = spares[0] if spares else None
        if spare is not None:
            try:
                spare.reserve(self._segment_bytes)
            except OSError:
                spare.delete()
                spare = None
        with self._lock:
            self._slot, self._segments, self._spare = slot, segments, spare
        self._recycle()

    def _stock(self) -> None:
        """Have a spare ready, unless the limit is reached. Raises OSError."""
        if self._spare is not None or len(self._segments) >= self._segment_limit:
            return
        extra = self._offer(self._create())
        if extra is not None:
            self._delete(extra)

    def _offer(self, spare: Segment) -> Segment | None:
        """Take it as the spare; given back when the other thread was faster."""
        with self._lock:
            if self._spare is not None:
                return spare
            self._spare = spare
            return None

    def _create(self) -> Segment:
        assert self._slot is not None
        taken = [int(path.stem) for path in self._slot.segments() if path.stem.isdigit()]
        number = max(taken, default=0) + 1
        while True:
            try:
                path = self._slot.folder / f"{number:08d}.seg"
                return Segment.create(path, self._segment_bytes)
            except FileExistsError:  # the other thread was faster
                number += 1

    def _adopt(self) -> None:
        ours = {slot.folder for slot in self._adopted}
        if self._slot is not None:
            ours.add(self._slot.folder)
        for slot in claim_orphans(self._folder, ours):
            try:
                loaded = [Segment.load(path) for path in slot.segments()]
            except OSError:
                slot.release()
                raise
            group = sorted((one for one in loaded if one.pending), key=lambda one: one.number)
            for segment in loaded:
                if not segment.pending:
                    self._delete(segment)
            if group:
                with self._lock:
                    self._adopted[slot] = group
            else:
                slot.release()

    def _recycle(self) -> None:
        """Reuse or delete what is drained and no longer written to."""
        drained: list[Segment] = []
        released: list[Slot] = []
        with self._lock:
            for one in [one for one in self._segments[:-1] if not one.pending]:
                self._segments.remove(one)
                if self._spare is None and one.size == self._segment_bytes:
                    self._spare = one
                    self._starved = False
                else:
                    drained.append(one)
            self._rewind()
            for slot, group in list(self._adopted.items()):
                drained += [one for one in group if not one.pending]
                group[:] = [one for one in group if one.pending]
                if not group:
                    del self._adopted[slot]
                    released.append(slot)
        for one in drained:
            self._delete(one)
        for slot in released:
            slot.release()

    def _rewind(self) -> None:
        """Without a spare, a drained segment is begun again before it runs out of room."""
        active = self._segments[-1] if self._segments else None
        if active is None or self._spare is not None or active.pending:
            return
        if active.end > active.size // 2:
            try:
                active.start(active.number + 1)
            except OSError as error:
                self._error = f"The journal cannot be written: {error}."

    def _delete(self, segment: Segment) -> None:
        try:
            segment.delete()
        except OSError as error:
            self._error = f"A drained journal file cannot be deleted: {error}."

    def _give_up(self, segment: Segment, error: DamagedSegment) -> None:
        with self._lock:
            self._lost += segment.pending
            self._error = f"A journal file is damaged and its records are lost: {error}."
            segment.drained, segment.pending = segment.end, 0
