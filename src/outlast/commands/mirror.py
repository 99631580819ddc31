"""`outlast mirror`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from outlast.commands.common import EXIT_PROBLEM, EXIT_USAGE, CommandFailed, complain, settings_for
from outlast.commands.mirroring import Writer
from outlast.commands.options import ConfigOption
from outlast.status.mirror import MirrorFailed

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
    to: Annotated[
        tuple[str, ...],
        Parameter(
            help="Also bring it there: s3://BUCKET/FOLDER?endpoint=https://HOST (outlast[s3]), "
            "sftp://USER@HOST/FOLDER (outlast[sftp])."
        ),
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
    if not folders and (git or then or not to):
        raise CommandFailed("Name at least one folder, as /srv/www/status.", EXIT_USAGE)
    if not every >= EVERY_MIN_S:
        raise CommandFailed(f"--every is {EVERY_MIN_S:.0f} seconds or more.", EXIT_USAGE)
    try:
        writer = Writer(settings_for(config), url, folders, git, then, to)
    except MirrorFailed as error:
        raise CommandFailed(str(error), EXIT_USAGE) from error
    while True:
        began = time.monotonic()
        problems = writer.write(None if once else every)
        if once:
            if problems:
                raise CommandFailed(" ".join(problems), EXIT_PROBLEM)
            return
        for problem in problems:
            complain(problem)
        time.sleep(max(1.0, every - (time.monotonic() - began)))
