"""`python -m tests.conformance`: real clients against Outlast; see docs/conformance.md."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from outlast import logs
from outlast.nouns import Format
from tests.conformance import report
from tests.conformance.cases import DISCOVERY, ENDPOINTS, Case, matrix
from tests.conformance.process import walled
from tests.conformance.runs import Bench, Client, Verdict, run
from tests.conformance.tools import TOOLS

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "conformance"
RESULTS = ROOT / "bench" / "results" / "conformance.json"
SDKS = (
    ("sdk messages", Format.ANTHROPIC, "messages.mjs", "@anthropic-ai/sdk"),
    ("sdk chat", Format.OPENAI_CHAT, "openai.mjs", "openai"),
    ("sdk responses", Format.OPENAI_RESPONSES, "openai.mjs", "openai"),
)
_UP = 0x1


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when all is well, 1 when something failed, 2 when nothing could be tried."""
    given = _parser().parse_args(arguments)
    if given.alone:
        _loopback_up()
    logs.configure("error", "text")
    clients, skipped = _clients(given.only)
    work = [
        (client, case)
        for client in clients
        for case in _cases(client, continuity=given.continuity)
        if not given.case or any(word in case.name for word in given.case)
    ]
    if given.list:
        sys.stdout.writelines(f"{client.name:18} {case.name}\n" for client, case in work)
        return 0
    report.opening(clients, skipped, len(work), alone=given.alone)
    if not work:
        report.say("Nothing to try: no client is there, or none fits --only and --case.")
        return 2
    began = time.monotonic()
    verdicts, asked = asyncio.run(_all(work, given.jobs))
    took_s = time.monotonic() - began
    report.table(clients, verdicts)
    report.closing(verdicts, skipped, asked, took_s)
    versions = {client.name: client.version for client in clients}
    whole = not (given.only or given.case)
    report.write(given.json, verdicts, versions, skipped, took_s=took_s, whole=whole)
    return 0 if all(verdict.ok for verdict in verdicts) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/conformance", description="Real clients as judges of Outlast, offline."
    )
    parser.add_argument(
        "--only", action="append", default=[], help="clients whose name holds this (repeatable)"
    )
    parser.add_argument(
        "--case", action="append", default=[], help="cases whose name holds this (repeatable)"
    )
    parser.add_argument(
        "--continuity",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also failures after something was seen (coding tools)",
    )
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--list", action="store_true", help="show what would be tried")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    return parser


def _loopback_up() -> None:
    """In a network namespace of our own nothing exists but loopback, and that is down at first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", _UP)
        fcntl.ioctl(handle, 0x8914, request)  # SIOCSIFFLAGS, netdevice(7)


def _clients(only: Sequence[str]) -> tuple[list[Client], dict[str, str]]:
    """Return the clients that can run here, and why the others cannot."""
    clients: list[Client] = []
    skipped: dict[str, str] = {}
    modules = CACHE / "node_modules"
    node = shutil.which("node")
    for tool in TOOLS:
        if _wanted(tool.name, only):
            program = _first_that_runs(modules, tool.programs)
            if program:
                version = _version(modules, tool.package)
                clients.append(Client(tool.name, version, tool.format, program, tool))
            else:
                skipped[tool.name] = f"{tool.package} has no program that runs on this machine"
    for name, form, script, package in SDKS:
        if not _wanted(name, only):
            continue
        if node is None:
            skipped[name] = "node is not installed"
        elif not (modules / package).is_dir():
            skipped[name] = f"the npm package {package} is not installed"
        else:
            version = _version(modules, package)
            clients.append(Client(name, version, form, [node, str(CACHE / script)]))
    return clients, skipped


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(word in name for word in only)


def _first_that_runs(modules: Path, programs: Sequence[str]) -> list[str]:
    """Packages bring a program per kind of processor and C library; find the one for here."""
    node = shutil.which("node")
    for pattern in programs:
        for path in sorted(modules.glob(pattern)):
            command = [node, str(path)] if path.suffix == ".js" and node else [str(path)]
            try:
                done = subprocess.run(
                    [*command, "--version"], capture_output=True, timeout=60, check=False
                )
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0:
                return command
    return []


def _version(modules: Path, package: str) -> str:
    return str(json.loads((modules / package / "package.json").read_bytes())["version"])


def _cases(client: Client, *, continuity: bool) -> list[Case]:
    if client.tool is not None:
        tool = client.tool
        extra = [Case(DISCOVERY, (tool.format,))] if tool.discovery else []
        omits = tool.omits_thinking
        return [*extra, *matrix(tool.format, continuity=continuity, omits_thinking=omits)]
    return [Case(ENDPOINTS, (client.format,)), *matrix(client.format)]


async def _all(
    work: Sequence[tuple[Client, Case]], jobs: int
) -> tuple[list[Verdict], dict[str, int]]:
    evidence = CACHE / "failed"
    shutil.rmtree(evidence, ignore_errors=True)
    gate = asyncio.Semaphore(max(1, jobs))
    done = 0

    async def one(bench: Bench, client: Client, case: Case) -> Verdict:
        nonlocal done
        async with gate:
            verdict = await run(bench, client, case)
        done += 1
        report.progress(done, len(work), verdict)
        return verdict

    async with walled() as wall:
        bench = Bench(CACHE, evidence, wall)
        verdicts = await asyncio.gather(*(one(bench, client, case) for client, case in work))
    return list(verdicts), wall.asked


if __name__ == "__main__":
    sys.exit(main())
