"""
The rows that an advance becomes, as values: what ``journal`` writes one by one and ``at_once`` in one statement.

Nothing here talks to the database.
"""

from __future__ import annotations

from typing import Any

from execution.models.effect import Handler
from execution.models.fields import dumps
from execution.models.stored import BlobWriter
from execution.services.drafting import Asked, Draft, Told, expiry
from execution.services.sessions import Session

SNAPSHOT_TICKS = 20
SNAPSHOT_BYTES = 64 * 1024
# A large state is written less often: at most this many of its bytes per tick, so that saving it
# never costs more than the tick itself. Replaying a hundred ticks takes milliseconds.
BYTES_PER_TICK = 16 * 1024
UNBOUND = 2**62

# Compare and swap of the run's row; the values are those of ``run_values``.
MOVE_RUN = (
    "UPDATE execution_run SET revision = revision + 1, tick = %s, clock = %s, status = %s, events_count = %s,"
    " open_calls = %s, tokens_used = tokens_used + %s, tokens_reserved = tokens_reserved + %s,"
    " cost_used = cost_used + %s, cost_reserved = cost_reserved + %s WHERE id = %s AND revision = %s"
    " AND (tokens_limit IS NULL OR tokens_used + tokens_reserved + %s <= tokens_limit)"
    " AND (cost_limit IS NULL OR cost_used + cost_reserved + %s <= cost_limit)"
)

# The same for a run's first advance, in one version of its row: another one would be as large on PostgreSQL.
BEGIN_RUN = MOVE_RUN.replace(" SET ", " SET started_at = COALESCE(started_at, %s), ", 1)


def run_values(draft: Draft, tick: int, calls: int, status: str) -> list[Any]:
    """The values of ``MOVE_RUN``."""
    session = draft.session
    return [
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
    ]


EFFECT_COLUMNS = (
    "run_id, seq, key, request_hash, replies, name, handler, agent_id, request, shape, line, timeout_seconds, status,"
    " epoch, attempts, doubts, worker_id, due_at, expires_at, emitted_at, sent_at, answered_at, emitted_tick, unread,"
    " tick, closed_tick, answer, error_kind, duration_seconds, tokens, cost, reserved_tokens, reserved_cost,"
    " reused_from"
)
TICK_COLUMNS = "run_id, number, at, inputs, last_event"
EVENT_COLUMNS = "run_id, sequence, at, kind, name, data, branch, line, seq"


def settled_status(draft: Draft, calls: int) -> str:
    """The run's status after this, told to observers where it changed; ``calls`` questions to agents are open."""
    status = draft.status if draft.end is not None or calls else "waiting"
    if status != draft.session.status:
        draft.told.append(Told(kind="status", name=f"run:{status}", data={"status": status}))
    return status


def tick_row(draft: Draft, tick: int, blobs: BlobWriter) -> tuple[int, int, int, str, int]:
    """The tick, in the order of ``TICK_COLUMNS``."""
    session = draft.session
    return session.run_id, tick, draft.at, blobs.put(draft.rounds), session.events_count + len(draft.told)


def effect_rows(draft: Draft, tick: int, blobs: BlobWriter) -> list[tuple[Any, ...]]:
    """The new effects, in the order of ``EFFECT_COLUMNS``."""
    closed = set(draft.closed)
    return [effect_row(draft, asked, tick, blobs, asked.seq in closed) for asked in draft.asked.values()]


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


def event_rows(draft: Draft, blobs: BlobWriter) -> list[tuple[Any, ...]]:
    """What observers are told, numbered without gaps, in the order of ``EVENT_COLUMNS``."""
    session = draft.session
    return [
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


def due_snapshot(session: Session, tick: int, bytes_now: int) -> str | None:
    """The text of the state where it is to be saved with this tick, None where it is not."""
    ticks = tick - session.snapshot_tick
    due = ticks >= SNAPSHOT_TICKS or session.bytes_since + bytes_now >= SNAPSHOT_BYTES
    if not due or ticks * BYTES_PER_TICK < session.snapshot_bytes:
        return None
    return dumps(session.state)


def bring_up(draft: Draft, tick: int, calls: int, status: str, snapshot: int, tick_bytes: int) -> None:
    """The rows are there: the session says the same. ``snapshot`` is the size of one that was saved, or 0."""
    session = draft.session
    session.world.written()
    session.revision += 1
    session.tick, session.clock, session.status, session.open_calls = tick, draft.at, status, calls
    session.events_count += len(draft.told)
    session.tokens_used += draft.used_tokens
    session.cost_used += draft.used_cost
    session.tokens_reserved += draft.reserved_tokens
    session.cost_reserved += draft.reserved_cost
    session.started = True
    session.handed = []
    if session.timers is not None:
        session.timers = {*session.timers, *draft.timers}.difference(draft.fired, draft.dropped_timers)
    if snapshot:
        session.snapshot_tick, session.snapshot_bytes, session.bytes_since = tick, snapshot, 0
    else:
        session.bytes_since += tick_bytes
