"""Subscriptions put together: one desk behind the API and the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.routing import BaseRoute

from outlast.clock import Clock
from outlast.config import Settings
from outlast.observatory.addresses import Rules
from outlast.observatory.operator_gate import Gate
from outlast.observatory.subscribe_http import SubscriptionsApi
from outlast.observatory.subscribing import Channel
from outlast.observatory.subscription_desk import Desk, Offer
from outlast.observing.parts import networks
from outlast.status.subscribe_http import SubscribePages
from outlast.status.view import Snapshot
from outlast.store.database import Database


class Subscriptions:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        key: bytes,
        kinds: Iterable[Channel],
        *,
        wake: Callable[[], None],
        gate: Gate,
        view: Callable[[], Snapshot],
    ) -> None:
        """`kinds`: the channels that are set up; `wake`: the notifier's; `view`: what the status
        page shows now."""
        wanted = settings.observatory
        offer = Offer(
            key=key,
            base=settings.base_url,
            kinds=tuple(kinds),
            rules=Rules(private=wanted.private_webhooks, plain=wanted.private_webhooks),
            trusted=networks(wanted.trusted_proxies),
        )
        desk = Desk(database, clock, offer, wake)

        def push_key() -> str:
            from outlast.observatory.push_sealing import application_key  # noqa: PLC0415 - large

            return application_key(key)

        self._api = SubscriptionsApi(desk, operator=gate.admits)
        self._pages = SubscribePages(desk, view, push_key)

    def routes(self) -> list[BaseRoute]:
        return [*self._api.routes(), *self._pages.routes()]
