"""
A draft put into rows: one transaction, all of it or nothing.

The run's row goes first, guarded by the revision that was read: on both
databases whoever comes second finds no row and starts over. Statements here
are raw because every step of every run passes through them.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from execution.errors import RunMoved
from execution.models import hot
from execution.models.effect import Handler
from execution.models.fields import dumps
from execution.models.stored import BlobWriter, compress
from execution.services import children, ending, faults, operating
from execution.services.clock import to_datetime
from execution.services.drafting import Asked, Draft, Told, expiry

SNAPSHOT_TICKS = 20
SNAPSHOT_BYTES = 64 * 1024
# A large state is written less often: at most this many of its bytes per tick, so that saving it
# never costs more than the tick itself. Replaying a hundred ticks takes milliseconds.
BYTES_PER_TICK = 16 * 1024
UNBOUND = 2**62


def write(draft: Draft) -> list[int]:
    """
    Write the draft and bring its session up to date.

    Returns:
        The child runs that were started.

    Raises:
        RunMoved: the run is no longer what the session says; nothing was written.
    """
    session = draft.session
    tick = session.tick + 1
    blobs = BlobWriter()
    if draft.end is not None:
        draft.closed = list(dict.fromkeys([*draft.closed, *draft.asked]))
    with transaction.atomic(), hot.cursor() as cursor:
        closed_calls = close_effects(cursor, draft, tick)
        calls = max(draft.calls - closed_calls, 0)
        status = draft.status if draft.end is not None or calls else "waiting"
        move_run(cursor, draft, tick, calls, status)
        cursor.execute(
            "INSERT INTO execution_tick (run_id, number, at, inputs, last_event) VALUES (%s, %s, %s, %s, %s)",
            [
                session.run_id,
                tick,
                draft.at,
                stored_rounds := blobs.put(draft.rounds),
                session.events_count + len(draft.told),
            ],
        )
        consume(cursor, draft, tick)
        insert_effects(cursor, draft, tick, blobs)
        change_timers(cursor, draft)
        snapshot = save_snapshot(cursor, draft, tick, len(stored_rounds))
        session.world.write(cursor, blobs, draft.at, tick)
        if draft.end is not None:
            ending.finish(cursor, draft, blobs)
        insert_events(cursor, draft, status, blobs)
        operate(cursor, draft, blobs)
        blobs.flush(cursor)
        ending.keep_decisions(draft)
        begun = [
            children.begin(session, asked.seq, asked.child, draft.at)
            for asked in draft.asked.values()
            if asked.child is not None and asked.seq not in draft.closed
        ]
        faults.reach("before-advance-commits")
    blobs.committed()
    session.world.written()
    session.revision += 1
    session.tick, session.clock, session.status, session.open_calls = tick, draft.at, status, calls
    session.events_count += len(draft.told)
    session.tokens_used += draft.used_tokens
    session.cost_used += draft.used_cost
    session.tokens_reserved += draft.reserved_tokens
    session.cost_reserved += draft.reserved_cost
    session.started = True
    if session.timers is not None:
        session.timers = {*session.timers, *draft.timers}.difference(draft.fired, draft.dropped_timers)
    if snapshot:
        session.snapshot_tick, session.snapshot_bytes, session.bytes_since = tick, snapshot, 0
    else:
        session.bytes_since += len(stored_rounds)
    return [run_id for run_id in begun if run_id]


def operate(cursor: Any, draft: Draft, blobs: BlobWriter) -> None:
    """Carry out what the run asks of this hub; the answers are there for the next advance."""
    closed = set(draft.closed)
    for asked in draft.asked.values():
        if asked.handler == Handler.HUB and asked.reused is None and asked.seq not in closed:
            value = operating.carry_out(draft.session, asked.name, asked.data, draft.at)
            failed = value.get("success") is False
            operating.write_answer(cursor, draft.session.run_id, asked.seq, blobs.put(value), failed, draft.at)


def move_run(cursor: Any, draft: Draft, tick: int, calls: int, status: str) -> None:
    """Compare and swap the run's row."""
    session = draft.session
    if status != session.status:
        draft.told.append(Told(kind="status", name=f"run:{status}", data={"status": status}))
    cursor.execute(
        "UPDATE execution_run SET revision = revision + 1, tick = %s, clock = %s, status = %s, events_count = %s,"
        " open_calls = %s, tokens_used = tokens_used + %s, tokens_reserved = tokens_reserved + %s,"
        " cost_used = cost_used + %s, cost_reserved = cost_reserved + %s WHERE id = %s AND revision = %s"
        " AND (tokens_limit IS NULL OR tokens_used + tokens_reserved + %s <= tokens_limit)"
        " AND (cost_limit IS NULL OR cost_used + cost_reserved + %s <= cost_limit)",
        [
            tick,
            draft.at,
            status,
            session.events_count + len(draft.told),
            calls,
            draft.used_tokens,
            draft.reserved_tokens,
            draft.used_cost,
            draft.reserved_cost,
            session.run_id,
            session.revision,
            # What this worker sends at once must still fit: the queue may have held some back meanwhile.
            draft.used_tokens + draft.reserved_tokens if draft.holds else -UNBOUND,
            draft.used_cost + draft.reserved_cost if draft.holds else -UNBOUND,
        ],
    )
    if cursor.rowcount != 1:
        raise RunMoved(session.run_id)
    if not session.started:
        started = connection.ops.adapt_datetimefield_value(to_datetime(draft.at))
        cursor.execute(
            "UPDATE execution_run SET started_at = %s WHERE id = %s AND started_at IS NULL", [started, session.run_id]
        )
    if session.policy.get("chained"):
        from execution.services import budgeting

        budgeting.settle_above(cursor, session, draft)


