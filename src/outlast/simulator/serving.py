"""From one HTTP request and its fault to the answer to send."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from outlast.nouns import Format
from outlast.simulator import anthropic, chat, damage, errors, responses, side, truth
from outlast.simulator.ask import Ask, Rejected
from outlast.simulator.damage import Cut, Send, Wait
from outlast.simulator.frames import Cutter, Frame, Stamp
from outlast.simulator.http1 import Request
from outlast.simulator.script import Fault, FaultKind, Script
from outlast.simulator.sending import Sending
from outlast.simulator.truth import Answer
from outlast.wire.canon import JSON

PATHS = {
    "/v1/messages": Format.ANTHROPIC,
    "/v1/chat/completions": Format.OPENAI_CHAT,
    "/v1/responses": Format.OPENAI_RESPONSES,
}
_SSE = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_JSON = (("content-type", "application/json"),)


def read(path: str, body: JSON) -> Ask:
    """Return what a request's body asks for, in the format of its path.

    Raises Rejected for what the vendor refuses, KeyError for a path that gives no answers.
    """
    match PATHS[path]:
        case Format.ANTHROPIC:
            return anthropic.read(body)
        case Format.OPENAI_CHAT:
            return chat.read(body)
        case Format.OPENAI_RESPONSES:
            return responses.read(body)


class Serving:
    """One request: its format, its body, the vendor's words for it."""

    def __init__(
        self, script: Script, path: str, request: Request, served: int, wall: float
    ) -> None:
        self.script = script
        self.path = path
        self.request = request
        self.wall = wall
        self.is_anthropic = path.startswith("/v1/messages") or (
            "anthropic-version" in request.headers and path not in PATHS
        )
        self.format = PATHS.get(path, Format.ANTHROPIC if self.is_anthropic else Format.OPENAI_CHAT)
        mark = f"{truth.digest(script.name, script.seed, served)[:20]}"
        self.stamp = Stamp(f"req_{mark}", int(wall))
        self.body = self._decoded()

    @property
    def is_counted(self) -> bool:
        return self.request.method == "POST" and self.path in {*PATHS, "/v1/embeddings"}

    def _decoded(self) -> JSON | None:
        try:
            body = msgspec.json.decode(self.request.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return body if isinstance(body, dict) else None

    def sending(self, fault: Fault | None, number: int) -> Sending:
        """Return the answer with the fault in it."""
        if fault is not None and fault.kind is FaultKind.STATUS:
            reply = errors.failure(self.format, fault, self.stamp, self.wall)
            return self._reply(reply, fault)
        try:
            return self._healthy(fault, number)
        except Rejected as why:
            return self._reply(errors.rejection(self.format, why, self.stamp), None)

    def _reply(self, reply: errors.Reply, fault: Fault | None) -> Sending:
        headers = (*reply.headers, *self._identity())
        body = b"" if self.request.method == "HEAD" else reply.body
        return Sending(reply.status, headers, [Send(body)], fault, len(body))

    def _identity(self) -> tuple[tuple[str, str], ...]:
        name = "request-id" if self.is_anthropic else "x-request-id"
        return ((name, self.stamp.request_id),)

    def _healthy(self, fault: Fault | None, number: int) -> Sending:
        self._authenticate()
        if self.request.method in {"GET", "HEAD"}:
            return self._look(fault, number)
        if self.request.method != "POST":
            raise Rejected(405, f"Method {self.request.method} is not allowed here.")
        if self.request.too_large:
            raise Rejected(413, "")
        if self.path not in {*PATHS, "/v1/embeddings", "/v1/messages/count_tokens"}:
            raise Rejected(404, f"Invalid URL (POST {self.path})")
        if self.body is None:
            raise Rejected(400, "We could not parse the JSON body of your request.")
        self._known_model(str(self.body.get("model", "")))
        if self.path == "/v1/embeddings":
            return self._whole(side.embeddings(self.body, self.script), fault, number)
        if self.path == "/v1/messages/count_tokens":
            ask = _well_read(lambda body: anthropic.read(body, counting=True), self.body)
            return self._whole({"input_tokens": truth.input_tokens(ask)}, fault, number)
        ask = _well_read(lambda body: read(self.path, body), self.body)
        return self._answer(ask, fault, number)

    def _authenticate(self) -> None:
        if not self.script.keys:
            return
        headers = self.request.headers
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not {headers.get("x-api-key"), bearer} & set(self.script.keys):
            raise Rejected(401, "", code="" if self.is_anthropic else "invalid_api_key")

    def _known_model(self, model: str) -> None:
        if self.script.only_models and model not in self.script.models:
            if self.is_anthropic:
                raise Rejected(404, f"model: {model}")
            raise Rejected(
                404,
                f"The model `{model}` does not exist or you do not have access to it.",
                code="model_not_found",
            )

    def _look(self, fault: Fault | None, number: int) -> Sending:
        if self.path == "/":
            return Sending(200, self._identity(), [], None, 0)
        if self.path == "/v1/models":
            found = side.models(self.script, anthropic=self.is_anthropic)
            return self._whole(found, fault, number)
        name = self.path.removeprefix("/v1/models/")
        if name == self.path:
            raise Rejected(404, f"Invalid URL ({self.request.method} {self.path})")
        if name not in self.script.models:
            raise Rejected(
                404, f"model: {name}", code="" if self.is_anthropic else "model_not_found"
            )
        return self._whole(side.model(name, anthropic=self.is_anthropic), fault, number)

    def _answer(self, ask: Ask, fault: Fault | None, number: int) -> Sending:
        script = self.script
        for refusal, signature in ask.seals:
            if not truth.is_own(signature, script.account):
                code = "" if self.is_anthropic else "invalid_encrypted_content"
                raise Rejected(400, refusal, code=code)
        if script.context_tokens is not None:
            self._fits(truth.input_tokens(ask), script.context_tokens)
        if ask.turns[-1].role == "assistant" and self.is_anthropic and not script.prefill:
            raise Rejected(
                400,
                "This model does not support assistant message prefill. The conversation must end"
                " with a user message.",
            )
        if ask.format is Format.OPENAI_CHAT:
            ask = msgspec.structs.replace(ask, shows_thinking=script.show_reasoning)
        answer = truth.answer(ask, script)
        if fault is not None and fault.kind is FaultKind.HALF_TOOL:
            answer = damage.half_tool(answer)
        if not ask.stream:
            body = {
                Format.ANTHROPIC: anthropic.whole,
                Format.OPENAI_CHAT: chat.whole,
                Format.OPENAI_RESPONSES: responses.whole,
            }[ask.format](answer, ask, self.stamp)
            return self._whole(body, fault, number, answer)
        return self._streamed(answer, ask, fault, number)

    def _fits(self, tokens: int, limit: int) -> None:
        if tokens > limit and self.is_anthropic:
            raise Rejected(400, f"prompt is too long: {tokens} tokens > {limit} maximum")
        if tokens > limit:
            raise Rejected(
                400,
                f"This model's maximum context length is {limit} tokens. However, your messages"
                f" resulted in {tokens} tokens. Please reduce the length of the messages.",
                "messages",
                "context_length_exceeded",
            )

    def _whole(
        self, body: JSON, fault: Fault | None, number: int, answer: Answer | None = None
    ) -> Sending:
        if fault is not None and fault.kind is FaultKind.STREAM_ERROR:
            # There is no stream to fail in: such a vendor answers with the status itself.
            return self._reply(errors.failure(self.format, fault, self.stamp, self.wall), fault)
        data = b"" if self.request.method == "HEAD" else msgspec.json.encode(body)
        headers = (*_JSON, *self._identity(), *self._limits())
        if fault is not None and fault.kind is FaultKind.TRUNCATED_JSON:
            data = data[: max(1, int(len(data) * fault.after_share))]
            return Sending(200, headers, [Send(data)], fault, len(data))
        if fault is not None and fault.kind is FaultKind.MALFORMED:
            data = data[:1] + b'"unclosed' + data[1:]
            return Sending(200, headers, [Send(data)], fault, len(data))
        frames = [Frame("text", data, len(data))]
        fault = damage.aimed_at_whole(fault, len(data), answer) if fault is not None else None
        sending = self._with(frames, fault, headers, number, [])
        if sending.length is None:
            sending.length = len(data)
            body_breaks = any(isinstance(step, Cut) for step in sending.steps)
            sent = sum(len(step.data) for step in sending.steps if isinstance(step, Send))
            # What ends short of its promised length can only end by closing.
            sending.close_after = not body_breaks and sent != len(data)
        return sending

    def _limits(self) -> tuple[tuple[str, str], ...]:
        if self.path not in PATHS:
            return ()
        return tuple(errors.rate_limits(self.format, self.wall).items())

    def _streamed(self, answer: Answer, ask: Ask, fault: Fault | None, number: int) -> Sending:
        frames = list(_frames(answer, ask, damage.cutter_for(fault, answer), self.stamp))
        failed: list[Frame] = []
        if fault is not None:
            at = damage.position(frames, fault)
            failed = self._stream_error(answer, ask, fault, frames, at)
        headers = (*_SSE, *self._identity(), *self._limits())
        return self._with(frames, fault, headers, number, failed)

    def _stream_error(
        self, answer: Answer, ask: Ask, fault: Fault, frames: list[Frame], at: int | None
    ) -> list[Frame]:
        kind, message = errors.in_stream(self.format, fault)
        if ask.format is Format.ANTHROPIC:
            return anthropic.stream_error(kind, message, self.stamp)
        if ask.format is Format.OPENAI_CHAT:
            body = errors.body_of(self.format, fault.status, message, "", kind, self.stamp)
            return chat.stream_error(body)
        seen = sequence = 0
        for frame in frames:
            seen += len(frame.data)
            sequence += seen <= (at or 0)
        return responses.stream_error(
            kind,
            message,
            answer,
            ask,
            self.stamp,
            sequence=sequence,
            bare=fault.variant == "error_event",
        )

    def _with(
        self,
        frames: list[Frame],
        fault: Fault | None,
        headers: tuple[tuple[str, str], ...],
        number: int,
        failed: list[Frame],
    ) -> Sending:
        steps, happened = damage.play(frames, fault, self.script, key=number, error=failed)
        sending = Sending(200, headers, steps)
        if self.script.first_token_s:
            sending.before_head = Wait(self.script.first_token_s)
        if fault is None:
            return sending
        early = fault.where == "before_head" or (fault.kind is FaultKind.RESET and not fault.where)
        if early and fault.kind in {FaultKind.RESET, FaultKind.CUT, FaultKind.EOF}:
            reset = fault.how == "reset" and fault.kind is not FaultKind.EOF
            sending.before_head, happened = Cut(reset), True
        elif early and fault.kind is FaultKind.STALL:
            sending.before_head, happened = Wait(fault.stall_s), True
            sending.steps = [step for step in steps if not isinstance(step, Wait)]
        elif fault.kind is FaultKind.CONTENT_TYPE:
            happened = True
            if fault.html:
                sending.steps = [Send(errors.html_page(502))]
            kept = [pair for pair in headers if pair[0] != "content-type"]
            sending.headers = (("content-type", fault.content_type), *kept)
        elif fault.kind is FaultKind.CONTENT_LENGTH:
            total = sum(len(frame.data) for frame in frames)
            sending.length, sending.close_after = max(0, total + fault.off_by), True
            happened = True
        elif fault.kind is FaultKind.HALF_TOOL:
            happened = any(frame.kind == "tool" for frame in frames) or len(frames) == 1
        sending.fault = fault if happened else None
        return sending


def _well_read(reader: Callable[[JSON], Ask], body: JSON) -> Ask:
    try:
        return reader(body)
    except (AttributeError, KeyError, TypeError, ValueError) as odd:
        # A value of another type than the format's, deeper than the readers look.
        raise Rejected(400, f"Invalid request: {type(odd).__name__}: {odd}") from odd


def _frames(answer: Answer, ask: Ask, cutter: Cutter, stamp: Stamp) -> Sequence[Frame]:
    match ask.format:
        case Format.ANTHROPIC:
            return list(anthropic.stream(answer, ask, cutter, stamp))
        case Format.OPENAI_CHAT:
            return list(chat.stream(answer, ask, cutter, stamp))
        case Format.OPENAI_RESPONSES:
            return list(responses.stream(answer, ask, cutter, stamp))
