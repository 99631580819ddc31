"""Tool calls by a model that cannot make them: functions in the prompt, a grammar on the answer.

Given `tools`, models of this size write a fenced JSON block that is no tool call. So the request
is turned into one without tools: the functions and a `reply` function stand in the prompt, and
the answer must be `{"name": …, "arguments": …}` of one of them (a JSON Schema, which the engine
enforces). `CallReader`
(calls.py) turns that JSON, as it streams, back into text or a tool call. Pure.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from outlast.local import schemas, words
from outlast.wire.canon import (
    JSON,
    Message,
    Request,
    StructuredOutput,
    Text,
    Tool,
    ToolChoice,
    ToolUse,
)

_DESCRIPTION_CHARS = 100
_WRITES = ("write", "create_file", "save")
_SHELLS = ("bash", "shell", "exec", "run_command", "terminal")


class Function(msgspec.Struct, frozen=True):
    """One thing the model may call. `kind` says what the client gets."""

    name: str
    kind: Literal["function", "custom", "reply"]
    arguments: JSON
    """The simplified schema of its arguments."""
    description: str = ""

    @property
    def line(self) -> str:
        return f"- {self.name}({schemas.signature(self.arguments)}): {self.description}"


class Plan(msgspec.Struct, frozen=True):
    """How a request with tools is put to the model: what to say and what to enforce."""

    functions: tuple[Function, ...]
    instructions: str
    examples: tuple[Message, ...]
    output: StructuredOutput
    notes: tuple[str, ...] = ()

    def kind_of(self, name: str) -> str:
        return next((f.kind for f in self.functions if f.name == name), "")


def function_of(tool: Tool) -> Function:
    """Return a client's tool as the model sees it. Custom tools take one free text, `input`."""
    if tool.kind == "custom":
        schema: JSON = {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": False,
        }
    else:
        schema = schemas.simplify(tool.parameters, keep_optional=False)
        if schema.get("type") != "object":
            schema = {"type": "object"}
    kind: Literal["function", "custom"] = "custom" if tool.kind == "custom" else "function"
    return Function(tool.name, kind, schema, first_sentence(tool.description))


def first_sentence(text: str) -> str:
    """Return the first sentence of a description, on one line and short."""
    line = " ".join(text.split())
    end = line.find(". ")
    if end != -1:
        line = line[: end + 1]
    return line if len(line) <= _DESCRIPTION_CHARS else line[: _DESCRIPTION_CHARS - 1] + "…"


def usable(tool: Tool) -> bool:
    """Whether this model may be offered the tool: it runs at the client, under its plain name."""
    return tool.kind != "server" and not tool.namespace


def plan(request: Request) -> Plan | None:
    """Return how to put the request's tools to the model, or None where none may be called."""
    choice = request.tool_choice or ToolChoice("auto")
    offered = [tool for tool in request.tools if usable(tool)]
    if choice.mode == "tool":
        offered = [tool for tool in offered if tool.name == choice.name] or offered
    if not offered or choice.mode == "none":
        return None
    functions = [function_of(tool) for tool in offered]
    must_call = choice.mode in {"required", "tool"}
    reply = _reply(request, {f.name for f in functions})
    if not must_call:
        functions.insert(0, reply)
    instructions = words.USE_TOOLS.format(
        functions="\n".join(f.line for f in functions),
        when=words.WHEN_REQUIRED if must_call else words.WHEN_AUTO.format(reply=reply.name),
    )
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": f.name}, "arguments": f.arguments},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for f in functions
    ]
    schema = calls[0] if len(calls) == 1 else {"anyOf": calls}
    notes = []
    if request.parallel_tool_calls is not False and len(offered) > 1:
        notes.append("the local model calls one tool at a time")
    return Plan(
        functions=tuple(functions),
        instructions=instructions,
        examples=() if must_call else _examples(functions, reply),
        output=StructuredOutput(schema=schema, name="call", strict=True),
        notes=tuple(notes),
    )