def close_effects(cursor: Any, draft: Draft, tick: int) -> int:
    """Effects that the machine lost interest in; how many of them were questions to agents."""
    calls = 0
    for seq in draft.closed:
        asked = draft.asked.get(seq)
        if asked is not None:
            calls += asked.handler == Handler.AGENT and asked.reused is None
            if asked.delivery is not None:
                draft.reserved_tokens -= asked.reservation.tokens
                draft.reserved_cost -= asked.reservation.cost_micros
                asked.delivery = None
            continue
        cursor.execute(
            "SELECT handler, unread, tokens, cost, reserved_tokens, reserved_cost FROM execution_effect"
            " WHERE run_id = %s AND seq = %s AND tick IS NULL AND closed_tick IS NULL",
            [draft.session.run_id, seq],
        )
        row = cursor.fetchone()
        if row is None:
            continue
        handler, unread, tokens, cost, reserved_tokens, reserved_cost = row
        calls += handler == Handler.AGENT
        draft.reserved_tokens -= reserved_tokens
        draft.reserved_cost -= reserved_cost
        if unread:
            draft.used_tokens += tokens
            draft.used_cost += cost
        cursor.execute(
            "UPDATE execution_effect SET status = CASE WHEN status IN ('queued', 'sent', 'in_doubt') THEN 'cancelled'"
            " ELSE status END, worker_id = NULL, due_at = NULL, expires_at = NULL, unread = %s, closed_tick = %s, reserved_tokens = 0,"
            " reserved_cost = 0 WHERE run_id = %s AND seq = %s",
            [False, tick, draft.session.run_id, seq],
        )
    return calls


def consume(cursor: Any, draft: Draft, tick: int) -> None:
    """The answers that the machine has had."""
    if draft.consumed:
        cursor.executemany(
            "UPDATE execution_effect SET unread = %s, tick = %s, reserved_tokens = 0, reserved_cost = 0"
            " WHERE run_id = %s AND seq = %s",
            [(False, tick, draft.session.run_id, one.seq) for one in draft.consumed],
        )


EFFECT_COLUMNS = (
    "run_id, seq, key, request_hash, replies, name, handler, agent_id, request, shape, line, timeout_seconds, status,"
    " epoch, attempts, doubts, worker_id, due_at, expires_at, emitted_at, sent_at, answered_at, emitted_tick, unread,"
    " tick, closed_tick, answer, error_kind, duration_seconds, tokens, cost, reserved_tokens, reserved_cost,"
    " reused_from"
)
INSERT_EFFECT = f"INSERT INTO execution_effect ({EFFECT_COLUMNS}) VALUES ({', '.join(['%s'] * 34)})"  # noqa: S608  our own names


