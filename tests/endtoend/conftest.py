"""The place that tests of mistakes share; each file gets one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from outlast.config import ServerSettings
from outlast.nouns import Kind
from outlast.simulator import Script, Vendor
from tests.endtoend.place import Place
from tests.service import route, serving, settings, upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with Vendor(Script(seed=1)) as vendor:
        chosen = settings(
            tmp_path_factory.mktemp("place"),
            [
                upstream("here", Kind.ANTHROPIC, vendor.url),
                upstream("chat", Kind.OPENAI_CHAT, vendor.url),
            ],
            [
                route("m", "here/sim-large"),
                route("claude-opus-4-8", "here"),
                route("claude-sonnet-5", "here"),
                route("to-chat", "chat/gpt-5"),
                route("fickle", "here/a", "chat/gpt-5"),
            ],
            server=ServerSettings(header_limit_bytes=16_384),
        )
        async with serving(chosen, head_read_s=0.4) as running:
            yield Place(running, vendor)


@pytest_asyncio.fixture(loop_scope="module")
async def place(shared_place: Place) -> Place:
    shared_place.vendor.script = Script(seed=1)
    shared_place.vendor.requests.clear()
    return shared_place
