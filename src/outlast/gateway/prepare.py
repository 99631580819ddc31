"""One candidate's call, made from what the client sent. Pure.

Same format: the client's bytes, with the model's name replaced in place. Other format: parsed
once into the canonical request, rendered for each target. The embedded model has a room of its
own that makes its prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from outlast.config import Settings
from outlast.gateway.asked import Asked, Prepared
from outlast.gateway.capability import Ability, ability_of
from outlast.gateway.carrying import carrying_of, wants_usage
from outlast.gateway.histories import Foreign, Mended, decode_object, mended, seals_in
from outlast.gateway.resuming import SURELY, instruction
from outlast.nouns import Candidate, Format, Kind
from outlast.wire import anthropic
from outlast.wire.anthropic.fitting import fitted_bytes, may_need_fitting
from outlast.wire.anthropic.models import Traits, traits_of
from outlast.wire.anthropic.render import HEADERS
from outlast.wire.canon import BadRequest, Rendered, Request
from outlast.wire.codec import ApiError, Codec
from outlast.wire.estimate import estimate_tokens
from outlast.wire.extend import Addition, extend_body, extend_request, marked
from outlast.wire.notices import may_hold_notice
from outlast.wire.refusals import Refused, refused_part
from outlast.wire.splice import Head, replace_model, splice
from outlast.wire.sse import ServerSentEvent
from outlast.wire.stops import EMULATED_STOP
from outlast.wire.stream import AnswerEvent, Reader

LocalPrepare = Callable[[Request, Candidate, str, str], Prepared]
"""(request, candidate, exchange id, partial answer) → the embedded model's call."""

ForeignTo = Callable[[str], Foreign | None]
"""An account → what tells whether it cannot read a signature (signatures.py)."""

_LEAST_TOKENS = 16
"""What a continuation may take where the limit seems to be used up: the count is an estimate."""

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OURS = frozenset(
    {
        "host",
        "content-length",
        "content-encoding",
        "accept-encoding",
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        # Whose account pays: with our credential, another account's name is refused as a bad key.
        "openai-organization",
        "openai-project",
        "cookie",
        "expect",
        "forwarded",
        "via",
        "x-real-ip",
        "true-client-ip",
    }
)
"""Headers that belong to the connection or to us: the client's credential never leaves here."""

_OUR_PREFIXES = ("outlast-", "x-forwarded-", "cf-")
"""To us as well: our own, and what proxies in front of us add about the client."""

_TRANSLATED = ("user-agent", "accept-language")
"""The client's headers that mean the same in another vendor's API."""


