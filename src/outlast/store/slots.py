"""Which process owns which folder of the journal: numbered folders, each with a lock file.

The lock (flock) dies with its process, however that ends, so a folder whose lock can be taken
belongs to nobody alive. Lock files are never deleted: a lock on a deleted file guards nothing.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOT_LIMIT = 256
"""Processes on one folder at once."""


@dataclass(frozen=True)
class Slot:
    """A folder that is ours until `release`."""

    folder: Path
    lock_fd: int

    def segments(self) -> list[Path]:
        return sorted(self.folder.glob("*.seg"))

    def release(self) -> None:
        os.close(self.lock_fd)


def claim_free(root: Path) -> Slot:
    """The first folder that nobody alive owns. Raises OSError (no room, no permission)."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(SLOT_LIMIT):
        folder = root / str(number)
        folder.mkdir(mode=0o700, exist_ok=True)
        if (slot := _claim(folder)) is not None:
            return slot
    raise OSError(f"{SLOT_LIMIT} processes already use {root}")


def claim_orphans(root: Path, ours: set[Path]) -> Iterator[Slot]:
    """Folders of dead processes that still hold segments. Raises OSError."""
    for folder in sorted(root.iterdir()):
        if folder.name.isdigit() and folder not in ours and any(folder.glob("*.seg")):
            slot = _claim(folder)
            if slot is not None:
                yield slot


def _claim(folder: Path) -> Slot | None:
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        raise
    return Slot(folder, fd)
