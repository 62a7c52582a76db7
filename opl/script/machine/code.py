"""
Instructions become closures over a frame that give the next position.

``SUSPEND`` (-1) says that the branch waits, has ended, or that the run is
over; where it waits, the branch's ``pc`` stays at the waiting instruction and
``resume`` of that instruction takes the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opl.errors import MachineError
from opl.script.machine import waiting
from opl.script.machine.frame import MISSING, Frame
from opl.script.machine.link import Closure, link, owned
from opl.script.machine.plain import BREAK, CONTINUE, INDEX, bounds, link_block, members, restore_index
from opl.script.machine.waiting import Resume, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A program as closures."""

    hash: str  # of the program
    steps: list[Step]  # by position
    resumes: dict[int, Resume]  # by position, of instructions that wait
    places: list[list[int]]  # line and column by position
    tests: list[Closure | None]  # conditions of the adaptive rules
    changes: list[list[tuple[str, Closure]]]  # what their actions set
    program: dict[str, Any]


def link_program(program: dict[str, Any], digest: str) -> Linked:
    """
    Link a whole program.

    Raises:
        MachineError: this machine did not make it, or is too old for it.
    """
    if program.get("format") != "opl-program/1":
        raise MachineError(f"this machine runs opl-program/1, not {program.get('format')!r}")
    steps: list[Step] = []
    resumes: dict[int, Resume] = {}
    for pc, instruction in enumerate(program["instructions"]):
        op, cost, *operands = instruction
        maker = _MAKERS.get(op)
        if maker is None:
            raise MachineError(f"this machine has no instruction {op!r}")
        place = program["source_map"][pc]
        made = maker(pc, place, *operands)
        step, resume = made if isinstance(made, tuple) else (made, None)
        steps.append(_counted(step, cost) if cost else step)
        if resume is not None:
            resumes[pc] = resume
    rules = program["rules"]
    return Linked(
        hash=digest,
        steps=steps,
        resumes=resumes,
        places=program["source_map"],
        tests=[link(rule["test"]) if rule["test"] is not None else None for rule in rules],
        changes=[[(name, owned(value)) for name, value in rule["set"].items()] for rule in rules],
        program=program,
    )


def _counted(step: Step, cost: int) -> Step:
    def run(f: Frame) -> int:
        f.count += cost
        return step(f)

    return run


# ---------------------------------------------------------------- without waiting


def _plain(pc: int, place: list[int], block: list[Any], targets: list[Any] | None) -> Step:
    body, after = link_block(block), pc + 1

    def run(f: Frame) -> int:
        signal = body(f)
        if signal is None:
            return after
        if targets is not None and (signal is BREAK or signal is CONTINUE):
            unwind(f, targets[2])
            target: int = targets[0] if signal is BREAK else targets[1]
            return target
        ended: int = f.run.returned(signal[0])
        return ended

    return run


def unwind(f: Frame, depth: int) -> None:
    """Leave loops and TRYs until so many are left."""
    frames = f.data["frames"]
    while len(frames) > depth:
        _left(f, frames.pop())


def _left(f: Frame, frame: dict[str, Any]) -> None:
    if frame.get("indexed"):
        restore_index(f, frame["before"][0] if frame["before"] else MISSING)


def _jump(pc: int, place: list[int], target: int) -> Step:
    return lambda f: target


def _unless(pc: int, place: list[int], condition: list[Any], target: int) -> Step:
    test, after = link(condition), pc + 1
    return lambda f: after if test(f) else target


def _short(pc: int, place: list[int], operator: str, temp: int, target: int) -> Step:
    key, after, ends_on = str(temp), pc + 1, operator == "or"
    return lambda f: target if bool(f.data["temps"].get(key)) is ends_on else after


def _temp(pc: int, place: list[int], index: int, value: list[Any]) -> Step:
    inner, key, after = owned(value), str(index), pc + 1

    def run(f: Frame) -> int:
        f.data["temps"][key] = inner(f)
        return after

    return run


def _drop(pc: int, place: list[int]) -> Step:
    after = pc + 1

    def run(f: Frame) -> int:
        f.data["temps"] = {}
        return after

    return run


def _enter(pc: int, place: list[int]) -> Step:
    after = pc + 1

    def run(f: Frame) -> int:
        f.data["frames"].append({"k": "loop", "i": -1})
        return after

    return run


def _tick(pc: int, place: list[int]) -> Step:
    after = pc + 1

    def run(f: Frame) -> int:
        f.data["frames"][-1]["i"] += 1
        return after

    return run


def _each(pc: int, place: list[int], source: list[Any], names: int, indexed: bool) -> Step:
    inner, after = owned(source), pc + 1

    def run(f: Frame) -> int:
        frame: dict[str, Any] = {"k": "loop", "i": -1, "items": members(f, inner(f), names, *place)}
        if indexed:
            frame["indexed"] = True
            frame["before"] = [f.vars[INDEX]] if INDEX in f.vars else []
        f.data["frames"].append(frame)
        return after

    return run


def _next(pc: int, place: list[int], names: list[str], out: int) -> Step:
    after = pc + 1

    def run(f: Frame) -> int:
        frame = f.data["frames"][-1]
        index = frame["i"] + 1
        if index >= len(frame["items"]):
            return out
        frame["i"] = index
        item = frame["items"][index]
        frame["items"][index] = None  # bound now; the snapshot need not keep it
        if len(names) == 2:
            f.bind(names[0], item[0])
            f.bind(names[1], item[1])
        else:
            f.bind(names[0], item)
        if "indexed" in frame:
            f.vars[INDEX] = index
        f.count += 1
        return after

    return run


def _range(pc: int, place: list[int], low: list[Any], high: list[Any]) -> Step:
    first, last, after = link(low), link(high), pc + 1

    def run(f: Frame) -> int:
        number, end = bounds(first(f), last(f), *place)
        f.data["frames"].append({"k": "loop", "i": -1, "low": number, "high": end})
        return after

    return run


def _count(pc: int, place: list[int], name: str, out: int) -> Step:
    after = pc + 1

    def run(f: Frame) -> int:
        frame = f.data["frames"][-1]
        number = frame["low"] + frame["i"] + 1
        if number > frame["high"]:
            return out
        frame["i"] += 1
        f.bind(name, number)
        f.count += 1
        return after

    return run


def _leave(pc: int, place: list[int]) -> Step:
    after = pc + 1

    def run(f: Frame) -> int:
        _left(f, f.data["frames"].pop())
        return after

    return run


def _try(pc: int, place: list[int], handler: int) -> Step:
    after = pc + 1

    def run(f: Frame) -> int:
        f.data["frames"].append({"k": "try", "handler": handler})
        return after

    return run


def _catch(pc: int, place: list[int], name: str | None) -> Step:
    after = pc + 1

    def run(f: Frame) -> int:
        caught = f.data.pop("error", None)
        if name is not None:
            f.bind(name, caught)
        return after

    return run


_MAKERS: dict[str, Callable[..., Any]] = {
    "plain": _plain,
    "jump": _jump,
    "unless": _unless,
    "short": _short,
    "temp": _temp,
    "drop": _drop,
    "enter": _enter,
    "tick": _tick,
    "each": _each,
    "next": _next,
    "range": _range,
    "count": _count,
    "leave": _leave,
    "try": _try,
    "catch": _catch,
    **waiting.MAKERS,
}
