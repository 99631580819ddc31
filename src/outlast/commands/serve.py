"""`outlast serve`: its words and its help. What it does is in serving.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from outlast.commands.options import ConfigOption
from outlast.commands.serving import Given, run


def serve(
    *,
    config: ConfigOption = None,
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port; 0 takes any free one.")] = None,
    workers: Annotated[int | None, Parameter(help="Processes that answer requests.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Folder of database and weights.")] = None,
    log_level: Annotated[str | None, Parameter(help="debug, info, warning or error.")] = None,
) -> int:
    """Run the service until it is told to stop (Ctrl-C or SIGTERM).

    Without a configuration it answers from the embedded model, whose weights
    it fetches at the first start, and prints a first API key once. With one, it
    takes a changed file by itself; a wrong file changes nothing, and the log
    says why.

    Example: outlast serve --port 9000 --data-dir /var/lib/outlast
    """
    return run(
        Given(
            config=config,
            host=host,
            port=port,
            workers=workers,
            data_dir=data_dir,
            log_level=log_level,
        )
    )
