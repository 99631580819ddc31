"""A short run of the fuzzer; the long one is `python -m tests.wire.fuzz_openai_responses`."""

from __future__ import annotations

import pytest

from tests.wire.fuzz_openai_responses import fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_input_raises_declared_errors_only(seed: int) -> None:
    fuzz(1000, seed)
