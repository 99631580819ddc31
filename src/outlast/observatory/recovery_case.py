"""One outage as time to recovery knows it: when it began and ended, what was posted when. Pure.

Every question is asked *as of* a moment: what came later is not seen, so that a forecast can be
made again for any moment of the past and comes out the same.
"""

from __future__ import annotations

import math

import msgspec

POSTED = ("", "investigating", "identified", "monitoring")
"""Stages that tell incidents apart; "" is nothing posted yet, and so is any other word."""

MAX_STAGES = 100
"""Of each case the first stages and relapses count; a feed can be rewritten without end."""

_OFFICE_FROM_H, _OFFICE_TO_H = 10, 18
_OFFICE_UTC_S = -8 * 3600


class Case(msgspec.Struct, frozen=True):
    """One outage of one provider, over (`ended_at`) or still going on (None).

    All times are seconds since the epoch. Raises ValueError when they cannot be.
    """

    id: str
    """Unique; the same id again replaces what was known."""
    provider: str
    started_at: float
    ended_at: float | None = None
    """When it became healthy, and stayed so for 15 minutes; of a vendor's page: resolved."""
    stages: tuple[tuple[float, str], ...] = ()
    """When which stage was posted, in order of time."""
    relapsed_at: tuple[float, ...] = ()
    """When it came back after it had seemed over."""

    def __post_init__(self) -> None:
        times = [self.started_at, *(at for at, _ in self.stages), *self.relapsed_at]
        if self.ended_at is not None:
            times.append(self.ended_at)
        if not all(map(math.isfinite, times)):
            raise ValueError(f"outage {self.id!r}: a time is not a number of seconds")
        if self.ended_at is not None and self.ended_at < self.started_at:
            raise ValueError(f"outage {self.id!r}: it ends before it begins")
        if len(self.stages) > MAX_STAGES or len(self.relapsed_at) > MAX_STAGES:
            raise ValueError(f"outage {self.id!r}: more than {MAX_STAGES} stages or relapses")

    def stage(self, now: float) -> str:
        """What was posted last, as of `now`."""
        last = ""
        for at, stage in self.stages:
            if at <= now:
                last = stage
        return posted(last)

    def relapses(self, now: float) -> int:
        return sum(at <= now for at in self.relapsed_at)


def posted(stage: str) -> str:
    """The stage as forecasts tell it apart."""
    return stage if stage in POSTED else ""


def changed_at(old: Case | None, new: Case) -> float:
    """The first moment at which somebody who watched would have seen a difference."""
    if old is None:
        return new.started_at
    if (old.provider, old.started_at) != (new.provider, new.started_at):
        return min(old.started_at, new.started_at)
    times = [at for at, _ in set(old.stages) ^ set(new.stages)]
    times += set(old.relapsed_at) ^ set(new.relapsed_at)
    if old.ended_at != new.ended_at:
        times += [at for at in (old.ended_at, new.ended_at) if at is not None]
    return min(times, default=math.inf)


def in_office(at: float) -> bool:
    """Whether it is 10 to 18 o'clock on a weekday in California (UTC-8 all year).

    Most vendors of language models work there. Of 538 incidents to 2024-08, those announced in
    these hours were over sooner; it is worth 1 % of the CRPS at the first notice.
    """
    local_s = at + _OFFICE_UTC_S
    weekday = (local_s // 86400 + 3) % 7  # the epoch was a Thursday
    return weekday < 5 and _OFFICE_FROM_H <= local_s % 86400 / 3600 < _OFFICE_TO_H
