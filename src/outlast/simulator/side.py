"""The side doors: embeddings, lists of models."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

from outlast.simulator.ask import Rejected
from outlast.simulator.chat import missing, wrong
from outlast.simulator.prose import pieces
from outlast.simulator.script import Script
from outlast.wire.canon import JSON

_BORN = "2026-01-01T00:00:00Z"
_BORN_AT = 1_767_225_600


def embedding(words: str, size: int, *, encoded: bool) -> Any:
    """Return a vector of length 1 that depends on the text alone, as floats or base64."""
    numbers: list[float] = []
    block = 0
    while len(numbers) < size:
        digest = hashlib.sha512(f"{block}|{words}".encode()).digest()
        numbers += [byte / 127.5 - 1 for byte in digest]
        block += 1
    numbers = numbers[:size]
    norm = sum(number * number for number in numbers) ** 0.5 or 1.0
    packed = struct.pack(f"<{size}f", *(number / norm for number in numbers))
    if encoded:
        return base64.b64encode(packed).decode()
    return list(struct.unpack(f"<{size}f", packed))


def embeddings(body: JSON, script: Script) -> JSON:
    """Return the answer of POST /v1/embeddings. Raises Rejected as the vendor does."""
    for field in ("model", "input"):
        if field not in body:
            raise missing(field)
    given = body["input"]
    texts = given if isinstance(given, list) else [given]
    # A list of numbers is one text in tokens.
    if texts and all(isinstance(token, int) for token in texts):
        texts = [texts]
    if not texts:
        raise Rejected(400, "'$.input' is invalid.", "input", "invalid_value")
    if not all(isinstance(words, str | list) for words in texts):
        raise wrong("input", "a string or array of strings", given)
    size = body.get("dimensions") or script.embedding_size
    encoded = body.get("encoding_format") == "base64"
    tokens = sum(len(pieces(str(words))) for words in texts)
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": embedding(str(words), int(size), encoded=encoded),
            }
            for index, words in enumerate(texts)
        ],
        "model": str(body["model"]),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def models(script: Script, *, anthropic: bool) -> JSON:
    """Return the answer of GET /v1/models in the caller's format."""
    data = [model(name, anthropic=anthropic) for name in script.models]
    if not anthropic:
        return {"object": "list", "data": data}
    return {
        "data": data,
        "has_more": False,
        "first_id": script.models[0] if script.models else None,
        "last_id": script.models[-1] if script.models else None,
    }


def model(name: str, *, anthropic: bool) -> JSON:
    if anthropic:
        return {"type": "model", "id": name, "display_name": name, "created_at": _BORN}
    return {"id": name, "object": "model", "created": _BORN_AT, "owned_by": "simulator"}
