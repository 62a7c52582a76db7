"""
Durable execution beside LangGraph and DBOS, on SQLite and PostgreSQL, in one run.

Each system runs in a process and an environment of its own (the peers come
from PyPI into ``var/peers``), on a database of its own, one after the other.
PostgreSQL runs with its default durability here. A plain loop over the same
agents, without any durability, is the floor. ``BENCH_DATABASES=sqlite`` or
``postgres`` measures one half.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import kills
from benchmarks.harness import Row
from tests import servers

ROOT = Path(__file__).resolve().parent.parent
PEERS = {
    "langgraph": (
        "langgraph==1.2.22",
        "langgraph-checkpoint-sqlite==3.1.2",
        "langgraph-checkpoint-postgres==3.2.0",
        "psycopg[binary]==3.3.9",
    ),
    "dbos": ("dbos==3.4.0", "psycopg[binary]==3.3.9"),
}
TIME_LIMIT_SECONDS = 900


def peer_python(name: str) -> str:
    """The Python of a peer's own environment, made when it is not there yet."""
    folder = ROOT / "var" / "peers" / name
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEERS[name]], check=True)
    return str(python)


def figures_of(command: list[str], environment: dict[str, str] | None = None) -> dict[str, float]:
    """What a process printed on its last line."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_SECONDS,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(lines[-1]))


def ours(database_url: str) -> dict[str, float]:
    """Our own figures on a database."""
    with tempfile.TemporaryDirectory() as folder:
        environment = hub_environment(database_url, Path(folder))
        return figures_of([sys.executable, "-m", "benchmarks.durable_node"], environment)


def theirs(name: str, database_url: str) -> dict[str, float]:
    """A peer's figures on a database."""
    script = str(ROOT / "benchmarks" / "peers" / f"{name}_peer.py")
    return figures_of([peer_python(name), script, database_url.replace("postgres://", "postgresql://")])


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """A database of one's own; "" stands for a fresh SQLite file."""
    if kind == "sqlite":
        yield ""
        return
    with servers.postgres(durable=True) as url:
        yield url


def killed(name: str, kind: str) -> dict[str, float]:
    """What a system paid again for when it was killed on a database of its own."""
    with database(kind) as url, tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        if name == "ours":
            command = [sys.executable, "-m", "benchmarks.kills_node"]
        else:
            plain = {"langgraph": str(folder / "own.sqlite3"), "dbos": f"sqlite:///{folder / 'own.sqlite3'}"}[name]
            script = str(ROOT / "benchmarks" / "peers" / f"{name}_peer.py")
            at = url.replace("postgres://", "postgresql://") or plain
            command = [peer_python(name), script, at, "survive", str(kills.WIDTH)]
        bill = kills.survive(command, folder, hub_environment(url, folder))
    found = {"killed": bill.kills, "asked_again": bill.asked_again, "answered_again": bill.answered_again}
    if name == "ours":
        found["committed_again"] = int(bill.last_word.removeprefix("committed again: "))
    return found


def hub_environment(url: str, folder: Path) -> dict[str, str]:
    """What a hub process of ours is told."""
    return {
        "DATABASE_URL": url or f"sqlite:///{folder}/hub.sqlite3",
        "HUB_DATA": str(folder),
        "CELERY_BROKER_URL": "",
        "ANTHROPIC_API_KEY": "",
    }


def measure_on(kind: str) -> dict[str, dict[str, float]]:
    """{system: figures} on one kind of database."""
    found: dict[str, dict[str, float]] = {}
    for name in ("ours", *PEERS):
        with database(kind) as url:
            found[name] = ours(url) if name == "ours" else theirs(name, url)
        found[name].update(killed(name, kind))
    return found


REACH = {
    ("per_step_ms", "sqlite"): 1.5,
    ("per_step_ms", "postgres"): 3.5,
    ("resume_5000_ms", "sqlite"): 50.0,
    ("resume_5000_ms", "postgres"): 50.0,
    ("storage_1000_kb_mb", "sqlite"): 5.0,
    ("storage_1000_kb_mb", "postgres"): 5.0,
    ("committed_again", "sqlite"): 0,
    ("committed_again", "postgres"): 0,
    ("waiting_run_bytes", "sqlite"): 1024.0,
}
WORDS = {
    "per_step_ms": ("one durable step", "ms"),
    "fan_out_1000_s": ("fan-out of 1,000", "s"),
    "resume_1000_ms": ("resume after 1,000 steps", "ms"),
    "resume_5000_ms": ("resume after 5,000 steps", "ms"),
    "storage_1000_kb_mb": ("storage of 1,000 × 1 kB", "MB"),
    "waiting_run_bytes": ("a waiting run (10,000 at once)", "bytes"),
    "plain_step_ms": ("the same step in a plain loop, nothing kept", "ms"),
    "committed_again": (f"committed completions paid again, {kills.KILLS} × kill -9", ""),
    "answered_again": (f"answered completions paid again, {kills.KILLS} × kill -9", ""),
    "asked_again": (f"completions under way asked again, {kills.KILLS} × kill -9", ""),
}


def rows_of(kind: str, found: dict[str, dict[str, float]]) -> list[Row]:
    """Our rows, each with what the peers took in the same run."""
    rows = []
    for key, (words, unit) in WORDS.items():
        peers = ", ".join(
            f"{name} {figures[key]:.3g}" for name, figures in found.items() if name != "ours" and key in figures
        )
        rows.append(
            Row(
                name=f"{words}, {kind}",
                value=found["ours"][key],
                unit=unit,
                reach=REACH.get((key, kind)),
                note=peers and f"same run: {peers}",
            )
        )
    ratio = found["ours"]["per_step_ms"] / found["langgraph"]["per_step_ms"]
    rows.append(Row(name=f"step, as a multiple of LangGraph's, {kind}", value=ratio, unit="×", reach=1.0))
    return rows


def measure() -> list[Row]:
    """Rows of durable execution."""
    rows: list[Row] = []
    for kind in os.environ.get("BENCH_DATABASES", "sqlite,postgres").split(","):
        rows += rows_of(kind, measure_on(kind))
    return rows
