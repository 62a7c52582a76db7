"""
Forgetting: runs that ended long ago, and large values that nobody holds any more.

    pruned = pruning.prune(now=timezone.now(), days=90)

What a branch or a trial still stands on is kept, since history that somebody
shares is never rewritten. A blob goes in two steps: the first pruning that
finds it unused marks it, one an hour later or more removes it if nobody has
taken it up since. That is longer than a process trusts its memory of blobs
that are there (``stored.SEEN_SECONDS``), so none is removed between a writer's
look and its write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from execution.models import Run
from execution.services.clock import to_ms

BATCH = 100
UNUSED_MS = 3_600_000  # a blob must have been unused for an hour
# Every column that may hold "@" and a digest; a test compares this with the models.
STORED = (
    ("execution_run", "inputs"),
    ("execution_run", "result"),
    ("execution_effect", "request"),
    ("execution_effect", "shape"),
    ("execution_effect", "answer"),
    ("execution_tick", "inputs"),
    ("execution_event", "data"),
    ("execution_entity", "properties"),
    ("execution_checkpoint", "entities"),
    ("execution_trialinput", "values"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What one pruning did."""

    runs: int  # deleted, with their journal
    kept_runs: int  # old enough, but a branch or a trial stands on them
    blobs: int  # deleted
    marked: int  # unused now; the next pruning after an hour removes them


def prune(*, now: datetime, days: float) -> Pruned:
    """Delete runs that ended more than ``days`` ago, then what nobody holds any more."""
    old = Run.objects.ended().filter(ended_at__lt=now - timedelta(days=days))
    needed = Exists(Run.objects.filter(forked_from=OuterRef("pk")))
    deleted = 0
    while batch := list(old.exclude(needed).filter(arms=None).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            Run.objects.filter(pk__in=batch).delete()
        deleted += len(batch)
    removed, marked = sweep(to_ms(now))
    return Pruned(runs=deleted, kept_runs=old.count(), blobs=removed, marked=marked)


def sweep(now: int) -> tuple[int, int]:
    """Mark blobs that nobody holds, and remove those that were marked an hour ago; (removed, marked)."""
    used = " UNION ".join(
        [
            "SELECT program_hash FROM execution_run",
            *(_digests(table, column) for table, column in STORED),
        ]
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM execution_blob WHERE unused_since <= %s"  # noqa: S608  our own names
            f" AND digest NOT IN ({used})",
            [now - UNUSED_MS],
        )
        removed = int(cursor.rowcount)
        cursor.execute(f"UPDATE execution_blob SET unused_since = NULL WHERE digest IN ({used}) AND unused_since > 0")  # noqa: S608
        cursor.execute(
            "UPDATE execution_blob SET unused_since = %s WHERE unused_since IS NULL"  # noqa: S608
            f" AND digest NOT IN ({used})",
            [now],
        )
        return removed, int(cursor.rowcount)


def _digests(table: str, column: str) -> str:
    name: Any = connection.ops.quote_name(column)
    return f"SELECT substr({name}, 2) FROM {table} WHERE substr({name}, 1, 1) = '@'"  # noqa: S608  our own names
