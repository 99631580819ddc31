"""What `outlast mirror` does each round: asks what is known, and brings every target up to date.

Every target has a thread of its own. One that fails stops no other, and one that hangs is waited
for no longer than the round lasts: it goes on in the background, misses rounds until it is done,
and that is said.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import msgspec

from outlast.clock import SystemClock
from outlast.commands.common import CommandFailed, say
from outlast.commands.store import with_database
from outlast.config import Settings
from outlast.observatory.board import Board
from outlast.observatory.casebook import Casebook
from outlast.observatory.history_tables import select_counts
from outlast.observatory.rollups import Rollup
from outlast.observatory.words import Lang
from outlast.status import far, maintenance
from outlast.status import mirror as targets
from outlast.status.mirror import MirrorFailed
from outlast.status.packing import PATH, BadSnapshot, unpack
from outlast.status.page import Renderer
from outlast.status.post_mortem_book import PostMortems
from outlast.status.site import site
from outlast.status.source import Source
from outlast.status.stamps import day_and_time
from outlast.status.view import Frame, Snapshot, Window
from outlast.store.database import Database

ASK_LIMIT_S = 20.0
ANSWER_LIMIT_BYTES = 64 << 20


class Job:
    """Work on one target, in a thread that no exit waits for: every target may be killed."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.problem = ""
        self._thread = threading.Thread(target=self._run, args=(act,), daemon=True)
        self._thread.start()

    def _run(self, act: Callable[[], None]) -> None:
        try:
            act()
        except MirrorFailed as error:
            self.problem = str(error)
        except Exception as error:  # one target's bad luck is no other's
            self.problem = f"A target failed: {type(error).__name__}: {error}"

    def ended(self, until: float | None) -> bool:
        """Wait until the end, or until that moment of time.monotonic()."""
        self._thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()


class Writer:
    """Asks for what is known and brings every target up to date."""

    def __init__(
        self,
        settings: Settings,
        url: str | None,
        folders: tuple[Path, ...],
        git: tuple[str, ...] = (),
        then: tuple[str, ...] = (),
        to: tuple[str, ...] = (),
    ) -> None:
        """`to`: places far away, as far.py has them. Raises MirrorFailed for what is none."""
        self._settings = settings
        self._url = (url or _own(settings)).rstrip("/")
        self._folders = folders
        self._git = git
        self._then = then
        self._to = to
        for address in to:
            far.opened(address)
        self._renderer = Renderer()
        self._last: Snapshot | None = None
        self._busy: dict[str, Job] = {}
        self._reading: dict[str, str] = {}
        """By target: the version of a folder that it reads."""

    def write(self, within_s: float | None = None) -> list[str]:
        """Return what went wrong, a sentence each. What fails at one target stops no other.

        `within_s`: how long targets are waited for; None: to their end, which each has.
        """
        problems = [one.problem for one in self._left() if one.problem]
        found = self._know(problems)
        if found is None:
            return problems
        self._last = found
        files = site(found, self._render)
        until = None if within_s is None else time.monotonic() + within_s
        jobs: dict[str, Callable[[], None]] = {
            place: partial(far.bring, files, place) for place in self._to
        }
        self._start(jobs, problems)
        done: list[Path] = []
        written: dict[str, Callable[[], None]] = {
            str(one): partial(self._folder, files, one, self._read_now(), done)
            for one in self._folders
        }
        self._start(written, problems)
        self._await(written, until, problems)
        later = self._later(done[-1], day_and_time(found.at)) if done else {}
        if not done:
            problems += [_busy(name) for name in self._reading if name in self._busy]
        self._reading |= {name: done[-1].name for name in later if name not in self._busy}
        self._start(later, problems)
        self._await({**jobs, **later}, until, problems)
        say(f"{len(files)} files, as of {day_and_time(found.at)}.")
        sys.stdout.flush()
        return problems

    def _later(self, done: Path, as_of: str) -> dict[str, Callable[[], None]]:
        """What works on a finished folder."""
        found: dict[str, Callable[[], None]] = {}
        for number, address in enumerate(self._git):
            # One each: two pushes at once would take each other's index.
            store = self._settings.data_path / f"mirror{number or ''}.git"
            place, _, branch = address.partition("#")
            push = partial(targets.push_git, done, store, place, branch or "main", as_of)
            found[f"git {address}"] = push
        for command in self._then:
            found[command] = partial(targets.run, command, done)
        return found

    def _start(self, jobs: dict[str, Callable[[], None]], problems: list[str]) -> None:
        for name, act in jobs.items():
            if name in self._busy:
                problems.append(_busy(name))
            else:
                self._busy[name] = Job(act)

    def _await(
        self, jobs: dict[str, Callable[[], None]], until: float | None, problems: list[str]
    ) -> None:
        for name in jobs:
            job = self._busy.get(name)
            if job is not None and job.ended(until):
                del self._busy[name]
                if job.problem:
                    problems.append(job.problem)

    def _left(self) -> list[Job]:
        """Those of earlier rounds that have ended since."""
        found = [(name, job) for name, job in self._busy.items() if job.ended(time.monotonic())]
        for name, _ in found:
            del self._busy[name]
        return [job for _, job in found]

    def _read_now(self) -> frozenset[str]:
        """The versions that something still reads."""
        self._reading = {name: v for name, v in self._reading.items() if name in self._busy}
        return frozenset(self._reading.values())

    @staticmethod
    def _folder(
        files: dict[str, bytes], folder: Path, kept: frozenset[str], done: list[Path]
    ) -> None:
        done.append(targets.write_folder(files, folder, keep=kept))

    def _render(self, view: Snapshot, path: str, lang: Lang, month: str) -> bytes:
        return self._renderer.render(view, path, lang, month=month, static=True).body

    def _know(self, problems: list[str]) -> Snapshot | None:
        """From the service, else from its database; None: the last files stay."""
        try:
            told = unpack(asyncio.run(_ask(self._url + PATH)))
            if told.at:
                return told
            problems.append(f"The service at {self._url} has not looked at anything yet.")
        except (aiohttp.ClientError, OSError, TimeoutError, BadSnapshot) as error:
            why = str(error) or type(error).__name__
            problems.append(f"The service at {self._url} does not answer: {why[:200]}.")
        try:
            found = with_database(self._settings, lambda d: stored(d, self._settings.base_url))
        except CommandFailed as error:
            problems.append(f"Its database cannot be read either: {error} The last files stay.")
            return None
        if found.at <= (self._last.at if self._last is not None else 0.0):
            # What the service said last is more than what is stored of it; and a database that
            # knows nothing must not wipe out what an earlier run has written.
            problems.append("Its database has nothing newer. The last files stay.")
            return None
        problems.append("What is written is from its database.")
        return found


