"""Several workers, five patterns of the library, kill -9 at random: everything ends, nothing committed is paid twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import refuse
from tests.execution import fleet
from tests.servers import MissingService

RUNS, KILLS = 60, 6
RECOVERY_SECONDS = 10.0
MARKS = {"embedded": (), "scaled": (pytest.mark.redis, pytest.mark.postgres)}

pytestmark = pytest.mark.slow


@pytest.mark.timeout(150)
@pytest.mark.parametrize("mode", [pytest.param(mode, marks=marks) for mode, marks in MARKS.items()])
class TestFleet:
    def test_ends_every_run_and_asks_nothing_committed_again(self, mode: str, tmp_path: Path) -> None:
        try:
            with fleet.open_fleet(mode, tmp_path, seed=20, scale=0.1) as hub:
                outcome = hub.survive(runs=RUNS, kills=KILLS, alive=20)
        except MissingService as missing:
            refuse(missing)
        finally:
            shutil.rmtree(tmp_path / "static", ignore_errors=True)

        assert len(outcome.kills) == KILLS
        assert outcome.unended == 0, outcome.statuses
        assert outcome.completions > RUNS
        assert outcome.asked_again == []
        assert outcome.unaccounted == []
        assert outcome.recovery_seconds <= RECOVERY_SECONDS
