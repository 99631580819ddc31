"""The two things the relay must know of a body that passes through, and the one it changes.

A body is never decoded and written anew: unknown fields, the order of keys, number spellings and
white space are the caller's. Only the top-level `model` value is exchanged, in the bytes.
"""

from __future__ import annotations

import re

import msgspec

from outlast.native import compiled
from outlast.wire.canon import BadRequest
from outlast.wire.looking import Word

MODEL_LIMIT_CHARS = 256
_MAP_LIMIT_BYTES = 2 << 20
"""Above this a map of all top-level values could hold too many of them: candidates are tried."""
_TRIES_LIMIT = 64

_KEY = re.compile(rb'"model"')
_MODEL = Word(b'"model"')
_SPACE = re.compile(rb"[ \t\n\r]*")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]', re.DOTALL)
_SCALAR = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[^,}\] \t\n\r]+', re.DOTALL)
_ESCAPED_KEY = re.compile(
    rb'"(?:m|\\u006[dD])(?:o|\\u006[fF])(?:d|\\u0064)(?:e|\\u0065)(?:l|\\u006[cC])"'
)

Span = tuple[int, int]


class Head(msgspec.Struct, frozen=True):
    """What routing needs of a body. `model_spans`: where the model's JSON string stands in it;
    none given where it stands there once, as nearly always: `splice` finds it then."""

    model: str
    stream: bool
    model_spans: tuple[Span, ...]


_ABSENT = msgspec.Raw(b"null")


class _Fields(msgspec.Struct):
    model: msgspec.Raw = _ABSENT
    stream: msgspec.Raw = _ABSENT


class _Nothing(msgspec.Struct):
    pass


class _Plain(msgspec.Struct):
    """A body as nearly all are."""

    model: str
    stream: bool | None = None


_skim = compiled("skim")
_PLAIN = msgspec.json.Decoder(_Plain)
_FIELDS = msgspec.json.Decoder(_Fields)
_MAP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_CHECK = msgspec.json.Decoder(_Nothing)


def read_head(body: bytes) -> Head:
    """Return model and stream of a request's body.

    Raises BadRequest: not JSON, not an object, model missing, not a string, or given twice with
    different values (two readers of such a body could see two models), stream not a boolean.
    """
    if _skim is not None and (seen := _skim(body, False)) is not None:
        return Head(seen[0], seen[1], ((seen[3], seen[4]),))
    try:
        plain = _PLAIN.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # the long way says what is wrong, or bears it
    else:
        model = plain.model
        if model and len(model) <= MODEL_LIMIT_CHARS and _once(body):
            return Head(model, plain.stream is True, ())
    fields = _decode(body)
    model = _model(fields.model)
    stream = _stream(fields.stream)
    return Head(model, stream, _agreeing_spans(body, model))


def replace_model(body: bytes, old: str, new: str) -> bytes:
    """Return the body with `new` as its top-level model, every other byte as it was.

    Raises BadRequest as `read_head` does, and where the body's model is not `old`.
    """
    head = read_head(body)
    if head.model != old:
        raise BadRequest("model", f"is {head.model[:60]!r}, not {old[:60]!r}")
    return splice(body, head, new)


def splice(body: bytes, head: Head, new: str) -> bytes:
    """Return the body that `head` was read from, with another model. Costs one copy."""
    value = msgspec.json.encode(new)
    pieces: list[bytes] = []
    at = 0
    for start, end in head.model_spans or _spans(body):
        pieces += (body[at:start], value)
        at = end
    return b"".join((*pieces, body[at:]))


def _decode(body: bytes) -> _Fields:
    if not body.strip():
        raise BadRequest("", "the body is empty; it must be a JSON object")
    try:
        return _FIELDS.decode(body)
    except msgspec.ValidationError as error:
        found = str(error).rpartition("got ")[2].strip("`")
        raise BadRequest("", f"the body must be a JSON object, not {found}") from error
    except msgspec.DecodeError as error:
        if "truncated" in str(error):
            why = f"the body is not JSON: it ends in the middle, after {len(body)} bytes"
        else:
            why = f"the body is not JSON: {str(error).removeprefix('JSON is malformed: ')}"
        raise BadRequest("", why) from error
    except UnicodeError as error:
        raise BadRequest("", "the body is not UTF-8 text") from error
    except RecursionError as error:
        raise BadRequest("", "the body is nested too deeply") from error


def _value(raw: msgspec.Raw | bytes, field: str) -> object:
    try:
        value: object = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadRequest(field, "cannot be read") from error
    return value