def _busy(name: str) -> str:
    return f"{name} is still busy with an earlier version."


async def stored(database: Database, base_url: str) -> Snapshot:
    """What the database says of states, incidents and windows: without forecasts and reports.

    Raises DatabaseUnavailable.
    """
    casebook, board = Casebook(database), Board()
    states = await casebook.states()
    board.set_states(states)
    board.set_incidents(await casebook.open_incidents())
    board.looked(max((one.at for one in states), default=0.0))
    board.trouble = "The service does not answer; this is from its database."
    planned = await casebook.snapshot(maintenance.NAME)

    def windows(now: float) -> tuple[Window, ...]:
        try:
            return maintenance.windows(maintenance.read(planned.body) if planned else (), now)
        except msgspec.MsgspecError:
            return ()

    async def days(start_at: float, end_at: float) -> list[Rollup]:
        return await database.read(lambda c: select_counts(c, "day", start_at, end_at, None, None))

    frame = Frame(at=0.0, now=0.0, base_url=base_url, reports=False)
    book = PostMortems(casebook, SystemClock(), board.incident)
    await book.refresh()
    source = Source(
        board,
        days,
        casebook,
        SystemClock(),
        windows=windows,
        post_mortems=book.all,
        frame=lambda: frame,
    )
    await source.refresh()
    return source.now()


async def _ask(url: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=ASK_LIMIT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
        if answer.status != 200:
            raise BadSnapshot(f"HTTP {answer.status}")
        body = await answer.content.read(ANSWER_LIMIT_BYTES)
        while not answer.content.at_eof():
            body += await answer.content.read(ANSWER_LIMIT_BYTES)
            if len(body) > ANSWER_LIMIT_BYTES:
                raise BadSnapshot("the answer is too long")
        return body


def _own(settings: Settings) -> str:
    """Where the service listens on this machine."""
    host = settings.server.host
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{host}:{settings.server.port}"
