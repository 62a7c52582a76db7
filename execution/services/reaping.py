"""
What makes certain that nothing is lost: leases, time-outs, deadlines, forgotten runs.

Each worker registers and beats; one that has not beaten for a lease is fenced,
and what it had sent is in doubt: asked again within its attempts (and counted
as possibly paid twice), or put before a person where the run's policy says so.
Every worker reaps; all of it is compare-and-swap, so two at once do no harm.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from execution.models.fields import dumps
from execution.services import asking, controlling, faults

log = logging.getLogger(__name__)

LEASE_MS = 6_000
STALE_ANSWER_MS = 1_000  # an answer whose committer has not fed it after this long is anybody's
FORGET_WORKER_MS = 86_400_000
BATCH = 500


def register(name: str, now: int) -> int:
    """A new worker; its id."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO execution_workerlease (name, started_at, beat_at, gone) VALUES (%s, %s, %s, %s) RETURNING id",
            [name[:200], now, now, False],
        )
        return int(cursor.fetchone()[0])


def beat(worker_id: int, now: int) -> bool:
    """Renew the lease of everything the worker has sent; False where it was fenced meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE execution_workerlease SET beat_at = %s WHERE id = %s AND NOT gone", [now, worker_id])
        return bool(cursor.rowcount)


def leave(worker_id: int, now: int) -> None:
    """A worker that stops in good order: what it never sent goes back, the rest is in doubt at once."""
    fence(worker_id, now, died=False)


def reap(now: int, lease_ms: int = LEASE_MS) -> list[int]:
    """One round of everything below; the runs that have something to do now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM execution_workerlease WHERE NOT gone AND beat_at < %s LIMIT %s", [now - lease_ms, BATCH]
        )
        dead = [row[0] for row in cursor.fetchall()]
    runs: dict[int, None] = {}
    for worker_id in dead:
        runs.update(dict.fromkeys(fence(worker_id, now)))
    runs.update(dict.fromkeys(expire(now)))
    end_overdue(now)
    forget_workers(now)
    return list(runs)


def fence(worker_id: int, now: int, *, died: bool = True) -> list[int]:
    """Declare a worker gone, and everything it had sent in doubt; the runs concerned. ``died``: it did not say so itself."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE execution_workerlease SET gone = %s WHERE id = %s AND NOT gone", [True, worker_id])
        if cursor.rowcount != 1:
            return []
        cursor.execute(
            "SELECT e.id, e.run_id, e.epoch, e.attempts, e.agent_id, e.name, r.policy FROM execution_effect e"
            " JOIN execution_run r ON r.id = e.run_id WHERE e.worker_id = %s AND e.status = 'sent'",
            [worker_id],
        )
        rows = cursor.fetchall()
        for row in rows:
            _doubt(cursor, row, now)
        faults.reach("before-fence-commits")
    if rows:
        how = "has not been heard of and counts as gone" if died else "stopped"
        log.warning("worker %s %s; %s questions without an answer are in doubt", worker_id, how, len(rows))
    return list(dict.fromkeys(row[1] for row in rows))


def _doubt(cursor: Any, row: tuple[Any, ...], now: int) -> None:
    """One effect whose sender died: again, before a person, or failed."""
    effect_id, run_id, epoch, attempts, agent_id, name, policy_text = row
    policy = json.loads(policy_text) if policy_text else {}
    cursor.execute(
        "INSERT INTO execution_attempt (effect_id, number, epoch, at, outcome, kind, message, tokens, cost, request_id)"
        " VALUES (%s, %s, %s, %s, 'in_doubt', '', 'its worker died before an answer was stored', 0, 0, '')",
        [effect_id, attempts, epoch, now],
    )
    _release_reservation(cursor, effect_id, run_id)
    if attempts >= int(policy.get("attempts", 4)):
        value = asking.failure_value(
            name, agent_id, "in_doubt", f"its sender died before an answer was stored, {attempts} times"
        )
        cursor.execute(
            "UPDATE execution_effect SET status = 'failed', epoch = epoch + 1, worker_id = NULL, answer = %s,"
            " error_kind = 'in_doubt', answered_at = %s, unread = %s, expires_at = NULL WHERE id = %s AND epoch = %s",
            [dumps(value), now, True, effect_id, epoch],
        )
        return
    due = None if policy.get("in_doubt") == "ask" else now
    cursor.execute(
        "UPDATE execution_effect SET status = 'in_doubt', epoch = epoch + 1, worker_id = NULL, due_at = %s"
        " WHERE id = %s AND epoch = %s",
        [due, effect_id, epoch],
    )
    cursor.execute("UPDATE execution_run SET repaid = repaid + 1 WHERE id = %s", [run_id])


def _release_reservation(cursor: Any, effect_id: int, run_id: int) -> None:
    from execution.services import budgeting

    cursor.execute("SELECT reserved_tokens, reserved_cost FROM execution_effect WHERE id = %s", [effect_id])
    tokens, cost = cursor.fetchone()
    if tokens or cost:
        cursor.execute("UPDATE execution_effect SET reserved_tokens = 0, reserved_cost = 0 WHERE id = %s", [effect_id])
        for table, row_id in list(budgeting.levels(cursor, run_id)):
            budgeting.add(cursor, table, row_id, reserved_tokens=-tokens, reserved_cost=-cost)
        cursor.execute("UPDATE execution_run SET revision = revision + 1 WHERE id = %s", [run_id])


def expire(now: int) -> list[int]:
    """Questions without an answer in time are answered by the time-out; the runs concerned."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id, e.run_id, e.epoch, e.agent_id, e.name, e.timeout_seconds FROM execution_effect e"
            " JOIN execution_run r ON r.id = e.run_id WHERE e.expires_at <= %s AND r.status <> 'paused' LIMIT %s",
            [now, BATCH],
        )
        rows = cursor.fetchall()
    runs: dict[int, None] = {}
    for effect_id, run_id, epoch, agent_id, name, seconds in rows:
        value = asking.failure_value(name, agent_id, "timeout", f"no answer within {seconds:g} seconds", seconds)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE execution_effect SET status = 'failed', epoch = epoch + 1, worker_id = NULL, answer = %s,"
                " error_kind = 'timeout', answered_at = %s, unread = %s, expires_at = NULL, due_at = NULL"
                " WHERE id = %s AND epoch = %s AND expires_at <= %s",
                [dumps(value), now, True, effect_id, epoch, now],
            )
            if cursor.rowcount:
                runs[run_id] = None
    return list(runs)