def _model(raw: msgspec.Raw) -> str:
    value = _value(raw, "model")
    if value is None:
        raise BadRequest("model", "is missing; it must name a model")
    if not isinstance(value, str):
        raise BadRequest("model", f"must be a string, not {_kind(value)}")
    if not value:
        raise BadRequest("model", "must not be empty")
    if len(value) > MODEL_LIMIT_CHARS:
        raise BadRequest("model", f"is longer than {MODEL_LIMIT_CHARS} characters")
    return value


def _stream(raw: msgspec.Raw) -> bool:
    value = _value(raw, "stream")
    if value is None:
        return False
    if not isinstance(value, bool):
        raise BadRequest("stream", f"must be true or false, not {_kind(value)}")
    return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


# Where the value stands


def _agreeing_spans(body: bytes, model: str) -> tuple[Span, ...]:
    """Return where the top-level model's value stands; the body is known to be a JSON object."""
    spans = _spans(body)
    if any(_value(body[start:end], "model") != model for start, end in spans):
        raise BadRequest("model", "is given more than once, with different values")
    return tuple(spans)


def _once(body: bytes) -> bool:
    """Whether only one place in a body with a model could be its key."""
    first = _MODEL.find(body)
    once = first >= 0 and _MODEL.find(body, first + 1) < 0
    # Most bodies have no backslash, and one byte is looked for many times faster than several.
    return once and (b"\\" not in body or b"\\u00" not in body)


def _spans(body: bytes) -> list[Span]:
    """Return the spans of all values of top-level keys that spell `model`."""
    escaped = b"\\u00" in body
    if _once(body):
        # The object has a model, and this is the only place that could be its key.
        return [_value_span(body, body.index(b'"model"') + 7)]
    if len(body) <= _MAP_LIMIT_BYTES and (walked := _walk(body)) is not None:
        return walked
    keys = [match.start() for match in _keys(body, escaped=escaped)]
    if len(keys) <= _TRIES_LIMIT:
        keys = [key for key in keys if _is_top_level_key(body, key)]
        return [_value_span(body, _string_end(body, key)) for key in keys]
    return _scan(body)


def _keys(body: bytes, *, escaped: bool) -> list[re.Match[bytes]]:
    pattern = _ESCAPED_KEY if escaped else _KEY
    return [m for m in pattern.finditer(body) if m.start() and body[m.start() - 1] != 0x5C]


def _string_end(body: bytes, start: int) -> int:
    match = _STRING.match(body, start)
    assert match is not None
    return match.end()


def _skip_space(body: bytes, at: int) -> int:
    match = _SPACE.match(body, at)
    assert match is not None
    return match.end()


def _value_span(body: bytes, after_key: int) -> Span:
    """Return the span of the scalar value after a key."""
    start = _skip_space(body, _skip_space(body, after_key) + 1)
    match = _SCALAR.match(body, start)
    assert match is not None
    return start, match.end()


def _walk(body: bytes) -> list[Span] | None:
    """Step over the top-level values with the lengths that the decoder found.

    None where a key is given twice: the decoder then tells the length of the last one only.
    """
    try:
        values = _MAP.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    spans: list[Span] = []
    at = _skip_space(body, 0)
    for _ in range(len(values)):
        key_start = _skip_space(body, at + 1)
        key_end = _string_end(body, key_start)
        key = _value(body[key_start:key_end], "model")
        raw = bytes(values.pop(key, b"")) if isinstance(key, str) else b""
        start = _skip_space(body, _skip_space(body, key_end) + 1)
        if not raw or not body.startswith(raw, start):
            return None
        if key == "model":
            spans.append((start, start + len(raw)))
        at = _skip_space(body, start + len(raw))
        if body[at : at + 1] not in {b",", b"}"}:
            return None
    return spans if body[at : at + 1] == b"}" else None


def _is_top_level_key(body: bytes, at: int) -> bool:
    """Return whether a key begins here, directly in the outermost object.

    Exactly then the bytes before it become an object by adding a member and a brace. A quote
    with a backslash before it is not asked about: it stands inside a string.
    """
    try:
        _CHECK.decode(body[:at] + b'"":0}')
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


def _scan(body: bytes) -> list[Span]:
    """Read token by token: slow, exact, for bodies with a great many keys called model."""
    spans: list[Span] = []
    depth = 0
    expect_key = False
    for match in _TOKEN.finditer(body):
        first = body[match.start()]
        if first in b"{[":
            depth += 1
            expect_key = depth == 1
        elif first in b"}]":
            depth -= 1
        elif first == 0x2C:
            expect_key = depth == 1
        elif expect_key and depth == 1:
            expect_key = False
            if match[0] == b'"model"' or _ESCAPED_KEY.fullmatch(match[0]):
                spans.append(_value_span(body, match.end()))
    return spans
