"""Refusals that are about the history sent along, not about what is asked. Pure.

A conversation that went through several hosts carries what only one of them can read: thinking
with a signature that holds for one account, one model, one conversation. The next host refuses
the whole request for it. Such a refusal is not the caller's fault, and it is told in few wordings:

Anthropic: "Preserved thinking", "Thinking: troubleshooting" and the Bedrock page "Thinking block
binding", which advises to match on the leading clause; issues claude-code#10627, #63203,
anthropic-sdk-python#1598. OpenAI: code `invalid_encrypted_content`. All read in November 2026.
"""

from __future__ import annotations

import re
from typing import Literal

from outlast.nouns import Format
from outlast.wire.codec import ApiError

Refused = Literal["thinking", "start", "turns"]
"""thinking   a block that cannot be read, or was changed
start      a turn that should begin with thinking and does not
turns      calls without results, results without calls, empty turns, unknown seams"""

MESSAGE_LIMIT_CHARS = 4000

_ANTHROPIC: tuple[tuple[Refused, re.Pattern[str]], ...] = (
    (
        "start",
        re.compile(
            r"expected `?thinking`? or `?redacted_thinking`?, but found"
            r"|must start with a thinking block"
        ),
    ),
    (
        "thinking",
        re.compile(
            r"invalid [`'\"]?(?:signature|data)[`'\"]? in [`'\"]?(?:redacted_)?thinking\b"
            r"|thinking[`'\"]? blocks?[^.]{0,80} cannot be modified"
            r"|thinking block is bound to a different"
            r"|each [`'\"]?thinking[`'\"]? block must contain"
            r"|thinking\.signature: (?:field required|input should be)"
            r"|signature in the reasoningcontent block.{0,60} is invalid"
        ),
    ),
    (
        "turns",
        re.compile(
            r"`?tool_use`? ids? (?:were|was) found without `?tool_result`?"
            r"|unexpected `?tool_use_id`? found in `?tool_result`?"
            r"|text content blocks must (?:be non-empty|contain non-whitespace text)"
            r"|must have non-empty content"
            r"|input tag 'fallback' found"
        ),
    ),
)
_OPENAI: tuple[tuple[Refused, re.Pattern[str]], ...] = (
    (
        "thinking",
        re.compile(
            r"encrypted content\b[^\n]{0,200}could not be (?:verified|decrypted)"
            r"|of type 'reasoning' was provided without its required"
            r"|without its required 'reasoning' item"
        ),
    ),
    (
        "turns",
        re.compile(
            r"no tool (?:output|call) found for "
            r"|'?tool_calls'? must be followed by tool messages"
            r"|role '?tool'? must be a response to a prec"
        ),
    ),
)


def refused_part(form: Format, error: ApiError) -> Refused | None:
    """Return what of the history a host of this format would not take; None: it is not that."""
    if not 400 <= error.status < 500:
        return None
    if form is not Format.ANTHROPIC and error.code == "invalid_encrypted_content":
        return "thinking"
    words = error.message[:MESSAGE_LIMIT_CHARS].lower()
    for part, pattern in _ANTHROPIC if form is Format.ANTHROPIC else _OPENAI:
        if pattern.search(words):
            return part
    return None
