"""
What a live page is told of runs: the feed behind ``/live/runs/<id>``.

One query a round for all watched runs: each has a sequence it was read up to,
and what lies past it comes in order. A run that has ended says so with its
last message, so that its streams can end too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from execution.models import Event, Run
from execution.states import RUN_ENDED

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
    return RunMessage(
        sequence=event.sequence,
        name=event.kind,
        data={
            "sequence": event.sequence,
            "at": event.at,
            "kind": event.kind,
            "name": event.name,
            "data": event.value(),
            "branch": event.branch,
            "line": event.line,
            "seq": event.seq,
        },
        last=last,
    )
