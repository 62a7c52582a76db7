"""
The usual advance in one statement, on PostgreSQL.

Between two processes each statement is a journey there and back, and a
transaction around them two more. The usual step (answers come in, questions
and events go out) needs none of that: its parts are written by one statement,
which is a transaction of its own. Every part hangs on ``moved``, the run's row
as its revision let it be changed; where that finds nothing, nothing is written.

What needs more than that (the first and the last step, children, closed
effects, changed entities) takes the statements of ``journal`` one by one, and
SQLite always does: there a statement costs microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

from execution.errors import RunMoved
from execution.models import hot
from execution.models.fields import dumps
from execution.models.stored import BlobWriter, compress
from execution.services import faults, rows
from execution.services.drafting import Draft

_MOVED = f"moved AS ({rows.MOVE_RUN} RETURNING id)"
_TICK = (
    f"ticked AS (INSERT INTO execution_tick ({rows.TICK_COLUMNS})"  # noqa: S608  our own names, here and below
    " SELECT id, %s, %s, %s, %s FROM moved)"
)
_CONSUMED = (
    "consumed AS (UPDATE execution_effect e SET unread = FALSE, tick = %s, reserved_tokens = 0, reserved_cost = 0"
    " FROM moved WHERE e.run_id = moved.id AND e.seq = ANY(%s))"
)
_SNAPSHOT = (
    "saved AS (INSERT INTO execution_snapshot (run_id, tick, size_bytes, data) SELECT id, %s, %s, %s FROM moved"
    " ON CONFLICT (run_id) DO UPDATE SET tick = excluded.tick, size_bytes = excluded.size_bytes, data = excluded.data)"
)
_BLOBS = (
    "stored AS (INSERT INTO execution_blob (digest, size_bytes, data) SELECT one.* FROM moved,"
    " unnest(%s::text[], %s::bigint[], %s::bytea[]) AS one ON CONFLICT (digest) DO UPDATE SET unused_since = NULL)"
)
_TIMERS_SET = (
    "timers AS (INSERT INTO execution_timer (run_id, number, due_at) SELECT moved.id, one.* FROM moved,"
    " unnest(%s::int[], %s::bigint[]) AS one)"
)
_TIMERS_GONE = (
    "gone AS (DELETE FROM execution_timer t USING moved WHERE t.run_id = moved.id AND t.number = ANY(%s::int[]))"
)


def _recordset(name: str, table: str, columns: str) -> str:
    """A part that inserts the rows of a JSON array of objects, typed as the table's own columns."""
    own = columns.removeprefix("run_id, ")
    given = ", ".join(f"one.{column}" for column in own.split(", "))
    return (
        f"{name} AS (INSERT INTO {table} (run_id, {own}) SELECT moved.id, {given} FROM moved,"  # noqa: S608
        f" json_populate_recordset(NULL::{table}, %s) AS one)"
    )


_ASKED = _recordset("asked", "execution_effect", rows.EFFECT_COLUMNS)
_TOLD = _recordset("told", "execution_event", rows.EVENT_COLUMNS)
_EFFECT_NAMES = rows.EFFECT_COLUMNS.split(", ")
_EVENT_NAMES = rows.EVENT_COLUMNS.split(", ")


# An answer, in the order of ``committing._stored``: who reads ``unread`` rows finds it from here on.
_ANSWERED = (
    "UPDATE execution_effect AS e SET status = {}, answer = {}, error_kind = {}, duration_seconds = {}, tokens = {},"
    " cost = {}, usage = {}, answered_at = %s, unread = TRUE, worker_id = NULL, expires_at = NULL"
)
_WAITED_FOR = " WHERE e.run_id = {} AND e.seq = {} AND e.epoch = {} AND e.status = 'sent'"
_FIELDS = ("status", "answer", "error_kind", "duration_seconds", "tokens", "cost", "usage")
_ROW = ("run_id", "seq", "epoch", "replies", "handler", "reserved_tokens", "reserved_cost")
STORE_ANSWER = (_ANSWERED + _WAITED_FOR).format(*["%s"] * 10) + f" RETURNING {', '.join(_ROW)}"
_STORE_ANSWERS = (
    _ANSWERED.format(*(f"one.{name}" for name in _FIELDS))
    + " FROM json_populate_recordset(NULL::execution_effect, %s) AS one"
    + _WAITED_FOR.format("one.run_id", "one.seq", "one.epoch")
    + f" RETURNING {', '.join(f'e.{name}' for name in _ROW)}"
)
_LAZILY = ", set_config('synchronous_commit', 'off', TRUE)"
_BLOBS_ALONE = _BLOBS.replace(" SELECT one.* FROM moved, unnest", " SELECT * FROM unnest")


