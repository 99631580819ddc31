"""The operators' pages through workers: any of them passes a sign-in on and keeps nothing of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.endtoend.launcher import launched
from tests.status.operator_house import Browser
from tests.workers.company import WORKERS, config_of, until

REQUESTS = 8 * WORKERS
"""So many on connections of their own that each worker has surely had some."""


async def test_a_session_holds_at_every_worker_and_for_its_browser_alone(tmp_path: Path) -> None:
    config, folder = tmp_path / "outlast.toml", tmp_path / "data"
    config.write_text(config_of("http://127.0.0.1:9"), "utf-8")
    with launched(folder, config) as service:
        async with asyncio.timeout(60):
            mine, stranger = Browser(service.url), Browser(service.url)
            try:

                async def observed() -> bool:
                    return (await mine.get("/operator")).status == 200

                await until(observed)
                token = (folder / "operator-token").read_text("ascii").strip()
                page = await mine.enter("Ada", token)
                assert "Signed in as Ada" in page.words
                for _ in range(REQUESTS):
                    page = await mine.get("/operator/audit", connection="close")
                    assert (page.status, "Ada signed in" in page.words) == (200, True)
                    assert "127.0.0.0/24" in page.words
                    page = await stranger.get("/operator/audit", connection="close")
                    assert (page.status, "Ada" in page.words) == (401, False)
            finally:
                await mine.session.close()
                await stranger.session.close()
