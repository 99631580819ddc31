"""A client's POST /v1/messages → Request. Pure.

Only requests that another format must answer come here: to an Anthropic upstream the bytes go
through. So what only Anthropic understands is kept as Opaque, or named in `extra`.
"""

from __future__ import annotations

from outlast.nouns import Format
from outlast.wire.anthropic.blocks import Extra, parse_content
from outlast.wire.anthropic.fields import (
    a_schema,
    an_array,
    an_object,
    join,
    one_of,
    opt_array,
    opt_bool,
    opt_int,
    opt_number,
    opt_object,
    opt_text,
    required,
    text,
    wrong,
)
from outlast.wire.canon import (
    JSON,
    BadRequest,
    Block,
    Message,
    Reasoning,
    Request,
    Role,
    StructuredOutput,
    Text,
    Tool,
    ToolChoice,
)

_ORIGIN = Format.ANTHROPIC
_MESSAGE_LIMIT = 100_000
"""Anthropic's own limit for one request."""
_ATTRIBUTION = "x-anthropic-billing-header:"
"""Claude Code's first system block: for Anthropic's accounts, and noise to any other model."""
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_READ = {
    "model", "messages", "max_tokens", "system", "tools", "tool_choice", "thinking",
    "output_config", "output_format", "stop_sequences", "stream", "temperature", "top_p", "top_k",
    "metadata", "service_tier",
}  # fmt: skip
_TOOL_READ = {"type", "name", "description", "input_schema", "strict", "cache_control"}


def parse_request(body: JSON) -> Request:
    """Return what a body of POST /v1/messages asks for. Raises BadRequest naming the field."""
    required(body, "max_tokens", "")
    return parse_prompt(body)


def parse_prompt(body: JSON) -> Request:
    """Return what the body says, without the need for `max_tokens`: also for count_tokens."""
    extra = Extra()
    for name, value in body.items():
        if name not in _READ and value is not None:
            extra.add(name)
    tools = tuple(
        _tool(an_object(tool, f"tools.{index}"), f"tools.{index}", extra)
        for index, tool in enumerate(opt_array(body, "tools", ""))
    )
    choice, parallel = _tool_choice(opt_object(body, "tool_choice", ""))
    user, metadata = _metadata(opt_object(body, "metadata", "") or {})
    effort, output = _output(body, extra)
    messages = (*_system(body, extra), *_messages(body, extra))
    return Request(
        model=text(body, "model", "", empty=False),
        messages=messages,
        origin=_ORIGIN,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        max_tokens=opt_int(body, "max_tokens", "", least=1),
        temperature=opt_number(body, "temperature", "", least=0, most=1),
        top_p=opt_number(body, "top_p", "", least=0, most=1),
        top_k=opt_int(body, "top_k", "", least=0),
        stop=_stop(body),
        stream=bool(opt_bool(body, "stream", "")),
        output=output,
        reasoning=_reasoning(opt_object(body, "thinking", ""), effort, extra),
        user=user,
        metadata=metadata,
        service_tier=opt_text(body, "service_tier", ""),
        extra=extra.names(),
    )


def _system(body: JSON, extra: Extra) -> list[Message]:
    system = body.get("system")
    if system is None:
        return []
    if not isinstance(system, str | list):
        wrong("system", "a string or an array of text blocks", system)
    blocks: list[Block] = []
    for index, block in enumerate(parse_content(system, "system", "system", extra)):
        if not isinstance(block, Text):
            raise BadRequest(f"system.{index}", "should be a text block")
        if block.text.startswith(_ATTRIBUTION):
            extra.add("x-anthropic-billing-header")
        elif block.text:
            blocks.append(block)
    return [Message("system", tuple(blocks))] if blocks else []


def _messages(body: JSON, extra: Extra) -> list[Message]:
    values = an_array(required(body, "messages", ""), "messages")
    if not values:
        raise BadRequest("messages", "should have at least one message")
    if len(values) > _MESSAGE_LIMIT:
        raise BadRequest("messages", f"has {len(values)} messages; the limit is {_MESSAGE_LIMIT}")
    return [
        _message(an_object(value, f"messages.{index}"), f"messages.{index}", extra)
        for index, value in enumerate(values)
    ]


