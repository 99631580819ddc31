"""The embedded model as an upstream: a Request in, the engine's body and a Reader out. Pure.

The engine speaks chat completions over HTTP. It is always asked for a stream with usage; for
clients that want a whole answer the gateway folds the stream. The body is written here and not
by the chat codec, because what is left of a request is plain text turns and a grammar.
"""

from __future__ import annotations

import msgspec

from outlast.local import prompt, schemas
from outlast.local.calls import CallReader
from outlast.local.prompt import Limits
from outlast.local.tokens import estimate_tokens
from outlast.wire.canon import JSON, Message, Request, StructuredOutput, Text
from outlast.wire.openai_chat import CODEC
from outlast.wire.sse import ServerSentEvent
from outlast.wire.stream import AnswerEvent, Reader

PATH = "/v1/chat/completions"
_TEMPERATURE = 0.3
"""Where the client does not say: small models wander at the engine's 0.8."""
_CALL_TEMPERATURE = 0.0
"""Choosing a function is no place for chance."""


class Prepared(msgspec.Struct, frozen=True):
    """What to POST to the engine at `path`, and who reads the answer."""

    body: bytes
    reader: Reader
    notes: tuple[str, ...]
    """What was cut or changed, in words for a response header and the receipt."""
    prompt_tokens: int
    """Estimated."""
    path: str = PATH


class LocalReader:
    """The engine's frames → canonical events; with a CallReader, what its JSON means."""

    def __init__(self, inner: Reader, calls: CallReader | None) -> None:
        self._inner = inner
        self._calls = calls

    def feed(self, event: ServerSentEvent) -> list[AnswerEvent]:
        events = self._inner.feed(event)
        if self._calls is None:
            return events
        return [meant for said in events for meant in self._calls.read(said)]


def prepare(
    request: Request, limits: Limits, exchange_id: str, model: str = "local", partial: str = ""
) -> Prepared:
    """Return the engine's request for this one.

    `exchange_id` makes the id of a tool call. `partial` is the beginning of an answer that
    another upstream could not finish: the engine goes on from its last character (its
    `prefill_assistant`), and the reader yields only what comes after it. A partial answer is
    continued as text, without tools. Trailing whitespace of `partial` is not sent (a token of
    it alone derails the model): expect the continuation to begin with whitespace of its own.
    """
    if partial:
        request = msgspec.structs.replace(request, tools=(), tool_choice=None, output=None)
        # The partial answer is read too.
        spent = estimate_tokens(partial)
        limits = msgspec.structs.replace(
            limits, context_tokens=max(1024, limits.context_tokens - spent)
        )
    rebuilt = prompt.rebuild(request, limits)
    notes = [*rebuilt.notes]
    messages = [_message(message) for message in rebuilt.request.messages]
    if partial.rstrip():
        messages.append({"role": "assistant", "content": partial.rstrip()})
    room = max(64, limits.context_tokens - rebuilt.prompt_tokens)
    wanted = request.max_tokens or limits.output_tokens
    allowed = min(wanted, limits.output_tokens, room)
    if request.max_tokens is not None and allowed < request.max_tokens:
        notes.append(f"max_tokens lowered from {request.max_tokens} to {allowed}")
    body: JSON = {
        "model": model,
        "messages": messages,
        "max_tokens": allowed,
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": True,
        **_sampling(rebuilt, notes),
    }
    if rebuilt.request.output is not None:
        body["response_format"] = _response_format(rebuilt.request.output)
    calls = CallReader(rebuilt.plan, exchange_id) if rebuilt.plan else None
    reader = LocalReader(_chat_reader(), calls)
    return Prepared(msgspec.json.encode(body), reader, tuple(notes), rebuilt.prompt_tokens)


def _message(message: Message) -> JSON:
    texts = (block.text for block in message.content if isinstance(block, Text))
    return {"role": message.role, "content": "\n".join(texts)}


def _sampling(rebuilt: prompt.Rebuilt, notes: list[str]) -> JSON:
    request = rebuilt.request
    calling = rebuilt.plan is not None
    default = _CALL_TEMPERATURE if calling else _TEMPERATURE
    body: JSON = {"temperature": default if request.temperature is None else request.temperature}
    if calling:
        body["temperature"] = min(body["temperature"], _TEMPERATURE)
    for name in ("top_p", "top_k", "frequency_penalty", "presence_penalty", "seed"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.stop:
        if calling:
            notes.append("stop sequences left out: the answer is a function call")
        else:
            body["stop"] = list(request.stop)
    return body


def _response_format(output: StructuredOutput) -> JSON:
    if output.schema is None:
        return {"type": "json_object"}
    schema = schemas.simplify(output.schema, keep_optional=True)
    return {
        "type": "json_schema",
        "json_schema": {"name": output.name, "schema": schema, "strict": True},
    }


def _chat_reader() -> Reader:
    return CODEC.reader()
