"""Apprise, the real package, to a real receiver; and what is said where it is missing."""

from __future__ import annotations

import sys

import pytest

from outlast.observatory.channel_apprise import AppriseChannel, AppriseMissing
from outlast.observatory.notifying import Refused, Sent, Unknown
from outlast.observatory.subscribing import Channel
from tests.observatory.notify.people import AT, KEY, parcel, step, subscription
from tests.observatory.notify.servers import receiving

# Apprise still imports what Python 3.13 will not have.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

BASE = "https://status.example.org"


async def test_apprise_carries_a_message_to_what_it_knows() -> None:
    async with receiving() as receiver:
        target = receiver.url.replace("http://", "json://")
        one = parcel(*step("opened"), to=subscription(kind=Channel.APPRISE, target=target))
        assert await AppriseChannel(BASE, KEY).send(one, AT) == Sent()
        assert b"Suspected: Anthropic" in receiver.taken[0].body
        receiver.says(500)
        assert isinstance(await AppriseChannel(BASE, KEY).send(one, AT), Unknown)


async def test_what_apprise_does_not_know_is_refused_for_good() -> None:
    one = parcel(*step("opened"), to=subscription(kind=Channel.APPRISE, target="pigeon://coop"))
    result = await AppriseChannel(BASE, KEY).send(one, AT)
    assert isinstance(result, Refused)
    assert not result.again


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(AppriseMissing, match=r"pip install 'outlast\[apprise\]'"):
        AppriseChannel(BASE, KEY)