def insert_effects(cursor: Any, draft: Draft, tick: int, blobs: BlobWriter) -> None:
    """The new questions: sent by this worker, or queued; answered ones with their answer."""
    if draft.asked:
        closed = set(draft.closed)
        rows = [effect_row(draft, asked, tick, blobs, asked.seq in closed) for asked in draft.asked.values()]
        if len(rows) == 1:
            cursor.execute(INSERT_EFFECT, rows[0])
        else:
            cursor.executemany(INSERT_EFFECT, rows)


def effect_row(draft: Draft, asked: Asked, tick: int, blobs: BlobWriter, closed: bool) -> tuple[Any, ...]:
    """One new effect as a row, in the order of ``EFFECT_COLUMNS``."""
    at, delivery, reused = draft.at, asked.delivery, asked.reused
    status, answer, answered = "queued", None, None
    if reused is not None:
        status, answer, answered = "done", reused.stored, at
    elif asked.failed is not None:
        status, answer, answered = "failed", blobs.put(asked.failed), at
    elif closed:
        status = "cancelled"
    elif delivery is not None or asked.handler != Handler.AGENT:
        status = "sent"
    is_open = status in ("queued", "sent")
    return (
        draft.session.run_id,
        asked.seq,
        asked.key,
        asked.request_hash,
        asked.replies,
        asked.name[:200],
        str(asked.handler),
        asked.agent_id,
        blobs.put(asked.data),
        blobs.put(asked.shape, always_blob=True) if asked.shape else "",
        asked.line,
        asked.timeout,
        status,
        1 if delivery is not None else 0,
        1 if delivery is not None else 0,
        0,
        draft.claim.worker_id if delivery is not None and draft.claim is not None else None,
        at if status == "queued" and not asked.waits_for_batch else None,
        expiry(at, asked.timeout) if is_open and not asked.waits_for_batch else None,
        at,
        at if status == "sent" else None,
        answered,
        tick,
        False,
        tick if answered is not None else None,
        tick if closed and answered is None else None,
        answer,
        "refused" if asked.failed is not None else "",
        reused.duration_seconds if reused is not None else None,
        0,
        0,
        asked.reservation.tokens if delivery is not None else 0,
        asked.reservation.cost_micros if delivery is not None else 0,
        reused.effect_id if reused is not None else None,
    )


def insert_events(cursor: Any, draft: Draft, status: str, blobs: BlobWriter) -> None:
    """What observers are told, numbered without gaps."""
    session = draft.session
    rows = [
        (
            session.run_id,
            session.events_count + place,
            draft.at,
            told.kind,
            told.name[:200],
            blobs.put(told.data),
            told.branch[:200],
            told.line,
            told.seq,
        )
        for place, told in enumerate(draft.told, 1)
    ]
    if rows:
        cursor.executemany(
            "INSERT INTO execution_event (run_id, sequence, at, kind, name, data, branch, line, seq)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )


def change_timers(cursor: Any, draft: Draft) -> None:
    """Set the new ones; those that fired or were dropped go."""
    run_id = draft.session.run_id
    for number in [*draft.fired, *draft.dropped_timers]:
        cursor.execute("DELETE FROM execution_timer WHERE run_id = %s AND number = %s", [run_id, number])
    if draft.timers and draft.end is None:
        cursor.executemany(
            "INSERT INTO execution_timer (run_id, number, due_at) VALUES (%s, %s, %s)",
            [(run_id, number, due) for number, due in draft.timers.items()],
        )


def save_snapshot(cursor: Any, draft: Draft, tick: int, bytes_now: int) -> int:
    """Save the state where it is due; its size in bytes, 0 where none was saved."""
    session = draft.session
    ticks = tick - session.snapshot_tick
    due = ticks >= SNAPSHOT_TICKS or session.bytes_since + bytes_now >= SNAPSHOT_BYTES
    if not due or ticks * BYTES_PER_TICK < session.snapshot_bytes:
        return 0
    text = dumps(session.state)
    cursor.execute(
        "INSERT INTO execution_snapshot (run_id, tick, size_bytes, data) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (run_id) DO UPDATE SET tick = excluded.tick, size_bytes = excluded.size_bytes,"
        " data = excluded.data",
        [session.run_id, tick, len(text), compress(text)],
    )
    return len(text)
