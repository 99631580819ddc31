"""`outlast receipts`, with receipts in a real database."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

from outlast.cli import main
from outlast.config import load
from outlast.gateway import ledger_tables
from outlast.nouns import Attempt, Degraded, Format, Outcome, Receipt, Scope, Tokens
from outlast.store.database import Database

RECEIPT = Receipt(
    id="req_1",
    key_id="key_1",
    surface="/v1/messages",
    format=Format.ANTHROPIC,
    model="claude-x",
    stream=True,
    started_at=1_790_000_000.0,
    ended_at=1_790_000_002.5,
    outcome="ok",
    status=200,
    served_by="openai/gpt-x",
    degraded=Degraded.OTHER_MODEL,
    attempts=(
        Attempt(
            upstream="anthropic",
            model="claude-x",
            outcome=Outcome.OVERLOADED,
            scope=Scope.PROVIDER,
            started_at=1_790_000_000.0,
            ended_at=1_790_000_000.5,
            status=529,
            evidence="HTTP 529 overloaded_error",
        ),
        Attempt(
            upstream="openai",
            model="gpt-x",
            outcome=Outcome.OK,
            scope=Scope.NONE,
            started_at=1_790_000_000.5,
            ended_at=1_790_000_002.5,
            status=200,
            first_content_s=0.25,
            tokens=Tokens(input=10, output=20, estimated=True),
            request_id="theirs",
        ),
    ),
    dropped=("top_k",),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, whose database holds one receipt."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OUTLAST_CONFIG", raising=False)

    async def fill() -> None:
        database = Database(load(None, {}).store_url)
        await database.write(partial(ledger_tables.insert, receipts=[RECEIPT]))
        await database.close()

    asyncio.run(fill())
    return tmp_path


def test_the_list_says_who_served_and_how_it_ended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["receipts", "list"]) == 0
    told = capsys.readouterr().out
    assert "req_1  claude-x → openai/gpt-x  ok (200)  2.5 s  2 attempts  other-model" in told


def test_the_list_can_be_of_one_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["receipts", "list", "--key", "key_2"]) == 0
    assert "No receipts yet" in capsys.readouterr().out


@pytest.mark.parametrize("which", ["req_1", "/v1/receipts/req_1"])
def test_a_receipt_shows_every_attempt(
    which: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["receipts", "show", which]) == 0
    told = capsys.readouterr().out
    assert "1. anthropic/claude-x · overloaded · 0.50 s · HTTP 529 overloaded_error" in told
    assert (
        "2. openai/gpt-x · ok · 2.00 s · first content after 0.25 s · about 10 tokens in, 20 out"
        " · their id theirs" in told
    )
    assert "left out: top_k" in told


def test_a_script_gets_the_whole_receipt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["receipts", "show", "req_1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["degraded"] == "other-model"
    assert [attempt["status"] for attempt in told["attempts"]] == [529, 200]
