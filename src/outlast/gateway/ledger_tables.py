"""The ledger's two tables, and the way between their rows and a Receipt.

Every text that came from outside is cleaned here (store/texts.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    select,
)

from outlast.nouns import Attempt, Degraded, Format, Outcome, Receipt, Resumption, Scope, Tokens
from outlast.store.dialects import insert_ignore
from outlast.store.texts import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.engine import Connection

NAME_LIMIT = 300
EVIDENCE_LIMIT = 500
ERROR_LIMIT = 2000
DROPPED_LIMIT = 100
ATTEMPTS_LIMIT = 64
COUNT_LIMIT = 2**53
"""No vendor counts further; it fits every integer column that holds counts."""

metadata = MetaData()

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("served_by", Text, nullable=False),
    Column("degraded", Text, nullable=False),
    Column("dropped", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("resumptions", Text, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("exchange_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("upstream", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("status", Integer),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
    Column("first_content_s", Double),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("tokens_estimated", Boolean, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("request_id", Text, nullable=False),
)


def cleaned(receipt: Receipt) -> Receipt:
    """The same receipt, within limits and storable: bounded texts, valid UTF-8, sane counts."""
    return msgspec.structs.replace(
        receipt,
        id=_text(receipt.id),
        key_id=_text(receipt.key_id),
        surface=_text(receipt.surface),
        model=_text(receipt.model),
        outcome=_text(receipt.outcome),
        status=_status(receipt.status),
        served_by=_text(receipt.served_by),
        dropped=tuple(_text(one) for one in receipt.dropped[:DROPPED_LIMIT]),
        error=_text(receipt.error, ERROR_LIMIT),
        attempts=tuple(_cleaned_attempt(one) for one in receipt.attempts[-ATTEMPTS_LIMIT:]),
        resumptions=tuple(_cleaned_seam(one) for one in receipt.resumptions[-ATTEMPTS_LIMIT:]),
    )


def _cleaned_seam(resumption: Resumption) -> Resumption:
    return msgspec.structs.replace(
        resumption,
        at_char=_count(resumption.at_char),
        broken=_text(resumption.broken),
        resumed=_text(resumption.resumed),
        reason=_text(resumption.reason, EVIDENCE_LIMIT),
    )


def _cleaned_attempt(attempt: Attempt) -> Attempt:
    tokens = attempt.tokens
    return msgspec.structs.replace(
        attempt,
        upstream=_text(attempt.upstream),
        model=_text(attempt.model),
        status=None if attempt.status is None else _status(attempt.status),
        evidence=_text(attempt.evidence, EVIDENCE_LIMIT),
        request_id=_text(attempt.request_id),
        tokens=Tokens(
            input=_count(tokens.input),
            output=_count(tokens.output),
            cache_read=_count(tokens.cache_read),
            cache_write=_count(tokens.cache_write),
            reasoning=_count(tokens.reasoning),
            estimated=tokens.estimated,
        ),
    )


def _text(value: str, limit: int = NAME_LIMIT) -> str:
    return storable(value, limit)


def _count(value: int) -> int:
    return max(0, min(value, COUNT_LIMIT))


def _status(value: int) -> int:
    return value if 0 <= value < 1000 else 0


def insert(connection: Connection, receipts: Sequence[Receipt]) -> None:
    """Store receipts; those that are stored already stay as they are."""
    safe = [receipt if _is_clean(receipt) else cleaned(receipt) for receipt in receipts]
    _insert(connection, exchanges, [_exchange_row(receipt) for receipt in safe])
    rows = [
        _attempt_row(receipt.id, number, attempt)
        for receipt in safe
        for number, attempt in enumerate(receipt.attempts)
    ]
    if rows:
        _insert(connection, attempts, rows)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    statement = insert_ignore(connection, table)
    if connection.dialect.name != "sqlite":
        connection.execute(statement, rows)
        return
    # Row by row, SQLAlchemy costs several times what SQLite does; the values need no conversion.
    sql = str(statement.values(dict.fromkeys(rows[0], "")).compile(dialect=connection.dialect))
    connection.exec_driver_sql(sql, [tuple(row.values()) for row in rows])


def _is_clean(receipt: Receipt) -> bool:
    """Whether nothing in it has to be cleaned, as nearly always; sure only where it says True."""
    if receipt.resumptions or receipt.dropped or len(receipt.attempts) != 1:
        return False
    one = receipt.attempts[0]
    tokens = one.tokens
    asked = (receipt.id, receipt.key_id, receipt.surface, receipt.model, receipt.outcome)
    tried = (receipt.served_by, receipt.error, one.upstream, one.model, one.evidence)
    said = "".join((*asked, *tried, one.request_id))
    counts = (tokens.input, tokens.output, tokens.cache_read, tokens.cache_write, tokens.reasoning)
    return (
        len(said) <= NAME_LIMIT
        and said.isascii()
        and "\x00" not in said
        and 0 <= receipt.status < 1000
        and (one.status is None or 0 <= one.status < 1000)
        and min(counts) >= 0
        and max(counts) <= COUNT_LIMIT
    )


def select_one(connection: Connection, receipt_id: str, key_id: str | None) -> Receipt | None:
    """A receipt that belongs to `key_id` (None: whoever's)."""
    found = _load(connection, _owned(key_id).where(exchanges.c.id == receipt_id))
    return found[0] if found else None


def select_recent(connection: Connection, key_id: str | None, limit: int) -> list[Receipt]:
    query = _owned(key_id).order_by(exchanges.c.ended_at.desc()).limit(limit)
    return _load(connection, query)


def delete_older(connection: Connection, before: float, limit: int) -> int:
    """Delete up to `limit` exchanges that ended before then, with their attempts."""
    old = (
        select(exchanges.c.id)
        .where(exchanges.c.ended_at < before)
        .order_by(exchanges.c.ended_at)
        .limit(limit)
    )
    ids = list(connection.execute(old).scalars())
    if ids:
        connection.execute(delete(attempts).where(attempts.c.exchange_id.in_(ids)))
        connection.execute(delete(exchanges).where(exchanges.c.id.in_(ids)))
    return len(ids)


def _owned(key_id: str | None) -> Select[Any]:
    query = select(exchanges)
    return query if key_id is None else query.where(exchanges.c.key_id == key_id)


def _load(connection: Connection, query: Select[Any]) -> list[Receipt]:
    rows = connection.execute(query).mappings().all()
    if not rows:
        return []
    tries = connection.execute(
        select(attempts)
        .where(attempts.c.exchange_id.in_([row["id"] for row in rows]))
        .order_by(attempts.c.exchange_id, attempts.c.number)
    ).mappings()
    by_exchange: dict[str, list[RowMapping]] = {}
    for one in tries:
        by_exchange.setdefault(one["exchange_id"], []).append(one)
    return [_receipt(row, by_exchange.get(row["id"], ())) for row in rows]


def _exchange_row(receipt: Receipt) -> dict[str, Any]:
    return {
        "id": receipt.id,
        "key_id": receipt.key_id,
        "surface": receipt.surface,
        "format": receipt.format.value,
        "model": receipt.model,
        "stream": receipt.stream,
        "started_at": receipt.started_at,
        "ended_at": receipt.ended_at,
        "outcome": receipt.outcome,
        "status": receipt.status,
        "served_by": receipt.served_by,
        "degraded": receipt.degraded.value,
        "dropped": msgspec.json.encode(receipt.dropped).decode(),
        "error": receipt.error,
        "resumptions": msgspec.json.encode(receipt.resumptions).decode(),
    }


def _attempt_row(exchange_id: str, number: int, attempt: Attempt) -> dict[str, Any]:
    return {
        "exchange_id": exchange_id,
        "number": number,
        "upstream": attempt.upstream,
        "model": attempt.model,
        "outcome": attempt.outcome.value,
        "scope": attempt.scope.value,
        "status": attempt.status,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "first_content_s": attempt.first_content_s,
        "input_tokens": attempt.tokens.input,
        "output_tokens": attempt.tokens.output,
        "cache_read_tokens": attempt.tokens.cache_read,
        "cache_write_tokens": attempt.tokens.cache_write,
        "reasoning_tokens": attempt.tokens.reasoning,
        "tokens_estimated": attempt.tokens.estimated,
        "evidence": attempt.evidence,
        "request_id": attempt.request_id,
    }


def _receipt(row: RowMapping, tries: Iterable[RowMapping]) -> Receipt:
    return Receipt(
        id=row["id"],
        key_id=row["key_id"],
        surface=row["surface"],
        format=Format(row["format"]),
        model=row["model"],
        stream=row["stream"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=row["outcome"],
        status=row["status"],
        served_by=row["served_by"],
        degraded=Degraded(row["degraded"]),
        dropped=msgspec.json.decode(row["dropped"], type=tuple[str, ...]),
        error=row["error"],
        resumptions=msgspec.json.decode(row["resumptions"], type=tuple[Resumption, ...]),
        attempts=tuple(_attempt(one) for one in tries),
    )


def _attempt(row: RowMapping) -> Attempt:
    return Attempt(
        upstream=row["upstream"],
        model=row["model"],
        outcome=Outcome(row["outcome"]),
        scope=Scope(row["scope"]),
        status=row["status"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        first_content_s=row["first_content_s"],
        tokens=Tokens(
            input=row["input_tokens"],
            output=row["output_tokens"],
            cache_read=row["cache_read_tokens"],
            cache_write=row["cache_write_tokens"],
            reasoning=row["reasoning_tokens"],
            estimated=row["tokens_estimated"],
        ),
        evidence=row["evidence"],
        request_id=row["request_id"],
    )
