"""
What observers read: the events of runs past a sequence, for pages and streams.

``RunFeed`` is what the hub's server-sent events ask (hub/live.py): one query
for all runs that anybody watches, however many they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from execution import states
from execution.models import Effect, Event, Run
from execution.models.stored import load_many
from registry.models import User

BATCH = 500  # events of one run in one read; the next read goes on behind them


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event of a run, as a stream sends it."""

    sequence: int  # counts from 1, without gaps
    name: str  # the SSE event type: the event's kind
    data: Mapping[str, Any]
    last: bool = False  # the run has ended, and this was its last event


class RunFeed:
    """The events of runs, for the hub's tailer."""

    def may_watch(self, user_id: int | None, subject: str) -> bool:
        """Whether this person may see the run ``subject`` (its id as text)."""
        if not is_id(subject):
            return False
        user = User.objects.filter(pk=user_id).first() if user_id is not None else None
        return Run.objects.visible_to(user).filter(pk=int(subject)).exists()

    def read(self, after: Mapping[str, int]) -> Mapping[str, list[Message]]:
        """For each run the messages past the given sequence, in order."""
        wanted = {int(subject): sequence for subject, sequence in after.items() if is_id(subject)}
        if not wanted:
            return {}
        news = Run.objects.filter(pk__in=wanted).values_list("pk", "events_count", "status")
        behind = {pk: (count, status) for pk, count, status in news if count > wanted[pk]}
        if not behind:
            return {}
        window = Q()
        for pk in behind:
            window |= Q(run_id=pk, sequence__gt=wanted[pk], sequence__lte=wanted[pk] + BATCH)
        rows = list(Event.objects.filter(window).order_by("run_id", "sequence"))
        messages: dict[str, list[Message]] = defaultdict(list)
        for row, shown in zip(rows, events_json(rows), strict=True):
            count, status = behind[row.run_id]
            last = row.sequence == count and status in states.RUN_ENDED
            messages[str(row.run_id)].append(Message(sequence=row.sequence, name=row.kind, data=shown, last=last))
        return messages


def is_id(text: str) -> bool:
    """Whether ``text`` may be a run's id."""
    return text.isascii() and text.isdecimal() and len(text) < 18


def events_json(rows: list[Event]) -> list[dict[str, Any]]:
    """Events as API and streams show them: ``{sequence, at, kind, name, data, branch, line, seq}``, ``at`` in ms."""
    values = load_many(row.data for row in rows)
    return [
        {
            "sequence": row.sequence,
            "at": row.at,
            "kind": row.kind,
            "name": row.name,
            "data": value,
            "branch": row.branch,
            "line": row.line,
            "seq": row.seq,
        }
        for row, value in zip(rows, values, strict=True)
    ]


def events_after(run_id: int, sequence: int, limit: int = BATCH) -> list[dict[str, Any]]:
    """The next events of one run."""
    return events_json(list(Event.objects.filter(run_id=run_id, sequence__gt=sequence)[:limit]))


def tracked(run_id: int) -> dict[str, list[tuple[int, float]]]:
    """The numeric fields of a run's TRACK statements over time: ``{name: [(ms, value), …]}``."""
    rows = list(Event.objects.filter(run_id=run_id, kind="track"))
    series: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row, value in zip(rows, load_many(row.data for row in rows), strict=True):
        for name, number in value.items() if isinstance(value, dict) else ():
            if isinstance(number, int | float) and not isinstance(number, bool):
                series[name].append((row.at, float(number)))
    return dict(series)


def decisions(run_id: int) -> list[dict[str, Any]]:
    """The decisions and fired rules of a run, in order."""
    return events_json(list(Event.objects.filter(run_id=run_id, kind__in=("decision", "rule"))))


def state_of(run: Run) -> Any:
    """The machine's state after the run's last tick, None before it started. Costs a replay of at most 20 ticks."""
    from execution.services import sessions

    session = sessions.load_session(run.pk)
    return session.state if session is not None else None


def effects_json(rows: list[Effect]) -> list[dict[str, Any]]:
    """Effects as the API shows them."""
    values = load_many(column for row in rows for column in (row.request, row.answer))
    return [
        {
            "seq": row.seq,
            "key": row.key,
            "name": row.name,
            "handler": row.handler,
            "agent_id": row.agent_id,
            "request": values[2 * place],
            "answer": values[2 * place + 1],
            "status": row.status,
            "attempts": row.attempts,
            "doubts": row.doubts,
            "error": row.error_kind or None,
            "line": row.line,
            "emitted_at": row.emitted_at,
            "sent_at": row.sent_at,
            "answered_at": row.answered_at,
            "duration_seconds": row.duration_seconds,
            "tokens": row.tokens,
            "cost_usd": row.cost / 1_000_000,
            "reused_from": row.reused_from,
        }
        for place, row in enumerate(rows)
    ]
