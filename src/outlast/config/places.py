"""Where requests can go: upstreams, and the routes that lead to them. Sentences as in sections.py.

`DERIVED` marks a field that is filled in while loading and cannot be written in the file.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from outlast.config.sections import TimeoutSettings
from outlast.nouns import Allow, Kind

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


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One place that requests can be sent to: `[upstreams.NAME]`."""

    name: Annotated[str, Meta(description="The table's own name.", extra=DERIVED)]
    kind: Annotated[
        Kind,
        Meta(
            description="What it speaks: the wire format of its API.",
            extra={"left_out": (Kind.LOCAL,)},
        ),
    ]
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
    continuation: Annotated[
        Literal["auto", "exact", "prefill", "instruct", "none"],
        Meta(
            description="How it goes on with an answer that another upstream began: `exact` "
            "(vLLM, llama.cpp), `prefill` (a last turn by the assistant), `instruct` (it is "
            "asked to), `none`. `auto`: by the table of models."
        ),
    ] = "auto"
    thinking: Annotated[
        Literal["auto", "none", "budget", "adaptive"],
        Meta(
            description="How its models are asked to think, where it speaks Anthropic's format: "
            "not at all, with a `budget` of tokens, or `adaptive`. `auto`: by the table of models."
        ),
    ] = "auto"
    account: Annotated[
        str,
        Meta(
            description="Whose account its key belongs to, any word. Upstreams of one account read "
            "each other's signed thinking; empty: every key is an account of its own."
        ),
    ] = ""
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
    context_tokens: Annotated[
        int | None,
        Meta(
            description="Its context window, where the table of models does not know it. A prompt "
            "that is too long for one candidate goes on to one with a larger window."
        ),
    ] = None
    order: Annotated[
        int | None,
        Meta(
            description="Lower is tried first; candidates of the same order share the traffic by "
            "weight. Left out: the position in the list."
        ),
    ] = None


class RouteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A public model name, and where its requests may go: `[[routes]]`.

    An exact name wins over a glob; among globs the first that matches counts.
    """

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
    notice: Annotated[
        Literal["", "en", "fr"],
        Meta(
            description="Language of a visible notice in the answer where a weaker model speaks, "
            "for routes that people read; never with tools. The header `outlast-notice` wins."
        ),
    ] = ""
    display_name: Annotated[
        str, Meta(max_length=200, description="Name shown in lists of models; empty: the model.")
    ] = ""
    context_tokens: Annotated[
        int | None,
        Meta(description="Context window to publish; without it: not said."),
    ] = None
