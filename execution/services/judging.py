"""
Whether a run that ended was a success, and how good it was.

``success_when`` and ``score`` are expressions of the language. Their names are
``result``, the fields of a result that is an object, and the variables of the
script. They are evaluated as a script of one statement, on the same machine
and under the same limits as any other text of a stranger; one that breaks
judges the run a failure, and says why.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from execution.services import engine, sessions
from execution.services.sessions import Session
from opl.errors import OplError
from opl.script.compiler import compile_script
from opl.script.values import is_number, truthy
from registry.models import PatternVersion

log = logging.getLogger(__name__)


CANNOT = "cannot be computed: "
NO_NUMBER = "is no number from 0 to 1: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """What an expression came to."""

    value: Any  # null where it broke
    problem: str  # why it broke, or which of its names the run does not have; "" for neither


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run did."""

    succeeded: bool
    score: float | None  # 0 to 1
    outcome: str | None  # why it failed, "" for a success; None: says nothing about the pattern


def judge(session: Session, end: dict[str, Any]) -> Verdict:
    """The verdict on a run that ends with ``end`` (an ``EndEffect``)."""
    status = str(end["status"])
    if status == "cancelled":
        return Verdict(succeeded=False, score=None, outcome=None)
    if status != "succeeded":
        return Verdict(succeeded=False, score=None, outcome=str((end["error"] or {}).get("code") or status))
    if session.policy.get("shadow", {}).get("arm") == "judge":
        # A judge did its work when it said something that can be read; the version it was asked about is not at stake.
        heard = isinstance(end["result"], Mapping) and end["result"].get("asked") is True
        return Verdict(succeeded=heard, score=None, outcome="" if heard else "unreadable")
    if "strategy" in session.policy:
        return judged_by(session, end["result"], "", "")
    # Both arms of a trial are judged by the same words.
    success_when, score = session.policy.get("shadow", {}).get("criterion") or own_criterion(session.version_id)
    return judged_by(session, end["result"], success_when, score)


def judge_again(run_id: int, success_when: str, score: str, result: Any) -> Verdict:
    """The verdict on a run that ended well, by other words than its own; its state is read from the journal."""
    session = sessions.load_session(run_id)
    assert session is not None  # an arm's run stays
    return judged_by(session, result, success_when, score)


def judged_by(session: Session, result: Any, success_when: str, score: str) -> Verdict:
    """The verdict of two expressions on a run that has ended well otherwise."""
    if _is_guided(session):
        # What a guided pattern's expressions speak of is the orchestrator's answer; without any, that it gave one.
        finished = isinstance(result, Mapping) and bool(result.get("finished"))
        if not finished or not (success_when or score):
            return Verdict(succeeded=finished, score=None, outcome="" if finished else "unfinished")
        result = result["result"]
    if not (success_when or score):
        return Verdict(succeeded=True, score=None, outcome="")
    names = names_of(session.state, result)
    good = True if not success_when else truthy(evaluate(success_when, names).value)
    points = evaluate(score, names).value if score else None
    number = min(max(float(points), 0.0), 1.0) if points is not None and is_number(points) else None
    return Verdict(succeeded=good, score=number, outcome="" if good else "success_when")


def _is_guided(session: Session) -> bool:
    return PatternVersion.objects.values_list("mode", flat=True).get(pk=session.version_id) == "guided"


def own_criterion(version_id: int) -> tuple[str, str]:
    """``success_when`` and ``score`` of the version itself."""
    return PatternVersion.objects.values_list("success_when", "score").get(pk=version_id)


def names_of(state: Any, result: Any) -> dict[str, Any]:
    """What the expressions may speak of; the nearer name wins."""
    fields = result if isinstance(result, Mapping) else {}
    return {**engine.variables(state), **fields, "result": result, "output": fields.get("output", result)}


def problem_of(run_id: int, success_when: str, score: str, result: Any) -> str:
    """Why the words for a run that ended well say nothing about it; "" where they do. Its state is read anew."""
    session = sessions.load_session(run_id)
    assert session is not None  # an arm's run stays
    if isinstance(result, Mapping) and _is_guided(session):
        result = result.get("result")
    names = names_of(session.state, result)
    judged, points = evaluate(success_when or "true", names), evaluate(score or "0", names)
    if judged.problem and not truthy(judged.value):
        return f"success_when {CANNOT}{judged.problem}"
    if points.problem:
        return f"score {CANNOT}{points.problem}"
    return (
        "" if is_number(points.value) else f"score {NO_NUMBER}it is {json.dumps(points.value, ensure_ascii=False)[:80]}"
    )


def evaluate(expression: str, names: Mapping[str, Any]) -> Computed:
    """The value of an expression; a name that is not among ``names`` reads as null, and is told."""
    program = _compiled(expression)
    if program is None:
        return Computed(value=None, problem=f"{expression!r} is no expression of the language")
    given = {name: names[name] for name in program["inputs"] if name in names}
    absent = [name for name in program["inputs"] if name not in names]
    problem = f"the run has no {', '.join(map(repr, absent))}" if absent else ""
    try:
        state = engine.initial(program, inputs=given, seed=0, limits={"statements": 100})
        _, effects = engine.step(program, state, [{"kind": "start", "at": 0}])
    except OplError as error:
        log.info("%r cannot be judged by: %s", expression, error)
        return Computed(value=None, problem=problem or str(error))
    last = effects[-1] if effects else {}
    if last.get("kind") == "end" and last.get("status") == "succeeded":
        return Computed(value=last.get("result"), problem=problem)
    told = str((last.get("error") or {}).get("message") or "it asks somebody, and an expression cannot")
    return Computed(value=None, problem=problem or told)


def can_be_read(expression: str) -> bool:
    """Whether it is an expression at all."""
    return _compiled(expression) is not None


@lru_cache(maxsize=500)
def _compiled(expression: str) -> dict[str, Any] | None:
    return compile_script(f"RETURN (\n{expression}\n)").program
