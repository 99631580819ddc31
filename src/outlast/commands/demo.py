"""`outlast demo`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from outlast.commands.common import EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed, settings_for
from outlast.commands.options import ConfigOption, JsonOption
from outlast.config.environ import environment
from outlast.demo import SEED, SPEED_MAX, SPEED_MIN, MissingWeights, language_of, run


def demo(
    *,
    speed: Annotated[float, Parameter(help="4 is four times as fast.")] = 1.0,
    seed: Annotated[int, Parameter(help="Decides what is asked, and which requests fail.")] = SEED,
    lang: Annotated[
        Literal["en", "fr"] | None, Parameter(help="Language; else as $LANG says.")
    ] = None,
    plain: Annotated[
        bool, Parameter(negative="", help="Lines of text, as where there is no terminal.")
    ] = False,
    local: Annotated[
        bool, Parameter(negative="", help="With the embedded model, if its weights are here.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> int:
    """Watch an outage: two scripted vendors and Outlast, on this machine alone.

    One vendor goes down as on 2 March 2026, in about a minute; the terminal
    shows what clients see and what Outlast does, beside what the same clients
    see without it. It ends by itself, with a summary; the exit code is 1 if an
    answer was lost. It needs no key, no network and no model. --config matters
    with --local alone: it says where the weights are.

    Example: outlast demo --speed 4 --lang fr
    """
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise CommandFailed(
            f"--speed goes from {SPEED_MIN:g} to {SPEED_MAX:g}; {speed:g} is outside.", EXIT_USAGE
        )
    try:
        return run(
            speed=speed,
            seed=seed,
            language=lang or language_of(environment()),
            json=json,
            plain=plain,
            local=settings_for(config) if local else None,
        )
    except MissingWeights as error:
        raise CommandFailed(str(error), EXIT_UNREACHABLE) from error
