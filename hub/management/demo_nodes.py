"""
The hubs of the demo: each a folder, a server and a pair of hands, gone when the demo ends.

Commands of a node run in one process beside its server, the *hands*: Python
and Django start once, not for each of twenty commands, which is what keeps
the demo short on a busy machine.

    node = DemoNode("ada", folder)
    node.start()
    node.command("peer", "list")["peers"]
    node.ask("GET", "/patterns")
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
from django.core.management import call_command
from django.core.management.base import CommandError

from hub.management.commands.serve import free_port, manage

PATIENCE_SECONDS = 120.0  # for one step, on a machine that does much else
START_PATIENCE_SECONDS = 300.0  # making tables and keys is most of the work
SCOPES = ("read", "publish", "run", "verify", "federate")
SAID_LAST = 2_000  # characters of a log that an error shows
_FIRST_PORT = 8700
_LEFT_OUT = ("HUB_", "ANTHROPIC_", "FEDERATION_", "DATABASE_URL", "CELERY_BROKER_URL", "KSI_SOCKET")


class StepFailed(CommandError):
    """A step of the demo did not do what it shows; the text says which node, and why."""


class DemoNode:
    """One hub in a folder of its own, driven through its API and its commands as any client would."""

    def __init__(self, name: str, folder: Path, *, above: int = _FIRST_PORT - 1) -> None:
        """``above``: the port of a node that is being set up and does not listen yet."""
        self.name, self.folder = name, folder
        self.port = free_port("127.0.0.1", above + 1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(_LEFT_OUT)},
            "HUB_DATA": str(folder),
            "HUB_PUBLIC_URL": self.url,
            "FEDERATION_ALLOW_LOOPBACK": "1",
        }
        self.server: subprocess.Popen[bytes] | None = None
        self.hands: subprocess.Popen[str] | None = None
        self.client = httpx2.Client(base_url=self.url + "/api/v1", timeout=PATIENCE_SECONDS, trust_env=False)

    def start(self) -> None:
        """Begin to set it up; ``wait_until_up`` ends that."""
        with (self.folder / "serve.log").open("wb") as log:
            command = manage("serve", "--setup", "--port", str(self.port), "--processes", "1")
            self.server = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)  # noqa: S603  our own

    def wait_until_up(self) -> None:
        """Until it answers, and its hands are ready; then sign in."""
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not self._is_up():
            if self.server is None or self.server.poll() is not None or time.monotonic() > deadline:
                raise StepFailed(f"{self.name} did not start; its last words:\n{self.last_words()}")
            time.sleep(0.2)
        # Only now: the keys that the set-up made are read when the hands start.
        with (self.folder / "hands.log").open("wb") as log:
            self.hands = subprocess.Popen(  # noqa: S603  our own
                manage("demo", "--hands"), env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True,
            )  # fmt: skip
        token = self.command("token", "create", "demo", *(part for scope in SCOPES for part in ("--scope", scope)))
        self.client.headers["Authorization"] = f"Bearer {token['token']}"

    def _is_up(self) -> bool:
        try:
            return bool(httpx2.get(self.url + "/readyz", timeout=5, trust_env=False).status_code == 200)
        except httpx2.HTTPError:
            return False

    def last_words(self) -> str:
        """The end of what its server logged."""
        return (self.folder / "serve.log").read_text("utf-8", "replace")[-SAID_LAST:]

    def stop(self) -> None:
        """End its processes, whatever state they are in."""
        self.client.close()
        if self.hands is not None and self.hands.stdin is not None and self.hands.stdout is not None:
            with contextlib.suppress(BrokenPipeError):  # they may have gone before us
                self.hands.stdin.close()
            _end(self.hands)
            self.hands.stdout.close()
        if self.server is not None:
            _end(self.server, politely=True)

    def command(self, *arguments: str) -> Any:
        """Run one of this node's own management commands; gives its JSON."""
        assert self.hands is not None, "the node is up"
        assert self.hands.stdin is not None, "it was opened with a pipe"
        assert self.hands.stdout is not None, "it was opened with a pipe"
        try:
            self.hands.stdin.write(json.dumps(arguments) + "\n")
            self.hands.stdin.flush()
            told = json.loads(self.hands.stdout.readline() or '{"error": "its process ended"}')
        except BrokenPipeError:
            told = {"error": "its process ended"}
        if "error" in told:
            raise StepFailed(f"manage.py {' '.join(arguments)} on {self.name}: {told['error']}")
        return told["answer"]

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """One API call; an error is said as the API says it."""
        try:
            answer = self.client.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise StepFailed(f"{method} {path} on {self.name}: {error}\n{self.last_words()}") from error
        if answer.status_code >= 400:
            raise StepFailed(f"{method} {path} on {self.name}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def publish(self, source: str) -> dict[str, Any]:
        """Publish a document; gives its first version."""
        sent = self.ask("POST", "/patterns", content=source.encode(), headers={"Content-Type": "application/yaml"})
        return dict(sent["patterns"][0])

    def run(self, pattern: str, **inputs: Any) -> dict[str, Any]:
        """Start a run and wait for its end; one that does not succeed is a failed step."""
        run = self.ask("POST", "/runs", json={"pattern": pattern, "inputs": inputs})
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not run["ended_at"]:
            if time.monotonic() > deadline:
                raise StepFailed(f"run {run['id']} of {pattern} did not end in {PATIENCE_SECONDS:g} s")
            time.sleep(0.1)
            run = self.ask("GET", f"/runs/{run['id']}")
        if run["status"] != "succeeded":
            raise StepFailed(f"run {run['id']} of {pattern} ended as {run['status']}: {run.get('error')}")
        return dict(run)


def _end(process: subprocess.Popen[Any], *, politely: bool = False) -> None:
    if politely and process.poll() is None:
        process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def be_hands() -> None:
    """Run management commands from standard input, a JSON list a line; answer each with one line."""
    for line in sys.stdin:
        print(json.dumps(done(json.loads(line))), flush=True)  # noqa: T201  the pipe is the only reader


def done(arguments: list[str]) -> dict[str, Any]:
    """The JSON that a command printed as ``answer``, or as ``error`` why it did not succeed."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*arguments, "--json", stdout=out, stderr=err)
    except CommandError as error:
        return {"error": str(error)}
    except SystemExit as end:
        if end.code:
            return {"error": (out.getvalue() + err.getvalue()).strip()[-SAID_LAST:] or f"exit code {end.code}"}
    return {"answer": json.loads(out.getvalue().strip().splitlines()[-1])}
