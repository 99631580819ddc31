"""Names and ids that this format spells in its own way.

Everything here is a pure function of its arguments, so that the same tool, call or item has the
same name in every turn of a conversation, on every replica, after a restart.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import msgspec

from outlast.wire.canon import Tool

NAME_LIMIT = 64
"""The shortest limit for a function's name among the three formats (chat completions)."""
CALL_ID_LIMIT = 64
"""OpenAI refuses a longer `call_id`."""

OUR_REASONING_PREFIX = "rs_ol"
"""Reasoning items that we wrote for another vendor's thinking: OpenAI does not know these ids."""

_SEPARATOR = "__"
_ID = re.compile(r"[A-Za-z0-9_-]+\Z")


def _digest(*parts: str, chars: int = 10) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:chars]


def flat_name(namespace: str, name: str) -> str:
    """Return one name for a function inside a namespace, for formats without namespaces.

    `multi_agent_v1` and `spawn_agent` give `multi_agent_v1__spawn_agent`. A name over the limit
    is cut and ends in a digest of the whole. The way back is `Names`. OpenAI gives a deferred
    function its own name as its namespace; that is no namespace at all.
    """
    if not namespace or namespace == name:
        return name
    joined = f"{namespace}{_SEPARATOR}{name}"
    if len(joined) <= NAME_LIMIT:
        return joined
    return f"{joined[: NAME_LIMIT - 11]}_{_digest(namespace, name)}"


def call_id(tool_use_id: str, *salt: str) -> str:
    """Return a `call_…` id for a tool call; `salt` makes one where there is no id at all."""
    if tool_use_id.startswith("call_") and len(tool_use_id) <= CALL_ID_LIMIT:
        return tool_use_id
    if tool_use_id and len(tool_use_id) <= CALL_ID_LIMIT - 5 and _ID.match(tool_use_id):
        return f"call_{tool_use_id}"
    return f"call_{_digest(tool_use_id, *salt, chars=24)}"


def upstream_call_id(tool_use_id: str) -> str:
    """Return the id to send for a call and its result: the caller's own where it is legal."""
    if 0 < len(tool_use_id) <= CALL_ID_LIMIT:
        return tool_use_id
    return f"call_{_digest(tool_use_id, chars=24)}"


def response_id(answer_id: str) -> str:
    """Return a `resp_…` id for an answer that another vendor began."""
    if answer_id.startswith("resp_"):
        return answer_id
    return f"resp_{answer_id}" if _ID.match(answer_id) else f"resp_{_digest(answer_id, chars=24)}"


def item_id(prefix: str, response: str, output_index: int | str) -> str:
    """Return the id of an output item: `msg_…`, `fc_…`, `ctc_…`, `rs_ol…`."""
    return f"{prefix}_{_digest(response, str(output_index), chars=24)}"


class ToolName(msgspec.Struct, frozen=True):
    """What the client called a tool."""

    name: str
    namespace: str = ""
    custom: bool = False


class Names:
    """From the flat names that models see back to what the client's request said."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._names = {tool.name: original_name(tool) for tool in tools if tool.kind != "server"}

    def of(self, flat: str) -> ToolName:
        return self._names.get(flat) or ToolName(flat)


def original_name(tool: Tool) -> ToolName:
    name = tool.raw.get("name") if tool.namespace else None
    return ToolName(
        name if isinstance(name, str) else tool.name, tool.namespace, tool.kind == "custom"
    )
