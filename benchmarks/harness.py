"""
What every benchmark shares: a row, a clock, the table, the kept results.

A benchmark is a module in this package with ``measure() -> list[Row]``. These
machines are small and noisy, so a row that compares with another system
measures both in the same run and quotes the ratio.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured number."""

    name: str  # what was done
    value: float
    unit: str  # "ms", "1/s", "MB", …
    reach: float | None = None  # the goal of the specification, None where it names none
    higher_is_better: bool = False
    note: str = ""  # how it was measured, or what it is compared with

    @property
    def reached(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.reach is None:
            return None
        return self.value >= self.reach if self.higher_is_better else self.value <= self.reach


def seconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_seconds(action: Callable[[], object], *, repeats: int = 5, warm: int = 1) -> float:
    """The median of several calls, after some that do not count."""
    for _ in range(warm):
        action()
    return statistics.median(seconds(action) for _ in range(repeats))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
    }


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | measured | reach | | note |", "|---|---:|---:|---|---|"]
    for row in rows:
        reach = "" if row.reach is None else f"{'≥' if row.higher_is_better else '≤'} {_number(row.reach)} {row.unit}"
        verdict = {None: "", True: "met", False: "**missed**"}[row.reached]
        lines.append(f"| {row.name} | {_number(row.value)} {row.unit} | {reach} | {verdict} | {row.note} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def keep(rows: Sequence[Row]) -> Path:
    """Store the rows with their machine, named by date and commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    name = f"{datetime.now(UTC):%Y-%m-%d}-{commit.stdout.strip() or 'unknown'}.json"
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / name
    content = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def last_kept() -> dict[str, float]:
    """Name to value of the newest kept results, empty where none were kept."""
    files = sorted(RESULTS.glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        return {}
    return {row["name"]: row["value"] for row in json.loads(files[-1].read_text("utf-8"))["rows"]}


def compare(rows: Sequence[Row], before: dict[str, float], *, tolerance: float = 0.10) -> list[str]:
    """Sentences about rows that are worse than before by more than ``tolerance``."""
    worse = []
    for row in rows:
        old = before.get(row.name)
        if not old or not row.value:
            continue
        change = old / row.value if row.higher_is_better else row.value / old
        if change > 1 + tolerance:
            worse.append(
                f"{row.name}: {_number(row.value)} {row.unit}, before {_number(old)} ({change:.2f} times worse)"
            )
    return worse
