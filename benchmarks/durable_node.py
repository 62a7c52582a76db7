"""
One hub's durable figures on the database of ``DATABASE_URL``; prints them as JSON. Run by ``benchmarks.durable``.

The agents are the simulated ones, which answer at once: what is measured is
everything around them, from the machine's step to the committed answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import replace

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

import django

django.setup()

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from execution.agents import roster
from execution.agents.base import Profile
from execution.models import Run
from execution.services import advancing, asking, controlling, starting
from execution.services.clock import now_ms
from execution.worker import run_until_idle
from registry.models import PatternVersion, User
from registry.services import publishing

STEPS = """## Steps: one after the other
STATE count = {count}
STATE i = 0
WHILE i < count:
  UPDATE i = i + 1
  EVENT completion:async {{agent_id: "worker", prompt: "{padding}"}} AS answer
RETURN i
"""
FAN_OUT = """## Fan-out: all at once
STATE width = {count}
PARALLEL:
  FOREACH n IN RANGE(width):
    EVENT completion:async {{agent_id: "worker", prompt: "go"}} AS answer
RETURN width
"""
WAITING = """## Waiting: a question to a person
EVENT human:ask {question: "go?"} AS answer
RETURN answer
"""
RESUMING = """## Resuming: a question after many steps
STATE count = {count}
STATE i = 0
WHILE i < count:
  UPDATE i = i + 1
  EVENT completion:async {{agent_id: "worker", prompt: "go"}} AS answer
EVENT human:ask {{question: "go on?"}} AS said
RETURN said
"""


settings.AGENT_BACKENDS = {"kilobyte": {"backend": "benchmarks.backends.Kilobyte"}}


def published(user: User, name: str, script: str) -> PatternVersion:
    """A version of a script."""
    result = publishing.publish(
        owner=user.own_owner, user=user, source=script.encode(), via="cli", name=name, now=timezone.now()
    )
    return result.versions[0].version


def carried_out(user: User, version: PatternVersion, backend: str = "simulated") -> tuple[float, Run]:
    """(seconds, the run) of one run to its end, or to where it waits."""
    run = starting.start(version=version, user=user, now=timezone.now(), backend=backend, seed=1)
    start = time.perf_counter()
    run_until_idle()
    seconds = time.perf_counter() - start
    run.refresh_from_db()
    return seconds, run


def per_step(user: User, count: int = 1000) -> float:
    """Milliseconds of overhead for one durable step."""
    seconds, run = carried_out(user, published(user, f"steps{count}", STEPS.format(count=count, padding="go")))
    assert run.status == "succeeded", run.error
    return seconds / count * 1000


def plain_step(count: int = 1000) -> float:
    """Milliseconds of the same question in a plain loop: the agents and nothing around them."""
    agents = roster.backend("simulated")
    request = asking.make_request(
        run_id=0, key="", name="completion:async", data={"agent_id": "worker", "prompt": "go"}, shape=None, seed=1,
        attempt=1, timeout=None, profile=Profile(name="worker"),
    )  # fmt: skip

    async def loop() -> None:
        for n in range(count):
            await agents.complete(replace(request, key=str(n)))

    start = time.perf_counter()
    asyncio.run(loop())
    return (time.perf_counter() - start) / count * 1000


def fan_out(user: User, count: int = 1000) -> float:
    """Seconds for a fan-out of so many."""
    seconds, run = carried_out(user, published(user, "fan_out", FAN_OUT.format(count=count)))
    assert run.status == "succeeded", run.error
    return seconds


def resume(user: User, count: int) -> float:
    """Milliseconds to load a run that waits after so many steps and take it one tick on."""
    _, run = carried_out(user, published(user, f"resuming{count}", RESUMING.format(count=count)))
    assert run.status == "waiting", (run.status, run.error)
    (question,) = controlling.open_questions(run.pk)
    connection.close()
    start = time.perf_counter()
    controlling.answer(run_id=run.pk, seq=question.seq, value="yes", now=now_ms(), by=user.username)
    advancing.advance(run_id=run.pk, now=now_ms())
    return (time.perf_counter() - start) * 1000


def size_bytes() -> int:
    """The database, with everything written to it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.execute("PRAGMA page_count")
        pages = cursor.fetchone()[0]
        cursor.execute("PRAGMA page_size")
        return int(pages * cursor.fetchone()[0])


def storage(user: User) -> float:
    """Megabytes for 1,000 results of about 1 kB, different from each other."""
    script = STEPS.format(count=1000, padding="{{i}}")
    version = published(user, "storing", script)
    before = size_bytes()
    _, run = carried_out(user, version, "kilobyte")
    assert run.status == "succeeded", run.error
    return (size_bytes() - before) / 1e6


def waiting(user: User, count: int) -> float:
    """Bytes of database for one run that waits, over so many of them."""
    version = published(user, "waiting", WAITING)
    before = size_bytes()
    for _ in range(count):
        starting.start(version=version, user=user, now=timezone.now(), backend="simulated", seed=1)
    run_until_idle()
    assert Run.objects.filter(status="waiting", version=version).count() == count
    return (size_bytes() - before) / count


def main() -> None:
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench", password=None)
    per_step(user, 50)
    figures = {
        "per_step_ms": per_step(user),
        "plain_step_ms": plain_step(),
        "fan_out_1000_s": fan_out(user),
        "resume_1000_ms": resume(user, 1000),
        "resume_5000_ms": resume(user, 5000),
        "storage_1000_kb_mb": storage(user),
        "waiting_run_bytes": waiting(user, 10_000),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.exit(main())
