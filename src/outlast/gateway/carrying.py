"""Plain chat requests to a Claude model and its plain answers back, in one step each. Pure.

Most translated requests are turns of text and a limit, and most answers are one text. Here they
are said again in the other format without the canonical form between; what is anything else is
left to the codecs, which say what a request means. Properties in tests/gateway compare both ways,
to the last byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from outlast.gateway.asked import Asked
from outlast.gateway.express import BODY_LIMIT_BYTES, Found, plain_message
from outlast.native import compiled
from outlast.nouns import Candidate, Format
from outlast.wire.anthropic.models import traits_of
from outlast.wire.anthropic.render import default_max_tokens
from outlast.wire.openai_chat.answer import completion_of
from outlast.wire.openai_chat.writer import FINISH

TURNS_MAX = 1000
_Limit = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)] | None
_OPERATORS = frozenset({"system", "developer"})


class _Turn(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system", "developer"]
    content: str


class _Options(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool = False


class _Chat(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    messages: list[_Turn]
    max_tokens: _Limit = None
    max_completion_tokens: _Limit = None
    stream: bool | None = None
    stream_options: _Options | None = None


class _Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Said(msgspec.Struct):
    role: str
    content: tuple[_Text]


class _Message(msgspec.Struct, omit_defaults=True):
    """The order in which anthropic/render.py writes them."""

    model: str
    max_tokens: int
    system: list[_Text] = []
    messages: list[_Said] = []
    stream: bool = False


_question = compiled("question")
_carried = compiled("carried")
_DECODER = msgspec.json.Decoder(_Chat)
_ENCODER = msgspec.json.Encoder()


class Carrying:
    """Between a chat client and one Claude model, called by this name."""

    def __init__(self, model: str) -> None:
        traits = traits_of(model)
        self._model = model
        self._usual_tokens = default_max_tokens(traits)
        self._most_tokens = traits.max_output
        self._said = _ENCODER.encode(model)

    def question(self, body: bytes, *, stream: bool = False) -> bytes | None:
        """Return the upstream's body; None where the codecs must say it. `stream`: whether the
        answer is to be one."""
        if _question is not None:
            limits = (self._usual_tokens, self._most_tokens or 0)
            made: bytes | None = _question(body, self._said, *limits, stream)
            if made is not None:
                return made
        try:
            chat = _DECODER.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None
        turns, leading = chat.messages, 0
        while leading < len(turns) and turns[leading].role in _OPERATORS:
            leading += 1
        if (
            (chat.stream is True) is not stream
            or (chat.stream_options is not None and not stream)
            or len(turns) > TURNS_MAX
            or not _alternate(turns[leading:])
        ):
            return None
        newer, older = chat.max_completion_tokens, chat.max_tokens
        limit = older if newer is None else newer
        if limit is None:
            limit = self._usual_tokens
        elif self._most_tokens is not None and limit > self._most_tokens:
            return None
        for turn in turns:
            if not turn.content.strip():
                return None
        system = [_Text(turn.content) for turn in turns[:leading]]
        said = [_Said(turn.role, (_Text(turn.content),)) for turn in turns[leading:]]
        return _ENCODER.encode(_Message(self._model, limit, system, said, stream))

    def answer(self, body: bytes, created: int) -> tuple[Found, bytes] | None:
        """Return what an answer says, and the client's body. `created`: seconds since the epoch."""
        if _carried is not None and len(body) <= BODY_LIMIT_BYTES:
            made: tuple[Found, bytes] | None = _carried(body, created)
            if made is not None:
                return made
        read = plain_message(body)
        if read is None or not read[0].model:
            return None
        message, tokens = read
        text = "".join([one.text for one in message.content])
        said = {"role": "assistant", "content": text, "refusal": None}
        word = FINISH[message.stop_reason]
        whole = completion_of(message.id, created, message.model, said, word, tokens)
        cached = (tokens.cache_read, tokens.cache_write)
        counts = (tokens.input, tokens.output, *cached, tokens.reasoning)
        return (message.model, counts), _ENCODER.encode(whole)


def wants_usage(body: bytes) -> bool:
    """Whether a stream's client wants the usage told: of a body that was carried."""
    if b'"stream_options"' not in body:  # quotes are escaped in what is said
        return False
    options = _DECODER.decode(body).stream_options
    return options is not None and options.include_usage


def carrying_of(asked: Asked, candidate: Candidate) -> Carrying | None:
    """Return what carries requests like this one to this candidate; None: only the codecs can."""
    if asked.format is not Format.OPENAI_CHAT or candidate.kind.wire is not Format.ANTHROPIC:
        return None
    return _carrying_to(candidate.model)


@lru_cache(maxsize=256)
def _carrying_to(model: str) -> Carrying:
    return Carrying(model)


def _alternate(turns: Sequence[_Turn]) -> bool:
    """Whether user and assistant take turns, from the user to the user."""
    if len(turns) % 2 == 0 or len(turns) > TURNS_MAX:
        return False
    return all(
        turn.role == ("assistant" if place % 2 else "user") for place, turn in enumerate(turns)
    )
