"""What a way of telling needs is loaded while nobody is in a hurry, and only where it is used."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from outlast.clock import ManualClock
from outlast.observatory.notifier import Notifier
from outlast.observatory.notifying import Parcel, Result, Sent
from outlast.observatory.subscribing import Channel
from outlast.store.database import Database
from tests.observatory.notify.people import AT, KEY, Needless, add, subscription
from tests.store.children import SOURCES
from tests.store.databases import sqlite_url

LOADS = """
import sys
from outlast.observatory.channel_push import PushChannel
from outlast.observatory.channels import WebhookChannel, guarded_session
before = {"aiohttp", "cryptography"} & set(sys.modules)
WebhookChannel("", b"", None).load()
after = {"aiohttp", "cryptography"} & set(sys.modules)
PushChannel("", b"", None).load()
sys.exit((before, after, "cryptography" in sys.modules) != (set(), {"aiohttp"}, True))
"""


class Way(Needless):
    def __init__(self) -> None:
        self.loads = 0

    def load(self) -> None:
        self.loads += 1

    async def send(self, parcel: Parcel, now: float) -> Result:
        return Sent()


async def test_ways_with_subscribers_are_loaded_once_before_there_is_news(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    mail, hook = Way(), Way()
    ways = {Channel.EMAIL: mail, Channel.WEBHOOK: hook}
    notifier = Notifier(database, ManualClock(AT), lambda: 0.5, ways, KEY)
    try:
        await database.write(partial(add, one=subscription(kind=Channel.EMAIL)))
        await notifier.step()
        await notifier.step()
        assert (mail.loads, hook.loads) == (1, 0)
    finally:
        await notifier.close()
        await database.close()


def test_a_way_of_telling_loads_its_client_and_nothing_else() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOADS], cwd=SOURCES, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
