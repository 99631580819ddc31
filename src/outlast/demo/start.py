"""From the command's options to a day that is played, shown and summed up."""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
import sys
import textwrap
from pathlib import Path

import msgspec
from rich.console import Console

from outlast import logs
from outlast.config import Settings
from outlast.demo import timeline
from outlast.demo.board import Board
from outlast.demo.live import LiveView, fits
from outlast.demo.plain import NoView, PlainView
from outlast.demo.play import Chosen, LocalNotReady, View, play
from outlast.demo.summary import as_json, lines
from outlast.demo.texts import Language, Texts
from outlast.local import weights

EXIT_OK = 0
EXIT_LOST = 1
EXIT_UNREACHABLE = 3
EXIT_STOPPED = 130
SEED = 20260302
CLIENTS = 6
WIDTH = 100
"""Of the longest line of text."""
SPEED_MIN, SPEED_MAX = 0.1, 20.0
"""Faster than that, a small machine cannot play the streams in time."""


class MissingWeights(Exception):
    """`--local` was asked for and there are no weights; the message says what to do."""


def run(
    *,
    speed: float = 1.0,
    seed: int = SEED,
    language: Language = "en",
    json: bool = False,
    plain: bool = False,
    local: Settings | None = None,
    clients: int = CLIENTS,
) -> int:
    """Play the day and sum it up; return 0, 1 if an answer was lost, 130 if a person stopped it.

    `speed` 1 takes about a minute. `local`: the settings that say where the weights of the
    embedded model are; None leaves it out. Raises MissingWeights.
    """
    texts = Texts(language)
    chosen = Chosen(speed, seed, language, clients, _weights(local, texts))
    # Emoji and French letters must not end the demo on a terminal that has none.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console()
    width = max(40, min(WIDTH, console.width))
    shows = not json and not plain and console.is_terminal and fits(console)
    view: View = NoView() if json else PlainView(sys.stdout, texts)
    if shows:
        view = LiveView(console, texts, speed)
    if not json:
        _introduce(texts, speed, width, loading=chosen.weights is not None)
    problems = io.StringIO()
    with contextlib.redirect_stderr(problems):
        # What Outlast logs waits until the picture is gone.
        logs.configure("error", "json")
    try:
        board = asyncio.run(_play(chosen, view))
    except LocalNotReady as error:
        sys.stderr.write(texts("local_failed", detail=str(error)) + "\n")
        return EXIT_UNREACHABLE
    finally:
        sys.stderr.write(problems.getvalue())
    if json:
        summary = msgspec.json.encode(as_json(board, speed=speed, seed=seed))
        sys.stdout.write(msgspec.json.format(summary, indent=2).decode() + "\n")
    else:
        _say(width, *lines(board, texts))
    if board.lost:
        return EXIT_LOST
    return EXIT_STOPPED if board.stopped else EXIT_OK


async def _play(chosen: Chosen, view: View) -> Board:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
    return await play(chosen, view, stop)


def _weights(settings: Settings | None, texts: Texts) -> Path | None:
    if settings is None:
        return None
    own = settings.local.path
    found = (
        settings.resolve(own)
        if own
        else weights.chosen(settings.models_path, default=settings.local.model)
    )
    if found is None or not found.is_file():
        raise MissingWeights(texts("local_missing"))
    return found


def _introduce(texts: Texts, speed: float, width: int, *, loading: bool) -> None:
    start, end = timeline.clock(0.0), timeline.clock(timeline.END_S)
    seconds = round(timeline.length_s(speed))
    told = [texts("intro", start=start, end=end, seconds=seconds), texts("intro_guess")]
    _say(width, *told, *[texts("local_waiting")] * loading)


def _say(width: int, *told: str) -> None:
    for line in told:
        sys.stdout.write(textwrap.fill(line, width) + "\n")
    sys.stdout.flush()
