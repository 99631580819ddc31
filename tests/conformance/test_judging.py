"""The judges of the conformance run can say no: each is shown a good run, then a spoilt one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import pytest

from outlast.nouns import Format, Outcome, Receipt
from outlast.simulator import answer, read
from tests.conformance import judging
from tests.conformance.cases import BEFORE_CONTENT, Case, matrix
from tests.conformance.house import MODEL, House, opened
from tests.conformance.process import Ended

TOOL: dict[str, Any] = {
    "name": "Write",
    "input_schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}},
        "required": ["file_path", "content"],
    },
}
REFUSED = Case("refused", (Format.ANTHROPIC, Format.OPENAI_CHAT), BEFORE_CONTENT[0])
HEALTHY = Case("healthy", (Format.ANTHROPIC,))


@asynccontextmanager
async def talked(folder: Path, case: Case) -> AsyncIterator[tuple[House, str]]:
    """A house in which an agent has made one call, given its result and read the last answer."""
    async with opened(folder, case, Format.ANTHROPIC) as house:
        client = anthropic.AsyncAnthropic(base_url=house.url, api_key=house.key, max_retries=0)
        messages: list[Any] = [{"role": "user", "content": "Create the file a.txt, please."}]
        more: dict[str, Any] = {"model": MODEL, "max_tokens": 900, "tools": [TOOL]}
        async with client:
            async with client.messages.stream(messages=messages, **more) as stream:
                said = await stream.get_final_message()
            call = next(block for block in said.content if block.type == "tool_use")
            result = {"type": "tool_result", "tool_use_id": call.id, "content": "done"}
            messages += [
                {"role": "assistant", "content": said.content},
                {"role": "user", "content": [result]},
            ]
            async with client.messages.stream(messages=messages, **more) as stream:
                last = await stream.get_final_text()
        yield house, last


async def test_a_good_run_with_a_failing_upstream_has_no_problem(tmp_path: Path) -> None:
    async with talked(tmp_path, REFUSED) as (house, last):
        pass
    assert judging.called_once(house) == []
    assert judging.shown_once(house, Ended(0, f"\n{last}\n", "", 1.0)) == []
    assert judging.receipts_true(house, await house.receipts()) == []


async def test_an_answer_that_is_missing_or_there_twice_is_seen(tmp_path: Path) -> None:
    async with talked(tmp_path, HEALTHY) as (house, last):
        pass
    for screen in (last[:-2], last + last, last.replace(" ", " x ", 1)):
        assert judging.shown_once(house, Ended(0, screen, "", 1.0)), screen


async def test_a_call_that_was_made_twice_is_seen(tmp_path: Path) -> None:
    async with talked(tmp_path, HEALTHY) as (house, _):
        pass
    body = house.vendors[0].requests[-1].body
    assert body is not None
    body["messages"] += body["messages"][-2:]
    assert judging.called_once(house)


def _with_last(receipt: Receipt, **changes: Any) -> Receipt:
    last = msgspec.structs.replace(receipt.attempts[-1], **changes)
    return msgspec.structs.replace(receipt, attempts=(*receipt.attempts[:-1], last))


async def test_receipts_that_lie_are_seen(tmp_path: Path) -> None:
    async with talked(tmp_path, REFUSED) as (house, _):
        pass
    first, *others = await house.receipts()
    change = msgspec.structs.replace
    lies = {
        "a failure as a success": change(first, outcome="exhausted"),
        "another upstream": change(first, served_by="first/claude-opus-4-8"),
        "no failure": change(first, attempts=first.attempts[-1:]),
        "an attempt too many": change(first, attempts=(*first.attempts, first.attempts[-1])),
        "a failed end": _with_last(first, outcome=Outcome.STALLED),
        "no degradation": change(first, degraded="none"),
    }
    for lie, receipt in lies.items():
        told = [receipt, *others]
        if lie == "no failure":
            told = [change(one, attempts=one.attempts[-1:]) for one in told]
        assert judging.receipts_true(house, told), lie
    assert judging.receipts_true(house, [])


async def test_an_answer_other_than_the_truth_is_seen(tmp_path: Path) -> None:
    async with talked(tmp_path, HEALTHY) as (house, _):
        pass
    request = house.vendors[0].requests[0].body
    assert request is not None
    truth = answer(read("/v1/messages", request), house.scripts[0])
    calls = [{"id": "toolu_1", "name": c.name, "input": _value(c.arguments)} for c in truth.calls]
    got: dict[str, Any] = {
        "text": truth.text,
        "thinking": "",
        "calls": calls,
        "stop": "tool_use",
    }
    told = {"path": "/v1/messages", "request": request, "got": got}
    assert judging.sdk_answer(told, house, Format.ANTHROPIC) == []
    spoilt: tuple[dict[str, Any], ...] = (
        {"text": truth.text + "."},
        {"thinking": "I thought"},
        {"calls": []},
        {"calls": calls * 2},
        {"calls": [{**calls[0], "input": {}}]},
        {"stop": "end_turn"},
    )
    for change in spoilt:
        changed = {**told, "got": {**got, **change}}
        assert judging.sdk_answer(changed, house, Format.ANTHROPIC), change


def _value(arguments: str) -> Any:
    return msgspec.json.decode(arguments)


def test_the_file_must_be_there_alone_and_as_asked(tmp_path: Path) -> None:
    assert judging.file_is_there(tmp_path, "a.txt", "sea")
    (tmp_path / "a.txt").write_text("sea\n", encoding="utf-8")
    assert judging.file_is_there(tmp_path, "a.txt", "sea") == []
    assert judging.file_is_there(tmp_path, "a.txt", "shore")
    (tmp_path / "b.txt").touch()
    assert judging.file_is_there(tmp_path, "a.txt", "sea")


@pytest.mark.parametrize(
    ("code", "problems"), [(0, 0), (1, 1), (None, 1)], ids=["well", "an error", "the time limit"]
)
def test_a_tool_must_end_by_itself_and_well(code: int | None, problems: int) -> None:
    assert len(judging.ended_well(Ended(code, "", "why", 1.0), 90)) == problems


def test_the_models_that_a_tool_found_are_the_published_ones(tmp_path: Path) -> None:
    kept = tmp_path / "models.json"
    assert judging.models_found(kept)
    kept.write_text('{"models": []}', encoding="utf-8")
    assert judging.models_found(kept)


@pytest.mark.parametrize("own", list(Format))
def test_every_format_stands_behind_every_client_and_every_failure(own: Format) -> None:
    cases = matrix(own, continuity=True)
    assert len({case.name for case in cases}) == len(cases)
    assert {case.upstreams for case in cases if case.failure is None} == {(f,) for f in Format}
    failing: dict[str, set[Format]] = {}
    for case in cases:
        if case.failure is not None and case.upstreams[0] is own:
            failing.setdefault(case.failure.name, set()).add(case.upstreams[1])
    assert len(failing) == 8
    assert all(seconds == set(Format) for seconds in failing.values())
    assert not any(case.continuity for case in matrix(own))
