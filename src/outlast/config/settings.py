"""What can be set: every setting once, with its default, its limits and its sentence.

docs/configuration.md is generated from this file (`outlast config reference`), and so are the
names of the environment variables: `server.port` is `OUTLAST_SERVER_PORT`.

The `description` is the sentence a person reads. `RESTART` marks what a running service cannot
change by reading its file again. `DERIVED` marks a field that is filled in while loading and
cannot be written in the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from outlast.nouns import Allow, Kind

RESTART: dict[str, Any] = {"restart": True}
DERIVED: dict[str, Any] = {"derived": True}


class Secret:
    """A value that never shows itself: `repr` and `str` are masked, `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(•••)"

    def __str__(self) -> str:
        return "•••"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the service listens, what it keeps, and how much it takes at once."""

    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address to listen on. Other machines reach the service only if you "
            "change this; put a TLS proxy in front of it then.",
            extra=RESTART,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="TCP port; 0 takes any free one.", extra=RESTART)
    ] = 8400
    data_dir: Annotated[
        str,
        Meta(
            min_length=1,
            description="Folder of the database and the model weights. A relative path counts "
            "from the folder of the configuration file, or from where you start it without one.",
            extra=RESTART,
        ),
    ] = "data"
    body_limit_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            le=1 << 30,
            description="Largest request body; a larger one gets 413. The largest that a vendor "
            "takes is 32 MB, or 64 MiB with documents.",
        ),
    ] = 64 << 20
    header_limit_bytes: Annotated[
        int,
        Meta(
            ge=4096,
            le=1 << 20,
            description="Largest head of a request; a larger one gets 431.",
            extra=RESTART,
        ),
    ] = 64 << 10
    max_connections: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Connections served at once; further ones get 503 with `retry-after`.",
            extra=RESTART,
        ),
    ] = 2000
    drain_s: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="On SIGTERM, how long answers that have begun may go on.",
        ),
    ] = 30.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least severe log line that is written."),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"],
        Meta(
            description="Shape of log lines: `auto` is text on a terminal and JSON elsewhere.",
            extra=RESTART,
        ),
    ] = "auto"
    public_url: Annotated[
        str,
        Meta(
            description="Address under which people reach the service, for the lines that it "
            "tells them to paste; empty: made from host and port."
        ),
    ] = ""
    metrics_public: Annotated[
        bool,
        Meta(description="Whether /metrics answers without a key to addresses beyond loopback."),
    ] = False


class TimeoutSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long each step may take. All but `deadline_s` may be set per upstream as well."""

    connect_s: Annotated[
        float,
        Meta(gt=0, le=300, description="Name look-up, TCP and TLS to an upstream, together."),
    ] = 5.0
    first_byte_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="From the request's last byte to the first event of a stream.",
        ),
    ] = 60.0
    stall_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="Longest silence inside a stream; after it the stream counts as dead.",
        ),
    ] = 60.0
    whole_s: Annotated[
        float,
        Meta(gt=0, le=7200, description="Longest wait for an answer that is not streamed."),
    ] = 300.0
    deadline_s: Annotated[
        float,
        Meta(
            gt=0,
            le=7200,
            description="For one client request, over all its attempts. Clients give up after "
            "600 s by default.",
        ),
    ] = 600.0
    keepalive_after_s: Annotated[
        float,
        Meta(
            gt=0,
            le=300,
            description="Silence towards a streaming client before the first keep-alive. Coding "
            "tools show a stall at 20 s.",
        ),
    ] = 10.0
    keepalive_every_s: Annotated[
        float, Meta(gt=0, le=300, description="Between two keep-alives.")
    ] = 10.0


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a candidate is taken out of use, and how it comes back."""

    consecutive_failures: Annotated[
        int, Meta(ge=1, le=1000, description="Failures in a row that open a breaker.")
    ] = 5
    failure_share: Annotated[
        float,
        Meta(gt=0, le=1, description="Share of failures in the window that opens a breaker."),
    ] = 0.5
    window_s: Annotated[
        float, Meta(gt=0, le=3600, description="Length of the window that is looked at.")
    ] = 30.0
    min_requests: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Fewest requests in the window for the share to count."),
    ] = 5
    ejection_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="First time out of use; it doubles with each further one.",
        ),
    ] = 10.0
    ejection_max_s: Annotated[
        float, Meta(gt=0, le=86_400, description="Longest time out of use.")
    ] = 300.0
    ramp_s: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="After a recovery, how long its share of traffic takes to become whole.",
        ),
    ] = 30.0


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often one request is tried, so that trying again never becomes a flood."""

    same_upstream_max: Annotated[
        int, Meta(ge=0, le=10, description="Further attempts at the same upstream.")
    ] = 1
    max_attempts: Annotated[
        int, Meta(ge=1, le=50, description="Attempts of one request, over all upstreams.")
    ] = 6
    budget_share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Retries at the same upstream as a share of its requests. Moving on to "
            "another upstream is not charged.",
        ),
    ] = 0.2
    budget_min_per_s: Annotated[
        float, Meta(ge=0, le=1000, description="Retries per second that are always allowed.")
    ] = 3.0
    retry_after_max_s: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="Longest `retry-after` that is waited for, and only when no other "
            "candidate is healthy.",
        ),
    ] = 10.0


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One place that requests can be sent to: `[upstreams.NAME]`."""

    name: Annotated[str, Meta(description="The table's own name.", extra=DERIVED)]
    kind: Annotated[Kind, Meta(description="What it speaks: the wire format of its API.")]
    base_url: Annotated[
        str,
        Meta(
            description="Address before the API's path: `https://api.anthropic.com`, "
            "`https://api.openai.com/v1`. With or without a closing `/v1`."
        ),
    ] = ""
    key_env: Annotated[
        str, Meta(description="Name of the environment variable that holds the key.")
    ] = ""
    key_file: Annotated[str, Meta(description="File that holds the key, and nothing else.")] = ""
    key: Annotated[
        Secret | None,
        Meta(description="The key, read through `key_env` or `key_file`.", extra=DERIVED),
    ] = None
    provider: Annotated[
        str,
        Meta(
            description="Whose servers: two upstreams of one provider fail together. Empty: "
            "taken from the address."
        ),
    ] = ""
    vendor: Annotated[
        str,
        Meta(description="Who makes the models; `same-vendor` compares this. Empty: the provider."),
    ] = ""
    headers: Annotated[
        dict[str, str], Meta(description="Headers added to every request; no credentials.")
    ] = msgspec.field(default_factory=dict)
    max_concurrency: Annotated[
        int | None,
        Meta(description="Requests in flight at most; without it: no limit."),
    ] = None
    timeouts: Annotated[
        TimeoutSettings | None,
        Meta(description="Time-outs of this upstream that differ from `[timeouts]`."),
    ] = None
    ca_file: Annotated[str, Meta(description="Certificates (PEM) to trust for this upstream.")] = ""
    verify: Annotated[
        bool,
        Meta(description="Whether its certificate is checked. Turn off for a test, never else."),
    ] = True


class CandidateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One place a route may go. Written short: `"anthropic"` or `"openai/gpt-5"`."""

    upstream: Annotated[str, Meta(min_length=1, description="Name of an upstream, or `local`.")]
    model: Annotated[
        str, Meta(description="The model's name there; empty: the name that was asked for.")
    ] = ""
    weight: Annotated[
        int,
        Meta(ge=1, le=1000, description="Share of the traffic among candidates of the same order."),
    ] = 1
    order: Annotated[
        int | None,
        Meta(
            description="Lower is tried first; candidates of the same order share the traffic by "
            "weight. Left out: the position in the list."
        ),
    ] = None


class RouteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A public model name, and where its requests may go: `[[routes]]`. The first match counts."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="The name that clients ask for; `*` and `?` stand for any characters.",
        ),
    ]
    candidates: Annotated[
        tuple[CandidateSettings, ...], Meta(description="Where to go, the best first.")
    ] = ()
    allow: Annotated[
        Allow,
        Meta(
            description="How far an answer may degrade: `same-model`, `same-vendor`, `any`, or "
            "`local`, which includes the embedded model. A key or a request can only narrow it."
        ),
    ] = Allow.LOCAL
    local: Annotated[
        bool,
        Meta(description="Whether the embedded model is added as the last candidate."),
    ] = True
    serves: Annotated[
        Literal["chat", "embeddings"],
        Meta(description="What it is for; the embedded model makes no embeddings."),
    ] = "chat"
    display_name: Annotated[
        str, Meta(max_length=200, description="Name shown in lists of models; empty: the model.")
    ] = ""
    context_tokens: Annotated[
        int | None,
        Meta(description="Context window to publish; without it: not said."),
    ] = None


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded model: an answer that needs no key and no network."""

    enabled: Annotated[
        bool, Meta(description="Whether there is an embedded model.", extra=RESTART)
    ] = True
    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="Its name; `outlast model list` shows those that can be fetched.",
            extra=RESTART,
        ),
    ] = "qwen2.5-coder-0.5b"
    path: Annotated[
        str,
        Meta(
            description="A GGUF file of your own instead; empty: the fetched file in the data "
            "folder.",
            extra=RESTART,
        ),
    ] = ""
    threads: Annotated[
        int,
        Meta(ge=0, le=256, description="Threads; 0: one per core that it may use.", extra=RESTART),
    ] = 0
    context_tokens: Annotated[
        int,
        Meta(
            ge=1024,
            le=1 << 20,
            description="Context window, shared out over the slots.",
            extra=RESTART,
        ),
    ] = 32_768
    slots: Annotated[
        int, Meta(ge=1, le=64, description="Answers produced at once.", extra=RESTART)
    ] = 2
    queue: Annotated[
        int,
        Meta(ge=0, le=1000, description="Requests that may wait for a slot; further ones get 529."),
    ] = 8
    prefill_budget_s: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="Time to read a prompt; a longer one is rebuilt to fit, and the answer "
            "says so.",
        ),
    ] = 20.0


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where keys, receipts and usage are kept."""

    url: Annotated[
        str,
        Meta(
            description="Database address, `sqlite:///…` or `postgresql://…` without a password "
            "(use a pgpass file); empty: SQLite in the data folder.",
            extra=RESTART,
        ),
    ] = ""
    retention_days: Annotated[
        int, Meta(ge=1, le=3650, description="How long receipts are kept.")
    ] = 30


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set, and where each value came from."""

    server: ServerSettings = ServerSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    breaker: BreakerSettings = BreakerSettings()
    retry: RetrySettings = RetrySettings()
    local: LocalSettings = LocalSettings()
    store: StoreSettings = StoreSettings()
    upstreams: dict[str, UpstreamSettings] = msgspec.field(default_factory=dict)
    routes: tuple[RouteSettings, ...] = ()
    path: Path | None = None
    """The file that was read; None without one."""
    base_dir: Path = Path()
    """What relative paths count from."""
    origins: dict[str, str] = msgspec.field(default_factory=dict)
    overrides: dict[str, Any] = msgspec.field(default_factory=dict)
    """What the command line said, kept for reading the file again."""

    def origin(self, path: str) -> str:
        """Where `server.port` came from: `default`, `outlast.toml:3`, `environment …`."""
        return self.origins.get(path, "default")

    def resolve(self, path: str) -> Path:
        """A path of the settings as one that can be opened."""
        return (self.base_dir / Path(path).expanduser()).absolute()

    @property
    def data_path(self) -> Path:
        return self.resolve(self.server.data_dir)

    @property
    def store_url(self) -> str:
        """The database's address, never empty."""
        return self.store.url or f"sqlite:///{self.data_path / 'outlast.db'}"

    @property
    def base_url(self) -> str:
        """What a person types to reach the service, without a closing slash."""
        if self.server.public_url:
            return self.server.public_url.rstrip("/")
        host = self.server.host
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
        return f"http://{host}:{self.server.port}"

    def timeouts_of(self, upstream: str) -> TimeoutSettings:
        """The time-outs that hold for one upstream."""
        found = self.upstreams.get(upstream)
        return (found.timeouts if found is not None else None) or self.timeouts


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": ServerSettings,
    "timeouts": TimeoutSettings,
    "breaker": BreakerSettings,
    "retry": RetrySettings,
    "local": LocalSettings,
    "store": StoreSettings,
}
"""The tables that may also be set by environment variable, in the order they are documented."""
