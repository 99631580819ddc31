"""What the commands share: settings, output, and how they fail."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from outlast.config import Settings, config_path, load
from outlast.config.environ import environment

EXIT_OK = 0
EXIT_PROBLEM = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_CONFIG = 4
EXIT_INTERRUPTED = 130


class CommandFailed(Exception):
    """A command ends here, with a sentence for people and an exit code."""

    def __init__(self, sentence: str, code: int = EXIT_PROBLEM) -> None:
        super().__init__(sentence)
        self.code = code


def settings_for(config: Path | None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings as the service would see them. Raises ConfigError.

    Of `overrides`, those that are None were not given on the command line.
    """
    environ = environment()
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    return load(config_path(config, environ), environ, overrides=given)


def say(*lines: str) -> None:
    """Lines for a person or a pipe."""
    for line in lines:
        sys.stdout.write(line + "\n")


def complain(*lines: str) -> None:
    """Lines about a problem."""
    for line in lines:
        sys.stderr.write(line + "\n")


def say_json(value: Any) -> None:
    """One JSON document, indented: pleasant in a terminal, and the same to a program."""
    say(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())
