"""C and Python told the same bytes: `python -m tests.native.fuzz_native N`, for `make fuzz`."""

from __future__ import annotations

import random
import resource
import sys
import time

from outlast.native import module
from tests.native.seeds import MAKERS, bent
from tests.native.twins import ALIKE

SEED = 20_261_126
MEMORY_KIB = 64 << 10
CERTAIN_SHARE = 0.15
"""So many must be certain, or the run proves nothing."""


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    if module() is None:
        sys.stderr.write("Nothing is compiled here: `make native` needs a C compiler.\n")
        return 1
    rng, began = random.Random(SEED), time.monotonic()
    certain = dict.fromkeys(ALIKE, 0)
    before = 0
    for number in range(count):
        name = rng.choice(list(ALIKE))
        data = bent(rng, MAKERS[name](rng))
        try:
            certain[name] += ALIKE[name](data)
        except Exception:
            sys.stderr.write(f"case {number}, {name}: {data!r}\n")
            raise
        if number == min(count // 10, 50_000):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if number % 50_000 == 0 and sys.stderr.isatty():
            sys.stderr.write(f"\r{number:,} of {count:,}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    took_s = time.monotonic() - began
    sys.stdout.write(f"{count:,} cases in {took_s:.0f} s, no difference; certain: {certain}; ")
    sys.stdout.write(f"memory grew by {grown} KiB\n")
    fine = grown < MEMORY_KIB and all(
        found > CERTAIN_SHARE * count / len(ALIKE) for found in certain.values()
    )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
