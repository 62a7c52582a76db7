"""
What a call in an expression is: a builtin, a method, or something an agent must do.

Calls of the last kind suspend, and so become events before the statement that
needs their answer (docs/decisions/0011-lifting-agent-calls.md). Their event
names and the fields of their data are:

==========================  ======================================================
``spawn("role")``           ``agent:spawn {profile, agent_id}``
``agent.f(x)``              ``completion:async {agent_id, prompt: "f: x"}``
``parallel_map(xs, f)``     one of the above for each element, as parallel branches
a primitive                 ``primitive:<name>`` with its arguments by name
a judgement                 ``judgement:ask {name, arguments, keywords, definition}``
==========================  ======================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase

from opl.script.builtins import BUILTINS, METHODS, Method
from opl.script.syntax import Call, Expr, MethodCall, Node, walk

# The orchestration primitives of the seed with their parameters, in the seed's order.
PRIMITIVES: Mapping[str, tuple[str, ...]] = {
    "spawn_agent": ("profile", "purpose", "metadata"),
    "terminate_agent": ("agent_id",),
    "list_agents": ("filter_criteria",),
    "broadcast_task": ("task_description", "target_agents"),
    "await_responses": ("agents", "timeout"),
    "delegate_subtask": ("agent_id", "task"),
    "observe_events": ("patterns", "callback"),
    "query_agent_status": ("agent_id",),
    "track_metrics": ("metric_names",),
    "evaluate_results": ("criteria",),
    "select_best": ("options", "criteria"),
    "should_continue": ("condition",),
    "modify_strategy": ("new_approach",),
    "create_checkpoint": ("state",),
    "rollback_to_checkpoint": ("checkpoint_id",),
    "load_pattern": ("name",),
    "adapt_pattern": ("pattern", "context"),
    "record_decision": ("decision", "outcome"),
    "export_pattern": (),
    "start_pattern": ("pattern", "inputs"),
}

OBSERVE = "observe_events"
ASKING = frozenset({"completion:async", "optimization:async", "orchestration:start"})  # TRY awaits these
INBOX = ASKING | {"human:ask"}  # whose replies go to the inbox where no AS takes them; they may have a timeout


def answered(pattern: str) -> bool:
    """Whether a glob names an event whose reply may go to the inbox."""
    return any(fnmatchcase(name, pattern) for name in INBOX)


_METHODS = {name.lower(): method for name, method in METHODS.items()}


class CallKind(StrEnum):
    """Who carries a call out."""

    BUILTIN = "builtin"
    SPAWN = "spawn"
    PARALLEL_MAP = "parallel_map"
    PRIMITIVE = "primitive"
    JUDGEMENT = "judgement"
    UNKNOWN = "unknown"


def kind_of_call(name: str, helpers: Mapping[str, str] | None = None) -> CallKind:
    """
    What a call of this name is.

    The primitives are written in lower case: ``SELECT_BEST(list, key)`` is the
    builtin, ``select_best(options, criteria)`` the primitive, and
    ``SHOULD_CONTINUE(…)`` a judgement like any other upper-case name.
    """
    if name.startswith("%"):
        return CallKind.BUILTIN
    if name in PRIMITIVES:
        return CallKind.PRIMITIVE
    if name.upper() in BUILTINS:
        return CallKind.BUILTIN
    lower = name.lower()
    if lower == "spawn":
        return CallKind.SPAWN
    if lower == "parallel_map":
        return CallKind.PARALLEL_MAP
    if (helpers and name in helpers) or (name.isupper() and len(name) > 1):
        return CallKind.JUDGEMENT
    return CallKind.UNKNOWN


def method_of(name: str) -> Method | None:
    """The method of values with this name; case counts only where two differ in it."""
    return METHODS.get(name) or _METHODS.get(name.lower())


def is_agent_call(node: Node, helpers: Mapping[str, str] | None = None) -> bool:
    """Whether the node itself is a call that suspends."""
    if isinstance(node, Call):
        return kind_of_call(node.name, helpers) not in (CallKind.BUILTIN, CallKind.UNKNOWN)
    return isinstance(node, MethodCall) and method_of(node.name) is None


def suspends(expression: Expr | None, helpers: Mapping[str, str] | None = None) -> bool:
    """Whether any part of the expression suspends."""
    return expression is not None and any(
        is_agent_call(node, helpers) for node in walk(expression) if isinstance(node, Call | MethodCall)
    )
