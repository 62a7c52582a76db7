"""
From an event of a script to a question for a backend, and from its answer to the reply.

A question's hash covers what was asked (name, data, shape), not who asked or
when: together with the structural key it decides whether a finished effect can
be used again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from execution.agents.base import Answer, Profile, Request, effect_digest
from execution.errors import AgentError
from execution.models.effect import Handler
from execution.models.fields import dumps
from execution.services.world import Agent, names_of, text
from opl.script.choosing import chosen, options_shown
from opl.script.effects import DEFAULT_TIMEOUT_SECONDS, completion_result
from opl.script.values import to_text

HANDLERS = {
    "completion:async": Handler.AGENT,
    "optimization:async": Handler.AGENT,
    "judgement:ask": Handler.AGENT,
    "primitive:delegate_subtask": Handler.AGENT,
    "primitive:select_best": Handler.AGENT,
    "primitive:evaluate_results": Handler.AGENT,
    "primitive:should_continue": Handler.AGENT,
    "human:ask": Handler.PERSON,
    "orchestration:start": Handler.CHILD,
    "primitive:start_pattern": Handler.CHILD,
    "strategy:use": Handler.CHILD,
    "primitive:load_pattern": Handler.HUB,
    "primitive:adapt_pattern": Handler.HUB,
    "primitive:export_pattern": Handler.HUB,
    "channel:move": Handler.HUB,
    "trial:start": Handler.HUB,
}
# Answered without an agent where a condition can be computed; a judge otherwise.
JUDGED = frozenset({"primitive:select_best", "primitive:evaluate_results", "primitive:should_continue"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One question, claimed by this worker and ready to be sent."""

    run_id: int
    seq: int
    epoch: int  # what every write about this attempt names
    backend: str  # alias
    options: dict[str, Any]  # of the run's policy, for the backend
    request: Request
    expires_at: int | None  # ms
    attempts_allowed: int
    batched: bool = False  # in a message batch: another attempt waits for another batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one delivery."""

    delivery: Delivery
    value: Any  # the reply as the script gets it
    error: AgentError | None
    answer: Answer | None
    at: int  # ms
    duration_seconds: float


