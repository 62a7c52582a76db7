"""
The orchestration primitives as tools: names, words and JSON Schemas.

The names and parameters are the seed's. A script calls them as functions (the
compiler turns a call into an event ``primitive:<name>``), an orchestrator agent
uses them as tools of the Messages API; both end in the same effect. The pattern
operations stand beside the fifteen primitives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NAMES: Schema = {"type": "array", "items": {"type": "string"}}
ANYTHING: Schema = {}
OBJECT: Schema = {"type": "object"}


def _tool(description: str, required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {
        "description": description,
        "input_schema": {
            "type": "object",
            "properties": properties,
            "required": list(required),
            "additionalProperties": False,
        },
    }


def _about(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


_TOOLS: dict[str, Schema] = {
    "spawn_agent": _tool(
        "Start an agent with a profile. Answers its agent_id; a second agent of a profile gets a number.",
        {"profile": _about(TEXT, "Name of a profile, such as base_agent or judge."), "purpose": TEXT},
        {"metadata": _about(OBJECT, "Anything to remember about it.")},
    ),
    "terminate_agent": _tool("Let an agent go; it takes no more tasks.", {"agent_id": TEXT}),
    "list_agents": _tool(
        "The run's agents, with profile, purpose, status (active or terminated), what they are doing and their tasks.",
        {},
        {"filter_criteria": _about(OBJECT, "Fields that must be equal, such as {profile: judge}.")},
    ),
    "broadcast_task": _tool(
        "Give the same task to several agents. Does not wait; collect with await_responses.",
        {"task_description": TEXT, "target_agents": NAMES},
    ),
    "await_responses": _tool(
        "Wait for answers of these agents. On time-out you get what came, and who is missing.",
        {"agents": NAMES, "timeout": _about({"type": "number"}, "Seconds.")},
    ),
    "delegate_subtask": _tool("Give one agent one task and wait for its answer.", {"agent_id": TEXT, "task": TEXT}),
    "observe_events": _tool(
        "Be told at your next turn of events of this run whose names match.",
        {"patterns": _about(NAMES, "Glob patterns, such as agent:* or state:entity:*.")},
        {"callback": _about(TEXT, "What you mean to do about them; told back to you with the events.")},
    ),
    "query_agent_status": _tool(
        "Whether an agent is active or terminated, what it is doing (idle or busy), and its tasks.", {"agent_id": TEXT}
    ),
    "track_metrics": _tool(
        "The latest values of tracked metrics; with numbers in `values`, track them first.",
        {"metric_names": NAMES},
        {"values": _about(OBJECT, "Metric name to number, to be tracked now.")},
    ),
    "evaluate_results": _tool(
        "Judge the results so far against criteria. Conditions of the language are computed, prose is judged.",
        {"criteria": _about(ANYTHING, "A condition, a text, or a list of them.")},
        {"results": _about(ANYTHING, "What to judge; the latest answers where left out.")},
    ),
    "select_best": _tool(
        "Choose among options by criteria. A judge is asked in both orders; a choice that flips is no choice.",
        {"options": {"type": "array"}, "criteria": TEXT},
    ),
    "should_continue": _tool(
        "Whether a condition of the language holds over the tracked metrics and variables.",
        {"condition": _about(TEXT, "Such as `score < 0.75 AND round < 5`.")},
    ),
    "modify_strategy": _tool(
        "Change the approach. An object sets declared parameters; a text becomes a decision and a note to yourself.",
        {"new_approach": _about(ANYTHING, "{parameter: value}, or words. Never code.")},
    ),
    "create_checkpoint": _tool(
        "Remember this point of the run. Answers the checkpoint_id.",
        {},
        {"state": _about(ANYTHING, "What to remember with it.")},
    ),
    "rollback_to_checkpoint": _tool(
        "Take up what was remembered at a checkpoint: its state and the entities of that time.",
        {"checkpoint_id": ANYTHING},
    ),
    "load_pattern": _tool("Read a pattern of the registry: source, inputs, rules, evidence.", {"name": TEXT}),
    "adapt_pattern": _tool(
        "Fork a pattern for this situation: other input values, with the context written down.",
        {"pattern": _about(TEXT, "owner/name, with @version where it matters."), "context": OBJECT},
        {"inputs": OBJECT},
    ),
    "record_decision": _tool(
        "Write a decision and its outcome into the log that patterns learn from.",
        {"decision": _about(ANYTHING, "What was decided, or {decision_type, context, rationale}.")},
        {"outcome": TEXT},
    ),
    "export_pattern": _tool("Publish what this run taught as a new version of its pattern.", {}, {"name": TEXT}),
    "start_pattern": _tool(
        "Run another pattern and wait for its result; its cost counts against this run's budget.",
        {"pattern": _about(TEXT, "owner/name, with @version where it matters.")},
        {"inputs": OBJECT},
    ),
}

PRIMITIVES = tuple(_TOOLS)[:15]  # the seed's own
PATTERN_OPERATIONS = tuple(_TOOLS)[15:]


def tool_schemas() -> dict[str, Schema]:
    """Every tool as the Messages API wants it: ``{name: {name, description, input_schema}}``."""
    return {name: {"name": name, **tool} for name, tool in _TOOLS.items()}
