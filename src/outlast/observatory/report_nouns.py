"""What is said of people's reports, from what somebody sends to what a crowd says. Pure."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from outlast.nouns import Observation
from outlast.observatory.capping import Tally
from outlast.observatory.proof import Proof


class Limits(msgspec.Struct, frozen=True):
    """Sizes and rates. Defaults are for one small machine that a whole country may ask."""

    window_s: float = 900.0
    refresh_s: float = 300.0
    """The same thing said again sooner than this adds nothing and is not stored."""
    voices: int = 200_000
    per_reporter_per_min: float = 6.0
    per_network_per_min: float = 60.0
    """More than a reporter's: a mobile operator has thousands of people behind one address."""
    networks: int = 50_000
    per_s: float = 6000.0
    flood_per_s: float = 5.0
    free_voices: int = 10
    """In a flood, voices of one network that need no proof of work: networks are hard to come by,
    further voices of one network cost an attacker nothing else."""


class Report(msgspec.Struct, frozen=True):
    """What somebody says, with keyed hashes in place of who and where."""

    component: str
    """`provider/surface`."""
    works: bool
    reporter: str
    network: str
    """`country.group.network`, as networks.network_label makes it."""
    model: str = ""
    region: str = ""
    symptom: str = ""
    id: str = ""
    """A keyed hash of the client's idempotency key and what it said; empty without one."""
    receipt: str = ""
    """A keyed hash of a receipt that exists."""
    receipt_ok: bool = False
    earlier_reporter: str = ""
    earlier_network: str = ""
    """The same with yesterday's secret: midnight makes nobody a second person."""
    proof: Proof | None = None


class Verdict(StrEnum):
    """What becomes of a report."""

    COUNTED = "counted"
    CHANGED = "changed"
    """It replaces what the same reporter said before."""
    AGAIN = "again"
    """Its voice counts already; nothing new."""
    ESTIMATED = "estimated"
    """Not kept singly: it is in the estimate."""
    CHALLENGED = "challenged"
    """The same, until a proof of work comes with it."""
    LIMITED = "limited"
    """This reporter says it too often. The voice counts."""
    SHED = "shed"
    """The service is flooded: nothing of it was kept but that it came."""


class Decision(msgspec.Struct, frozen=True):
    verdict: Verdict
    reason: str = ""
    """Why it is not counted singly: sample · network · proof · spent."""
    observation: Observation | None = None
    """To be stored before anybody is told that it counts; then `accept`."""
    retry_after_s: float = 0.0
    id: str = ""
    """Under which the voice is stored."""
    bits: int = 0
    """The challenge's difficulty."""
    carried: bool = False
    """A label of yesterday's is used."""
    reporter: str = ""
    """The key that the voice stands under: yesterday's where it began yesterday."""


class Crowd(msgspec.Struct, frozen=True):
    """What people say of one component within the window."""

    component: str
    window_s: float
    not_working: float = 0.0
    working: float = 0.0
    """Weights after the caps on networks, autonomous systems and countries."""
    people_not_working: int = 0
    people_working: int = 0
    """Distinct reporters; estimates where `scale` is above 1."""
    scale: int = 1
    """How many reporters a voice that comes now stands for."""
    shed: int = 0
    """Reports of the window that were not looked at singly."""
    top_network_share: float = 0.0
    top_group_share: float = 0.0
    """The largest network's and autonomous system's part of "not working", before caps."""
    regions: dict[str, int] = {}
    """Reporters who say that it does not work, by region, where they are enough to be hidden."""
    symptoms: dict[str, int] = {}
    hidden: bool = False
    """There are too few reporters to show anything of this region."""


class Voice(msgspec.Struct, gc=False):
    at: float
    used_until: float
    reporter: str
    component: str
    works: bool
    base: int
    level: int
    network: str
    model: str
    region: str
    symptom: str
    ids: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The components it speaks of: surface, model, region, and both."""
        whole = self.component
        if not self.model and not self.region:
            return (whole,)
        models = (whole, f"{whole}/{self.model}") if self.model else (whole,)
        if not self.region:
            return models
        return (*models, *(f"{name}@{self.region}" for name in models))


class Sides:
    """Both directions of one component."""

    __slots__ = ("people", "symptoms", "tallies", "voices")

    def __init__(self) -> None:
        self.tallies = (Tally(), Tally())
        """Not working, working; so are the others."""
        self.people = [0, 0]
        self.voices = [0, 0]
        self.symptoms: dict[str, int] = {}

    def count(self, voice: Voice, sign: int) -> None:
        """Add (`sign` 1) or take away (-1) a voice."""
        side, scale = int(voice.works), 1 << voice.level
        tally = self.tallies[side]
        (tally.add if sign > 0 else tally.remove)(voice.network, voice.base * scale)
        self.people[side] += sign * scale
        self.voices[side] += sign
        if voice.symptom and not voice.works:
            self.symptoms[voice.symptom] = self.symptoms.get(voice.symptom, 0) + sign * scale