def _message(value: JSON, path: str, extra: Extra) -> Message:
    name = one_of(value, "role", path, ("user", "assistant", "system"))
    role: Role = "user" if name == "user" else "assistant" if name == "assistant" else "system"
    for key in value:
        if key not in {"role", "content"}:
            extra.add(f"messages.{key}")
    if role == "system" and value.get("content") is None and value.get("output_config") is not None:
        return Message(role, ())  # only changes the effort from here on
    content = required(value, "content", path)
    if not isinstance(content, str | list):
        wrong(join(path, "content"), "a string or an array of blocks", content)
    return Message(role, parse_content(content, join(path, "content"), role, extra))


def _tool(tool: JSON, path: str, extra: Extra) -> Tool:
    kind = opt_text(tool, "type", path)
    name = opt_text(tool, "name", path)
    cache = opt_object(tool, "cache_control", path)
    if kind not in {"", "custom"}:
        return Tool(name or kind, kind="server", cache_control=cache, raw=tool, origin=_ORIGIN)
    if not name:
        raise BadRequest(join(path, "name"), "is missing")
    for key, value in tool.items():
        if key not in _TOOL_READ and value is not None:
            extra.add(f"tools.{key}")
    schema = a_schema(required(tool, "input_schema", path), join(path, "input_schema"))
    return Tool(
        name,
        opt_text(tool, "description", path),
        schema,
        strict=opt_bool(tool, "strict", path),
        cache_control=cache,
    )


def _tool_choice(choice: JSON | None) -> tuple[ToolChoice | None, bool | None]:
    if choice is None:
        return None, None
    kind = one_of(choice, "type", "tool_choice", ("auto", "any", "tool", "none"))
    single = opt_bool(choice, "disable_parallel_tool_use", "tool_choice")
    parallel = None if single is None else not single
    match kind:
        case "auto":
            return ToolChoice("auto"), parallel
        case "any":
            return ToolChoice("required"), parallel
        case "none":
            return ToolChoice("none"), None
        case _:
            return ToolChoice("tool", text(choice, "name", "tool_choice", empty=False)), parallel


def _metadata(metadata: JSON) -> tuple[str, JSON]:
    rest = {key: value for key, value in metadata.items() if key != "user_id"}
    return opt_text(metadata, "user_id", "metadata"), rest


def _stop(body: JSON) -> tuple[str, ...]:
    sequences = opt_array(body, "stop_sequences", "")
    for index, one in enumerate(sequences):
        if not isinstance(one, str):
            wrong(f"stop_sequences.{index}", "a string", one)
    return tuple(one for one in sequences if one)


def _output(body: JSON, extra: Extra) -> tuple[str, StructuredOutput | None]:
    """Return the effort, and the shape of the answer: `output_format` is the older place."""
    config = opt_object(body, "output_config", "") or {}
    for key, value in config.items():
        if key not in {"effort", "format"} and value is not None:
            extra.add(f"output_config.{key}")
    effort = ""
    if config.get("effort") is not None:
        effort = one_of(config, "effort", "output_config", _EFFORTS)
    path = "output_config.format"
    shape = opt_object(config, "format", "output_config")
    if shape is None:
        path, shape = "output_format", opt_object(body, "output_format", "")
    if shape is None:
        return effort, None
    one_of(shape, "type", path, ("json_schema",))
    schema = a_schema(required(shape, "schema", path), join(path, "schema"))
    return effort, StructuredOutput(schema, strict=True)


def _reasoning(thinking: JSON | None, effort: str, extra: Extra) -> Reasoning | None:
    if thinking is None:
        # Effort without thinking bounds the whole answer; how much to think is left open.
        return Reasoning("adaptive", effort) if effort else None
    kinds = ("enabled", "adaptive", "disabled", "between_tools")
    kind = one_of(thinking, "type", "thinking", kinds)
    for key, value in thinking.items():
        if key not in {"type", "budget_tokens", "display"} and value is not None:
            extra.add(f"thinking.{key}")
    if kind in {"disabled", "between_tools"}:
        return Reasoning("off", effort)
    display = opt_text(thinking, "display", "thinking")
    summary = "auto" if display == "summarized" else ""
    if kind == "adaptive":
        return Reasoning("adaptive", effort, summary=summary)
    required(thinking, "budget_tokens", "thinking")
    budget = opt_int(thinking, "budget_tokens", "thinking", least=1024)
    return Reasoning("on", effort, budget, summary)
