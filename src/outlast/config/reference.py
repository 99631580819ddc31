"""docs/configuration.md, made from the settings themselves, so that it cannot be stale."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import msgspec

from outlast.config.load import is_derived, variable
from outlast.config.problems import expected
from outlast.config.settings import (
    SECTIONS,
    CandidateSettings,
    RouteSettings,
    UpstreamSettings,
)
from outlast.config.view import extra

HEAD = """<!-- Generated from src/outlast/config: make fix writes it anew. -->

# Configuration

Outlast runs without any. To give it providers, write `outlast.toml` where you start it, or name
a file with `--config` or `OUTLAST_CONFIG`:

```toml
[upstreams.anthropic]
kind = "anthropic"
base_url = "https://api.anthropic.com"
key_env = "ANTHROPIC_API_KEY"

[upstreams.openai]
kind = "openai-responses"
base_url = "https://api.openai.com/v1"
key_env = "OPENAI_API_KEY"

[[routes]]
model = "claude-*"
candidates = ["anthropic", "openai/gpt-5"]

[[routes]]
model = "gpt-*"
candidates = ["openai", "anthropic/claude-sonnet-4-5"]
```

The embedded model is added as the last candidate of each route. Without any `[[routes]]`, the
well-known names (`claude-*`, `gpt-*`, …) go to the upstreams of their kind, in the file's order.

**Precedence:** the command line, then the environment, then the file, then the default.
`outlast config show` prints each value and where it came from; `outlast config check` says every
problem at once, with its line. An unknown key is a problem, not a silence.

**Secrets** are never in the file: `key_env` names an environment variable, `key_file` a file.

**Reading it again:** a changed file is taken within a second, or at once on SIGHUP. A wrong file
changes nothing, and the log says why. What is marked *restart* below waits for the next start.
"""

TABLES: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("[upstreams.NAME]", UpstreamSettings),
    ("[[routes]]", RouteSettings),
    ("candidates", CandidateSettings),
)


def reference() -> str:
    """The whole page, as Markdown."""
    parts = [HEAD]
    parts += [_table(f"[{name}]", kind, name) for name, kind in SECTIONS.items()]
    parts += [_table(title, kind, None) for title, kind in TABLES]
    return "\n".join(parts)


def _table(title: str, kind: type[msgspec.Struct], section: str | None) -> str:
    lines = [f"## `{title}`", "", inspect.cleandoc(kind.__doc__ or ""), ""]
    if section is not None:
        lines += [f"In the environment: `{variable(section, 'name')}` for each `name`.", ""]
    lines += ["| setting | takes | default | |", "|---|---|---|---|"]
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if is_derived(hint):
            continue
        note = " *restart*" if extra(hint).get("restart") else ""
        takes = expected(hint).replace("|", "\\|")
        what = f"{_sentence(hint)}{note}"
        lines.append(f"| `{name}` | {takes} | {_default(fields[name])} | {what} |")
    return "\n".join([*lines, ""])


def _sentence(hint: Any) -> str:
    for part in getattr(hint, "__metadata__", ()):
        if isinstance(part, msgspec.Meta) and part.description:
            return part.description
    return ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "must be given"
    if field.default is msgspec.NODEFAULT or field.default in (None, "", ()):
        return "–"
    default = msgspec.json.encode(field.default).decode()
    return f"`{default.removesuffix('.0')}`"
