"""Evidence played again through the same deciders, on a clock that is told the time. Pure.

A step is something that happened at a moment. Between steps time passes as it does in the service:
a look every ten seconds. Played twice, it says the same twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from outlast.nouns import Observation
from outlast.observatory.feeds.reading import FeedPage
from outlast.observatory.watch import LOOK_EVERY_S, Said, Watch


class Unread(msgspec.Struct, frozen=True):
    """A vendor's page that could not be read."""

    provider: str
    reason: str


class Reread(msgspec.Struct, frozen=True):
    """A vendor's page that was read and says what it said."""

    provider: str


class Rumour(msgspec.Struct, frozen=True):
    """A claim that an operator enters by hand."""

    provider: str
    kind: str
    """cause · end · extent"""
    text: dict[str, str]
    sources: tuple[str, ...]


Happening = Observation | FeedPage | Unread | Reread | Rumour


class Step(msgspec.Struct, frozen=True):
    at: float
    what: Happening


def play(
    steps: Iterable[Step], watch: Watch, *, until_at: float | None = None
) -> Iterator[tuple[float, Said]]:
    """Yield what is said and when. `steps` must be in the order of their times."""
    tick_at: float | None = None
    for step in steps:
        if tick_at is None:
            tick_at = step.at
        while tick_at <= step.at:
            yield tick_at, watch.tick(tick_at)
            tick_at += LOOK_EVERY_S
        what = step.what
        if isinstance(what, Observation):
            watch.observe(what, step.at)
        elif isinstance(what, FeedPage):
            yield step.at, watch.page(what)
        elif isinstance(what, Reread):
            watch.page_unchanged(what.provider, step.at)
        elif isinstance(what, Unread):
            watch.page_failed(what.provider, what.reason, step.at)
        else:
            yield step.at, watch.rumour(what.provider, what.kind, what.text, what.sources, step.at)
    while tick_at is not None and until_at is not None and tick_at <= until_at:
        yield tick_at, watch.tick(tick_at)
        tick_at += LOOK_EVERY_S