def _reply(request: Request, taken: set[str]) -> Function:
    name = "reply"
    while name in taken:
        name = f"{name}_to_user"
    said: JSON = {"type": "string"}
    key = "text"
    if request.output is not None:
        key = "answer"
        said = (
            schemas.simplify(request.output.schema, keep_optional=True)
            if request.output.schema
            else {"type": "object"}
        )
    arguments = {
        "type": "object",
        "properties": {key: said},
        "required": [key],
        "additionalProperties": False,
    }
    return Function(name, "reply", arguments, "Says something to the user.")


def _examples(functions: list[Function], reply: Function) -> tuple[Message, ...]:
    """A few turns that show the protocol, with the client's own tools where they are known ones.

    They raise right choices on the 0.5B model more than rules in words do (8 to 10 of 12).
    """
    if "text" not in reply.arguments["properties"]:
        return ()
    writes: list[tuple[str, str]] = []
    shells: list[tuple[str, str]] = []
    for function in functions:
        strings = _string_arguments(function)
        lowered = function.name.lower()
        if function.kind != "function" or strings is None:
            continue
        if len(strings) == 2 and lowered.startswith(_WRITES) and not writes:
            path, content = strings
            writes = [
                ("user", "Create notes.txt that says hi"),
                ("assistant", encode_call(function.name, {path: "notes.txt", content: "hi"})),
                ("user", result_text(function.name, "ok")),
                ("assistant", encode_call(reply.name, {"text": "I wrote notes.txt."})),
            ]
        elif len(strings) == 1 and any(s in lowered for s in _SHELLS) and not shells:
            shells = [
                ("user", "Which files are here?"),
                ("assistant", encode_call(function.name, {strings[0]: "ls -la"})),
                ("user", result_text(function.name, "notes.txt")),
                ("assistant", encode_call(reply.name, {"text": "There is notes.txt."})),
            ]
    talk = [
        ("user", "What is a prime number?"),
        ("assistant", encode_call(reply.name, {"text": "A number with exactly two divisors."})),
    ]
    # The order matters to a model of this size: 13 of 16 right choices so, 10 to 12 otherwise.
    turns = [*writes, *shells, *talk]
    return tuple(
        Message("user" if role == "user" else "assistant", (Text(text),)) for role, text in turns
    )


def _string_arguments(function: Function) -> list[str] | None:
    """The names of the arguments, path first, where all of them are strings; else None."""
    properties = function.arguments.get("properties", {})
    if any(value != {"type": "string"} for value in properties.values()):
        return None
    return sorted(properties, key=lambda name: not any(w in name.lower() for w in ("path", "file")))


def encode_call(name: str, arguments: Any) -> str:
    """Return a call as the grammar makes the model write it."""
    return msgspec.json.encode({"name": name, "arguments": arguments}).decode()


def call_text(call: ToolUse) -> str:
    """Return a call of the history in the same form (free text of custom tools as `input`)."""
    if call.custom:
        return encode_call(call.name, {"input": call.arguments})
    try:
        arguments = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        arguments = call.arguments
    return encode_call(call.name, arguments)


def result_text(name: str, text: str, is_error: bool = False) -> str:
    return f"{'Error' if is_error else 'Result'} of {name}: {text}"


def call_id(exchange_id: str) -> str:
    """Return the id of the call in this exchange: the same exchange, the same id."""
    digest = hashlib.sha256(f"outlast-local-call:{exchange_id}".encode()).hexdigest()
    return f"call_{digest[:24]}"


def without_tools(request: Request, plan: Plan) -> Request:
    """Return the request as the engine gets it: no tools, the grammar as structured output.

    The instructions and examples are the caller's to place (prompt.py).
    """
    return msgspec.structs.replace(
        request, tools=(), tool_choice=None, parallel_tool_calls=None, output=plan.output
    )
