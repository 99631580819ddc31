"""When a process that died is started again, and when one that does nothing counts as dead. Pure:
the caller tells the time."""

from __future__ import annotations

FIRST_S = 0.1
MOST_S = 30.0
WELL_S = 60.0
"""Who lived for so long died of something new: it is started again at once."""
BEAT_S = 3.0
"""Between two questions to a process whether it is there."""
SILENT_BEATS = 7
"""Questions in a row without an answer after which it stands still: about twenty seconds, in which
no client's timeout has gone by and a disk that hung for a moment has come back."""


class Lives:
    """The lives of one place, one after another."""

    def __init__(self) -> None:
        self._short = 0
        """Short lives in a row."""

    def ended(self, lived_s: float) -> float:
        """A process lived for so long; return after how many seconds the next one begins."""
        self._short = 0 if lived_s >= WELL_S else self._short + 1
        return min(MOST_S, FIRST_S * 2.0 ** max(0, min(self._short, 20) - 1))


class Pulse:
    """Whether a process that is ready still does anything.

    Questions are counted, not seconds: where all processes were stopped together (a machine that
    slept), the first question afterwards is answered, however late it is.
    """

    def __init__(self) -> None:
        self._open = 0

    def asked(self) -> bool:
        """One more question, at its time; return whether it stands still."""
        self._open += 1
        return self._open > SILENT_BEATS

    def answered(self) -> None:
        self._open = 0
