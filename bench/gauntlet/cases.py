"""Which exchanges are tried: script × surface × place × kind of continuation. Pure."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.gauntlet import lanes, scripts
from bench.gauntlet.lanes import Lane
from bench.gauntlet.options import Options
from bench.gauntlet.scripts import Script
from outlast.gateway.blocks import in_code_fence
from outlast.simulator import Answer, answer, read
from outlast.simulator import Script as VendorScript

PATHS = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
LANGUAGES = ("en", "fr", "de", "es", "ja")
FENCED_CHARS = 1200
FIRST_PARAGRAPH_CHARS = 300
FENCE_TRIES = 100
GUARDED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "minLength": 40},
        "recursive": {"type": "boolean"},
        "only_if": {"type": "string", "minLength": 30},
    },
    "required": ["path", "recursive", "only_if"],
}
"""A call that is dangerous without its last argument (continuity.md, finding 3)."""
TOOLS = {"remove_folder": GUARDED, "list_folder": GUARDED}


class Case(msgspec.Struct, frozen=True):
    """One exchange. `mark` stands in its words, so that each vendor's record can be found."""

    mark: str
    script: int
    surface: str
    lane: Lane
    position: int
    words: str
    chars: int
    thinks: bool = False
    calls: bool = False
    stream: bool = True
    model: str = ""
    """Where it is not made of lane and place."""
    at_s: float = 0.0
    """Traffic: when it is asked, from the beginning."""
    max_tokens: int = 8000

    @property
    def asked_model(self) -> str:
        if self.model:
            return self.model
        return f"{self.lane.base}-{scripts.tag(self.script, self.position)}-{self.mark}"

    def body(self) -> dict[str, Any]:
        """The request in the surface's format, as the SDK takes it (without `stream`)."""
        return _BODIES[self.surface](self)

    def truth(self, seed: int) -> Answer:
        """What a healthy vendor says."""
        return answer(read(PATHS[self.surface], self.body()), VendorScript(seed=seed))


def words(mark: str, script: Script, language: str, filler: str = "") -> str:
    """A question that holds its own mark and says what answer it wants."""
    wish = f"chars={script.chars} language={language}"
    if script.calls:
        several = ",list_folder" if int(mark[1:]) % 2 else ""
        wish = f"call=remove_folder{several} language={language}"
    return f"Question {mark}: what happened next?{filler} [[{wish}]]"


def plan(options: Options) -> list[Case]:
    """All single exchanges, in the order of the scripts; traffic is traffic.py's."""
    counter = iter(range(1, 100_000))
    found = [case for surface in options.surfaces for case in _baseline(surface, options, counter)]
    for script in scripts.SCRIPTS:
        if script.number in options.only and not script.traffic:
            for surface in options.surfaces:
                found += _of_script(script, surface, options, counter)
    return found


def simple(options: Options) -> list[Case]:
    """One kind of continuation per script and surface: what peers can be asked."""
    return plan(msgspec.structs.replace(options, variants=False))


def _baseline(surface: str, options: Options, counter: Iterator[int]) -> Iterator[Case]:
    lane = lanes.own(lanes.OWN[surface])
    for _ in range(max(3, options.repetitions)):
        yield _case(scripts.HEALTHY, surface, lane, 0, options, counter)


def _of_script(
    script: Script, surface: str, options: Options, counter: Iterator[int]
) -> Iterator[Case]:
    own = lanes.OWN[surface]
    if script.number == 13:
        for position in range(2):
            yield _case(script, surface, lanes.down(own), position, options, counter)
        return
    if script.number == 1:
        lane = lanes.own(own, "dead", "dead")
        for stream in (True, False):
            for _ in range(options.repetitions):
                yield _case(script, surface, lane, 0, options, counter, stream=stream)
        return
    if not options.variants or not script.breaks:
        for place in range(min(options.places, max(2, options.repetitions))):
            yield _case(script, surface, lanes.own(own), place, options, counter)
    if script.whole:
        yield _case(script, surface, lanes.own(own), 0, options, counter, stream=False)
    if options.variants and script.breaks:
        yield from _continued(script, surface, options, counter)


