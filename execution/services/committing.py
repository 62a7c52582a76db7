"""
Committing answers: first, and alone, before anything follows from them.

An answer whose epoch is over (its worker was thought dead, or the question had
failed or was cancelled) is kept as late, and its cost counted, but it is never
the answer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from django.db import connection, transaction

from execution import telemetry
from execution.models import hot
from execution.models.fields import dumps
from execution.models.stored import BlobWriter
from execution.services import at_once, budgeting, faults, sessions
from execution.services.asking import Reply
from execution.services.drafting import Ready

BACKOFF_SECONDS = (0.5, 2.0, 8.0, 20.0)


def commit(replies: Sequence[Reply], now: int) -> list[int]:
    """
    Commit answers, first and alone; the runs that have something to do now.

    A retryable failure with attempts left goes back into the queue instead. A
    run that is in memory is given its answers there, so that it need not look for them.
    """
    in_memory = sessions.revisions({reply.delivery.run_id for reply in replies})
    if connection.vendor == "postgresql" and not any(_will_retry(reply) for reply in replies):
        taken = _commit_at_once(replies, now)
    else:
        taken = _commit_in_turn(replies, now)
    moved: dict[int, list[Ready]] = {}
    for reply in replies:
        if (row := taken.get(_place(reply))) is not None:
            moved.setdefault(reply.delivery.run_id, []).append(_ready(reply, row))
    for run_id, ready in moved.items():
        sessions.hand(run_id, in_memory.get(run_id), sorted(ready, key=attrgetter("seq")))
    telemetry.answered(replies)
    faults.reach("result-committed")
    return list(moved)


def _ready(reply: Reply, row: Sequence[Any]) -> Ready:
    """What a look at its row, which was just written, would find."""
    *_, replies, handler, reserved_tokens, reserved_cost = row
    usage = reply.answer.usage if reply.answer is not None else None
    return Ready(
        seq=reply.delivery.seq,
        answer=json.loads(dumps(reply.value)),  # as it stands in the row, whatever it was made of
        replies=bool(replies),
        handler=handler,
        tokens=usage.tokens if usage is not None else 0,
        cost=usage.cost_micros if usage is not None else 0,
        reserved_tokens=reserved_tokens,
        reserved_cost=reserved_cost,
        error_kind=_kind(reply),
        duration=reply.duration_seconds,
    )


Taken = dict[tuple[int, int, int], Sequence[Any]]  # by run, seq and epoch: the rows of ``STORE_ANSWER``


def _commit_in_turn(replies: Sequence[Reply], now: int) -> Taken:
    """One statement after the other; the answers that were taken."""
    blobs, taken = BlobWriter(), {}
    with transaction.atomic(), hot.cursor() as cursor:
        for reply in replies:
            if _will_retry(reply):
                _retry(cursor, reply, now)
            elif (row := _store(cursor, _stored(reply, blobs), now)) is not None:
                taken[_place(reply)] = row
            else:
                _store_late(cursor, reply, now)
        blobs.flush(cursor)
        faults.reach("before-result-commits")
    blobs.committed()
    return taken


def _commit_at_once(replies: Sequence[Reply], now: int) -> Taken:
    """
    One statement for all of them, on PostgreSQL; the answers that were taken.

    Answers that nobody waits for any more follow in a transaction of their own:
    a crash before it loses what a crash before the first would lose.
    """
    blobs = BlobWriter()
    stored = [_stored(reply, blobs) for reply in replies]
    faults.reach("before-result-commits")
    taken: Taken = {(row[0], row[1], row[2]): row for row in at_once.store_answers(stored, blobs, now)}
    blobs.committed()
    late = [reply for reply in replies if _place(reply) not in taken]
    if late:
        with transaction.atomic(), hot.cursor() as cursor:
            for reply in late:
                _store_late(cursor, reply, now)
    return taken


def _kind(reply: Reply) -> str:
    return reply.error.kind[:64] if reply.error is not None else ""


def _place(reply: Reply) -> tuple[int, int, int]:
    return reply.delivery.run_id, reply.delivery.seq, reply.delivery.epoch


def _stored(reply: Reply, blobs: BlobWriter) -> dict[str, Any]:
    """What an answer changes in its row, and which row that is."""
    usage = reply.answer.usage if reply.answer is not None else None
    run_id, seq, epoch = _place(reply)
    return {
        "status": "done" if reply.error is None else "failed",
        "answer": blobs.put(reply.value),
        "error_kind": _kind(reply),
        "duration_seconds": reply.duration_seconds,
        "tokens": usage.tokens if usage is not None else 0,
        "cost": usage.cost_micros if usage is not None else 0,
        "usage": dumps(usage.to_json()) if usage is not None and usage.cost_micros else None,
        "run_id": run_id,
        "seq": seq,
        "epoch": epoch,
    }


def _store(cursor: Any, stored: dict[str, Any], now: int) -> Any:
    *changed, run_id, seq, epoch = stored.values()
    cursor.execute(at_once.STORE_ANSWER, [*changed, now, run_id, seq, epoch])
    return cursor.fetchone()


def _will_retry(reply: Reply) -> bool:
    error = reply.error
    return error is not None and error.retryable and reply.delivery.request.attempt < reply.delivery.attempts_allowed


def _retry(cursor: Any, reply: Reply, now: int) -> None:
    """Back into the queue, after a pause that grows; the provider's own wish wins."""
    delivery, error = reply.delivery, reply.error
    assert error is not None
    attempt = delivery.request.attempt
    pause = BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS)) - 1] * (0.75 + 0.5 * random.random())  # noqa: S311
    # The next message batch is what a question of this one waits for.
    due = None if delivery.batched else now + int(1000 * max(pause, error.retry_after or 0.0))
    cursor.execute(
        "UPDATE execution_effect SET status = 'queued', worker_id = NULL, due_at = %s,"
        " expires_at = CASE WHEN %s THEN NULL ELSE expires_at END"
        " WHERE run_id = %s AND seq = %s AND epoch = %s AND status = 'sent'",
        [due, delivery.batched, delivery.run_id, delivery.seq, delivery.epoch],
    )
    budgeting.release(cursor, delivery.run_id, delivery.seq)
    note_attempt(cursor, reply, "failed", now)


