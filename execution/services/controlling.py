"""
What a person, a page or a parent run may do to a run that is alive.

Ending goes through the machine (a ``terminate`` input), so that the journal
says why; pausing does not touch it: answers under way are still kept, and
nothing is fed or sent until the run is resumed.
"""

from __future__ import annotations

from typing import Any

import jsonschema
from django.db import connection, transaction

from execution import states
from execution.errors import AnswerRefused, NotPossible, QuestionClosed, RunFinished
from execution.models import Checkpoint, Effect, Event, Run
from execution.models.effect import Handler
from execution.models.fields import dumps
from execution.models.stored import BlobWriter
from execution.services import advancing, asking, hints, sessions
from execution.services.clock import to_datetime

_ALIVE = ("queued", "running", "waiting")


def cancel(*, run_id: int, now: int, reason: str = "") -> str:
    """End a run and its child runs; the status, ``cancelled``. Raises RunFinished."""
    signal = {"kind": "terminate", "status": "cancelled", "reason": reason or "cancelled by a person"}
    return advancing.advance(run_id=run_id, now=now, signals=[signal]).status


def end_for_limit(*, run_id: int, limit: str, reason: str, now: int, line: int = 0) -> str:
    """End a run whose budget does not cover what it asks next (at ``line``, if known); everything it has is kept."""
    signal = {"kind": "terminate", "status": "failed", "reason": reason, "code": f"opl.limit.{limit}", "line": line}
    try:
        return advancing.advance(run_id=run_id, now=now, signals=[signal]).status
    except RunFinished as error:
        return error.run_status


def assign(*, run_id: int, name: str, value: Any, now: int) -> str:
    """Set a declared parameter of a running script. Raises RunFinished."""
    signal = {"kind": "assign", "name": name, "value": value}
    return advancing.advance(run_id=run_id, now=now, signals=[signal]).status


def pause(*, run_id: int, now: int) -> str:
    """Stop feeding and sending. Raises NotPossible."""
    return _set_status(run_id, states.RunStatus.PAUSED, _ALIVE, "pause", now)


def resume(*, run_id: int, now: int) -> str:
    """Go on; questions that were not sent get the time back that the pause took. Raises NotPossible."""
    since = Event.objects.filter(run_id=run_id, kind="status", name="run:paused").order_by("-sequence").first()
    status = _set_status(run_id, states.RunStatus.QUEUED, (states.RunStatus.PAUSED,), "resume", now)
    if since is not None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE execution_effect SET expires_at = expires_at + %s"
                " WHERE run_id = %s AND expires_at IS NOT NULL AND due_at IS NOT NULL",
                [max(now - since.at, 0), run_id],
            )
    hints.run_ready(run_id)
    return status


def _set_status(run_id: int, status: str, allowed: tuple[str, ...], what: str, now: int) -> str:
    """Change the status outside of the machine, and tell observers."""
    with sessions.lock(run_id):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE execution_run SET status = %s, revision = revision + 1, events_count = events_count + 1"  # noqa: S608
                f" WHERE id = %s AND status IN ({', '.join(['%s'] * len(allowed))}) RETURNING events_count",
                [str(status), run_id, *map(str, allowed)],
            )
            row = cursor.fetchone()
            if row is not None:
                _tell(cursor, run_id, row[0], now, f"run:{status}", {"status": str(status)})
        sessions.drop(run_id)
    if row is None:
        current = Run.objects.values_list("status", flat=True).get(pk=run_id)
        raise RunFinished(run_id, current) if current in states.RUN_ENDED else NotPossible(what, current)
    return str(status)


def _tell(cursor: Any, run_id: int, sequence: int, at: int, name: str, data: Any) -> None:
    cursor.execute(
        "INSERT INTO execution_event (run_id, sequence, at, kind, name, data, branch, line, seq)"
        " VALUES (%s, %s, %s, 'status', %s, %s, '', 0, NULL)",
        [run_id, sequence, at, name, dumps(data)],
    )


