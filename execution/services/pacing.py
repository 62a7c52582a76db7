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
BUSY_WRITES, BUSY_SECONDS = 3, 1.0  # others count as writing after so many changes within so long; heartbeats are fewer


class Pace:
    """How one thread's writing keeps out of the way; ask it after each turn."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._version: int | None = None
        self._changes: deque[float] = deque(maxlen=BUSY_WRITES)

    def give_way(self, seconds: float) -> None:
        """After a turn that took so long: stand by while others are writing."""
        if self.others_write():
            self._sleep(min(SHARE * seconds, MOST_SECONDS))

    def others_write(self) -> bool:
        """Whether other connections have been changing this SQLite database lately."""
        if connection.vendor != "sqlite":
            return False
        with connection.cursor() as cursor:
            # Grows with the commits of others, never with our own; costs microseconds.
            cursor.execute("PRAGMA data_version")
            version = int(cursor.fetchone()[0])
        now = self._clock()
        if version != self._version:
            if self._version is not None:
                self._changes.append(now)
            self._version = version
        return len(self._changes) == BUSY_WRITES and now - self._changes[0] < BUSY_SECONDS
