"""
Child runs: ``orchestration:start`` of one pattern by another.

A child is a run like any other; its end is its parent's reply, written in the
transaction in which it ends. A pattern that is already at work above is
refused, and so is more than eight deep: patterns that start each other would
otherwise never end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from execution.errors import InputsRefused, RunRefused
from execution.models import Effect, Run
from execution.models.stored import BlobWriter
from execution.services import engine, guiding, hints, isolating, past, starting
from execution.services.clock import to_datetime
from execution.services.sessions import Session
from opl.errors import errors_only
from opl.script.values import to_text
from registry.models import PatternVersion, User
from registry.services import finding

MAX_DEPTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A child run that will be started."""

    version_id: int
    inputs: dict[str, Any]
    policy: dict[str, Any]
    strategy: str = ""  # of the running pattern's own, whose program it is


def plan(session: Session, data: Mapping[str, Any]) -> Plan | dict[str, str]:
    """What to start, or ``{type, message}`` of why it cannot be."""
    reference = data.get("pattern")
    inputs = data.get("inputs")
    if not isinstance(reference, str) or not reference:
        return {"type": "refused", "message": 'orchestration:start needs a pattern, as in {pattern: "owner/name"}'}
    if inputs is not None and not isinstance(inputs, Mapping):
        return {"type": "refused", "message": "the inputs of orchestration:start are an object"}
    if session.depth >= MAX_DEPTH:
        return {"type": "refused", "message": f"runs may be {MAX_DEPTH} deep, and this one is"}
    try:
        version = find_version(session, reference)
        if version.pattern_id in ancestors(session):
            return {"type": "refused", "message": f"{version.pattern} is already at work above this run"}
        guiding.plan(version, inputs or {})
    except Exception as error:
        if not hasattr(error, "code"):
            raise
        return {"type": "refused", "message": str(error)}
    limits = data.get("limits")
    return Plan(
        version_id=version.pk,
        inputs=dict(inputs or {}),
        policy={"limits": dict(limits)} if isinstance(limits, Mapping) else {},
    )


def strategy_request(session: Session, data: Mapping[str, Any], told: list[Any]) -> dict[str, Any]:
    """
    What ``strategy:use {strategy}`` asks for, with those variables of the flow that it takes: the document's own
    strategy of that name, else the pattern ``strategy-NAME``. A rule that chose a strategy since the last one was used
    goes before the stage's own choice.
    """
    chosen = past.chosen_strategy(session.run_id, told)
    name = chosen or to_text(data.get("strategy"))
    request: dict[str, Any] = {"strategy": name, "pattern": f"strategy-{name}", "inputs": {}}
    if chosen is not None:
        request["chosen_by"] = "rule"
    own = own_strategies(session).get(name)
    if own is not None:
        return {**request, "pattern": str(version_of(session)), "own": True, "inputs": _taken(session, own)}
    try:
        version = find_version(session, request["pattern"])
    except Exception as error:
        if not hasattr(error, "code"):
            raise
        return request  # planning it will say that there is none
    return {**request, "pattern": str(version), "inputs": _taken(session, version.program or {})}


def own_strategies(session: Session) -> Mapping[str, Any]:
    """The programs of the document's own ``strategies`` by their names; they are part of the program that is run."""
    found: Mapping[str, Any] = session.program.get("strategies", {})
    return found


def version_of(session: Session) -> PatternVersion:
    """What is being run."""
    return PatternVersion.objects.select_related("pattern__owner").get(pk=session.version_id)


def own_plan(session: Session, data: Mapping[str, Any]) -> Plan | dict[str, str]:
    """One of the document's own strategies as a child run; no pattern starts itself by it, since no strategy has USE."""
    if session.depth >= MAX_DEPTH:
        return {"type": "refused", "message": f"runs may be {MAX_DEPTH} deep, and this one is"}
    name = str(data["strategy"])
    try:
        guiding.plan_of(own_strategies(session)[name], data["inputs"])
    except InputsRefused as error:
        return {"type": "refused", "message": str(error)}
    return Plan(version_id=session.version_id, inputs=dict(data["inputs"]), policy={}, strategy=name)


