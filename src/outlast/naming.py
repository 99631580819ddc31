"""Names that come from outside, as components have them. Pure.

The gateway, which asks, and the observatory, which judges, must mean the same thing by one name.
"""

from __future__ import annotations

import re
from functools import lru_cache

PROVIDER_CHARS = 60
MODEL_CHARS = 100

_ODD = re.compile(r"[^A-Za-z0-9._:/-]+")
_SLASHES = re.compile(r"/{2,}")
_ALIASES = {"googleapis": "google", "x": "xai"}
"""Companies whose API has another name than they have themselves."""


def api_component(provider: str, model: str = "") -> str:
    """The name of a provider's API, or of a model of it: `google/api/gemini-2.5-pro`."""
    name = model_name(model)
    return f"{provider_name(provider)}/api{'/' if name else ''}{name}"


@lru_cache(maxsize=1024)
def provider_name(text: str) -> str:
    """A provider's or an upstream's name as a component has it: without `/` and `@`, in lower
    case, at most PROVIDER_CHARS long, never empty."""
    name = _ODD.sub("-", text[:PROVIDER_CHARS].lower()).replace("/", "-")
    return _ALIASES.get(name, name) or "unknown"


@lru_cache(maxsize=1024)
def model_name(text: str) -> str:
    """A model's name as a component has it: letters, digits, `. _ : - /`, at most MODEL_CHARS.

    Of names that hold somebody's account or project (Amazon's `arn:…/name`, Google's
    `projects/…/models/name`) the last part is kept: the rest is nobody's business.
    """
    if text.startswith(("arn:", "projects/")):
        text = text.rstrip("/").rpartition("/")[2]
    cleaned = _SLASHES.sub("/", _ODD.sub("-", text[: 2 * MODEL_CHARS]))
    return cleaned.strip("/")[:MODEL_CHARS].strip("/")
