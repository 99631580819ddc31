"""The desk of subscriptions: what may be asked of it, how often, and what it answers in words.

Behind both doors, the API (subscribe_http.py) and the pages for people (status/subscribe_http.py),
so that they cannot differ in what they allow. Whether an address is known is never said: the
answer to asking is the same, and what follows comes by mail. Who leaves is deleted. A token stands
for its subscription and nothing else.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from functools import partial

import msgspec
from sqlalchemy.exc import IntegrityError

from outlast.clock import Clock
from outlast.observatory import delivery_tables as book
from outlast.observatory import notify_signing as signing
from outlast.observatory import subscription_tables as people
from outlast.observatory.accepting import (
    PUBLIC,
    Asked,
    BadSubscription,
    Problem,
    accept,
    clean_keys,
    wishes,
)
from outlast.observatory.addresses import Rules
from outlast.observatory.networks import Groups, Network, label
from outlast.observatory.notify_signing import BadToken, Purpose
from outlast.observatory.subscribe_texts import say
from outlast.observatory.subscribing import Allowance, Channel, Subscription
from outlast.observatory.zones import is_zone
from outlast.store.database import Database

ASK_AT_ONCE, ASK_PER_HOUR = 5, 10
"""Subscriptions asked for from one network."""
ASK_ALL_AT_ONCE, ASK_ALL_PER_HOUR = 200, 2000
LINK_AT_ONCE, LINK_PER_HOUR = 30, 300
"""Links opened and buttons pressed of one subscription; links that are not ours, and tests of
webhooks, from one network."""


class Refusal(Exception):
    """What was asked for is not done. `texts` says why and what to do, in both languages."""

    def __init__(
        self,
        status: int,
        texts: dict[str, str],
        *,
        problems: tuple[Problem, ...] = (),
        wait_s: float = 0.0,
    ) -> None:
        """`status`: of HTTP; `problems`: field by field, where fields are at fault."""
        super().__init__(texts["en"])
        self.status = status
        self.texts = texts
        self.problems = problems
        self.wait_s = wait_s


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What can be subscribed to here, and how."""

    key: bytes
    base: str
    """The public address, without a slash at its end."""
    kinds: tuple[Channel, ...]
    """The channels that are set up."""
    rules: Rules = PUBLIC
    """Where webhooks may lead."""
    trusted: tuple[Network, ...] = ()
    """Proxies whose `x-forwarded-for` is believed."""


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription that was asked for and does not count yet."""

    subscription: Subscription
    token: str
    """Whoever has it can look at the subscription, change and end it. By mail alone: empty."""
    secret: str
    """What a webhook checks our signatures with. It is not stored, and shown this once."""


class Desk:
    def __init__(
        self, database: Database, clock: Clock, offer: Offer, wake: Callable[[], None]
    ) -> None:
        """`wake`: the notifier's, when there is something to send."""
        self._database = database
        self._clock = clock
        self.offer = offer
        self._wake = wake
        self._asking = Allowance(ASK_AT_ONCE, ASK_PER_HOUR)
        self._asking_all = Allowance(ASK_ALL_AT_ONCE, ASK_ALL_PER_HOUR)
        self._links = Allowance(LINK_AT_ONCE, LINK_PER_HOUR)

    def kinds(self, *, operator: bool = False) -> list[Channel]:
        """The channels that somebody may ask for: Apprise is for operators alone."""
        return [one for one in self.offer.kinds if operator or one is not Channel.APPRISE]

    async def ask(self, asked: Asked, sender: Groups, *, operator: bool = False) -> Opened:
        """Keep an unconfirmed subscription, and have its address asked. Raises Refusal."""
        try:
            kind, target, wanted = accept(
                asked,
                kinds=self.kinds(operator=operator),
                rules=self.offer.rules,
                is_zone=is_zone,
            )
        except BadSubscription as error:
            raise Refusal(400, error.texts, problems=error.problems) from error
        if not operator:
            self._limit(self._asking, sender.network)
            self._limit(self._asking_all, "")
        subscription = Subscription(
            id=f"sub_{secrets.token_hex(12)}",
            kind=kind,
            target=target,
            created_at=self._clock.wall(),
            wanted=wanted,
            keys=clean_keys(kind, asked.keys),
            asked_from="" if operator else self._from(sender),
        )
        try:
            await self._database.write(
                partial(people.ask, subscription=subscription, now=subscription.created_at)
            )
        except people.TooManySubscriptions as error:
            # A mailbox that was asked three times today gets no fourth mail, and nobody is told.
            if not (error.full is people.Full.ADDRESS and kind is Channel.EMAIL):
                raise Refusal(429, say(f"full {error.full}"), wait_s=3600.0) from error
        self._wake()
        return self._opened(subscription)

    def _opened(self, subscription: Subscription) -> Opened:
        key, one, kind = self.offer.key, subscription.id, subscription.kind
        return Opened(
            subscription=subscription,
            token="" if kind is Channel.EMAIL else signing.mint(key, Purpose.LEAVE, one),
            secret=signing.webhook_secret(key, one) if kind is Channel.WEBHOOK else "",
        )

    async def find(self, token: str, purpose: Purpose, sender: Groups) -> Subscription | None:
        """The subscription of a link; None: it is gone. Raises Refusal for what is no link."""
        wanted = self._read(token, purpose, sender)
        return await self._database.read(partial(people.find, subscription_id=wanted))

    async def confirm(self, token: str, sender: Groups) -> Subscription:
        """Raises Refusal; twice is no mistake."""
        wanted = self._read(token, Purpose.CONFIRM, sender)
        confirming = partial(people.confirm, subscription_id=wanted, now=self._clock.wall())
        try:
            found = await self._database.write(confirming)
        except IntegrityError:  # the same address, at the same moment, elsewhere: it is there now
            found = await self._database.write(confirming)
        if found is None:
            raise Refusal(404, say("used"))
        return found

    async def change(self, token: str, asked: Asked, sender: Groups) -> Subscription:
        """Take new wishes; whom they are told to stays as it is. Raises Refusal."""
        found = await self.find(token, Purpose.LEAVE, sender)
        if found is None:
            raise Refusal(404, say("used"))
        try:
            wanted = wishes(asked, found.kind, is_zone)
        except BadSubscription as error:
            raise Refusal(400, error.texts, problems=error.problems) from error
        changing = partial(people.change, subscription_id=found.id, wanted=wanted)
        changed = await self._database.write(changing)
        if changed is None:
            raise Refusal(404, say("used"))
        return changed

    async def leave(self, token: str, sender: Groups) -> Subscription | None:
        """Delete a subscription; what it was, None where it was gone. Raises Refusal."""
        wanted = self._read(token, Purpose.LEAVE, sender)
        found = await self._database.read(partial(people.find, subscription_id=wanted))
        await self._database.write(partial(people.remove, subscription_id=wanted))
        return found

    async def test(self, token: str, sender: Groups) -> None:
        """Try an address again that has not answered yet. Raises Refusal."""
        self._limit(self._links, sender.network)  # each one is a message to somebody
        wanted = self._read(token, Purpose.LEAVE, sender)
        again = partial(book.ask_again, subscription_id=wanted, now=self._clock.wall())
        if not await self._database.write(again):
            raise Refusal(404, say("used"))
        self._wake()

    def _read(self, token: str, purpose: Purpose, sender: Groups) -> str:
        """The id that a link's token stands for.

        Guesses are counted by network, true links by whose they are: a mail service presses the
        button for all its users from a few addresses (RFC 8058), and must never be turned away.
        """
        try:
            found = signing.read(self.offer.key, purpose, token, self._clock.wall())
        except BadToken as error:
            self._limit(self._links, sender.network)
            raise Refusal(404, error.texts) from error
        self._limit(self._links, found)
        return found

    def _from(self, sender: Groups) -> str:
        """Whose an unconfirmed subscription is: hashes, so that no address is kept."""
        key = self.offer.key
        return f"{label(key, 'around', sender.group)}.{label(key, 'network', sender.network)}"

    def _limit(self, allowance: Allowance, key: str) -> None:
        wait_s = allowance.wait_s(key, self._clock.monotonic())
        if wait_s > 0:
            raise Refusal(429, say("slower", minutes=math.ceil(wait_s / 60)), wait_s=wait_s)
