"""When which feed is fetched from which of its addresses. Pure: answers and times in, plans out.

Polite: 900 s between two looks with validators (RFC 9110, 13.1: `If-None-Match`), 60-120 s while
other evidence says that something is wrong, and back. What refuses us (4xx, 429) is asked less,
never more, hurry or not; `retry-after` is obeyed up to a day. Chance comes in as a roll in [0, 1)
and only ever lengthens a wait.

A feed that cannot be read is *unreachable*: a state of its own, which is never "operational".
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from outlast.observatory.feeds.catalogue import Feed

BACKOFF_MAX_S = 4 * 3600.0
RETRY_AFTER_MAX_S = 86_400.0
HURRY_LASTS_S = 1800.0
SPREAD = 0.15
FIRST_AGAIN_S = 86_400.0
"""How long an alternative address is used before the first is tried again."""
UNREACHABLE_AFTER = 2
"""Rounds in a row in which every address failed."""
STALE_AFTER = 2.5
"""Usual waits without an answer after which what was read is no longer shown as current."""
START_SPREAD_S = 30.0

GOOD = frozenset({"ok", "unchanged"})


class Validators(msgspec.Struct, frozen=True):
    """What an address said its document was, to be asked whether it still is."""

    etag: str = ""
    last_modified: str = ""


class Answer(msgspec.Struct, frozen=True):
    """How one fetch ended."""

    kind: str
    """ok · unchanged · limited (429) · refused (other 4xx, a forbidden address) · failing (5xx) ·
    silent (no answer, TLS) · garbage (not a feed)"""
    reason: str = ""
    """In a few words, for the operator: `HTTP 405`."""
    retry_after_s: float | None = None
    validators: Validators = Validators()


class Turn(msgspec.Struct, frozen=True):
    """Fetch this now."""

    url: str
    validators: Validators


class Plan(msgspec.Struct, frozen=True):
    """Where one feed stands."""

    feed: Feed
    due_at: float
    address: int = 0
    """Which of the feed's addresses comes next."""
    started: int = 0
    """The address with which this round began: all others are tried before the round has failed."""
    known: tuple[Validators, ...] = ()
    """By address."""
    failures: int = 0
    """Rounds in a row that failed."""
    failing_since_at: float | None = None
    reason: str = ""
    tried_at: float | None = None
    read_at: float | None = None
    """When it was last read or confirmed to be unchanged; None: never."""
    hurried_until_at: float = 0.0
    not_before_at: float = 0.0
    """Whoever refused us is not asked before, in any hurry."""
    first_again_at: float = 0.0

    @property
    def unreachable(self) -> bool:
        return self.failures >= UNREACHABLE_AFTER

    def current(self, now: float) -> bool:
        """Whether what was read may be shown as how the vendor's page is now."""
        if self.read_at is None or self.unreachable:
            return False
        return now - self.read_at <= STALE_AFTER * self.feed.usual_s

    def turn(self) -> Turn:
        known = self.known[self.address] if self.address < len(self.known) else Validators()
        return Turn(self.feed.urls[self.address], known)


def begin(feed: Feed, now: float, roll: float) -> Plan:
    """Return the plan of a feed that was never fetched: soon, but not all feeds at once."""
    return Plan(
        feed=feed,
        due_at=now + START_SPREAD_S * roll,
        known=tuple(Validators() for _ in feed.urls),
    )


def hurry(plan: Plan, now: float, roll: float) -> Plan:
    """Look sooner for half an hour: other evidence says that something is wrong there."""
    soonest = now
    if plan.tried_at is not None:
        soonest = max(now, plan.tried_at + _spread(plan.feed.hurried_s, roll))
    due_at = max(plan.not_before_at, min(plan.due_at, soonest))
    return msgspec.structs.replace(plan, hurried_until_at=now + HURRY_LASTS_S, due_at=due_at)


def relax(plan: Plan) -> Plan:
    """Suspicion is over: the next wait is a usual one."""
    return msgspec.structs.replace(plan, hurried_until_at=0.0)


def answered(plan: Plan, answer: Answer, now: float, roll: float) -> Plan:
    """Return the plan after one fetch has ended."""
    if answer.kind in GOOD:
        return _good(plan, answer, now, roll)
    following = (plan.address + 1) % len(plan.feed.urls)
    # A 429 is about us, and the other address is often the same house: it ends the round.
    if answer.kind != "limited" and following != plan.started:
        return msgspec.structs.replace(
            plan, address=following, due_at=now, tried_at=now, reason=answer.reason
        )
    return _failed(plan, answer, now, roll)


def due(plans: Iterable[Plan]) -> Plan | None:
    """Return the plan that comes next; None without any."""
    return min(plans, key=lambda plan: plan.due_at, default=None)


def _good(plan: Plan, answer: Answer, now: float, roll: float) -> Plan:
    known = list(plan.known)
    if answer.kind == "ok" or answer.validators != Validators():
        known[plan.address] = answer.validators
    address, first_again_at = plan.address, plan.first_again_at
    if address == 0:
        first_again_at = 0.0
    elif not first_again_at:
        first_again_at = now + FIRST_AGAIN_S
    elif now >= first_again_at:
        address, first_again_at = 0, 0.0
    wait_s = _spread(_usual_s(plan, now), roll)
    return msgspec.structs.replace(
        plan,
        known=tuple(known),
        address=address,
        started=address,
        first_again_at=first_again_at,
        due_at=now + wait_s,
        not_before_at=0.0,
        tried_at=now,
        read_at=now,
        failures=0,
        failing_since_at=None,
        reason="",
    )


def _failed(plan: Plan, answer: Answer, now: float, roll: float) -> Plan:
    failures = plan.failures + 1
    refused = answer.kind in {"limited", "refused"}
    base_s = plan.feed.usual_s if refused else _usual_s(plan, now)
    # The first failed round waits as usual; each further one twice as long.
    wait_s = min(base_s * 2.0 ** min(failures - 1, 10), max(BACKOFF_MAX_S, plan.feed.usual_s))
    asked_s = min(max(answer.retry_after_s or 0.0, 0.0), RETRY_AFTER_MAX_S)
    due_at = now + max(_spread(wait_s, roll), asked_s)
    return msgspec.structs.replace(
        plan,
        address=0,
        started=0,
        due_at=due_at,
        not_before_at=due_at if refused or asked_s else 0.0,
        tried_at=now,
        failures=failures,
        failing_since_at=now if plan.failing_since_at is None else plan.failing_since_at,
        reason=answer.reason,
    )


def _usual_s(plan: Plan, now: float) -> float:
    return plan.feed.hurried_s if now < plan.hurried_until_at else plan.feed.usual_s


def _spread(wait_s: float, roll: float) -> float:
    return wait_s * (1 + SPREAD * roll)