def request_hash(name: str, data: Any, shape: Any) -> str:
    """sha256 hex of what is asked."""
    return hashlib.sha256(dumps([name, data, shape]).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What an event asks of an agent."""

    agent_id: str
    prompt: str
    purpose: str  # completion, optimization, judgement, or what a judge is asked for


def question_of(name: str, data: Mapping[str, Any]) -> Question:
    """Who is asked what by an event that goes to an agent."""
    if name == "optimization:async":
        prompt = (
            "Propose better parameters. Answer with an object that has `success` (boolean) and"
            " `optimized_params`, of the same shape as the parameters were.\n" + dumps(dict(data))
        )
        return Question(agent_id=text(data.get("agent_id")) or "optimizer", prompt=prompt, purpose="optimization")
    if name == "judgement:ask":
        told = to_text(data.get("definition")) or "Judge by the name and the arguments."
        given = {"arguments": data.get("arguments"), **(data.get("keywords") or {})}
        prompt = f"{to_text(data.get('name'))}: {told}\nAnswer with the JSON value alone.\n{dumps(given)}"
        return Question(agent_id="oracle", prompt=prompt, purpose="judgement")
    if name == "primitive:delegate_subtask":
        agent_id = text(next(iter(names_of(data.get("agent_id"))), "")) or "default"
        return Question(agent_id=agent_id, prompt=to_text(data.get("task")), purpose="completion")
    if name in JUDGED:
        prompt, purpose = judging_question(name, data)
        return Question(agent_id="judge", prompt=prompt, purpose=purpose)
    prompt = to_text(data.get("prompt"))
    return Question(agent_id=text(data.get("agent_id")) or "default", prompt=prompt, purpose="completion")


JUDGE_SHAPES: dict[str, dict[str, Any]] = {
    "selection": {
        "type": "object",
        "properties": {"index": {"type": "integer"}, "reason": {"type": "string"}},
        "required": ["index", "reason"],
        "additionalProperties": False,
    },
    "evaluation": {
        "type": "object",
        "properties": {"met": {"type": "boolean"}, "score": {"type": "number"}, "reason": {"type": "string"}},
        "required": ["met", "score", "reason"],
        "additionalProperties": False,
    },
    "continuation": {
        "type": "object",
        "properties": {"continue": {"type": "boolean"}, "reason": {"type": "string"}},
        "required": ["continue", "reason"],
        "additionalProperties": False,
    },
}


def judging_question(name: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """What a judge is asked by a primitive, and for which purpose."""
    if name == "primitive:select_best":
        return selection_prompt(options_shown(data), data.get("criteria")), "selection"
    if name == "primitive:should_continue":
        told = to_text(data.get("condition"))
        prompt = f'Should the work go on? Answer {{"continue": true or false, "reason": text}}. While: {told}'
        return prompt, "continuation"
    given = {part: data.get(part) for part in ("unsettled", "computed", "results")}
    told = to_text(data.get("criteria")) if given["unsettled"] is None else dumps(given)
    prompt = 'Judge these results. Answer {"met": true or false, "score": 0 to 1, "reason": text}.\n' + told
    return prompt, "evaluation"


def selection_prompt(options: Any, criteria: Any) -> str:
    """The question which option is best, in the order given."""
    return (
        'Which option meets the criteria best? Answer {"index": number counted from 0, "reason": text}.\n'
        f"Criteria: {to_text(criteria)}\nOptions: {dumps(options)}"
    )


def make_request(
    *,
    run_id: int,
    key: str,
    name: str,
    data: dict[str, Any],
    shape: Any,
    seed: int,
    attempt: int,
    timeout: float | None,
    profile: Profile,
    world: int | None = None,
) -> Request:
    """The question as a backend gets it."""
    question = question_of(name, data)
    if question.purpose == "selection":
        data = {**data, "options": options_shown(data)}
    return Request(
        run_id=run_id,
        key=key,
        agent_id=question.agent_id,
        prompt=question.prompt,
        profile=profile,
        shape=JUDGE_SHAPES.get(question.purpose, shape),
        data=data,
        purpose=question.purpose,
        seed=seed,
        world=world,
        attempt=attempt,
        timeout_seconds=DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout,
        idempotency_key=effect_digest(run_id, key),
    )


def reply_value(request: Request, answer: Answer | None, error: AgentError | None, duration: float) -> Any:
    """The reply of an agent as the script gets it: a completion result, or the bare verdict of a judgement."""
    if request.purpose == "judgement":
        return None if answer is None else answer.value
    if request.purpose == "selection":
        return None if answer is None else chosen(answer.value, request.data["options"])
    if request.purpose == "continuation":
        return bool(answer.value.get("continue")) if answer is not None and isinstance(answer.value, dict) else False
    told = None if error is None else {"type": error.kind, "message": error.message}
    usage = answer.usage.to_json() if answer is not None else {}
    result = completion_result(
        agent_id=request.agent_id,
        answer=answer.value if answer is not None else None,
        error=told,
        duration=round(duration, 3),
        usage=usage,
    )
    if request.purpose == "optimization" and answer is not None and isinstance(answer.value, dict):
        # An optimizer says itself whether it found something better.
        result["success"] = bool(answer.value.get("success", True))
    if request.purpose == "evaluation":
        result["met"] = bool(result.get("met")) and all(each["holds"] for each in request.data.get("computed", ()))
        result.setdefault("score", 0)
    return result


def failure_value(name: str, agent_id: str, kind: str, message: str, seconds: float = 0.0) -> Any:
    """The reply to the event ``name`` that stands for an answer that never came."""
    if name in ("judgement:ask", "primitive:select_best"):
        return None
    if name == "primitive:should_continue":
        return False
    if HANDLERS.get(name) == Handler.CHILD:
        return {"success": False, "result": None, "output": None, "error": {"type": kind, "message": message}}
    return completion_result(agent_id=agent_id, error={"type": kind, "message": message}, duration=seconds)


def profile_name(agent: Agent, data: dict[str, Any]) -> str:
    """The profile an agent answers with: named by the event, by its spawn, or by its own name."""
    return text(data.get("profile")) or agent.profile or agent.agent_id
