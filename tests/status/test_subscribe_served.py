"""Subscribing in a whole service: from the form to the mail, its link, the notice, one click."""

from __future__ import annotations

import asyncio
import email.policy
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest

from outlast.config import Settings
from outlast.config.sections import MailSettings
from outlast.observatory.notify_key import NAME, load_or_make
from outlast.observatory.push_sealing import application_key
from outlast.welcome import greeting
from tests.observatory.notify.servers import MailServer, mail_server, receiving
from tests.observatory.service.test_service import Reader, failing, house, open_house

FORM = {"content-type": "application/x-www-form-urlencoded"}


def with_mail(folder: Path, server: MailServer) -> Settings:
    mail = MailSettings(
        host="127.0.0.1", port=server.port, security="none", sender="news@status.example.org"
    )
    return msgspec.structs.replace(house(folder), mail=mail)


async def mails(server: MailServer, count: int) -> list[EmailMessage]:
    """The first `count` mails, as soon as there are so many."""
    async with asyncio.timeout(30):
        while len(server.mails) < count:
            server.came.clear()
            await server.came.wait()
    return [message_from_bytes(raw, policy=email.policy.default) for raw in server.mails]


async def post(reader: Reader, path: str, **fields: str) -> tuple[int, str]:
    url = reader.running.url + path
    body = urlencode(fields)
    async with reader.session.post(url, data=body, headers=FORM, allow_redirects=False) as answer:
        assert "set-cookie" not in answer.headers
        return answer.status, await answer.text()


async def test_somebody_subscribes_confirms_hears_once_and_leaves_with_one_click(
    tmp_path: Path,
) -> None:
    async with mail_server() as server, open_house(with_mail(tmp_path, server)) as reader:
        await reader.look()
        async with reader.session.get(reader.running.url + "/status?lang=en") as answer:
            assert '<a href="/status/subscribe?lang=en">' in await answer.text()
        status, text = await post(
            reader,
            "/status/subscribe?lang=fr",
            kind="email",
            target="ann@example.org",
            components="anthropic/api",
            lang="fr",
        )
        assert (status, "Presque fini" in text) == (200, True)
        (asked,) = await mails(server, 1)
        words = asked.get_content()
        link = "/status/subscribe/confirm?token=" + words.partition("confirm?token=")[2].split()[0]
        async with reader.session.get(reader.running.url + link) as answer:
            assert "Oui, prévenez-moi" in await answer.text()
        status, text = await post(reader, link)
        assert (status, "C&#39;est fait" in text) == (200, True)
        await failing(reader)
        _, notice = await mails(server, 2)
        assert notice["Subject"].startswith("Soupçonné")
        await reader.look()
        # RFC 8058: what a mail program sends when its reader presses "unsubscribe".
        leave = notice["List-Unsubscribe"].strip("<>")
        path = "/api/subscriptions/unsubscribe" + leave.partition("unsubscribe")[2]
        form = aiohttp.FormData({"List-Unsubscribe": "One-Click"}, default_to_multipart=True)
        url = reader.running.url + path
        async with reader.session.post(url, data=form, allow_redirects=False) as answer:
            assert answer.status == 200
        manage = "/status/subscribe/manage" + notice.get_content().partition("manage")[2].split()[0]
        async with reader.session.get(reader.running.url + manage + "&lang=en") as answer:
            assert "You will hear no more" in await answer.text()
        assert len(server.mails) == 2


async def test_the_page_is_named_when_the_service_starts_and_is_there(tmp_path: Path) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        chosen = reader.running.service.state.settings
        (named,) = [one.split()[0] for one in greeting(chosen, None) if "be told" in one]
        path = named.removesuffix(":").removeprefix(chosen.base_url)
        async with reader.session.get(reader.running.url + path) as answer:
            assert answer.status == 200
            assert '<form class="tall" method="post"' in await answer.text()


async def test_browsers_know_the_service_by_its_own_key_and_no_other_sees_it(
    tmp_path: Path,
) -> None:
    async with open_house(house(tmp_path)) as reader:
        await reader.look()
        async with reader.session.get(reader.running.url + "/status/subscribe") as answer:
            text = await answer.text()
        key = load_or_make(reader.running.service.state.settings.data_path)
        assert f'data-key="{application_key(key)}"' in text
        file = reader.running.service.state.settings.data_path / NAME
        assert file.stat().st_mode & 0o777 == 0o600
        async with reader.session.get(reader.running.url + "/status/push.js") as answer:
            assert answer.status == 200


@pytest.mark.parametrize("kind", ["slack", "webhook"])
async def test_a_receiver_that_refused_is_tried_again_by_the_button_of_its_page(
    tmp_path: Path, kind: str
) -> None:
    chosen = house(tmp_path, private_webhooks=True)
    async with receiving() as receiver, open_house(chosen) as reader:
        await reader.look()
        receiver.says(503)
        status, text = await post(reader, "/status/subscribe", kind=kind, target=receiver.url)
        assert status == 200
        await receiver.came.wait()
        manage = "/status/subscribe/manage" + text.partition("manage")[2].partition('"')[0]
        manage = manage.replace("&amp;", "&")
        token = manage.partition("token=")[2].partition("&")[0]
        observing = reader.running.service.observing
        assert observing is not None
        await observing.notifier.settled()
        assert (await reader.get(f"/api/subscriptions?token={token}"))["status"] == "unconfirmed"
        receiver.says(204)
        receiver.came.clear()
        status, text = await post(reader, manage, do="test")
        assert (status, "We send the test again now." in text) == (200, True)
        await receiver.came.wait()
        await observing.notifier.settled()
        assert (await reader.get(f"/api/subscriptions?token={token}"))["status"] == "active"
