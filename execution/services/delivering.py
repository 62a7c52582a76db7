"""
Delivering effects: claim, send outside of any transaction, commit the answer alone.

Every write names the epoch it was claimed with. An answer whose epoch is over
(its worker was thought dead, or the question had failed or was cancelled) is
kept as late, and its cost counted, but it is never the answer.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, transaction

from execution import telemetry
from execution.agents import roster
from execution.agents.base import Answer
from execution.errors import AgentError
from execution.models import RunAgent, hot
from execution.models.fields import dumps
from execution.models.stored import BlobWriter, load_many
from execution.services import asking, at_once, budgeting, faults, hints, sessions
from execution.services.asking import Delivery, Reply
from execution.services.profiles import profile_for
from execution.services.world import Agent

log = logging.getLogger(__name__)

BACKOFF_SECONDS = (0.5, 2.0, 8.0, 20.0)
BUDGET_PAUSE_MS = 500  # before a request that waits for others to settle is looked at again


# ---------------------------------------------------------------- claiming


def claim(*, worker_id: int, room: int, now: int, run_id: int | None = None, queue: str = "") -> list[Delivery]:
    """
    Take up to ``room`` questions that are due; they count as sent from here on.

    A question that a budget does not cover is not sent: it waits where other
    requests may still free what they hold, and ends its run otherwise.
    """
    if room <= 0 or not _is_due(now):
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        rows = _take_rows(cursor, worker_id, room, now, run_id, queue)
        runs = _runs_of(cursor, {row[1] for row in rows})
        values = load_many([column for row in rows for column in (row[8], row[9])])
        deliveries, refused = [], []
        for place, row in enumerate(rows):
            delivery = delivery_of(row, runs[row[1]], values[2 * place], values[2 * place + 1])
            refusal = _reserve(cursor, delivery)
            if refusal is None:
                deliveries.append(delivery)
            else:
                refused.append((delivery, refusal))
        for delivery, refusal in refused:
            _put_back(cursor, delivery, refusal, now)
        faults.reach("before-claim-commits")
    for delivery, refusal in refused:
        if not refusal.may_free:
            end_for_budget(delivery, refusal, now)
    return deliveries


def _is_due(now: int) -> bool:
    """Whether anything may be due. On SQLite a look keeps nobody waiting, and a transaction everybody."""
    if connection.vendor != "sqlite":
        return True
    with hot.cursor() as cursor:
        cursor.execute("SELECT 1 FROM execution_effect WHERE due_at <= %s LIMIT 1", [now])
        return cursor.fetchone() is not None


_CLAIMED = "id, run_id, seq, epoch, attempts, key, name, agent_id, request, shape, timeout_seconds, expires_at"


def _take_rows(
    cursor: Any, worker_id: int, room: int, now: int, run_id: int | None, queue: str
) -> list[tuple[Any, ...]]:
    """Mark due questions of runs that are not paused as sent."""
    skip = " FOR UPDATE OF e SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    only = " AND e.run_id = %s" if run_id is not None else ""
    cursor.execute(
        "UPDATE execution_effect SET doubts = doubts + CASE WHEN status = 'in_doubt' THEN 1 ELSE 0 END,"  # noqa: S608
        " status = 'sent', worker_id = %s, epoch = epoch + 1, attempts = attempts + 1, sent_at = %s, due_at = NULL"
        " WHERE due_at IS NOT NULL AND id IN (SELECT e.id FROM execution_effect e"
        " JOIN execution_run r ON r.id = e.run_id WHERE e.due_at <= %s AND r.status IN ('queued', 'running', 'waiting')"
        f" AND r.queue = %s{only} ORDER BY e.due_at, e.id LIMIT %s{skip}) RETURNING {_CLAIMED}",
        [worker_id, now, now, queue, *([run_id] if run_id is not None else []), room],
    )
    return sorted(cursor.fetchall())


def _runs_of(cursor: Any, run_ids: set[int]) -> dict[int, tuple[Any, ...]]:
    found = {}
    for run_id in run_ids:
        session = sessions.read_row(run_id)
        if session is not None:
            found[run_id] = session
    return found  # type: ignore[return-value]


def delivery_of(row: tuple[Any, ...], run: Any, data: Any, shape: Any) -> Delivery:
    _, run_id, seq, epoch, attempts, key, name, agent_id, _, _, timeout, expires_at = row
    agent = _agent(run_id, agent_id)
    profile = profile_for(run.version_id, agent_id, asking.profile_name(agent, data), agent.details, data)
    request = asking.make_request(
        run_id=run_id,
        key=key,
        name=name,
        data=data,
        shape=shape,
        seed=run.seed,
        attempt=attempts,
        timeout=timeout,
        profile=profile,
        world=run.policy.get("shadow", {}).get("world"),
    )
    return Delivery(
        run_id=run_id,
        seq=seq,
        epoch=epoch,
        backend=run.backend,
        options={"agents": run.policy["agents"]} if "agents" in run.policy else {},
        request=request,
        expires_at=expires_at,
        attempts_allowed=int(run.policy.get("attempts", 4)),
    )


def _agent(run_id: int, agent_id: str) -> Agent:
    row = RunAgent.objects.filter(run_id=run_id, agent_id=agent_id).values_list("profile", "details").first()
    details: dict[str, Any] = row[1] if row is not None else {}
    return Agent(agent_id=agent_id, profile=row[0] if row is not None else agent_id, details=details)


def _reserve(cursor: Any, delivery: Delivery) -> budgeting.Refusal | None:
    wanted = roster.backend(delivery.backend, delivery.options).reserve(delivery.request)
    refusal = budgeting.reserve(cursor, delivery.run_id, wanted)
    if refusal is None:
        cursor.execute(
            "UPDATE execution_effect SET reserved_tokens = %s, reserved_cost = %s WHERE run_id = %s AND seq = %s",
            [wanted.tokens, wanted.cost_micros, delivery.run_id, delivery.seq],
        )
    return refusal


def _put_back(cursor: Any, delivery: Delivery, refusal: budgeting.Refusal, now: int) -> None:
    """Not sent after all: as if it had never been claimed."""
    cursor.execute(
        "UPDATE execution_effect SET status = 'queued', worker_id = NULL, attempts = attempts - 1, sent_at = NULL,"
        " due_at = %s WHERE run_id = %s AND seq = %s AND epoch = %s",
        [now + BUDGET_PAUSE_MS, delivery.run_id, delivery.seq, delivery.epoch],
    )


def give_back(deliveries: Iterable[Delivery], now: int) -> None:
    """Questions that were claimed and never sent, by a worker that stops: due again, nothing held back, no attempt made."""
    with transaction.atomic(), hot.cursor() as cursor:
        for delivery in deliveries:
            cursor.execute(
                "UPDATE execution_effect SET status = 'queued', worker_id = NULL, attempts = attempts - 1,"
                " sent_at = NULL, due_at = %s WHERE run_id = %s AND seq = %s AND epoch = %s AND status = 'sent'",
                [now, delivery.run_id, delivery.seq, delivery.epoch],
            )
            if cursor.rowcount:
                _give_back(cursor, delivery)
                hints.effects_queued(delivery.run_id)


def end_for_budget(delivery: Delivery, refusal: budgeting.Refusal, now: int) -> None:
    """The run ends: its budget does not cover what it asks next."""
    from execution.services import controlling

    controlling.end_for_limit(run_id=delivery.run_id, limit=refusal.limit, allowed=refusal.allowed, now=now)


# ---------------------------------------------------------------- sending


async def send(delivery: Delivery, clock: Any) -> Reply:
    """
    Ask the agent; never raises for what an agent does.

    No database connection is used here: five hundred of these wait at once.
    """
    with telemetry.about(delivery.run_id, delivery.seq):
        return await _ask(delivery, clock)


async def _ask(delivery: Delivery, clock: Any) -> Reply:
    started = clock()
    answer: Answer | None = None
    error: AgentError | None = None
    backend = roster.backend(delivery.backend, delivery.options)
    try:
        if backend.capabilities.immediate or delivery.expires_at is None:
            answer = await backend.complete(delivery.request)
        else:
            async with asyncio.timeout(max((delivery.expires_at - started) / 1000, 0.001)):
                answer = await backend.complete(delivery.request)
    except TimeoutError:
        seconds = delivery.request.timeout_seconds
        error = AgentError("timeout", f"no answer within {seconds:g} seconds", paid=True)
    except AgentError as failure:
        error = failure
    except Exception as failure:
        log.exception("the backend %s broke", delivery.backend)
        error = AgentError("agent_error", f"the backend broke: {failure!r}"[:500], paid=True)
    return reply_of(delivery, answer, error, started, clock())


def send_now(delivery: Delivery, clock: Any) -> Reply:
    """Ask a backend that answers at once, without an event loop."""
    waiting = send(delivery, clock)
    try:
        waiting.send(None)
    except StopIteration as finished:
        reply: Reply = finished.value
        return reply
    waiting.close()
    raise RuntimeError(f"the backend {delivery.backend} says it is immediate, and waits")


def reply_of(delivery: Delivery, answer: Answer | None, error: AgentError | None, started: int, ended: int) -> Reply:
    """The answer as a reply to the script."""
    duration = (ended - started) / 1000
    if answer is not None and answer.duration_seconds is not None:
        duration = answer.duration_seconds
    if error is not None and error.kind == "timeout":
        # Also where nobody waited for it, as simulated agents on no clock do.
        duration = max(duration, delivery.request.timeout_seconds)
    value = asking.reply_value(delivery.request, answer, error, duration)
    return Reply(delivery=delivery, value=value, error=error, answer=answer, at=ended, duration_seconds=duration)


# ---------------------------------------------------------------- committing


def commit(replies: Sequence[Reply], now: int) -> list[int]:
    """
    Commit answers, first and alone; the runs that have something to do now.

    A retryable failure with attempts left goes back into the queue instead.
    """
    if connection.vendor == "postgresql" and not any(_will_retry(reply) for reply in replies):
        moved = _commit_at_once(replies, now)
    else:
        moved = _commit_in_turn(replies, now)
    telemetry.answered(replies)
    faults.reach("result-committed")
    return list(dict.fromkeys(moved))


def _commit_in_turn(replies: Sequence[Reply], now: int) -> list[int]:
    """One statement after the other; the runs whose answers were taken."""
    blobs, moved = BlobWriter(), []
    with transaction.atomic(), hot.cursor() as cursor:
        for reply in replies:
            if _will_retry(reply):
                _retry(cursor, reply, now)
            elif _store(cursor, _stored(reply, blobs), now):
                moved.append(reply.delivery.run_id)
            else:
                _store_late(cursor, reply, now)
        blobs.flush(cursor)
        faults.reach("before-result-commits")
    blobs.committed()
    return moved


def _commit_at_once(replies: Sequence[Reply], now: int) -> list[int]:
    """
    One statement for all of them, on PostgreSQL; the runs whose answers were taken.

    Answers that nobody waits for any more follow in a transaction of their own:
    a crash before it loses what a crash before the first would lose.
    """
    blobs = BlobWriter()
    stored = [_stored(reply, blobs) for reply in replies]
    faults.reach("before-result-commits")
    taken = at_once.store_answers(stored, blobs, now)
    blobs.committed()
    late = [reply for reply in replies if _place(reply) not in taken]
    if late:
        with transaction.atomic(), hot.cursor() as cursor:
            for reply in late:
                _store_late(cursor, reply, now)
    return [reply.delivery.run_id for reply in replies if _place(reply) in taken]


def _place(reply: Reply) -> tuple[int, int, int]:
    return reply.delivery.run_id, reply.delivery.seq, reply.delivery.epoch


def _stored(reply: Reply, blobs: BlobWriter) -> dict[str, Any]:
    """What an answer changes in its row, and which row that is."""
    usage = reply.answer.usage if reply.answer is not None else None
    run_id, seq, epoch = _place(reply)
    return {
        "status": "done" if reply.error is None else "failed",
        "answer": blobs.put(reply.value),
        "error_kind": reply.error.kind[:64] if reply.error is not None else "",
        "duration_seconds": reply.duration_seconds,
        "tokens": usage.tokens if usage is not None else 0,
        "cost": usage.cost_micros if usage is not None else 0,
        "usage": dumps(usage.to_json()) if usage is not None and usage.cost_micros else None,
        "run_id": run_id,
        "seq": seq,
        "epoch": epoch,
    }


def _store(cursor: Any, stored: dict[str, Any], now: int) -> bool:
    *changed, run_id, seq, epoch = stored.values()
    cursor.execute(at_once.STORE_ANSWER, [*changed, now, run_id, seq, epoch])
    return bool(cursor.rowcount)


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
    _give_back(cursor, delivery)
    note_attempt(cursor, reply, "failed", now)


def _give_back(cursor: Any, delivery: Delivery) -> None:
    """What was held back for an attempt that will be made again."""
    cursor.execute(
        "SELECT reserved_tokens, reserved_cost FROM execution_effect WHERE run_id = %s AND seq = %s",
        [delivery.run_id, delivery.seq],
    )
    row = cursor.fetchone()
    if row is None or not (row[0] or row[1]):
        return
    cursor.execute(
        "UPDATE execution_effect SET reserved_tokens = 0, reserved_cost = 0 WHERE run_id = %s AND seq = %s",
        [delivery.run_id, delivery.seq],
    )
    for table, row_id in list(budgeting.levels(cursor, delivery.run_id)):
        budgeting.add(cursor, table, row_id, reserved_tokens=-row[0], reserved_cost=-row[1])
    sessions.drop(delivery.run_id)
    cursor.execute("UPDATE execution_run SET revision = revision + 1 WHERE id = %s", [delivery.run_id])


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
            reply.error.kind[:64] if reply.error is not None else "",
            (reply.error.message if reply.error is not None else "")[:2000],
            usage.tokens if usage is not None else 0,
            usage.cost_micros if usage is not None else 0,
            reply.answer.request_id[:200] if reply.answer is not None else "",
            delivery.run_id,
            delivery.seq,
        ],
    )
