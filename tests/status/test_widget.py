"""The widget: small, text alone, and at home on a foreign page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser

import msgspec
import pytest

from outlast.status import widget
from outlast.status.scope import Scope
from outlast.status.view import Snapshot
from tests.status.machine_house import BASE, NOW, failing, hostile, quiet, shot


class Tags(HTMLParser):
    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_it_is_small() -> None:
    assert len(widget.SCRIPT.encode()) < 4096
    assert len(gzip.compress(widget.SCRIPT.encode())) < 2048
    assert len(widget.frame(failing(), Scope(), "fr")) < 2048
    assert len(widget.data(failing(), Scope())) < 2048


def test_the_script_writes_texts_and_nothing_else() -> None:
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(",
                 "Function(", "cookie", "localStorage", "style=", "setAttribute(\"on"):  # fmt: skip
        assert word not in widget.SCRIPT
    assert "textContent" in widget.SCRIPT
    assert 'credentials: "omit"' in widget.SCRIPT


@pytest.mark.skipif(not shutil.which("node"), reason="needs node to read the script")
def test_the_script_is_one_that_an_engine_reads() -> None:
    done = subprocess.run(
        ["node", "--check", "-"], check=False, input=widget.SCRIPT.encode(), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


def test_what_it_reads_holds_both_languages_and_where_to_go_on() -> None:
    found = msgspec.json.decode(widget.data(failing(), Scope(provider="openai")))
    assert found["says"]["en"].startswith("OpenAI may be failing")
    assert found["says"]["fr"].startswith("OpenAI semble en panne")
    (incident,) = found["incidents"]
    assert incident["confirmed"] is False
    assert incident["url"]["fr"] == f"{BASE}/status/incidents/inc_suspected?lang=fr"
    assert found["url"]["en"] == f"{BASE}/status/openai?lang=en"


@pytest.mark.parametrize("snapshot", [quiet(), failing(), hostile()], ids=["calm", "bad", "evil"])
def test_the_frame_runs_no_script_and_its_style_is_the_one_that_its_policy_names(
    snapshot: Snapshot,
) -> None:
    body = widget.frame(snapshot, Scope(), "en")
    tags = Tags(body).found
    assert {tag for tag, _ in tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "p", "a",
    }  # fmt: skip
    assert not any(name.startswith("on") or name == "style" for _, had in tags for name in had)
    style = re.search(r"<style>(.*?)</style>", body.decode())
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = widget.policy(snapshot, Scope())
    assert f"'sha256-{digest}'" in policy
    assert "frame-ancestors *" in policy
    assert "default-src 'none'" in policy


def test_the_frame_says_when_it_is_out_of_date() -> None:
    body = widget.frame(shot(stale=True, at=NOW - 900), Scope(), "en").decode()
    assert "last brought up to date at 2026-03-02 12:15 UTC" in body


def test_where_nobody_has_looked_no_day_is_named() -> None:
    never = shot(stale=True, at=0.0)
    assert "1970" not in widget.frame(never, Scope(), "en").decode()
    assert msgspec.json.decode(widget.data(never, Scope()))["at"] is None
