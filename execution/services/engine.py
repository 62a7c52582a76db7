"""
The machine as execution uses it: programs by their hash, and two calls.

Programs are kept by this process once they are loaded, since thousands of runs
share a few. Everything else about the language stays behind this module.
"""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from execution.models.stored import text_of
from opl.errors import Problem
from opl.script import machine
from opl.script.machine.emitting import EFFECT_BYTES
from opl.script.machine.limits import Limits
from opl.script.values import weight

PROGRAMS_KEPT = 200

_programs: OrderedDict[str, Any] = OrderedDict()


def program(digest: str) -> Any:
    """The compiled program of that hash, loaded."""
    found = _programs.get(digest)
    if found is None:
        found = _programs[digest] = json.loads(text_of(digest))
        while len(_programs) > PROGRAMS_KEPT:
            _programs.popitem(last=False)
    return found


def forget_programs() -> None:
    """Drop the programs kept; tests that empty the database need it."""
    _programs.clear()


def initial(program: Any, *, inputs: Mapping[str, Any], seed: int, limits: Mapping[str, Any]) -> dict[str, Any]:
    """
    The state before the first input.

    Args:
        limits: of the run's policy; those that the machine counts may only lower its own.
    """
    own = Limits()
    lowered = {
        field.name: min(int(limits[field.name]), getattr(own, field.name))
        for field in dataclasses.fields(Limits)
        if field.name in limits
    }
    return machine.start(program, inputs=inputs, seed=seed, limits=dataclasses.replace(own, **lowered))


def step(program: Any, state: Any, inputs: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Feed inputs, in order; the new state and what it asks of the world."""
    return machine.step(program, state, inputs)


def emitted(effects: Sequence[Any]) -> int:
    """How much a step emitted, as it counts against the ``turn`` of an input."""
    return sum(EFFECT_BYTES + weight(effect["data"]) for effect in effects if effect["kind"] in ("event", "track"))


def variables(state: Any) -> dict[str, Any]:
    """What the names of the script's own scope hold."""
    return machine.variables(state)


def warnings(state: Any) -> list[dict[str, Any]]:
    """The warnings of the run so far: ``{code, message, line, count}``."""
    return machine.warnings(state)


def problems_of_inputs(program: Any, inputs: Mapping[str, Any]) -> tuple[Problem, ...]:
    """What is wrong with given inputs, warnings included."""
    return machine.check_inputs(program, inputs)


LIMIT_NAMES = frozenset(field.name for field in dataclasses.fields(Limits))
