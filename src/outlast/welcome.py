"""What a person sees when the service starts: where it is, a key, and lines to paste."""

from __future__ import annotations

from outlast import __version__
from outlast.config import Settings
from outlast.nouns import Kind


def greeting(settings: Settings, first_key: str | None) -> list[str]:
    """Return the lines of the greeting. `first_key` is shown this once, and never again."""
    base = settings.base_url
    key = first_key or "YOUR_KEY"
    pages = [
        f"  {base}/status: what is down, for anyone to read",
        f"  {base}/status/subscribe: to be told of it",
    ]
    lines = [f"Outlast {__version__} on {base}", *_upstreams(settings), *pages, ""]
    if first_key is not None:
        lines += [
            f"Your API key, shown this once:  {first_key}",
            "More keys: outlast key create NAME",
            "",
        ]
    else:
        lines += ["Use a key you have, or make one: outlast key create NAME", ""]
    model = _model(settings)
    return [*lines, *_curl(base, key, model), *_sdks(base, key, model), *_claude_code(base, key)]


def _upstreams(settings: Settings) -> list[str]:
    remote = [name for name, u in settings.upstreams.items() if u.kind is not Kind.LOCAL]
    where = str(settings.path) if settings.path else "no configuration file"
    if not remote:
        return [
            f"  {where}: answers come from the embedded model, which is small and says so.",
            "  To put your providers in front of it: docs/configuration.md",
        ]
    own = " and, when all else fails, the embedded model" if settings.local.enabled else ""
    return [f"  {where}: {', '.join(remote)}{own}"]


def _model(settings: Settings) -> str:
    if settings.local.enabled:
        return "claude-local"
    plain = [route.model for route in settings.routes if "*" not in route.model]
    return plain[0] if plain else "MODEL"


def _curl(base: str, key: str, model: str) -> list[str]:
    return [
        "curl:",
        f"  curl {base}/v1/messages -H 'x-api-key: {key}' \\",
        "    -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \\",
        f'    -d \'{{"model":"{model}","max_tokens":200,'
        '"messages":[{"role":"user","content":"Hello!"}]}\'',
        "",
    ]


def _sdks(base: str, key: str, model: str) -> list[str]:
    return [
        "Anthropic SDK (Python):",
        f'  client = anthropic.Anthropic(base_url="{base}", api_key="{key}")',
        f'  client.messages.create(model="{model}", max_tokens=200,'
        ' messages=[{"role": "user", "content": "Hello!"}])',
        "",
        "OpenAI SDK (Python):",
        f'  client = openai.OpenAI(base_url="{base}/v1", api_key="{key}")',
        f'  client.chat.completions.create(model="{model}",'
        ' messages=[{"role": "user", "content": "Hello!"}])',
        "",
    ]


def _claude_code(base: str, key: str) -> list[str]:
    return [
        "Claude Code:",
        f"  ANTHROPIC_BASE_URL={base} ANTHROPIC_AUTH_TOKEN={key} claude",
        "",
    ]
