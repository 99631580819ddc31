"""The vendors' feeds that are built in, with where each address is known from. Pure.

Looked up in November 2026 in the design notes and in public programs that read the same pages;
vendors move theirs, so an operator can add and replace feeds by address alone (feeds/detect.py).
Left out, because what is known contradicts itself: Mistral (status.mistral.ai is said both to
serve Statuspage's JSON and to serve none). Google AI Studio's page serves people only.
"""

from __future__ import annotations

import msgspec

USUAL_S = 900.0
HURRIED_S = 90.0


class Feed(msgspec.Struct, frozen=True):
    """One document of a vendor's page, and where it is found."""

    name: str
    """Unique: `anthropic-incidents`."""
    provider: str
    urls: tuple[str, ...]
    """Tried in this order; they serve the same document."""
    format: str = ""
    """A key of `feeds.detect.PARSERS`; empty: found out by what comes."""
    only: tuple[str, ...] = ()
    """Of components, those whose name holds one of these words; empty: all."""
    usual_s: float = USUAL_S
    """Between two looks. Vendors answer faster polling with a CAPTCHA (Anthropic, at 300 s)."""
    hurried_s: float = HURRIED_S
    """Between two looks while other evidence says that something is wrong."""
    source: str = ""
    """Where the address is known from."""


def _statuspage(provider: str, *homes: str, source: str, format: str = "statuspage") -> list[Feed]:  # noqa: A002
    """Summary (components, what is open) and incidents (what is over): both are needed."""
    return [
        Feed(
            name=f"{provider}-{document}",
            provider=provider,
            urls=tuple(f"{home}/api/v2/{document}.json" for home in homes),
            format=format,
            hurried_s=120.0 if provider == "anthropic" else HURRIED_S,
            source=source,
        )
        for document in ("summary", "incidents")
    ]


BUILT_IN: tuple[Feed, ...] = (
    *_statuspage(
        "anthropic",
        "https://anthropic.statuspage.io",
        "https://status.claude.com",
        source="design notes 2.1: status.claude.com answers 405 to programs since 2026-09-17",
    ),
    *_statuspage(
        "openai", "https://status.openai.com", format="incidentio", source="design notes 2.1"
    ),
    Feed(
        name="openai-components",
        provider="openai",
        urls=("https://status.openai.com/api/v2/components.json",),
        format="incidentio",
        source="design notes 2.1: the summary leaves out some components",
    ),
    Feed(
        name="google-incidents",
        provider="google",
        urls=("https://status.cloud.google.com/incidents.json",),
        format="google",
        only=("gemini", "vertex", "agent platform", "ai studio"),
        source="design notes 2.1; product names in public programs, October 2026",
    ),
    *_statuspage("deepseek", "https://deepseek.statuspage.io", source="design notes 2.1"),
    Feed(
        name="xai",
        provider="xai",
        urls=("https://status.x.ai/feed.xml",),
        format="syndication",
        source="design notes 2.1; the vendor's documentation names it in its examples",
    ),
    *_statuspage("cohere", "https://status.cohere.com", source="public programs, 2026"),
    # Statuspage's shape by incident.io: the ids tell, so the format is found out.
    *_statuspage("groq", "https://groqstatus.com", format="", source="public programs, 2026"),
    Feed(
        name="together",
        provider="together",
        urls=("https://status.together.ai/index.json",),
        format="betterstack",
        source="public programs, 2026; betterstack.com's documentation of /index.json",
    ),
    Feed(
        name="openrouter",
        provider="openrouter",
        urls=("https://status.openrouter.ai/incidents.rss",),
        format="syndication",
        source="public programs, 2026",
    ),
    Feed(
        name="perplexity-summary",
        provider="perplexity",
        urls=(
            "https://status.perplexity.com/api/v2/summary.json",
            "https://status.perplexity.com/summary.json",
        ),
        source="public programs, 2026: moved from Instatus to incident.io",
    ),
    Feed(
        name="perplexity-incidents",
        provider="perplexity",
        urls=("https://status.perplexity.com/api/v2/incidents.json",),
        source="public programs, 2026: the summary leaves out the incidents",
    ),
    # The clouds beneath: several vendors failing together points here (observatory/cause.py).
    Feed(
        name="aws",
        provider="aws",
        urls=("https://status.aws.amazon.com/rss/all.rss",),
        format="syndication",
        source="public programs",
    ),
    Feed(
        name="azure",
        provider="azure",
        urls=("https://azure.status.microsoft/en-us/status/feed/",),
        format="syndication",
        source="public programs",
    ),
    Feed(
        name="gcp",
        provider="gcp",
        urls=("https://status.cloud.google.com/incidents.json",),
        format="google",
        source="design notes 2.1",
    ),
    *_statuspage("cloudflare", "https://www.cloudflarestatus.com", source="public programs"),
)

CLOUDS = frozenset({"aws", "azure", "gcp", "cloudflare"})
"""Providers that others run on."""
