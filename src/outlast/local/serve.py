"""The engine's own process: loads the weights and serves them on 127.0.0.1. A script.

It is started by its path (`python -P serve.py`), so it imports nothing of Outlast. One line of
JSON on stdin says what to do; one line of JSON on stdout says `ready` with the address, or
`failed` with a sentence. Then it serves until stdin ends, which it does when the parent dies,
however it dies. The key comes by stdin because a command line is visible to every user.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

NEEDED_CPU_FLAGS = ("avx2", "fma", "f16c", "bmi2")
"""What the prebuilt x86-64 wheel was compiled for; without them it dies of SIGILL."""
_X86 = ("x86_64", "amd64")
_PR_SET_PDEATHSIG = 1
_GGUF_MAGIC = b"GGUF"


class CannotServe(Exception):
    """Trying again cannot help. The text is for people."""


def missing_cpu_flags(cpuinfo: str, machine: str) -> list[str]:
    """Return which needed flags the text of /proc/cpuinfo lacks; none where it cannot say."""
    flags = next((x for x in cpuinfo.splitlines() if x.startswith("flags")), "")
    if machine.lower() not in _X86 or not flags:
        return []
    return [flag for flag in NEEDED_CPU_FLAGS if flag not in flags.split()]


def check(path: Path, cpuinfo: str, machine: str) -> None:
    """Raise CannotServe where loading would fail or kill the process."""
    missing = missing_cpu_flags(cpuinfo, machine)
    if missing:
        raise CannotServe(
            f"this CPU lacks {', '.join(missing)}, which the engine needs. Outlast works without "
            "the embedded model; set local.enabled = false to stop this message."
        )
    try:
        with path.open("rb") as file:
            if file.read(4) != _GGUF_MAGIC:
                raise CannotServe(f"{path} is not a GGUF file")
    except OSError as error:
        raise CannotServe(f"cannot read the weights {path}: {error.strerror}") from error


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent dies; stdin's end is the second guard."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):
        return  # not Linux: the watch on stdin does it


def load(task: dict[str, Any]) -> Any:
    """Load the weights and start serving. Returns the server. Raises CannotServe."""
    try:
        import xllamacpp  # noqa: PLC0415  (only after the CPU was checked)
    except ImportError as error:
        raise CannotServe(
            f"the engine is not installed ({error}): pip install 'outlast[local]'"
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = task["model"]
    params.model_alias = {task["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [task["api_key"]]
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.cors_origins = ""
    params.n_ctx = task["context_tokens"]
    params.n_parallel = task["slots"]
    params.cpuparams.n_threads = task["threads"]
    params.cpuparams_batch.n_threads = task["threads"]
    # Prompts of finished conversations, kept for their next turn; the engine's default is 8 GiB.
    params.cache_ram_mib = task["cache_mib"]
    params.prefill_assistant = True
    params.warmup = False
    params.verbosity = 1
    try:
        return xllamacpp.Server(params)
    except Exception as error:
        raise CannotServe(f"the engine cannot load {task['model']}: {error}") from error


def _exit_when_stdin_ends() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def main() -> None:
    die_with_parent()
    # Whatever the engine prints on stdout goes to stderr: stdout carries our one line.
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_when_stdin_ends, daemon=True).start()
    started = time.monotonic()
    try:
        cpuinfo = Path("/proc/cpuinfo")
        check(
            Path(task["model"]),
            cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else "",
            platform.machine(),
        )
        server = load(task)
    except CannotServe as error:
        said.write(json.dumps({"event": "failed", "why": str(error)}) + "\n")
        said.flush()
        os._exit(3)
    load_s = round(time.monotonic() - started, 3)
    ready = {"event": "ready", "url": server.listening_address, "load_s": load_s}
    said.write(json.dumps(ready) + "\n")
    said.flush()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
