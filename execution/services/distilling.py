"""
The way back: what guided runs did becomes a script.

    distil(runs=[run], user=user, now=now)     → a proposed version, rehearsed, with ``learned_from`` the runs

The journal knows every tool the orchestrator used. Runs that went well are
read from there, generalised (``generalising``), and written into the pattern's
document beside its prose. The script is played once on a virtual clock before
it is proposed; one that does not come to its end is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from execution.errors import NotDistillable
from execution.models import Effect, Run
from execution.services.generalising import Move, Trace, script_of, steps_of
from opl.document.model import Mode
from opl.script.rehearse import rehearse
from registry.models import LineageEdge, Owner, Pattern, PatternVersion, User, Via
from registry.services import publishing, writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """A script made of runs, and what it became."""

    script: str
    source: bytes  # the whole document
    version: PatternVersion | None  # None where it was only looked at


def distil(
    *,
    runs: Sequence[Run],
    user: User | None,
    now: datetime,
    publish: bool = True,
    owner: Owner | None = None,
    name: str = "",
) -> Distilled:
    """
    Make a script of successful guided runs of one pattern, and propose it as a new version.

    Args:
        runs: the first one is the model; others add what varies.
        publish: False only writes it.
        owner, name: where it goes; the pattern itself by default.

    Raises:
        NotDistillable: a run is no successful guided one, they are of different patterns, or the script fails.
    """
    version = _checked(runs)
    title = f"{version.title or version.pattern.name}, as a script"
    script = script_of([trace_of(run) for run in runs], title=title)
    source = _document(version, script, runs)
    _rehearsed(source, version, title)
    if not publish:
        return Distilled(script=script, source=source, version=None)
    owner = owner or _home(version, user)
    name = name or version.pattern.name
    target = Pattern.objects.filter(owner=owner, name=name).first()
    made = publishing.publish(
        owner=owner,
        user=user,
        source=writing.with_next_version(source, target),
        via=Via.EXPORT,
        now=now,
        name=name,
        parents=((version.digest, LineageEdge.Op.LEARNED_FROM),),
        provenance={"distilled_from": str(version), "runs": [str(run.pk) for run in runs]},
    )
    return Distilled(script=script, source=source, version=made.versions[0].version)


def _checked(runs: Sequence[Run]) -> PatternVersion:
    if not runs:
        raise NotDistillable("there are no runs to learn from")
    version = finding_version(runs[0])
    for run in runs:
        if run.version.pattern_id != version.pattern_id:
            raise NotDistillable(f"run {run.pk} is of another pattern, {run.version.pattern}")
        if run.version.mode != Mode.GUIDED:
            raise NotDistillable(f"run {run.pk} is of a script already; only guided runs are distilled")
        if not run.succeeded:
            raise NotDistillable(f"run {run.pk} was no success; distil one that was")
    if not any(steps_of(trace_of(run)) for run in runs):
        raise NotDistillable("the orchestrator used no tools, so there is nothing to make a script of")
    return version


def finding_version(run: Run) -> PatternVersion:
    """The run's version with all its columns."""
    return PatternVersion.objects.select_related("pattern__owner").get(pk=run.version_id)


def trace_of(run: Run) -> Trace:
    """What the orchestrator of a guided run did, turn by turn."""
    inputs = run.input_values()
    rows = Effect.objects.filter(run=run, agent_id=inputs["orchestrator"], name="completion:async", status="done")
    turns = [row for row in rows.order_by("seq") if isinstance(row.data().get("messages"), list)]
    answers: dict[str, Any] = {}
    for row in turns:
        for message in row.data()["messages"]:
            answers.update(_results(message))
    moves = []
    for row in turns:
        answer = row.answer_value()
        uses = (answer.get("tool_uses") or []) if isinstance(answer, dict) else []
        moves += [Move(name=use["name"], input=use["input"], answer=answers.get(use["id"])) for use in uses]
    result = run.result_value()
    return Trace(
        task=str(inputs.get("task", "")), moves=moves, result=result.get("result") if isinstance(result, dict) else None
    )


def _results(message: Any) -> dict[str, Any]:
    content = message.get("content") if isinstance(message, dict) else None
    found = {}
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "tool_result":
            try:
                found[str(block["tool_use_id"])] = json.loads(block["content"])
            except ValueError:
                continue
    return found


def _home(version: PatternVersion, user: User | None) -> Owner:
    """The pattern's own owner, where the person may publish there; else themselves."""
    own = version.pattern.owner
    return own if user is None or own.can_publish(user) else user.own_owner


def _document(version: PatternVersion, script: str, runs: Sequence[Run]) -> bytes:
    """The pattern's document with the script in it; its prose stays, as what the script was made of."""
    value = writing.as_value(version)
    value["dsl"] = script
    value["learned_from"] = [
        {
            "runs": len(runs),
            "successes": len(runs),
            "success_rate": 1.0,
            "version": version.version,
            "digest": version.digest,
            "run_ids": [str(run.pk) for run in runs],
            **({"simulated": True} if any(run.simulated for run in runs) else {}),
        }
    ]
    return writing.written(version, value)


def _rehearsed(source: bytes, version: PatternVersion, title: str) -> None:
    found = rehearse(source, file=f"{version.pattern.name}.yaml", script=title)
    if found.record is None:
        told = "; ".join(str(problem) for problem in found.problems[:3])
        raise NotDistillable(f"what the runs did makes no script that can be run: {told}")
    if found.record.status != "succeeded":
        message = (found.error() or {}).get("message", found.record.status)
        raise NotDistillable(f"the script made of the runs does not come to its end: {message}")
