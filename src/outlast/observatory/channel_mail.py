"""E-mail through one SMTP server, the operator's own: what is written, and what its answers mean.

Up to the last dot of the text the server cannot have taken a mail over; from there to its answer
nobody knows (RFC 5321, 4.2.5 and 6.1: with 250 after the dot it is the server's). So only what
breaks between is unknown. A mail says that a machine wrote it (RFC 3834), and how to leave with
one click (RFC 2369, RFC 8058: a POST that needs no login, no cookie and no further question).
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Literal

import aiosmtplib
import msgspec

from outlast.observatory.channels import links_for
from outlast.observatory.notify_texts import Links, mail
from outlast.observatory.notifying import Parcel, Refused, Result, Sent, Unknown

STEP_S = 20.0
"""For each step of the conversation, the connection included."""
TRIED_AGAIN = range(400, 500)


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where mails leave; as in the settings, with the password read from its file."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    username: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    """Whom to believe; None: the machine's own authorities."""


class MailChannel:
    def __init__(self, server: MailServer, base: str, key: bytes) -> None:
        self._server = server
        self._base = base
        self._key = key

    async def send(self, parcel: Parcel, now: float) -> Result:
        links = links_for(parcel, self._base, self._key, now)
        content = write(parcel, links, self._server.sender, now).as_bytes()
        client = self._client()
        try:
            refused = await self._greet(client, parcel.subscription.target)
            if refused is not None:
                return refused
            return await _hand_over(client, content)
        finally:
            await _leave(client)

    def load(self) -> None:
        """Nothing: all is here."""

    async def close(self) -> None:
        """Nothing is kept open between two mails."""

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            username=server.username or None,
            password=server.password or None,
            local_hostname=server.sender.rpartition("@")[2],
            tls_context=server.tls,
            timeout=STEP_S,
        )

    async def _greet(self, client: aiosmtplib.SMTP, target: str) -> Refused | None:
        """Everything before the text. Whatever fails here, the server has no mail."""
        try:
            await client.connect()
            await client.mail(self._server.sender)
        except aiosmtplib.SMTPResponseException as error:
            # Of us, or of everyone: the operator's to mend, so it is tried again.
            return Refused(f"the mail server refuses us: {error.code}")
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return Refused(f"the mail server cannot be used: {type(error).__name__}")
        try:
            await client.rcpt(target)
        except aiosmtplib.SMTPResponseException as error:
            return Refused(f"the address is refused: {error.code}", again=error.code in TRIED_AGAIN)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Refused(f"the mail server went away: {type(error).__name__}")
        return None


async def _hand_over(client: aiosmtplib.SMTP, content: bytes) -> Result:
    try:
        await client.data(content)
    except aiosmtplib.SMTPResponseException as error:
        return Refused(f"the mail is refused: {error.code}", again=error.code in TRIED_AGAIN)
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        return Unknown(f"the mail server gave no answer: {type(error).__name__}")
    return Sent()


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say goodbye, or hang up: what is said now changes nothing."""
    try:
        if client.is_connected:
            async with asyncio.timeout(2.0):
                await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        pass
    finally:
        client.close()


def write(parcel: Parcel, links: Links, sender: str, now: float) -> EmailMessage:
    """The mail, as it leaves. Header values with line breaks are refused by the email package,
    and none comes here: addresses and titles were checked before. An encoded word (RFC 2047) in a
    title stays as it is written: the package would decode it first, with any line break in it."""
    said = mail(parcel, links)
    domain = sender.rpartition("@")[2]
    made = EmailMessage(policy=SMTP_POLICY)
    made["From"] = f"Outlast <{sender}>"
    made["To"] = parcel.subscription.target
    made["Subject"] = said.subject.replace("=?", "= ?")
    made["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    made["Message-ID"] = f"<{parcel.id}@{domain}>"
    if len(parcel.news) == 1:
        # One thread an incident, in clients that show threads.
        made["References"] = f"<{parcel.news[0].incident.id}@{domain}>"
    if parcel.news:
        made["List-Unsubscribe"] = f"<{links.leave}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(said.body, subtype="plain", charset="utf-8", cte="quoted-printable")
    made["Content-Language"] = parcel.subscription.wanted.lang
    return made
