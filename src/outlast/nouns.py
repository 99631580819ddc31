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
    """A Component's name; `upstream/model` for an attempt as the exchange makes it."""
    outcome: Outcome
    scope: Scope = Scope.NONE
    latency_s: float = 0.0
    weight: float = 1.0
    evidence: str = ""
    """What was seen, in a few words without secrets or content: `HTTP 529 overloaded_error`."""
    id: str = ""
    """Unique: what is stored twice under one id is stored once."""
    upstream: str = ""
    """Attempts and probes: through which of our upstreams."""
    region: str = ""
    """Where from: a report's region if it was given, a probe's vantage point."""
    network: str = ""
    """Whose votes are one: a report's network or autonomous system, a probe's vantage point."""
    reporter: str = ""
    """Reports: a keyed hash that changes with the day; never an address."""
    symptom: str = ""
    """Reports: errors · slow · login · cut_off · wrong · other. Probes: what was tried."""


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


Kept = tuple[str, bytes, float]
"""A receipt that is encoded already: its id, it in msgpack, when the exchange ended."""
Ended = tuple[float, float]
"""When an attempt that went well ended; after how long, or after how long a stream's first content
came."""


class Surface(StrEnum):
    """What of a provider people use; it fails apart from the others."""

    WEB = "web"
    MOBILE = "mobile"
    API = "api"
    CODE = "code"
    LOGIN = "login"


class Component(msgspec.Struct, frozen=True, order=True):
    """A thing with a status: provider × surface × model × region, or one of our own upstreams.

    Its name is `provider/surface`, then `/model`, then `@region`, where they are known:
    `anthropic/api/claude-opus-4-8@eu`. Our own upstreams are `outlast/upstream/NAME`.
    """

    provider: str
    surface: str
    """A Surface, or `upstream`."""
    model: str = ""
    region: str = ""

    @property
    def name(self) -> str:
        model = f"/{self.model}" if self.model else ""
        region = f"@{self.region}" if self.region else ""
        return f"{self.provider}/{self.surface}{model}{region}"

    @property
    def whole(self) -> Component:
        """The surface that this is a part of: without model and region."""
        return Component(self.provider, self.surface)

    @classmethod
    def parse(cls, name: str) -> Component:
        """Raises ValueError for what is not a component's name."""
        rest, _, region = name.partition("@")
        provider, _, rest = rest.partition("/")
        surface, _, model = rest.partition("/")
        if not provider or not surface:
            raise ValueError(f"{name!r} is no component: provider/surface[/model][@region].")
        return cls(provider, surface, model, region)


class Status(StrEnum):
    """A component's status, in Statuspage's words, which readers and programs know."""

    OPERATIONAL = "operational"
    DEGRADED = "degraded_performance"
    PARTIAL = "partial_outage"
    MAJOR = "major_outage"
    MAINTENANCE = "under_maintenance"

    @property
    def rank(self) -> int:
        """How bad: 0 operational and maintenance, 3 major."""
        return {"degraded_performance": 1, "partial_outage": 2, "major_outage": 3}.get(self, 0)


class Suspicion(StrEnum):
    """How far evidence has come (Redis Sentinel's words: subjectively and objectively down)."""

    NONE = "none"
    S_DOWN = "s_down"
    """One kind of evidence: "suspected"."""
    O_DOWN = "o_down"
    """Two independent kinds or more: "confirmed"."""


class Stage(StrEnum):
    """Where an incident is in its life."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class Impact(StrEnum):
    """An incident's worst effect, in Statuspage's words."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class NoticeUpdate(msgspec.Struct, frozen=True):
    """One entry of a notice, in the vendor's time and words."""

    at: float
    stage: str
    body: str


class Notice(msgspec.Struct, frozen=True):
    """An item of a vendor's status feed, as we fetched it. *Incident* is our own word."""

    provider: str
    feed: str
    id: str
    """The vendor's."""
    kind: str
    """incident · maintenance · status"""
    title: str
    stage: str = ""
    """investigating · identified · monitoring · resolved · scheduled · in_progress · completed"""
    impact: str = ""
    components: tuple[tuple[str, str], ...] = ()
    """The vendor's name of a component, and a Status."""
    updates: tuple[NoticeUpdate, ...] = ()
    """The newest last."""
    started_at: float = 0.0
    resolved_at: float | None = None
    scheduled_for: float | None = None
    scheduled_until: float | None = None
    url: str = ""
    fetched_at: float = 0.0
    """Our time: vendors rewrite theirs."""
    version: str = ""
    """A hash of the content."""
    edited: bool = False
    """Whether an earlier version said something else about the past."""


class Evidence(msgspec.Struct, frozen=True):
    """What one kind of evidence says of a component at a moment, with figures to show."""

    kind: str
    """traffic · slow · probe · elsewhere · report · notice"""
    at: float
    log_odds: float
    """What it adds for (above 0) or against (below 0) an outage, in nats, before decay."""
    statistic: float = 0.0
    threshold: float = 0.0
    """What its test reached, and what it alarms at; 0 where there is no test."""
    failures: float = 0.0
    total: float = 0.0
    since_at: float = 0.0
    """When what it shows began, as far as it can tell; 0: it cannot."""
    detail: str = ""
    """In a few words, without secrets or content."""
    fired: bool = False
    """Whether its own test, or the vendor's own word, says that this is an outage."""


class ComponentState(msgspec.Struct, frozen=True):
    """What we say of a component: pages show it, the router hears it."""

    component: str
    status: Status
    suspicion: Suspicion
    probability: float
    """Of an outage, 0 to 1."""
    since_at: float
    """Since when this status holds."""
    at: float
    """When it was last looked at."""
    evidence: tuple[Evidence, ...] = ()
    contradiction: str = ""
    """Empty, or whom the evidence contradicts: `vendor_says_fine`, `vendor_says_down`."""
    error_share: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """Of the last minutes: estimate, low and high end of the 95 % interval."""
    incident: str = ""
    """The open incident it belongs to; empty without one."""


class Update(msgspec.Struct, frozen=True):
    """One entry of an incident's history. Nothing of it is ever changed or taken out."""

    at: float
    kind: str
    """opened · confirmed · extended · changed · contradiction · monitoring · relapsed ·
    resolved · vendor · cause · merged · annotated · corrected · retracted"""
    stage: Stage
    text: dict[str, str]
    """In words, by language: `en`, `fr`."""
    by: str = "outlast"
    """`outlast`, or the operator's name."""
    evidence: tuple[Evidence, ...] = ()
    components: tuple[str, ...] = ()
    corrects: int | None = None
    """The number of the update that this one corrects or retracts."""


class Incident(msgspec.Struct, frozen=True):
    """One outage, from its first suspicion to its end, relapses included."""

    id: str
    provider: str
    opened_at: float
    started_at: float
    """When it began, as far as the evidence tells; before `opened_at`."""
    stage: Stage
    impact: Impact
    suspicion: Suspicion
    """The furthest it has come: an incident that was never confirmed says so."""
    components: dict[str, Status]
    """Every component that it has reached, with its worst status."""
    title: dict[str, str]
    updates: tuple[Update, ...] = ()
    resolved_at: float | None = None
    relapses: int = 0
    previous: str = ""
    """The incident that this one follows, where it came back after the end."""
    merged_into: str = ""
    cause: str = "unknown"
    cause_evidence: tuple[str, ...] = ()
    cause_confirmed_by: str = ""
    notices: tuple[str, ...] = ()
    """The vendor's notices about it: `feed/id`."""
    retracted: bool = False
