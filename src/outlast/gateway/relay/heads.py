"""Heads of HTTP/1.1 messages as bytes, and back into names and values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus

from outlast.native import compiled

_reply = compiled("reply")
Pairs = list[tuple[bytes, bytes]]

LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_VERSIONS = frozenset({"1.1", "1.0"})


@lru_cache(maxsize=512)
def _name(raw: bytes) -> str:
    """A header's name in lower case. Few names are used, again and again."""
    return raw.lower().decode("latin-1")


def _text(value: bytes) -> str:
    """A header's value as it was meant: what is sent on is encoded as UTF-8 again."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def request_headers(pairs: Pairs) -> dict[str, str]:
    """Return a client's headers by lower-case name; repeated ones are one list (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for raw, value in pairs:
        name = _name(raw)
        text = _text(value.strip(b" \t"))
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def oddity(headers: Mapping[str, str], version: str) -> str:
    """Return what is wrong with a request's head that llhttp bears; empty: nothing.

    Whatever two readers could frame or route in two ways is refused (RFC 9112, 3.2 and 6.1).
    """
    if version not in _VERSIONS:
        return "This service speaks HTTP/1.1."
    host = headers.get("host")
    if (host is None and version == "1.1") or (host is not None and "," in host):
        return "A request has exactly one host header."
    if headers.get("transfer-encoding", "chunked").lower() != "chunked":
        return "The only transfer-encoding here is chunked."
    return ""


def framing(headers: Mapping[str, str]) -> bytes:
    """Return the header line that frames a request's body; empty where there is none."""
    if "transfer-encoding" in headers:
        return b"transfer-encoding: chunked"
    length = headers.get("content-length", "0")
    return f"content-length: {length}".encode() if length.strip("0") else b""


def response_headers(pairs: Pairs) -> dict[str, str]:
    """Return an upstream's headers by lower-case name; of repeated ones the last counts."""
    return {_name(raw): value.decode("latin-1") for raw, value in pairs}


@lru_cache(maxsize=64)
def status_line(status: int) -> bytes:
    """Return the first line of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("latin-1")


def lines(headers: Mapping[str, str]) -> str:
    """Return header lines. Raises ValueError for what would end a line or a head early."""
    text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if text.count("\n") != len(headers) or text.count("\r") != len(headers) or "\0" in text:
        raise ValueError("a header with a line end in it")
    return text


def chunk(data: bytes) -> bytes:
    """Return a piece of a body in chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def written(
    usual: bytes, lines: bytes, ident: str, who: bytes, body: bytes, *, keep_alive: bool = True
) -> bytes:
    """Return a plain whole answer as a client gets it: the lines of all answers, the upstream's,
    the request's id, the lines that say who answered, the body."""
    if keep_alive and _reply is not None:
        made: bytes | None = _reply(usual, lines, ident, who, body)
        if made is not None:
            return made
    name = ident.encode()
    closing = b"" if keep_alive else b"connection: close\r\n"
    return (
        b"HTTP/1.1 200 OK\r\n%b%boutlast-request-id: %b\r\noutlast-receipt: /v1/receipts/%b\r\n"
        b"outlast-attempts: 1\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
        % (usual, lines, name, name, who, len(body), closing, body)
    )
