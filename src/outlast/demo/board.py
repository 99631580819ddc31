"""What has happened so far: filled by clients and watch, read by whatever shows it. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from outlast.demo.seen import Seen
from outlast.demo.timeline import Page, Surface
from outlast.gateway.breaker import State
from outlast.nouns import Attempt, Outcome, Receipt

EVENTS_KEPT = 100
Sign = Literal["good", "bad", "note"]
_NO_FAILURE = {Outcome.OK, Outcome.LEFT, Outcome.CLIENT_GONE}
How = Literal["at_once", "moved", "resumed", "local", "failed"]


class Event(msgspec.Struct, frozen=True):
    """Something of note. `key` and `values`: of a sentence in texts.py."""

    at_s: float
    key: str
    values: dict[str, Any]
    sign: Sign = "note"


@dataclass
class Way:
    """One of the two ways to ask, counted by how it ended."""

    asked: int = 0
    whole: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Failures by kind; what they are is in `asking.Seen.failure`."""

    @property
    def failed(self) -> int:
        return self.reasons.total()

    @property
    def under_way(self) -> int:
        return self.asked - self.whole - self.failed

    def ended(self, failure: str) -> None:
        if failure:
            self.reasons[failure] += 1
        else:
            self.whole += 1


@dataclass
class Stream:
    """One client: its present answer, and the same question asked without Outlast."""

    client: int
    surface: Surface
    seen: Seen = field(default_factory=Seen)
    asking: bool = False
    direct: Seen = field(default_factory=Seen)
    direct_asking: bool = False


@dataclass
class VendorState:
    """What a vendor does (its last requests) and what its page says."""

    name: str
    recent: int = 0
    failed: int = 0
    refuses: bool = False
    page: Page = Page.OPERATIONAL


@dataclass
class BreakerState:
    name: str
    state: State = State.CLOSED
    left_s: float = 0.0


@dataclass
class Board:
    streams: list[Stream]
    vendors: list[VendorState]
    breakers: dict[str, BreakerState] = field(default_factory=dict)
    at_s: float = 0.0
    """Script time, seconds since the beginning of the day."""
    outlast: Way = field(default_factory=Way)
    direct: Way = field(default_factory=Way)
    hows: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    """Whole answers by the upstream that ended them."""
    attempts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    unrecorded: int = 0
    """Answers whose receipt could not be found: a defect of Outlast."""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    stopped: bool = False
    listener: Callable[[Event], None] | None = None

    def note(
        self, key: str, sign: Sign = "note", *, at_s: float | None = None, **values: Any
    ) -> None:
        """Note something now, or at another time of the day."""
        event = Event(self.at_s if at_s is None else at_s, key, values, sign)
        self.events.append(event)
        if self.listener is not None:
            self.listener(event)

    def answered(self, client: int, seen: Seen, receipt: Receipt | None) -> None:
        """Count an answer that came through Outlast, and note it if there is anything to note."""
        self.outlast.ended(seen.failure)
        if receipt is None:
            self.unrecorded += 1
            self.note("event_unrecorded", "bad", client=client)
        how = how_it_went(seen, receipt)
        self.hows[how] += 1
        if how != "failed" and receipt is not None:
            self.served[receipt.served_by.partition("/")[0]] += 1
        path = receipt.attempts if receipt is not None else ()
        match how:
            case "moved" | "local":
                self.note(f"event_{how}", "good", client=client, path=path)
            case "resumed" if receipt is not None:
                at = receipt.resumptions[0].at_char
                self.note("event_resumed", "good", client=client, path=path, at=at)
            case "failed":
                self.note("event_failed", "bad", client=client, failure=seen.failure)
            case _:
                pass

    @property
    def failed_attempts(self) -> int:
        return sum(n for (_, outcome), n in self.attempts.items() if outcome not in _NO_FAILURE)

    @property
    def lost(self) -> bool:
        """Whether an answer through Outlast, or its record, was lost."""
        return bool(self.outlast.failed or self.unrecorded)


def how_it_went(seen: Seen, receipt: Receipt | None) -> How:
    """By the client's own eyes first, then by the receipt."""
    if seen.failure:
        return "failed"
    if receipt is None:
        return "at_once"
    if receipt.resumptions:
        return "resumed"
    if receipt.served_by.partition("/")[0] == "local":
        return "local"
    first = min(receipt.attempts, key=lambda attempt: attempt.started_at, default=None)
    return "at_once" if first is None or first.outcome is Outcome.OK else "moved"


def sorted_attempts(path: tuple[Attempt, ...]) -> list[tuple[str, Outcome]]:
    """Return (upstream, outcome) of each attempt in order, without repetition."""
    steps: list[tuple[str, Outcome]] = []
    for attempt in path:
        step = (attempt.upstream, attempt.outcome)
        if step not in steps[-1:]:
            steps.append(step)
    return steps
