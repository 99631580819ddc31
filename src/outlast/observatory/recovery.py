"""When will it be over: forecasts of the time to recovery, with intervals that keep their word.

What is predicted is the time until a component is healthy and stays so for 15 minutes without a
relapse. Where nothing but a vendor's page is known of past outages, what is learned from is the
time from its first notice to "resolved"; that is what the figures of the benchmark are about.

Two parts. `recovery_curve` makes a distribution of the remaining time from outages that lasted
as long: by provider, elapsed time, posted stage, relapse and office hours. `recovery_band` moves
the ends of the 50 % and 80 % intervals so that they hold as often as they say, learning from
every outage when it is over. The distribution itself stays as it is: it is the sharper of the
two, and what keeps a promise over time need not be what scores best today.

Nothing from the future: every step asks what was known at its moment, outages that went on then
being censored. The same cases give the same forecasts, in whatever order they were learned.
Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable

import msgspec

from outlast.observatory.recovery_band import LANDMARKS_S, Bands, Settled
from outlast.observatory.recovery_case import Case, changed_at, in_office
from outlast.observatory.recovery_curve import Asked, Curve, curve, lasting

__all__ = ["NEEDED", "Case", "Curve", "Forecast", "Recovery", "State", "TooFew"]

NEEDED = 20
"""Fewer cases than this are no history."""
MAX_CASES = 1000
"""A forecast looks at so many cases, the latest that had begun."""
_SPARE = 200
"""Kept beyond those, so that a recent forecast can be settled as it was made."""


class Forecast(msgspec.Struct, frozen=True):
    """How long it still lasts, in seconds from now: low ≤ median ≤ high, 50 % within 80 %."""

    elapsed_s: float
    low_80_s: float
    low_50_s: float
    median_s: float
    high_50_s: float
    high_80_s: float
    n: int
    """Past cases behind it: those that lasted at least as long."""
    n_provider: int
    """Of these, the provider's own."""
    n_stage: int
    """Of these, those that had the same stage posted by then."""
    basis: str
    """What it was conditioned on: `provider=openai stage=identified relapsed=no office=yes`."""


class TooFew(msgspec.Struct, frozen=True):
    """Not enough history for a forecast."""

    n: int
    needed: int = NEEDED


class State(msgspec.Struct, frozen=True):
    """Everything a Recovery knows, as plain values: `Recovery.restored` takes it back."""

    cases: tuple[Case, ...]
    settled: tuple[tuple[Settled, ...], ...]


class Recovery:
    """All cases known so far, and how well their forecasts did.

    Learning an outage when it begins and again when it is over costs a few milliseconds; one that
    comes to be known late makes what was settled since be settled again. Building it anew from a
    thousand cases takes seconds: `state` and `restored` spare a restart that.
    """

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        self._known: dict[str, Case] = {}
        self._order: list[tuple[float, str]] = []
        self._bands = Bands()
        for case in cases:
            self._keep(case)
        self._settle_from(-math.inf)
        self._trim()

    @classmethod
    def restored(cls, state: State) -> Recovery:
        """Return one with that state, without settling anything again."""
        new = cls()
        for case in state.cases:
            new._keep(case)
        new._bands = Bands(state.settled)
        return new

    def state(self) -> State:
        cases = tuple(self._known[name] for _, name in self._order)
        return State(cases, self._bands.plain())

    def learn(self, case: Case) -> None:
        """Take in an outage that began, changed or is over.

        One that was over at once (a notice after the fact) says nothing of durations and is left.
        """
        full = len(self._order) >= MAX_CASES + _SPARE
        if full and (case.started_at, case.id) < self._order[0]:
            return
        old = self._known.get(case.id)
        if old == case or (old is None and case.ended_at == case.started_at):
            return
        since = changed_at(old, case)
        self._keep(case)
        self._settle_from(since)
        self._trim()

    def predict(
        self, provider: str, elapsed_s: float, stage: str, relapses: int, now: float
    ) -> Forecast | TooFew:
        """Say how long an outage still lasts that has lasted `elapsed_s`, from what is known.

        `stage` is what the vendor posted last ("" for nothing), `relapses` how often it came back.
        Nothing that happened after `now` is looked at.
        """
        asked = Asked(provider, stage, relapses > 0, in_office(now))
        found = self._curve(asked, max(0.0, elapsed_s), now)
        if isinstance(found, TooFew):
            return found
        limits = self._bands.between(max(0.0, elapsed_s), now).limits()
        low_80, low_50, median, high_50, high_80 = map(found.remaining_s, limits)
        return Forecast(
            elapsed_s=max(0.0, elapsed_s),
            low_80_s=low_80,
            low_50_s=low_50,
            median_s=median,
            high_50_s=high_50,
            high_80_s=high_80,
            n=found.n,
            n_provider=found.n_provider,
            n_stage=found.n_stage,
            basis=_basis(asked),
        )

    def distribution(
        self, provider: str, elapsed_s: float, stage: str, relapses: int, now: float
    ) -> Curve | TooFew:
        """Return the whole distribution behind `predict`: `quantile_s(level)` of what remains."""
        asked = Asked(provider, stage, relapses > 0, in_office(now))
        return self._curve(asked, max(0.0, elapsed_s), now)

    def _curve(self, asked: Asked, elapsed_s: float, now: float) -> Curve | TooFew:
        begun = bisect_left(self._order, (now, ""))
        names = self._order[max(0, begun - MAX_CASES) : begun]
        seen = lasting((self._known[name] for _, name in names), elapsed_s, now)
        n = sum(one.over for one in seen)
        return TooFew(n) if n < NEEDED else curve(seen, asked)

    def _keep(self, case: Case) -> None:
        old = self._known.pop(case.id, None)
        if old is not None:
            del self._order[bisect_left(self._order, (old.started_at, old.id))]
        if case.ended_at != case.started_at:
            self._known[case.id] = case
            insort(self._order, (case.started_at, case.id))

    def _settle_from(self, since: float) -> None:
        """Settle, in the order of their ends, all cases that ended at `since` or later."""
        self._bands.forget_from(since)
        ended = [
            (case.ended_at, name)
            for name, case in self._known.items()
            if case.ended_at is not None and case.ended_at >= since
        ]
        for ended_at, name in sorted(ended):
            self._settle(self._known[name], ended_at)

    def _settle(self, case: Case, ended_at: float) -> None:
        """Compare the end with the forecasts that were, or would have been, made on the way."""
        for landmark, elapsed_s in enumerate(LANDMARKS_S):
            asked_at = case.started_at + elapsed_s
            if asked_at >= ended_at:
                return
            asked = Asked(
                case.provider,
                case.stage(asked_at),
                case.relapses(asked_at) > 0,
                in_office(asked_at),
            )
            found = self._curve(asked, elapsed_s, asked_at)
            if isinstance(found, Curve):
                score = found.score_s(ended_at - asked_at)
                self._bands.settle(landmark, asked_at, ended_at, score)

    def _trim(self) -> None:
        while len(self._order) > MAX_CASES + _SPARE:
            _, name = self._order.pop(0)
            del self._known[name]


def _basis(asked: Asked) -> str:
    return (
        f"provider={asked.provider} stage={asked.stage or 'none'} "
        f"relapsed={'yes' if asked.relapsed else 'no'} office={'yes' if asked.office else 'no'}"
    )
