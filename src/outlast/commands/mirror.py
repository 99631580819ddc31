"""`outlast mirror`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import aiohttp
import msgspec
from cyclopts import Parameter

from outlast.clock import SystemClock
from outlast.commands.common import (
    EXIT_PROBLEM,
    EXIT_USAGE,
    CommandFailed,
    ConfigOption,
    complain,
    say,
    settings_for,
)
from outlast.commands.store import with_database
from outlast.config import Settings
from outlast.observatory.board import Board
from outlast.observatory.casebook import Casebook
from outlast.observatory.history_tables import select_counts
from outlast.observatory.rollups import Rollup
from outlast.observatory.words import Lang
from outlast.status import maintenance
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
EVERY_MIN_S = 5.0


def mirror(
    *folders: Path,
    every: Annotated[float, Parameter(help="Seconds from one time to the next.")] = 60.0,
    once: Annotated[bool, Parameter(negative="", help="Write once, and end.")] = False,
    url: Annotated[
        str | None, Parameter(help="The running service; else as the configuration says.")
    ] = None,
    git: Annotated[
        tuple[str, ...], Parameter(help="Also push there: ADDRESS#BRANCH. Needs git.")
    ] = (),
    then: Annotated[
        tuple[str, ...],
        Parameter(help='Run this with the finished folder: "aws s3 sync {folder} s3://name".'),
    ] = (),
    config: ConfigOption = None,
) -> None:
    """Write the whole status page as static files, again each minute.

    HTML in both languages, JSON, feeds and badges, for any plain file server:
    put the folders onto machines that do not fail together with this one.
    Each folder becomes a link to the newest version, which is whole. The
    pages say by themselves how old they are, and that they are out of date
    after 3 minutes. The running service is asked; while it does not answer,
    its database is read, and if that fails too, the last files stay.

    Example: outlast mirror /srv/www/status --then "rclone sync {folder} far:status"
    """
    if not folders:
        raise CommandFailed("Name at least one folder, as /srv/www/status.", EXIT_USAGE)
    if not every >= EVERY_MIN_S:
        raise CommandFailed(f"--every is {EVERY_MIN_S:.0f} seconds or more.", EXIT_USAGE)
    writer = Writer(settings_for(config), url, folders, git, then)
    while True:
        began = time.monotonic()
        problems = writer.write()
        if once:
            if problems:
                raise CommandFailed(" ".join(problems), EXIT_PROBLEM)
            return
        for problem in problems:
            complain(problem)
        time.sleep(max(1.0, every - (time.monotonic() - began)))


class Writer:
    """Asks for what is known and brings every target up to date."""

    def __init__(
        self,
        settings: Settings,
        url: str | None,
        folders: tuple[Path, ...],
        git: tuple[str, ...] = (),
        then: tuple[str, ...] = (),
    ) -> None:
        self._settings = settings
        self._url = (url or _own(settings)).rstrip("/")
        self._folders = folders
        self._git = git
        self._then = then
        self._renderer = Renderer()
        self._last: Snapshot | None = None

    def write(self) -> list[str]:
        """Return what went wrong, a sentence each. What fails at one target stops no other."""
        problems: list[str] = []
        found = self._know(problems)
        if found is None:
            return problems
        self._last = found
        files = site(found, self._render)
        done: Path | None = None
        for folder in self._folders:
            try:
                done = targets.write_folder(files, folder)
            except MirrorFailed as error:
                problems.append(str(error))
        if done is None:
            return problems
        store = self._settings.data_path / "mirror.git"
        as_of = day_and_time(found.at)
        for address in self._git:
            place, _, branch = address.partition("#")
            push = partial(targets.push_git, done, store, place, branch or "main", as_of)
            self._try(problems, push)
        for command in self._then:
            self._try(problems, partial(targets.run, command, done))
        say(f"{len(files)} files, as of {day_and_time(found.at)}.")
        sys.stdout.flush()
        return problems

    def _try(self, problems: list[str], act: Callable[[], None]) -> None:
        try:
            act()
        except MirrorFailed as error:
            problems.append(str(error))

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
