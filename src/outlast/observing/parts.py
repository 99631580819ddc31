"""What the observatory's composition is made from: settings in, its parts out."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn

import msgspec
import structlog

from outlast.config import Settings
from outlast.naming import api_component, provider_name
from outlast.nouns import Component, Kind
from outlast.observatory import channel_apprise, notify_key
from outlast.observatory.addresses import Rules
from outlast.observatory.channel_push import PushChannel
from outlast.observatory.channels import (
    Channel,
    SlackChannel,
    WebhookChannel,
    guarded_session,
)
from outlast.observatory.feeds.catalogue import BUILT_IN, CLOUDS, Feed
from outlast.observatory.notify_signing import KEY_BYTES
from outlast.observatory.operators import NAME as TOKEN_NAME
from outlast.observatory.operators import OperatorToken
from outlast.observatory.peer_http import secrets_of
from outlast.observatory.peers import PeerProblem
from outlast.observatory.probe_targets import Target
from outlast.observatory.subscribing import Channel as Kinds

if TYPE_CHECKING:
    from outlast.clock import Clock
    from outlast.gateway.inward import Inward
    from outlast.observatory.poller import Fetch
    from outlast.observatory.probe_events import Seen

log = structlog.get_logger(__name__)


def operator_of(settings: Settings) -> OperatorToken:
    """The operators' token: the file that the settings name, or one of the data folder."""
    named = settings.observatory.operator_token_file
    path = settings.resolve(named) if named else settings.data_path / TOKEN_NAME
    return OperatorToken(path, make=not named)


def key_and_channels(settings: Settings) -> tuple[bytes, dict[Kinds, Channel]]:
    """The key of notices, and the ways on which they leave. Without a key that can be used none
    does: what would be signed with another one could never be trusted again."""
    try:
        key = notify_key.load_or_make(settings.data_path)
    except (notify_key.BadKeyFile, OSError) as error:
        log.warning("notices_are_not_sent", reason=str(error))
        return secrets.token_bytes(KEY_BYTES), {}
    return key, channels_of(settings, key)


def providers_of(settings: Settings, targets: tuple[Target, ...]) -> tuple[str, ...]:
    """Whom we watch: the owners of our upstreams, and those that the settings name."""
    named = [Component.parse(target.component).provider for target in targets]
    return tuple(dict.fromkeys([*map(owner_of, settings.observatory.providers), *named]))


def owner_of(provider: str) -> str:
    """A provider's name as components and feeds know it."""
    return Component.parse(api_component(provider)).provider


def expected(targets: tuple[Target, ...], settings: Settings) -> list[str]:
    """Components that are shown from the start: surfaces, and our upstreams."""
    surfaces = [Component.parse(target.component).whole.name for target in targets]
    upstreams = [
        f"outlast/upstream/{provider_name(name)}"
        for name, upstream in settings.upstreams.items()
        if upstream.kind is not Kind.LOCAL or settings.local.enabled
    ]
    return list(dict.fromkeys([*surfaces, *upstreams]))


def feeds_of(settings: Settings, providers: tuple[str, ...]) -> list[Feed]:
    """The feeds to read: of the providers that we watch, of the clouds beneath, and the
    operator's own, which stand in for the built-in ones of the same provider."""
    wanted = settings.observatory
    own = [
        Feed(
            name=f"{provider}-own",
            provider=provider,
            urls=(url,),
            usual_s=wanted.feed_every_s,
        )
        for provider, url in wanted.feed_urls.items()
    ]
    named = {feed.provider for feed in own}
    built_in = [
        msgspec.structs.replace(feed, usual_s=max(feed.usual_s, wanted.feed_every_s))
        for feed in BUILT_IN
        if feed.provider not in named
        and (feed.provider in providers or (providers and feed.provider in CLOUDS))
    ]
    return [*own, *built_in]


def fetch_of(settings: Settings) -> Fetch:
    """How feeds are read. Loaded where they are: the client takes 9 MB."""
    wanted = settings.observatory
    if not wanted.feeds:
        return _off
    from outlast.observatory.fetching import Fetcher  # noqa: PLC0415

    # An operator's own addresses may be of this machine; they are no stranger's.
    return Fetcher(Rules(private=bool(wanted.feed_urls), plain=bool(wanted.feed_urls))).fetch


def check_of(
    settings: Settings, inward: Inward, clock: Clock
) -> Callable[[Target], Awaitable[Seen]]:
    """How one target is probed. Loaded where there are probes, as `fetch_of`."""
    if not settings.observatory.probes:
        return _off
    from outlast.observatory.probe_checks import Checks  # noqa: PLC0415

    return Checks(settings, inward, clock)


async def _off(*_: object, **__: object) -> NoReturn:
    raise AssertionError("what is switched off is never asked")


def channels_of(settings: Settings, key: bytes) -> dict[Kinds, Channel]:
    """The ways on which notices can leave."""
    base, mail = settings.base_url, settings.mail
    private = settings.observatory.private_webhooks
    rules = Rules(private=private, plain=private)
    found: dict[Kinds, Channel] = {
        Kinds.WEBHOOK: WebhookChannel(base, key, lambda: guarded_session(rules)),
        Kinds.SLACK: SlackChannel(base, key, lambda: guarded_session(rules)),
    }
    push_rules = Rules(private=private)
    found[Kinds.PUSH] = PushChannel(
        base, key, lambda: guarded_session(push_rules), contact=mail.sender
    )
    if mail.host and not base.startswith("https://"):
        log.warning(
            "links_in_mails_lead_nowhere",
            reason="set server.public_url to the https address that people reach this service by",
        )
    if mail.host and mail.sender:
        # What sends mails is loaded where there is a server for them.
        from outlast.observatory.channel_mail import MailChannel, MailServer  # noqa: PLC0415

        server = MailServer(
            host=mail.host,
            port=mail.port,
            security=mail.security,
            sender=mail.sender,
            username=mail.username,
            password=_password(settings),
        )
        found[Kinds.EMAIL] = MailChannel(server, base, key)
    try:
        found[Kinds.APPRISE] = channel_apprise.AppriseChannel(base, key)
    except channel_apprise.AppriseMissing:
        log.debug("apprise_not_installed")
    return found


def networks(
    given: tuple[str, ...],
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Networks as they can be compared; what is none is said in the log and left out."""
    found = []
    for text in given:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError as error:
            log.warning("trusted_proxy_is_no_network", given=text, reason=str(error))
    return tuple(found)


def _password(settings: Settings) -> str:
    if not settings.mail.password_file:
        return ""
    try:
        return settings.resolve(settings.mail.password_file).read_text(encoding="utf-8").strip()
    except OSError as error:
        log.warning("mail_password_not_read", reason=str(error))
        return ""


def peer_secrets(settings: Settings) -> dict[str, bytes]:
    try:
        return secrets_of(settings)
    except PeerProblem as problem:
        log.warning("peers_not_used", reason=str(problem))
        return {}
