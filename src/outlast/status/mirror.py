"""Targets of the mirror: where a finished site goes, whole or not at all.

A folder is a link to the newest version beside it (`NAME.versions/…`): a version is written and
synced to the disk before the link is moved in one step, so that a file server never sees a half,
whatever is killed when. The version before stays for those who are just reading it. What could not
be finished is removed: on a full disk, halves must not take the room that the next version needs.

Git: the tree is one commit without a past, pushed over a branch, which changes in one step. Only
the newest commit stays in our own repository, however often it is pushed. S3 and SFTP are in
far.py. All else (rsync) is an operator's command that is given the finished folder (`run`); whether
that is atomic is its own business.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

_NEWEST = "refs/outlast/newest"
COMMAND_LIMIT_S = 300.0
SAID_LIMIT = 500


class MirrorFailed(Exception):
    """A target could not be brought up to date; it still has what it had. The message says why."""


def write_folder(
    files: Mapping[str, bytes],
    target: Path,
    *,
    keep: Collection[str] = (),
    step: Callable[[str], None] = lambda _: None,
) -> Path:
    """Bring a folder up to date and return the version that it leads to. Raises MirrorFailed.

    `keep`: versions that somebody still reads; `step` is called before each thing that is done;
    tests stop there.
    """
    target = Path(os.path.abspath(target))
    versions = target.with_name(f"{target.name}.versions")
    if target.exists() and not target.is_symlink():
        raise MirrorFailed(
            f"{target} is there already and is not a mirror's. Name a path that does not exist: "
            "it becomes a link to the newest version."
        )
    before = _linked(target)
    try:
        versions.mkdir(parents=True, exist_ok=True)
        number = 1 + max(
            (int(one.name) for one in versions.iterdir() if one.name.isdigit()), default=0
        )
        version = versions / f"{number:09}"
        _write(files, version, step)
        step("link")
        new = target.with_name(f".{target.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(Path(versions.name) / version.name, target_is_directory=True)
        step("swap")
        new.replace(target)
        _sync(target.parent)
        step("tidy")
        _forget(versions, {before, version.name, *keep})
    except OSError as error:
        _forget(versions, {before, _linked(target), *keep})
        raise MirrorFailed(f"{target} cannot be written: {error.strerror or error}.") from error
    return version


def _linked(target: Path) -> str:
    """The name of the version that is served; empty where there is none."""
    try:
        return target.readlink().name
    except OSError:
        return ""


def _write(files: Mapping[str, bytes], version: Path, step: Callable[[str], None]) -> None:
    folders = {version}
    version.mkdir()
    for name, body in files.items():
        step(name)
        path = version / name
        if not path.resolve().is_relative_to(version.resolve()):
            raise MirrorFailed(f"{name!r} would leave the folder: nothing was changed.")
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.update(one for one in path.parents if one.is_relative_to(version))
        with path.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
    for folder in sorted(folders, key=lambda one: -len(one.parts)):
        _sync(folder)
    _sync(version.parent)


def _sync(folder: Path) -> None:
    """Where a folder cannot be synced (Windows), its files still are."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _forget(versions: Path, kept: Collection[str]) -> None:
    """Remove the other versions, and what killed writers left."""
    with contextlib.suppress(OSError):
        for one in versions.iterdir():
            if one.name.isdigit() and one.name not in kept:
                shutil.rmtree(one, ignore_errors=True)


def push_git(version: Path, store: Path, address: str, branch: str, at: str) -> None:
    """Push a version over a branch. `store`: a bare repository of ours. Raises MirrorFailed."""
    if address.startswith("-") or branch.startswith("-"):
        raise MirrorFailed(f"{address} {branch}: an address of Git does not begin with a dash.")
    if not (store / "HEAD").exists():
        _command(["git", "init", "--quiet", "--bare", str(store)])
    for left in ("index", "index.lock"):  # a killed writer's lock would hold for ever
        (store / left).unlink(missing_ok=True)
    git = ["git", f"--git-dir={store}", f"--work-tree={version.resolve()}"]
    who = ["-c", "user.name=outlast mirror", "-c", "user.email=mirror@invalid"]
    _command([*git, "add", "--all", "--force", "."], cwd=version)
    tree = _command([*git, "write-tree"])
    commit = _command([*git, *who, "commit-tree", tree, "-m", f"As of {at}"])
    try:
        _command([*git, "push", "--quiet", "--force", address, f"{commit}:refs/heads/{branch}"])
    finally:
        # After the push: what the far side has already is known by the commit before.
        _command([*git, "update-ref", _NEWEST, commit])
        _command([*git, "prune", "--expire=now"])


def run(command: str, version: Path) -> None:
    """Run an operator's command; `{folder}` in it is the finished version. Raises MirrorFailed."""
    try:
        words = [one.replace("{folder}", str(version)) for one in shlex.split(command)]
    except ValueError as error:
        raise MirrorFailed(f"{command!r} is no command: {error}.") from error
    if words:
        _command(words)


def _command(words: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
            words,
            stdin=subprocess.DEVNULL,  # nobody is there to be asked for a password
            capture_output=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise MirrorFailed(f"{words[0]} is not installed.") from error
    except subprocess.TimeoutExpired as error:
        raise MirrorFailed(f"{words[0]} did not end within {COMMAND_LIMIT_S:.0f} s.") from error
    except OSError as error:
        raise MirrorFailed(f"{words[0]} cannot be started: {error.strerror}.") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-SAID_LIMIT:]
        raise MirrorFailed(f"{words[0]} ended with {done.returncode}: {said or 'no word'}")
    return done.stdout.decode("utf-8", "replace").strip()
