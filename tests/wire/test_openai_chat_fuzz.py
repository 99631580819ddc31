"""A short run of the fuzz; `python -m tests.wire.fuzz_openai_chat 1000000` is the long one."""

from __future__ import annotations

from tests.wire.fuzz_openai_chat import fuzz


def test_hostile_input_raises_only_what_is_declared() -> None:
    fuzz(2_000, seed=7)
