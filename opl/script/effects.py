"""
What goes into the machine and what comes out of it.

``machine.step(program, state, inputs) -> (state, effects)`` is pure. The
driver (a rehearsal on a virtual clock, or the execution app on a database)
feeds it *inputs* and carries out its *effects*. Both are plain JSON objects,
so that a journal can hold them as they are; the types below name their
fields.

Times are integer milliseconds since the epoch, as the driver's clock says.
Every input carries ``at``; the machine never sees another clock.

An input may carry ``turn``: how much one step may emit (bytes, and 200 for each
event and progress point) before the run gives way. It gives way between two
statements, sets a timer that is due at once, and goes on with the input that
says so; 0 takes the input and goes on with nothing. Without it, a run goes on
until it waits.

Invariants a driver may rely on:

- ``seq`` numbers the events of a run from 1 without gaps, in order of
  emission; ``id`` numbers its timers likewise.
- every event whose ``reply`` is not ``"none"`` must be answered exactly once,
  by a ``reply`` input, unless a ``cancel`` effect names it first;
- ``timeout`` is the driver's to enforce: an event with a timeout that has no
  answer after so many seconds is answered with ``timed_out``;
- ``key`` is structural (statement, loop indices, branch path, occurrence): the
  same place of the same script has the same key in every replay, and in an
  edited script as long as its statement is recognisably the same;
- after an ``end`` effect the machine takes no further input; the reply to an
  event that was cancelled is dropped.

Calls of agents inside expressions are events like any other. Beside the
events a script names, a driver answers:

- ``agent:spawn {profile, agent_id, prompt?}``: the machine has chosen an
  ``agent_id`` that the run has not used; the reply of a spawn in an expression
  is the handle ``{agent_id, profile}``;
- ``primitive:<name>`` with the arguments by the names of the seed's parameters
  (``opl.script.calls.PRIMITIVES``), for example ``primitive:await_responses
  {agents, timeout}``;
- ``judgement:ask {name, arguments, keywords, definition}``: an upper-case
  function that is no builtin; ``definition`` is the text of the document's
  helper, or "". The reply is the JSON answer itself;
- ``rule:fired {condition, action, rationale}``: told, never answered.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

DEFAULT_TIMEOUT_SECONDS = 120.0


class StartInput(TypedDict):
    """The first input of every run."""

    kind: Literal["start"]
    at: int
    turn: NotRequired[int]


class ReplyInput(TypedDict):
    """The answer to event ``seq``. For agents it is a completion result, see ``completion_result``."""

    kind: Literal["reply"]
    seq: int
    value: Any
    at: int
    turn: NotRequired[int]


class TimerInput(TypedDict):
    """Timer ``id`` is due."""

    kind: Literal["timer"]
    id: int
    at: int
    turn: NotRequired[int]


class TerminateInput(TypedDict):
    """Stop now from outside: ``status`` is what the run ends as."""

    kind: Literal["terminate"]
    status: Literal["cancelled", "terminated", "failed"]
    reason: str
    at: int
    code: NotRequired[str]  # for "failed": for example "opl.limit.tokens"
    line: NotRequired[int]  # of the request that is not sent, where there is one


class AssignInput(TypedDict):
    """A person or a rule sets a declared parameter of the running script."""

    kind: Literal["assign"]
    name: str
    value: Any
    at: int


Input = StartInput | ReplyInput | TimerInput | TerminateInput | AssignInput


class EventEffect(TypedDict):
    """Something asked of the world, or told to it."""

    kind: Literal["event"]
    seq: int
    key: str
    name: str  # "completion:async", "state:entity:update", …
    data: dict[str, Any]
    branch: str  # path, "main" or "main/2/1"
    line: int
    column: int
    at: int
    reply: Literal["branch", "inbox", "none"]  # who gets the answer; "none": dropped, but still recorded
    timeout: float | None  # seconds; None where the event cannot time out
    shape: dict[str, Any] | None  # JSON Schema of the answer the script reads, None where it reads nothing


class TimerEffect(TypedDict):
    """Wake the run at ``due``."""

    kind: Literal["timer"]
    id: int
    due: int
    branch: str
    line: int


class CancelTimerEffect(TypedDict):
    """Timer ``id`` is of no interest any more."""

    kind: Literal["cancel_timer"]
    id: int


class CancelEffect(TypedDict):
    """The answer to event ``seq`` is of no interest any more (its branch was cancelled)."""

    kind: Literal["cancel"]
    seq: int


class TrackEffect(TypedDict):
    """A progress point of the run; its numeric fields become metrics."""

    kind: Literal["track"]
    data: dict[str, Any]
    branch: str
    line: int
    at: int


class RuleEffect(TypedDict):
    """An adaptive rule turned true."""

    kind: Literal["rule"]
    index: int
    condition: str
    action: str
    rationale: str
    use: NotRequired[str]  # the strategy that the document maps the action to
    line: int
    at: int


class EndEffect(TypedDict):
    """The run is over; always the last effect."""

    kind: Literal["end"]
    status: Literal["succeeded", "failed", "terminated", "cancelled", "stuck"]
    result: Any
    error: dict[str, Any] | None  # {code, message, line, column}
    at: int


Effect = EventEffect | TimerEffect | CancelTimerEffect | CancelEffect | TrackEffect | RuleEffect | EndEffect

_RESERVED = ("agent_id", "success", "error", "duration", "usage")


def completion_result(
    *,
    agent_id: str,
    answer: Any = None,
    error: dict[str, Any] | None = None,
    duration: float = 0.0,
    usage: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    The reply of ``completion:async``: ``{agent_id, success, output, error, duration, usage}`` and,
    where the answer is a JSON object, also that object's fields.

    Args:
        answer: the agent's answer, already parsed where its text was JSON. Its own field ``output``
            replaces the whole answer as ``output``; the other five names are never replaced.
        error: ``{type, message}`` for an agent that failed; a failure is a value, not a crash.
        duration: seconds.

    Source: seed dsl_orchestration_patterns; docs/language.md, completions.
    """
    result: dict[str, Any] = {
        "agent_id": agent_id,
        "success": error is None,
        "output": answer,
        "error": error,
        "duration": duration,
        "usage": usage or {},
    }
    if isinstance(answer, dict):
        result.update({name: value for name, value in answer.items() if name not in _RESERVED})
    return result


def timed_out(*, agent_id: str, seconds: float) -> dict[str, Any]:
    """The completion result of an agent that did not answer in time."""
    return completion_result(
        agent_id=agent_id,
        error={"type": "timeout", "message": f"no answer within {seconds:g} seconds"},
        duration=seconds,
    )


def _why_not(status: str) -> dict[str, str]:
    """The error of a child run that ended without one, and yet is no success."""
    if status == "succeeded":
        return {"type": "not_met", "message": "the child run ended, but its success_when does not hold"}
    return {"type": status, "message": f"the child run ended as {status}"}


def child_result(*, run_id: int, status: str, succeeded: bool, result: Any, error: Any) -> dict[str, Any]:
    """The reply of a child run; the fields of a result that is an object stand beside the others."""
    told = error if error is not None or succeeded else _why_not(status)
    if isinstance(told, dict) and "code" in told:
        told = {"type": told["code"], **told}
    reply = {"run_id": run_id, "status": status, "success": succeeded, "result": result, "output": result}
    extra = {name: value for name, value in result.items() if name not in reply} if isinstance(result, dict) else {}
    return {**extra, **reply, "error": told}
