"""
Counts that the processes of one machine share: a Django cache of whole numbers in a SQLite file of its own.

The web server has several processes, and a limit of so many requests a minute
must not grow with their number. A count is one statement, so nobody's is lost;
nothing is synced to disk, because a count is worth nothing after its minute. A
file that cannot be read any more is thrown away.

    CACHES["shared"] = {"BACKEND": "hub.counters.SharedCounters", "LOCATION": "var/counters.sqlite3"}
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

WAIT_SECONDS = 2.0  # for another process's statement
CLEAN_EVERY = 500  # on average, so many new counts until those whose time is over are deleted
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS counters (key TEXT PRIMARY KEY, value INTEGER NOT NULL, expires REAL) WITHOUT ROWID;
"""


class SharedCounters(BaseCache):
    """``add``, ``incr`` and ``get`` are atomic between processes; values are whole numbers, nothing else."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.path = Path(location)
        self._own = threading.local()

    # ------------------------------------------------------------ the cache

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Begin to count; False where the key is counted already."""
        if random.random() < 1 / CLEAN_EVERY:  # noqa: S311  spreads the work, decides nothing
            self._ask("DELETE FROM counters WHERE expires < ?", time.time())
        now = time.time()
        return bool(
            self._ask(
                "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
                " expires = excluded.expires WHERE expires < ? RETURNING 1",
                self._key(key, version),
                _whole(value),
                self._expiry(timeout),
                now,
            )
        )

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """
        Count on; the new count.

        Raises:
            ValueError: nobody has begun, or its time is over.
        """
        rows = self._ask(
            "UPDATE counters SET value = value + ? WHERE key = ? AND (expires IS NULL OR expires >= ?) RETURNING value",
            delta,
            self._key(key, version),
            time.time(),
        )
        if not rows:
            raise ValueError(f"{key!r} is not counted")
        return int(rows[0][0])

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        rows = self._ask(
            "SELECT value FROM counters WHERE key = ? AND (expires IS NULL OR expires >= ?)",
            self._key(key, version),
            time.time(),
        )
        return rows[0][0] if rows else default

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._ask(
            "INSERT OR REPLACE INTO counters VALUES (?, ?, ?)",
            self._key(key, version),
            _whole(value),
            self._expiry(timeout),
        )

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        place = self._key(key, version)
        return bool(
            self._ask("UPDATE counters SET expires = ? WHERE key = ? RETURNING 1", self._expiry(timeout), place)
        )

    def delete(self, key: str, version: int | None = None) -> bool:
        return bool(self._ask("DELETE FROM counters WHERE key = ? RETURNING 1", self._key(key, version)))

    def clear(self) -> None:
        self._ask("DELETE FROM counters")

    # ------------------------------------------------------------ the file

    def _key(self, key: str, version: int | None) -> str:
        return str(self.make_and_validate_key(key, version))

    def _expiry(self, timeout: Any) -> float | None:
        return self.get_backend_timeout(timeout)

    def _ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._connection().execute(sql, values).fetchall()
        except sqlite3.OperationalError:
            # Locked for too long, or the file went away under this connection: once more, on a fresh one.
            self._close()
            return self._connection().execute(sql, values).fetchall()
        except sqlite3.DatabaseError:
            self._close()
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._connection().execute(sql, values).fetchall()

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection; a process that was forked opens one of its own."""
        own: tuple[int, sqlite3.Connection] | None = getattr(self._own, "connection", None)
        if own is None or own[0] != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            made = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            made.executescript(SCHEMA)
            own = self._own.connection = (os.getpid(), made)
        return own[1]

    def _close(self) -> None:
        own = getattr(self._own, "connection", None)
        if own is not None:
            with contextlib.suppress(sqlite3.Error):
                own[1].close()
            self._own.connection = None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else _refuse(value)


def _refuse(value: Any) -> NoReturn:
    raise TypeError(f"shared counters hold whole numbers, not {value!r}")
