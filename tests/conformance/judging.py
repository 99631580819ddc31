"""What makes a run good: the client got the truth, and Outlast's receipts tell the truth.

Every function returns problems as sentences; no problem is no sentence. The truth is the
simulated vendors': what they would have answered to the client's own request without any fault.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from outlast.nouns import Format, Outcome, Receipt
from outlast.simulator import Answer, Ask, Recorded, Rejected, answer, read
from outlast.simulator.script import Script
from outlast.wire.canon import JSON
from tests.conformance.house import ASIDE, DISPLAY_NAME, MODEL, THERE, House, names
from tests.conformance.process import Ended

_STOPS: dict[str, dict[str, str]] = {
    "/v1/messages": {"end_turn": "end_turn", "tool_use": "tool_use", "max_tokens": "max_tokens"},
    "/v1/chat/completions": {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"},
    "/v1/responses": {"completed": "end_turn", "max_output_tokens": "max_tokens"},
}


def asks(requests: Iterable[Recorded]) -> list[tuple[Recorded, Ask]]:
    """Return what was asked of a vendor, as it understood it; refused requests are left out."""
    found = []
    for recorded in requests:
        if recorded.number and recorded.body is not None:
            try:
                found.append((recorded, read(recorded.path, recorded.body)))
            except (Rejected, KeyError, TypeError, ValueError, AttributeError):
                continue
    return found


def ended_well(ended: Ended, limit_s: float) -> list[str]:
    if ended.code is None:
        return [f"the tool had not ended after {limit_s:g} s"]
    if ended.code:
        words = " ".join((ended.stderr.strip() or ended.stdout.strip()).split())
        return [f"the tool exited with {ended.code}: {words[-300:]}"]
    return []


def file_is_there(work: Path, name: str, content: str) -> list[str]:
    """The one file that was asked for, with its content, and no other."""
    found = sorted(str(path.relative_to(work)) for path in work.rglob("*") if path.is_file())
    if name not in found:
        return [f"the file {name} is not there (found: {', '.join(found) or 'nothing'})"]
    problems = [f"there are other files: {', '.join(found)}"] if len(found) > 1 else []
    said = (work / name).read_text(encoding="utf-8", errors="replace")
    if said != content + "\n":
        problems.append(f"the file says {said[:100]!r}")
    return problems


def called_once(house: House) -> list[str]:
    """The longest conversation holds one call and its one result."""
    turns = [ask.turns for vendor in house.vendors for _, ask in asks(vendor.requests) if ask.turns]
    longest = max(turns, key=len, default=())
    calls = sum(len(turn.calls) for turn in longest)
    results = sum(len(turn.results) for turn in longest)
    if (calls, results) != (1, 1):
        return [f"the tool was called {calls} times and gave {results} results, instead of once"]
    return []


def shown_once(house: House, ended: Ended) -> list[str]:
    """The answer to the tool's result is on the screen, whole, once."""
    seen = [
        (recorded.at_s, ask, script)
        for vendor, script in zip(house.vendors, house.scripts, strict=True)
        for recorded, ask in asks(vendor.requests)
        if ask.turns[-1].results
    ]
    if not seen:
        return ["no request with the tool's result reached an upstream"]
    _, ask, script = min(seen, key=lambda one: one[0])
    truth = " ".join(answer(ask, script).text.split())
    count = " ".join(ended.stdout.split()).count(truth)
    if count != 1:
        return [f"the last answer is {count} times on the screen, instead of once"]
    return []


def models_found(kept: Path) -> list[str]:
    """Claude Code keeps what it took of the list: names that begin with `claude`."""
    if not kept.is_file():
        return [f"the tool has not asked for the models: there is no {kept.name}"]
    found = json.loads(kept.read_bytes()).get("models")
    wanted = [{"id": MODEL, "display_name": DISPLAY_NAME}]
    return [] if found == wanted else [f"the tool found {found}, instead of {wanted}"]


def receipts_true(house: House, receipts: Sequence[Receipt]) -> list[str]:
    """What the receipts say is what the vendors saw."""
    main = [receipt for receipt in receipts if receipt.served_by != f"{ASIDE}/sim-small"]
    problems = [] if main else ["there is no receipt"]
    for receipt in receipts:
        problems += _one_receipt(receipt, house)
    problems += _attempts(house, main)
    return problems


def _one_receipt(receipt: Receipt, house: House) -> list[str]:
    where = f"receipt {receipt.id} ({receipt.surface})"
    trail = ", ".join(f"{a.upstream}: {a.outcome} ({a.evidence})" for a in receipt.attempts)
    if receipt.outcome != "ok" or receipt.status != 200:
        said = f"{receipt.outcome}, {receipt.status}, {receipt.error!r}"
        return [f"{where} says {said}; attempts: {trail or 'none'}"]
    if not receipt.attempts or receipt.attempts[-1].outcome is not Outcome.OK:
        return [f"{where} says ok, but its last attempt does not: {trail}"]
    last = receipt.attempts[-1]
    if receipt.served_by != f"{last.upstream}/{last.model}":
        return [f"{where} was served by {receipt.served_by}, its last attempt by {last.upstream}"]
    wanted = "none"
    if last.upstream == "second":
        models = {THERE[form] for form in house.case.upstreams}
        wanted = "other-host" if len(models) == 1 else "other-model"
    if receipt.degraded != wanted:
        return [f"{where}: degraded is {receipt.degraded}, not {wanted}"]
    return []