def store_answers(stored: Sequence[dict[str, Any]], blobs: BlobWriter, now: int) -> list[tuple[Any, ...]]:
    """
    Store answers, and the blobs they stand in, in one statement.

    Returns:
        A row for each that was waited for: ``(run, seq, epoch, replies, handler, reserved tokens, reserved cost)``.

    One answer is looked up with its values in the open, so that its prepared
    statement takes the index whatever the table was like when it was planned.
    """
    if not stored:
        return []
    if len(stored) == 1:
        *changed, run_id, seq, epoch = stored[0].values()
        sql, values = STORE_ANSWER, [*changed, now, run_id, seq, epoch]
    else:
        sql, values = _STORE_ANSWERS, [now, dumps(stored)]
    sql += _LAZILY
    if blobs.pending:
        sql, values = f"WITH {_BLOBS_ALONE} {sql}", [*_blob_values(blobs), *values]
    with hot.cursor() as cursor:
        cursor.execute(sql, values)
        return [row[:-1] for row in cursor.fetchall()]


def can(draft: Draft) -> bool:
    """Whether one statement is all that this advance needs."""
    session = draft.session
    return not (
        connection.vendor != "postgresql"
        or draft.end is not None
        or draft.closed
        or draft.operations
        or draft.decisions
        or not session.started
        or session.policy.get("chained")
        or session.world.has_changed
        or any(asked.child is not None for asked in draft.asked.values())
        or not draft.timers.keys().isdisjoint([*draft.fired, *draft.dropped_timers])
    )


def write(draft: Draft) -> list[int]:
    """
    Write it, and bring its session up to date; no child runs are started here.

    Raises:
        RunMoved: the run is no longer what the session says; nothing was written.
    """
    tick = draft.session.tick + 1
    blobs = BlobWriter()
    calls = draft.calls
    status = rows.settled_status(draft, calls)
    tick_row = rows.tick_row(draft, tick, blobs)
    snapshot = rows.due_snapshot(draft.session, tick, len(tick_row[3]))
    parts, values = [_MOVED, _TICK], [*rows.run_values(draft, tick, calls, status), *tick_row[1:]]
    for part, given in _further(draft, tick, blobs, snapshot):
        parts.append(part)
        values += given
    faults.reach("before-advance-commits")
    with hot.cursor() as cursor:
        cursor.execute(f"WITH {', '.join(parts)} SELECT id FROM moved", values)  # noqa: S608  parts of this module
        if cursor.fetchone() is None:
            raise RunMoved(draft.session.run_id)
    blobs.committed()
    rows.bring_up(draft, tick, calls, status, len(snapshot or ""), len(tick_row[3]))
    return []


def _further(draft: Draft, tick: int, blobs: BlobWriter, snapshot: str | None) -> list[tuple[str, list[Any]]]:
    """The parts that this advance has, with their values; few combinations, so that each is prepared once."""
    effects = [dict(zip(_EFFECT_NAMES, row, strict=True)) for row in rows.effect_rows(draft, tick, blobs)]
    events = [dict(zip(_EVENT_NAMES, row, strict=True)) for row in rows.event_rows(draft, blobs)]
    gone = [*draft.fired, *draft.dropped_timers]
    found: list[tuple[Any, str, list[Any]]] = [
        (draft.consumed, _CONSUMED, [tick, [one.seq for one in draft.consumed]]),
        (effects, _ASKED, [dumps(effects)]),
        (events, _TOLD, [dumps(events)]),
        (gone, _TIMERS_GONE, [gone]),
        (draft.timers, _TIMERS_SET, [list(draft.timers), list(draft.timers.values())]),
        (snapshot is not None, _SNAPSHOT, [tick, len(snapshot or ""), compress(snapshot) if snapshot else b""]),
        (blobs.pending, _BLOBS, _blob_values(blobs)),
    ]
    return [(part, values) for has, part, values in found if has]


def _blob_values(blobs: BlobWriter) -> list[list[Any]]:
    texts = list(blobs.pending.values())
    return [list(blobs.pending), [len(text) for text in texts], [compress(text) for text in texts]]