class Preparer:
    """Makes the calls of one exchange; the canonical request is parsed at most once."""

    def __init__(
        self,
        asked: Asked,
        settings: Settings,
        codecs: Mapping[Format, Codec],
        local: LocalPrepare,
        foreign_to: ForeignTo = lambda _: None,
    ) -> None:
        self._asked = asked
        self._settings = settings
        self._codecs = codecs
        self._local = local
        self._foreign_to = foreign_to
        self._refused: dict[str, Refused] = {}
        """What of the history a candidate would not take, by its name."""
        self._request: Request | None = None
        self._wants_usage = False
        """Of a request that was carried over without being parsed."""

    def __call__(self, candidate: Candidate) -> Prepared:
        """Return the call. Raises BadRequest, naming the field, where it cannot be carried."""
        if candidate.kind is Kind.LOCAL:
            return self._local(self.request(), candidate, self._asked.id, "")
        if candidate.kind.wire is self._asked.format:
            return self._passed(candidate)
        return self._carried(candidate) or self._translated(candidate, self.request())

    def request(self) -> Request:
        """Return the canonical request. Raises BadRequest."""
        if self._request is None:
            asked = self._asked
            noticed = may_hold_notice(asked.body)
            body = mended(asked.format, asked.body).body if noticed else asked.body
            self._request = self._codecs[asked.format].parse_request(decode_object(body))
        return self._request

    def estimable(self) -> Request:
        """Return the request of a token count, which may lack what an answer needs."""
        return anthropic.parse_prompt(decode_object(self._asked.body))

    def parsed(self) -> Request | None:
        """Return the canonical request; None where it cannot be parsed."""
        try:
            return self.request()
        except BadRequest:
            return None

    def ability(self, candidate: Candidate) -> Ability:
        """Return how this candidate can go on with somebody else's answer."""
        upstream = self._settings.upstreams[candidate.upstream]
        return ability_of(candidate, upstream.continuation)

    def mend(self, candidate: Candidate, error: ApiError | None) -> bool:
        """Whether a candidate that refused is to be asked once more, its history mended.

        Only where the refusal is about the history, and something can be taken out of it.
        """
        form = self._asked.format
        if error is None or candidate.kind.wire is not form or candidate.name in self._refused:
            return False
        part = refused_part(form, error)
        if part is None:
            return False
        try:
            before = self._mended(candidate, self._asked.body)
            self._refused[candidate.name] = part
            return self._mended(candidate, self._asked.body) != before
        except BadRequest:
            return False  # it was passed on unread, and cannot be read

    def continuing(self, candidate: Candidate, partial: str, ability: Ability) -> Prepared:
        """Return the call that asks a candidate to go on. Raises BadRequest."""
        request = self.request()
        limit = request.max_tokens
        if limit is not None:
            limit = max(_LEAST_TOKENS, limit - estimate_tokens(partial) // SURELY)
        if candidate.kind is Kind.LOCAL:
            shorter = msgspec.structs.replace(request, max_tokens=limit)
            return self._local(shorter, candidate, self._asked.id, partial)
        instructed = ability.how == "instruct"
        addition = Addition(
            partial=partial if instructed else partial.rstrip(),
            instruction=instruction(partial) if instructed else "",
            max_tokens=limit,
            marks=ability.marks,
            fields=ability.fields,
        )
        if candidate.kind.wire is self._asked.format:
            body = decode_object(self._asked.body)
            extended = extend_body(self._asked.format, body, addition)
            return self._passed(candidate, msgspec.json.encode(extended))
        extended_request = extend_request(request, addition)
        if "thinking" in ability.fields:
            extended_request = msgspec.structs.replace(extended_request, reasoning=None)
        return self._translated(candidate, extended_request, addition)

    def writer_request(self) -> Request:
        """Return the parsed request, or the little that is known where none was needed."""
        if self._request is not None:
            return self._request
        asked = self._asked
        return Request(
            model=asked.model,
            messages=(),
            origin=asked.format,
            stream=asked.stream,
            include_usage=self._wants_usage,
        )

    def _passed(self, candidate: Candidate, extended: bytes | None = None) -> Prepared:
        asked = self._asked
        upstream = self._settings.upstreams[candidate.upstream]
        history = self._mended(candidate, extended or asked.body)
        body, unfit = self._fitted(candidate, history.body)
        if candidate.model != asked.model:
            if body is asked.body:  # it was read before: only the place is looked for
                body = splice(body, Head(asked.model, asked.stream, ()), candidate.model)
            else:
                body = replace_model(body, asked.model, candidate.model)
        headers = passed_headers(asked.headers)
        headers["accept-encoding"] = "identity"
        if upstream.headers:
            headers |= _lower(upstream.headers)
        codec = self._codecs[asked.format]
        path = url_path(upstream.base_url, candidate.kind, codec.path)
        return Prepared(
            candidate=candidate,
            path=f"{path}?{asked.query}" if asked.query else path,
            headers=headers,
            body=body,
            reader=codec.reader() if asked.stream else LateReader(codec.reader),
            streamed=asked.stream,
            same_format=True,
            dropped=tuple(dict.fromkeys((*history.dropped, *unfit)))
            if history.dropped or unfit
            else (),
            refused=self._unread(candidate),
        )

    def _mended(self, candidate: Candidate, body: bytes) -> Mended:
        return mended(
            self._asked.format,
            body,
            lambda: self._foreign_to(account_of(candidate, self._settings)),
            self._refused.get(candidate.name),
            self._asked.headers.get("anthropic-beta", ""),
        )

    def _unread(self, candidate: Candidate) -> tuple[str, ...]:
        """Return the signatures that this candidate would not take."""
        if self._refused.get(candidate.name) != "thinking":
            return ()
        return seals_in(self._asked.format, self._asked.body)

    def _fitted(self, candidate: Candidate, body: bytes) -> tuple[bytes, tuple[str, ...]]:
        """Say thinking the way another Claude model than the one that was asked for wants it."""
        if candidate.kind is not Kind.ANTHROPIC or not may_need_fitting(body):
            return body, ()
        said = self._settings.upstreams[candidate.upstream].thinking
        if said == "auto" and "claude" not in candidate.model.lower():
            return body, ()
        traits = traits_of(candidate.model)
        if said != "auto":
            traits = msgspec.structs.replace(traits, thinking=said)
        elif candidate.model == self._asked.model or _alike(traits, self._asked.model):
            return body, ()
        return fitted_bytes(body, decode_object(body), traits)

    def _carried(self, candidate: Candidate) -> Prepared | None:
        """Return the call of a plain request; None: it has to be parsed for it."""
        asked = self._asked
        carrying = carrying_of(asked, candidate) if self._request is None else None
        if carrying is None or asked.path != self._codecs[asked.format].path:
            return None
        if may_hold_notice(asked.body):
            return None
        body = carrying.question(asked.body, stream=asked.stream)
        if body is None:
            return None
        self._wants_usage = wants_usage(asked.body)
        return self._crossed(candidate, Rendered({}, (), HEADERS), body)

    def _translated(
        self, candidate: Candidate, request: Request, addition: Addition | None = None
    ) -> Prepared:
        codec = self._codecs[candidate.kind.wire]
        rendered = codec.render_request(msgspec.structs.replace(request, model=candidate.model))
        body = rendered.body
        if addition is not None and not addition.instruction:
            body = marked(body, addition)
        stops = request.stop if codec.format in EMULATED_STOP else ()
        return self._crossed(candidate, rendered, msgspec.json.encode(body), stops)

    def _crossed(
        self, candidate: Candidate, rendered: Rendered, body: bytes, stops: tuple[str, ...] = ()
    ) -> Prepared:
        asked, codec = self._asked, self._codecs[candidate.kind.wire]
        upstream = self._settings.upstreams[candidate.upstream]
        headers = {name: asked.headers[name] for name in _TRANSLATED if name in asked.headers}
        headers |= {"content-type": "application/json", "accept-encoding": "identity"}
        headers["accept"] = "text/event-stream" if asked.stream else "application/json"
        return Prepared(
            candidate=candidate,
            path=url_path(upstream.base_url, candidate.kind, codec.path),
            headers=headers | _lower(rendered.headers) | _lower(upstream.headers),
            body=body,
            reader=codec.reader(),
            streamed=asked.stream,
            same_format=False,
            dropped=rendered.dropped,
            stops=stops,
        )


class LateReader:
    """The reader of an answer that is not streamed: only made where that has to be read as one."""

    def __init__(self, make: Callable[[], Reader]) -> None:
        self._make = make
        self._reader: Reader | None = None

    def feed(self, event: ServerSentEvent) -> list[AnswerEvent]:
        if self._reader is None:
            self._reader = self._make()
        return self._reader.feed(event)


def account_of(candidate: Candidate, settings: Settings) -> str:
    """Return whose account this candidate's credential belongs to."""
    upstream = settings.upstreams.get(candidate.upstream)
    return (upstream.account if upstream is not None else "") or candidate.credential


def _alike(traits: Traits, model: str) -> bool:
    """Whether a body that was written for this model can be taken as it is."""
    return "claude" in model.lower() and traits_of(model) == traits


def passed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the client's headers that an upstream of the same format should see.

    Those that `connection` names are for one hop only (RFC 9110, 7.6.1).
    """
    passed = {name: value for name, value in headers.items() if _passes(name)}
    for name in headers.get("connection", "").split(","):
        passed.pop(name.strip().lower(), None)
    return passed


@lru_cache(maxsize=1024)
def _passes(name: str) -> bool:
    return name not in _OURS and name not in _HOP_BY_HOP and not name.startswith(_OUR_PREFIXES)


@lru_cache(maxsize=256)
def url_path(base_url: str, kind: Kind, path: str) -> str:
    """Return the path to ask at an upstream, with whatever prefix its address has.

    `https://api.openai.com`, `…/v1` and `…/v1/` all mean `/v1/chat/completions`; a compatible
    service may stand below a path of its own, `…/v1beta/openai` or `…/anthropic`.
    """
    prefix = urlsplit(base_url).path.rstrip("/")
    if prefix.endswith("/v1"):
        return prefix + path.removeprefix("/v1")
    if prefix and kind is not Kind.ANTHROPIC:
        return prefix + path.removeprefix("/v1")
    return prefix + path


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
