"""
Completions in flight: how many questions one process has under way, and how many database connections it holds then.

Prefork workers have one each; here all wait in one asyncio lane that holds no
connection. On PostgreSQL, with the real SDK against a transport in the process.
"""

from __future__ import annotations

import sys
import tempfile

from benchmarks.durable import figures_of
from benchmarks.harness import Row
from tests import servers


def figures() -> dict[str, float]:
    """``{peak, connections, seconds}`` of one process on a PostgreSQL of its own."""
    with servers.postgres() as url, tempfile.TemporaryDirectory() as folder:
        environment = {"DATABASE_URL": url, "HUB_DATA": folder, "CELERY_BROKER_URL": "", "ANTHROPIC_API_KEY": ""}
        return figures_of([sys.executable, "-m", "benchmarks.lane_node"], environment)


def measure() -> list[Row]:
    """Rows of the lane."""
    found = figures()
    return [
        Row(
            name="completions in flight in one process",
            value=found["peak"],
            unit="",
            reach=500,
            higher_is_better=True,
            note=f"1,000 in {found['seconds']:.1f} s over the anthropic SDK; prefork: 1",
        ),
        Row(name="database connections of that process", value=found["connections"], unit="", reach=8),
    ]
