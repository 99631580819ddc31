"""One file of the journal: preallocated, written front to back, read front to back, used again.

Layout, little-endian: a header of 64 bytes (magic, the segment's number, how far it was drained;
each with a CRC), then records of `length u32 · crc u32 · bytes`. A record's CRC starts from the
segment's number and the record's offset, so that what a former life of the file left behind, and
a record that was cut off by a kill, both read as "no record here".
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING
from zlib import crc32

from outlast.native import compiled

if TYPE_CHECKING:
    from pathlib import Path

HEADER_BYTES = 64
RECORD_LIMIT_BYTES = 256 * 1024
READ_BYTES = 1024 * 1024
"""How much is read at once, at most, plus one record."""

_IDENTITY = struct.Struct("<4sQ")
_MAGIC = b"OLJ1"
_DRAINED = struct.Struct("<QQ")
_DRAINED_AT = 16
_CRC = struct.Struct("<I")
_FRAME = struct.Struct("<II")
FRAME_BYTES = _FRAME.size
_frames = compiled("frames")


class DamagedSegment(Exception):
    """A record that was whole when the segment was opened cannot be read any more."""


class Segment:
    """An open segment file. Its users keep to one writer and one reader."""

    def __init__(self, path: Path, fd: int, size: int) -> None:
        self.path = path
        self.size = size
        self.number = 0
        """0: a spare, without records."""
        self.end = HEADER_BYTES
        """Where the next record goes."""
        self.drained = HEADER_BYTES
        """Where the next record to drain begins."""
        self.pending = 0
        """Records between `drained` and `end`."""
        self._fd = fd

    @classmethod
    def create(cls, path: Path, size: int) -> Segment:
        """A spare whose room on the disk is already taken. Raises OSError, leaving nothing."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _reserve(fd, size)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return cls(path, fd, size)

    @classmethod
    def load(cls, path: Path) -> Segment:
        """What a process left behind: whole records are kept, a torn tail is not. Raises OSError.

        Without a readable header it is a spare (its process died before the first record).
        """
        fd = os.open(path, os.O_RDWR)
        segment = cls(path, fd, os.fstat(fd).st_size)
        try:
            segment._recover()
        except OSError:
            os.close(fd)
            raise
        return segment

    def reserve(self, size: int) -> None:
        """Make sure that a spare's room on the disk is taken. Raises OSError."""
        _reserve(self._fd, size)
        self.size = size

    def start(self, number: int) -> None:
        """Begin a life with this number, empty. Raises OSError."""
        identity = _IDENTITY.pack(_MAGIC, number)
        header = identity + _CRC.pack(crc32(identity)) + _drained_field(number, HEADER_BYTES)
        _write(self._fd, header, 0)
        self.number = number
        self.end = self.drained = HEADER_BYTES
        self.pending = 0

    def append(self, record: bytes) -> int:
        """Write one record with one call and return where it ends. Raises OSError.

        After an error the place is written again by the next append.
        """
        end, size = self.end, len(record)
        frame = _FRAME.pack(size, crc32(record, _seed(self.number, end))) + record
        if os.pwrite(self._fd, frame, end) < len(frame):
            _write(self._fd, frame, end)
        self.end = end = end + _FRAME.size + size
        self.pending += 1
        return end

    def append_all(self, records: list[bytes]) -> int:
        """As `append` of each, with one call."""
        end = self.end
        written: bytes | None = _frames(records, self.number, end) if _frames else None
        if written is None:
            written = framed(records, self.number, end)
        if os.pwrite(self._fd, written, end) < len(written):
            _write(self._fd, written, end)
        self.end = end = end + len(written)
        self.pending += len(records)
        return end

    def read(self, limit: int) -> tuple[list[bytes], int]:
        """Up to `limit` records from `drained` on, and where the last of them ends.

        Raises OSError, DamagedSegment.
        """
        start, end = self.drained, self.end
        data = os.pread(self._fd, min(end - start, READ_BYTES + RECORD_LIMIT_BYTES), start)
        records: list[bytes] = []
        at = 0
        while len(records) < limit and start + at < end:
            record = _record(data, at, self.number, start)
            if record is None:
                break
            records.append(record)
            at += _FRAME.size + len(record)
        if not records and start < end:
            raise DamagedSegment(f"{self.path} cannot be read from byte {start} on")
        return records, start + at

    def mark(self, drained: int) -> None:
        """Remember on disk that everything before `drained` is safe elsewhere. Raises OSError.

        The caller then moves `drained` and `pending` itself, where both can be seen together.
        """
        _write(self._fd, _drained_field(self.number, drained), _DRAINED_AT)

    def close(self) -> None:
        os.close(self._fd)

    def delete(self) -> None:
        """Close and remove. Raises OSError when the file stays."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _recover(self) -> None:
        data = os.pread(self._fd, self.size, 0)
        identity = data[: _IDENTITY.size]
        crc = data[_IDENTITY.size : _IDENTITY.size + _CRC.size]
        if len(data) < HEADER_BYTES or crc != _CRC.pack(crc32(identity)):
            return
        magic, number = _IDENTITY.unpack(identity)
        if magic != _MAGIC or number == 0:
            return
        self.number = number
        # What is drained is not looked at: damage there must not hide what comes after it.
        at = self.drained = _drained_offset(data, number)
        while (record := _record(data, at, number, 0)) is not None:
            self.pending += 1
            at += _FRAME.size + len(record)
        self.end = at


def _reserve(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    # Where the call is missing (macOS), zeros take the room.
    have = os.fstat(fd).st_size
    while have < size:
        have += os.pwrite(fd, bytes(min(1024 * 1024, size - have)), have)


def _write(fd: int, data: bytes, at: int) -> None:
    done = os.pwrite(fd, data, at)
    while done < len(data):
        done += os.pwrite(fd, data[done:], at + done)


def framed(records: list[bytes], number: int, end: int) -> bytes:
    """Return records as segment `number` has them from `end` on."""
    frames: list[bytes] = []
    for record in records:
        frames += (_FRAME.pack(len(record), crc32(record, _seed(number, end))), record)
        end += _FRAME.size + len(record)
    return b"".join(frames)


def _seed(number: int, offset: int) -> int:
    # Odd factor: two lives of one file never give one offset the same seed (modulo 2**32 lives).
    return (number * 0x9E3779B1 + offset) & 0xFFFFFFFF


def _record(data: bytes, at: int, number: int, base: int) -> bytes | None:
    """The record at `data[at]`, where `data` begins at offset `base` of segment `number`."""
    if at + _FRAME.size > len(data):
        return None
    length, crc = _FRAME.unpack_from(data, at)
    start = at + _FRAME.size
    if not 0 < length <= RECORD_LIMIT_BYTES or start + length > len(data):
        return None
    record = data[start : start + length]
    return record if crc32(record, _seed(number, base + at)) == crc else None


def _drained_field(number: int, offset: int) -> bytes:
    # The number is part of it, so that a reused file never inherits a former life's mark.
    field = _DRAINED.pack(number, offset)
    return field + _CRC.pack(crc32(field))


def _drained_offset(data: bytes, number: int) -> int:
    """Where draining stopped; the beginning when that cannot be read (draining is idempotent)."""
    field = data[_DRAINED_AT : _DRAINED_AT + _DRAINED.size]
    crc_at = _DRAINED_AT + _DRAINED.size
    if data[crc_at : crc_at + _CRC.size] != _CRC.pack(crc32(field)):
        return HEADER_BYTES
    of, offset = _DRAINED.unpack(field)
    return int(offset) if of == number and offset >= HEADER_BYTES else HEADER_BYTES
