"""
What a live page is told of runs: the feed behind ``/live/runs/<id>``.

One query a round for all watched runs: each has a sequence it was read up to,
and what lies past it comes in order. A run that has ended says so with its
last message, so that its streams can end too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from execution.models import Effect, Event, Run
from execution.models.stored import load_many
from execution.services import engine, past, sessions
from execution.states import RUN_ENDED

BATCH = 500  # events of one page
ROUND_LIMIT = 2000  # events read at once; what is left comes in the next round


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMessage:
    """One event of a run, as ``hub.live`` sends it."""

    sequence: int
    name: str
    data: Mapping[str, Any]
    last: bool = False


class RunFeed:
    """Implements ``hub.live.Feed`` for runs; a subject is a run's id."""

    def may_watch(self, user_id: int | None, subject: str) -> bool:
        """Whether this person may see the run; False for an id that is none."""
        if not subject.isdecimal() or len(subject) > 18:
            return False
        user = get_user_model().objects.filter(pk=user_id).first() if user_id is not None else None
        return Run.objects.visible_to(user).filter(pk=int(subject)).exists()

    def is_over(self, subject: str, after: int) -> bool:
        """Whether the run has ended and told nothing past this sequence."""
        return Run.objects.filter(pk=int(subject), status__in=RUN_ENDED, events_count__lte=after).exists()

    def read(self, after: Mapping[str, int]) -> Mapping[str, list[RunMessage]]:
        """The new events of every watched run."""
        wanted = Q(pk__in=[])
        for subject, sequence in after.items():
            wanted |= Q(run_id=int(subject), sequence__gt=sequence)
        events = list(Event.objects.filter(wanted).order_by("run_id", "sequence")[:ROUND_LIMIT])
        ended = dict(
            Run.objects.filter(pk__in=[int(subject) for subject in after], status__in=RUN_ENDED).values_list(
                "pk", "events_count"
            )
        )
        messages: dict[str, list[RunMessage]] = {subject: [] for subject in after}
        for event in events:
            messages[str(event.run_id)].append(_message(event, last=ended.get(event.run_id) == event.sequence))
        return messages


def _message(event: Event, *, last: bool) -> RunMessage:
    return RunMessage(sequence=event.sequence, name=event.kind, data=events_json([event])[0], last=last)


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


def history(run_id: int) -> list[dict[str, Any]]:
    """
    All events of a run, those of the runs it branched off from first: as ``events_json``, with ``run``.

    Of an origin only what was told up to the tick at which the branch left.
    """
    found = []
    for owner, last in past.segments(run_id):
        rows = Event.objects.filter(run_id=owner)
        if last is not None:
            rows = rows.filter(sequence__lte=last)
        found += [{**each, "run": owner} for each in events_json(list(rows.order_by("sequence")))]
    return found


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


def state_json(run: Run) -> dict[str, Any]:
    """What the run holds now: ``{variables, agents, entities, tracked, decisions}``."""
    entities = list(run.entities.all())
    return {
        "variables": variables_of(run),
        "agents": [
            {"agent_id": row.agent_id, "profile": row.profile, "active": row.active, "spawned_at": row.spawned_at}
            for row in run.agents.all()
        ],
        "entities": [
            {"type": row.type or None, "id": row.entity_id, "properties": value}
            for row, value in zip(entities, load_many(row.properties for row in entities), strict=True)
        ],
        "tracked": tracked(run.pk),
        "decisions": decisions(run.pk),
    }


def variables_of(run: Run) -> dict[str, Any]:
    """The variables of the script's outermost scope, after the run's last tick."""
    session = sessions.load_session(run.pk)
    if session is None or session.state is None:
        return run.input_values()
    return engine.variables(session.state)
