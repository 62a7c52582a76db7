"""A guided run whose worker process is killed with -9 between any two turns: no turn is asked for twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.execution.messages_api import Provider, use
from tests.execution.services.test_guiding import CORPUS, PROSE
from tests.execution.turns import messages_api

pytestmark = pytest.mark.slow

TURNS = (
    [use("spawn_agent", profile="reader", purpose="to read"), use("create_checkpoint", state={"at": 1})],
    [use("delegate_subtask", agent_id="reader", task="Read it")],
    [use("track_metrics", metric_names=["agreement"], values={"agreement": 0.4})],
    [use("record_decision", decision="enough", outcome="success")],
    '{"agreed": true}',
)
# A turn's answer is committed; the run has moved on; the next question is about to be sent.
PLACES = ("result-committed", "advanced", "before-sending", "result-committed")


class Hub:
    """A database, and worker processes that come one after the other."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database = folder / "hub.sqlite3"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.execution.turns_settings",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "TURNS_URL": url,
        }

    def call(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.execution.turns", *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=240)

    def run_row(self, run_id: int) -> tuple[str, int]:
        with sqlite3.connect(self.database, timeout=20) as connection:
            row: tuple[str, int] = connection.execute(
                "SELECT status, repaid FROM execution_run WHERE id = ?", [run_id]
            ).fetchone()
            return row


def survive(folder: Path, source: bytes) -> tuple[Provider, tuple[str, int], int]:
    """Kill one worker after each turn, each at another place; what was asked, how it ended, how many workers died."""
    provider = Provider(*TURNS, others="read")
    pattern = folder / "pattern.yaml"
    pattern.write_bytes(source)
    with messages_api(provider) as url:
        hub = Hub(folder, url)
        made = hub.call("set-up", pattern)
        assert made.returncode == 0, made.stderr
        run_id, died = int(made.stdout), 0
        for turn, place in enumerate(PLACES, 1):
            ended = hub.call("work", run_id, place, turn)
            assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
            died += ended.returncode == -signal.SIGKILL
        last = hub.call("work", run_id, place, 0)
        assert last.returncode == 0, last.stderr
        return provider, hub.run_row(run_id), died


class TestKilledBetweenTurns:
    @pytest.mark.timeout(900)
    @pytest.mark.parametrize("name", ["our own", "adaptive_pipeline", "game_theory_orchestration_v2"])
    def test_resumes_without_repeating_a_turn(self, name: str, tmp_path: Path) -> None:
        if name != "our own" and not CORPUS.is_dir():
            pytest.skip("the corpus is not beside the project")
        source = PROSE.encode() if name == "our own" else (CORPUS / f"{name}.yaml").read_bytes()

        provider, (status, _), died = survive(tmp_path, source)

        assert status == "succeeded" and died == len(PLACES)
        assert provider.turns_sent == [1, 2, 3, 4, 5]
        others = Counter(str(body["messages"][0]["content"]) for body in provider.sent if not body.get("tools"))
        assert set(others.values()) == {1}