def _taken(session: Session, program: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the flow that a program takes, and whose values fit."""
    known = engine.variables(session.state)
    given = {each: known[each] for each in program.get("inputs", {}) if known.get(each) is not None}
    wrong = {problem.pointer.split("/")[1] for problem in errors_only(engine.problems_of_inputs(program, given))}
    return {each: value for each, value in given.items() if each not in wrong}


def find_version(session: Session, reference: str) -> PatternVersion:
    """``owner/name[@version]``; without an owner, one of the same owner as the running pattern's, then the library's."""
    user = User.objects.filter(pk=session.started_by).first() if session.started_by is not None else None
    if "/" in reference:
        return finding.version(reference, user)
    return find_beside(session.version_id, reference, user)


def find_beside(version_id: int, reference: str, user: User | None) -> PatternVersion:
    """A pattern of the same owner as a version's, else of the library; NotThere otherwise."""
    own = PatternVersion.objects.values_list("pattern__owner__name", flat=True).get(pk=version_id)
    try:
        return finding.version(f"{own}/{reference}", user)
    except Exception as error:
        if getattr(error, "status", None) != 404:
            raise
        return finding.version(f"library/{reference}", user)


def ancestors(session: Session) -> set[int]:
    """The patterns at work from this run up to the first."""
    patterns = set(PatternVersion.objects.filter(pk=session.version_id).values_list("pattern_id", flat=True))
    current = session.parent_id
    while current is not None:
        row = Run.objects.filter(pk=current).values_list("version__pattern_id", "parent_id").first()
        if row is None:
            break
        patterns.add(row[0])
        current = row[1]
    return patterns


def prepare(session: Session, plans: Mapping[int, Plan], at: int) -> dict[int, starting.Prepared | RunRefused]:
    """The planned runs by the ``seq`` of who asked, each ready to be written or refused after all; writes nothing."""
    if not plans:
        return {}
    parent = Run.objects.select_related("started_by", "owner").get(pk=session.run_id)
    versions = PatternVersion.objects.in_bulk({planned.version_id for planned in plans.values()})
    return {
        seq: _prepared(session, parent, versions[planned.version_id], seq, planned, at)
        for seq, planned in plans.items()
    }


def _prepared(
    session: Session, parent: Run, version: PatternVersion, seq: int, planned: Plan, at: int
) -> starting.Prepared | RunRefused:
    limits = dict(planned.policy.get("limits", {}))
    policy = {"limits": limits, **({"agents": session.policy["agents"]} if "agents" in session.policy else {})}
    try:
        strategy = own_strategies(session)[planned.strategy] if planned.strategy else None
        return starting.prepare(
            version=version,
            inputs=planned.inputs,
            user=parent.started_by,
            now=to_datetime(at),
            backend=session.backend,
            seed=(session.seed * 1_000_003 + seq) % 2**53,
            policy=policy,
            owner=parent.owner,
            parent=parent,
            is_public=parent.is_public,
            queue=session.queue,
            shadow=isolating.inherited(session.policy),
            strategy=planned.strategy,
            planned=guiding.plan_of(strategy, planned.inputs) if strategy is not None else None,
        )
    except RunRefused as error:
        return error


def begin(session: Session, prepared: Mapping[int, starting.Prepared | RunRefused], at: int) -> list[int]:
    """Write prepared children inside the transaction of their parent's advance; their ids, without refused ones."""
    if not prepared:
        return []
    asked = Effect.objects.filter(run_id=session.run_id, seq__gte=min(prepared))
    effects = dict(asked.values_list("seq", "pk"))
    begun = []
    for seq, child in prepared.items():
        if isinstance(child, RunRefused):
            answer_parent(effects[seq], refused(child), at)
        else:
            child.run.parent_effect = effects[seq]
            begun.append(starting.write(child).pk)
    return begun


def refused(error: RunRefused) -> dict[str, Any]:
    """The reply of a child run that could not be started after all."""
    told = {"type": "refused", "message": str(error)}
    return {"success": False, "status": "refused", "result": None, "error": told}


def answer_parent(effect_id: int, value: Any, at: int) -> None:
    """Write a child's end as its parent's answer; inside the transaction of the end."""
    blobs = BlobWriter()
    stored = blobs.put(value)
    with connection.cursor() as cursor:
        blobs.flush(cursor)
        cursor.execute(
            "UPDATE execution_effect SET status = 'done', answer = %s, answered_at = %s, unread = %s,"
            " expires_at = NULL WHERE id = %s AND status = 'sent'",
            [stored, at, True, effect_id],
        )
    parent = Effect.objects.values_list("run_id", flat=True).get(pk=effect_id)
    transaction.on_commit(lambda: hints.run_ready(parent))
