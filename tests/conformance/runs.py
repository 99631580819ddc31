"""One run: open a house, let a client loose in it, judge what came out."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from outlast.nouns import Format, Receipt
from outlast.simulator import Rejected, Script, Vendor
from tests.conformance import judging, process
from tests.conformance.cases import DISCOVERY, ENDPOINTS, Case
from tests.conformance.house import MODEL, House, opened
from tests.conformance.process import Wall
from tests.conformance.tools import CONTENT, FILE, Place, Tool, long_answers

TOOL_LIMIT_S = 90.0
SDK_LIMIT_S = 120.0


@dataclass(frozen=True)
class Client:
    """One row of the table."""

    name: str
    version: str
    format: Format
    program: Sequence[str]
    tool: Tool | None = None
    """A coding tool; None: an SDK."""


@dataclass
class Verdict:
    client: str
    case: str
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    checks: int = 0
    """Answers and files that were held to the truth."""
    kept: str = ""
    """Folder with everything there is about a run that failed."""

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass
class Bench:
    """What all runs share."""

    node_folder: Path
    evidence: Path
    wall: Wall


async def run(bench: Bench, client: Client, case: Case) -> Verdict:
    """Return the verdict on one client in one case. Never raises for what a client does."""
    folder = Path(tempfile.mkdtemp(prefix="outlast-conformance-"))
    verdict = Verdict(client.name, case.name)
    try:
        act = _tool if client.tool is not None else _sdk
        await act(bench, client, case, folder, verdict)
    except (OSError, TimeoutError, msgspec.MsgspecError, ValueError, Rejected) as error:
        verdict.problems.append(f"the run itself failed: {type(error).__name__}: {error}")
    finally:
        if verdict.problems:
            kept = bench.evidence / f"{client.name}-{case.name}".translate(_FILE_NAME)
            for name in ("home", "work"):
                shutil.rmtree(folder / name, ignore_errors=True)
            shutil.copytree(folder, kept, dirs_exist_ok=True)
            verdict.kept = str(kept)
        shutil.rmtree(folder, ignore_errors=True)
    return verdict


_FILE_NAME = str.maketrans({"/": "-", ":": "-", ">": "-", " ": "-"})


async def _tool(bench: Bench, client: Client, case: Case, folder: Path, verdict: Verdict) -> None:
    tool = client.tool
    assert tool is not None
    place = Place(folder / "home", folder / "work")
    temporary = folder / "tmp"
    for path in (place.home, place.work, temporary):
        path.mkdir()
    answers = long_answers(tool, place.work) if case.continuity else ()
    script = Script(answers=answers, show_reasoning=True, thinking_chars=120)
    async with opened(folder / "data", case, client.format, script) as house:
        call = tool.call(client.program[-1], house, place)
        command = [*client.program[:-1], *call.command]
        environment = {**bench.wall.environment(place.home, temporary), **call.environment}
        if case.name == DISCOVERY and tool.discovery is not None:
            environment |= tool.discovery[1]
        ended = await process.run(
            command, cwd=place.work, environment=environment, limit_s=TOOL_LIMIT_S
        )
    receipts = await house.receipts()
    verdict.seconds = ended.seconds
    verdict.checks = 1
    verdict.problems += judging.ended_well(ended, TOOL_LIMIT_S)
    verdict.problems += judging.file_is_there(place.work, FILE, CONTENT)
    verdict.problems += judging.called_once(house)
    verdict.problems += judging.shown_once(house, ended)
    verdict.problems += judging.receipts_true(house, receipts)
    if case.name == DISCOVERY and tool.discovery is not None:
        verdict.problems += judging.models_found(place.home / tool.discovery[0])
    if verdict.problems:
        (folder / "stdout.txt").write_text(ended.stdout, encoding="utf-8")
        (folder / "stderr.txt").write_text(ended.stderr, encoding="utf-8")
        _keep(folder, house, receipts)


async def _sdk(bench: Bench, client: Client, case: Case, folder: Path, verdict: Verdict) -> None:
    home, temporary = folder / "home", folder / "tmp"
    for path in (home, temporary):
        path.mkdir()
    async with opened(folder / "data", case, client.format) as house:
        order = {
            "url": house.url,
            "key": house.key,
            "model": MODEL,
            "surface": client.name.rpartition(" ")[2],
            "endpoints": case.name == ENDPOINTS,
        }
        ended = await process.run(
            client.program,
            cwd=bench.node_folder,
            environment=bench.wall.environment(home, temporary),
            limit_s=SDK_LIMIT_S,
            given=json.dumps(order).encode(),
        )
    receipts = await house.receipts()
    verdict.seconds = ended.seconds
    verdict.problems += judging.ended_well(ended, SDK_LIMIT_S)
    for line in ended.stdout.splitlines():
        told = json.loads(line)
        verdict.checks += 1
        _judge(told, house, client.format, verdict)
    if not verdict.checks:
        verdict.problems.append("the judge said nothing")
    if case.name != ENDPOINTS:
        verdict.problems += judging.receipts_true(house, receipts)
        verdict.problems += judging.image_arrived(house, _pixel(bench.node_folder))
    if verdict.problems:
        (folder / "stdout.txt").write_text(ended.stdout, encoding="utf-8")
        (folder / "stderr.txt").write_text(ended.stderr, encoding="utf-8")
        _keep(folder, house, receipts)


def _judge(told: dict[str, Any], house: House, own: Format, verdict: Verdict) -> None:
    found = [told["error"]] if told["error"] else []
    for number, one in enumerate(told["answers"]):
        found += [f"answer {number + 1}: {p}" for p in judging.sdk_answer(one, house, own)]
    verdict.problems += [f"{told['check']}: {problem}" for problem in found]


def _pixel(node_folder: Path) -> str:
    source = (node_folder / "common.mjs").read_text(encoding="utf-8")
    return source.partition("PIXEL =\n  '")[2].partition("'")[0]


def _keep(folder: Path, house: House, receipts: Sequence[Receipt]) -> None:
    encode = msgspec.json.encode
    (folder / "receipts.json").write_bytes(msgspec.json.format(encode(receipts)))
    seen = {
        name: [_seen(recorded) for recorded in vendor.requests]
        for name, vendor in _vendors(house).items()
    }
    (folder / "vendors.json").write_bytes(msgspec.json.format(encode(seen)))


def _vendors(house: House) -> dict[str, Vendor]:
    return {
        **dict(zip(("first", "second"), house.vendors, strict=False)),
        "aside": house.aside,
    }


def _seen(recorded: Any) -> dict[str, Any]:
    names = ("number", "at_s", "method", "path", "query", "status", "sent_bytes", "finished")
    shown = {name: getattr(recorded, name) for name in names}
    fault = recorded.fault.kind.value if recorded.fault is not None else None
    return {**shown, "fault": fault, "headers": recorded.headers, "body": recorded.body}
