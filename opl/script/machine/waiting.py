"""
Instructions that emit, wait, branch or end.

Where an instruction waits, its branch keeps ``pc`` at it, and ``resume`` takes
the answer: both are closures over the frame that give the next position.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from opl.errors import AgentFailed, BadArgument, TypeMismatch
from opl.script.machine.frame import Frame
from opl.script.machine.link import link, owned
from opl.script.machine.plain import members
from opl.script.machine.texts import agent_id
from opl.script.values import is_number, number_of_reply, with_article

SUSPEND = -1
Step = Callable[[Frame], int]
Resume = Callable[[Frame, Any], int]


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
    kind = told.get("type")
    if isinstance(kind, str):
        failure.kind = kind
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
    events: list[Any] | None = None,
    fits: list[Any] | None = None,
) -> tuple[Step, Resume]:
    where = link(source) if source is not None else None
    limit = link(timeout) if timeout is not None else None
    wanted = link(collect) if collect is not None else None
    named = link(events) if events is not None else None
    needed = owned(fits) if fits is not None else None
    after = pc + 1

    def step(f: Frame) -> int:
        sources = _sources(where(f), place) if where is not None else None
        seconds = duration(f, limit(f), place) if limit is not None else None
        count = _replies(wanted(f), place) if wanted is not None else None
        wait: dict[str, Any] = {
            "kind": "await",
            "sources": sources,
            "mode": mode,
            "count": count,
            "partial": partial,
            "got": [],
            "timer": None,
        }
        if named is not None:
            wait["events"] = _globs("AWAIT", named(f), place)
        if needed is not None:
            wait["fits"] = _fields(needed(f), place)
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
    found: list[Any] = [agent_id(each) for each in value] if type(value) is list else [agent_id(value)]
    for each in found:
        if type(each) is not str:
            raise TypeMismatch(f"AWAIT … FROM needs agents, not {with_article(each)}", *place)
    return found


def _replies(value: Any, place: list[int]) -> int:
    """How many replies to collect: rounded up, null for all that are outstanding."""
    if value is None:
        return -1
    if is_number(value) and 0 < value < 1e6:
        count: int = math.ceil(value)
        return count
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
        return SUSPEND if f.run.track(f, value, place[0], after) else after

    return step


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
        f.charge(16 * len(queue))
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


def _observe(pc: int, place: list[int], patterns: list[Any], branch: list[Any], out: int) -> Step:
    inner = link(patterns)

    def step(f: Frame) -> int:
        f.run.observe(f, _globs("observe_events", inner(f), place), pc)
        return out

    return step


def _globs(who: str, value: Any, place: list[int]) -> list[str]:
    found = value if type(value) is list else [value]
    for each in found:
        if type(each) is not str:
            raise TypeMismatch(f"{who} needs patterns of event names, not {with_article(each)}", *place)
    return list(found)


def _fields(value: Any, place: list[int]) -> dict[str, Any] | None:
    if value is not None and type(value) is not dict:
        raise TypeMismatch(f"the filter of AWAIT is an object of fields, not {with_article(value)}", *place)
    return value


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


MAKERS: dict[str, Callable[..., Any]] = {
    "event": _event,
    "await": _await,
    "wait": _wait,
    "track": _track,
    "parallel": _parallel,
    "observe": _observe,
    "yield": _yield,
    "end": _end,
    "return": _return,
    "use": _use,
}
