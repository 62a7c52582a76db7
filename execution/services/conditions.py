"""
Conditions of the language over what a run knows: its tracked values and its variables.

What is no expression, asks somebody, or reads a name that nothing holds is not
decided here: it is prose, for an agent to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution.services import engine, judging
from opl.document.prose import is_expression
from opl.errors import OplError
from opl.script.values import truthy

LONGEST = 1000  # characters; a longer text is prose


def known_names(state: Any) -> dict[str, Any]:
    """What a condition may speak of; a tracked value wins over a variable."""
    return {**engine.variables(state), **state["tracked"]} if state is not None else {}


def holds(text: Any, names: Mapping[str, Any]) -> bool | None:
    """Whether a condition is true; None where it cannot be computed."""
    if isinstance(text, bool):
        return text
    if not isinstance(text, str) or len(text) > LONGEST or not is_expression(text):
        return None
    program = judging._compiled(text)
    if program is None or program["events"] or not set(program["inputs"]) <= set(names):
        return None
    given = {name: names[name] for name in program["inputs"]}
    try:
        state = engine.initial(program, inputs=given, seed=0, limits={"statements": 100})
        _, effects = engine.step(program, state, [{"kind": "start", "at": 0}])
    except OplError:
        return None
    end = effects[-1] if effects else {}
    return truthy(end["result"]) if end.get("status") == "succeeded" else None


def settle(criteria: Any, names: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Any]]:
    """Criteria sorted into those computed, ``[{condition, holds}]``, and those that somebody must judge."""
    listed = criteria if isinstance(criteria, list) else [criteria]
    settled, unsettled = [], []
    for each in listed:
        found = holds(each, names)
        if found is None:
            unsettled.append(each)
        else:
            settled.append({"condition": each, "holds": found})
    return settled, unsettled
