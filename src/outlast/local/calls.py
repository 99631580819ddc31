"""The engine's JSON answers, as they stream, back into text and tool calls. Pure."""

from __future__ import annotations

from typing import Literal

import jiter
import msgspec

from outlast.local.tools import Plan, call_id
from outlast.wire.canon import JSON
from outlast.wire.stream import (
    AnswerEvent,
    ArgsDelta,
    BlockStart,
    BlockStop,
    End,
    Failed,
    Ping,
    Start,
    Stop,
    TextDelta,
)


class CallReader:
    """Canonical events of the engine's JSON answer → canonical events of what it means.

    A `reply` streams on as text; any other call is held until it is whole, then handed over as
    one tool_use block. A call that was cut off is never handed over: the cut is told instead.
    """

    def __init__(self, plan: Plan, exchange_id: str) -> None:
        self._plan = plan
        self._id = call_id(exchange_id)
        self._json = ""
        self._name = ""
        self._sent = ""
        self._open = False
        self._called = False
        self._finished = False

    def read(self, event: AnswerEvent) -> list[AnswerEvent]:
        """Return what this event of the engine's answer means to the client."""
        match event:
            case Start() | Ping() | End() | Failed():
                return [event]
            case TextDelta():
                self._json += event.text
                return self._grow()
            case Stop():
                return [*self._finish(event.reason), self._stop(event)]
            case _:
                # Block borders are ours to draw; the model has nothing else to say.
                return []

    def _grow(self) -> list[AnswerEvent]:
        """Send what has become certain of a reply's text."""
        if self._name and self._plan.kind_of(self._name) != "reply":
            return []
        call = self._partial()
        # The name is certain once the next key has begun.
        if "arguments" not in call or not isinstance(call.get("name"), str):
            return []
        self._name = call["name"]
        if self._plan.kind_of(self._name) != "reply" or not isinstance(call["arguments"], dict):
            return []
        text = call["arguments"].get("text")
        if not isinstance(text, str) or text == self._sent:
            return []
        return self._say(text[len(self._sent) :])

    def _partial(self) -> JSON:
        try:
            value = jiter.from_json(
                self._json.encode("utf-8", "replace"), partial_mode="trailing-strings"
            )
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def _say(self, text: str) -> list[AnswerEvent]:
        events: list[AnswerEvent] = []
        if not self._open:
            self._open = True
            events.append(BlockStart(0, "text"))
        self._sent += text
        events.append(TextDelta(0, text))
        return events

    def _finish(self, reason: str) -> list[AnswerEvent]:
        if self._finished:
            return []
        self._finished = True
        events: list[AnswerEvent] = []
        try:
            call = msgspec.json.decode(self._json)
            name, arguments = call["name"], call["arguments"]
        except (msgspec.DecodeError, KeyError, TypeError):
            return self._unfinished(reason)
        match self._plan.kind_of(name):
            case "reply":
                if "answer" in arguments:
                    events = self._say(msgspec.json.encode(arguments["answer"]).decode())
            case "custom":
                events = self._call("custom_tool", name, str(arguments.get("input", "")))
            case "function":
                events = self._call("tool_use", name, msgspec.json.encode(arguments).decode())
            case _:
                return [
                    Failed("api_error", f"the local model called {name!r}, an unknown function")
                ]
        if self._open:
            events.append(BlockStop(0))
        return events

    def _unfinished(self, reason: str) -> list[AnswerEvent]:
        if reason not in {"max_tokens", "context_window", "stop_sequence"}:
            return [Failed("api_error", "the local model's answer is not the JSON that was asked")]
        if not self._open:
            what = f" a call of {self._name}" if self._name else ""
            said = self._say(f"[The local model was cut off while writing{what or ' its answer'}.]")
            return [*said, BlockStop(0)]
        return [BlockStop(0)]

    def _call(
        self, kind: Literal["tool_use", "custom_tool"], name: str, arguments: str
    ) -> list[AnswerEvent]:
        self._called = True
        return [
            BlockStart(0, kind, id=self._id, name=name),
            ArgsDelta(0, arguments),
            BlockStop(0),
        ]

    def _stop(self, event: Stop) -> Stop:
        return msgspec.structs.replace(event, reason="tool_use") if self._called else event
