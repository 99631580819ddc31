"""From a file, the environment and the command line to Settings, or to every reason why not.

The command line wins over the environment, the environment over the file, the file over the
defaults.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints
from urllib.parse import urlsplit

import msgspec

from outlast.config import tables
from outlast.config.problems import ConfigError, Problem, choices, expected, shown, suggestion
from outlast.config.routes import complete
from outlast.config.settings import (
    SECTIONS,
    BreakerSettings,
    LocalSettings,
    MailSettings,
    ObservatorySettings,
    RetrySettings,
    ServerSettings,
    Settings,
    StoreSettings,
    TimeoutSettings,
)
from outlast.config.toml_lines import key_lines, line_of

FILE_NAME = "outlast.toml"
FILE_LIMIT_BYTES = 4 << 20
PREFIX = "OUTLAST_"
_KUBERNETES = ("OUTLAST_SERVICE_", "OUTLAST_PORT")
"""It sets OUTLAST_SERVICE_HOST, OUTLAST_PORT_8400_TCP and so on for a service named outlast."""

S = TypeVar("S", bound=msgspec.Struct)


def config_path(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one named, `OUTLAST_CONFIG`, `outlast.toml` here, or none."""
    if given is not None:
        return given
    if named := environ.get("OUTLAST_CONFIG"):
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.exists() else None


