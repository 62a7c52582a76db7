"""
The end of a run: result, success, outcome, and everything still open closed.

Success is: it ended well, and ``success_when`` (where the pattern has one) is
true. Simulated runs are recorded as such and count in no rate.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from execution.models import Run
from execution.models.fields import dumps
from execution.models.stored import BlobWriter
from execution.services import children, hints, judging
from execution.services.clock import to_datetime
from execution.services.drafting import Draft
from execution.services.world import text
from opl.script.effects import child_result
from registry.models import PatternVersion, Source
from registry.ranking.context import cell_of
from registry.services import analytics, learning


def finish(cursor: Any, draft: Draft, blobs: BlobWriter) -> None:
    """Write the end of the run, inside the transaction of its last advance."""
    session, end = draft.session, draft.end
    assert end is not None
    verdict = judging.judge(session, end)
    ended_at = to_datetime(draft.at)
    cursor.execute(
        "UPDATE execution_run SET ended_at = %s, result = %s, error = %s, succeeded = %s, score = %s,"
        " deadline_at = NULL, open_calls = 0 WHERE id = %s",
        [
            connection.ops.adapt_datetimefield_value(ended_at),
            blobs.put(end["result"]),
            None if end["error"] is None else dumps(end["error"]),
            verdict.succeeded,
            verdict.score,
            session.run_id,
        ],
    )
    close_open(cursor, session.run_id, session.tick + 1)
    if session.parent_effect is not None:
        reply = child_result(
            run_id=session.run_id,
            status=str(end["status"]),
            succeeded=verdict.succeeded,
            result=end["result"],
            error=end["error"],
        )
        children.answer_parent(session.parent_effect, reply, draft.at)
    record(session.run_id, session.version_id, verdict, ended_at)
    transaction.on_commit(lambda: hints.run_ready(session.run_id))


def close_open(cursor: Any, run_id: int, tick: int) -> None:
    """Nothing of this run is waited for any more: what is held back is given back, timers go."""
    cursor.execute(
        "SELECT COALESCE(SUM(tokens), 0), COALESCE(SUM(cost), 0), COALESCE(SUM(reserved_tokens), 0),"
        " COALESCE(SUM(reserved_cost), 0) FROM execution_effect WHERE run_id = %s AND tick IS NULL"
        " AND closed_tick IS NULL",
        [run_id],
    )
    tokens, cost, reserved_tokens, reserved_cost = (int(value) for value in cursor.fetchone())
    if tokens or cost or reserved_tokens or reserved_cost:
        from execution.services import budgeting

        for table, row_id in list(budgeting.levels(cursor, run_id)):
            budgeting.add(
                cursor,
                table,
                row_id,
                tokens=tokens,
                cost=cost,
                reserved_tokens=-reserved_tokens,
                reserved_cost=-reserved_cost,
            )
    cursor.execute(
        "UPDATE execution_effect SET status = CASE WHEN status IN ('queued', 'sent', 'in_doubt') THEN 'cancelled'"
        " ELSE status END, worker_id = NULL, due_at = NULL, expires_at = NULL, unread = %s, closed_tick = %s, reserved_tokens = 0,"
        " reserved_cost = 0 WHERE run_id = %s AND tick IS NULL AND closed_tick IS NULL",
        [False, tick, run_id],
    )
    cursor.execute("DELETE FROM execution_timer WHERE run_id = %s", [run_id])


def record(run_id: int, version_id: int, verdict: judging.Verdict, ended_at: Any) -> None:
    """Tell the registry how it went; a cancelled run says nothing about its pattern, a trial's run counts in its trial."""
    run = Run.objects.get(pk=run_id)
    if verdict.outcome is None or "shadow" in run.policy or "strategy" in run.policy:
        return  # a strategy inside of a flow is a part of it, and says nothing by itself
    context = run.policy.get("context")
    duration = (ended_at - (run.started_at or ended_at)).total_seconds()
    analytics.record_outcome(
        run_key=str(run_id),
        version=PatternVersion.objects.select_related("pattern").get(pk=version_id),
        source=Source.SIMULATED if run.simulated else Source.MEASURED,
        succeeded=verdict.succeeded,
        ended_at=ended_at,
        reporter=run.started_by,
        cell=cell_of(context) if isinstance(context, dict) else "",
        failure_type=verdict.outcome,
        quality=verdict.score,
        duration_seconds=max(duration, 0.0),
        cost_usd=run.cost_usd,
        tokens=run.tokens_used,
    )


def keep_decisions(draft: Draft) -> None:
    """Decisions and fired rules of this advance, into the decision log."""
    session = draft.session
    if not draft.decisions or "shadow" in session.policy:
        return
    version = PatternVersion.objects.select_related("pattern").get(pk=session.version_id)
    for place, told in enumerate(draft.decisions):
        data = told.data if isinstance(told.data, dict) else {}
        is_rule = told.kind == "rule"
        kind = data.get("action") if is_rule else data.get("decision_type", data.get("decision"))
        context = {"condition": data.get("condition")} if is_rule else data.get("context")
        confidence = data.get("confidence")
        learning.record_decision(
            decision_type=text(kind) or "decision",
            now=to_datetime(draft.at),
            version=version,
            context=context,
            rationale=text(data.get("rationale")),
            outcome=text(data.get("outcome")),
            confidence=float(confidence) if isinstance(confidence, int | float) else None,
            made_by="rule" if is_rule else text(data.get("agent_id")) or "script",
            run_key=str(session.run_id),
            effect_key=f"{session.tick + 1}/{place}",
            source=Source.SIMULATED if session.simulated else Source.MEASURED,
        )