def end_overdue(now: int) -> None:
    """Runs beyond their time end, with everything kept."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, policy FROM execution_run WHERE deadline_at <= %s LIMIT %s",
            [now, BATCH],
        )
        rows = cursor.fetchall()
    for run_id, policy_text in rows:
        limits = (json.loads(policy_text) if policy_text else {}).get("limits", {})
        reason = f"its time, {float(limits.get('seconds', 0)):,.6g} seconds, is over; branch off with a larger limit to go on"
        controlling.end_for_limit(run_id=run_id, limit="seconds", reason=reason, now=now)


def forget_workers(now: int) -> None:
    """Rows of workers that went long ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM execution_workerlease WHERE gone AND beat_at < %s LIMIT 1", [now - FORGET_WORKER_MS]
        )
        if cursor.fetchone() is not None:
            cursor.execute(
                "DELETE FROM execution_workerlease WHERE gone AND beat_at < %s AND NOT EXISTS"
                " (SELECT 1 FROM execution_effect e WHERE e.worker_id = execution_workerlease.id)",
                [now - FORGET_WORKER_MS],
            )


def runs_with_work(now: int, limit: int = 200, queue: str = "") -> list[int]:
    """Runs that somebody should advance: just started or resumed, answered, or woken by a timer."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM execution_run WHERE status = 'queued' AND queue = %s ORDER BY id LIMIT %s", [queue, limit]
        )
        runs = dict.fromkeys(row[0] for row in cursor.fetchall())
        cursor.execute(
            "SELECT DISTINCT e.run_id FROM execution_effect e JOIN execution_run r ON r.id = e.run_id"
            " WHERE e.unread AND e.answered_at <= %s AND r.status IN ('running', 'waiting') AND r.queue = %s LIMIT %s",
            [now - STALE_ANSWER_MS, queue, limit],
        )
        runs.update(dict.fromkeys(row[0] for row in cursor.fetchall()))
        cursor.execute(
            "SELECT t.run_id FROM execution_timer t JOIN execution_run r ON r.id = t.run_id"
            # The timers of a run that waits for a message batch stand still (advancing).
            " WHERE t.due_at <= %s AND r.status IN ('running', 'waiting') AND r.queue = %s"
            " AND NOT (r.queue = 'trials' AND r.open_calls > 0 AND r.policy LIKE %s) ORDER BY t.due_at LIMIT %s",
            [now, queue, '%"in_batches":true%', limit],
        )
        runs.update(dict.fromkeys(row[0] for row in cursor.fetchall()))
    return list(runs)


def runs_with_questions(now: int, limit: int = 200, queue: str = "") -> list[int]:
    """Runs with questions that are due and that nobody has claimed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT e.run_id FROM execution_effect e JOIN execution_run r ON r.id = e.run_id"
            " WHERE e.due_at <= %s AND r.status IN ('queued', 'running', 'waiting') AND r.queue = %s LIMIT %s",
            [now, queue, limit],
        )
        return [row[0] for row in cursor.fetchall()]


def of_queue(run_ids: Sequence[int], queue: str) -> list[int]:
    """Those of the runs that workers of this queue carry out, in the order given."""
    if not run_ids:
        return []
    with connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(run_ids))
        cursor.execute(f"SELECT id FROM execution_run WHERE queue = %s AND id IN ({marks})", [queue, *run_ids])  # noqa: S608
        found = {row[0] for row in cursor.fetchall()}
    return [run_id for run_id in run_ids if run_id in found]
