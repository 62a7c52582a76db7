"""
The machine as execution uses it: programs by their hash, and two calls.

Programs are kept by this process once they are loaded, since thousands of runs
share a few. Everything else about the language stays behind this module.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from execution.models.stored import text_of
from opl.script import machine

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


def initial(
    program: Any, *, inputs: Mapping[str, Any], seed: int, limits: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The state before the first input."""
    return machine.start(program, inputs=dict(inputs), seed=seed, limits=dict(limits))


def step(program: Any, state: Any, inputs: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Feed inputs, in order; the new state and what it asks of the world."""
    return machine.step(program, state, inputs)
