"""Databases for tests: SQLite in a folder, and PostgreSQL in a schema of its own."""

from __future__ import annotations

import socket
import threading
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST, PORT, USER, NAME = "127.0.0.1", 5432, "postgres", "test"


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'outlast.db'}"


@contextmanager
def postgresql_url(port: int = PORT) -> Iterator[str]:
    """A URL whose tables live in a schema that is dropped afterwards; skips without a server."""
    schema = f"outlast_test_{uuid.uuid4().hex}"
    try:
        connection = psycopg.connect(
            host=HOST, port=PORT, user=USER, dbname=NAME, connect_timeout=3, autocommit=True
        )
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL on {HOST}:{PORT} with user {USER} and database {NAME}: {error}")
    with connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')  # type: ignore[call-overload,unused-ignore]  # a name made here
    try:
        yield (
            f"postgresql://{USER}@{HOST}:{port}/{NAME}"
            f"?options=-csearch_path%3D{schema}&connect_timeout=3"
        )
    finally:
        with psycopg.connect(
            host=HOST, port=PORT, user=USER, dbname=NAME, connect_timeout=3, autocommit=True
        ) as connection:
            connection.execute(f'DROP SCHEMA "{schema}" CASCADE')  # type: ignore[call-overload,unused-ignore]  # a name made here


class Gate:
    """A TCP door in front of PostgreSQL that can be shut: connections die, new ones are refused."""

    def __init__(self) -> None:
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.port = 0

    def open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, self.port))
        listener.listen()
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((HOST, PORT))
            self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
    source.close()
