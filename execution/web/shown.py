"""
A run as its page shows it: rows read once, turned into words, bars and lines.

The newest ``MOST_EVENTS`` events and ``MOST_EFFECTS`` effects are shown; the
API has all of them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from execution.models import Effect, Event, Run
from execution.models.effect import Handler
from execution.models.stored import load_many
from execution.services import controlling, watching
from execution.web.timeline import Bar, Mark, timeline
from registry.web.charts.curves import sparkline
from registry.web.drawing import script_lines
from registry.web.facts import as_text, shorten
from registry.web.highlight import language_of
from registry.web.problems import ShownProblem

MOST_EVENTS, MOST_EFFECTS, MOST_MARKS = 150, 400, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEvent:
    """One line of the list of events."""

    sequence: int
    at: float  # seconds after the run began
    kind: str
    name: str
    text: str
    line: int
    seq: int | None  # of the effect that has a page of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """One tracked number."""

    name: str
    last: str
    picture: SafeString | str  # "" for a single value


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """Everything on the page of a run."""

    run: Run
    events: Sequence[ShownEvent]  # newest first
    timeline: SafeString | str
    tracked: Sequence[Tracked]
    decisions: Sequence[Mapping[str, Any]]
    variables: Sequence[tuple[str, str]]
    questions: Sequence[Mapping[str, Any]]
    doubts: Sequence[Effect]
    progress: int | None  # percent, where the script tracks it
    line: int | None  # where it is, while it is alive
    language: str
    first_line: int  # of the script in its source
    last_line: int | None
    result: str
    result_is_text: bool
    error: Mapping[str, Any] | None
    problems: Sequence[ShownProblem] = ()  # the error at its line of the script
    effects_count: int = 0
    children: Sequence[Run] = field(default_factory=tuple)


def shown_run(run: Run) -> ShownRun:
    """Read what the page needs; a handful of queries, whatever the run's length."""
    began = _began(run)
    events = list(Event.objects.filter(run=run).order_by("-sequence")[:MOST_EVENTS])
    effects = list(Effect.objects.filter(run=run).order_by("-seq").defer("request", "answer", "shape")[:MOST_EFFECTS])
    series = watching.tracked(run.pk)
    first_line, last_line = script_lines(run.version.digest, run.version.source_bytes)
    result = run.result_value() if run.has_ended else None
    return ShownRun(
        run=run,
        events=_events(events, began, {effect.seq for effect in effects}),
        timeline=_timeline(run, events, effects[::-1], began),
        tracked=_tracked(series),
        decisions=_decisions(run.pk),
        variables=_variables(run),
        questions=_questions(run),
        doubts=[effect for effect in effects if effect.status == "in_doubt" and effect.due_at is None],
        progress=_progress(series),
        line=None if run.has_ended else next((event.line for event in events if event.line), None),
        language=language_of(run.version.envelope),
        first_line=first_line,
        last_line=last_line,
        result=result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, indent=2),
        result_is_text=isinstance(result, str),
        error=run.error,
        problems=_problems(run.error),
        effects_count=len(effects),
        children=list(run.children.for_list().order_by("pk")[:50]),
    )


def _problems(error: Mapping[str, Any] | None) -> list[ShownProblem]:
    """Why a run failed, for the margin of its script."""
    if not error or not error.get("line"):
        return []
    return [
        ShownProblem(
            severity="error",
            message=str(error["message"]),
            hint="",
            code=str(error["code"]),
            line=int(error["line"]),
            column=int(error.get("column") or 0),
            shown=None,
        )
    ]


def _began(run: Run) -> int:
    """Milliseconds since the epoch at which the run's time begins."""
    return int((run.started_at or run.created_at).timestamp() * 1000)


def _events(rows: Sequence[Event], began: int, asked: Collection[int]) -> list[ShownEvent]:
    values = load_many(row.data for row in rows)
    return [
        ShownEvent(
            sequence=row.sequence,
            at=max(0, row.at - began) / 1000,
            kind=row.kind,
            name=row.name,
            text="" if (said := _said(row.kind, value)) == row.name.partition(":")[2] else said,
            line=row.line,
            seq=row.seq if row.seq in asked else None,
        )
        for row, value in zip(rows, values, strict=True)
    ]


