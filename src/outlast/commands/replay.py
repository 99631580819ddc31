"""`outlast replay`."""

from __future__ import annotations

import asyncio
import datetime
import socket
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import uvicorn
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from outlast.commands.common import EXIT_PROBLEM, EXIT_USAGE, CommandFailed, say, settings_for
from outlast.commands.options import ConfigOption, JsonOption
from outlast.commands.store import place_of, with_database
from outlast.config.environ import environment
from outlast.demo import language_of
from outlast.observatory.recording import Recorded, record
from outlast.observatory.rehearsal import BadRehearsal, Rehearsal, open_rehearsal, rehearsals
from outlast.observatory.replaying import play
from outlast.observatory.retelling import Line, Teller
from outlast.observatory.watch import Said, Watch
from outlast.observatory.words import Lang
from outlast.status.stage import Stage

_STYLES = {
    "headline": "bold",
    "update": "",
    "component": "cyan",
    "forecast": "magenta",
    "claim": "yellow",
    "cause": "yellow",
    "summary": "bold",
}
_HEADS: dict[str, dict[str, str]] = {
    "state": {"en": "What a reader sees at {at}", "fr": "Ce que voit un lecteur à {at}"},
    "summary": {"en": "What it came to", "fr": "Bilan"},
}


def replay(  # noqa: PLR0913 - options that a person types
    file: Annotated[
        Path | None, Parameter(help="A script (TOML), a record (JSON lines), or a built-in's name.")
    ] = None,
    /,
    *,
    lang: Annotated[
        Literal["en", "fr"] | None, Parameter(help="Language; else as $LANG says.")
    ] = None,
    until: Annotated[
        str | None,
        Parameter(help="Stop then (12:30, or 2026-03-02T12:30) and show what a reader sees."),
    ] = None,
    record: Annotated[
        Path | None,
        Parameter(help="Write what the service has observed to this file, and play nothing."),
    ] = None,
    since: Annotated[str | None, Parameter(help="With --record: from then on.")] = None,
    serve: Annotated[
        bool, Parameter(help="Show it as a status page in the browser, on 127.0.0.1.")
    ] = False,
    speed: Annotated[
        float, Parameter(help="With --serve: how many times faster than it was.")
    ] = 60.0,
    port: Annotated[int, Parameter(help="With --serve: the port; 0 takes any.")] = 8410,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Play recorded or scripted evidence again.

    The same deciders as in the service, on a clock that is told the time:
    each update, status, forecast and claim as it would have been said, and at
    the end what it came to. Without FILE it lists the rehearsals that are
    built in. --json writes one line for each thing said. --record writes the
    service's own observations and notices as a file that can be played.

    Example: outlast replay 2026-03-02 --until 12:30
    Example: outlast replay 2026-03-02 --serve --speed 60
    Example: outlast replay --record today.jsonl --since 2026-11-25T08:00
    """
    if record is not None:
        if file is not None:
            raise CommandFailed("--record writes a file: name none to be played.", EXIT_USAGE)
        _record(record, since, until, config)
        return
    if since is not None:
        raise CommandFailed("--since goes with --record alone.", EXIT_USAGE)
    if file is None:
        _list()
        return
    try:
        rehearsal = open_rehearsal(file)
        if serve:
            _serve(rehearsal, until, speed, port)
            return
        _show(rehearsal, lang or language_of(environment()), until, json=json)
    except BadRehearsal as error:
        raise CommandFailed(str(error), EXIT_PROBLEM) from error


def _list() -> None:
    say("Built in; play one with `outlast replay NAME`:", "")
    for name, title in rehearsals().items():
        say(f"  {name:<14}{title}")


def _show(rehearsal: Rehearsal, lang: Lang, until: str | None, *, json: bool) -> None:
    teller = Teller()
    out = _Out(lang, json=json)
    until_at = None if until is None else moment(until, rehearsal.start_at)
    end_at = 0.0
    for at, said in moments(rehearsal, Watch()):
        if until_at is not None and at > until_at:
            break
        end_at = at
        out.say(teller.hear(at, said))
    if not end_at:
        raise BadRehearsal("Nothing happens in it: there is nothing to play.")
    if until_at is not None:
        out.head("state", end_at)
        out.say(teller.state(end_at))
        return
    out.head("summary", end_at)
    out.say(teller.summary(end_at))


def _serve(rehearsal: Rehearsal, until: str | None, speed: float, port: int) -> None:
    """Play it as a page; Ctrl-C ends it."""
    watch = Watch()
    until_at = None if until is None else moment(until, rehearsal.start_at)
    found = moments(rehearsal, watch)
    if until_at is not None:
        found = takewhile(lambda pair: pair[0] <= until_at, found)
    stage = Stage(watch, found, speed, rehearsal.title)
    try:
        asyncio.run(_serving(stage, rehearsal.title, speed, port))
    except KeyboardInterrupt:
        return
    except OSError as error:
        raise CommandFailed(
            f"Port {port} cannot be used: {error.strerror}. Take another one: --port.", EXIT_PROBLEM
        ) from error


async def _serving(stage: Stage, title: str, speed: float, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        at = f"http://127.0.0.1:{listener.getsockname()[1]}/status"
        say(f"{title}, {speed:g} times faster: {at}", "Ctrl-C ends it.")
        settings = uvicorn.Config(
            stage.app(), log_config=None, access_log=False, lifespan="off", ws="none"
        )
        playing = asyncio.create_task(stage.run())
        try:
            await uvicorn.Server(settings).serve(sockets=[listener])
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


def moments(rehearsal: Rehearsal, watch: Watch) -> Iterator[tuple[float, Said]]:
    """What is said and when; whoever shows it sets its own pace."""
    rehearsal.prepare(watch)
    return play(rehearsal.steps, watch, until_at=rehearsal.until_at)


def moment(text: str, start_at: float | None) -> float:
    """Seconds since the epoch of `2026-03-02T12:30` (UTC), or `12:30` of the rehearsal's first day.

    Raises CommandFailed, in words.
    """
    try:
        if "-" not in text:
            if start_at is None:
                raise CommandFailed(
                    f"{text} says no day, and a record may hold many: write 2026-03-02T12:30.",
                    EXIT_USAGE,
                )
            day = datetime.datetime.fromtimestamp(start_at, datetime.UTC).date()
            time = datetime.time.fromisoformat(text.removesuffix("Z"))
            return datetime.datetime.combine(day, time, datetime.UTC).timestamp()
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"{text} is no time: write 12:30, or 2026-03-02T12:30 (UTC).", EXIT_USAGE
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()


class _Out:
    """Lines for people, or for programs."""

    def __init__(self, lang: Lang, *, json: bool) -> None:
        self._lang = lang
        self._json = json
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._day = ""

    def head(self, what: str, at: float) -> None:
        if not self._json:
            time = f"{_utc(at):%H:%M} UTC"
            self._console.print(f"\n── {_HEADS[what][self._lang].format(at=time)}", style="bold")

    def say(self, lines: list[Line]) -> None:
        for line in lines:
            if self._json:
                at = f"{_utc(line.at):%Y-%m-%dT%H:%M:%SZ}"
                say(msgspec.json.encode({**msgspec.to_builtins(line), "at": at}).decode())
            else:
                self._print(line)

    def _print(self, line: Line) -> None:
        when = _utc(line.at)
        day = f"{when:%Y-%m-%d}"
        if day != self._day:
            self._day = day
            self._console.print(f"── {day} (UTC)", style="bold")
        text = Text(f"{when:%H:%M:%S}  ", style="dim")
        what = f"{line.what} · " if line.kind == "update" else ""
        text.append(f"{what}{line.text[self._lang]}", style=_STYLES[line.kind])
        self._console.print(text)


def _utc(at: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def _record(path: Path, since: str | None, until: str | None, config: Path | None) -> None:
    settings = settings_for(config)
    since_at = 0.0 if since is None else moment(since, None)
    until_at = None if until is None else moment(until, None)
    try:
        with path.open("xb") as out:
            found: Recorded = with_database(
                settings, lambda database: record(database, out, since_at, until_at)
            )
    except FileExistsError:
        raise CommandFailed(f"{path} exists already; it is not overwritten.") from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from error
    if not found.observations and not found.notices:
        path.unlink()
        raise CommandFailed(f"Nothing was observed in that span, as {place_of(settings)} says.")
    say(
        f"{found.observations} observations and {found.notices} versions of notices are in {path}. "
        f"Play them with: outlast replay {path}"
    )
