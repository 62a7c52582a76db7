"""
Trials give way to people on SQLite, where one writes and all others wait.

    pace = Pace()
    started = time.monotonic(); …one transaction…; pace.give_way(time.monotonic() - started)

A worker of trials that has something to write all the time would hold the
database all the time, and SQLite's waiters look again after ever longer
pauses: a person's run would find it taken again and again. So after each turn
it stands by for three times as long as the turn took, where others have been
writing lately; alone on the database it goes on at once. PostgreSQL locks
rows, and needs none of this.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from django.db import connection

SHARE = 3.0  # stands by for so many times the turn: a quarter of the database's time is for trials then
MOST_SECONDS = 0.05  # of one pause: a long computation held nobody's database
DATA_VERSION = "PRAGMA data_version"
BUSY_WRITES, BUSY_SECONDS = 3, 1.0  # others count as writing after so many changes within so long; heartbeats are fewer


class Pace:
    """How one thread's writing keeps out of the way; ask it after each turn."""

    def __init__(
        self,
        *,
        version: Callable[[], int | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._read, self._clock, self._sleep = version or commits_of_others, clock, sleep
        self._version: int | None = None
        self._changes: deque[float] = deque(maxlen=BUSY_WRITES)

    def give_way(self, seconds: float) -> None:
        """After a turn that took so long: stand by while others are writing."""
        if self.others_write():
            self._sleep(min(SHARE * seconds, MOST_SECONDS))

    def others_write(self) -> bool:
        """Whether other connections have been changing this database lately."""
        version, now = self._read(), self._clock()
        if self._version is not None and version != self._version:
            self._changes.append(now)
        self._version = version
        return len(self._changes) == BUSY_WRITES and now - self._changes[0] < BUSY_SECONDS


def commits_of_others() -> int | None:
    """A number that grows with the commits of other connections to this SQLite database; None for PostgreSQL."""
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        cursor.execute(DATA_VERSION)
        return int(cursor.fetchone()[0])
