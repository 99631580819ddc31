"""How the embedded model stands, in values that a page and a health check can show."""

from __future__ import annotations

import msgspec

from outlast.local.sources import Progress


class Absent(msgspec.Struct, frozen=True, tag="absent"):
    """There are no weights, or the model is switched off; the sentence says what to do."""

    sentence: str


class Downloading(msgspec.Struct, frozen=True, tag="downloading"):
    progress: Progress

    @property
    def sentence(self) -> str:
        p = self.progress
        part = f", {p.detail}" if p.detail else ""
        done, total = p.done_bytes / 1e6, p.total_bytes / 1e6
        doing = "being verified" if p.step == "verifying" else "on its way"
        return f"the local model is {doing}: {done:,.0f} of {total:,.0f} MB ({p.step}{part})"


class Starting(msgspec.Struct, frozen=True, tag="starting"):
    sentence: str = "the local model is being loaded"


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    base_url: str
    load_s: float

    @property
    def sentence(self) -> str:
        return "the local model is ready"


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """`final`: it will not be tried again before the next start."""

    sentence: str
    final: bool = False


State = Absent | Downloading | Starting | Ready | Failed
