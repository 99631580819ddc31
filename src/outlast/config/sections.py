"""What can be set in the plain tables: every setting once, with default, limits and sentence.

docs/configuration.md is generated from this file and places.py, and so are the names of the
environment variables: `server.port` is `OUTLAST_SERVER_PORT`. The `description` is the sentence a
person reads. `RESTART` marks what a running service cannot change by reading its file again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

RESTART: dict[str, Any] = {"restart": True}


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
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Processes that answer requests on the same port: more than one core can "
            "do. Two more stand beside them, one that starts them and one that observes and has "
            "the embedded model. 1: everything in one process. Linux alone shares a port evenly.",
            extra=RESTART,
        ),
    ] = 1
    transport: Annotated[
        Literal["relay", "aiohttp"],
        Meta(
            description="What carries requests: `relay`, our own HTTP/1.1 on both sides, or "
            "`aiohttp`, well-kept libraries that are several times slower.",
            extra=RESTART,
        ),
    ] = "relay"
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
    resumptions_max: Annotated[
        int,
        Meta(
            ge=0,
            le=50,
            description="How often one answer may change its upstream in sight of the client.",
        ),
    ] = 6
    hedge_after_s: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="After so long without content a second candidate is asked as well, the "
            "first to answer wins, and the tokens of both are paid. 0: never.",
        ),
    ] = 0.0
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
            description="Database address, `sqlite:///…` or `postgresql://…`; a password only in "
            "the environment (or in a pgpass file). Empty: SQLite in the data folder.",
            extra=RESTART,
        ),
    ] = ""
    retention_days: Annotated[
        int, Meta(ge=1, le=3650, description="How long receipts are kept.")
    ] = 30


class ObservatorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched, and how: traffic, probes, people's reports and vendors' notices."""

    enabled: Annotated[
        bool,
        Meta(description="Whether anything is watched beyond breakers.", extra=RESTART),
    ] = True
    providers: Annotated[
        tuple[str, ...],
        Meta(
            description="Providers to watch besides those of the upstreams: `anthropic`, `openai`.",
            extra=RESTART,
        ),
    ] = ()
    feeds: Annotated[
        bool, Meta(description="Whether vendors' status feeds are read.", extra=RESTART)
    ] = True
    feed_urls: Annotated[
        dict[str, str],
        Meta(
            description="Further feeds, or other addresses of known ones: provider = address. The "
            "format is found out.",
            extra=RESTART,
        ),
    ] = msgspec.field(default_factory=dict)
    feed_every_s: Annotated[
        float,
        Meta(
            ge=60,
            le=86_400,
            description="Between two looks at a feed; more often while something is suspected. "
            "Vendors turn away those who ask too often.",
            extra=RESTART,
        ),
    ] = 900.0
    probes: Annotated[
        bool,
        Meta(description="Whether providers and upstreams are tried on a schedule.", extra=RESTART),
    ] = True
    probe_every_s: Annotated[
        float,
        Meta(
            ge=10,
            le=86_400,
            description="Between two probes of one thing; more often while it is suspected.",
            extra=RESTART,
        ),
    ] = 300.0
    probe_tokens_per_day: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000_000,
            description="Tokens that probes may use in a day, over all upstreams; 0: only probes "
            "that cost none.",
            extra=RESTART,
        ),
    ] = 50_000
    vantage: Annotated[
        str,
        Meta(
            max_length=40,
            description="Name of the place that this service probes from, as readers see it.",
            extra=RESTART,
        ),
    ] = ""
    peers: Annotated[
        dict[str, str],
        Meta(
            description="Other Outlasts that our probes' results are sent to, and whose results "
            "we take: name = address. Both sides need `peer_secret_file`.",
            extra=RESTART,
        ),
    ] = msgspec.field(default_factory=dict)
    peer_secret_file: Annotated[
        str,
        Meta(description="File with the secret that peers share; 32 signs or more.", extra=RESTART),
    ] = ""
    reports: Annotated[
        bool, Meta(description="Whether anyone may report what works and what does not.")
    ] = True
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks of the proxies in front of the service (`10.0.0.0/8`), whose "
            "`x-forwarded-for` is believed.",
            extra=RESTART,
        ),
    ] = ()
    asn_file: Annotated[
        str,
        Meta(
            description="Table of networks and their autonomous systems, lines of "
            "`first address,last address,number`. Without it reports are capped by larger "
            "networks instead.",
            extra=RESTART,
        ),
    ] = ""
    false_alarms_per_month: Annotated[
        float,
        Meta(
            gt=0,
            le=100,
            description="How many false suspicions a month are accepted for each stream of "
            "requests and probes; fewer means later. People's reports are judged ten times as "
            "strictly.",
            extra=RESTART,
        ),
    ] = 1.0
    retention_days: Annotated[
        int, Meta(ge=1, le=3650, description="How long single observations are kept.")
    ] = 14
    rollup_days: Annotated[
        int, Meta(ge=1, le=36_500, description="How long sums by hour and day are kept.")
    ] = 800
    operator_token_file: Annotated[
        str,
        Meta(
            description="File with the operators' token. Empty: `operator-token` in the data "
            "folder, made at the first start.",
            extra=RESTART,
        ),
    ] = ""
    private_webhooks: Annotated[
        bool,
        Meta(description="Whether webhooks may go to addresses of private networks."),
    ] = False


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How e-mail leaves; without a host none does."""

    host: Annotated[str, Meta(description="SMTP server.", extra=RESTART)] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.", extra=RESTART)] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="How the connection is kept private.", extra=RESTART),
    ] = "starttls"
    username: Annotated[str, Meta(description="Name to log in with.", extra=RESTART)] = ""
    password_file: Annotated[
        str, Meta(description="File that holds the password, and nothing else.", extra=RESTART)
    ] = ""
    sender: Annotated[str, Meta(description="Address that mails come from.", extra=RESTART)] = ""
