"""What a service has in memory: nothing that its settings do not ask for, and nothing too late."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from outlast.simulator import Script, Vendor
from tests.endtoend.launcher import Launched, configuration, environment, launched
from tests.raw import ask
from tests.store.children import SOURCES

OF_OTHERS = (
    "aiohttp",  # feeds, probes, peers, notices, the embedded model, the other transport
    "aiosmtplib",
    "apprise",
    "cryptography",  # web push
    "cyclopts",  # help, and words that are wrong
    "greenlet",
    "outlast.local.service",
    "outlast.workers.supervisor",
    "psycopg",
    "rich",  # the bar of a download
    "sqlalchemy.dialects.postgresql",
)
QUIET = "\n[observatory]\nfeeds = false\nprobes = false\n"
TELL = """
import atexit, sys
atexit.register(lambda: [print("loaded", name, flush=True) for name in sorted(sys.modules)])
"""
OTHER = """
[upstreams.gone]
kind = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
key_env = "HERE_KEY"
"""
BOTH = '[[routes]]\nmodel = "both"\ncandidates = ["gone", "here"]\n'
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(Script(seed=1)) as vendor:
        yield vendor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Whose process says at its end what it has loaded."""
    (tmp_path / "sitecustomize.py").write_text(TELL, "utf-8")
    return tmp_path


@contextmanager
def started(folder: Path, vendor: Vendor, name: str, more: str = QUIET) -> Iterator[Launched]:
    config = folder / f"{name}.toml"
    config.write_text(configuration(vendor.url) + OTHER + BOTH + more, "utf-8")
    where = os.pathsep.join([str(folder), SOURCES])
    with launched(folder / name, config, environ=environment(PYTHONPATH=where)) as service:
        yield service


def ended(service: Launched) -> set[str]:
    """End it, and return what it had loaded."""
    service.send(signal.SIGTERM)
    assert service.end() == 0
    service.drained()
    found = {line.split()[1] for line in service.lines if line.startswith("loaded ")}
    assert "outlast.app" in found
    return found


async def test_what_nobody_asked_for_is_not_loaded(folder: Path, vendor: Vendor) -> None:
    with started(folder, vendor, "idle") as service:
        found = ended(service)
    assert found.isdisjoint(OF_OTHERS), found.intersection(OF_OTHERS)


async def test_no_answer_waits_for_something_to_be_loaded(folder: Path, vendor: Vendor) -> None:
    with started(folder, vendor, "idle") as service:
        idle = ended(service)
    with started(folder, vendor, "asked") as service:
        for path, model, stream in (
            (MESSAGES, "m", False),
            (CHAT, "m", True),
            (MESSAGES, "both", True),
            (CHAT, "both", False),
        ):
            body = {
                "model": model,
                "stream": stream,
                "max_tokens": 50,
                "messages": [{"role": "user", "content": "Hi"}],
            }
            raw, key = msgspec.json.encode(body), {"x-api-key": service.key}
            assert (await ask(service.url, "POST", path, key, raw)).status == 200
        asked = ended(service)
    assert asked <= idle, sorted(asked - idle)


async def test_what_probes_vendors_is_loaded_at_the_start(folder: Path, vendor: Vendor) -> None:
    with started(folder, vendor, "watching", "\n[observatory]\nfeeds = false\n") as service:
        found = ended(service)
    assert {"aiohttp", "outlast.observatory.probe_checks"} <= found
