"""One service with one vendor behind it, for tests of what people send by mistake."""

from __future__ import annotations

from typing import Any

import msgspec

from outlast.simulator import Vendor
from tests.raw import Reply, ask
from tests.service import Running

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
SURFACES = (MESSAGES, CHAT, RESPONSES)
GOOD: dict[str, dict[str, Any]] = {
    MESSAGES: {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]},
    CHAT: {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    RESPONSES: {"model": "m", "input": "Hi"},
}


class Place(msgspec.Struct):
    running: Running
    vendor: Vendor

    @property
    def port(self) -> int:
        return self.running.service.settings.server.port

    async def post(
        self, path: str, body: Any, headers: list[tuple[str, str]] | None = None
    ) -> Reply:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        credential = [("x-api-key", self.running.key), ("content-type", "application/json")]
        return await ask(
            self.running.url, "POST", path, credential if headers is None else headers, raw
        )


def message_of(path: str, reply: Reply) -> str:
    """Check that this is an error in the dialect of the path, and return its sentence."""
    assert reply.headers["content-type"] == "application/json", reply
    assert reply.headers["outlast-request-id"].startswith("req_")
    body = reply.json()
    error: dict[str, Any] = body["error"]
    if path.startswith(MESSAGES):
        assert body["type"] == "error"
        assert body["request_id"] == reply.headers["request-id"]
        assert set(error) == {"type", "message"}
    else:
        assert body["request_id"] == reply.headers["x-request-id"]
        assert set(error) == {"message", "type", "param", "code"}
    message: str = error["message"]
    assert "Traceback" not in message
    return message