# ---------------------------------------------------------------- questions to people


def open_questions(run_id: int) -> list[Effect]:
    """What the run asks people and nobody has answered."""
    return list(Effect.objects.filter(run_id=run_id, handler=Handler.PERSON, tick__isnull=True, status="sent"))


def answer(*, run_id: int, seq: int, value: Any, now: int, by: str = "") -> str:
    """
    Answer a ``human:ask``; the run goes on at once. The status after it.

    Raises:
        QuestionClosed: nobody waits for it (any more).
        AnswerRefused: it is none of the choices, or does not fit the schema.
    """
    effect = Effect.objects.filter(run_id=run_id, seq=seq, handler=Handler.PERSON).first()
    if effect is None or effect.status != "sent":
        raise QuestionClosed(run_id, seq)
    check_answer(effect.data(), value)
    blobs = BlobWriter()
    stored = blobs.put(value)
    with transaction.atomic(), connection.cursor() as cursor:
        blobs.flush(cursor)
        cursor.execute(
            "UPDATE execution_effect SET status = 'done', answer = %s, answered_at = %s, unread = %s, expires_at = NULL,"
            " agent_id = %s WHERE id = %s AND status = 'sent'",
            [stored, now, True, by[:200], effect.pk],
        )
        if cursor.rowcount != 1:
            raise QuestionClosed(run_id, seq)
    blobs.committed()
    return advancing.advance(run_id=run_id, now=now).status


def check_answer(question: dict[str, Any], value: Any) -> None:
    """Raise AnswerRefused unless ``value`` answers the question."""
    choices = question.get("choices")
    if isinstance(choices, list) and choices and value not in choices:
        raise AnswerRefused(f"the answer is one of: {', '.join(map(str, choices))}")
    schema = question.get("schema")
    if not isinstance(schema, dict):
        return
    try:
        error = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(value)), None)
    except Exception:  # the script's own schema cannot be used; then it does not narrow
        return
    if error is not None:
        raise AnswerRefused(f"the answer does not fit what is asked: {error.message}"[:300])


# ---------------------------------------------------------------- in doubt


def resolve(*, run_id: int, seq: int, retry: bool, now: int) -> str:
    """
    Decide about an effect in doubt that waits for a person: ask again, or take it as failed.

    Raises:
        QuestionClosed: it is not in doubt (any more).
    """
    effect = Effect.objects.filter(run_id=run_id, seq=seq, status="in_doubt").first()
    if effect is None:
        raise QuestionClosed(run_id, seq)
    with transaction.atomic(), connection.cursor() as cursor:
        if retry:
            cursor.execute(
                "UPDATE execution_effect SET due_at = %s WHERE id = %s AND epoch = %s AND status = 'in_doubt'",
                [now, effect.pk, effect.epoch],
            )
        else:
            value = asking.failure_value(
                effect.name, effect.agent_id, "in_doubt", "its sender died before an answer was stored"
            )
            cursor.execute(
                "UPDATE execution_effect SET status = 'failed', answer = %s, error_kind = 'in_doubt', answered_at = %s,"
                " unread = %s, due_at = NULL, expires_at = NULL WHERE id = %s AND epoch = %s AND status = 'in_doubt'",
                [dumps(value), now, True, effect.pk, effect.epoch],
            )
        if cursor.rowcount != 1:
            raise QuestionClosed(run_id, seq)
    hints.effects_queued(run_id)
    return advancing.advance(run_id=run_id, now=now).status


def mark(*, run_id: int, now: int, label: str = "", note: Any = None) -> Checkpoint:
    """Name the present place in the journal."""
    tick = Run.objects.values_list("tick", flat=True).get(pk=run_id)
    return Checkpoint.objects.create(
        run_id=run_id, tick=tick, label=label[:200], note=note, created_at=to_datetime(now)
    )
