"""Large pages: what Python allocates lies on them, and is given back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from outlast.native import module
from tests.store.children import SOURCES

SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")
OFFERED = SWITCH.exists() and "[never]" not in SWITCH.read_text("ascii")
CHILD = """
import re
from outlast import pages

def held():
    text = open("/proc/self/smaps_rollup").read()
    names = ("Rss", "AnonHugePages")
    return [int(re.search(rf"{name}: +([0-9]+)", text)[1]) >> 10 for name in names]

early = [[number] for number in range(100_000)]
pages.use()
pages.use()
before = held()
for turn in range(3):
    many = [[number] for number in range(400_000)]
    full = held()
    assert many[1] == [1] and sum(map(len, many)) == 400_000
    del many
    after = held()
del early
print(*before, *full, *after)
"""
"""What was allocated before is freed as well, and what is freed is allocated again."""


@pytest.mark.skipif(module() is None, reason="nothing is compiled here: `make native`")
@pytest.mark.skipif(not OFFERED, reason="this system has no large pages, or keeps them to itself")
def test_what_python_allocates_lies_on_large_pages_and_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": SOURCES},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rss, huge, full_rss, full_huge, after_rss, after_huge = map(int, done.stdout.split())
    grown = full_rss - rss
    assert grown > 20
    # A system that has no more memory in one piece may give fewer.
    assert full_huge - huge > grown / 2
    assert after_rss - rss < grown / 2
    assert after_huge < full_huge
