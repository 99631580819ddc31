"""The schema's history, continued: what the observatory keeps. Never edited after its release.

Values that are always read whole (an update, a notice's version) are JSON in one column; what is
asked for by a column has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection


def _run(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(text(statement))


def observations_and_rollups(connection: Connection) -> None:
    """One row an observation, and sums by minute, hour and day that outlive them."""
    _run(
        connection,
        (
            """
            CREATE TABLE observations (
                id TEXT PRIMARY KEY,
                at DOUBLE PRECISION NOT NULL,
                source TEXT NOT NULL,
                component TEXT NOT NULL,
                outcome TEXT NOT NULL,
                scope TEXT NOT NULL,
                latency_s DOUBLE PRECISION NOT NULL,
                weight DOUBLE PRECISION NOT NULL,
                evidence TEXT NOT NULL,
                upstream TEXT NOT NULL,
                region TEXT NOT NULL,
                network TEXT NOT NULL,
                reporter TEXT NOT NULL,
                symptom TEXT NOT NULL
            )
            """,
            "CREATE INDEX observations_by_time ON observations (at)",
            "CREATE INDEX observations_by_component ON observations (component, at)",
            """
            CREATE TABLE rollups (
                period TEXT NOT NULL,
                start_at BIGINT NOT NULL,
                component TEXT NOT NULL,
                source TEXT NOT NULL,
                outcome TEXT NOT NULL,
                count BIGINT NOT NULL,
                weight DOUBLE PRECISION NOT NULL,
                latency_sum_s DOUBLE PRECISION NOT NULL,
                latency_max_s DOUBLE PRECISION NOT NULL,
                PRIMARY KEY (period, start_at, component, source, outcome)
            )
            """,
            "CREATE INDEX rollups_by_component ON rollups (component, period, start_at)",
        ),
    )


def notices_and_incidents(connection: Connection) -> None:
    """Every version of a notice; incidents with their history; what we say of each component."""
    _run(
        connection,
        (
            """
            CREATE TABLE notices (
                provider TEXT NOT NULL,
                feed TEXT NOT NULL,
                id TEXT NOT NULL,
                version TEXT NOT NULL,
                fetched_at DOUBLE PRECISION NOT NULL,
                body TEXT NOT NULL,
                PRIMARY KEY (feed, id, version)
            )
            """,
            "CREATE INDEX notices_by_time ON notices (fetched_at)",
            """
            CREATE TABLE incidents (
                id TEXT PRIMARY KEY,
                provider TEXT NOT NULL,
                opened_at DOUBLE PRECISION NOT NULL,
                resolved_at DOUBLE PRECISION,
                body TEXT NOT NULL
            )
            """,
            "CREATE INDEX incidents_by_time ON incidents (opened_at)",
            """
            CREATE TABLE incident_updates (
                incident_id TEXT NOT NULL,
                number INTEGER NOT NULL,
                at DOUBLE PRECISION NOT NULL,
                body TEXT NOT NULL,
                PRIMARY KEY (incident_id, number)
            )
            """,
        ),
    )
    _what_is_said(connection)


def _what_is_said(connection: Connection) -> None:
    _run(
        connection,
        (
            """
            CREATE TABLE component_states (
                component TEXT PRIMARY KEY,
                at DOUBLE PRECISION NOT NULL,
                body TEXT NOT NULL
            )
            """,
            """
            CREATE TABLE claims (
                id TEXT PRIMARY KEY,
                incident_id TEXT NOT NULL,
                at DOUBLE PRECISION NOT NULL,
                body TEXT NOT NULL
            )
            """,
            """
            CREATE TABLE snapshots (
                name TEXT PRIMARY KEY,
                at DOUBLE PRECISION NOT NULL,
                body TEXT NOT NULL
            )
            """,
            """
            CREATE TABLE audit (
                id TEXT PRIMARY KEY,
                at DOUBLE PRECISION NOT NULL,
                who TEXT NOT NULL,
                what TEXT NOT NULL,
                body TEXT NOT NULL
            )
            """,
            "CREATE INDEX audit_by_time ON audit (at)",
        ),
    )


def subscriptions_and_deliveries(connection: Connection) -> None:
    """Who wants to hear, what there is to tell, and what each has been told: one row for a
    subscriber and a state, so that neither a restart nor a second replica tells it twice."""
    _run(
        connection,
        (
            """
            CREATE TABLE subscriptions (
                id TEXT PRIMARY KEY,
                kind TEXT NOT NULL,
                target TEXT NOT NULL,
                created_at DOUBLE PRECISION NOT NULL,
                confirmed_at DOUBLE PRECISION,
                body TEXT NOT NULL
            )
            """,
            "CREATE INDEX subscriptions_by_target ON subscriptions (kind, target)",
            # A subscriber is a target: two living rows of one would tell it everything twice.
            """
            CREATE UNIQUE INDEX subscriptions_once ON subscriptions (kind, target)
            WHERE confirmed_at IS NOT NULL
            """,
            """
            CREATE TABLE news (
                state TEXT PRIMARY KEY,
                incident_id TEXT NOT NULL,
                number INTEGER NOT NULL,
                kind TEXT NOT NULL,
                at DOUBLE PRECISION NOT NULL,
                spread_to TEXT NOT NULL,
                spread_at DOUBLE PRECISION,
                body TEXT NOT NULL
            )
            """,
            "CREATE INDEX news_by_spread ON news (spread_at, at)",
            "CREATE INDEX news_by_incident ON news (incident_id, number)",
            """
            CREATE TABLE deliveries (
                subscription_id TEXT NOT NULL,
                state TEXT NOT NULL,
                incident_id TEXT NOT NULL,
                number INTEGER NOT NULL,
                first_due_at DOUBLE PRECISION NOT NULL,
                due_at DOUBLE PRECISION NOT NULL,
                tries INTEGER NOT NULL,
                ended_at DOUBLE PRECISION,
                ending TEXT NOT NULL,
                claimed_until DOUBLE PRECISION NOT NULL,
                why TEXT NOT NULL,
                PRIMARY KEY (subscription_id, state)
            )
            """,
            "CREATE INDEX deliveries_by_due ON deliveries (ending, due_at)",
            "CREATE INDEX deliveries_by_incident ON deliveries (subscription_id, incident_id)",
        ),
    )


def browsers_and_senders(connection: Connection) -> None:
    """The keys of a browser that is told; and, while a subscription is unconfirmed, whose it is."""
    _run(
        connection,
        (
            "ALTER TABLE subscriptions ADD COLUMN keys TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE subscriptions ADD COLUMN asked_from TEXT NOT NULL DEFAULT ''",
            """
            CREATE INDEX subscriptions_by_sender ON subscriptions (asked_from)
            WHERE asked_from <> ''
            """,
        ),
    )
