"""Whole chat answers, and the names of this format's Reader and Writer."""

from __future__ import annotations

from collections.abc import Iterable

from outlast.nouns import Tokens
from outlast.wire.canon import JSON, Request
from outlast.wire.openai_chat.chunks import Delta, convert_answer, usage_of
from outlast.wire.openai_chat.parse import LEGACY
from outlast.wire.openai_chat.reader import Reader
from outlast.wire.openai_chat.writer import (
    Writer,
    answer_id,
    chosen_call_id,
    finish_reason,
    unwrap_input,
)
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    MalformedFrame,
    Start,
    Stop,
    StopReason,
    TextDelta,
    ThinkingDelta,
)

__all__ = ["Reader", "Writer", "parse_answer", "render_answer"]


def parse_answer(body: JSON) -> list[AnswerEvent]:
    """Return the events of a whole answer, Start to End; of several choices, those of the first.

    Raises MalformedFrame where the body is not a chat completion.
    """
    answer = convert_answer(body)
    if answer.error is not None:
        raise MalformedFrame("an error in the place of an answer")
    if not isinstance(answer.choices, list) or not answer.choices:
        raise MalformedFrame("not a chat completion: it has no `choices`")
    first = next((each for each in answer.choices if not each.index), answer.choices[0])
    if first.message is None:
        raise MalformedFrame("not a chat completion: its choice has no `message`")
    first.index, first.delta = 0, None
    # A few servers leave it out of whole answers, whose end is not in doubt.
    first.finish_reason = first.finish_reason or "stop"
    _number_calls(first.message)
    answer.choices = [first]
    answer.id = answer.id or ""
    reader = Reader()
    events = reader.take(answer)
    for event in events:
        if isinstance(event, Failed):
            raise MalformedFrame(event.message)
    return events + reader.finish()


def _number_calls(message: Delta) -> None:
    for number, call in enumerate(message.tool_calls or ()):
        call.index = number


class _Folder:
    """The message that grows from the events."""

    def __init__(self, request: Request) -> None:
        self._custom = {tool.name for tool in request.tools if tool.kind == "custom"}
        self.model = request.model
        self.id = answer_id("")
        self.created = 0
        self.text: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[JSON] = []
        self.reason: StopReason | None = None
        self.tokens: Tokens | None = None
        self.ended = False
        self._started = False
        self._block: BlockStart | None = None
        self._pieces: list[str] = []
        self._apart = False

    def take(self, event: AnswerEvent) -> None:
        match event:
            case Start():
                if not self._started:
                    self.id, self.created, self._started = answer_id(event.id), event.created, True
                self.model = event.model or self.model
                self.tokens = event.tokens or self.tokens
            case BlockStart():
                self._block, self._pieces = event, []
                self._apart = self._apart or (event.kind != "text" and bool(self.text))
            case TextDelta(text=text) if text:
                if self._apart and not self.text[-1][-1].isspace():
                    self.text.append("\n\n")
                self._apart = False
                self.text.append(text)
            case ThinkingDelta(text=text):
                self.thoughts.append(text)
            case ArgsDelta(json=json):
                self._pieces.append(json)
            case BlockStop():
                self._block_stop()
            case Stop():
                self.reason, self.tokens = event.reason, event.tokens or self.tokens
            case Failed():
                raise MalformedFrame(f"the answer failed: {event.message}")
            case End():
                self.ended = True
            case _:
                pass

    def _block_stop(self) -> None:
        block, self._block = self._block, None
        if block is None or block.kind not in {"tool_use", "custom_tool"}:
            return
        text = "".join(self._pieces)
        call: JSON = {"id": chosen_call_id(block, self.id, len(self.calls))}
        if block.kind == "custom_tool" or block.name in self._custom:
            said = text if block.kind == "custom_tool" else unwrap_input(text)
            call |= {"type": "custom", "custom": {"name": block.name, "input": said}}
        else:
            call["type"] = "function"
            call["function"] = {"name": block.name, "arguments": text or "{}"}
        self.calls.append(call)


def render_answer(events: Iterable[AnswerEvent], request: Request) -> JSON:
    """Return the whole body. Raises MalformedFrame where the events hold a failure or no End."""
    folder = _Folder(request)
    for event in events:
        folder.take(event)
    if not folder.ended:
        raise MalformedFrame("the answer is not complete")
    legacy = any(tool.raw == LEGACY for tool in request.tools)
    message: JSON = {
        "role": "assistant",
        "content": "".join(folder.text) if folder.text or not folder.calls else None,
        "refusal": None,
    }
    if folder.thoughts:
        message["reasoning_content"] = "".join(folder.thoughts)
    if folder.calls and legacy:
        message["function_call"] = folder.calls[0].get("function")
    elif folder.calls:
        message["tool_calls"] = folder.calls
    word = finish_reason(folder.reason or "end_turn", calls=bool(folder.calls), legacy=legacy)
    about = (folder.id, folder.created, folder.model)
    return completion_of(*about, message, word, folder.tokens or Tokens())


def completion_of(
    ident: str, created: int, model: str, message: JSON, word: str, tokens: Tokens
) -> JSON:
    """Return a whole body. `ident`: the upstream's; `word`: the finish reason."""
    return {
        "id": answer_id(ident),
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": word}],
        "usage": usage_of(tokens),
    }
