"""A real browser before real pages: what the tests of pages share."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from outlast.observatory.board import Board
from outlast.status.http import StatusPages
from outlast.status.stage import Nothing, StageClock
from outlast.status.view import Snapshot

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"phone": (320, 700), "desktop": (1280, 900)}
SHOTS = Path(os.environ.get("SHOTS") or Path(__file__).with_name("shots"))
"""Where the screenshots of a run are kept; git knows nothing of them."""

needs_browser = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]


class Source:
    """A source that shows what it is told to."""

    def __init__(self, view: Snapshot) -> None:
        self.version = 0
        self.view = view

    def now(self) -> Snapshot:
        return self.view

    def show(self, view: Snapshot) -> None:
        self.view = view
        self.version += 1


class Served:
    """An ASGI application on a real port, in a thread of its own."""

    def __init__(self, app: Any) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self.server.serve(sockets=[self.listener]))

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()


class Site(Served):
    """The status pages, showing whatever a test wants."""

    def __init__(self, view: Snapshot, *more: BaseRoute) -> None:
        self.source = Source(view)
        pages = StatusPages(self.source, Board(), Nothing(), StageClock())  # type: ignore[arg-type]
        super().__init__(Starlette(routes=[*more, *pages.routes()], middleware=pages.middleware()))

    def show(self, view: Snapshot) -> None:
        self.source.show(view)


def opened(
    browser: Browser,
    size: str = "desktop",
    scheme: str = "light",
    *,
    scripts: bool = True,
    bypass_csp: bool = False,
) -> BrowserContext:
    width, height = SIZES[size]
    return browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        java_script_enabled=scripts,
        bypass_csp=bypass_csp,
    )


def complaints(page: Page) -> list[str]:
    """What axe finds, in a line each."""
    page.evaluate(AXE)
    found = page.evaluate(
        "tags => axe.run({runOnly: {type: 'tag', values: tags}}).then(r => r.violations.map("
        "v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).slice(0, 3).join(' | ')))",
        WCAG,
    )
    return [str(one) for one in found]


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the whole page in SHOTS."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png", full_page=True)
