"""
The orchestration primitives that the driver answers by itself, at once.

``answer`` serves the events ``primitive:<name>`` of scripts and, through
``primitive:call {name, arguments}``, the tools of an orchestrator agent. All
it knows stands in rows and in the machine's state: nothing is remembered here,
so that a primitive means the same after a crash. What asks an agent, or writes
into the registry, is an effect of its own (``asking``, ``operating``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jsonschema

from execution import primitives
from execution.models import Effect
from execution.models.stored import load_many
from execution.services import conditions, past
from opl.script.choosing import options_shown
from opl.script.values import is_number, to_text
from registry.models import PatternVersion

if TYPE_CHECKING:
    from execution.services.drafting import Draft

LATEST_ANSWERS = 20  # how many answers are judged where nobody says which
WORLD = frozenset({"spawn_agent", "terminate_agent", "create_checkpoint", "rollback_to_checkpoint"})


def answer(draft: Draft, name: str, data: Mapping[str, Any]) -> Any:
    """The reply to ``primitive:<name>``."""
    handler = _HANDLERS.get(name)
    if handler is not None:
        return handler(draft, data)
    return draft.session.world.answer(f"primitive:{name}", data, draft.at)


def call(draft: Draft, data: Mapping[str, Any]) -> Any:
    """The reply to ``primitive:call {name, arguments}``: what the tool answers, or ``{error}``."""
    name, arguments = to_text(data.get("name")), data.get("arguments")
    if name not in CALLABLE:
        return {"error": f"there is no tool {name} here; there are {', '.join(sorted(CALLABLE))}"}
    found = answer(draft, name, arguments if isinstance(arguments, Mapping) else {})
    if name == "rollback_to_checkpoint" and found is None:
        known = ", ".join(draft.session.world.checkpoints) or "none yet"
        return {"error": f"there is no such checkpoint; there are: {known}"}
    if name == "should_continue" and found is None:
        return {"error": "this is no condition over tracked metrics and variables; judge it yourself"}
    return found


def check_tool(data: Mapping[str, Any]) -> dict[str, Any]:
    """``{problem, input}``: what is wrong with the input of a tool (null where nothing is), and the input itself."""
    name, given = to_text(data.get("name")), data.get("input")
    tool = primitives.tool_schemas().get(name)
    if tool is None:
        known = ", ".join(primitives.tool_schemas())
        return {"problem": f"there is no tool {name}; there are {known}", "input": {}}
    value = dict(given) if isinstance(given, Mapping) else {}
    error = next(iter(jsonschema.Draft202012Validator(tool["input_schema"]).iter_errors(value)), None)
    if error is None:
        return {"problem": None, "input": value}
    place = "/".join(map(str, error.absolute_path))
    problem = f"the input of {name} does not fit: {place + ': ' if place else ''}{error.message}"
    return {"problem": problem[:500], "input": value}


# ---------------------------------------------------------------- agents


def _list_agents(draft: Draft, data: Mapping[str, Any]) -> Any:
    listed = draft.session.world.answer("primitive:list_agents", data, draft.at)
    busy = open_tasks(draft)
    return [with_tasks(each, busy) for each in listed]


def _query_agent_status(draft: Draft, data: Mapping[str, Any]) -> Any:
    found = draft.session.world.answer("primitive:query_agent_status", data, draft.at)
    return with_tasks(found, open_tasks(draft))


def with_tasks(agent: dict[str, Any], busy: Mapping[str, list[str]]) -> dict[str, Any]:
    """An agent with what it is at: ``doing`` is idle or busy."""
    if agent.get("status") != "active":
        return agent
    tasks = busy.get(str(agent["agent_id"]), [])
    return {**agent, "doing": "busy" if tasks else "idle", "tasks": tasks}


def open_tasks(draft: Draft) -> dict[str, list[str]]:
    """What agents of the run are being asked now: agent → the beginnings of the questions."""
    rows = Effect.objects.filter(
        run_id=draft.session.run_id, handler="agent", tick__isnull=True, closed_tick__isnull=True
    )
    found: dict[str, list[str]] = {}
    answered = {one.seq for one in draft.consumed}
    listed = [row for row in rows.values_list("agent_id", "request", "seq") if row[2] not in answered]
    for (agent_id, _, _), value in zip(listed, load_many(row[1] for row in listed), strict=True):
        found.setdefault(agent_id, []).append(_task_of(value))
    for asked in draft.asked.values():
        if asked.handler == "agent" and asked.reused is None:
            found.setdefault(asked.agent_id, []).append(_task_of(asked.data))
    return found


def _task_of(data: Any) -> str:
    return to_text(data.get("prompt", data.get("task", "")))[:200] if isinstance(data, Mapping) else ""


# ---------------------------------------------------------------- watching and judging


def _observe_events(draft: Draft, data: Mapping[str, Any]) -> Any:
    return past.observed(draft.session.run_id, data, draft.told)


def _pending_notes(draft: Draft, _data: Mapping[str, Any]) -> Any:
    return past.pending_notes(draft.session.run_id, draft.told)


def _track_metrics(draft: Draft, data: Mapping[str, Any]) -> Any:
    """The latest tracked values of the names, null for one never tracked; all numbers where none is named."""
    tracked = draft.session.state["tracked"]
    names = data.get("metric_names")
    if not names:
        return {name: value for name, value in tracked.items() if is_number(value)}
    listed = names if isinstance(names, list) else [names]
    return {to_text(name): tracked.get(to_text(name)) for name in listed}


def _should_continue(draft: Draft, data: Mapping[str, Any]) -> bool | None:
    return conditions.holds(data.get("condition"), conditions.known_names(draft.session.state))


def settled(draft: Draft, data: Mapping[str, Any]) -> dict[str, Any]:
    """``{needs_judge, met, score, settled, unsettled, reason}`` of the criteria."""
    computed, unsettled = conditions.settle(data.get("criteria"), conditions.known_names(draft.session.state))
    true = sum(each["holds"] for each in computed)
    return {
        "needs_judge": bool(unsettled),
        "met": true == len(computed),
        "score": true / len(computed) if computed else 1,
        "settled": computed,
        "unsettled": unsettled,
        "reason": "computed",
    }


def computed(draft: Draft, name: str, data: dict[str, Any]) -> tuple[bool, Any]:
    """
    Whether a primitive that may need a judge can be answered without one, and the answer.

    Where it cannot, ``data`` is completed with what the judge must see.
    """
    if name == "primitive:should_continue":
        holds = _should_continue(draft, data)
        return holds is not None, holds
    if name == "primitive:evaluate_results":
        found = settled(draft, data)
        if not found["needs_judge"]:
            return True, {part: found[part] for part in ("met", "score", "reason")}
        data["computed"], data["unsettled"] = found["settled"], found["unsettled"]
        if data.get("results") is None:
            data["results"] = latest_answers(draft)
        return False, None
    shown = options_shown(data)
    return len(shown) < 2, shown[0] if shown else None


def latest_answers(draft: Draft) -> list[dict[str, Any]]:
    """What agents answered last, the latest last: ``[{agent_id, output}]``."""
    rows = Effect.objects.filter(run_id=draft.session.run_id, handler="agent", status="done").exclude(agent_id="judge")
    listed = list(rows.order_by("-answered_at", "-seq").values_list("agent_id", "answer")[:LATEST_ANSWERS])[::-1]
    values = load_many(row[1] for row in listed)
    return [
        {"agent_id": row[0], "output": value.get("output") if isinstance(value, dict) else value}
        for row, value in zip(listed, values, strict=True)
    ]


# ---------------------------------------------------------------- decisions and the approach


def _record_decision(draft: Draft, data: Mapping[str, Any]) -> dict[str, Any]:
    """``decision`` is a text, or an object of the fields of ``orchestrator:decision``."""
    given = data.get("decision")
    fields = dict(given) if isinstance(given, Mapping) else {"decision_type": to_text(given)}
    if data.get("outcome") is not None:
        fields["outcome"] = data["outcome"]
    draft.decide({**fields, "agent_id": fields.get("agent_id", "orchestrator")})
    return {**fields, "status": "recorded"}


def _modify_strategy(draft: Draft, data: Mapping[str, Any]) -> dict[str, Any]:
    """An object sets declared parameters; whatever it is, it is a decision."""
    approach = data.get("new_approach")
    draft.decide({"decision_type": "modify_strategy", "outcome": approach, "agent_id": "orchestrator"})
    if not isinstance(approach, Mapping):
        return {"status": "noted", "new_approach": approach}
    allowed = declared_parameters(draft)
    changes = {name: value for name, value in approach.items() if name in allowed}
    for name, value in changes.items():
        draft.tell_machine({"kind": "assign", "name": name, "value": value, "at": draft.at})
    refused = [name for name in approach if name not in allowed]
    found: dict[str, Any] = {"status": "modified" if changes else "noted", "new_approach": approach, "set": changes}
    if refused:
        listed = ", ".join(sorted(allowed)) or "none"
        found["not_set"] = f"{', '.join(refused)}: no declared parameter; the declared ones are {listed}"
    return found


def declared_parameters(draft: Draft) -> set[str]:
    """The parameters that the pattern declares: what a change of strategy may set."""
    program = draft.session.program
    row = PatternVersion.objects.filter(pk=draft.session.version_id).values_list("mode", "inputs").first()
    declared = {str(item["name"]) for item in (row[1] if row else []) if isinstance(item, dict) and "name" in item}
    if row is not None and row[0] == "guided":
        return declared & set(program["inputs"])
    return set(program["inputs"]) | (declared & set(program["initial_state"]))


_HANDLERS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "list_agents": _list_agents,
    "query_agent_status": _query_agent_status,
    "observe_events": _observe_events,
    "pending_notes": _pending_notes,
    "track_metrics": _track_metrics,
    "should_continue": _should_continue,
    "settle_criteria": settled,
    "record_decision": _record_decision,
    "modify_strategy": _modify_strategy,
    "call": call,
    "check_tool": lambda _draft, data: check_tool(data),
}
CALLABLE = WORLD | {
    "list_agents",
    "query_agent_status",
    "track_metrics",
    "should_continue",
    "record_decision",
    "modify_strategy",
    "settle_criteria",
}
