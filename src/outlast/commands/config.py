"""`outlast config check | show | reference`."""

from __future__ import annotations

from cyclopts import App
from rich.console import Console
from rich.table import Table

from outlast.commands.common import EXIT_CONFIG, say, say_json, settings_for
from outlast.commands.options import ConfigOption, JsonOption
from outlast.config import ConfigError
from outlast.config.reference import reference as reference_text
from outlast.config.view import rows

app = App(name="config", help="Check or show the configuration.", help_format="plaintext")


@app.command
def check(*, config: ConfigOption = None, json: JsonOption = False) -> int:
    """Read the configuration as the service would, and say every problem with its line.

    Exit code 0: it can be used. 4: it cannot.

    Example: outlast config check --config new.toml && systemctl reload outlast
    """
    try:
        settings = settings_for(config)
    except ConfigError as error:
        if not json:
            raise
        say_json({"ok": False, "problems": error.problems})
        return EXIT_CONFIG
    if json:
        say_json({"ok": True, "problems": []})
    else:
        where = settings.path or "No configuration file: the defaults"
        say(
            f"{where}: can be used. {len(settings.upstreams)} upstream(s), "
            f"{len(settings.routes)} route(s)."
        )
    return 0


@app.command
def show(*, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show every value in force and where it came from; secrets are masked.

    Example: outlast config show | grep timeouts
    """
    settings = settings_for(config)
    found = rows(settings)
    if json:
        say_json({row.key: {"value": row.value, "origin": row.origin} for row in found})
        return
    console = Console()
    if not console.is_terminal:
        say(*(f"{row.key} = {row.text}  # {row.origin}" for row in found))
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for row in found:
        table.add_row(row.key, row.text, row.origin, style="dim" if row.origin == "default" else "")
    console.print(table)


@app.command
def reference() -> None:
    """Write docs/configuration.md: every setting with its sentence, default and limits.

    Example: outlast config reference > docs/configuration.md
    """
    say(reference_text().removesuffix("\n"))
