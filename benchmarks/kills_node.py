"""
One hub process of ``benchmarks.kills``, on the database of ``DATABASE_URL``: starts the fan-out, or goes on with it.

    PAID_LOG=… python -m benchmarks.kills_node
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.kills_settings")

import django

django.setup()

from django.core.management import call_command
from django.utils import timezone

from benchmarks.kills import AT_ONCE, WIDTH
from execution.models import Effect, Run
from execution.services import starting
from execution.worker import Worker, WorkerSettings
from registry.models import User
from registry.services import publishing

SCRIPT = f"""## Kills: a fan-out
STATE width = {WIDTH}
PARALLEL(limit: {AT_ONCE}):
  FOREACH n IN RANGE(width):
    EVENT completion:async {{agent_id: "worker", prompt: "{{{{n}}}}"}} AS answer
RETURN width
"""


def committed_again() -> int:
    """Askings that came after the answer was committed; the rows say when that was."""
    rows = {str(effect.data()["prompt"]): effect.answered_at or 2**62 for effect in Effect.objects.all()}
    lines = [line.split() for line in Path(os.environ["PAID_LOG"]).read_text().splitlines()]
    return sum(word == "asked" and int(at) > rows[key] for word, key, at in lines)


def main() -> None:
    call_command("migrate", verbosity=0)
    if not Run.objects.exists():
        user = User.objects.create_user("bench", password=None)
        made = publishing.publish(
            owner=user.own_owner, user=user, source=SCRIPT.encode(), via="cli", name="kills", now=timezone.now()
        )
        # A killed worker's questions count as attempts; here each may be in doubt after every kill.
        policy = {"attempts": 20}
        starting.start(
            version=made.versions[0].version, user=user, now=timezone.now(), backend="paid", seed=1, policy=policy
        )
    # One worker that is back within a second: a lease as short as that.
    worker = Worker(WorkerSettings(poll_seconds=0.05, reap_seconds=0.2, beat_seconds=0.2, lease_seconds=1.0))
    worker.start()
    while Run.objects.alive().exists():
        worker.claim_and_run() or worker._wait()
    worker.stop()
    run = Run.objects.get()
    print(f"committed again: {committed_again()}")
    sys.exit(0 if run.status == "succeeded" else f"{run.status}: {run.error}")


if __name__ == "__main__":
    main()
