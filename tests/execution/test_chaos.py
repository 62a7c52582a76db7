"""A worker that is killed with -9 in the middle of a run, again and again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

COUNT = 200
KILLS = 10
START_SECONDS = 60.0  # for Python to load the hub, which is not the hub's recovery; machines of tests are busy
RECOVERY_SECONDS = 10.0

pytestmark = pytest.mark.slow


class Hub:
    """A database, a log of what agents were asked, and a worker process."""

    def __init__(self, folder: Path) -> None:
        self.database, self.log, self.said = folder / "hub.sqlite3", folder / "asked.log", folder / "worker.log"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.execution.chaos_settings",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "CHAOS_LOG": str(self.log),
        }
        self.worker: subprocess.Popen[bytes] | None = None

    def set_up(self) -> int:
        command = [sys.executable, "-m", "tests.execution.chaos", str(COUNT)]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True)
        return int(done.stdout)

    def start(self) -> None:
        """Start a worker; returns once it is at work."""
        known = self.workers()
        options = ["--poll", "0.05", "--reap", "0.2", "--beat", "0.2", "--lease", "1.0"]
        command = [sys.executable, "manage.py", "worker", "--queue", "runs", *options]
        with self.said.open("ab") as said:
            self.worker = subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=said)
        began = time.monotonic()
        while self.workers() == known:
            assert time.monotonic() - began < START_SECONDS, f"no worker has registered:\n{self.story()}"
            time.sleep(0.02)

    def workers(self) -> int:
        return int(self.ask("SELECT COUNT(*) FROM execution_workerlease")[0][0])

    def story(self) -> str:
        """What the rows and the worker say, for a test that failed."""
        effects = self.ask(
            "SELECT status, attempts, doubts, unread, COUNT(*) FROM execution_effect GROUP BY 1, 2, 3, 4"
        )
        leases = self.ask("SELECT name, beat_at, gone FROM execution_workerlease ORDER BY id DESC LIMIT 3")
        runs = self.ask("SELECT status, revision, tick, open_calls FROM execution_run")
        return (
            f"now {time.time():.1f}\nruns {runs}\neffects {effects}\nleases {leases}\n{self.said.read_text()[-2000:]}"
        )

    def kill(self) -> None:
        assert self.worker is not None
        self.worker.send_signal(signal.SIGKILL)
        self.worker.wait()

    def ask(self, query: str, *values: Any) -> list[Any]:
        with sqlite3.connect(self.database, timeout=20) as connection:
            return connection.execute(query, values).fetchall()

    def answered(self) -> int:
        return self.ask("SELECT COUNT(*) FROM execution_effect WHERE status = 'done'")[0][0]

    def wait_for(self, wanted: int, seconds: float) -> float:
        """Wait until so many are answered; how long it took."""
        started = time.monotonic()
        while self.answered() < wanted:
            assert time.monotonic() - started < seconds, (
                f"{self.answered()} of {wanted} after {seconds} s\n{self.story()}"
            )
            time.sleep(0.02)
        return time.monotonic() - started


class TestKilledWorker:
    @pytest.mark.timeout(240)
    def test_finishes_and_pays_nothing_committed_twice(self, tmp_path: Path) -> None:
        hub = Hub(tmp_path)
        run_id = hub.set_up()
        slowest = 0.0

        for _ in range(KILLS):
            hub.start()
            slowest = max(slowest, hub.wait_for(min(hub.answered() + 9, COUNT), 30.0))
            hub.kill()
            assert hub.ask("PRAGMA integrity_check") == [("ok",)]
        hub.start()
        try:
            hub.wait_for(COUNT, 30)
            hub_end = time.monotonic()
            while hub.ask("SELECT status FROM execution_run WHERE id = ?", run_id) != [("succeeded",)]:
                assert time.monotonic() - hub_end < RECOVERY_SECONDS
                time.sleep(0.02)
        finally:
            hub.kill()

        assert slowest <= RECOVERY_SECONDS
        effects = hub.ask("SELECT key, attempts, doubts, answered_at FROM execution_effect WHERE run_id = ?", run_id)
        asked = [line.split("\t") for line in hub.log.read_text().splitlines()]
        times = Counter(key for _, key, _ in asked)
        answered_at = {key: at for key, _, _, at in effects}
        assert len(effects) == COUNT == len(times)
        # A question is asked again only where the answer to the earlier asking was never committed.
        assert all(attempts == 1 + doubts for _, attempts, doubts, _ in effects)
        assert all(times[key] <= attempts for key, attempts, _, _ in effects)
        assert not [key for _, key, at in asked if int(at) > answered_at[key]]
        assert hub.ask("SELECT result FROM execution_run WHERE id = ?", run_id) == [(str(COUNT),)]
