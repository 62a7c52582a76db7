"""All workers killed with -9 in the middle of a trial, ten times: no pair lost, counted twice, or reordered."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from execution.shadow.recheck import recheck
from tests.conftest import ROOT
from tests.execution.trial_chaos import CANDIDATE_FAILS, CONTROL_FAILS

PAIRS = 100  # so many that a fast worker has not settled them all before the tenth kill
KILLS = 10
PATIENCE_SECONDS = 60.0

pytestmark = pytest.mark.slow


class Hub:
    """A database and two worker processes of trials."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "hub.sqlite3"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.execution.chaos_settings",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "CHAOS_LOG": str(folder / "asked.log"),
            "CHAOS_SCALE": "0.4",
        }
        self.workers: list[subprocess.Popen[bytes]] = []

    def set_up(self) -> int:
        command = [sys.executable, "-m", "tests.execution.trial_chaos", str(PAIRS)]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True)
        return int(done.stdout)

    def start(self) -> None:
        options = ["--queue", "trials", "--poll", "0.05", "--reap", "0.2", "--beat", "0.2", "--lease", "1.0"]
        command = [sys.executable, "manage.py", "worker", *options]
        self.workers = [
            subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=subprocess.DEVNULL) for _ in range(2)
        ]

    def kill(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGKILL)
        for worker in self.workers:
            worker.wait()

    def ask(self, query: str, *values: Any) -> list[Any]:
        with sqlite3.connect(self.database, timeout=20) as connection:
            return connection.execute(query, values).fetchall()

    def settled(self) -> int:
        return int(self.ask("SELECT settled FROM execution_trial")[0][0])

    def wait_for(self, wanted: int) -> None:
        """Wait until so many pairs count, or the trial has its verdict."""
        started = time.monotonic()
        while self.settled() < wanted and self.ask("SELECT status FROM execution_trial") == [("running",)]:
            assert time.monotonic() - started < PATIENCE_SECONDS, f"{self.settled()} of {wanted} pairs"
            time.sleep(0.02)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub whose workers end with the test."""
    made = Hub(tmp_path)
    yield made
    made.kill()


class TestKilledWorkers:
    @pytest.mark.timeout(150)
    def test_lose_no_pair_and_count_none_twice_or_out_of_order(self, hub: Hub) -> None:
        trial = hub.set_up()

        killed_on_the_way = 0
        for _ in range(KILLS):
            hub.start()
            hub.wait_for(min(hub.settled() + 2, PAIRS))
            hub.kill()
            killed_on_the_way += hub.settled() < PAIRS
            assert hub.ask("PRAGMA integrity_check") == [("ok",)]
        hub.start()
        hub.wait_for(PAIRS)
        waited = time.monotonic()
        while hub.ask("SELECT status FROM execution_trial") != [("decided",)]:
            assert time.monotonic() - waited < PATIENCE_SECONDS
            time.sleep(0.02)
        hub.kill()

        assert killed_on_the_way == KILLS
        settled = hub.settled()
        rows = hub.ask(
            'SELECT p.position, p.status, p.contrasts, p.missing, i."values" FROM execution_trialpair p'
            " JOIN execution_trialinput i ON i.id = p.input_id WHERE p.trial_id = ? ORDER BY p.position",
            trial,
        )
        assert [row[0] for row in rows] == list(range(1, PAIRS + 1))
        counted = rows[:settled]
        assert all(status == "settled" and not missing for _, status, _, missing, _ in counted)
        # What each pair says is what its own input makes it say: nothing was mixed up.
        for _, _, contrasts, _, values in counted:
            digit = json.loads(values)["n"] % 10
            wanted = (digit == CONTROL_FAILS) - (digit == CANDIDATE_FAILS)
            assert json.loads(contrasts)["success"] == wanted
        looks = hub.ask("SELECT position FROM execution_triallook ORDER BY id")
        assert [look[0] for look in looks] == list(range(1, settled + 1))
        arms = hub.ask(
            "SELECT p.position, a.arm, COUNT(*) FROM execution_armrun a JOIN execution_trialpair p ON p.id = a.pair_id"
            " WHERE p.position <= ? GROUP BY p.position, a.arm",
            settled,
        )
        assert Counter(arm for _, arm, _ in arms) == {"control": settled, "candidate": settled}
        assert all(count == 1 for _, _, count in arms)
        self._report_agrees(hub, rows, settled)

    def _report_agrees(self, hub: Hub, rows: list[Any], settled: int) -> None:
        """The report rechecks, and lists the pairs as they were enrolled."""
        data = bytes(hub.ask("SELECT data FROM execution_verificationreport")[0][0])
        assert recheck(data).pairs == settled
        listed = json.loads(data)["body"]["pairs"]
        names = [row[0] for row in hub.ask("SELECT input_name FROM execution_trialpair ORDER BY position")]
        assert [pair["input"] for pair in listed] == names[:settled]
        assert [pair["contrasts"] for pair in listed] == [json.loads(row[2]) for row in rows[:settled]]
