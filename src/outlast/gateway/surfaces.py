"""The inference endpoints that we serve, as a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from outlast.nouns import Format, Tokens
from outlast.wire import CODECS
from outlast.wire.canon import JSON, BadRequest, Rendered, Request
from outlast.wire.codec import Codec
from outlast.wire.stream import AnswerEvent, End, MalformedFrame, Start, Stop


class Surface(msgspec.Struct, frozen=True):
    """One endpoint. `codecs` is what candidates of each format speak there."""

    path: str
    format: Format
    codecs: Mapping[Format, Codec]
    serves: str = "chat"
    streams: bool = True
    translates: bool = True
    """Whether a candidate of another format can answer it."""


def _no_parse(_: JSON) -> Request:
    raise BadRequest("", "This endpoint has no equivalent in other formats.")


def _no_render(_: Request) -> Rendered:
    raise BadRequest("", "This endpoint has no equivalent in other formats.")


def _no_answer(_: Iterable[AnswerEvent], __: Request) -> JSON:
    raise MalformedFrame("this endpoint has no equivalent in other formats")


def _embeddings(body: JSON) -> list[AnswerEvent]:
    if not isinstance(body.get("data"), list):
        raise MalformedFrame("no `data` list")
    usage = body.get("usage")
    tokens = usage.get("prompt_tokens", 0) if isinstance(usage, dict) else 0
    return _counted(body, tokens)


def _count(body: JSON) -> list[AnswerEvent]:
    return _counted(body, body.get("input_tokens"))


def _counted(body: JSON, tokens: object) -> list[AnswerEvent]:
    if not isinstance(tokens, int):
        raise MalformedFrame("no token count")
    model = body.get("model")
    counted = Tokens(input=tokens)
    start = Start(id="", model=model if isinstance(model, str) else "", tokens=counted)
    return [start, Stop("end_turn", counted), End()]


def _plain(base: Format, path: str, parse: object) -> Codec:
    """A codec for an endpoint whose whole bodies pass through and are only watched."""
    return msgspec.structs.replace(
        CODECS[base],
        path=path,
        parse_request=_no_parse,
        render_request=_no_render,
        parse_answer=parse,
        render_answer=_no_answer,
    )


_EMBEDDINGS = _plain(Format.OPENAI_CHAT, "/v1/embeddings", _embeddings)
_COUNT_TOKENS = _plain(Format.ANTHROPIC, "/v1/messages/count_tokens", _count)

COUNT_TOKENS = "/v1/messages/count_tokens"

SURFACES: dict[str, Surface] = {
    surface.path: surface
    for surface in (
        Surface("/v1/messages", Format.ANTHROPIC, CODECS),
        Surface("/v1/chat/completions", Format.OPENAI_CHAT, CODECS),
        Surface("/v1/responses", Format.OPENAI_RESPONSES, CODECS),
        Surface(
            COUNT_TOKENS,
            Format.ANTHROPIC,
            {**CODECS, Format.ANTHROPIC: _COUNT_TOKENS},
            streams=False,
            translates=False,
        ),
        Surface(
            "/v1/embeddings",
            Format.OPENAI_CHAT,
            {**CODECS, Format.OPENAI_CHAT: _EMBEDDINGS},
            serves="embeddings",
            streams=False,
            translates=False,
        ),
    )
}
