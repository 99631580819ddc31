"""The options that most commands have: --config and --json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

ConfigOption = Annotated[
    Path | None,
    Parameter(
        name=["--config", "-c"],
        help="Configuration file. Default: $OUTLAST_CONFIG, else outlast.toml here, else none.",
    ),
]
JsonOption = Annotated[bool, Parameter(name="--json", negative="", help="Write JSON, for scripts.")]
