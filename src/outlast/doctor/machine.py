"""This machine: data folder, disk, port, CPU and the weights of the embedded model."""

from __future__ import annotations

import http.client
import shutil
import socket
import tempfile
from pathlib import Path

import msgspec

from outlast.config import Settings
from outlast.doctor.findings import Finding, Mark
from outlast.local import weights

SUBJECT = "this machine"
SPACE_BYTES = 1 << 30
CPU_INFO = Path("/proc/cpuinfo")


def examine_machine(settings: Settings) -> list[Finding]:
    """All checks that need no network."""
    found = [data_folder(settings.data_path), disk(settings.data_path), port(settings)]
    if settings.local.enabled:
        found += [vector_unit(), model(settings)]
    return found


def data_folder(folder: Path) -> Finding:
    """Whether the service could write where it keeps its database."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"outlast")
    except OSError as error:
        return Finding(
            SUBJECT,
            "data folder",
            Mark.FAILED,
            f"{folder} cannot be written: {error.strerror}",
            "Give the service's user the right to write there, or set server.data_dir.",
        )
    return Finding(SUBJECT, "data folder", Mark.OK, f"{folder} can be written")


def disk(folder: Path, needed_bytes: int = SPACE_BYTES) -> Finding:
    """Whether there is room for the database and a model."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    what = f"{free / 1e9:.1f} GB free"
    if free >= needed_bytes:
        return Finding(SUBJECT, "disk", Mark.OK, what)
    todo = "Make room: receipts and the model's weights need about 1 GB."
    return Finding(SUBJECT, "disk", Mark.WARNING, what, todo)


def port(settings: Settings) -> Finding:
    """Whether the port can be listened on, or Outlast itself is listening already."""
    host, number = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as test:
            test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            test.bind((host, number))
    except OSError as error:
        if _is_outlast(settings):
            return Finding(SUBJECT, "port", Mark.OK, f"Outlast is running on {host}:{number}")
        return Finding(
            SUBJECT,
            "port",
            Mark.FAILED,
            f"{host}:{number} cannot be listened on: {error.strerror}",
            f"Another program may have it (ss -ltnp 'sport = :{number}'); set server.port.",
        )
    return Finding(SUBJECT, "port", Mark.OK, f"{host}:{number} is free")


def _is_outlast(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.server.port, timeout=2)
    try:
        connection.request("GET", "/")
        answer = msgspec.json.decode(connection.getresponse().read(64 << 10))
        return isinstance(answer, dict) and answer.get("name") == "Outlast"
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return False
    finally:
        connection.close()


def vector_unit(info: Path = CPU_INFO) -> Finding:
    """Whether the CPU can run the embedded model's engine, which is built for AVX2."""
    try:
        text = info.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Finding(SUBJECT, "CPU", Mark.SKIPPED, "this system does not list its CPU's flags")
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    if not flags:
        return Finding(SUBJECT, "CPU", Mark.OK, "not x86: no AVX2 needed")
    if "avx2" in flags.split():
        return Finding(SUBJECT, "CPU", Mark.OK, "has AVX2")
    return Finding(
        SUBJECT,
        "CPU",
        Mark.WARNING,
        "has no AVX2, so the embedded model cannot run here",
        "Set local.enabled = false and give the routes another last resort.",
    )


def model(settings: Settings) -> Finding:
    """Whether the weights are there."""
    name = settings.local.model
    if settings.local.path:
        path: Path | None = settings.resolve(settings.local.path)
        if path is not None and not path.is_file():
            todo = "Correct local.path, or leave it out and use: outlast model get"
            return Finding(SUBJECT, "model", Mark.FAILED, f"there is no file {path}", todo)
    else:
        path = weights.chosen(settings.models_path)
    if path is None:
        todo = f"outlast serve fetches them at its start; or now: outlast model get {name}"
        return Finding(SUBJECT, "model", Mark.WARNING, "the weights are not here yet", todo)
    return Finding(SUBJECT, "model", Mark.OK, path.name)
