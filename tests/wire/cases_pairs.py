"""One conversation, said in each of the three formats: what every translation must carry.

Words of the form `Mark0001` stand in everything that must arrive, in the order in which it must
stand (they are also valid base64, so that images and files carry them too).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from outlast.nouns import Format

A, C, R = Format.ANTHROPIC, Format.OPENAI_CHAT, Format.OPENAI_RESPONSES
FORMATS = (A, C, R)
PAIRS = [(a, b) for a in FORMATS for b in FORMATS if a is not b]
MODELS = {A: "claude-sonnet-4-5", C: "gpt-5.6", R: "gpt-5.6"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
SIGNATURE = "SignatureOfOneVendor"


class PairCase(NamedTuple):
    name: str
    bodies: dict[Format, dict[str, Any]]
    """Without model and limit."""
    in_order: bool = True
    """False where a format must move something: only that all arrives is checked."""


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": list(messages), **fields}


def responses(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"input": list(items), "store": False, **fields}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def _use(ident: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": ident, "name": name, "input": arguments}


def _result(ident: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": ident, "content": content, **more}


def _call(ident: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


def _function_call(ident: str, name: str, arguments: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": ident, "name": name, "arguments": arguments}


def _output(ident: str, output: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": ident, "output": output}


def _base64(kind: str, data: str, block: str) -> dict[str, Any]:
    return {"type": block, "source": {"type": "base64", "media_type": kind, "data": data}}


TOOLS: dict[Format, list[dict[str, Any]]] = {
    A: [
        {"name": "weather", "description": "Mark0090", "input_schema": SCHEMA},
        {"name": "look", "input_schema": {"type": "object", "properties": {}}},
    ],
    C: [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Mark0090", "parameters": SCHEMA},
        },
        {
            "type": "function",
            "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
        },
    ],
    R: [
        {"type": "function", "name": "weather", "description": "Mark0090", "parameters": SCHEMA},
        {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}},
    ],
}

CASES = [
    PairCase(
        "text of both, system first",
        {
            A: {
                "system": [
                    text("x-anthropic-billing-header: cc_version=2.1"),
                    text("Mark0001", cache_control={"type": "ephemeral"}),
                ],
                "messages": [user("Mark0002"), assistant("Mark0003"), user([text("Mark0004 é☀")])],
            },
            C: chat(
                {"role": "system", "content": "Mark0001"},
                user("Mark0002"),
                assistant("Mark0003"),
                user([text("Mark0004 é☀")]),
            ),
            R: responses(
                user("Mark0002"),
                assistant([{"type": "output_text", "text": "Mark0003"}]),
                user([{"type": "input_text", "text": "Mark0004 é☀"}]),
                instructions="Mark0001",
            ),
        },
    ),
    PairCase(
        "system in the middle stays in the middle",
        {
            A: {
                "messages": [
                    user("Mark0001"),
                    {"role": "system", "content": "Mark0002"},
                    assistant("Mark0003"),
                    user("Mark0004"),
                ]
            },
            C: chat(
                user("Mark0001"),
                {"role": "developer", "content": "Mark0002"},
                assistant("Mark0003"),
                user("Mark0004"),
            ),
            R: responses(
                user("Mark0001"),
                {"role": "developer", "content": "Mark0002"},
                assistant("Mark0003"),
                user("Mark0004"),
            ),
        },
    ),
    PairCase(
        "an image as data, an image by address, a document",
        {
            A: {
                "messages": [
                    user(
                        [
                            text("Mark0001"),
                            _base64("image/png", "Mark0002", "image"),
                            {
                                "type": "image",
                                "source": {"type": "url", "url": "https://x.example/Mark0003.png"},
                            },
                            {
                                **_base64("application/pdf", "Mark0004", "document"),
                                "title": "a.pdf",
                            },
                        ]
                    )
                ]
            },
            C: chat(
                user(
                    [
                        text("Mark0001"),
                        {
                            "type": "image_url",
                            "image_url": {"url": "data:image/png;base64,Mark0002"},
                        },
                        {
                            "type": "image_url",
                            "image_url": {"url": "https://x.example/Mark0003.png"},
                        },
                        {
                            "type": "file",
                            "file": {
                                "filename": "a.pdf",
                                "file_data": "data:application/pdf;base64,Mark0004",
                            },
                        },
                    ]
                )
            ),
            R: responses(
                user(
                    [
                        {"type": "input_text", "text": "Mark0001"},
                        {"type": "input_image", "image_url": "data:image/png;base64,Mark0002"},
                        {"type": "input_image", "image_url": "https://x.example/Mark0003.png"},
                        {
                            "type": "input_file",
                            "filename": "a.pdf",
                            "file_data": "data:application/pdf;base64,Mark0004",
                        },
                    ]
                )
            ),
        },
    ),
    PairCase(
        "two turns of tools: parallel calls, results, thinking in between",
        {
            A: {
                "tools": TOOLS[A],
                "tool_choice": {"type": "auto", "disable_parallel_tool_use": False},
                "messages": [
                    user("Mark0001"),
                    assistant(
                        [
                            {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
                            text("Mark0002"),
                            _use("toolu_1", "weather", city="Mark0003"),
                            _use("toolu_2", "look"),
                        ]
                    ),
                    user(
                        [
                            _result("toolu_1", "Mark0004"),
                            _result("toolu_2", [text("Mark0005")], is_error=True),
                        ]
                    ),
                    assistant([_use("toolu_3", "weather", city="Mark0006")]),
                    user([_result("toolu_3", "Mark0007"), text("Mark0008")]),
                ],
            },
            C: chat(
                user("Mark0001"),
                assistant(
                    "Mark0002",
                    reasoning_content="Hm.",
                    tool_calls=[
                        _call("call_1", "weather", '{"city": "Mark0003"}'),
                        _call("call_2", "look", "{}"),
                    ],
                ),
                {"role": "tool", "tool_call_id": "call_1", "content": "Mark0004"},
                {"role": "tool", "tool_call_id": "call_2", "content": "Mark0005"},
                assistant(None, tool_calls=[_call("call_3", "weather", '{"city":"Mark0006"}')]),
                {"role": "tool", "tool_call_id": "call_3", "content": "Mark0007"},
                user("Mark0008"),
                tools=TOOLS[C],
                tool_choice="auto",
                parallel_tool_calls=True,
            ),
            R: responses(
                user("Mark0001"),
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "Hm."}],
                    "encrypted_content": SIGNATURE,
                },
                assistant([{"type": "output_text", "text": "Mark0002"}]),
                _function_call("call_1", "weather", '{"city": "Mark0003"}'),
                _function_call("call_2", "look", "{}"),
                _output("call_1", "Mark0004"),
                _output("call_2", [{"type": "input_text", "text": "Mark0005"}]),
                _function_call("call_3", "weather", '{"city":"Mark0006"}'),
                _output("call_3", "Mark0007"),
                user("Mark0008"),
                tools=TOOLS[R],
                tool_choice="auto",
                parallel_tool_calls=True,
            ),
        },
    ),
    PairCase(
        "images in the results of parallel calls",
        {
            A: {
                "tools": TOOLS[A],
                "messages": [
                    user("Mark0001"),
                    assistant([_use("toolu_1", "look"), _use("toolu_2", "look")]),
                    user(
                        [
                            _result(
                                "toolu_1",
                                [text("Mark0002"), _base64("image/png", "Mark0003", "image")],
                            ),
                            _result("toolu_2", [_base64("image/jpeg", "Mark0004", "image")]),
                        ]
                    ),
                ],
            },
            C: chat(
                user("Mark0001"),
                assistant(
                    None, tool_calls=[_call("call_1", "look", "{}"), _call("call_2", "look", "{}")]
                ),
                {
                    "role": "tool",
                    "tool_call_id": "call_1",
                    "content": [
                        text("Mark0002"),
                        {
                            "type": "image_url",
                            "image_url": {"url": "data:image/png;base64,Mark0003"},
                        },
                    ],
                },
                {
                    "role": "tool",
                    "tool_call_id": "call_2",
                    "content": [
                        {
                            "type": "image_url",
                            "image_url": {"url": "data:image/jpeg;base64,Mark0004"},
                        }
                    ],
                },
                tools=TOOLS[C],
            ),
            R: responses(
                user("Mark0001"),
                _function_call("call_1", "look", "{}"),
                _function_call("call_2", "look", "{}"),
                _output(
                    "call_1",
                    [
                        {"type": "input_text", "text": "Mark0002"},
                        {"type": "input_image", "image_url": "data:image/png;base64,Mark0003"},
                    ],
                ),
                _output(
                    "call_2",
                    [{"type": "input_image", "image_url": "data:image/jpeg;base64,Mark0004"}],
                ),
                tools=TOOLS[R],
            ),
        },
        in_order=False,
    ),
    PairCase(
        "a tool forced by name, one call at a time, strict",
        {
            A: {
                "tools": [{**TOOLS[A][0], "strict": True}],
                "tool_choice": {
                    "type": "tool",
                    "name": "weather",
                    "disable_parallel_tool_use": True,
                },
                "messages": [user("Mark0001")],
            },
            C: chat(
                user("Mark0001"),
                tools=[
                    {
                        "type": "function",
                        "function": {
                            "name": "weather",
                            "description": "Mark0090",
                            "parameters": SCHEMA,
                            "strict": True,
                        },
                    }
                ],
                tool_choice={"type": "function", "function": {"name": "weather"}},
                parallel_tool_calls=False,
            ),
            R: responses(
                user("Mark0001"),
                tools=[{**TOOLS[R][0], "strict": True}],
                tool_choice={"type": "function", "name": "weather"},
                parallel_tool_calls=False,
            ),
        },
    ),
    PairCase(
        "any tool, but one",
        {
            A: {
                "tools": TOOLS[A],
                "tool_choice": {"type": "any"},
                "messages": [user("Mark0001")],
            },
            C: chat(user("Mark0001"), tools=TOOLS[C], tool_choice="required"),
            R: responses(user("Mark0001"), tools=TOOLS[R], tool_choice="required"),
        },
    ),
    PairCase(
        "no tool this time",
        {
            A: {
                "tools": TOOLS[A],
                "tool_choice": {"type": "none"},
                "messages": [user("Mark0001")],
            },
            C: chat(user("Mark0001"), tools=TOOLS[C], tool_choice="none"),
            R: responses(user("Mark0001"), tools=TOOLS[R], tool_choice="none"),
        },
    ),
    PairCase(
        "an answer of a given shape",
        {
            A: {
                "messages": [user("Mark0001")],
                "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
            },
            C: chat(
                user("Mark0001"),
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                },
            ),
            R: responses(
                user("Mark0001"),
                text={
                    "format": {
                        "type": "json_schema",
                        "name": "answer",
                        "schema": SCHEMA,
                        "strict": True,
                    }
                },
            ),
        },
    ),
    PairCase(
        "sampling",
        {
            A: {"messages": [user("Mark0001")], "temperature": 0.5},
            C: chat(user("Mark0001"), temperature=0.5),
            R: responses(user("Mark0001"), temperature=0.5),
        },
    ),
]

LIMIT_FIELDS = {A: "max_tokens", C: "max_completion_tokens", R: "max_output_tokens"}


def body_of(case: PairCase, origin: Format, **fields: Any) -> dict[str, Any]:
    limit = {LIMIT_FIELDS[origin]: 1_000}
    return {"model": "public-name", **limit, **case.bodies[origin], **fields}
