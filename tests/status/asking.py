"""One request to an application of ours, without a socket."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.types import ASGIApp, Message


async def ask(
    app: ASGIApp, method: str, path: str, body: Any = None, *, token: str, by: str = "Ada"
) -> tuple[int, Any]:
    """Return status and decoded answer. `body`: bytes as they are, else as JSON."""
    sent: list[Message] = []
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)

    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {token}".encode()), (b"outlast-operator", by.encode())]
    await app(
        {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": headers, "client": None, "scheme": "http",
            "server": ("127.0.0.1", 80), "root_path": "",
        },
        receive,
        send,
    )  # fmt: skip
    text = b"".join(one.get("body", b"") for one in sent)
    return sent[0]["status"], msgspec.json.decode(text)
