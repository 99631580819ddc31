"""What a client sees of an answer, with its own eyes. Pure.

It reads events with a few lines of its own, not with Outlast's reader: a judge shares no code with
what it judges. The only sign that an answer is whole is the one that its format has for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass
class Seen:
    """An answer as it grows in the client's hands."""

    text: str = ""
    request_id: str = ""
    served_by: str = ""
    """Upstream, as Outlast's headers (and its marks in the stream) say."""
    status: int = 0
    stopped: bool = False
    """The format's own reason to stop was read."""
    done: bool = False
    """The format's last word was read."""
    failure: str = ""
    """Empty while all is well; else `status 529`, `cut`, … (texts.py, `failure_*`)."""
    expected: str = ""
    local: bool = False

    @property
    def share(self) -> float:
        return min(1.0, len(self.text) / len(self.expected)) if self.expected else 0.0


def judge(seen: Seen) -> None:
    """Fill in `failure` by what was read: the end must be there, the text must be the truth."""
    if seen.failure:
        return
    if not (seen.stopped and seen.done):
        seen.failure = "unfinished"
    elif seen.local:
        # The small model says what it likes; an answer without a word would be none.
        seen.failure = "" if seen.text.strip() else "other_text"
    elif seen.text != seen.expected:
        seen.failure = "other_text"


def take(data: bytes, seen: Seen) -> None:
    """Take in the data of one event, of either format."""
    if data == b"[DONE]":
        seen.done = True
        return
    try:
        event = msgspec.json.decode(data)
    except msgspec.DecodeError:
        seen.failure = "stream_error"
        return
    if not isinstance(event, dict):
        return
    _mark(event.get("outlast"), seen)
    if "error" in event:
        seen.failure = "stream_error"
    match event.get("type"):
        case "content_block_delta":
            seen.text += str(event["delta"].get("text", ""))
        case "message_delta":
            seen.stopped = bool(event["delta"].get("stop_reason"))
        case "message_stop":
            seen.done = True
        case _:
            for choice in event.get("choices") or ():
                seen.text += str((choice.get("delta") or {}).get("content") or "")
                seen.stopped = seen.stopped or bool(choice.get("finish_reason"))


def _mark(truth: Any, seen: Seen) -> None:
    """Outlast says in the stream who went on with an answer."""
    if isinstance(truth, dict) and truth.get("to"):
        seen.served_by = str(truth["to"]).partition("/")[0]
