"""The vocabulary: what things are called, everywhere.

Pure values, frozen, without behaviour that touches the world. Times are seconds: `*_at` since
the Unix epoch (wall clock), `*_s` durations. A word that is missing here is not one of ours.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Format(StrEnum):
    """A wire format that we serve and that upstreams speak."""

    ANTHROPIC = "anthropic"
    OPENAI_CHAT = "openai-chat"
    OPENAI_RESPONSES = "openai-responses"


class Kind(StrEnum):
    """What an upstream is. `local` is the embedded model, which speaks chat completions."""

    ANTHROPIC = "anthropic"
    OPENAI_CHAT = "openai-chat"
    OPENAI_RESPONSES = "openai-responses"
    LOCAL = "local"

    @property
    def wire(self) -> Format:
        return Format.OPENAI_CHAT if self is Kind.LOCAL else Format(self.value)


class Allow(StrEnum):
    """How far an answer may degrade, from least to most. Each includes those before it."""

    SAME_MODEL = "same-model"
    SAME_VENDOR = "same-vendor"
    ANY = "any"
    LOCAL = "local"

    @property
    def rank(self) -> int:
        return list(Allow).index(self)


class Degraded(StrEnum):
    """How an answer differs from the one that was asked for (header `outlast-degraded`)."""

    NONE = "none"
    OTHER_HOST = "other-host"
    OTHER_MODEL = "other-model"
    LOCAL = "local"


class Outcome(StrEnum):
    """How one attempt ended."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    BROKEN_STREAM = "broken_stream"
    CONNECT_FAILED = "connect_failed"
    AUTH = "auth"
    CALLER_ERROR = "caller_error"
    OURS = "ours"
    CLIENT_GONE = "client_gone"
    LEFT = "left"
    """We left it: another attempt was faster, or the answer was complete."""
    MISFIT = "misfit"
    """It answered, but its continuation did not join what another had begun."""


class Scope(StrEnum):
    """What a failure says something about; it decides where to go next (continuity.md 1.8)."""

    NONE = "none"
    REQUEST = "request"
    CREDENTIAL = "credential"
    ACCOUNT = "account"
    MODEL = "model"
    PROVIDER = "provider"
    OURS = "ours"


class Candidate(msgspec.Struct, frozen=True):
    """One place an exchange may be sent to: an upstream and that upstream's model name."""

    upstream: str
    model: str
    kind: Kind
    provider: str = ""
    """Whose servers: two candidates of one provider fail together."""
    vendor: str = ""
    """Who made the model: `same-vendor` compares this."""
    credential: str = ""
    """Which secret is used (its name, never its value)."""
    weight: int = 1
    context_tokens: int = 0
    """The longest prompt it takes; 0: not known."""

    @property
    def name(self) -> str:
        return f"{self.upstream}/{self.model}"


class Tokens(msgspec.Struct, frozen=True):
    """Tokens of one attempt. `estimated` where the upstream did not say.

    `input`, `cache_read` and `cache_write` do not overlap (Anthropic's way): the prompt is their
    sum. OpenAI counts cached tokens inside its input. `reasoning` is a part of `output`.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    estimated: bool = False


class Observation(msgspec.Struct, frozen=True):
    """Something that happened, once, at one component. Every attempt ends in exactly one."""

    at: float
    source: str
    """attempt · probe · report · notice"""
    component: str
    """`upstream/model` for attempts."""
    outcome: Outcome
    scope: Scope = Scope.NONE
    latency_s: float = 0.0
    weight: float = 1.0
    evidence: str = ""
    """What was seen, in a few words without secrets or content: `HTTP 529 overloaded_error`."""


class Attempt(msgspec.Struct, frozen=True):
    """One try of an exchange at one upstream, as the receipt and the ledger show it."""

    upstream: str
    model: str
    outcome: Outcome
    scope: Scope
    started_at: float
    ended_at: float
    status: int | None = None
    evidence: str = ""
    first_content_s: float | None = None
    tokens: Tokens = Tokens()
    request_id: str = ""
    """The upstream's own request id, for its support desk."""


class Resumption(msgspec.Struct, frozen=True):
    """Where one attempt's answer broke off in sight of the client, and who went on."""

    at_char: int
    broken: str
    """Candidate that broke off."""
    resumed: str
    """Candidate that went on; empty where the answer could be finished without one."""
    how: str
    """exact · prefill · instruct · restart · finished"""
    reason: str


class Receipt(msgspec.Struct, frozen=True):
    """What happened to one exchange, to its last byte. Never any content."""

    id: str
    key_id: str
    surface: str
    """The path that was asked: `/v1/messages`."""
    format: Format
    model: str
    """The public model name that the client asked for."""
    stream: bool
    started_at: float
    ended_at: float
    outcome: str
    """ok · exhausted · broken_after_commit · interrupted · client_gone · caller_error"""
    status: int
    served_by: str
    degraded: Degraded
    attempts: tuple[Attempt, ...] = ()
    dropped: tuple[str, ...] = ()
    """Request fields without an equivalent at the serving upstream."""
    error: str = ""
    resumptions: tuple[Resumption, ...] = ()
