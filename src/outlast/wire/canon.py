"""A request to a model, in no vendor's format: the middle of every translation.

Each format has a parser into these values and a renderer out of them, so six pairs cost three
of each. What a value cannot carry is `Opaque`: same-format traffic never comes through here
(bytes pass), so an Opaque block is by definition foreign to the target and is dropped knowingly.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from outlast.nouns import Format

JSON = dict[str, Any]
"""A decoded JSON object of the outside world."""


class Text(msgspec.Struct, frozen=True, tag="text"):
    text: str
    cache_control: JSON | None = None
    citations: list[JSON] | None = None


class Image(msgspec.Struct, frozen=True, tag="image"):
    """Exactly one of `data` (base64, with `media_type`), `url` and `file_id`."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    detail: str = ""
    cache_control: JSON | None = None


class Document(msgspec.Struct, frozen=True, tag="document"):
    """Exactly one of `data` (base64), `url`, `file_id` and `text`."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    text: str = ""
    title: str = ""
    cache_control: JSON | None = None


class Thinking(msgspec.Struct, frozen=True, tag="thinking"):
    """Reasoning in the history. A signature is valid only at `origin`; it is never forged."""

    text: str = ""
    signature: str = ""
    """Anthropic's signature, or the encrypted content of a Responses reasoning item."""
    redacted: bool = False
    origin: Format | None = None
    id: str = ""


class ToolUse(msgspec.Struct, frozen=True, tag="tool_use"):
    """`arguments` is the JSON text as the model wrote it (an object); free text for `custom`."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    cache_control: JSON | None = None


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: tuple[Text | Image | Document, ...] = ()
    is_error: bool = False
    custom: bool = False
    cache_control: JSON | None = None


class Opaque(msgspec.Struct, frozen=True, tag="opaque"):
    """A block that only `origin` understands; `name` says what it was."""

    name: str
    origin: Format
    raw: JSON


Block = Text | Image | Document | Thinking | ToolUse | ToolResult | Opaque
Role = Literal["system", "developer", "user", "assistant"]


class Message(msgspec.Struct, frozen=True):
    """One turn. System turns may stand anywhere; the leading ones are the system prompt.

    Tool results stand in `user` turns, tool uses and thinking in `assistant` turns.
    """

    role: Role
    content: tuple[Block, ...]


class Tool(msgspec.Struct, frozen=True):
    """A tool that the client runs. `kind` custom: free-text input (`format` may hold a grammar).

    A tool that the vendor runs (web search, code execution…) is `server`, with its own words
    in `raw`: only `origin` can run it.
    """

    name: str
    description: str = ""
    parameters: JSON = {}
    kind: Literal["function", "custom", "server"] = "function"
    strict: bool | None = None
    cache_control: JSON | None = None
    namespace: str = ""
    raw: JSON = {}
    origin: Format | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    mode: Literal["auto", "none", "required", "tool"]
    name: str = ""
    """With mode `tool`: which one."""


class StructuredOutput(msgspec.Struct, frozen=True):
    """The answer must be JSON; with `schema` of that shape (`schema` None: any object)."""

    schema: JSON | None = None
    name: str = "answer"
    strict: bool | None = None
    description: str = ""


class Reasoning(msgspec.Struct, frozen=True):
    """How hard to think. `effort`: none, minimal, low, medium, high, xhigh, max.

    `budget_tokens` is Anthropic's older way; `adaptive` lets the model choose.
    """

    mode: Literal["off", "on", "adaptive"] = "on"
    effort: str = ""
    budget_tokens: int | None = None
    summary: str = ""


class Request(msgspec.Struct, frozen=True):
    """One request for one answer. None means: not said, so the upstream's default."""

    model: str
    messages: tuple[Message, ...]
    origin: Format
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    """Chat completions: the client asked for a usage chunk."""
    output: StructuredOutput | None = None
    reasoning: Reasoning | None = None
    verbosity: str = ""
    user: str = ""
    """An opaque id of the end user."""
    metadata: JSON = {}
    service_tier: str = ""
    prompt_cache_key: str = ""
    extra: tuple[str, ...] = ()
    """Names of fields that were given and that no other format knows: dropped, and said."""


class Rendered(msgspec.Struct, frozen=True):
    """A request in an upstream's format. `dropped` names what had no equivalent there."""

    body: JSON
    dropped: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    """Headers that this body needs, such as `anthropic-version`."""


class BadRequest(Exception):
    """The caller's request is malformed. `field` as a path: `messages.2.content.0.source`."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why


class Untranslatable(BadRequest):
    """A well-formed request that the target format cannot carry without changing its meaning."""
