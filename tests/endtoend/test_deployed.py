"""What deploy/ has: the unit for systemd, and nginx in front of the service."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outlast.config import ServerSettings
from outlast.simulator import Fault, FaultKind, Script, Vendor
from outlast.starting import CLOSE_S
from tests.endtoend.launcher import Launched, configuration, launched
from tests.raw import ask, hang_up
from tests.service import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
SYSTEMD = shutil.which("systemd-analyze")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
LIMIT_S = 30.0
MESSAGES = "/v1/messages"
OBSERVED = """
[observatory]
feeds = false
probes = false
trusted_proxies = ["127.0.0.1/32"]
"""


def unit() -> str:
    return (DEPLOY / "outlast.service").read_text("utf-8")


def test_the_port_that_systemd_holds_is_that_of_the_settings() -> None:
    usual = ServerSettings()
    held = (DEPLOY / "outlast.socket").read_text("utf-8")
    assert f"ListenStream={usual.host}:{usual.port}\n" in held
    assert f"server {usual.host}:{usual.port};" in (DEPLOY / "nginx.conf").read_text("utf-8")


def test_the_unit_gives_answers_the_time_to_end() -> None:
    (stop,) = re.findall(r"(?m)^TimeoutStopSec=(\d+)$", unit())
    assert int(stop) >= ServerSettings().drain_s + CLOSE_S
    (files,) = re.findall(r"(?m)^LimitNOFILE=(\d+)$", unit())
    assert int(files) >= 4 * ServerSettings().max_connections


@pytest.mark.skipif(SYSTEMD is None, reason="no systemd-analyze here")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    command = tmp_path / "outlast"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    made = tmp_path / "outlast.service"
    words = unit().replace("/opt/outlast/.venv/bin/outlast", str(command))
    made.write_text(words.replace("/opt/outlast/docs", str(DEPLOY.parent / "docs")), "utf-8")
    assert SYSTEMD is not None
    port = tmp_path / "outlast.socket"
    shutil.copy(DEPLOY / "outlast.socket", port)
    own = [SYSTEMD, "verify", "--man=no", str(made), str(port)]
    done = subprocess.run(own, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "outlast" in line]
    assert (done.returncode, said) == (0, [])


class Front:
    """nginx with deploy/nginx.conf, without its TLS, before a service."""

    def __init__(self, service: Launched, port: int) -> None:
        self.service = service
        self.url = f"http://127.0.0.1:{port}"
        self.port = port

    def body(self, **more: Any) -> bytes:
        said = {"role": "user", "content": more.pop("text", "Hi")}
        return msgspec.json.encode({"model": "m", "max_tokens": 500, "messages": [said], **more})


@contextmanager
def nginx_before(service: Launched, folder: Path) -> Iterator[int]:
    port = free_port()
    site = (DEPLOY / "nginx.conf").read_text("utf-8")
    site = site.replace("127.0.0.1:8400", f"127.0.0.1:{service.port}")
    site = re.sub(r"(?m)^ *(listen \[|ssl_).*\n", "", site)
    site, count = re.subn(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", site)
    assert count == 1
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {places}\n{site}\n}}",
        "utf-8",
    )
    assert NGINX is not None
    with subprocess.Popen([NGINX, "-c", str(config), "-e", f"{folder}/error.log"]) as process:
        try:
            until = time.monotonic() + LIMIT_S
            while not (folder / "pid").exists():
                assert time.monotonic() < until, (folder / "error.log").read_text("utf-8")
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(Script(seed=1)) as vendor:
        yield vendor


@pytest.fixture
def front(tmp_path: Path, vendor: Vendor) -> Iterator[Front]:
    if NGINX is None:
        pytest.skip("no nginx here: apt-get install nginx-light")
    config = tmp_path / "outlast.toml"
    config.write_text(configuration(vendor.url) + OBSERVED, "utf-8")
    with (
        launched(tmp_path / "data", config) as service,
        nginx_before(service, tmp_path) as port,
    ):
        yield Front(service, port)


async def test_words_pass_nginx_as_they_come(front: Front, vendor: Vendor) -> None:
    """The vendor falls silent after some of them: nobody on the way waits for the others."""
    silent = Fault(FaultKind.STALL, where="text", after_chars=60)
    vendor.script = Script(seed=1, chars=300, faults=(silent,))
    body, own = front.body(stream=True), f"x-api-key: {front.service.key}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    head = f"POST {MESSAGES} HTTP/1.1\r\nhost: x\r\n{own}content-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(LIMIT_S):
        await reader.readuntil(b"content_block_delta")
    await hang_up(writer)


async def test_what_coding_tools_send_is_not_too_long_for_nginx(front: Front) -> None:
    own = {"x-api-key": front.service.key, "content-type": "application/json"}
    reply = await ask(front.url, "POST", MESSAGES, own, front.body(text="long " * 1_000_000))
    assert reply.status == 200


async def test_a_reader_behind_nginx_is_no_neighbour_of_the_service(front: Front) -> None:
    """The metrics are for the machine itself; nginx is on it, and its readers are not."""
    assert (await ask(front.service.url, "GET", "/metrics")).status == 200
    far = {"x-forwarded-for": "203.0.113.9"}
    assert (await ask(front.url, "GET", "/metrics", far)).status == 401
    own = {**far, "x-api-key": front.service.key}
    assert (await ask(front.url, "GET", "/metrics", own)).status == 200


async def test_the_audit_has_the_network_of_the_reader_and_not_nginx_s(
    front: Front, tmp_path: Path
) -> None:
    wrong = {"authorization": "Bearer op_this_is_another_token_of_ours"}
    far = {"x-forwarded-for": "203.0.113.9"}
    assert (await ask(front.url, "GET", "/api/audit", wrong | far)).status == 401
    token = (tmp_path / "data" / "operator-token").read_text("utf-8").strip()
    own = {"authorization": f"Bearer {token}"}
    entries = (await ask(front.service.url, "GET", "/api/audit", own)).json()["entries"]
    assert [one["body"] for one in entries] == [{"network": "203.0.113.0/24"}]
