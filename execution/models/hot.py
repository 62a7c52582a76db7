"""
Statements of the hot path: the database's own cursor, each statement prepared once.

    with transaction.atomic(), hot.cursor() as cursor:
        cursor.execute("UPDATE execution_run SET … WHERE id = %s", [7])

Django's cursors rewrite the placeholders of every statement (SQLite) or write
the values into its text (PostgreSQL), which costs as much as the statement
itself. Here SQLite gets the same text each time, so that its own cache of
prepared statements finds it, and psycopg prepares on the server. Transactions,
errors and connections stay Django's; where somebody watches statements
(``execute_wrapper``, ``DEBUG``) its cursors are used as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

_as_sqlite: dict[str, str] = {}


class Cursor:
    """What the hot path needs of a cursor; placeholders are ``%s`` on both databases, without literal ``%``."""

    __slots__ = ("_errors", "_own", "_sqlite")

    def __init__(self, own: Any, *, sqlite: bool, errors: Any) -> None:
        self._own, self._sqlite, self._errors = own, sqlite, errors

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Carry out one statement."""
        with self._errors:
            self._own.execute(_text(sql) if self._sqlite else sql, values)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Carry out one statement for each row; on PostgreSQL in one round trip."""
        with self._errors:
            self._own.executemany(_text(sql) if self._sqlite else sql, rows)

    def fetchone(self) -> Any:
        """The next row, or None."""
        with self._errors:
            return self._own.fetchone()

    def fetchall(self) -> list[Any]:
        """The rows."""
        with self._errors:
            return list(self._own.fetchall())

    @property
    def rowcount(self) -> int:
        """How many rows the last statement touched."""
        return int(self._own.rowcount)


def _text(sql: str) -> str:
    found = _as_sqlite.get(sql)
    if found is None:
        found = sql.replace("%s", "?")
        if len(_as_sqlite) < 500:
            _as_sqlite[sql] = found
    return found


@contextmanager
def cursor() -> Iterator[Any]:
    """A cursor on Django's connection of this thread; inside of a transaction or not."""
    connection = connections[DEFAULT_DB_ALIAS]  # once: each look through ``django.db.connection`` costs microseconds
    if connection.execute_wrappers or connection.queries_logged:
        with connection.cursor() as watched:
            yield watched
        return
    if not connection.in_atomic_block:
        connection.close_if_health_check_failed()
    connection.ensure_connection()
    own = _own_cursor(connection)
    try:
        yield Cursor(own, sqlite=connection.vendor == "sqlite", errors=connection.wrap_database_errors)
    finally:
        own.close()


def _own_cursor(connection: Any) -> Any:
    if connection.vendor == "postgresql":
        import psycopg

        # Binds on the server and prepares what comes again; Django's own cursors bind in the client.
        return psycopg.Cursor(connection.connection)
    import sqlite3

    return connection.connection.cursor(sqlite3.Cursor)
