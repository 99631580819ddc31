"""A Responses stream, or a whole answer → canonical answer events."""

from __future__ import annotations

from collections.abc import Callable

from outlast.wire.canon import JSON
from outlast.wire.openai_responses.blocks import LIMIT_BLOCKS, ORIGIN, Block, Blocks
from outlast.wire.openai_responses.frames import (
    CALLS,
    decode,
    index_of,
    is_refusal,
    key_of,
    objects,
    optional,
    response_of,
    string,
    thinking_part,
)
from outlast.wire.openai_responses.names import flat_name
from outlast.wire.openai_responses.usage import count_of, read_usage, status_of
from outlast.wire.sse import ServerSentEvent
from outlast.wire.stream import (
    AnswerEvent,
    End,
    Failed,
    MalformedFrame,
    Start,
    Stop,
    StopReason,
)

_INCOMPLETE: dict[str, StopReason] = {
    "max_output_tokens": "max_tokens",
    "content_filter": "refusal",
    "max_messages": "pause_turn",
    "steered": "pause_turn",
}


class _Item:
    """One output item: its blocks by part (a message has one block for each content part)."""

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self.key = key
        self.blocks: dict[int, Block] = {}
        self.done = False


class ResponsesReader:
    """Watches one upstream's stream; see `outlast.wire.stream.Reader`."""

    def __init__(self) -> None:
        self._blocks = Blocks()
        self._items: dict[int, _Item] = {}
        self._started = False
        self._ended = False
        self._called = False
        self._refused = False
        self._handlers: dict[str, Callable[[JSON], list[AnswerEvent]]] = {
            "response.output_item.added": self._added,
            "response.output_item.done": self._done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            "response.output_text.delta": self._text_delta,
            "response.output_text.done": self._text_done,
            "response.output_text.annotation.added": self._annotation,
            "response.refusal.delta": self._text_delta,
            "response.refusal.done": self._text_done,
            "response.reasoning_summary_text.delta": self._thinking_delta,
            "response.reasoning_summary_text.done": self._thinking_done,
            "response.reasoning_text.delta": self._thinking_delta,
            "response.reasoning_text.done": self._thinking_done,
            "response.function_call_arguments.delta": self._args_delta,
            "response.function_call_arguments.done": self._args_done,
            "response.custom_tool_call_input.delta": self._args_delta,
            "response.custom_tool_call_input.done": self._args_done,
        }

    def feed(self, event: ServerSentEvent) -> list[AnswerEvent]:
        """Return what this frame means. Raises MalformedFrame."""
        if self._ended or not event.data or event.data == b"[DONE]":
            return []
        data = decode(event.data)
        kind = data.get("type")
        if kind is None:
            kind = "error" if data.get("error") else event.name
        if not isinstance(kind, str):
            raise MalformedFrame("an event's type is not a string")
        if kind in ("response.created", "response.queued", "response.in_progress"):
            return self._start(response_of(data))
        if kind in ("response.completed", "response.incomplete"):
            return self.finish(response_of(data), kind.removeprefix("response."))
        if kind == "response.failed":
            return self.fail(response_of(data).get("error"))
        if kind == "error":
            return self.fail(data.get("error") or data)
        handler = self._handlers.get(kind)
        if handler is None:
            return []
        if not self._started:
            raise MalformedFrame(f"{kind} before response.created")
        return handler(data)

    # The envelope.

    def _start(self, response: JSON) -> list[AnswerEvent]:
        if self._started:
            return []
        self._started = True
        return [
            Start(
                id=string(response, "id"),
                model=string(response, "model"),
                created=count_of(response, "created_at"),
            )
        ]

    def fail(self, error: object) -> list[AnswerEvent]:
        """Return the events of an error object. Nothing may follow."""
        self._ended = True
        raw = error if isinstance(error, dict) else {}
        code = next((c for k in ("code", "type") if isinstance(c := raw.get(k), str) and c), "")
        message = raw.get("message")
        if not isinstance(message, str) or not message:
            message = error if isinstance(error, str) and error else "the upstream gave no reason"
        kind = code if code not in ("", "error") else "server_error"
        return [Failed(type=kind, message=message, status=status_of(code))]

    def finish(self, response: JSON, status: str) -> list[AnswerEvent]:
        """Return the events of a terminal response, with all that was not streamed before."""
        events = self._start(response)
        output = response.get("output")
        output = output if isinstance(output, list) else []
        streamed = bool(self._items)
        by_key = {key_of(item): item for item in output if isinstance(item, dict)}
        for item in list(self._items.values()):
            if not item.done and item.key and item.key in by_key:
                events += self._settle_item(item, by_key[item.key])
        if not streamed:
            for index, raw in enumerate(output):
                events += self._done({"output_index": index, "item": raw})
        events += self._close_open(status)
        events.append(Stop(self._reason(response, status), read_usage(response.get("usage"))))
        self._ended = True
        return [*events, End()]

    def _close_open(self, status: str) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        for item in self._items.values():
            if item.done:
                continue
            if status == "completed" and item.kind in CALLS:
                raise MalformedFrame("the response is completed, but a tool call in it is not")
            for block in item.blocks.values():
                events += self._blocks.close(block)
        return events

    def _reason(self, response: JSON, status: str) -> StopReason:
        if status == "incomplete":
            details = response.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, dict) else None
            known = _INCOMPLETE.get(reason) if isinstance(reason, str) else None
            return known or "max_tokens"
        if self._refused:
            return "refusal"
        return "tool_use" if self._called else "end_turn"

    # Items.

    def _added(self, data: JSON) -> list[AnswerEvent]:
        index = index_of(data, "output_index")
        raw = data.get("item")
        if raw is None:
            return []  # some servers announce an empty item
        if not isinstance(raw, dict):
            raise MalformedFrame("an output item is not an object")
        if index in self._items:
            raise MalformedFrame(f"a second output item {index}")
        return self._open_item(index, raw)

    def _new_item(self, index: int, kind: str, key: str) -> _Item:
        if len(self._items) >= LIMIT_BLOCKS:
            raise MalformedFrame(f"the answer has more than {LIMIT_BLOCKS} items")
        item = self._items[index] = _Item(kind, key)
        return item

    def _open_item(self, index: int, raw: JSON) -> list[AnswerEvent]:
        kind = string(raw, "type")
        item = self._new_item(index, kind, key_of(raw))
        if kind == "message":
            return []  # blocks begin with its parts
        if kind == "reasoning":
            block, events = self._blocks.open("thinking", optional(raw, "id"), origin=ORIGIN)
        elif kind in CALLS:
            self._called = True
            name = flat_name(optional(raw, "namespace"), string(raw, "name"))
            block, events = self._blocks.open(
                "tool_use" if kind == "function_call" else "custom_tool",
                string(raw, "call_id"),
                name,
                item=optional(raw, "id"),
            )
        else:
            block, events = self._blocks.open(
                "foreign", optional(raw, "id"), raw=raw, origin=ORIGIN
            )
        item.blocks[0] = block
        return events

    def _done(self, data: JSON) -> list[AnswerEvent]:
        index = index_of(data, "output_index")
        raw = data.get("item")
        if not isinstance(raw, dict):
            raise MalformedFrame("an output item is not an object")
        events = self._open_item(index, raw) if index not in self._items else []
        item = self._items[index]
        if item.done:
            return events
        if string(raw, "type") != item.kind:
            raise MalformedFrame(f"output item {index} changed its type")
        if item.kind in CALLS and item.key and key_of(raw) != item.key:
            raise MalformedFrame(f"output item {index} changed its call_id")
        return events + self._settle_item(item, raw)

    def _settle_item(self, item: _Item, raw: JSON) -> list[AnswerEvent]:
        item.done = True
        if item.kind == "message":
            return self._settle_message(item, raw)
        block = item.blocks[0]
        events: list[AnswerEvent] = []
        if item.kind in CALLS:
            events += self._settle_call(item, block, raw)
        elif item.kind == "reasoning":
            for key in ("summary", "content"):
                for number, part in enumerate(objects(raw, key)):
                    events += self._blocks.settle(block, optional(part, "text"), f"{key}{number}")
            if signature := optional(raw, "encrypted_content"):
                events += self._blocks.sign(block, signature)
        else:
            events += self._blocks.foreign(block, raw)
        return events + self._blocks.close(block)

    def _settle_call(self, item: _Item, block: Block, raw: JSON) -> list[AnswerEvent]:
        full = raw.get(CALLS[item.kind])
        events = self._blocks.settle(block, full)
        if item.kind == "function_call" and not block.so_far(""):
            block.settled.clear()
            events += self._blocks.grow(block, "{}")
        return events

    def _settle_message(self, item: _Item, raw: JSON) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        for index, part in enumerate(objects(raw, "content")):
            events += self._settle_part(item, index, part)
        for block in item.blocks.values():
            events += self._blocks.close(block)
        return events

    # Parts of a message.

    def _message(self, data: JSON) -> _Item:
        index = index_of(data, "output_index")
        item = self._items.get(index)
        if item is None:
            # Some servers begin with the text itself.
            item = self._new_item(index, "message", optional(data, "item_id"))
        if item.done:
            raise MalformedFrame(f"content for output item {index} after its end")
        return item

    def _text_block(
        self, item: _Item, index: int, refusal: bool
    ) -> tuple[Block, list[AnswerEvent]]:
        self._refused = self._refused or refusal
        if index in item.blocks:
            return item.blocks[index], []
        raw: JSON = {"type": "refusal"} if refusal else {}
        block, events = self._blocks.open("text", raw=raw, item=item.key)
        item.blocks[index] = block
        return block, events

    def _part_added(self, data: JSON) -> list[AnswerEvent]:
        item = self._message(data)
        part = data.get("part")
        kind = string(part if isinstance(part, dict) else {}, "type")
        if item.kind != "message" or kind not in ("output_text", "refusal"):
            return []
        _, events = self._text_block(item, index_of(data, "content_index"), kind == "refusal")
        return events

    def _part_done(self, data: JSON) -> list[AnswerEvent]:
        item = self._message(data)
        part = data.get("part")
        if item.kind != "message" or not isinstance(part, dict):
            return []
        index = index_of(data, "content_index")
        events = self._settle_part(item, index, part)
        if index in item.blocks:
            events += self._blocks.close(item.blocks[index])
        return events

    def _settle_part(self, item: _Item, index: int, part: JSON) -> list[AnswerEvent]:
        kind = part.get("type")
        if kind not in ("output_text", "refusal"):
            return []
        block, events = self._text_block(item, index, kind == "refusal")
        key = "text" if kind == "output_text" else "refusal"
        return events + self._blocks.settle(block, part.get(key))

    def _text_delta(self, data: JSON) -> list[AnswerEvent]:
        block, events = self._text_of(data)
        return events + self._blocks.grow(block, string(data, "delta"))

    def _text_done(self, data: JSON) -> list[AnswerEvent]:
        block, events = self._text_of(data)
        full = data.get("refusal" if is_refusal(data) else "text")
        return events + self._blocks.settle(block, full)

    def _text_of(self, data: JSON) -> tuple[Block, list[AnswerEvent]]:
        item = self._message(data)
        if item.kind != "message":
            raise MalformedFrame(f"text for an output item of type {item.kind:.60}")
        return self._text_block(item, index_of(data, "content_index"), is_refusal(data))

    def _annotation(self, data: JSON) -> list[AnswerEvent]:
        annotation = data.get("annotation")
        if not isinstance(annotation, dict):
            return []
        block, events = self._text_of(data)
        return events + self._blocks.foreign(block, annotation)

    # Reasoning and calls.

    def _only_block(self, data: JSON, kinds: tuple[str, ...]) -> Block:
        index = index_of(data, "output_index")
        item = self._items.get(index)
        if item is None or item.kind not in kinds:
            raise MalformedFrame(f"{data.get('type')} for an output item {index} that is not one")
        if item.done:
            raise MalformedFrame(f"content for output item {index} after its end")
        return item.blocks[0]

    def _thinking_delta(self, data: JSON) -> list[AnswerEvent]:
        block = self._only_block(data, ("reasoning",))
        return self._blocks.grow(block, string(data, "delta"), thinking_part(data))

    def _thinking_done(self, data: JSON) -> list[AnswerEvent]:
        block = self._only_block(data, ("reasoning",))
        return self._blocks.settle(block, data.get("text"), thinking_part(data))

    def _args_delta(self, data: JSON) -> list[AnswerEvent]:
        block = self._only_block(data, tuple(CALLS))
        return self._blocks.grow(block, string(data, "delta"))

    def _args_done(self, data: JSON) -> list[AnswerEvent]:
        block = self._only_block(data, tuple(CALLS))
        return self._blocks.settle(block, data.get("arguments", data.get("input")))
