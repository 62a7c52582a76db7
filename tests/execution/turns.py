"""
The other side of the test of killed guided runs: a Messages API on loopback, and a worker that is killed at a place.

    DJANGO_SETTINGS_MODULE=tests.execution.turns_settings python -m tests.execution.turns set-up PATTERN.yaml
    DJANGO_SETTINGS_MODULE=tests.execution.turns_settings python -m tests.execution.turns work RUN PLACE TURN

The worker is a process of its own with the real SDK. It kills itself with
SIGKILL, as ``kill -9`` does, when it comes to the place in the given turn; with
the turn 0 it works until the run has ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.execution.messages_api import Provider


@contextmanager
def messages_api(provider: Provider) -> Iterator[str]:
    """The provider as a server; its address. It keeps what was asked in ``provider.sent``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            provider.sent.append(body)
            answer = provider.answer(body)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("request-id", f"req_{len(provider.sent)}")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def set_up(path: str) -> None:
    """Make the tables, a person, the pattern and a queued run; print its id."""
    from django.core.management import call_command
    from django.utils import timezone

    from execution.services import starting
    from registry.models import Via
    from registry.services import publishing
    from tests.execution.factories import make_user

    call_command("migrate", verbosity=0, skip_checks=True)
    user = make_user()
    source = Path(path).read_bytes()
    made = publishing.publish(owner=user.own_owner, user=user, source=source, via=Via.CLI, now=timezone.now())
    version = made.versions[0].version
    run = starting.start(version=version, user=user, now=timezone.now(), backend="claude", seed=7)
    print(run.pk)


def work(run_id: int, place: str, turn: int) -> None:
    """Work on the run; the process ends at the place, or with the run."""
    from execution.models import Effect, Run
    from execution.services import faults
    from execution.worker import Worker, WorkerSettings

    def turns_answered() -> int:
        return Effect.objects.filter(run_id=run_id, name="completion:async", status="done").count()

    def hook(here: str) -> None:
        if here == place and turn and turns_answered() == turn:
            os.kill(os.getpid(), signal.SIGKILL)

    faults.hook = hook
    worker = Worker(WorkerSettings(poll_seconds=0.02, reap_seconds=0.2, beat_seconds=0.2, lease_seconds=1.0))
    worker.start()
    threading.Thread(target=worker.run_forever, daemon=True).start()
    until = time.monotonic() + 60
    while Run.objects.alive().filter(pk=run_id).exists() and time.monotonic() < until:
        time.sleep(0.05)
    worker.stop()


def main() -> None:
    """See above."""
    import django

    django.setup()
    if sys.argv[1] == "set-up":
        set_up(sys.argv[2])
    else:
        work(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))


if __name__ == "__main__":
    main()
