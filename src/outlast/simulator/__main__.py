"""`python -m outlast.simulator FILE.toml [--port N]`: run a timeline's vendors until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

import msgspec

from outlast.simulator.script import ScriptError, Stage, load, timelines
from outlast.simulator.vendor import Vendor


def main(arguments: list[str] | None = None) -> int:
    """Run until interrupted. Returns the exit code: 0, or 2 for a file that cannot be played."""
    parser = argparse.ArgumentParser(
        prog="python -m outlast.simulator",
        description="Run scripted vendors that fail on cue.",
        epilog=f"Shipped timelines, usable by name: {', '.join(timelines())}.",
    )
    parser.add_argument("file", help="a TOML timeline, or the name of a shipped one")
    parser.add_argument(
        "--port", type=int, help="port of the first vendor; the others get the next ones"
    )
    parser.add_argument("--speed", type=float, help="seconds of the timeline per second")
    given = parser.parse_args(arguments)
    try:
        stage = _adjusted(load(given.file), given.port, given.speed)
        asyncio.run(_run(stage))
    except ScriptError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"cannot listen: {error.strerror}. Choose another --port.\n")
        return 2
    return 0


def _adjusted(stage: Stage, port: int | None, speed: float | None) -> Stage:
    vendors = []
    for number, script in enumerate(stage.vendor):
        changes: dict[str, int | float] = {}
        if port is not None:
            changes["port"] = port + number
        if speed is not None:
            if speed <= 0:
                raise ScriptError("--speed must be above 0")
            changes["speed"] = speed
        vendors.append(msgspec.structs.replace(script, **changes))
    return msgspec.structs.replace(stage, vendor=tuple(vendors))


async def _run(stage: Stage) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        for script in stage.vendor:
            vendor = await stack.enter_async_context(Vendor(script))
            trust = f"  trust: {vendor.ca_file}" if vendor.ca_file else ""
            _say(f"{script.name:16} {vendor.url}  faults: {len(script.faults)}{trust}")
        _say("ready; Ctrl-C ends")
        await stop.wait()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
