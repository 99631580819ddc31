"""`outlast replay --serve`: the page of that day, in a browser's hands, at the replay's clock."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime

START = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


def as_of(url: str) -> datetime:
    with urllib.request.urlopen(f"{url}?lang=en") as answer:
        body = answer.read().decode()
    assert "A rehearsal: “2 March 2026” is played here" in body
    found = re.search(r'<time id="made" datetime="([^"]+)">', body)
    assert found is not None
    return datetime.fromisoformat(found[1])


def test_it_is_served_at_the_replay_s_clock_and_ends_with_ctrl_c() -> None:
    command = [sys.executable, "-m", "outlast", "replay", "2026-03-02"]
    child = subprocess.Popen(
        [*command, "--serve", "--speed", "60", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert child.stdout is not None
    try:
        line = child.stdout.readline()
        assert line.startswith("2 March 2026, 60 times faster: http://127.0.0.1:")
        url = line.rpartition(" ")[2].strip()
        seen = [as_of(url)]
        while len(seen) < 4:
            time.sleep(0.05)
            if (now := as_of(url)) != seen[-1]:
                seen.append(now)
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)
    assert child.returncode == 0
    assert seen == sorted(seen)
    assert seen[0] >= START
    assert (seen[-1] - START).days == 0
