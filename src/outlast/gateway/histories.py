"""The history in a body that passes through: looked at in its bytes, mended where it must be. Pure.

Nearly all bodies pass untouched, and are not even decoded: only marks are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from outlast.nouns import Format
from outlast.wire.anthropic import repair as anthropic
from outlast.wire.canon import JSON, BadRequest
from outlast.wire.notices import may_hold_notice
from outlast.wire.openai_chat import repair as openai_chat
from outlast.wire.openai_responses import repair as openai_responses
from outlast.wire.refusals import Refused

Foreign = Callable[[str], bool]
FindForeign = Callable[[], Foreign | None]
"""Asked only where a history holds something signed."""

_MARKS = {
    Format.ANTHROPIC: re.compile(rb'"(?:signature|redacted_thinking|fallback)"'),
    Format.OPENAI_RESPONSES: re.compile(rb'"reasoning"'),
}
"""Without any of these there is nothing to look at: one pass over the bytes."""
_SEALED = re.compile(rb'"(?:signature|redacted_thinking|encrypted_content)"')
_UNSIGNED = re.compile(rb'"signature"\s*:\s*""')
_SIGNED = re.compile(rb'"(?:signature|encrypted_content)"\s*:\s*"([^"\\]+)"')
_SEAMS_KNOWN = "server-side-fallback"
"""A client that sent this beta can be answered with `fallback` blocks, and may send them back."""


class Mended(msgspec.Struct, frozen=True):
    """`dropped` names what was taken out."""

    body: bytes
    dropped: tuple[str, ...] = ()


def untouched(form: Format, body: bytes) -> bool:
    """Whether there is nothing to look at in a body: `mended` returns it as it came."""
    marks = _MARKS.get(form)
    return not may_hold_notice(body) and (marks is None or marks.search(body) is None)


def mended(
    form: Format,
    body: bytes,
    find_foreign: FindForeign = lambda: None,
    refused: Refused | None = None,
    betas: str = "",
) -> Mended:
    """Return a body that its host will take although another one answered a turn of it.

    The bytes are the caller's where nothing has to be taken out. `refused`: what the host would
    not take when it was asked before; `betas`: the caller's `anthropic-beta` header.
    """
    marked = _MARKS[form].search(body) if form in _MARKS else None
    if marked is None and not refused and not may_hold_notice(body):
        return Mended(body)
    foreign = find_foreign() if marked is not None and _SEALED.search(body) else None
    unknown = refused == "turns" or _SEAMS_KNOWN not in betas
    seams = form is Format.ANTHROPIC and unknown and b'"fallback"' in body
    if not (refused or seams or may_hold_notice(body) or _suspicious(form, body, foreign)):
        return Mended(body)
    decoded = decode_object(body)
    if form is Format.ANTHROPIC:
        wish = anthropic.Wish(foreign, refused, seams)
        repaired, dropped = anthropic.repaired(decoded, wish)
    elif form is Format.OPENAI_RESPONSES:
        repaired, dropped = openai_responses.repaired(decoded, foreign, refused)
    else:
        repaired, dropped = openai_chat.repaired(decoded, refused)
    return Mended(body) if repaired is decoded else Mended(msgspec.json.encode(repaired), dropped)


def seals_in(form: Format, body: bytes) -> tuple[str, ...]:
    """Return everything signed in a history: signatures, redacted thinking, encrypted reasoning."""
    if not _SEALED.search(body):
        return ()
    found: list[str] = []

    def collect(seal: str) -> bool:
        found.append(seal)
        return False

    decoded = decode_object(body)
    if form is Format.ANTHROPIC:
        anthropic.repaired(decoded, anthropic.Wish(collect, seams=False))
    else:
        openai_responses.repaired(decoded, collect, None)
    return tuple(dict.fromkeys(found))


def decode_object(body: bytes) -> JSON:
    """Return the body as an object. Raises BadRequest with the place of the first error."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("", f"The body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise BadRequest("", "The body is nested too deeply.") from error
    if not isinstance(decoded, dict):
        raise BadRequest("", "The body must be a JSON object.")
    return decoded


def _suspicious(form: Format, body: bytes, foreign: Foreign | None) -> bool:
    """Whether the history has to be looked at block by block."""
    if form is Format.OPENAI_RESPONSES and b'"reasoning"' in body:
        return True
    if form is Format.ANTHROPIC and _UNSIGNED.search(body):
        return True
    if foreign is None:
        return False
    if form is Format.ANTHROPIC and b'"redacted_thinking"' in body:
        return True
    return any(foreign(found[1].decode("utf-8", "replace")) for found in _SIGNED.finditer(body))
