"""E-mail through a real SMTP conversation: what is written, and what each answer means."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest

from outlast.observatory.channel_mail import MailChannel, MailServer, write
from outlast.observatory.notify_signing import Purpose, read
from outlast.observatory.notify_texts import Links
from outlast.observatory.notifying import Parcel, Refused, Result, Sent, Unknown
from outlast.observatory.subscribing import Wanted
from tests.observatory.notify.people import AT, KEY, parcel, step, subscription
from tests.observatory.notify.servers import MailServer as Server
from tests.observatory.notify.servers import mail_server

BASE = "https://status.example.org"
FRENCH = Wanted(lang="fr")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with mail_server() as made:
        yield made


def channel(server: Server, **more: object) -> MailChannel:
    where = MailServer(
        host="127.0.0.1",
        port=server.port,
        security="none",
        sender="news@status.example.org",
        **more,  # type: ignore[arg-type]
    )
    return MailChannel(where, BASE, KEY)


def opened(wanted: Wanted | None = None) -> Parcel:
    return parcel(*step("opened"), to=subscription(wanted=wanted))


def parsed(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(found, EmailMessage)
    return found


async def test_a_mail_says_it_in_the_readers_language_and_how_to_leave(server: Server) -> None:
    assert await channel(server).send(opened(FRENCH), AT) == Sent()
    mail = parsed(server.mails[0])
    assert mail["To"] == "sub_1@example.org"
    assert mail["From"] == "Outlast <news@status.example.org>"
    assert mail["Subject"] == "Soupçonné : Anthropic : panne partielle (API)"
    assert mail["Message-ID"] == "<dlv_1@status.example.org>"
    assert mail["References"] == "<inc_a@status.example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = mail["List-Unsubscribe"].strip("<>")
    assert link.startswith(f"{BASE}/api/subscriptions/unsubscribe?token=")
    assert read(KEY, Purpose.LEAVE, link.partition("token=")[2], AT) == "sub_1"
    assert mail["Content-Language"] == "fr"
    assert mail["Date"] == "Mon, 02 Mar 2026 12:00:00 +0000"
    text = mail.get_content()
    assert "opened en mots" in text
    token = link.partition("token=")[2]
    assert f"{BASE}/status/subscribe/manage?token={token}" in text  # for who reads it
    assert f"{BASE}/status/incidents/inc_a" in text
    assert mail.get_content_charset() == "utf-8"
    assert all(sign < 128 for sign in server.mails[0])  # any server takes it


async def test_a_mail_to_confirm_has_its_link_and_no_list(server: Server) -> None:
    assert await channel(server).send(parcel(to=subscription()), AT) == Sent()
    mail = parsed(server.mails[0])
    token = mail.get_content().partition("confirm?token=")[2].split()[0]
    assert read(KEY, Purpose.CONFIRM, token, AT + 86_399) == "sub_1"
    assert mail["List-Unsubscribe"] is None


async def test_the_envelope_names_one_address_and_our_own_domain(server: Server) -> None:
    await channel(server).send(opened(), AT)
    assert server.seen[0] == "EHLO status.example.org"
    assert [one for one in server.seen if one.startswith("RCPT")] == ["RCPT TO:<sub_1@example.org>"]


@pytest.mark.parametrize(
    ("why", "replies", "result"),
    [
        ("it is greeted with a no", {"HELLO": "554 go away"}, Refused),
        ("our sender is refused: ours to mend", {"MAIL": "550 not you"}, True),
        ("the mailbox is full today", {"RCPT": "452 full"}, True),
        ("there is no such mailbox", {"RCPT": "550 unknown"}, False),
        ("it will not take a text now", {"DATA": "451 later"}, True),
        ("it refuses the text for good", {".": "554 spam"}, False),
        ("it puts the text off", {".": "451 greylisted"}, True),
        ("it hangs up before the text", {"RCPT": "hang up"}, True),
    ],
)
async def test_what_the_server_surely_has_not_is_refused(
    server: Server, why: str, replies: dict[str, str], result: object
) -> None:
    server.replies = replies
    found = await channel(server).send(opened(), AT)
    assert isinstance(found, Refused), why
    if isinstance(result, bool):
        assert found.again is result, why
    assert server.mails == []
    assert "example.org" not in found.why  # what is kept of it names nobody


async def test_a_server_that_hangs_up_after_the_text_may_have_it(server: Server) -> None:
    server.replies = {".": "hang up"}
    assert isinstance(await channel(server).send(opened(), AT), Unknown)
    assert len(server.mails) == 1


async def test_no_server_at_all_is_a_definite_no(server: Server) -> None:
    where = MailServer(host="127.0.0.1", port=1, security="none", sender="news@example.org")
    result: Result = await MailChannel(where, BASE, KEY).send(opened(), AT)
    assert isinstance(result, Refused)
    assert result.again


async def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for(server: Server) -> None:
    where = MailServer(
        host="127.0.0.1", port=server.port, security="starttls", sender="news@example.org"
    )
    assert isinstance(await MailChannel(where, BASE, KEY).send(opened(), AT), Refused)
    assert not any(one.startswith(("MAIL", "AUTH")) for one in server.seen)


async def test_a_password_is_not_shown_to_a_server_that_does_not_ask(server: Server) -> None:
    sending = channel(server, username="news", password="secret-word")
    result = await sending.send(opened(), AT)
    assert isinstance(result, Refused)
    assert "secret-word" not in result.why + " ".join(server.seen)


@pytest.mark.parametrize(
    "title",
    [
        "line\r\nBcc: all@example.org",
        "line\nX: y",
        "nul\x00",
        "\u202egnitrevni",
        "a" * 5000,
        "=?utf-8?q?a=0d=0aBcc:_all=40example.org?= b",
        "=?utf-8?b?YQ0KWDogeQ==?=",
    ],
)
async def test_nothing_in_a_title_becomes_a_header(server: Server, title: str) -> None:
    one = parcel(*step("opened", title={"en": title, "fr": title}))
    assert await channel(server).send(one, AT) == Sent()
    mail = parsed(server.mails[0])
    assert mail["Bcc"] is None
    assert mail["X"] is None
    assert "\u202e" not in mail["Subject"]
    assert len(mail["Subject"]) <= 120


def test_a_line_break_in_an_address_would_be_refused_by_the_mail_itself() -> None:
    """Addresses are checked when they come in; this is the second lock on that door."""
    one = parcel(*step("opened"), to=subscription(target="a@b.org\r\nBcc: c@d.org"))
    with pytest.raises(ValueError, match=r".+"):
        write(one, Links(BASE, "", f"{BASE}/x"), "news@example.org", AT)
