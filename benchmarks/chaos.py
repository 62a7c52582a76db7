"""
Kill -9: 500 runs of five library patterns while twenty worker processes are killed, in both modes.

Embedded: two workers on one SQLite file. Scaled: a Celery worker for advances,
two for effects and beat, on Redis and PostgreSQL. What is counted comes from
the rows and from the agents' own log of what they were asked.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.harness import Row
from tests.execution import fleet

RUNS, KILLS, SEED = 500, 20, 20
PATIENCE_SECONDS = 900.0


def rows_of(mode: str) -> list[Row]:
    """Our rows in one mode."""
    with tempfile.TemporaryDirectory() as folder, fleet.open_fleet(mode, Path(folder), seed=SEED) as hub:
        found = hub.survive(runs=RUNS, kills=KILLS, patience_seconds=PATIENCE_SECONDS)
    assert not found.unaccounted, found.unaccounted[:5]
    usual = statistics.median(kill.recovered_seconds or 0.0 for kill in found.kills)
    how = f"{RUNS} runs, {found.completions} completions, {KILLS} × kill -9 in {found.seconds:.0f} s"
    return [
        Row(name=f"runs that did not end, {mode}", value=found.unended, unit="", reach=0, note=how),
        Row(name=f"committed completions paid again, {mode}", value=len(found.asked_again), unit="", reach=0),
        Row(
            name=f"asked again without a committed answer, {mode}",
            value=found.repaid,
            unit="",
            note="under way when their process was killed; counted as possibly paid twice",
        ),
        Row(
            name=f"slowest recovery from a kill, {mode}",
            value=found.recovery_seconds,
            unit="s",
            reach=10.0,
            note=f"median {usual:.1f} s; Celery on Redis by default 101 s",
        ),
    ]


def measure() -> list[Row]:
    """Rows of both modes."""
    return [row for mode in ("embedded", "scaled") for row in rows_of(mode)]
