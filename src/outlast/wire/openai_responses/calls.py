"""One tool call that is being written."""

from __future__ import annotations

from io import StringIO

import msgspec

from outlast.wire.canon import JSON
from outlast.wire.openai_responses.names import ToolName, call_id, item_id
from outlast.wire.stream import BlockStart


class Call:
    """A `function_call` item, or a `custom_tool_call` item for a tool that takes free text.

    Other formats know functions only: there a custom tool is a function of one string, and its
    call comes as a JSON object around the text. Such a call is unwrapped when it is whole.
    """

    def __init__(self, start: BlockStart, called: ToolName, response: str, position: int) -> None:
        self.custom = start.kind == "custom_tool" or called.custom
        self._wrapped = self.custom and start.kind == "tool_use"
        self._text = StringIO()
        self.field = "input" if self.custom else "arguments"
        self.item: JSON = {
            "type": "custom_tool_call" if self.custom else "function_call",
            "id": start.item or item_id("ctc" if self.custom else "fc", response, str(position)),
            "call_id": call_id(start.id, response, str(position)),
            "name": called.name,
            self.field: "",
        }
        if called.namespace:
            self.item["namespace"] = called.namespace
        if not self.custom:
            self.item["status"] = "in_progress"

    @property
    def delta_event(self) -> str:
        kind = "custom_tool_call_input" if self.custom else "function_call_arguments"
        return f"response.{kind}.delta"

    @property
    def done_event(self) -> str:
        return self.delta_event.removesuffix("delta") + "done"

    def grow(self, piece: str) -> str | None:
        """Return the delta to say now, None for nothing."""
        self._text.write(piece)
        return None if self._wrapped or not piece else piece

    def surely_whole(self) -> bool:
        """Return whether the arguments are complete by themselves.

        A cut JSON object lacks its last brace, so one that parses is whole. Free text never shows.
        """
        if self.custom and not self._wrapped:
            return False
        return not self._text.getvalue().strip() or isinstance(self._parsed(), dict)

    def finish(self) -> str | None:
        """Put the whole text into `item`; return what has not been said of it yet."""
        text = self._text.getvalue()
        rest: str | None = None
        if self._wrapped:
            text = self._unwrapped(text)
            rest = text or None
        elif not self.custom and not text.strip():
            rest, text = "{}", text + "{}"
        self.item[self.field] = text
        if not self.custom:
            self.item["status"] = "completed"
        return rest

    def broken_off(self) -> JSON:
        """Return the item of a function call that was cut."""
        self.item[self.field] = self._text.getvalue()
        self.item["status"] = "incomplete"
        return self.item

    def _parsed(self) -> object:
        try:
            return msgspec.json.decode(self._text.getvalue())
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return None

    def _unwrapped(self, text: str) -> str:
        value = self._parsed()
        if isinstance(value, dict):
            if isinstance(inner := value.get("input"), str):
                return inner
            if len(value) == 1 and isinstance(only := next(iter(value.values())), str):
                return only
        return text
