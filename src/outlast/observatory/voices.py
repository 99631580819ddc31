"""What people say of one component within the last quarter of an hour. Pure.

One voice per reporter: who speaks again replaces what was said before, and "working for me" takes
back "not working". What the crowd weighs is capped by network, autonomous system and country
(capping.py); what is counted for each minute is scaled by the same, so that nobody is a crowd.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from outlast.nouns import Observation, Outcome
from outlast.observatory.capping import Tally

WINDOW_S = 900.0
VOICES_MAX = 20_000
REGION_MIN = 5
"""Reporters below which a region is not named."""


class Voice(msgspec.Struct, frozen=True):
    at: float
    network: str
    weight: int
    works: bool
    region: str


class Voices:
    def __init__(self) -> None:
        self._voices: OrderedDict[str, Voice] = OrderedDict()
        """By reporter, the one who spoke longest ago first."""
        self._against = Tally()
        self._for = Tally()
        self._minute: dict[int, float] = {}
        """New voices that say "not working", by minute, before caps."""
        self._minute_now = 0
        self.forgotten = 0
        """Voices that had no room."""

    def add(self, observation: Observation, now: float) -> None:
        """Take in a report. One without a reporter counts as one of its network."""
        self.expire(now)
        reporter = observation.reporter or f"network {observation.network}"
        before = self._voices.pop(reporter, None)
        if before is not None:
            self._remove(before)
        voice = Voice(
            now,
            observation.network or "..unknown",
            max(1, round(observation.weight)),
            observation.outcome is Outcome.OK,
            observation.region,
        )
        self._voices[reporter] = voice
        (self._for if voice.works else self._against).add(voice.network, voice.weight)
        if not voice.works and (before is None or before.works):
            minute = int(now // 60)
            self._minute[minute] = self._minute.get(minute, 0.0) + voice.weight
        if len(self._voices) > VOICES_MAX:
            _, oldest = self._voices.popitem(last=False)
            self._remove(oldest)
            self.forgotten += 1

    def expire(self, now: float) -> None:
        while self._voices:
            oldest = next(iter(self._voices.values()))
            if now - oldest.at <= WINDOW_S:
                break
            self._voices.popitem(last=False)
            self._remove(oldest)
        if (minute_now := int(now // 60)) != self._minute_now:
            self._minute_now = minute_now
            for minute in [one for one in self._minute if now - one * 60 > WINDOW_S + 120]:
                del self._minute[minute]

    def weight(self) -> float:
        """What "not working" weighs after caps, less what "working" does; never below 0."""
        return max(0.0, self._against.total() - self._for.total())

    def new_in(self, minute: int) -> float:
        """New voices of one minute (its number since the epoch), scaled as the caps scale all."""
        raw = self._minute.get(minute, 0.0)
        if not raw or not self._against.weight:
            return 0.0
        return raw * min(1.0, self.weight() / self._against.weight)

    def people(self) -> tuple[int, int]:
        """How many say that it does not work, and how many that it does."""
        works = sum(voice.works for voice in self._voices.values())
        return len(self._voices) - works, works

    def top_share(self) -> float:
        """The share of the largest network or autonomous system, before caps."""
        return max(self._against.shares())

    def regions(self) -> dict[str, int]:
        """Reporters by region, only where there are enough to hide each of them."""
        found: dict[str, int] = {}
        for voice in self._voices.values():
            if voice.region and not voice.works:
                found[voice.region] = found.get(voice.region, 0) + 1
        return {region: count for region, count in found.items() if count >= REGION_MIN}

    def first_at(self) -> float:
        """When the first of those who now say "not working" spoke; 0 without any."""
        return next((voice.at for voice in self._voices.values() if not voice.works), 0.0)

    def __len__(self) -> int:
        return len(self._voices)

    def _remove(self, voice: Voice) -> None:
        (self._for if voice.works else self._against).remove(voice.network, voice.weight)