def _said(kind: str, value: Any) -> str:
    """What an event says, on one line."""
    if isinstance(value, dict):
        if kind == "decision":
            return shorten(f"{as_text(value.get('decision_type'))}: {as_text(value.get('rationale'))}", 160)
        for key in ("message", "reason", "output", "status", "question", "prompt"):
            if isinstance(value.get(key), str) and value[key]:
                return shorten(" ".join(value[key].split()), 160)
        if kind in ("track", "event"):
            return shorten(", ".join(f"{key} {_brief(item)}" for key, item in value.items()), 160)
    return shorten(as_text(value), 160) if value not in (None, {}) else ""


def _brief(value: Any) -> str:
    """A value in a line of others: numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else as_text(value)


def _timeline(run: Run, events: Sequence[Event], effects: Sequence[Effect], began: int) -> SafeString | str:
    marks = [Mark(at=max(began, row.at), kind=row.kind) for row in events if row.kind != "reply"][:MOST_MARKS]
    if not effects and not marks:
        return ""
    bars = [_bar(run, effect, began) for effect in effects]
    ends = [*(mark.at for mark in marks), *(bar.ended_at or bar.asked_at for bar in bars), run.clock, began + 1]
    return timeline(bars, marks, start=began, end=max(ends), title=_("What run %(id)d did when") % {"id": run.pk})


def _bar(run: Run, effect: Effect, began: int) -> Bar:
    who = {Handler.PERSON: _("a person"), Handler.CHILD: _("another run")}.get(Handler(effect.handler), effect.agent_id)
    return Bar(
        row=who or effect.name,
        asked_at=max(began, effect.emitted_at),
        sent_at=effect.sent_at,
        ended_at=effect.answered_at,
        status=effect.status,
        label=_("%(who)s, %(status)s, line %(line)d")
        % {"who": who or effect.name, "status": effect.status.replace("_", " "), "line": effect.line},
        href=reverse("execution:effect", args=[run.pk, effect.seq]),
        ends_as=effect.error_kind,
    )


def _tracked(series: Mapping[str, Sequence[tuple[int, float]]]) -> list[Tracked]:
    shown = []
    for name, points in list(series.items())[:24]:
        values = [value for _at, value in points]
        last = f"{values[-1]:.4g}"
        shown.append(
            Tracked(name=name, last=last, picture=sparkline(values[-200:], title=name) if len(values) > 1 else "")
        )
    return shown


def _progress(series: Mapping[str, Sequence[tuple[int, float]]]) -> int | None:
    points = series.get("progress_percent") or series.get("progress")
    return max(0, min(100, round(points[-1][1]))) if points else None


def _decisions(run_id: int) -> list[dict[str, Any]]:
    shown = []
    for row in watching.decisions(run_id)[-60:]:
        data = row["data"] if isinstance(row["data"], dict) else {}
        what = data.get("decision_type") or data.get("decision") or data.get("action") or row["name"]
        condition = f"{data['condition']} → " if row["kind"] == "rule" and data.get("condition") else ""
        shown.append(
            {
                "is_rule": row["kind"] == "rule",
                "what": f"{condition}{as_text(what)}",
                "why": as_text(data.get("rationale")),
                "line": row["line"],
            }
        )
    return shown


def _variables(run: Run) -> list[tuple[str, str]]:
    return [(name, shorten(as_text(value), 2000)) for name, value in watching.variables_of(run).items()]


def _questions(run: Run) -> list[dict[str, Any]]:
    """What the run asks people, with the field that takes the answer."""
    if run.has_ended:
        return []
    return [_question(effect) for effect in controlling.open_questions(run.pk)]


def _question(effect: Effect) -> dict[str, Any]:
    data = effect.data()
    choices, schema = data.get("choices"), data.get("schema")
    choices = choices if isinstance(choices, list) else []
    schema = schema if isinstance(schema, dict) else {}
    kind = (
        "choices"
        if choices
        else {"boolean": "boolean", "number": "number", "integer": "number"}.get(
            str(schema.get("type", "string")), "json" if schema.get("type") in ("object", "array") else "text"
        )
    )
    return {
        "seq": effect.seq,
        "text": as_text(data.get("question") or data.get("prompt") or _("The run asks you to decide.")),
        "choices": [(json.dumps(choice), as_text(choice)) for choice in choices],
        "kind": kind,
        "line": effect.line,
    }
