"""Text from outside, made fit for a database. Pure."""

from __future__ import annotations


def storable(value: str, limit: int) -> str:
    """The same text, at most `limit` signs long, as both databases take it.

    PostgreSQL refuses NUL characters, UTF-8 refuses lone surrogates, and one odd answer of a
    stranger must not stop the rest from being kept.
    """
    if len(value) <= limit and value.isascii() and "\x00" not in value:
        return value  # nearly always, and the database's thread shares the processor with answers
    return value[:limit].replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
