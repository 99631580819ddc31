"""What a head and a model's name mean: how such requests are answered, while all is plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from outlast.accounts.keys import Key
from outlast.config import Settings
from outlast.gateway import express
from outlast.gateway.carrying import Carrying
from outlast.gateway.metrics import Plain as Sums
from outlast.gateway.record import served
from outlast.gateway.relay import heads
from outlast.gateway.relay.call import Origin
from outlast.nouns import Format

NOWHERE = Origin(("", 0, "", False), "", 0, tls=False, host_line="", credential={}, connect_s=0.0)
"""Where requests go that are never plain."""


class Saying(NamedTuple):
    """What is said of answers of one model."""

    model: str
    lines: bytes
    """Header lines that say who it was."""
    form: express.Form


class Way(msgspec.Struct, eq=False):
    """As long as settings and key are these."""

    settings: Settings
    generation: int
    """Of the keys."""
    key: Key
    case: express.Case | None = None
    """None: such requests are never plain."""
    sums: Sums | None = None
    origin: Origin = NOWHERE
    head: bytes = b""
    """Of the call, up to its body's length."""
    format: Format = Format.OPENAI_CHAT
    """Of both ends."""
    read: Callable[[bytes], express.Found | None] | None = None
    """What reads most answers, where C is."""
    carrying: Carrying | None = None
    """Where the upstream speaks another format."""
    renamed: str = ""
    """What the upstream calls the model, where that is another name than the client's."""
    said: Saying | None = None
    """Of the model that answered last: it is mostly that one."""

    def sent(self, seen: express.Seen) -> bytes | None:
        """Return the upstream's body; None: it is not plain."""
        body = seen[-1]
        if self.carrying is not None:
            return self.carrying.question(body, stream=seen[1])
        return express.named(seen, self.renamed) if self.renamed else body

    def saying(self, model: str) -> Saying:
        """Return what is said of answers of this model, as the upstream names it."""
        said, case = self.said, self.case
        if said is None or said.model != model:
            assert case is not None
            shown = model or case.prepared.candidate.model
            who = heads.lines(served(case.prepared, shown, case.how))
            form = express.Form(case, shown)
            said = self.said = Saying(model, who.encode("latin-1", "replace"), form)
        return said
