"""The settings as rows for a person: every value in force, where it came from, secrets masked."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

import msgspec

from outlast.config.settings import (
    SECTIONS,
    CandidateSettings,
    Secret,
    Settings,
)

MASK = "•••"
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


class Row(msgspec.Struct, frozen=True):
    """One setting. `value` is what JSON can say, and never a secret."""

    key: str
    value: Any
    origin: str

    @property
    def text(self) -> str:
        return msgspec.json.encode(self.value).decode()


class Change(msgspec.Struct, frozen=True):
    """One value that a newly read file changes. `restart`: in force only after the next start."""

    key: str
    old: Any
    new: Any
    restart: bool


def rows(settings: Settings) -> list[Row]:
    """Every setting, in the order of the documentation; of upstreams and routes, what was said."""
    found: list[Row] = []
    for section, kind in SECTIONS.items():
        table = getattr(settings, section)
        for name in kind.__struct_fields__:
            key = f"{section}.{name}"
            found.append(Row(key, _plain(getattr(table, name)), settings.origin(key)))
    for name, upstream in settings.upstreams.items():
        found += _said(f"upstreams.{name}", upstream, settings, always=("kind", "base_url"))
    for route in settings.routes:
        found += _said(f"routes.{route.model}", route, settings, always=("candidates",))
    return found


def changes(old: Settings, new: Settings) -> list[Change]:
    """What differs between two readings of the configuration, secrets masked on both sides."""
    before = {row.key: row.value for row in rows(old)}
    after = {row.key: row.value for row in rows(new)}
    for name in old.upstreams.keys() & new.upstreams.keys():
        if old.upstreams[name].key != new.upstreams[name].key:
            before[f"upstreams.{name}.key"] = f"{MASK} (old)"
    restart = restart_keys()
    keys = [*after, *(key for key in before if key not in after)]
    return [
        Change(key, before.get(key), after.get(key), key in restart)
        for key in keys
        if before.get(key) != after.get(key)
    ]


def restart_keys() -> frozenset[str]:
    """The settings that a running service cannot change by reading its file again."""
    return frozenset(
        f"{section}.{name}"
        for section, kind in SECTIONS.items()
        for name, hint in get_type_hints(kind, include_extras=True).items()
        if extra(hint).get("restart")
    )


def extra(hint: Any) -> dict[str, Any]:
    """The `extra` of a setting's Meta."""
    for part in getattr(hint, "__metadata__", ()):
        if isinstance(part, msgspec.Meta):
            return part.extra or {}
    return {}


def _said(
    path: str, table: msgspec.Struct, settings: Settings, *, always: tuple[str, ...]
) -> list[Row]:
    """The fields that differ from their default, and those that are always worth seeing."""
    found = []
    for field in msgspec.structs.fields(table):
        value = getattr(table, field.name)
        default = (
            field.default_factory()
            if field.default_factory is not msgspec.NODEFAULT
            else field.default
        )
        if field.name in {"name", "model"} or (value == default and field.name not in always):
            continue
        key = f"{path}.{field.name}"
        found.append(Row(key, _plain(value), settings.origin(key)))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, CandidateSettings):
        share = f" ×{value.weight}" if value.weight != 1 else ""
        return f"{value.order}: {value.upstream}/{value.model or '(as asked)'}{share}"
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if isinstance(value, str):
        return _PASSWORD.sub(rf"\1:{MASK}@", value)
    return value
