"""
What observers were told so far, across branches, and what an orchestrator has not heard yet.

A branch has the events of the run it left up to the tick it left at, then its
own. What the present advance tells stands in its draft, not in rows yet.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from execution.models import Event, Run, Tick
from execution.models.stored import load_many
from opl.script.values import to_text

MOST_NOTES = 50
MOST_EVENTS = 1000
UNHEARD = ("primitive:pending_notes", "primitive:check_tool")  # the guided script's own housekeeping


@dataclass(frozen=True, slots=True)
class Past:
    """One event."""

    kind: str
    name: str
    data: Any


def segments(run_id: int) -> list[tuple[int, int | None]]:
    """Whose events make up a run's history: ``(run, last sequence)`` from the origin on; None for all."""
    parts: list[tuple[int, int | None]] = [(run_id, None)]
    current = run_id
    while True:
        row = Run.objects.filter(pk=current).values_list("forked_from_id", "forked_at_tick").first()
        if row is None or row[0] is None or not row[1]:
            return parts[::-1]
        current = row[0]
        parts.append((current, _told_at(current, row[1])))


def _told_at(run_id: int, tick: int) -> int:
    """The sequence of the last event of a run after its tick; 0 for a tick that its own origin has."""
    found = Tick.objects.filter(run_id=run_id, number__lte=tick).order_by("-number")
    return found.values_list("last_event", flat=True).first() or 0


def events(run_id: int, told: Iterable[Any] = ()) -> Iterator[Past]:
    """All events of a run in order, those of the present advance last."""
    for owner, last in segments(run_id):
        rows = Event.objects.filter(run_id=owner)
        if last is not None:
            rows = rows.filter(sequence__lte=last)
        listed = list(rows.order_by("sequence").values_list("kind", "name", "data"))
        for (kind, name, _), value in zip(listed, load_many(row[2] for row in listed), strict=True):
            yield Past(kind, name, value)
    for each in told:
        yield Past(each.kind, each.name, each.data)


def observed(run_id: int, data: Any, told: list[Any]) -> dict[str, Any]:
    """The answer to ``observe_events``: the subscription's number, and what matched it already."""
    patterns = _patterns(data)
    found = list(events(run_id, told))
    number = sum(each.name == "primitive:observe_events" for each in found)
    matching = [each for each in found if _matches(each, patterns)]
    shown = [{"name": each.name, "data": each.data} for each in matching[-MOST_EVENTS:]]
    return {"subscription": number, "patterns": patterns, "events": shown}


def pending_notes(run_id: int, told: list[Any]) -> list[dict[str, Any]]:
    """What happened since the orchestrator was told last: rules that fired, and what it observes."""
    subscriptions: list[tuple[list[str], Any]] = []
    fresh: list[Past] = []
    for each in events(run_id, told[:-1]):  # the last one is the question itself
        if each.name == "primitive:pending_notes":
            fresh = []
            continue
        if each.name == "primitive:observe_events" and isinstance(each.data, dict):
            subscriptions.append((_patterns(each.data), each.data.get("callback")))
        fresh.append(each)
    notes = [note for each in fresh if (note := _note(each, subscriptions)) is not None]
    left_out = len(notes) - MOST_NOTES
    return notes if left_out <= 0 else [{"note": f"{left_out} earlier ones are left out"}, *notes[-MOST_NOTES:]]


def _note(each: Past, subscriptions: list[tuple[list[str], Any]]) -> dict[str, Any] | None:
    if each.kind == "rule":
        return {"rule_fired": each.data}
    for patterns, callback in subscriptions:
        if _matches(each, patterns):
            meant = {"you_meant_to": callback} if callback else {}
            return {"event": each.name, "data": each.data, **meant}
    return None


def chosen_strategy(run_id: int, told: list[Any]) -> str | None:
    """The strategy that a rule chose since the last time a stage used one; None where no rule did."""
    chosen = None
    for each in events(run_id, told[:-1]):
        if each.name == "strategy:use":
            chosen = None
        elif each.kind == "rule" and isinstance(each.data, dict) and each.data.get("use"):
            chosen = str(each.data["use"])
    return chosen


def _patterns(data: Any) -> list[str]:
    given = data.get("patterns") if isinstance(data, dict) else None
    return [to_text(each) for each in (given if isinstance(given, list) else [given]) if each is not None]


def _matches(each: Past, patterns: list[str]) -> bool:
    if each.kind not in ("event", "decision") or each.name in UNHEARD:
        return False
    return any(fnmatch.fnmatchcase(each.name, pattern) for pattern in patterns)
