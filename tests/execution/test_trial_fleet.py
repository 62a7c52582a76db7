"""A trial in scaled mode: Celery, Redis and PostgreSQL, a worker of trials killed on the way, and a report that rechecks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from execution.shadow.recheck import recheck
from tests.conftest import ROOT, refuse
from tests.execution import fleet
from tests.execution.fleet import Fleet
from tests.execution.trial_chaos import CANDIDATE_FAILS, CONTROL_FAILS
from tests.servers import MissingService

PAIRS, KILLS = 40, 2
PATIENCE_SECONDS = 120.0
COMMANDS = {
    "trials-1": [*fleet._WORKER, "-Q", "trials", "-P", "threads", "-c", "2", "-n", "trials1@%h"],
    "trials-2": [*fleet._WORKER, "-Q", "trials", "-P", "threads", "-c", "2", "-n", "trials2@%h"],
    "advance": [*fleet._WORKER, "-Q", "advance", "-c", "1", "-n", "advance@%h"],
    "beat": [*fleet._CELERY, "beat", "--loglevel", "WARNING"],
}

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.postgres]


def wait_for(hub: Fleet, wanted: int) -> None:
    """Wait until so many pairs count, or there is a verdict."""
    began = time.monotonic()
    while True:
        settled, status = hub.ask("SELECT settled, status FROM execution_trial")[0]
        if settled >= wanted or status != "running":
            return
        assert time.monotonic() - began < PATIENCE_SECONDS, f"{settled} pairs\n{hub.logs()}"
        time.sleep(0.2)


def carried_out(hub: Fleet) -> None:
    """A trial from its start to its verdict; its workers are killed one after the other."""
    made = [sys.executable, "-m", "tests.execution.trial_chaos", str(PAIRS)]
    subprocess.run(made, cwd=ROOT, env=hub.environment, capture_output=True, check=True)
    hub.commands = COMMANDS
    for name in COMMANDS:
        hub.start(name)
    for number in range(1, KILLS + 1):
        wait_for(hub, number * PAIRS // (KILLS + 2))
        hub.kill(f"trials-{number}")
        hub.start(f"trials-{number}")
    wait_for(hub, PAIRS)
    began = time.monotonic()
    while hub.ask("SELECT COUNT(*) FROM execution_verificationreport") == [(0,)]:
        assert time.monotonic() - began < PATIENCE_SECONDS, hub.logs()
        time.sleep(0.2)


class TestScaledTrial:
    @pytest.mark.timeout(300)
    def test_comes_to_the_verdict_that_its_pairs_give(self, tmp_path: Path) -> None:
        try:
            with fleet.open_fleet("scaled", tmp_path, seed=4, scale=0.3) as hub:
                carried_out(hub)
                pairs = hub.ask(
                    'SELECT p.position, p.contrasts, p.missing, i."values" FROM execution_trialpair p'
                    " JOIN execution_trialinput i ON i.id = p.input_id ORDER BY p.position"
                )
                settled, killed = hub.ask("SELECT settled FROM execution_trial")[0][0], len(hub.kills)
                data = bytes(hub.ask("SELECT data FROM execution_verificationreport")[0][0])
                looks = [row[0] for row in hub.ask("SELECT position FROM execution_triallook ORDER BY id")]
        except MissingService as missing:
            refuse(missing)
        finally:
            shutil.rmtree(tmp_path / "static", ignore_errors=True)

        assert killed == KILLS and settled == PAIRS == recheck(data).pairs
        assert looks == list(range(1, PAIRS + 1))
        listed = json.loads(data)["body"]["pairs"]
        for (position, contrasts, missing, values), told in zip(pairs, listed, strict=True):
            digit = json.loads(values)["n"] % 10
            assert missing == "" and told["n"] == position
            assert json.loads(contrasts)["success"] == (digit == CONTROL_FAILS) - (digit == CANDIDATE_FAILS)
