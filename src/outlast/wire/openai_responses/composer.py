"""Canonical answer events → the events of a Responses stream, as JSON objects.

The Writer sends them; a whole answer keeps only the last.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from outlast.nouns import Format, Tokens
from outlast.wire.canon import JSON, Request
from outlast.wire.openai_responses.calls import Call
from outlast.wire.openai_responses.envelope import Envelope, ending
from outlast.wire.openai_responses.names import (
    OUR_REASONING_PREFIX,
    Names,
    item_id,
    response_id,
)
from outlast.wire.openai_responses.pieces import (
    ANNOTATIONS,
    HOSTED,
    ForeignItem,
    Skipped,
    TextPart,
    ThinkingItem,
)
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    ForeignDelta,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    TextDelta,
    ThinkingDelta,
)

ORIGIN = Format.OPENAI_RESPONSES


class Composer:
    """Pure; one instance per answer. Blocks must not overlap (see `outlast.wire.stream`)."""

    def __init__(self, request: Request) -> None:
        self.envelope = Envelope(request)
        self.final: JSON | None = None
        """The whole response, once it has ended."""
        self._names = Names(request.tools)
        self._out: list[JSON] = []
        self._sequence = 0
        self._output: list[JSON] = []
        self._indices: dict[str, int] = {}
        self._count = 0
        self._message: JSON | None = None
        self._block: TextPart | ThinkingItem | ForeignItem | Call | Skipped | None = None
        self._index = -1
        self._unsure: Call | None = None
        """A call that has stopped, of which only the stop reason tells whether it is whole."""
        self._refused = False
        self._reason: StopReason = "end_turn"
        self._tokens: Tokens | None = None

    def add(self, event: AnswerEvent) -> list[JSON]:
        """Return the stream events for `event`. Raises ValueError for a misplaced one."""
        if self.final is not None:
            return []
        self._take(event)
        out, self._out = self._out, []
        return out

    def resume_at(self, sequence: int, done: Collection[str] = ()) -> None:
        """Go on after frames that were not written here: what `add` returned was not sent.

        `sequence`: the next number; `done`: ids of the items whose end was said.
        """
        self._sequence = sequence
        message = self._message
        if message is not None and message["id"] in done:
            self._message = None
            self._output.append({**message, "status": "completed"})

    def fail(self, answer_id: str, code: str, message: str) -> list[JSON]:
        """Return the events that end the stream with an error, legal at any point."""
        if self.final is not None:
            return []
        self._begin(Start(answer_id, self.envelope.model))
        error: JSON = {"code": code, "message": message}
        self.final = self.envelope.render("failed", self._output, self._tokens, error=error)
        self._say("response.failed", response=self.final)
        out, self._out = self._out, []
        return out

    def _take(self, event: AnswerEvent) -> None:
        if isinstance(event, Start):
            self._begin(event)
        elif isinstance(event, BlockStart):
            self._begin(Start("", self.envelope.model))
            self._stop_block()
            self._resolve(whole=True)
            self._open(event)
        elif isinstance(event, (TextDelta, ThinkingDelta, SignatureDelta, ArgsDelta, ForeignDelta)):
            if self._block is None or event.index != self._index:
                raise _misplaced(event)
            self._grow(event)
        elif isinstance(event, BlockStop):
            if event.index == self._index:
                self._stop_block()
        elif isinstance(event, Stop):
            self._begin(Start("", self.envelope.model))
            self._reason = event.reason
            self._count_tokens(event.tokens)
        elif isinstance(event, End):
            self._end()
        elif isinstance(event, Failed):
            raise _misplaced(event)

    # The envelope.

    def _begin(self, start: Start) -> None:
        """Open the stream; a later Start (another upstream took over) changes the model only."""
        if self.envelope.id:
            self.envelope.model = start.model or self.envelope.model
            return
        self.envelope.id = response_id(start.id)
        self.envelope.model = start.model or self.envelope.model
        self.envelope.created = start.created
        self._tokens = start.tokens
        for name in ("response.created", "response.in_progress"):
            self._say(name, response=self.envelope.render("in_progress", []))

    def _count_tokens(self, tokens: Tokens | None) -> None:
        """Take the later counts; some servers count input only at the start, output at the end."""
        first = self._tokens
        if tokens is None:
            return
        prompt = tokens.input or tokens.cache_read or tokens.cache_write
        if first is not None and not prompt:
            tokens = msgspec.structs.replace(
                tokens,
                input=first.input,
                cache_read=first.cache_read,
                cache_write=first.cache_write,
            )
        self._tokens = tokens

    def _end(self) -> None:
        self._begin(Start("", self.envelope.model))
        status, incomplete = ending(self._reason, self._refused)
        self._stop_block()
        self._resolve(whole=status == "completed")
        self._close_message(status)
        self.final = self.envelope.render(status, self._output, self._tokens, incomplete)
        self._say(f"response.{status}", response=self.final)

    def _say(self, name: str, **fields: object) -> None:
        self._out.append({"type": name, "sequence_number": self._sequence, **fields})
        self._sequence += 1

    # Items.

    def _add_item(self, item: JSON) -> JSON:
        self._indices[item["id"]] = self._count
        self._say("response.output_item.added", output_index=self._count, item=dict(item))
        self._count += 1
        return item

    def _item_done(self, item: JSON) -> None:
        self._output.append(item)
        self._say("response.output_item.done", output_index=self._indices[item["id"]], item=item)

    def _on(self, item: JSON) -> JSON:
        """Return the fields that point at `item`."""
        return {"item_id": item["id"], "output_index": self._indices[item["id"]]}

    def _new_id(self, prefix: str) -> str:
        return item_id(prefix, self.envelope.id, self._count)

    def _open(self, start: BlockStart) -> None:
        self._index = start.index
        if start.kind == "text":
            self._open_text(start.raw.get("type") == "refusal", start.item)
            return
        if start.kind == "thinking":
            self._close_message()
            genuine = start.origin is ORIGIN and start.id and start.id not in self._indices
            ident = start.id if genuine else self._new_id(OUR_REASONING_PREFIX)
            item = self._add_item({"type": "reasoning", "id": ident, "summary": []})
            self._block = ThinkingItem(item)
        elif start.kind in ("tool_use", "custom_tool"):
            self._close_message()
            called = self._names.of(start.name)
            call = Call(start, called, self.envelope.id, self._count)
            self._add_item(call.item)
            self._block = call
        elif start.origin is ORIGIN and start.raw.get("type") in HOSTED:
            self._close_message()
            given = start.raw.get("id")
            fresh = isinstance(given, str) and given and given not in self._indices
            ident = str(given) if fresh else self._new_id("item")
            self._block = ForeignItem(self._add_item({**start.raw, "id": ident}))
        else:
            self._block = Skipped()

    def _open_text(self, refusal: bool, given: str = "") -> None:
        if self._message is not None and given and given != self._message["id"]:
            self._close_message()
        if self._message is None:
            ident = given if given and given not in self._indices else self._new_id("msg")
            item: JSON = {"type": "message", "id": ident, "role": "assistant"}
            self._message = self._add_item({**item, "status": "in_progress", "content": []})
            self._message["content"] = []  # the announced item stays empty
        block = TextPart(self._message, len(self._message["content"]), refusal)
        self._refused = self._refused or refusal
        self._block = block
        self._say(
            "response.content_part.added",
            **self._on(block.item),
            content_index=block.content_index,
            part=block.part(),
        )

    def _close_message(self, status: str = "completed") -> None:
        if self._message is not None:
            message, self._message = self._message, None
            self._item_done({**message, "status": status})

    # Growth.

    def _grow(
        self, event: TextDelta | ThinkingDelta | SignatureDelta | ArgsDelta | ForeignDelta
    ) -> None:
        block = self._block
        if isinstance(block, TextPart) and isinstance(event, TextDelta):
            self._grow_text(block, event.text)
        elif isinstance(block, TextPart) and isinstance(event, ForeignDelta):
            if event.origin is ORIGIN:
                self._annotate(block, event.raw)
        elif isinstance(block, ThinkingItem) and isinstance(event, ThinkingDelta):
            self._grow_thinking(block, event.text)
        elif isinstance(block, ThinkingItem) and isinstance(event, SignatureDelta):
            if event.origin is ORIGIN:  # another vendor's would pass for OpenAI's own
                sealed = block.item.get("encrypted_content", "") + event.signature
                block.item["encrypted_content"] = sealed
        elif isinstance(block, Call) and isinstance(event, ArgsDelta):
            self._grow_call(block, event.json)
        elif isinstance(block, ForeignItem) and isinstance(event, ForeignDelta):
            block.item = {**block.item, **event.raw, "id": block.item["id"]}
        elif not isinstance(block, Skipped) and not isinstance(event, ForeignDelta):
            raise _misplaced(event)

    def _grow_text(self, block: TextPart, text: str) -> None:
        if not text:
            return
        block.text.write(text)
        where = {**self._on(block.item), "content_index": block.content_index}
        if block.refusal:
            self._say("response.refusal.delta", **where, delta=text)
        else:
            self._say("response.output_text.delta", **where, delta=text, logprobs=[])

    def _annotate(self, block: TextPart, annotation: JSON) -> None:
        if block.refusal or annotation.get("type") not in ANNOTATIONS:
            return
        self._say(
            "response.output_text.annotation.added",
            **self._on(block.item),
            content_index=block.content_index,
            annotation_index=len(block.annotations),
            annotation=annotation,
        )
        block.annotations.append(annotation)

    def _grow_thinking(self, block: ThinkingItem, text: str) -> None:
        if not text:
            return
        where = {**self._on(block.item), "summary_index": 0}
        if not block.begun:
            block.begun = True
            part = {"type": "summary_text", "text": ""}
            self._say("response.reasoning_summary_part.added", **where, part=part)
        block.text.write(text)
        self._say("response.reasoning_summary_text.delta", **where, delta=text)

    def _grow_call(self, call: Call, piece: str) -> None:
        if (delta := call.grow(piece)) is not None:
            self._say(call.delta_event, **self._on(call.item), delta=delta)

    # Ends.

    def _stop_block(self) -> None:
        block, self._block, self._index = self._block, None, -1
        if isinstance(block, TextPart):
            self._stop_text(block)
        elif isinstance(block, ThinkingItem):
            self._stop_thinking(block)
        elif isinstance(block, ForeignItem):
            self._item_done(block.item)
        elif isinstance(block, Call):
            self._unsure = block
            if block.surely_whole():
                self._resolve(whole=True)

    def _stop_text(self, block: TextPart) -> None:
        where = {**self._on(block.item), "content_index": block.content_index}
        part = block.part()
        if block.refusal:
            self._say("response.refusal.done", **where, refusal=part["refusal"])
        else:
            self._say("response.output_text.done", **where, text=part["text"], logprobs=[])
        self._say("response.content_part.done", **where, part=part)
        block.item["content"].append(part)

    def _stop_thinking(self, block: ThinkingItem) -> None:
        if block.begun:
            where = {**self._on(block.item), "summary_index": 0}
            text = block.text.getvalue()
            part = {"type": "summary_text", "text": text}
            self._say("response.reasoning_summary_text.done", **where, text=text)
            self._say("response.reasoning_summary_part.done", **where, part=part)
            block.item["summary"] = [part]
        self._item_done(block.item)

    def _resolve(self, whole: bool) -> None:
        """Finish the call that waits. A half call never gets the event that says it is done."""
        call, self._unsure = self._unsure, None
        if call is None:
            return
        if whole:
            if (rest := call.finish()) is not None:
                self._say(call.delta_event, **self._on(call.item), delta=rest)
            field = call.field
            self._say(call.done_event, **self._on(call.item), **{field: call.item[field]})
            self._item_done(call.item)
        elif not call.custom:
            self._item_done(call.broken_off())


def _misplaced(event: AnswerEvent) -> ValueError:
    # Never the event itself: what people and models say stays out of messages and logs.
    where = f" for block {event.index}" if hasattr(event, "index") else ""
    return ValueError(f"a {type(event).__name__}{where} that does not belong here")
