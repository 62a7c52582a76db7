"""
Instructions become closures over a frame that give the next position.

``SUSPEND`` (-1) says that the branch waits, has ended, or that the run is
over; where it waits, the branch's ``pc`` stays at the waiting instruction and
``resume`` of that instruction takes the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opl.errors import AgentFailed, BadArgument, MachineError, TypeMismatch
from opl.script.machine.frame import MISSING, Frame
from opl.script.machine.link import Closure, agent_id, link, owned
from opl.script.machine.plain import BREAK, CONTINUE, INDEX, bounds, link_block, members, restore_index
from opl.script.values import is_number, number_of_reply, with_article

SUSPEND = -1
Step = Callable[[Frame], int]
Resume = Callable[[Frame, Any], int]


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
            out, again, depth = targets
            unwind(f, depth)
            return out if signal is BREAK else again
        return f.run.returned(signal[0])

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


# ---------------------------------------------------------------- events and waiting


def _event(
    pc: int,
    place: list[int],
    name: str,
    data: list[Any],
    bind: str | None,
    temp: int | None,
    mode: str,
    raises: bool,
    identity: str,
    shape: dict[str, Any] | None,
) -> tuple[Step, Resume]:
    inner, after = owned(data), pc + 1

    def step(f: Frame) -> int:
        value = inner(f)
        if type(value) is not dict:
            raise TypeMismatch(f"the data of an event is an object, not {with_article(value)}", *place)
        waits = f.run.emit(f, pc, name, value, mode, identity, shape)
        return SUSPEND if waits else after

    def resume(f: Frame, value: Any) -> int:
        if bind is not None:
            f.bind(bind, value)
        elif temp is not None:
            f.data["temps"][str(temp)] = value
        if raises and type(value) is dict and value.get("success") is False:
            raise _failure(value, name, *place)
        return after

    return step, resume


def _failure(value: dict[str, Any], name: str, line: int, column: int) -> AgentFailed:
    error = value.get("error")
    told = error if isinstance(error, dict) else {"message": error}
    message = told.get("message")
    failure = AgentFailed(message if isinstance(message, str) and message else f"{name} failed", line, column)
    if isinstance(told.get("type"), str):
        failure.kind = told["type"]
    return failure


def _await(
    pc: int,
    place: list[int],
    name: str | None,
    source: list[Any] | None,
    mode: str,
    timeout: list[Any] | None,
    late: int,
    collect: list[Any] | None,
    partial: bool,
    void: bool,
) -> tuple[Step, Resume]:
    where = link(source) if source is not None else None
    limit = link(timeout) if timeout is not None else None
    wanted = link(collect) if collect is not None else None
    after = pc + 1

    def step(f: Frame) -> int:
        sources = _sources(where(f), place) if where is not None else None
        seconds = duration(f, limit(f), place) if limit is not None else None
        count = _replies(wanted(f), place) if wanted is not None else None
        wait = {
            "kind": "await",
            "sources": sources,
            "mode": mode,
            "count": count,
            "partial": partial,
            "got": [],
            "timer": None,
        }
        answer = f.run.inbox.begin(f, wait, seconds, pc)
        return SUSPEND if answer is None else resume(f, answer)

    def resume(f: Frame, answer: dict[str, Any]) -> int:
        if name is not None and (not answer["late"] or collect is not None):
            f.bind(name, [] if answer["late"] else answer["value"])
        elif name is not None and void:
            f.bind(name, None)
        return late if answer["late"] else after

    return step, resume


def _sources(value: Any, place: list[int]) -> list[str] | None:
    found = [agent_id(each) for each in value] if type(value) is list else [agent_id(value)]
    if type(value) is dict and type(value.get("agent_id")) is not str:
        found = [None]
    for each in found:
        if type(each) is not str:
            raise TypeMismatch(f"AWAIT … FROM needs agents, not {with_article(each)}", *place)
    return found


def _replies(value: Any, place: list[int]) -> int:
    """How many replies to collect: rounded up, null for all that are outstanding."""
    if value is None:
        return -1
    if is_number(value) and 0 < value < 1e6:
        return math.ceil(value)
    told = value if is_number(value) else with_article(value)
    raise BadArgument(f"AWAIT needs a number of replies above 0, not {told}", *place)


def duration(f: Frame, value: Any, place: list[int]) -> float | None:
    """
    Seconds to wait; null is no limit.

    Raises:
        TypeMismatch: no number.
        BadArgument: negative, or longer than a year.
    """
    seconds = number_of_reply(value)
    if seconds is None:
        return None
    if not is_number(seconds):
        raise TypeMismatch(f"a time is a number of seconds, not {with_article(seconds)}", *place)
    if not 0 <= seconds <= f.run.limits.wait_seconds:
        raise BadArgument(f"a time is between 0 and {f.run.limits.wait_seconds} seconds", *place)
    return seconds  # type: ignore[no-any-return]


def _wait(pc: int, place: list[int], seconds: list[Any]) -> tuple[Step, Resume]:
    inner, after = link(seconds), pc + 1

    def step(f: Frame) -> int:
        found = duration(f, inner(f), place)
        if found is None:
            raise TypeMismatch("WAIT needs a number of seconds, not null", *place)
        f.data["pc"] = pc
        f.data["wait"] = {"kind": "timer", "timer": f.run.timer(f, found, place[0])}
        return SUSPEND

    return step, lambda f, value: after


def _track(pc: int, place: list[int], data: list[Any]) -> Step:
    inner, after = owned(data), pc + 1

    def step(f: Frame) -> int:
        value = inner(f)
        if type(value) is not dict:
            raise TypeMismatch(f"TRACK takes an object, not {with_article(value)}", *place)
        f.run.track(f, value, place[0])
        return after

    return step


# ---------------------------------------------------------------- parallel


def _parallel(pc: int, place: list[int], limit: list[Any] | None, branches: list[Any], out: int) -> tuple[Step, Resume]:
    bound = link(limit) if limit is not None else None
    sources = [owned(each[2]) if each[0] != "one" else None for each in branches]

    def step(f: Frame) -> int:
        most = _most(bound(f), place) if bound is not None else None
        queue: list[Any] = []
        temp = None
        for number, (each, source) in enumerate(zip(branches, sources, strict=True)):
            if source is None:
                queue.append([number, None, 0])
                continue
            items = members(f, source(f), len(each[1]), *place)
            queue.extend([number, item, index] for index, item in enumerate(items))
            if each[0] == "map":
                temp = each[4]
                f.data["temps"][str(temp)] = [None] * len(items)
        if not queue:
            return out
        f.data["pc"] = pc
        f.data["wait"] = {"kind": "parallel", "queue": queue, "next": 0, "live": [], "limit": most, "branches": {}}
        f.run.fill(f, branches)
        return SUSPEND

    return step, lambda f, value: out


def _most(value: Any, place: list[int]) -> int | None:
    if value is None:
        return None
    if type(value) is float and value >= 1:
        value = int(value)
    if type(value) is int and value >= 1:
        return value
    told = value if is_number(value) else with_article(value)
    raise BadArgument(f"the limit of PARALLEL is a number of at least 1, not {told}", *place)


def _yield(pc: int, place: list[int], index: int, value: list[Any]) -> Step:
    inner, after, key = owned(value), pc + 1, str(index)

    def step(f: Frame) -> int:
        found = inner(f)
        parent = f.run.branches[f.data["parent"]]
        parent["temps"][key][f.data["number"]] = found
        return after

    return step


def _end(pc: int, place: list[int]) -> Step:
    return lambda f: f.run.ended_branch(f)


def _return(pc: int, place: list[int], value: list[Any]) -> Step:
    inner = owned(value)
    return lambda f: f.run.returned(inner(f))


def _use(pc: int, place: list[int], value: list[Any]) -> Step:
    inner = owned(value)
    return lambda f: f.run.returned({"use": inner(f)})


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
    "event": _event,
    "await": _await,
    "wait": _wait,
    "track": _track,
    "parallel": _parallel,
    "yield": _yield,
    "end": _end,
    "return": _return,
    "use": _use,
}
