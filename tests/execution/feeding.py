"""
The person of a chaos test: publishes five patterns of the library and starts run after run.

    DJANGO_SETTINGS_MODULE=tests.execution.chaos_settings python -m tests.execution.feeding RUNS ALIVE

Never more than ALIVE runs are under way, so that workers are killed while
there is something to lose from the first kill to the last.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "library"
PATTERNS = ("pipeline", "scatter_gather", "consensus", "map_reduce", "self_improving")
PAUSE_SECONDS = 0.1


def main() -> None:
    """Make the tables, publish, start; ends when the last run was started."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)
    feed(runs=int(sys.argv[1]), alive=int(sys.argv[2]))


def feed(*, runs: int, alive: int) -> None:
    """Start ``runs`` runs of the five patterns in turn."""
    from django.utils import timezone

    from execution.models import Run
    from execution.services import starting
    from tests.execution import factories

    user = factories.make_user("feeder")
    versions = [published(user, name) for name in PATTERNS]
    started = 0
    while started < runs:
        room = alive - Run.objects.alive().filter(parent=None).count()
        for _ in range(min(room, runs - started)):
            starting.start(
                version=versions[started % len(versions)],
                user=user,
                now=timezone.now(),
                backend="logged",
                seed=started,
                policy={"attempts": 20},
            )
            started += 1
        time.sleep(PAUSE_SECONDS)


def published(user: object, name: str) -> object:
    """The library's pattern of that name."""
    from django.utils import timezone

    from registry.services import publishing

    source = (LIBRARY / f"{name}.yaml").read_bytes()
    done = publishing.publish(owner=user.own_owner, user=user, source=source, via="cli", now=timezone.now())
    return done.versions[0].version


if __name__ == "__main__":
    main()
