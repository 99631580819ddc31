"""What processes of a service tell each other: plain values."""

from __future__ import annotations

import msgspec

from outlast.local.prompt import Limits
from outlast.nouns import Candidate, Observation

MODEL = "model"
"""The bus topic, with the one key `model`: how the embedded model stands (ModelTold)."""


class Telling(msgspec.Struct, frozen=True):
    """From a worker to the observer."""

    place: int
    observations: tuple[Observation, ...]
    """Kept in the worker's journal already: told so that nobody has to wait for the database."""
    standing: tuple[tuple[Candidate, bool], ...]
    """A candidate of each upstream, and whether this worker would ask it now."""
    proven: dict[str, float]
    """When upstreams last answered whole, by name."""


class ModelTold(msgspec.Struct, frozen=True):
    """From the observer: the embedded model. `state` and `sentence` as /readyz says them."""

    state: str
    sentence: str
    limits: Limits = Limits()
    model_name: str = ""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a topic that is followed. Without a key: all of the state was said, or nothing is
    new."""

    key: str = ""
    value: bytes | None = None