def _store_late(cursor: Any, reply: Reply, now: int) -> None:
    """Nobody waits for it any more: kept, and its cost counted."""
    usage = reply.answer.usage if reply.answer is not None else None
    delivery = reply.delivery
    note_attempt(cursor, reply, "late", now)
    if usage is None:
        return
    cursor.execute(
        "UPDATE execution_effect SET status = 'late', tokens = tokens + %s, cost = cost + %s"
        " WHERE run_id = %s AND seq = %s AND status IN ('failed', 'cancelled')",
        [usage.tokens, usage.cost_micros, delivery.run_id, delivery.seq],
    )
    budgeting.count_late(cursor, delivery.run_id, usage.tokens, usage.cost_micros)
    sessions.drop(delivery.run_id)


def note_attempt(cursor: Any, reply: Reply, outcome: str, now: int) -> None:
    """A row for an attempt that did not give the answer."""
    usage = reply.answer.usage if reply.answer is not None else None
    delivery = reply.delivery
    cursor.execute(
        "INSERT INTO execution_attempt (effect_id, number, epoch, at, outcome, kind, message, tokens, cost, request_id)"
        " SELECT id, %s, %s, %s, %s, %s, %s, %s, %s, %s FROM execution_effect WHERE run_id = %s AND seq = %s",
        [
            delivery.request.attempt,
            delivery.epoch,
            now,
            outcome,
            _kind(reply),
            (reply.error.message if reply.error is not None else "")[:2000],
            usage.tokens if usage is not None else 0,
            usage.cost_micros if usage is not None else 0,
            reply.answer.request_id[:200] if reply.answer is not None else "",
            delivery.run_id,
            delivery.seq,
        ],
    )
