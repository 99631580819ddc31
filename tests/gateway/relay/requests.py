"""Requests as clients send them, and as attackers do: bytes for the relay's properties and fuzz."""

from __future__ import annotations

import random

from tests.gateway.relay.wire import PATH

TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\x00",
    b"\xff",
    b":",
    b",",
    b"0",
    b"5",
    b"+",
    b"-",
    b"_",
    b";",
    b"0x2",
    b"0\r\n\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"content-length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"content-length : 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
    b"transfer-encoding:\x0bchunked\r\n",
    b"host: other\r\n",
    b"connection: close\r\n",
    b"connection: upgrade\r\nupgrade: h2c\r\n",
    b"expect: 100-continue\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"POST /v1/messages HTTP/1.1\r\n",
    b"x: " + b"y" * 300 + b"\r\n",
)


def valid(rng: random.Random) -> bytes:
    """One well-formed request with a body."""
    body = bytes(rng.randrange(32, 127) for _ in range(rng.choice((0, 1, 2, 5, 40, 300))))
    lines = [b"host: x"]
    for _ in range(rng.randrange(4)):
        name = rng.choice((b"x-a", b"X-B", b"accept", b"User-Agent"))
        lines.append(name + b": " + rng.choice((b"", b"1", b"a, b", "é".encode(), b"v" * 50)))
    if rng.random() < 0.2:
        lines.append(b"expect: 100-continue")
    if rng.random() < 0.15:
        lines.append(b"connection: upgrade\r\nupgrade: h2c")
    if rng.random() < 0.5:
        lines.append(b"transfer-encoding: " + rng.choice((b"chunked", b"Chunked")))
        body = chunked(rng, body)
    else:
        lines.append(b"content-length: %d" % len(body))
    rng.shuffle(lines)
    query = rng.choice(("", "?beta=true", "?a=b&c=%20"))
    first = f"POST {PATH}{query} HTTP/1.1\r\n".encode()
    return first + b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(rng: random.Random, body: bytes) -> bytes:
    out = b""
    while body:
        size = rng.randrange(1, len(body) + 1)
        extension = rng.choice((b"", b"", b";a=b"))
        out += b"%x%b\r\n%b\r\n" % (size, extension, body[:size])
        body = body[size:]
    trailer = rng.choice((b"", b"", b"x-t: 1\r\n"))
    return out + b"0\r\n" + trailer + b"\r\n"


def repeated(rng: random.Random) -> list[bytes]:
    """Requests with one head, as a tool sends them: but for the length, and with other bodies."""
    lines = [b"host: x", b"user-agent: tool/1", b"x-api-key: k"][: rng.randrange(1, 4)]
    before = f"POST {PATH} HTTP/1.1\r\n".encode() + b"\r\n".join(lines) + b"\r\n"
    after = rng.choice((b"", b"", b"accept: */*\r\n", b"connection: keep-alive\r\n"))
    made = []
    for _ in range(rng.randrange(2, 6)):
        body = bytes(rng.randrange(32, 127) for _ in range(rng.choice((1, 2, 40, 300))))
        length = rng.choice((b"%d", b"%d", b"%d", b"0%d")) % len(body)
        made.append(before + b"content-length: " + length + b"\r\n" + after + b"\r\n" + body)
    return made


def hostile(rng: random.Random) -> bytes:
    """A few requests with something wrong in them, anywhere."""
    data = b"".join(valid(rng) for _ in range(rng.randrange(1, 4)))
    return damaged(rng, data, rng.choice((1, 1, 1, 2, 3, 6)))


def damaged(rng: random.Random, data: bytes, times: int = 1) -> bytes:
    """The same bytes with something put in, left out or changed."""
    for _ in range(times):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data = data[:at] + rng.choice(TOKENS) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + rng.choice((1, 1, 2, 10)) :]
        elif kind == 2:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        else:
            # In front of a line, where smuggling happens.
            start = data.find(b"\r\n", at) + 2
            data = data[:start] + rng.choice(TOKENS) + data[start:]
    return data


def cut(rng: random.Random, data: bytes) -> list[bytes]:
    """The same bytes as several reads."""
    how = rng.randrange(4)
    if how == 0:
        return [data]
    if how == 1:
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