def _continued(
    script: Script, surface: str, options: Options, counter: Iterator[int]
) -> Iterator[Case]:
    own = lanes.OWN[surface]
    # A quick run tries a sixth of the ways of going on with each script, others with the next.
    some = options.thinned and slice((script.number + options.surfaces.index(surface)) % 6, None, 6)
    chosen = lanes.variants(own)
    places = itertools.cycle(range(options.places))
    for lane in (lanes.own(own), lanes.double(own), *(chosen[some] if some else chosen)):
        for place in itertools.islice(places, options.positions):
            yield _case(script, surface, lane, place, options, counter)
    for first in lanes.KINDS:
        if first is not own:
            others = lanes.translated(first)
            for lane in others[some] if some else others:
                yield _case(script, surface, lane, next(places), options, counter)


def _case(
    script: Script,
    surface: str,
    lane: Lane,
    position: int,
    options: Options,
    counter: Iterator[int],
    *,
    stream: bool = True,
) -> Case:
    number = next(counter)
    language = LANGUAGES[number % len(LANGUAGES)]
    made = Case(
        mark=f"q{number:05}",
        script=script.number,
        surface=surface,
        lane=lane,
        position=position,
        words="",
        chars=script.chars,
        thinks=script.thinks,
        calls=script.calls,
        stream=stream,
        max_tokens=160 if script.number == 13 else 8000,
    )
    if lane.habit == "new_fence" and not script.calls and script.number not in {4, 13}:
        return _inside_a_fence(made, script, options)
    return msgspec.structs.replace(made, words=words(made.mark, script, language))


def _inside_a_fence(case: Case, script: Script, options: Options) -> Case:
    """Ask for words whose answer breaks off inside a code block, so that a fence is at stake.

    A text begins with a paragraph: in its first words there is no code to break off in.
    """
    rows = scripts.faults(options.places, options.compress, options.seed)
    tag = scripts.tag(case.script, case.position)
    share = next(row.after_share for row in rows if f"-{tag}-" in row.match.model)
    longer = msgspec.structs.replace(script, chars=max(script.chars, FENCED_CHARS))
    at = int(longer.chars * share)
    chance = random.Random(f"{options.seed}/{case.mark}")
    for _ in range(FENCE_TRIES if at > FIRST_PARAGRAPH_CHARS else 1):
        filler = f" ({chance.randrange(10_000)})"
        tried = msgspec.structs.replace(
            case, words=words(case.mark, longer, LANGUAGES[chance.randrange(4)], filler)
        )
        if in_code_fence(tried.truth(options.seed).text[:at]):
            break
    return msgspec.structs.replace(tried, chars=longer.chars)


def _messages(case: Case) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": case.asked_model,
        "max_tokens": case.max_tokens,
        "messages": [{"role": "user", "content": case.words}],
    }
    if case.thinks:
        body["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    if case.calls:
        body["tools"] = [
            {"name": name, "description": name, "input_schema": schema}
            for name, schema in TOOLS.items()
        ]
    return body


def _chat(case: Case) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": case.asked_model,
        "messages": [{"role": "user", "content": case.words}],
        "max_completion_tokens": case.max_tokens,
    }
    if case.thinks:
        body["reasoning_effort"] = "medium"
    if case.calls:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": name, "description": name, "parameters": schema},
            }
            for name, schema in TOOLS.items()
        ]
    return body


def _responses(case: Case) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": case.asked_model,
        "input": case.words,
        "store": False,
        "max_output_tokens": case.max_tokens,
    }
    if case.thinks:
        body["reasoning"] = {"effort": "medium", "summary": "auto"}
        body["include"] = ["reasoning.encrypted_content"]
    if case.calls:
        body["tools"] = [
            {
                "type": "function",
                "name": name,
                "description": name,
                "parameters": schema,
                "strict": False,
            }
            for name, schema in TOOLS.items()
        ]
    return body


_BODIES = {"messages": _messages, "chat": _chat, "responses": _responses}


def results_of(surface: str, turns: list[Any]) -> list[Any]:
    """Return the results of an answer's calls, in the surface's format; [] without calls."""
    if surface == "messages":
        blocks = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": "done"}
            for turn in turns
            for block in turn["content"]
            if block["type"] == "tool_use"
        ]
        return [{"role": "user", "content": blocks}] if blocks else []
    if surface == "chat":
        return [
            {"role": "tool", "tool_call_id": call["id"], "content": "done"}
            for turn in turns
            for call in turn.get("tool_calls", [])
        ]
    return [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "done"}
        for item in turns
        if item["type"] == "function_call"
    ]
