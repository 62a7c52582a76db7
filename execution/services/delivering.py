"""
Delivering effects: claim what is due, and send it outside of any transaction.

Every write names the epoch it was claimed with. What is answered ``committing`` takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from execution import telemetry
from execution.agents import roster
from execution.agents.base import Answer
from execution.errors import AgentError
from execution.models import Effect, RunAgent, hot
from execution.models.stored import load_many
from execution.services import asking, budgeting, faults, hints, sessions
from execution.services.asking import Delivery, Reply
from execution.services.profiles import profile_for
from execution.services.world import Agent

log = logging.getLogger(__name__)

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
                budgeting.release(cursor, delivery.run_id, delivery.seq)
                hints.effects_queued(delivery.run_id)


def end_for_budget(delivery: Delivery, refusal: budgeting.Refusal, now: int) -> None:
    """The run ends: its budget does not cover what it asks next."""
    from execution.services import controlling

    run_id, seq = delivery.run_id, delivery.seq
    line = Effect.objects.filter(run_id=run_id, seq=seq).values_list("line", flat=True).first() or 0
    reason = refusal.reason(seq)
    controlling.end_for_limit(run_id=run_id, limit=refusal.limit, reason=reason, line=line, now=now)


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
