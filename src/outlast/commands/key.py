"""`outlast key create | list | revoke`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Literal

from cyclopts import App, Parameter

from outlast.accounts.keys import BadKeySettings, Key
from outlast.accounts.roster import Roster
from outlast.accounts.roster_tables import KeyNotFound, TooManyKeys
from outlast.commands.common import CommandFailed, complain, say, say_json, settings_for
from outlast.commands.options import ConfigOption, JsonOption
from outlast.commands.store import place_of, with_database
from outlast.nouns import Allow
from outlast.store.database import Database

app = App(name="key", help="Create, list and revoke API keys.", help_format="plaintext")


@app.command
def create(
    name: Annotated[str, Parameter(help="Whose or what for: my-laptop.")],
    /,
    *,
    allow: Annotated[
        Literal["same-model", "same-vendor", "any", "local"],
        Parameter(help="How far its answers may degrade.", show_choices=True),
    ] = "local",
    model: Annotated[
        tuple[str, ...],
        Parameter(help="Model name or glob it may ask for; may be repeated.", negative=""),
    ] = ("*",),
    requests_per_minute: Annotated[int | None, Parameter(help="Most requests a minute.")] = None,
    concurrent: Annotated[int | None, Parameter(help="Most requests at once.")] = None,
    notice: Annotated[
        Literal["off", "en", "fr"] | None,
        Parameter(
            help="Say in the answer when a weaker model gives it; without: as its route says.",
            show_choices=True,
        ),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make an API key and show it, this once: only its hash is kept.

    The key alone goes to standard output, so that a script can take it. A
    running service knows it at once.

    Example: export OUTLAST_API_KEY=$(outlast key create my-laptop)
    Example: outlast key create ci --allow any --model 'claude-*'
    """
    settings = settings_for(config)

    async def act(database: Database) -> tuple[str, Key]:
        return await Roster(database, settings.data_path).create(
            name,
            allow=Allow(allow),
            models=model,
            requests_per_minute=requests_per_minute,
            concurrent=concurrent,
            notice=notice or "",
        )

    try:
        secret, key = with_database(settings, act)
    except (BadKeySettings, TooManyKeys) as error:
        raise CommandFailed(str(error)) from error
    if json:
        say_json({"secret": secret, "key": key})
        return
    complain(f'Key {key.id} "{key.name}", shown this once (in {place_of(settings)}):')
    sys.stderr.flush()
    say(secret)


@app.command(name="list")
def list_(*, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show all keys: what they may do, and how they begin.

    Example: outlast key list
    """
    settings = settings_for(config)

    async def act(database: Database) -> list[Key]:
        return await Roster(database, settings.data_path).list()

    found = with_database(settings, act)
    if json:
        say_json(found)
        return
    for key in found:
        say(_line(key))
    if not found:
        say(f"No keys yet in {place_of(settings)}. Make one: outlast key create NAME")


@app.command
def revoke(
    which: Annotated[str, Parameter(help="The key's id, or its name if only one has it.")],
    /,
    *,
    config: ConfigOption = None,
) -> None:
    """Refuse a key from now on. A running service knows within two seconds.

    Example: outlast key revoke my-laptop
    """
    settings = settings_for(config)

    async def act(database: Database) -> Key:
        return await Roster(database, settings.data_path).revoke(which)

    try:
        key = with_database(settings, act)
    except KeyNotFound as error:
        raise CommandFailed(str(error.args[0])) from error
    say(f'Key {key.id} "{key.name}" is revoked.')


def _line(key: Key) -> str:
    made = datetime.fromtimestamp(key.created_at).astimezone()
    parts = [key.id, f"{key.prefix}…", f"{made:%Y-%m-%d}", f'"{key.name}"', f"allow {key.allow}"]
    if key.models != ("*",):
        parts.append(f"models {', '.join(key.models)}")
    if key.requests_per_minute is not None:
        parts.append(f"{key.requests_per_minute} a minute")
    if key.concurrent is not None:
        parts.append(f"{key.concurrent} at once")
    if key.notice:
        parts.append(f"notice {key.notice}")
    if key.revoked:
        parts.append("revoked")
    return "  ".join(parts)
