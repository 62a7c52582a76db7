"""
A simulated orchestrator: plays a plausible sequence of tool uses, then answers.

It has a plan drawn from the run's seed and goes through it, one step a turn,
reading from the conversation what the tools answered before. It understands
nothing of the strategy: it exercises the machinery, offline, so that a guided
pattern can be tried without a model. Steps whose tools are not offered are left
out. The same seed and conversation give the same turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from execution.agents.base import Request
from opl.script.chance import Chance

Use = tuple[str, dict[str, Any]]  # a tool and its input
ROLES = ("analyst", "researcher", "critic", "writer", "reviewer")


def turn(request: Request) -> Any:
    """The orchestrator's next move: ``{text, tool_uses, content}``, or its result."""
    offered = set(request.data.get("tools") or ())
    messages = [each for each in request.data.get("messages") or () if isinstance(each, Mapping)]
    done = sum(message.get("role") == "assistant" for message in messages)
    known = Known(request, messages)
    steps = [uses for step in PLAN if (uses := [use for use in step(known) if use[0] in offered])]
    if done >= len(steps):
        return {"summary": f"[simulated] {known.task[:200]}", "agents": known.agents, "quality": known.quality}
    moves = [
        {"id": f"toolu_{done + 1}_{place}", "name": name, "input": given}
        for place, (name, given) in enumerate(steps[done], 1)
    ]
    text = f"[simulated] step {done + 1} of {len(steps)}"
    blocks = [{"type": "text", "text": text}, *({"type": "tool_use", **move} for move in moves)]
    return {"text": text, "tool_uses": moves, "content": blocks}


class Known:
    """What the orchestrator knows: its own draws, and what the tools answered."""

    def __init__(self, request: Request, messages: list[Mapping[str, Any]]) -> None:
        draw = Chance(f"{request.seed}:{request.agent_id}:plan")
        self.task = request.prompt.partition(": ")[2] or request.prompt
        self.roles = [ROLES[draw.integer(0, len(ROLES) - 1)] for _ in range(draw.integer(2, 3))]
        self.quality = round(0.5 + 0.45 * draw.fraction(), 3)
        answers = answers_of(messages)
        spawned = [answers[use] for use, name in uses_of(messages) if name == "spawn_agent" and use in answers]
        self.agents = [each for each in spawned if isinstance(each, str)] or list(dict.fromkeys(self.roles))


def uses_of(messages: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The tools used so far: ``(id, name)``."""
    return [(block["id"], block["name"]) for block in _blocks(messages) if block.get("type") == "tool_use"]


def answers_of(messages: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What they answered, by id."""
    found = {}
    for block in _blocks(messages):
        if block.get("type") == "tool_result":
            try:
                found[str(block.get("tool_use_id"))] = json.loads(str(block.get("content")))
            except ValueError:
                continue
    return found


def _blocks(messages: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    contents = [message.get("content") for message in messages]
    return [block for content in contents if isinstance(content, list) for block in content if isinstance(block, dict)]


def _staff(known: Known) -> list[Use]:
    plan = {"decision_type": "staffing", "rationale": f"{len(known.roles)} views are enough to compare"}
    spawned: list[Use] = [("spawn_agent", {"profile": role, "purpose": known.task[:120]}) for role in known.roles]
    return [("record_decision", {"decision": plan}), *spawned]


def _ask(known: Known) -> list[Use]:
    return [
        ("create_checkpoint", {"state": {"agents": known.agents}}),
        ("broadcast_task", {"task_description": f"Give your view: {known.task}", "target_agents": known.agents}),
        ("await_responses", {"agents": known.agents, "timeout": 120}),
    ]


def _judge(known: Known) -> list[Use]:
    return [
        ("track_metrics", {"metric_names": ["quality"], "values": {"quality": known.quality}}),
        ("evaluate_results", {"criteria": "quality >= 0.6"}),
        ("select_best", {"options": known.agents, "criteria": "who answers the task best"}),
    ]


def _mend(known: Known) -> list[Use]:
    if known.quality >= 0.6:
        return []
    return [
        ("modify_strategy", {"new_approach": "have the best agent improve its answer"}),
        ("delegate_subtask", {"agent_id": known.agents[0], "task": f"Improve your answer: {known.task}"}),
    ]


PLAN: tuple[Callable[[Known], list[Use]], ...] = (_staff, _ask, _judge, _mend)
