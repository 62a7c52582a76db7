"""
Advancing a run: what is ready goes into the machine, what it decides becomes rows.

    read what is ready → machine.step → one transaction (journal.write)

Nothing of this needs a worker: a page that answers a question, a command and
the workers all call ``advance``. Whoever committed an answer advances the run
itself; two who try at once are sorted out by the run's revision.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connection

from execution import states, telemetry
from execution.errors import JournalBroken, RunFinished, RunMoved
from execution.models import hot
from execution.models.stored import load_many
from execution.services import faults, hints, isolating, journal, sessions
from execution.services.asking import Delivery
from execution.services.drafting import Claim, Draft, Ready, Told
from execution.services.sessions import Session

log = logging.getLogger(__name__)

TRIES = 20
READY_AT_ONCE = 100  # answers that a run with turns is given in one advance
ALL = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """What came of it."""

    status: str  # of the run; "" where there is none
    moved: bool = False  # whether a tick was written
    deliveries: Sequence[Delivery] = field(default_factory=tuple)  # claimed by the caller, to be sent now
    others: Sequence[int] = field(default_factory=tuple)  # runs that can go on now: children, or the parent
    again: bool = False  # the run itself can go on, in a turn of its own: others first


def advance(*, run_id: int, now: int, claim: Claim | None = None, signals: Sequence[dict[str, Any]] = ()) -> Advanced:
    """
    Feed everything that is ready to a run and persist what it decides, in one transaction.

    Args:
        now: milliseconds, chosen by the caller and journaled, so that replay sees the same clock.
        claim: the worker that will send what is asked; None leaves it to the queue.
        signals: further inputs of the machine (``terminate``, ``assign``); they work on a paused run too.

    Returns:
        The status after it. A run that is paused, ended, or has nothing ready stays as it is.

    Raises:
        RunFinished: there are signals, and the run has ended.
        RunMoved: others were faster twenty times in a row.
    """
    with sessions.lock(run_id), telemetry.about(run_id):
        for _ in range(TRIES):
            try:
                return _advance_once(run_id, now, claim, signals)
            except RunMoved:
                sessions.drop(run_id)
    raise RunMoved(run_id)


def _advance_once(run_id: int, now: int, claim: Claim | None, signals: Sequence[dict[str, Any]]) -> Advanced:
    session = sessions.take(run_id)
    if session is None:
        return Advanced(status="")
    if session.status in states.RUN_ENDED:
        if signals:
            raise RunFinished(run_id, session.status)
        return Advanced(status=session.status)
    if session.status == states.RunStatus.PAUSED and not signals:
        return Advanced(status=session.status)
    ready, timers = what_is_ready(session, now)
    if not (ready or timers or signals) and session.tick:
        if settle_status(session):
            sessions.keep(session)
        return Advanced(status=session.status)
    draft = Draft(session, now, claim)
    try:
        draft.feed(ready, timers, signals)
    except Exception as error:
        return fail(session, now, error)
    begun = journal.write(draft)
    faults.reach("advanced")
    cut = draft.gave_way or (draft.turn is not None and len(ready) == READY_AT_ONCE)
    return replace(_after(draft, begun), again=cut and draft.end is None)


def _after(draft: Draft, begun: list[int]) -> Advanced:
    """The rows are there: keep the session, tell whoever has something to do now."""
    session = draft.session
    telemetry.advanced(draft)
    deliveries = [asked.delivery for asked in draft.asked.values() if asked.delivery is not None]
    queued = any(a.handler == "agent" and a.delivery is None and a.reused is None for a in draft.asked.values())
    if draft.end is None:
        if session.status == states.RunStatus.RUNNING or session.bytes_since:
            sessions.keep(session)
        if queued:
            hints.effects_queued(session.run_id)
    others = [
        *begun,
        *([session.run_id] if draft.operations else []),
        *([session.parent_id] if draft.end is not None and session.parent_id is not None else []),
    ]
    for other in others:
        hints.run_ready(other)
    if draft.end is not None:
        end_children(session.run_id, str(draft.end["status"]), draft.at)
    return Advanced(status=session.status, moved=True, deliveries=deliveries, others=others)


def what_is_ready(session: Session, now: int) -> tuple[list[Ready], list[int]]:
    """Answers that the machine has not had, in order of arrival, and the timers that are due."""
    most = READY_AT_ONCE if isolating.turn(session) is not None else ALL
    if session.handed and session.timers is not None and not session.timers:
        return session.handed[:most], []
    with hot.cursor() as cursor:
        cursor.execute(
            "SELECT seq, answer, replies, handler, tokens, cost, reserved_tokens, reserved_cost, error_kind,"
            " duration_seconds FROM execution_effect WHERE run_id = %s AND unread ORDER BY answered_at, seq LIMIT %s",
            [session.run_id, most],
        )
        rows = cursor.fetchall()
        # A session that has moved on since is found out when it writes; one that finds nothing asks the rows.
        timers = _due_timers(cursor, session, now) if session.timers or not rows or session.timers is None else []
    values = load_many(row[1] for row in rows)
    return [Ready(row[0], value, bool(row[2]), *row[3:]) for row, value in zip(rows, values, strict=True)], timers


def _due_timers(cursor: Any, session: Session, now: int) -> list[int]:
    """The timers that are due, earliest first; the session learns which there are."""
    cursor.execute(
        "SELECT number, due_at FROM execution_timer WHERE run_id = %s ORDER BY due_at, number", [session.run_id]
    )
    rows = cursor.fetchall()
    session.timers = {row[0] for row in rows}
    if session.open_calls and isolating.in_batches(session.policy):
        # A batch takes up to a day: the script's own time stands still until it has its answers.
        return []
    return [number for number, due in rows if due <= now]


def settle_status(session: Session) -> bool:
    """A run taken up again (resumed, or recovered) says what it waits for; False where somebody else moved it."""
    if session.status != states.RunStatus.QUEUED:
        return True
    status = states.RunStatus.RUNNING if session.open_calls else states.RunStatus.WAITING
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE execution_run SET status = %s, revision = revision + 1 WHERE id = %s AND revision = %s",
            [str(status), session.run_id, session.revision],
        )
        if cursor.rowcount != 1:
            return False
    session.status, session.revision = str(status), session.revision + 1
    return True


def fail(session: Session, now: int, error: Exception) -> Advanced:
    """
    The machine itself broke: a fault of ours. The run ends as failed, with everything kept.

    The journal up to the last tick is intact; what was being decided is thrown away.
    """
    log.exception("run %s broke its machine", session.run_id, extra={"run_id": session.run_id})
    fresh = sessions.read_row(session.run_id)
    if fresh is None or fresh.revision != session.revision:
        raise RunMoved(session.run_id)
    draft = Draft(fresh, now, None)
    code = str(getattr(error, "code", "execution.machine"))
    message = f"the machine failed: {error}" if isinstance(error, JournalBroken) else f"a fault of the hub: {error!r}"
    told = {"code": code, "message": message[:1000], "line": 0, "column": 0}
    draft.end = {"kind": "end", "status": "failed", "result": None, "error": told, "at": draft.at}
    draft.told.append(Told(kind="status", name="run:broken", data=told))
    fresh.state = None
    journal.write(draft)
    return _after(draft, [])


def end_children(run_id: int, status: str, now: int) -> None:
    """Children of a run that ended otherwise than by waiting for them are cancelled."""
    from execution.models import Run
    from execution.services import controlling

    for child in Run.objects.alive().filter(parent_id=run_id).values_list("pk", flat=True):
        try:
            controlling.cancel(run_id=child, now=now, reason=f"its parent run {run_id} ended as {status}")
        except RunFinished:
            continue
