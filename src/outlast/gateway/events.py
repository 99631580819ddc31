"""What can happen to an exchange, and what it can ask for. Values only.

Time is a value in every event (`now`, monotonic seconds). Commands are carried out in order.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from outlast.gateway.asked import Prepared, Reply
from outlast.nouns import Candidate, Observation, Receipt
from outlast.outcome import Fault, Verdict

# -- events: what happened ---------------------------------------------------------------------


class HeadReceived(msgspec.Struct, frozen=True):
    attempt: int
    status: int
    headers: dict[str, str]
    now: float


class BytesReceived(msgspec.Struct, frozen=True):
    attempt: int
    data: bytes
    now: float


class BodyEnded(msgspec.Struct, frozen=True):
    """The upstream ended its body cleanly, as HTTP sees it."""

    attempt: int
    now: float


class AttemptBroke(msgspec.Struct, frozen=True):
    attempt: int
    fault: Fault
    now: float


class TimerFired(msgspec.Struct, frozen=True):
    timer: Timer
    now: float


class ClientGone(msgspec.Struct, frozen=True):
    now: float


class Interrupted(msgspec.Struct, frozen=True):
    """We stop: the time for draining is over."""

    now: float


class ClientSlow(msgspec.Struct, frozen=True):
    """The client took its time to read: meanwhile the upstream was not listened to."""

    now: float


Timer = Literal["watch", "keepalive", "deadline", "retry", "hedge", "flush"]
Event = (
    HeadReceived
    | BytesReceived
    | BodyEnded
    | AttemptBroke
    | TimerFired
    | ClientGone
    | ClientSlow
    | Interrupted
)

# -- commands: what to do ----------------------------------------------------------------------


class OpenAttempt(msgspec.Struct, frozen=True):
    attempt: int
    candidate: Candidate
    prepared: Prepared


class Abandon(msgspec.Struct, frozen=True):
    """Cancel this attempt at once; nothing of it is wanted any more."""

    attempt: int


class SetTimer(msgspec.Struct, frozen=True):
    """One timer of each name; setting it again moves it. `at` in monotonic seconds."""

    timer: Timer
    at: float


class SendHead(msgspec.Struct, frozen=True):
    """Begin a streamed reply."""

    status: int
    headers: dict[str, str]


class Forward(msgspec.Struct, frozen=True):
    data: bytes


class SendReply(msgspec.Struct, frozen=True):
    """Send a whole reply and end."""

    reply: Reply


class Observe(msgspec.Struct, frozen=True):
    """An attempt ended: exactly one for each OpenAttempt."""

    candidate: Candidate
    observation: Observation
    verdict: Verdict | None = None
    """None when it went well."""
    signed: tuple[str, ...] = ()
    """Signatures that the answer came with: this candidate's account can read them again."""
    refused: tuple[str, ...] = ()
    """Signatures that it could not read, as an answer without them proves."""


class Warm(msgspec.Struct, frozen=True):
    """The current attempt looks stalled: get a connection to this candidate ready."""

    candidate: Candidate


class Settle(msgspec.Struct, frozen=True):
    """Record the exchange, before its last bytes go out."""

    receipt: Receipt


class Close(msgspec.Struct, frozen=True):
    """End the streamed reply. Not `clean`: abort the connection, so that nobody mistakes an
    unfinished answer for a whole one (continuity.md 1.7)."""

    clean: bool


Command = (
    OpenAttempt
    | Abandon
    | SetTimer
    | SendHead
    | Forward
    | SendReply
    | Observe
    | Warm
    | Settle
    | Close
)
