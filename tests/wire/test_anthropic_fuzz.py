"""A short run of the fuzzer; `python -m tests.wire.fuzz_anthropic 1000000` is the long one."""

from __future__ import annotations

from tests.wire.fuzz_anthropic import fuzz


def test_hostile_input_is_refused_in_the_declared_ways_only() -> None:
    report = fuzz(500, seed=7)
    assert report.cases == 2000
    assert 200 < report.refused < 2000, "both good and bad inputs must occur"
