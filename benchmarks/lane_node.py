"""
One process that asks Claude 1,000 things at once on the database of ``DATABASE_URL``; prints figures as JSON.

The real SDK speaks to a transport in this process. It answers the first 490 at
once (the window of requests grows with every answer), and then holds all
others back until 500 of them wait together. Run by ``benchmarks.lane``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

import django

django.setup()

import httpx2
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.backends.signals import connection_created
from django.utils import timezone

from execution.agents.claude import ClaudeBackend
from execution.models import Run
from execution.services import starting
from execution.worker import Worker
from registry.models import User
from registry.services import publishing

TOTAL, AT_ONCE, TOGETHER = 1000, 490, 500
PATIENCE_SECONDS = 60.0
SCRIPT = """## Lane: all at once
STATE width = {total}
PARALLEL:
  FOREACH n IN RANGE(width):
    EVENT completion:async {{agent_id: "worker", prompt: "go {{{{n}}}}"}} AS answer
RETURN width
"""


def answer() -> bytes:
    """A short answer as the API streams it."""
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": []}
    usage = {"input_tokens": 10, "output_tokens": 2}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**start, "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "done"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


class Provider:
    """The other end of the wire; counts how many wait for it at once."""

    def __init__(self) -> None:
        self.served = self.waiting = self.peak = 0
        self.connections = 0  # to the database, of the whole process, while so many waited
        self.together = asyncio.Event()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.waiting += 1
        self.peak = max(self.peak, self.waiting)
        self.served += 1
        if self.served > AT_ONCE and not self.together.is_set():
            if self.waiting >= TOGETHER:
                self.connections = len(opened)
                self.together.set()
            await asyncio.wait_for(self.together.wait(), PATIENCE_SECONDS)
        self.waiting -= 1
        return httpx2.Response(200, content=answer(), headers={"content-type": "text/event-stream"})


provider = Provider()
opened: set[int] = set()  # threads that have opened a connection
lane_threads: set[str] = set()


def slow_claude() -> ClaudeBackend:
    """For ``settings.AGENT_BACKENDS``."""
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(provider))
    return ClaudeBackend(api_key="not-a-key", http_client=client)


def note_connection(**_: Any) -> None:
    opened.add(threading.get_ident())
    lane_threads.add(threading.current_thread().name)


def start_run() -> Run:
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench", password=None)
    source = SCRIPT.format(total=TOTAL).encode()
    published = publishing.publish(
        owner=user.own_owner, user=user, source=source, via="cli", name="lane", now=timezone.now()
    )
    policy = {"limits": {"tokens": 2_000_000_000, "cost_usd": 100_000.0}}
    version = published.versions[0].version
    return starting.start(version=version, user=user, now=timezone.now(), backend="slow", seed=1, policy=policy)


def main() -> None:
    settings.AGENT_BACKENDS = {"slow": {"backend": "benchmarks.lane_node.slow_claude"}}
    sys.modules["benchmarks.lane_node"] = sys.modules["__main__"]  # one provider, whoever imports it
    run = start_run()
    connection.close()
    connection_created.connect(note_connection)
    worker = Worker()
    started = time.perf_counter()
    worker.start()
    thread = threading.Thread(target=worker.run_forever, name="worker")
    thread.start()
    while (status := Run.objects.values_list("status", flat=True).get(pk=run.pk)) in ("queued", "running", "waiting"):
        time.sleep(0.2)
    seconds = time.perf_counter() - started
    worker.stopping.set()
    worker.answers.put(None)
    thread.join()
    worker.stop()
    assert status == "succeeded", (status, Run.objects.get(pk=run.pk).error)
    assert "agents" not in lane_threads, "the lane opened a database connection"
    print(json.dumps({"peak": provider.peak, "connections": provider.connections, "seconds": seconds}))


if __name__ == "__main__":
    sys.exit(main())