def load(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from a file (None: without one), the environment and the command line.

    `overrides` are the command line's: `{"server.port": 9000}`.
    Raises ConfigError with every problem found.
    """
    overrides = dict(overrides or {})
    text = "" if path is None else _read(path)
    reader = Reader(path.name if path is not None else "", key_lines(text), environ)
    document = _parse(text, reader)
    base_dir = Path.cwd() if path is None else path.absolute().parent

    def section(name: str, kind: type[S]) -> S:
        return reader.section(name, kind, document.pop(name, {}), overrides)

    settings = Settings(
        server=section("server", ServerSettings),
        timeouts=section("timeouts", TimeoutSettings),
        breaker=section("breaker", BreakerSettings),
        retry=section("retry", RetrySettings),
        local=section("local", LocalSettings),
        store=section("store", StoreSettings),
        observatory=section("observatory", ObservatorySettings),
        mail=section("mail", MailSettings),
        path=path,
        base_dir=base_dir,
        origins=reader.origins,
        overrides=overrides,
    )
    _check_store_url(reader, settings.store.url)
    upstreams = tables.read_upstreams(
        reader, document.pop("upstreams", {}), settings.timeouts, base_dir
    )
    routes = tables.read_routes(reader, document.pop("routes", []), upstreams, settings.local)
    for name in document:
        reader.unknown(name, name, [*SECTIONS, "upstreams", "routes"])
    reader.stray_variables()
    reader.stray_overrides(overrides)
    if reader.problems:
        raise ConfigError(reader.problems)
    if not upstreams and not settings.local.enabled:
        reader.problem(
            "local.enabled",
            "there is no upstream and no embedded model, so no request could be answered. Add "
            "an [upstreams.NAME] table, or leave local.enabled out.",
        )
        raise ConfigError(reader.problems)
    return complete(msgspec.structs.replace(settings, upstreams=upstreams, routes=routes))


def reload(old: Settings, path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The file read again, with what the command line said kept.

    Raises ConfigError; `old` then simply stays in force.
    """
    return load(path, environ, overrides=old.overrides)


def variable(section: str, field: str) -> str:
    """The environment variable of a setting: `server`, `port` → `OUTLAST_SERVER_PORT`."""
    return f"{PREFIX}{section}_{field}".upper()


class Reader:
    """Collects values, their origins and all problems on the way."""

    def __init__(self, file: str, lines: dict[str, int], environ: Mapping[str, str]) -> None:
        self.file = file
        self.lines = lines
        self.environ = environ
        self.origins: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.named_variables: set[str] = set()

    def place(self, key: str) -> str:
        """`outlast.toml:12`, as near as the line can be told."""
        line = line_of(key, self.lines)
        return f"{self.file}:{line}" if line else self.file

    def problem(self, key: str, what: str, *, where: str | None = None) -> None:
        self.problems.append(Problem(self.place(key) if where is None else where, key, what))

    def unknown(self, key: str, word: str, known: list[str]) -> None:
        self.problem(key, f"there is no such setting.{suggestion(word, known)}")

    def table(self, key: str, value: Any) -> dict[str, Any]:
        """A table as it is; anything else is a problem and counts as empty."""
        if isinstance(value, dict):
            return value
        self.problem(key, f"expected a table ([{key}]), found {shown(value)}.")
        return {}

    def value(self, key: str, hint: Any, given: Any, where: str, *, strict: bool = True) -> Any:
        """One value as its type, or `msgspec.UNSET` after a problem."""
        try:
            result = msgspec.convert(given, hint, strict=strict)
        except msgspec.ValidationError:
            what = f"expected {expected(hint)}, found {shown(given)}."
            if isinstance(given, str):
                what += suggestion(given, choices(hint))
            self.problem(key, what, where=where)
            return msgspec.UNSET
        self.origins[key] = where
        return result

    def fields(
        self, path: str, kind: type[msgspec.Struct], table: dict[str, Any], skip: tuple[str, ...]
    ) -> dict[str, Any]:
        """The values of one table for the fields of a struct; unknown keys are problems."""
        hints = get_type_hints(kind, include_extras=True)
        settable = [name for name, hint in hints.items() if not is_derived(hint)]
        found: dict[str, Any] = {}
        for name, given in table.items():
            key = f"{path}.{name}"
            if name not in settable:
                self.unknown(key, name, settable)
            elif name not in skip:
                value = self.value(key, hints[name], given, self.place(key))
                if value is not msgspec.UNSET:
                    found[name] = value
        return found

    def section(self, name: str, kind: type[S], table: Any, overrides: Mapping[str, Any]) -> S:
        """One table with the environment and the command line laid over it."""
        found = self.fields(name, kind, self.table(name, table), skip=())
        for field, hint in get_type_hints(kind, include_extras=True).items():
            key, env = f"{name}.{field}", variable(name, field)
            if env in self.environ:
                given = self.environ[env]
                value = self.value(key, hint, given, f"environment {env}", strict=False)
                if value is not msgspec.UNSET:
                    found[field] = value
            if key in overrides:
                value = self.value(key, hint, overrides[key], "command line")
                if value is not msgspec.UNSET:
                    found[field] = value
        return kind(**found)

    def rename_origins(self, old: str, new: str) -> None:
        """Routes are known by their model, not by their place in a list that still grows."""
        for key in [key for key in self.origins if key.startswith(f"{old}.")]:
            self.origins[new + key.removeprefix(old)] = self.origins.pop(key)

    def stray_variables(self) -> None:
        """A variable that looks like a setting and is none, rather than one silently unused."""
        known = [variable(s, f) for s, kind in SECTIONS.items() for f in kind.__struct_fields__]
        sections = tuple(f"{PREFIX}{name.upper()}_" for name in SECTIONS)
        for name in sorted(self.environ):
            if not name.startswith(PREFIX) or name.startswith(_KUBERNETES):
                continue
            if name in known or name in self.named_variables:
                continue
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if name.startswith(sections) or near:
                hint = suggestion(name, known)
                self.problem(name, f"there is no such setting.{hint}", where="environment")

    def stray_overrides(self, overrides: Mapping[str, Any]) -> None:
        known = [f"{s}.{f}" for s, kind in SECTIONS.items() for f in kind.__struct_fields__]
        for key in overrides:
            if key not in known:
                what = f"there is no such setting.{suggestion(key, known)}"
                self.problem(key, what, where="command line")


def is_derived(hint: Any) -> bool:
    """Whether a field is filled in while loading and cannot be written in the file."""
    return any(
        isinstance(part, msgspec.Meta) and bool((part.extra or {}).get("derived"))
        for part in getattr(hint, "__metadata__", ())
    )


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise ConfigError(
                [Problem(str(path), "", "is larger than 4 MiB: not a settings file.")]
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        what = "there is no such file. Leave --config out to run without one."
        raise ConfigError([Problem(str(path), "", what)]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), "", "is not UTF-8 text.")]) from None
    except OSError as error:
        what = f"cannot be read: {error.strerror}."
        raise ConfigError([Problem(str(path), "", what)]) from None


def _check_store_url(reader: Reader, url: str) -> None:
    try:
        password = urlsplit(url).password
    except ValueError:
        reader.problem("store.url", f"expected a database address, found {shown(url)}.")
        return
    origin = reader.origins.get("store.url", "default")
    if password and not origin.startswith("environment"):
        reader.problem(
            "store.url",
            "a password does not belong in this file. Use a pgpass file, or set the whole address "
            f"in the environment: {variable('store', 'url')}=…",
        )


def _parse(text: str, reader: Reader) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at line ")
        line = place.split(",")[0] if place else str(text.count("\n") + 1)
        what = f"is not valid TOML: {message[:1].lower()}{message[1:]}."
        raise ConfigError([Problem(f"{reader.file}:{line}", "", what)]) from None
