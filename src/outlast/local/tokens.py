"""How many tokens a text costs, about, without the model's vocabulary. Pure.

The count of the words, digits and signs that byte-pair vocabularies of this size (Qwen2.5's
151,936) split text into. Meant to be a little too high: too long a prompt costs the answer.
"""

from __future__ import annotations

import re

# Words carry the space before them; a digit is a token of its own (Qwen2.5's tokenizer).
_PIECE = re.compile(
    r"(?P<word>[A-Za-z]+)|(?P<digit>[0-9])|(?P<space>\s{2,})"
    r"|(?P<sign>[!-/:-@\[-`{-~]+)|(?P<other>[^\x00-\x7f]+)"
)
_SAMPLE_CHARS = 16_000
MESSAGE_TOKENS = 6
"""What a chat template puts around one message."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` is. Long texts are sampled: the time is bounded."""
    if len(text) > _SAMPLE_CHARS:
        half = _SAMPLE_CHARS // 2
        middle = len(text) // 2
        sample = text[:half] + text[middle : middle + half]
        return _count(sample) * len(text) // len(sample) + 1
    return _count(text)


def _count(text: str) -> int:
    total = 0.0
    for match in _PIECE.finditer(text):
        length = match.end() - match.start()
        match match.lastgroup:
            case "word":
                # A run of letters that is no word (base64, hashes) falls into small pieces.
                per_token = 5 if length <= 24 else 1.6
                total += 1 if length <= 8 else 1 + (length - 4) / per_token
            case "digit" | "space":
                total += 1
            case "sign":
                total += (length + 1) // 2
            case _:
                total += length * 0.9
    return int(total) + 1


def characters_for(tokens: int, text: str) -> int:
    """Return how many characters of `text` are about `tokens` tokens."""
    cost = estimate_tokens(text)
    return len(text) if cost <= tokens else max(0, len(text) * tokens // cost)
