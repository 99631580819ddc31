"""The embedded model's coming, shown to the person who started the service."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from outlast.local.state import Absent, Downloading, Failed, Ready, Starting, State

if TYPE_CHECKING:
    from rich.progress import Progress

STEP = 0.1
"""Where nobody watches (no terminal), a line is written each time so much more is here."""


class ModelProgress:
    """A bar in a terminal, a line now and then elsewhere; nothing before `begin`."""

    def __init__(self) -> None:
        self._begun = False
        self._state: State | None = None
        self._bar: Progress | None = None
        self._said = -1.0
        self._step = ""

    def begin(self) -> None:
        """The greeting is printed: from now on, show how it goes."""
        self._begun = True
        if self._state is not None:
            self.show(self._state)

    def show(self, state: State) -> None:
        """Take in a change of the model's state."""
        self._state = state
        if not self._begun:
            return
        match state:
            case Downloading():
                self._downloading(state)
            case Starting() | Ready() | Absent() | Failed():
                self._stop_bar()
                _say(_sentence(state))

    def _downloading(self, state: Downloading) -> None:
        progress = state.progress
        if not sys.stderr.isatty():
            if progress.step != self._step or progress.fraction >= self._said + STEP:
                self._step, self._said = progress.step, progress.fraction
                _say(_sentence(state))
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.add_task("local model", total=progress.total_bytes)
            self._bar.start()
        task = self._bar.task_ids[0]
        self._bar.update(
            task,
            completed=progress.done_bytes,
            description=f"{progress.model} ({progress.detail or progress.step})",
        )

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> Progress:
    # Only for a person who looks on: 3 MB.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
    )


def _sentence(state: State) -> str:
    return state.sentence[:1].upper() + state.sentence[1:]


def _say(sentence: str) -> None:
    sys.stderr.write(f"  {sentence}\n")
    sys.stderr.flush()
