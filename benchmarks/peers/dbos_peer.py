"""DBOS on SQLite or PostgreSQL; prints figures as JSON. Resuming is measured in a process of its own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time

import paid
from dbos import DBOS, SetWorkflowID


@DBOS.step()
def nothing(n: int) -> int:
    return n


@DBOS.step()
def kilobyte(n: int) -> str:
    return f"{n:04d}" + "x" * 1020


@DBOS.workflow()
def loop(steps: int) -> int:
    for n in range(steps):
        nothing(n)
    return steps


@DBOS.workflow()
def store(count: int) -> int:
    return sum(len(kilobyte(n)) for n in range(count))


@DBOS.workflow()
def wait_after(steps: int) -> str:
    for n in range(steps):
        nothing(n)
    return DBOS.recv("go", timeout_seconds=600) or ""


@DBOS.workflow()
def child(n: int) -> int:
    return nothing(n)


@DBOS.workflow()
def fan(width: int) -> int:
    handles = [DBOS.start_workflow(child, n) for n in range(width)]
    return sum(handle.get_result() for handle in handles)


@DBOS.step()
def bought(n: int) -> int:
    return paid.completion(n)


@DBOS.workflow()
def purchase(n: int) -> int:
    return bought(n)


@DBOS.workflow()
def purchases(width: int) -> int:
    handles = [DBOS.enqueue_workflow("counter", purchase, n) for n in range(width)]
    return sum(handle.get_result() for handle in handles)


def survive(url: str, width: int) -> None:
    """Start the fan-out, or go on with it after a kill; ends with it."""
    launch(url)
    DBOS.register_queue("counter", worker_concurrency=10, polling_interval_sec=0.05)
    if not DBOS.list_workflows(name=purchases.__qualname__):
        with SetWorkflowID("purchases"):
            DBOS.start_workflow(purchases, width)
    assert DBOS.retrieve_workflow("purchases").get_result() == width * (width - 1) // 2
    sys.stdout.flush()
    os._exit(0)


def waiting(url: str, count: int) -> float:
    """Bytes of database for one workflow that waits for a message, over so many."""
    before = size_of(url)
    for _ in range(count):
        DBOS.start_workflow(wait_after, 0)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(DBOS.list_workflows(status="PENDING")) < count:
        time.sleep(0.5)
    return (size_of(url) - before) / count


def launch(url: str) -> None:
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "run_admin_server": False})
    DBOS.launch()


def size_of(url: str) -> int:
    if url.startswith("postgres"):
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]
    path = url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return os.path.getsize(path)


def first_life(url: str, steps: int) -> None:
    """Run up to the wait, say so, and die without cleaning up, as a killed worker does."""
    launch(url)
    with SetWorkflowID(f"resume-{steps}"):
        DBOS.start_workflow(wait_after, steps)
    while True:
        status = DBOS.list_workflow_steps(f"resume-{steps}")
        if len(status) >= steps:
            break
        time.sleep(0.2)
    os._exit(9)


def second_life(url: str, steps: int) -> None:
    """Recover and finish; prints the milliseconds from launch to the end."""
    start = time.perf_counter()
    launch(url)
    DBOS.send(f"resume-{steps}", "on", "go")
    DBOS.retrieve_workflow(f"resume-{steps}").get_result()
    print(json.dumps((time.perf_counter() - start) * 1000))
    sys.stdout.flush()
    os._exit(0)


def life(name: str, url: str, steps: int) -> str:
    command = [sys.executable, __file__, url, name, str(steps)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False).stdout


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] else ""
    url = url or f"sqlite:///{os.path.join(tempfile.mkdtemp(), 'dbos.sqlite3')}"
    if len(sys.argv) > 2:
        {"first": first_life, "second": second_life, "survive": survive}[sys.argv[2]](url, int(sys.argv[3]))
        return
    figures: dict[str, float] = {}
    for steps in (1000, 5000):
        life("first", url, steps)
        figures[f"resume_{steps}_ms"] = json.loads(life("second", url, steps).strip().splitlines()[-1])
    launch(url)
    start = time.perf_counter()
    loop(1000)
    figures["per_step_ms"] = time.perf_counter() - start
    start = time.perf_counter()
    fan(1000)
    figures["fan_out_1000_s"] = time.perf_counter() - start
    before = size_of(url)
    store(1000)
    figures["storage_1000_kb_mb"] = (size_of(url) - before) / 1e6
    figures["waiting_run_bytes"] = waiting(url, 1000)  # each holds a thread; ten thousand are beyond this machine
    print(json.dumps(figures))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
