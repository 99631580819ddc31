"""What operators were told is done survives the death of the service at that moment."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from outlast.status.operator_forms import time_text
from tests.endtoend.launcher import Launched, configuration, launched
from tests.status.operator_house import Browser

QUIET = '\n[observatory]\nfeeds = false\nprobes = false\nproviders = ["anthropic"]\n'
WINDOWS = "/operator/maintenance"


async def test_kill_9_takes_neither_what_was_done_nor_who_was_refused(tmp_path: Path) -> None:
    config, folder = tmp_path / "outlast.toml", tmp_path / "data"
    config.write_text(configuration("http://127.0.0.1:9") + QUIET, "utf-8")
    with launched(folder, config) as service:
        key = service.key
        async with browsing(service) as browser:
            assert (await browser.enter("Eve", "not the token")).status == 403
            await enter(browser, folder)
            # The components are known when the service has looked for the first time.
            await shown(browser, WINDOWS, 'value="anthropic/api"')
            now = time.time()
            page = await browser.publish(
                WINDOWS,
                title_en="New database",
                components="anthropic/api",
                starts_at=time_text(now + 7200),
                ends_at=time_text(now + 10_800),
            )
            assert "Done." in page.words
        service.send(signal.SIGKILL)
        service.end()
    with launched(folder, config, key=key) as service:
        async with browsing(service) as browser:
            assert (await browser.get("/operator/audit")).status == 401
            await enter(browser, folder)
            audit = await browser.get("/operator/audit")
            assert "Ada announced maintenance" in audit.words
            assert "Eve was refused: wrong token" in audit.words
            # What is in the database is read in the background.
            await shown(browser, "/operator", "New database")


@asynccontextmanager
async def browsing(service: Launched) -> AsyncIterator[Browser]:
    browser = Browser(service.url)
    try:
        async with asyncio.timeout(60):
            yield browser
    finally:
        await browser.session.close()


async def enter(browser: Browser, folder: Path) -> None:
    token = (folder / "operator-token").read_text("ascii").strip()
    assert "Signed in as Ada" in (await browser.enter("Ada", token)).words


async def shown(browser: Browser, path: str, words: str) -> None:
    """Until a page has these words."""
    for _ in range(1000):
        if words in (await browser.get(path)).body:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{words!r} never stood at {path}")
