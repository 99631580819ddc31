"""`outlast replay`: a short day in words, as JSON, at a moment; and what cannot be played."""

from __future__ import annotations

import asyncio
import io
import json
from functools import partial
from pathlib import Path

import pytest

from outlast.cli import main
from outlast.config import load
from outlast.nouns import Notice, NoticeUpdate, Observation, Outcome
from outlast.observatory import history_tables as tables
from outlast.observatory.recording import record
from outlast.store.database import Database
from tests.observatory.incidents.days import GREEN, HEAD, failing

API = "anthropic/api/m"
RUMOUR = (
    '[[rumour]]\nat = 2026-03-02T12:40:00Z\nprovider = "anthropic"\nkind = "cause"\n'
    'en = "Squirrels."\nfr = "Des écureuils."\nsources = ["a blog"]\n'
)


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "OUTLAST_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    text = HEAD.format(end="13:20", seed=1) + failing(API, "12:20", "12:45", until="13:20") + "\n"
    Path("day.toml").write_text(text + GREEN + RUMOUR, encoding="utf-8")
    return "day.toml"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_without_a_file_it_lists_what_is_built_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay"]) == 0
    assert "2026-03-02    2 March 2026" in capsys.readouterr().out


def test_a_day_is_told_in_order_with_what_it_came_to(
    day: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", day]) == 0
    out = capsys.readouterr().out.replace("\u00a0", " ")
    story = ["2026-03-02 (UTC)", "No outage is known.", "Suspected: Anthropic API",
             "may be failing", "[unconfirmed] Squirrels.", "resolved · Healthy for 15 min",
             "What it came to", "never confirmed, not a word from the vendor",
             "Cause: unknown. None is claimed."]  # fmt: skip
    places = [out.find(words) for words in story]
    assert -1 not in places
    assert places == sorted(places)


def test_it_speaks_french(day: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", day, "--lang", "fr"]) == 0
    out = capsys.readouterr().out.replace("\u00a0", " ")
    for words in ("Panne soupçonnée : Anthropic API", "Des écureuils", "Bilan", "Cause : inconnue"):
        assert words in out


def test_programs_read_one_line_for_each_thing_said(
    day: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", day, "--json"]) == 0
    found = lines(capsys)
    kinds = {line["kind"] for line in found}
    assert kinds == {"headline", "update", "component", "forecast", "claim", "cause", "summary"}
    assert all(set(line["text"]) == {"en", "fr"} for line in found)  # type: ignore[call-overload]
    updates = [line["what"] for line in found if line["kind"] == "update"]
    assert updates[0] == "opened"
    assert updates[-1] == "resolved"


def test_until_shows_what_a_reader_would_have_seen_then(
    day: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", day, "--until", "12:30"]) == 0
    out = capsys.readouterr().out
    head, _, state = out.partition("What a reader sees at 12:30 UTC")
    assert "Squirrels" not in out
    assert "resolved" not in out
    assert "not confirmed yet" in state
    assert "requests failed in the last 5 minutes" in state
    assert head


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["replay", "nope"], "There is no file nope. Built in: 2026-03-02", 1),
        (["replay", "day.toml", "--until", "noon"], "noon is no time: write 12:30", 2),
        (["replay", "day.toml", "--since", "12:00"], "--since goes with --record", 2),
        (["replay", "day.toml", "--record", "x"], "name none to be played", 2),
        (["replay", "--record", "day.toml"], "exists already", 1),
        (["replay", "--record", "new.jsonl"], "Nothing was observed", 1),
        (["replay", "empty.jsonl"], "Nothing happens in it", 1),
        (["replay", "bad.jsonl"], "bad.jsonl:1 cannot be read", 1),
        (["replay", "bad.jsonl", "--until", "12:30"], "says no day", 2),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    day: str,
    arguments: list[str],
    words: str,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("empty.jsonl").write_text("", encoding="utf-8")
    Path("bad.jsonl").write_text("{\n", encoding="utf-8")
    assert main(arguments) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not Path("new.jsonl").exists()


T0 = 1_772_452_800.0


def observed() -> list[Observation | Notice]:
    """Three quarters of an hour: requests that fail from the tenth minute on, and a notice."""
    found: list[Observation | Notice] = []
    for number in range(450):
        at = T0 + 6 * number
        outcome = Outcome.SERVER_ERROR if number > 100 else Outcome.OK
        found.append(Observation(at, "attempt", API, outcome, id=f"a{number}"))
    stages = (("investigating", 1200.0), ("identified", 1800.0))
    for place, (_, after) in enumerate(stages):
        updates = tuple(NoticeUpdate(T0 + s, name, name) for name, s in stages[: place + 1])
        found.append(
            Notice(
                "anthropic",
                "page",
                "n1",
                "incident",
                "Elevated errors",
                stage=stages[place][0],
                components=(("Claude API (api.anthropic.com)", "partial_outage"),),
                updates=updates,
                started_at=T0 + 1200,
                fetched_at=T0 + after + 30,
                version=f"v{place}",
            )
        )
    return found


def test_what_the_service_observed_can_be_recorded_and_played(
    day: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fill() -> None:
        database = Database(load(None, {}).store_url)
        await database.write(partial(tables.insert, items=observed()))
        await database.close()

    asyncio.run(fill())
    assert main(["replay", "--record", "mine.jsonl"]) == 0
    assert "450 observations and 2 versions of notices" in capsys.readouterr().out
    ats = [json.loads(line)["at"] for line in Path("mine.jsonl").read_text().splitlines()]
    assert ats == sorted(ats)
    assert main(["replay", "mine.jsonl", "--json"]) == 0
    kinds = [line["what"] for line in lines(capsys) if line["kind"] == "update"]
    assert kinds[0] == "opened"
    assert "confirmed" in kinds
    assert kinds.count("vendor") == 2


def test_a_span_of_what_was_observed_is_recorded_without_the_rest(day: str) -> None:
    async def some() -> bytes:
        database = Database(load(None, {}).store_url)
        await database.write(partial(tables.insert, items=observed()))
        out = io.BytesIO()
        done = await record(database, out, T0 + 600, T0 + 1200)
        await database.close()
        assert (done.observations, done.notices) == (100, 0)
        return out.getvalue()

    ats = [json.loads(line)["at"] for line in asyncio.run(some()).splitlines()]
    assert (ats[0], ats[-1], len(ats)) == (T0 + 600, T0 + 1194, 100)
