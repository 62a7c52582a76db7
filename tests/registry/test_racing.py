"""Publishing at the same moment: one version for one digest, one digest for one version, on both databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.registry.racing import THREADS


def raced(tmp_path: Path, database: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"HUB_DATA": str(tmp_path)} | ({"DATABASE_URL": database} if database else {})
    done = subprocess.run(
        [sys.executable, "-m", "tests.registry.racing"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def check(outcome: dict[str, Any]) -> None:
    assert outcome["same"] == {"new": 1, "known": THREADS - 1}
    assert outcome["other"] == {"new": 1, "registry.version-taken": THREADS - 1}
    assert outcome["apart"] == {"new": THREADS}
    assert outcome["rows"] == {"same": 1, "other": 1, "apart": THREADS}
    assert outcome["heads"] == [f"1.{THREADS - 1}.0"] * 2


class TestPublishAtOnce:
    def test_keeps_one_version_on_sqlite(self, tmp_path: Path) -> None:
        check(raced(tmp_path, ""))

    @pytest.mark.postgres
    def test_keeps_one_version_on_postgresql(self, tmp_path: Path, postgres_url: str) -> None:
        check(raced(tmp_path, postgres_url))
