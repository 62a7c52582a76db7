"""
Start the hub: web server and workers in one command, restarting what dies.

    manage.py serve --setup          # what `make run` does: secrets, tables, library, first account
    manage.py serve --port 8080 --processes 4
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hub.environment import Environment, generate_secrets

FIRST_LOGIN_FILE = "first-login.txt"
RESTART_PAUSE_SECONDS = 1.0
STOP_PATIENCE_SECONDS = 30.0  # a worker waits 25 for the answers that are under way


@dataclass(slots=True)
class Child:
    """One process under supervision."""

    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: list[float] = field(default_factory=list)

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(self.command, env=self.environment)  # noqa: S603  our own commands

    def died(self) -> bool:
        return self.process is not None and self.process.poll() is not None


class Supervisor:
    """Keeps its children running until it is told to stop."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = list(children)
        self.stopping = False

    def run(self) -> None:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self.stop)
        for child in self.children:
            child.start()
        while not self.stopping:
            for child in self.children:
                if child.died() and not self.stopping:
                    self.restart(child)
            time.sleep(0.2)
        self.end()

    def restart(self, child: Child) -> None:
        """Start it again, but give up on one that dies five times within half a minute: that is a fault to read."""
        now = time.monotonic()
        child.failures = [at for at in child.failures if now - at < 30] + [now]
        code = child.process.returncode if child.process else None
        if len(child.failures) >= 5:
            self.stopping = True
            print(
                f"{child.name} keeps ending (exit {code}); read its last lines above. Stopping.",
                file=sys.stderr,
            )
            return
        print(f"{child.name} ended (exit {code}); starting it again", file=sys.stderr, flush=True)
        time.sleep(RESTART_PAUSE_SECONDS)
        child.start()

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def end(self) -> None:
        alive = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + STOP_PATIENCE_SECONDS
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Command(BaseCommand):
    help = "Start the web server and the workers, and restart what dies."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--setup", action="store_true", help="make secrets, tables, library and a first account")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000, help="a busy port moves to the next free one")
        parser.add_argument("--processes", type=int, default=2, help="web processes, four threads each")
        parser.add_argument("--no-workers", action="store_true", help="web only; workers run elsewhere")

    def handle(self, *args: Any, **options: Any) -> None:
        port = free_port(options["host"], options["port"])
        environment = self.environment(options["host"], port)
        if options["setup"]:
            self.setup(environment)
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
        children = [web(options["host"], port, options["processes"], environment)]
        if settings.WORKERS_EMBEDDED and not options["no_workers"]:
            # Trials have a process of their own: a candidate that hangs or floods delays nobody's run.
            children.append(Child("worker", manage("worker", "--queue", "runs"), environment))
            children.append(Child("trials", manage("worker", "--queue", "trials"), environment))
        if not read_environment(environment).secret_key:
            raise CommandError("HUB_SECRET_KEY is not set; export one, or let --setup make one for this machine")
        self.greet(environment["HUB_PUBLIC_URL"])
        Supervisor(children).run()

    def environment(self, host: str, port: int) -> dict[str, str]:
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  compared, not bound
        return {"HUB_PUBLIC_URL": f"http://{shown}:{port}", **os.environ}

    def setup(self, environment: dict[str, str]) -> None:
        """Everything a first start needs; a second start finds it done."""
        if generate_secrets(settings.ENVIRONMENT.data_dir):
            self.stdout.write(f"Made secrets for this machine in {settings.ENVIRONMENT.data_dir}.")
        if subprocess.run(manage("prepare"), env=environment, check=False).returncode:  # noqa: S603  our own command
            raise CommandError("setting up failed; the message stands above")

    def greet(self, url: str) -> None:
        login = settings.ENVIRONMENT.data_dir / FIRST_LOGIN_FILE
        self.stdout.write("")
        self.stdout.write(f"  The hub is at  {url}")
        if login.is_file():
            name, password = login.read_text("utf-8").split()
            self.stdout.write(f"  Sign in as     {name}   password  {password}")
            self.stdout.write(f"                 (made for you; kept in {login}, change it under your name)")
        else:
            self.stdout.write("  Sign in with your account, or make one there.")
        if settings.DEFAULT_BACKEND == "simulated":
            self.stdout.write("  Agents         simulated: no ANTHROPIC_API_KEY is set")
        else:
            self.stdout.write("  Agents         Claude, with your ANTHROPIC_API_KEY")
        self.stdout.write("  Stop with      Ctrl-C\n")
        self.stdout.flush()


def read_environment(variables: dict[str, str]) -> Environment:
    return Environment.read(variables, base=settings.BASE_DIR)


def manage(*arguments: str) -> list[str]:
    return [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *arguments]


def web(host: str, port: int, processes: int, environment: dict[str, str]) -> Child:
    command = [sys.executable, "-m", "uvicorn", "hub.asgi:application", "--host", host, "--port", str(port)]
    command += [
        "--workers",
        str(processes),
        "--no-access-log",
        "--log-level",
        "warning",
        "--no-server-header",
        "--timeout-graceful-shutdown",
        "5",
    ]
    return Child("web", command, environment)


def free_port(host: str, wanted: int) -> int:
    """The wanted port, or the next one that nothing listens on."""
    for port in range(wanted, min(wanted + 50, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CommandError(f"no free port from {wanted} to {wanted + 49} on {host}; name one with --port")


def new_password() -> str:
    """Four groups of letters and digits, easy to type, about 80 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))
