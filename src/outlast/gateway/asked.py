"""What was asked, and what is sent for it: the values that the gateway's deciders share. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from outlast.config import RetrySettings, TimeoutSettings
from outlast.nouns import Allow, Candidate, Format
from outlast.wire.canon import JSON
from outlast.wire.stream import Reader


class Asked(msgspec.Struct, frozen=True):
    """One client request, as it came. Header names are lower-case."""

    id: str
    """Our request id, `req_…`."""
    format: Format
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    model: str
    """The public model name."""
    stream: bool
    at: float
    """Wall clock, seconds."""
    notice: str = ""
    """Language (`en`, `fr`) of a visible notice where another model goes on; empty: none."""
    key_id: str = ""
    allow: Allow = Allow.LOCAL

    @property
    def receipt_path(self) -> str:
        return f"/v1/receipts/{self.id}"


class Plan(msgspec.Struct, frozen=True):
    """What an exchange may do: decided once, before it starts."""

    asked: Asked
    candidates: tuple[Candidate, ...]
    """In the order to try them."""
    primary: Candidate
    """What was asked for: degradation is measured against it."""
    timeouts: Mapping[str, TimeoutSettings]
    """By upstream name; every candidate has one."""
    retry: RetrySettings
    whole_limit_bytes: int = 64 << 20
    prompt_tokens: int = 0
    """An estimate, for attempts whose upstream never counted."""


class Prepared(msgspec.Struct, frozen=True):
    """One candidate's call, ready to be sent; the credential is the transport's affair."""

    candidate: Candidate
    path: str
    """After the upstream's base URL, with the query."""
    headers: dict[str, str]
    body: bytes
    reader: Reader
    streamed: bool
    """Whether the upstream is asked for a stream (the embedded model always is)."""
    same_format: bool
    """Bytes pass through unchanged; the reader only watches."""
    dropped: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    """Stop sequences that the upstream has no parameter for: the answer is cut here."""
    refused: tuple[str, ...] = ()
    """Signatures that this candidate refused, and is now asked without."""


class Reply(msgspec.Struct, frozen=True):
    """A whole reply to the client."""

    status: int
    headers: dict[str, str]
    body: bytes


def json_bytes(body: JSON) -> bytes:
    return msgspec.json.encode(body)
