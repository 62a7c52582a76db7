"""
The machine: a pure function from a program, a state and inputs to a state and effects.

    >>> state = start(program, inputs={}, seed=1)
    >>> state, effects = step(program, state, [{"kind": "start", "at": 0}])
    >>> effects[-1]["status"]
    'succeeded'

The state is plain JSON between steps: saving it is a checkpoint, loading it a
resume. ``step`` owns the state it is given and may change it in place. The
inputs and effects are described in ``opl.script.effects``.

Source: docs/language.md, section The machine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from opl.errors import DocumentError, MachineError, errors_only
from opl.script.compiler import program_hash
from opl.script.machine.code import Linked, link_program
from opl.script.machine.limits import Limits
from opl.script.machine.plain import INDEX
from opl.script.machine.run import Run
from opl.script.machine.starting import check_inputs, chosen_inputs

__all__ = ["Limits", "check_inputs", "start", "step", "variables", "warnings"]

STATE_FORMAT = "opl-state/1"
_KEPT = 64
_linked: OrderedDict[str, Linked] = OrderedDict()
_by_identity: OrderedDict[int, tuple[dict[str, Any], Linked]] = OrderedDict()


def start(
    program: dict[str, Any],
    *,
    inputs: Mapping[str, Any] | None = None,
    seed: int = 0,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """
    The state of a run that has not begun; its first input is ``start``.

    Raises:
        DocumentError: an input that the program does not have, or of the wrong type.
    """
    problems = errors_only(check_inputs(program, inputs or {}))
    if problems:
        raise DocumentError(problems)
    given, bound = chosen_inputs(program, inputs or {})
    root: dict[str, Any] = {
        "id": "0",
        "path": "main",
        "parent": None,
        "number": 0,
        "base": "",
        "pc": 0,
        "vars": bound,
        "mirror": [],
        "frames": [],
        "temps": {},
        "wait": None,
    }
    return {
        "format": STATE_FORMAT,
        "program": _link(program).hash,
        "limits": (limits or Limits()).to_json(),
        "given": given,
        "chance": {"seed": seed, "counter": 0},
        "started": 0,
        "at": -1,
        "stamp": -1,
        "seq": 0,
        "timers": 0,
        "statements": 0,
        "tracks": 0,
        "spent": 0,
        "grown": 0,
        "room": 0,
        "branches": {"0": root},
        "next_branch": 1,
        "ready": [],
        "inbox": [],
        "arrivals": 0,
        "awaiting": [],
        "outstanding": {},
        "timer_of": {},
        "agents": {},
        "instants": 0,
        "tracked": {},
        "fired": {},
        "warnings": {},
        "completion": None,
        "result": None,
        "closing": False,
        "ended": None,
    }


def step(
    program: dict[str, Any], state: dict[str, Any], inputs: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, Any], list[Any]]:
    """
    Feed inputs to a run, in their order.

    Returns:
        The state (the same object, changed) and the effects, in order.

    Raises:
        MachineError: the state belongs to another program or was not made by this machine.
    """
    linked = _link(program)
    if state.get("format") != STATE_FORMAT or state.get("program") != linked.hash:
        raise MachineError("this state belongs to another program or to another version of the machine")
    run = Run(linked, state)
    for each in inputs:
        run.take(dict(each))
    run.close()
    return state, run.effects


def variables(state: Mapping[str, Any]) -> dict[str, Any]:
    """The script's own scope: what its names hold now."""
    found = state["branches"]["0"]["vars"]
    return {name: value for name, value in found.items() if name != INDEX and not name.startswith("%")}


def warnings(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The warnings of a run, each ``{code, message, line, count}``, in the order of their first time."""
    return [dict(warning) for warning in state["warnings"].values()]


def _link(program: dict[str, Any]) -> Linked:
    """The program as closures: made once, found again by identity, else by hash."""
    known = _by_identity.get(id(program))
    if known is not None and known[0] is program:
        return known[1]
    digest = program_hash(program)
    linked = _linked.get(digest)
    if linked is None:
        linked = link_program(program, digest)
        _keep(_linked, digest, linked)
    _keep(_by_identity, id(program), (program, linked))
    return linked


def _keep(cache: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > _KEPT:
        cache.popitem(last=False)
