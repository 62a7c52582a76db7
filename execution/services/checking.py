"""
Whether given inputs and a policy fit, with every problem at once.

What inputs a program has, and of which type, the language knows; what is added
here is their size, and what a hub lets a run's starter decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from execution.errors import InputsRefused
from execution.services import engine
from opl.errors import Problem, errors_only

MAX_INPUT_BYTES = 2 * 1024 * 1024
MAX_AGENTS_BYTES = 256 * 1024
POLICY_NAMES = frozenset({"limits", "attempts", "in_doubt", "agents", "context", "publish"})
LIMIT_NAMES = engine.LIMIT_NAMES | {"tokens", "cost_usd", "seconds"}
SEED_BITS = 53


def only(given: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Raise InputsRefused for names that are not among ``allowed``."""
    unknown = [name for name in given if name not in allowed]
    if unknown:
        listed = ", ".join(allowed)
        raise InputsRefused(
            [_wrong(f"inputs/{name}", f"there is no input {name!r}; there are {listed}") for name in unknown]
        )


def checked_inputs(program: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The inputs, as JSON values.

    Raises:
        InputsRefused: lists unknown names, missing ones and wrong types.
    """
    found = errors_only(engine.problems_of_inputs(program, given))
    problems = [replace(each, pointer=f"/inputs{each.pointer}") for each in found]
    if not problems and _size(given) > MAX_INPUT_BYTES:
        problems.append(_wrong("inputs", f"the inputs are larger than {MAX_INPUT_BYTES} bytes as JSON"))
    if problems:
        raise InputsRefused(problems)
    return dict(given)


def checked_seed(seed: Any) -> int:
    """A seed that every database and JSON reader can hold. Raises InputsRefused."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**SEED_BITS:
        raise InputsRefused([_wrong("seed", "the seed is a whole number from 0 to 2^53 - 1")])
    return seed


def checked_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """
    The policy with everything in it understood.

    Raises:
        InputsRefused: lists what is not.
    """
    problems = [_wrong(f"policy/{name}", f"the policy has no {name!r}") for name in policy if name not in POLICY_NAMES]
    problems += _limit_problems(policy.get("limits", {}))
    attempts = policy.get("attempts", 4)
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= 20:
        problems.append(_wrong("policy/attempts", "attempts is a whole number from 1 to 20"))
    if policy.get("in_doubt", "retry") not in ("retry", "ask"):
        problems.append(_wrong("policy/in_doubt", "in_doubt is retry or ask"))
    if not isinstance(policy.get("publish", False), bool):
        problems.append(_wrong("policy/publish", "publish is true or false: whether the run may publish for you"))
    if not isinstance(policy.get("context", {}), Mapping):
        problems.append(_wrong("policy/context", "context is an object, as in {task: review}"))
    agents = policy.get("agents", {})
    if not _is_script(agents) or _size(agents) > MAX_AGENTS_BYTES:
        problems.append(
            _wrong("policy/agents", "agents is an object of agent names and lists of replies, at most 256 KiB")
        )
    if problems:
        raise InputsRefused(problems)
    return dict(policy)


def _limit_problems(limits: Any) -> list[Problem]:
    if not isinstance(limits, Mapping):
        return [_wrong("policy/limits", "limits is an object of names and numbers")]
    problems = []
    for name, value in limits.items():
        if name not in LIMIT_NAMES:
            known = ", ".join(sorted(LIMIT_NAMES))
            problems.append(_wrong(f"policy/limits/{name}", f"there is no limit {name!r}; there are {known}"))
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
            problems.append(_wrong(f"policy/limits/{name}", f"the limit {name} is a number from 0 on"))
    return problems


def _is_script(agents: Any) -> bool:
    return isinstance(agents, Mapping) and all(
        isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries)
        for entries in agents.values()
    )


def _wrong(pointer: str, message: str) -> Problem:
    return Problem(code="execution.request", message=message, pointer=f"/{pointer}")


def _size(value: Any) -> int:
    try:
        return len(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        return MAX_INPUT_BYTES + 1
