"""Scripted vendors that fail on cue: for the demo, the tests, the gauntlet, the conformance run.

async with Vendor(Script(faults=(Fault(FaultKind.CUT, where="text"),))) as vendor:
    ...  # point a client at vendor.url
    vendor.requests
"""

from outlast.simulator.ask import Ask, Rejected
from outlast.simulator.script import (
    Fault,
    FaultKind,
    Match,
    RefusalPart,
    Script,
    ScriptError,
    Stage,
    TextPart,
    ThinkingPart,
    ToolPart,
    load,
    parse,
    text,
    thinking,
    timelines,
    tool_use,
)
from outlast.simulator.serving import read
from outlast.simulator.truth import Answer, answer
from outlast.simulator.vendor import Recorded, Vendor

__all__ = [
    "Answer",
    "Ask",
    "Fault",
    "FaultKind",
    "Match",
    "Recorded",
    "RefusalPart",
    "Rejected",
    "Script",
    "ScriptError",
    "Stage",
    "TextPart",
    "ThinkingPart",
    "ToolPart",
    "Vendor",
    "answer",
    "load",
    "parse",
    "read",
    "text",
    "thinking",
    "timelines",
    "tool_use",
]
