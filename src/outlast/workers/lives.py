"""When a process that died is started again. Pure: the caller tells the time."""

from __future__ import annotations

FIRST_S = 0.1
MOST_S = 30.0
WELL_S = 60.0
"""Who lived for so long died of something new: it is started again at once."""


class Lives:
    """The lives of one place, one after another."""

    def __init__(self) -> None:
        self._short = 0
        """Short lives in a row."""

    def ended(self, lived_s: float) -> float:
        """A process lived for so long; return after how many seconds the next one begins."""
        self._short = 0 if lived_s >= WELL_S else self._short + 1
        return min(MOST_S, FIRST_S * 2.0 ** max(0, min(self._short, 20) - 1))
