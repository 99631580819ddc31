"""The command line. `outlast --help` teaches; each command lives in a file of `commands/`.

Commands are loaded when they are called, so that help and `config check` stay quick. And what reads
the words is not loaded for a service that is started as services are (commands/serving.py).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from outlast import __version__
from outlast.commands.common import EXIT_CONFIG, EXIT_INTERRUPTED, CommandFailed, complain
from outlast.config import ConfigError

if TYPE_CHECKING:
    from cyclopts import App

ABOUT = """Outlast keeps answering when your AI provider does not.

Start here, without any configuration:

    outlast serve          the service on 127.0.0.1:8400, with its own model
    outlast demo           a vendor goes down, the answers go on

Then give it your providers in outlast.toml (docs/configuration.md) and look:

    outlast config check   is the file right? Every problem at once
    outlast doctor         does each upstream answer? DNS, TLS, key, a token
"""

EPILOGUE = """Exit codes: 0 all well · 1 a problem was found · 2 wrong usage · 3 something needed \
could not be reached · 4 the configuration cannot be used · 130 interrupted."""

COMMANDS = (
    ("serve", "outlast.commands.serve:serve", "Run the service."),
    ("demo", "outlast.commands.demo:demo", "Watch an outage in the terminal, with fake vendors."),
    ("doctor", "outlast.commands.doctor:doctor", "Check each upstream and this machine."),
    ("config", "outlast.commands.config:app", "Check or show the configuration."),
    ("model", "outlast.commands.model:app", "List, fetch and choose the embedded model."),
    ("key", "outlast.commands.key:app", "Create, list and revoke API keys."),
    ("mirror", "outlast.commands.mirror:mirror", "Write the status page as static files."),
    (
        "replay",
        "outlast.commands.replay:replay",
        "Play recorded or scripted evidence again.",
    ),
    ("receipts", "outlast.commands.receipts:app", "See what happened to each request."),
)
"""Name, where it is, and the sentence that `outlast --help` shows without loading it."""


def build(asked: str = "") -> App:
    """The whole command line as one cyclopts App."""
    from cyclopts import App  # noqa: PLC0415 - 7 MB that a service would carry for weeks

    app = App(
        name="outlast",
        help=ABOUT,
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        version=__version__,
    )
    for name, place, sentence in COMMANDS:
        # Of the command that is asked for, its own text is shown, which has an example.
        text = {} if name == asked else {"help": sentence}
        app.command(place, name=name, **text)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Problems end as sentences, not as tracebacks."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = _run(words)
        sys.stdout.flush()
    except CommandFailed as failure:
        complain(str(failure))
        return failure.code
    except ConfigError as error:
        complain("The configuration cannot be used:", *(f"  {p}" for p in error.problems))
        return EXIT_CONFIG
    except BrokenPipeError:
        # `outlast receipts list | head`: the reader has enough, which is no problem. What is
        # still buffered goes nowhere, or the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return result if isinstance(result, int) else 0


def _run(words: Sequence[str]) -> Any:
    if words[:1] == ["serve"]:
        from outlast.commands import serving  # noqa: PLC0415 - as every command

        if (given := serving.plain(words[1:])) is not None:
            return serving.run(given)
    return build(words[0] if words else "")(words or ["--help"], result_action="return_value")
