"""A whole hub for a journey: `serve --setup` in a folder of its own, web and worker, as `make run` starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.conftest import ROOT
from tests.servers import free_port, stop

PATIENCE_SECONDS = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Where it is and how one signs in."""

    url: str
    folder: Path
    username: str
    password: str


@contextmanager
def running(folder: Path) -> Iterator[Hub]:
    """A hub on a free loopback port, SQLite, simulated agents; stopped by its process id."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "ANTHROPIC_", "DJANGO_"))}
    environment = {**kept, "HUB_DATA": str(folder), "DATABASE_URL": f"sqlite:///{folder}/hub.sqlite3"}
    environment.pop("CELERY_BROKER_URL", None)
    log = (folder / "serve.log").open("wb")
    command = [sys.executable, "manage.py", "serve", "--setup", "--port", str(port), "--processes", "1"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, folder)
        username, password = (folder / "first-login.txt").read_text("utf-8").split()
        yield Hub(url=url, folder=folder, username=username, password=password)
    finally:
        stop(process)
        log.close()


def _wait(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"the hub did not start:\n{(folder / 'serve.log').read_text('utf-8', 'replace')[-3000:]}")
