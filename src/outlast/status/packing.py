"""A Snapshot as bytes and back, for the mirror, which renders what the service knows. Pure.

It holds what the page shows and no more, so that whoever may read the page may read it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from outlast.nouns import ComponentState, Incident
from outlast.observatory.claims import Claim
from outlast.observatory.extent import Extent
from outlast.observatory.recovery import Forecast, TooFew
from outlast.status.post_mortems import PostMortem
from outlast.status.view import Shown, Snapshot

PATH = "/status/snapshot.json"
_LISTS = ("open", "recent")


class BadSnapshot(Exception):
    """The bytes are none: another version of the service, or something else answered."""


class PackedShown(msgspec.Struct, frozen=True):
    """As Shown; a forecast's two kinds lie apart, because JSON does not tell them."""

    incident: Incident
    extent: Extent | None = None
    likely: Forecast | None = None
    too_few: TooFew | None = None
    claims: tuple[Claim, ...] = ()
    states: tuple[ComponentState, ...] = ()
    post_mortem: tuple[PostMortem, ...] = ()


_FIELDS = [field for field in msgspec.structs.fields(Snapshot) if field.name not in _LISTS]
_Packed: Any = msgspec.defstruct(
    "_Packed",
    [
        *((name, tuple[PackedShown, ...]) for name in _LISTS),
        *((one.name, one.type) for one in _FIELDS if one.required),
        *((one.name, one.type, one.default) for one in _FIELDS if not one.required),
    ],
    frozen=True,
)


def pack(snapshot: Snapshot) -> bytes:
    fields = {field.name: getattr(snapshot, field.name) for field in _FIELDS}
    lists = {name: tuple(map(_packed, getattr(snapshot, name))) for name in _LISTS}
    return msgspec.json.encode(_Packed(**fields, **lists))


def unpack(body: bytes) -> Snapshot:
    """Raises BadSnapshot."""
    try:
        found = msgspec.json.decode(body, type=_Packed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadSnapshot(f"This is no snapshot of a status page: {str(error)[:200]}") from error
    fields: dict[str, Any] = {field.name: getattr(found, field.name) for field in _FIELDS}
    fields |= {name: tuple(map(_shown, getattr(found, name))) for name in _LISTS}
    return Snapshot(**fields)


def _packed(one: Shown) -> PackedShown:
    return PackedShown(
        one.incident,
        one.extent,
        one.forecast if isinstance(one.forecast, Forecast) else None,
        one.forecast if isinstance(one.forecast, TooFew) else None,
        one.claims,
        one.states,
        one.post_mortem,
    )


def _shown(one: PackedShown) -> Shown:
    forecast = one.likely or one.too_few
    return Shown(one.incident, one.extent, forecast, one.claims, one.states, one.post_mortem)
