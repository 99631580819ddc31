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
from outlast import pages

def held():
    resident = asked = 0
    for line in open("/proc/self/smaps"):
        word, *rest = line.split()
        if word == "Rss:":
            size = int(rest[0])
            resident += size
        elif word == "VmFlags:" and "hg" in rest:
            asked += size
    return resident >> 10, asked >> 10

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
    rss, asked, full_rss, full_asked, after_rss, after_asked = map(int, done.stdout.split())
    grown = full_rss - rss
    assert grown > 20
    # What large pages are asked for; whether there is memory in one piece is the system's matter.
    assert full_asked - asked > grown / 2
    assert after_rss - rss < grown / 2
    assert after_asked < full_asked / 2