def _attempts(house: House, receipts: Sequence[Receipt]) -> list[str]:
    attempts = [attempt for receipt in receipts for attempt in receipt.attempts]
    problems = []
    for name, vendor in zip(names(house.case), house.vendors, strict=True):
        mine = [attempt for attempt in attempts if attempt.upstream == name]
        arrived = [recorded for recorded in vendor.requests if recorded.number]
        reached = [a for a in mine if a.outcome is not Outcome.CONNECT_FAILED]
        if len(reached) != len(arrived):
            problems.append(
                f"the receipts tell of {len(reached)} requests to {name}, it saw {len(arrived)}"
            )
        problems += _unwanted(name, arrived)
    failure = house.case.failure
    if failure is None:
        return problems
    first = {attempt.outcome for attempt in attempts if attempt.upstream == "first"}
    allowed = failure.outcomes | ({Outcome.OK} if failure.continuity else set())
    if first - allowed:
        problems.append(f"the receipts call the failure {', '.join(sorted(first - allowed))}")
    if not first & failure.outcomes:
        problems.append("no receipt tells of the first upstream's failure")
    if not failure.continuity and any(
        attempt.outcome is not Outcome.OK for attempt in attempts if attempt.upstream == "second"
    ):
        problems.append("the receipts say that the second upstream failed")
    return problems


def _unwanted(name: str, arrived: Iterable[Recorded]) -> list[str]:
    """Requests that a vendor turned down: translations that it does not take."""
    problems = []
    for recorded in arrived:
        if recorded.fault is None and recorded.status != 200:
            why = ""
            try:
                answer(read(recorded.path, recorded.body or {}), Script())
            except Rejected as rejected:
                why = f": {rejected.message}"
            problems.append(f"{name} turned a request down with {recorded.status}{why}")
    return problems


def sdk_answer(told: Mapping[str, Any], house: House, own: Format) -> list[str]:
    """One answer as the SDK read it, held to the truth of the SDK's own request."""
    path, request, got = told["path"], told["request"], told["got"]
    truth = answer(read(path, _without_thinking(request)), house.scripts[-1])
    problems = []
    if got["text"] != truth.text:
        problems.append(f"text {got['text'][:120]!r} is not {truth.text[:120]!r}")
    problems += _calls(got["calls"], truth)
    stop = _STOPS[path].get(str(got["stop"]), str(got["stop"]))
    wanted = "end_turn" if path == "/v1/responses" and truth.stop == "tool_use" else truth.stop
    if stop != wanted:
        problems.append(f"stop reason is {got['stop']!r}, the truth is {truth.stop!r}")
    if got["thinking"] not in {truth.thinking, ""}:
        problems.append(f"thinking {got['thinking'][:120]!r} is not {truth.thinking[:120]!r}")
    shown = house.case.upstreams[-1] is own and "chat" not in path
    if shown and truth.thinking and not got["thinking"]:
        problems.append("the thinking is missing")
    return problems


def _without_thinking(request: JSON) -> JSON:
    """What another vendor thought is unsigned here, and no answer depends on it.

    A turn of calls then no longer begins with it, which only a budget for thinking would mind.
    """
    thoughts = {"thinking", "redacted_thinking", "reasoning"}

    def kept(turn: Any) -> Any:
        content = turn.get("content")
        if not isinstance(content, list):
            return turn
        return {**turn, "content": [part for part in content if part.get("type") not in thoughts]}

    changed = dict(request)
    if isinstance(request.get("thinking"), dict) and request["thinking"].get("type") == "enabled":
        changed["thinking"] = {"type": "adaptive"}
    for field in ("messages", "input"):
        if isinstance(request.get(field), list):
            turns = [turn for turn in request[field] if turn.get("type") not in thoughts]
            changed[field] = [kept(turn) for turn in turns]
    return changed


def _calls(got: Sequence[JSON], truth: Answer) -> list[str]:
    said = [(call["name"], call["input"]) for call in got]
    wanted = [(call.name, json.loads(call.arguments)) for call in truth.calls]
    problems = [f"calls {said} are not {wanted}"] if said != wanted else []
    ids = [call["id"] for call in got]
    if len(set(ids)) != len(ids) or not all(ids):
        problems.append(f"ids of calls: {ids}")
    return problems


def image_arrived(house: House, image: str) -> list[str]:
    """The vendor that answers saw the very image."""
    seen = any(image.encode() in recorded.raw for recorded in house.vendors[-1].requests)
    return [] if seen else ["the image did not reach the upstream"]
