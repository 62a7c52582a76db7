"""
A draft put into rows: one transaction, all of it or nothing.

The run's row goes first, guarded by the revision that was read: on both
databases whoever comes second finds no row and starts over. Statements here
are raw because every step of every run passes through them; on PostgreSQL the
usual step is one statement (``at_once``).
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from execution.errors import RunMoved
from execution.models import hot
from execution.models.effect import Handler
from execution.models.stored import BlobWriter, compress
from execution.services import at_once, children, ending, faults, operating, rows
from execution.services.clock import to_datetime
from execution.services.drafting import Draft


def write(draft: Draft) -> list[int]:
    """
    Write the draft and bring its session up to date.

    Returns:
        The child runs that were started.

    Raises:
        RunMoved: the run is no longer what the session says; nothing was written.
    """
    if draft.end is not None:
        draft.closed = list(dict.fromkeys([*draft.closed, *draft.asked]))
    return at_once.write(draft) if at_once.can(draft) else _write_in_turn(draft)


def _write_in_turn(draft: Draft) -> list[int]:
    """One statement after the other."""
    session = draft.session
    tick = session.tick + 1
    blobs = BlobWriter()
    closed = set(draft.closed)
    plans = {one.seq: one.child for one in draft.asked.values() if one.child is not None and one.seq not in closed}
    # Ahead of the transaction: it takes ten times as long as writing them, and everybody waits for a transaction.
    planned = children.prepare(session, plans, draft.at)
    with transaction.atomic(), hot.cursor() as cursor:
        closed_calls = close_effects(cursor, draft, tick)
        calls = max(draft.calls - closed_calls, 0)
        status = rows.settled_status(draft, calls)
        move_run(cursor, draft, tick, calls, status)
        cursor.execute(
            f"INSERT INTO execution_tick ({rows.TICK_COLUMNS}) VALUES (%s, %s, %s, %s, %s)",  # noqa: S608  our own names
            tick_row := rows.tick_row(draft, tick, blobs),
        )
        consume(cursor, draft, tick)
        insert_effects(cursor, draft, tick, blobs)
        change_timers(cursor, draft)
        snapshot = save_snapshot(cursor, draft, tick, len(tick_row[3]))
        session.world.write(cursor, blobs, draft.at, tick)
        if draft.end is not None:
            ending.finish(cursor, draft, blobs)
        insert_events(cursor, draft, blobs)
        operate(cursor, draft, blobs)
        blobs.flush(cursor)
        ending.keep_decisions(draft)
        begun = children.begin(session, planned, draft.at)
        faults.reach("before-advance-commits")
    blobs.committed()
    rows.bring_up(draft, tick, calls, status, snapshot, len(tick_row[3]))
    return begun


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
    values = rows.run_values(draft, tick, calls, status)
    if session.started:
        cursor.execute(rows.MOVE_RUN, values)
    else:
        started = connection.ops.adapt_datetimefield_value(to_datetime(draft.at))
        cursor.execute(rows.BEGIN_RUN, [started, *values])
    if cursor.rowcount != 1:
        raise RunMoved(session.run_id)
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


INSERT_EFFECT = f"INSERT INTO execution_effect ({rows.EFFECT_COLUMNS}) VALUES ({', '.join(['%s'] * 34)})"  # noqa: S608  our own names
INSERT_EVENT = f"INSERT INTO execution_event ({rows.EVENT_COLUMNS}) VALUES ({', '.join(['%s'] * 9)})"  # noqa: S608  our own names


def insert_effects(cursor: Any, draft: Draft, tick: int, blobs: BlobWriter) -> None:
    """The new questions: sent by this worker, or queued; answered ones with their answer."""
    made = rows.effect_rows(draft, tick, blobs)
    if len(made) == 1:
        cursor.execute(INSERT_EFFECT, made[0])
    elif made:
        cursor.executemany(INSERT_EFFECT, made)


def insert_events(cursor: Any, draft: Draft, blobs: BlobWriter) -> None:
    """What observers are told."""
    told = rows.event_rows(draft, blobs)
    if told:
        cursor.executemany(INSERT_EVENT, told)


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
    text = rows.due_snapshot(draft.session, tick, bytes_now)
    if text is None:
        return 0
    cursor.execute(
        "INSERT INTO execution_snapshot (run_id, tick, size_bytes, data) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (run_id) DO UPDATE SET tick = excluded.tick, size_bytes = excluded.size_bytes,"
        " data = excluded.data",
        [draft.session.run_id, tick, len(text), compress(text)],
    )
    return len(text)
