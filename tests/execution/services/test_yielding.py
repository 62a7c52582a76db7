"""Trials stand by while others write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from execution.services import delivering, yielding
from execution.services.yielding import Pace
from tests.execution.factories import NOW, make_run


class Neighbours:
    """A clock, a count of other connections' commits, and the pauses that were made."""

    def __init__(self) -> None:
        self.now, self.commits = 100.0, 1
        self.pauses: list[float] = []

    def pace(self) -> Pace:
        return Pace(version=lambda: self.commits, clock=lambda: self.now, sleep=self.pauses.append)

    def write(self, pace: Pace, *, times: int, apart: float) -> None:
        """Others commit, and a short turn of ours lies between each two."""
        for _ in range(times):
            self.commits += 1
            self.now += apart
            pace.give_way(0.0)
        self.pauses.clear()


class TestGiveWay:
    def test_stands_by_three_times_as_long_as_the_turn_took(self) -> None:
        near = Neighbours()
        pace = near.pace()
        near.write(pace, times=4, apart=0.02)

        pace.give_way(0.004)

        assert near.pauses == [pytest.approx(0.012)]

    def test_is_short_after_a_long_computation(self) -> None:
        near = Neighbours()
        pace = near.pace()
        near.write(pace, times=4, apart=0.02)

        pace.give_way(2.0)

        assert near.pauses == [yielding.MOST_SECONDS]

    def test_does_nothing_where_nobody_writes(self) -> None:
        near = Neighbours()
        pace = near.pace()

        for _ in range(20):
            pace.give_way(0.004)

        assert near.pauses == []

    def test_does_not_count_heartbeats(self) -> None:
        """Workers that have nothing to do write every second or two."""
        near = Neighbours()
        pace = near.pace()
        near.write(pace, times=10, apart=0.6)

        pace.give_way(0.004)

        assert near.pauses == []

    def test_ends_soon_after_the_others_have_ended(self) -> None:
        near = Neighbours()
        pace = near.pace()
        near.write(pace, times=4, apart=0.02)
        near.now += 1.5

        pace.give_way(0.004)

        assert near.pauses == []

    def test_is_nothing_for_a_database_that_does_not_count(self) -> None:
        pauses: list[float] = []
        pace = Pace(version=lambda: None, sleep=pauses.append)

        for _ in range(20):
            pace.give_way(0.004)

        assert pauses == []


class TestOthersCommits:
    def test_are_counted_by_sqlite_and_our_own_are_not(self, tmp_path: Path) -> None:
        """What ``commits_of_others`` asks SQLite for means what it says."""
        ours, theirs = (sqlite3.connect(tmp_path / "hub.sqlite3") for _ in range(2))
        ours.execute("PRAGMA journal_mode=WAL")

        def count() -> int:
            return int(ours.execute(yielding.DATA_VERSION).fetchone()[0])

        def write(who: sqlite3.Connection, table: str) -> None:
            with who:
                who.execute(f"CREATE TABLE {table} (a)")

        seen = [changed(count, lambda: write(ours, "mine")), changed(count, lambda: write(theirs, "yours"))]
        ours.close()
        theirs.close()

        assert seen == [False, True]


def changed(count: Callable[[], int], act: Callable[[], None]) -> bool:
    before = count()
    act()
    return count() != before


@pytest.mark.django_db(transaction=True)
class TestClaim:
    @pytest.mark.skipif("connection.vendor != 'sqlite'")
    def test_takes_no_lock_to_find_nothing(self) -> None:
        """A worker that looks five times a second must not stop everybody who writes five times a second."""
        make_run("STATE n = 0\nRETURN n")

        with CaptureQueriesContext(connection) as seen:
            assert delivering.claim(worker_id=1, room=10, now=int(NOW.timestamp() * 1000)) == []

        assert [query["sql"].split()[0] for query in seen.captured_queries] == ["SELECT"]
