"""Whole hubs as processes on loopback, each with its own data folder, database and keys."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests import servers

ROOT = Path(__file__).resolve().parents[3]
# Tables, an administrator and a node identity in one process: starting Python is the slow part.
SETUP = """
import django, sys
django.setup()
from django.core.management import call_command
from django.utils import timezone
call_command("migrate", verbosity=0)
from federation.services import identities
from registry.models import User
User.objects.create_superuser(sys.argv[1], password="correct-horse")
identities.create_node(now=timezone.now())
"""


@dataclass
class Hub:
    """One hub: commands run in its environment, its web server in the background."""

    name: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "hub.settings",
            "HUB_DATA": str(self.folder),
            "HUB_SECRET_KEY": f"secret of {self.name}, long enough for a test",
            "HUB_KEY_ENCRYPTION_KEY": f"encrypts the keys of {self.name}",
            "HUB_PUBLIC_URL": self.url,
            "FEDERATION_ALLOW_LOOPBACK": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.extra,
        }

    def run(self, *arguments: str, ok: bool = True) -> str:
        """``manage.py`` with these arguments; its output."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
        if ok and done.returncode != 0:
            raise AssertionError(
                f"{self.name}: {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout

    def json(self, *arguments: str, ok: bool = True) -> Any:
        """The object that a command prints."""
        return json.loads(self.run(*arguments, "--json", ok=ok).strip().splitlines()[-1])

    def start(self) -> None:
        """The web server, one process."""
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "hub.asgi:application",
            "--port",
            str(self.port),
            "--log-level",
            "warning",
        ]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.HTTPError):
                if httpx2.get(f"{self.url}/.well-known/opl-federation", trust_env=False, timeout=2).status_code:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.stop()
        raise AssertionError(f"{self.name} did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process is not None:
            servers.stop(self.process)
            self.process = None


@contextlib.contextmanager
def hub(name: str, folder: Path, *, publisher: str = "") -> Iterator[Hub]:
    """A hub with tables, an administrator and a node identity, serving."""
    folder.mkdir(parents=True, exist_ok=True)
    one = Hub(name, folder, servers.free_port())
    made = subprocess.run(
        [sys.executable, "-c", SETUP, publisher or name], env=one.environment, cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    one.start()
    try:
        yield one
    finally:
        one.stop()
